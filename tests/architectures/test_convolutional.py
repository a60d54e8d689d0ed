"""Nets of convolutions: sizes, probes against float64, PyTorch's results, bad input."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from depthbench.research.architectures import ARCHITECTURES
from depthbench.research.architectures.contract import apply, call, init
from depthbench.research.architectures.convolution import convolve
from depthbench.research.architectures.convolutional import circular
from depthbench.research.architectures.convolutional.feedforward import local_response
from depthbench.research.catalogues.initializers import DRAWS
from depthbench.research.signal import jacobian, probes

# depth, width, shape of an example: the smallest that each net can read, or so
SMALL = {
    "cnn": (3, 4, (4, 5, 2)),
    "cnn_same": (3, 4, (4, 5, 2)),
    "cnn_1d": (3, 4, (6, 2)),
    "highway_cnn": (3, 4, (4, 5, 2)),
    "lenet5": (5, 6, (16, 17, 1)),
    "alexnet": (8, 6, (64, 65, 3)),
    "alexnet_one_tower": (8, 6, (64, 64, 3)),
    "alexnet_without_lrn": (8, 6, (64, 64, 3)),
    "alexnet_small": (5, 4, (8, 8, 1)),
    "vgg": (11, 2, (32, 32, 1)),
}


def example(name, batch=3):
    """(net's depth and width, x [batch, …]) at the smallest size."""
    depth, width, shape = SMALL[name]
    x = np.random.default_rng(0).standard_normal((batch, *shape)).astype(np.float32)
    return {"depth": depth, "width": width}, x


def loss(outputs):
    return jnp.mean(jnp.square(outputs - 0.5))


@pytest.mark.parametrize("name", ("highway_cnn", "alexnet_small"))
@pytest.mark.parametrize("normalizer", ("batch", "layer"))
def test_normalisers_keep_the_contract(name, normalizer, network):
    sizes, x = example(name)
    net = network(name, "relu", normalizer, **sizes)
    variables = jax.eval_shape(lambda: init(jax.random.key(0), net, x))
    for train in (True, False):
        outputs, after = jax.eval_shape(
            lambda v, t=train: apply(net, v, x, t), variables
        )
        assert outputs.shape == (3, 3)
        statistics = [v.get("statistics") for v in variables.stages]
        shapes = lambda trees: [a.shape for a in jax.tree.leaves(trees)]
        assert shapes([v.get("statistics") for v in after.stages]) == shapes(statistics)
        assert (len(jax.tree.leaves(statistics)) > 0) == (normalizer == "batch")


def test_a_deep_cnns_gradient_is_a_number(network, filled):
    net = network("cnn", "tanh", depth=1000, width=2)
    small = network("cnn", "tanh", depth=1, width=2)
    x = np.random.default_rng(0).standard_normal((2, 3, 3, 1)).astype(np.float32)
    kernels = np.random.default_rng(1).standard_normal((1000, 3, 3, 2, 2))
    conv = {"kernel": np.float32(0.9 * kernels / 18**0.5), "bias": np.zeros((1000, 2))}
    stage = {"params": {"Conv_0": jax.tree.map(np.float32, conv)}}
    variables = filled(small, x)._replace(stages=(stage,))
    states, parameters = jax.jit(lambda v: probes.log_gradients(net, v, x, loss))(
        variables
    )
    assert np.all(np.isfinite(states)) and np.all(np.isfinite(parameters[:300]))
    assert states[0] < -45  # which float32 calls 0: χ₁ ≤ 0.81 is 46 decades, or more


def test_a_head_of_places_tells_where_something_is(network, filled):
    """Of a circular net's mean over places nobody can."""
    x = np.random.default_rng(0).standard_normal((2, 6, 6, 1)).astype(np.float32)
    moved = np.roll(x, 2, axis=1)
    for net, blind in ((network("cnn", depth=1), True), (None, False)):
        net = net or circular.of_places(network("cnn", depth=1))
        run = jax.jit(lambda v, x, net=net: apply(net, v, x)[0])
        variables = filled(net, x)
        # Sums over places in another order: some ε.
        same = np.allclose(run(variables, x), run(variables, moved), atol=1e-5)
        assert same == blind


def test_first_layers_do_not_depend_on_the_depth(network):
    _, x = example("cnn_1d")
    shallow, deep = (
        init(jax.random.key(0), network("cnn_1d", depth=d, width=4), x) for d in (2, 3)
    )
    jax.tree.map(
        lambda a, b: np.testing.assert_array_equal(a, b[:2]),
        shallow.stages,
        deep.stages,
    )


def size_of(name, network, shape, depth, outputs):
    """The number of parameters at the published width."""
    net = network(name, depth=depth, width=ARCHITECTURES[name].width, outputs=outputs)
    x = jax.ShapeDtypeStruct((1, *shape), np.float32)
    shapes = jax.eval_shape(lambda x: init(jax.random.key(0), net, x), x)
    return sum(math.prod(a.shape) for a in jax.tree.leaves(shapes))


@pytest.mark.parametrize(
    ("name", "shape", "depth", "outputs", "count"),
    (
        ("lenet5", (32, 32, 1), 5, 10, 61_706),
        ("alexnet", (227, 227, 3), 8, 1000, 60_965_224),
        ("alexnet", (224, 224, 3), 8, 1000, 60_965_224),
        ("alexnet_one_tower", (227, 227, 3), 8, 1000, 62_378_344),
        ("alexnet_without_lrn", (224, 224, 3), 8, 1000, 62_378_344),
        ("alexnet_small", (28, 28, 3), 5, 10, 1_387_786),  # table 1 of the paper
        ("vgg", (224, 224, 3), 11, 1000, 132_863_336),  # 11 to 19: torchvision's
        ("vgg", (224, 224, 3), 13, 1000, 133_047_848),
        ("vgg", (224, 224, 3), 16, 1000, 138_357_544),
        ("vgg", (224, 224, 3), 19, 1000, 143_667_240),
    ),
)
def test_sizes_are_the_published_ones(name, shape, depth, outputs, count, network):
    assert size_of(name, network, shape, depth, outputs) == count


@pytest.mark.parametrize("name", ("lenet5", "alexnet", "alexnet_one_tower", "vgg"))
def test_images_too_small_for_the_pooling_are_refused(name, network):
    family = ARCHITECTURES[name]
    depth, width, (*_, channels) = SMALL[name]
    net = network(name, depth=depth, width=width)
    for side in (family.smallest, family.smallest - 1):
        x = jnp.zeros((1, side, 70, channels))
        run = lambda x=x: jax.eval_shape(lambda: init(jax.random.key(0), net, x))
        if side == family.smallest:
            run()
            assert family.refuses(depth, "relu", "none", side=side) is None
        else:
            message = f"at least {family.smallest} × {family.smallest}, not {side} × 70"
            with pytest.raises(ValueError, match=message):
                run()
            assert family.refuses(depth, "relu", "none", side=side)


def test_other_bad_input_is_refused(network):
    reason = ARCHITECTURES["alexnet"].refuses(8, "relu", "none", width=7)
    assert reason == "alexnet needs a width divisible by 2, not 7"
    with pytest.raises(ValueError, match="an image has shape"):
        init(jax.random.key(0), network("cnn"), jnp.zeros((2, 6)))


@pytest.mark.parametrize("name", ("alexnet", "vgg"))
def test_dropout_takes_half_of_the_dense_layers_in_training_alone(
    name, network, filled
):
    sizes, x = example(name)
    net = network(name, "relu", **sizes)
    dense = net.stages[-1].layer
    h = jnp.ones((1, 4))
    wide = dense.clone(features=10_000)
    variables = jax.tree.map(
        lambda a: jnp.ones((*a.shape[:-1], 10_000)), wide.init(jax.random.key(0), h)
    )
    dropped, _ = call(wide, variables, h, True, jax.random.key(1))
    assert set(np.unique(dropped)) == {0.0, 10.0}  # (4 + 1) / 0.5: the mean is kept
    # Five standard deviations of a share of 10,000 coins.
    assert abs(float(jnp.mean(dropped == 0)) - 0.5) < 0.025
    for train, key in ((True, None), (False, jax.random.key(1))):
        assert np.all(call(wide, variables, h, train, key)[0] == 5.0)
    variables = filled(net, x, gain=0.5)
    run = jax.jit(lambda key: apply(net, variables, x, True, key)[0])
    one, same, other = (run(jax.random.key(seed)) for seed in (1, 1, 2))
    np.testing.assert_array_equal(one, same)
    assert np.any(one != other)


# Initialisers


@pytest.mark.parametrize("draw", DRAWS)
@pytest.mark.parametrize("shape", ((3, 3, 4, 4), (3, 2, 8), (5, 5, 8, 4)))
def test_every_draw_makes_convolutions_of_its_variance(draw, shape):
    kernel = DRAWS[draw].kernel(jax.random.key(0), shape, jnp.float32)
    assert kernel.shape == shape
    fan_in, total = math.prod(shape[:-1]), np.sum(np.square(kernel))
    # Variance 1/fan_in: one for each feature. The centre alone is larger, by its share;
    # a semi-orthogonal matrix onto fewer features has rows of length 1 all the same.
    assert float(total) == pytest.approx(shape[-1], rel=0.35 if fan_in > 50 else 0.6)


def test_delta_orthogonal_convolutions_are_isometries():
    gain, side, channels = 1.7, 4, 3
    draw = DRAWS["delta_orthogonal"].kernel
    kernel = gain * draw(jax.random.key(0), (3, 3, channels, channels), jnp.float32)

    def flat(x):
        image = x.reshape(1, side, side, channels)
        return convolve(image, kernel, (1, 1), "CIRCULAR").reshape(-1)

    operator = jax.jit(jax.jacobian(flat))(jnp.zeros(side * side * channels))
    values = np.linalg.svd(operator, compute_uv=False)
    np.testing.assert_allclose(values, gain, rtol=1e-6)  # an ε or so of a QR


def test_a_linear_delta_orthogonal_cnn_is_an_isometry(network):
    net = network("cnn", "linear", draw="delta_orthogonal", depth=4, width=3)
    x = np.random.default_rng(0).standard_normal((2, 3, 3, 3)).astype(np.float32)
    variables = init(jax.random.key(0), net, x)
    spectrum = jax.jit(lambda v: jacobian.singular_values(net, v, x))(variables)
    np.testing.assert_allclose(spectrum.log10, 0, atol=1e-6)  # four ε of a QR


# PyTorch


@pytest.fixture
def torch():
    return pytest.importorskip("torch", reason="the [peers] extra is not installed")


def assert_same(ours, theirs):
    """Relative 1e-4 of the array's size: two libraries' float32 sums, layer by layer."""
    ours, theirs = np.asarray(ours), theirs.detach().numpy()
    size = np.max(np.abs(theirs))
    np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-4 * size)


@pytest.mark.parametrize(
    ("padding", "stride", "groups", "theirs"),
    (
        ("CIRCULAR", 1, 1, {"padding": 1, "padding_mode": "circular"}),
        ("SAME", 1, 1, {"padding": 1}),
        ("SAME", 1, 2, {"padding": 1}),
        (((1, 1), (1, 1)), 2, 1, {"padding": 1}),
        ("VALID", 2, 4, {}),
    ),
)
def test_convolutions_are_pytorchs(padding, stride, groups, theirs, torch):
    random = np.random.default_rng(0)
    x = random.standard_normal((2, 7, 6, 4)).astype(np.float32)
    kernel = random.standard_normal((3, 3, 4 // groups, 8)).astype(np.float32)
    conv = lambda x, kernel: convolve(x, kernel, (stride, stride), padding, groups)
    run = lambda x, k: jnp.sum(jnp.sin(conv(x, k)))
    layer = torch.nn.Conv2d(4, 8, 3, stride=stride, groups=groups, bias=False, **theirs)
    image = torch.tensor(x.transpose(0, 3, 1, 2)).requires_grad_()
    with torch.no_grad():
        layer.weight.copy_(torch.tensor(kernel.transpose(3, 2, 0, 1)))
    outputs = layer(image)
    torch.sin(outputs).sum().backward()
    assert_same(jnp.transpose(conv(x, kernel), (0, 3, 1, 2)), outputs)
    of_x, of_kernel = jax.jit(jax.grad(run, (0, 1)))(x, kernel)
    assert_same(jnp.transpose(of_x, (0, 3, 1, 2)), image.grad)
    assert_same(jnp.transpose(of_kernel, (3, 2, 0, 1)), layer.weight.grad)


def test_local_response_is_pytorchs(torch):
    h = 30 * np.random.default_rng(0).standard_normal((2, 3, 2, 9)).astype(np.float32)
    theirs = torch.nn.LocalResponseNorm(5, alpha=5e-4, beta=0.75, k=2.0)
    outputs = theirs(torch.tensor(h.transpose(0, 3, 1, 2)))
    assert_same(jnp.transpose(local_response(h), (0, 3, 1, 2)), outputs)


def as_torch(torch, params, groups=1, flattened=None):
    """A layer with these weights; flattened: the image [height, width] that it reads."""
    kernel, bias = (np.array(params[name]) for name in ("kernel", "bias"))
    if kernel.ndim == 4:
        *size, inner, features = kernel.shape
        layer = torch.nn.Conv2d(inner * groups, features, size, groups=groups)
    else:
        layer = torch.nn.Linear(*kernel.shape)
    with torch.no_grad():
        layer.weight.copy_(torch.tensor(torch_layout(kernel, flattened)))
        layer.bias.copy_(torch.tensor(bias))
    return layer


def torch_layout(kernel, flattened=None):
    kernel = np.asarray(kernel)
    if kernel.ndim == 4:
        return kernel.transpose(3, 2, 0, 1)
    if flattened:  # from (row, column, channel) to (channel, row, column)
        parts = kernel.reshape(*flattened, -1, kernel.shape[-1])
        kernel = parts.transpose(2, 0, 1, 3).reshape(kernel.shape)
    return kernel.T


def test_alexnet_is_pytorchs(network, filled, torch):
    x = np.random.default_rng(0).standard_normal((2, 96, 64, 3)).astype(np.float32)
    net = network("alexnet", "relu", depth=8, width=6)
    variables = filled(net, x, gain=0.4)

    def run(v):
        outputs = apply(net, v, x)[0]
        return loss(outputs), outputs

    (_, outputs), gradients = jax.jit(jax.value_and_grad(run, has_aux=True))(variables)

    def parameters(v):
        stages = [jax.tree.map(lambda a: a[0], stage) for stage in v.stages]
        trees = [v.stem, *stages, v.head]
        return [next(iter(tree["params"].values())) for tree in trees]

    # 96 × 64 with zeros is 99 × 67: 23 × 15, pooled 11 × 7, 5 × 3 and 2 × 1.
    more = [{"groups": g} for g in (1, 2, 1, 2, 2)] + [{"flattened": (2, 1)}, {}, {}]
    layers = [
        as_torch(torch, p, **m)
        for p, m in zip(parameters(variables), more, strict=True)
    ]
    functional = torch.nn.functional
    normed = torch.nn.LocalResponseNorm(5, alpha=5e-4, beta=0.75, k=2.0)
    pool = lambda h: functional.max_pool2d(h, 3, 2)
    h = functional.pad(torch.tensor(x.transpose(0, 3, 1, 2)), (1, 2, 1, 2))
    for number, layer in enumerate(layers):
        if number < 5:
            layer.stride = (4, 4) if number == 0 else (1, 1)
            layer.padding = ((0, 0), (2, 2), (1, 1), (1, 1), (1, 1))[number]
        h = torch.flatten(pool(h), 1) if number == 5 else h
        h = layer(pool(normed(h)) if number in (1, 2) else h)
        h = torch.relu(h) if number < 7 else h
    ((h - 0.5) ** 2).mean().backward()
    assert_same(outputs, h)
    for ours, layer, m in zip(parameters(gradients), layers, more, strict=True):
        kernel = torch_layout(ours["kernel"], m.get("flattened"))
        assert np.any(kernel)
        assert_same(kernel, layer.weight.grad)
        assert_same(ours["bias"], layer.bias.grad)
