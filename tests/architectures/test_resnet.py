"""Residual networks: their sizes, what their gradients keep, and PyTorch's results."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from depthbench.research.architectures import ARCHITECTURES
from depthbench.research.architectures.contract import (
    apply,
    call,
    divide,
    init,
    layer_at,
    unite,
)
from depthbench.research.architectures.remaking import CONVOLUTIONS
from depthbench.research.catalogues.normalizers import EPSILON
from depthbench.research.machine import operations

SMALL = ("plain_cnn", "resnet", "resnet_v2")
UNNORMALIZED = ("resnet_fixup", "resnet_skipinit", "resnet_rezero")
X = np.random.default_rng(0).standard_normal((4, 8, 8, 1)).astype(np.float32)
small = pytest.mark.parametrize("name", SMALL)


def shapes_of(net, x):
    return jax.eval_shape(lambda key: init(key, net, x), jax.random.key(0))


def parameters(net, side):
    variables = shapes_of(net, jnp.zeros((1, side, side, 3)))
    counted = jax.tree_util.tree_leaves_with_path(variables)
    return sum(a.size for path, a in counted if "statistics" not in str(path))


@pytest.mark.parametrize(
    ("depth", "count"),
    (
        (20, 269_722),
        (32, 464_154),
        (44, 658_586),
        (56, 853_018),
        (110, 1_727_962),
        (1202, 19_421_274),
    ),
)
def test_small_nets_have_the_published_sizes(depth, count, network):
    for name in SMALL:  # a shortcut has no parameters, and norms move but stay as many
        net = network(name, "relu", "batch", width=16, depth=depth, outputs=10)
        assert parameters(net, 32) == count
        assert sum(stage.depth for stage in net.stages) == (depth - 2) // 2


@pytest.mark.parametrize(
    ("depth", "count"), ((18, 11_689_512), (34, 21_797_672), (50, 25_557_032))
)
def test_large_nets_have_the_published_sizes(depth, count, network):
    net = network(
        "resnet_imagenet", "relu", "batch", width=64, depth=depth, outputs=1000
    )
    assert parameters(net, 224) == count


@pytest.mark.parametrize(
    ("name", "more"),
    (  # what takes the place of 1,376 scales and shifts
        ("resnet_fixup", 9 * 5 + 2),  # scalars of nine blocks, the stem and the head
        (
            "resnet_skipinit",
            9 + 688,
        ),  # α, and a bias for each channel of 19 convolutions
        ("resnet_rezero", 9 + 16),  # α, and the stem's biases
    ),
)
def test_nets_without_normalisers_have_scalars_instead(name, more, network):
    net = network(name, "relu", width=16, depth=20, outputs=10)
    assert parameters(net, 32) == 269_722 - 1_376 + more


@pytest.mark.parametrize("name", SMALL + UNNORMALIZED)
def test_digits_and_the_smallest_images_can_be_read(name, network):
    family = ARCHITECTURES[name]
    assert family.refuses(14, "tanh", "none", side=8) is None
    assert "6n + 2" in (family.refuses(16, "tanh", "none", side=8) or "")
    for depth, layers in ((8, (1, 1, 1)), (14, (2, 1, 1, 1, 1))):
        net = network(name, depth=depth, width=4)
        if name == "resnet_v2" and depth == 14:  # its first group too has an opening
            layers = (1, *layers[1:], 1)
        assert tuple(stage.depth for stage in net.stages) == layers
        for side in (8, family.smallest):
            x = jnp.zeros((2, side, side, 1))
            variables = shapes_of(net, x)
            outputs, _ = jax.eval_shape(
                lambda v, x, n=net: apply(n, v, x), variables, x
            )
            assert outputs.shape == (2, 3)
        with pytest.raises(ValueError, match="an image has shape"):
            shapes_of(net, jnp.zeros((2, 64)))


def squares(outputs):
    return jnp.mean(jnp.square(outputs - 0.5))


# Normalisers' statistics, and PyTorch


def test_batch_statistics_are_kept_and_used_later(network, filled):
    net = network("resnet_v2", "relu", "batch", depth=8, width=4)
    variables = filled(net, X)
    outputs, after = jax.jit(lambda v: apply(net, v, X, True))(variables)
    h, _ = call(net.stem, variables.stem, X)  # what the first norm reads
    mean, variance = variables.stages[0]["statistics"]["Norm_0"]["kept"]
    updated = after.stages[0]["statistics"]["Norm_0"]["kept"]
    averages = (0.9 * mean[0, 0, 0, 0] + 0.1 * np.mean(h, (0, 1, 2)),)
    averages += (0.9 * variance[0, 0, 0, 0] + 0.1 * np.var(h, (0, 1, 2)),)
    for ours, expected in zip(updated, averages, strict=True):
        assert ours.shape == (1, 1, 1, 1, 4)
        np.testing.assert_allclose(ours[0, 0, 0, 0], expected, rtol=1e-5)
    later = jax.jit(lambda v, x: apply(net, v, x, False)[0])
    assert not np.allclose(later(variables, X), outputs, atol=1e-3)
    changed = variables._replace(
        stages=tuple(
            {**old, "statistics": new["statistics"]}
            for old, new in zip(variables.stages, after.stages, strict=True)
        )
    )
    assert not np.allclose(later(changed, X), later(variables, X), atol=1e-3)
    # Each example alone: the same sums in another order.
    alone = later(variables, np.concatenate([X[:1], 3 - 2 * X[1:]]))
    np.testing.assert_allclose(alone[0], later(variables, X)[0], rtol=1e-5, atol=1e-6)


def convolved_bytes(jaxpr):
    """Bytes of what all convolutions return; in a loop, of every round."""
    total = 0
    for eqn in jaxpr.eqns:
        if eqn.primitive.name in CONVOLUTIONS:
            total += sum(v.aval.size * v.aval.dtype.itemsize for v in eqn.outvars)
        often = eqn.params["length"] if eqn.primitive.name == "scan" else 1
        inner = sum(convolved_bytes(body) for body in operations.bodies(eqn))
        total += often * inner
    return total


@pytest.mark.parametrize(
    "name, depth", [(name, 20) for name in SMALL] + [("resnet_imagenet", 50)]
)
def test_the_gradient_keeps_convolutions_and_what_blocks_read(name, depth, network):
    """In their own dtype, and no mask, centred copy or activation beside them.

    In loops: of blocks that are written out XLA chooses what to keep.
    """
    net = network(name, "relu", "batch", width=16, depth=depth, outputs=10)
    x = jax.ShapeDtypeStruct((64, 64, 64, 3), jnp.bfloat16)
    params, statistics = divide(shapes_of(net, jnp.zeros(x.shape)))
    params = jax.tree.map(lambda a: jax.ShapeDtypeStruct(a.shape, x.dtype), params)

    def outputs(params, statistics, x):
        return apply(net, unite(params, statistics), x)[0]

    traced = jax.make_jaxpr(outputs)(params, statistics, x).jaxpr
    # Blocks read half as much as their convolutions return; the stem keeps three states.
    found = operations.kept(outputs, params, fixed=(statistics, x))
    assert found <= 2 * convolved_bytes(traced)


def torch_resnet(torch, n, width):
    """He et al.'s ResNet of 6n + 2 layers, for images of one channel, 3 outputs."""
    nn = torch.nn

    class Block(nn.Module):
        def __init__(self, inputs, features):
            super().__init__()
            self.more, self.strides = features - inputs, features // inputs
            self.conv1 = nn.Conv2d(inputs, features, 3, self.strides, 1, bias=False)
            self.bn1 = nn.BatchNorm2d(features, EPSILON)
            self.conv2 = nn.Conv2d(features, features, 3, 1, 1, bias=False)
            self.bn2 = nn.BatchNorm2d(features, EPSILON)

        def forward(self, x):
            y = self.bn2(self.conv2(torch.relu(self.bn1(self.conv1(x)))))
            x = x[:, :, :: self.strides, :: self.strides]
            return torch.relu(nn.functional.pad(x, (0, 0, 0, 0, 0, self.more)) + y)

    features = [width] * (n + 1) + [2 * width] * n + [4 * width] * n
    return nn.Sequential(
        nn.Conv2d(1, width, 3, 1, 1, bias=False),
        nn.BatchNorm2d(width, EPSILON),
        nn.ReLU(),
        *map(Block, features[:-1], features[1:]),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(4 * width, 3),
    )


def layers_of(net, variables):
    """The variables of the stem and of every block, in order."""
    blocks = [
        layer_at(stage, stacked, index)
        for stage, stacked in zip(net.stages, variables.stages, strict=True)
        for index in range(stage.depth)
    ]
    return [variables.stem, *blocks]


def parameters_of(net, variables):
    """Parameters, or their gradients, in torch's order and layout."""
    arrays = []
    for layer in layers_of(net, variables):
        for name in ("0", "1"):
            if f"Conv_{name}" in layer["params"]:
                kernel = layer["params"][f"Conv_{name}"]["kernel"]
                norm = layer["params"][f"Norm_{name}"]
                arrays.append(np.transpose(kernel, (3, 2, 0, 1)))
                arrays += [np.ravel(norm["scale"]), np.ravel(norm["shift"])]
    dense = variables.head["params"]["Head_0"]["Dense_0"]
    return [*arrays, np.transpose(dense["kernel"]), np.asarray(dense["bias"])]


def running_of(net, variables):
    """Running means and variances, one after the other."""
    statistics = [layer["statistics"] for layer in layers_of(net, variables)]
    return [np.ravel(a) for a in jax.tree.leaves(statistics)]


def test_resnet_20_is_pytorchs(network, filled):
    torch = pytest.importorskip("torch", reason="the [peers] extra is not installed")
    ours = network("resnet", "relu", "batch", depth=20, width=4)
    variables = filled(ours, X)
    theirs = torch_resnet(torch, 3, 4)
    buffers = [b for b in theirs.buffers() if b.ndim]  # not the counts of batches
    with torch.no_grad():
        for values, tensors in (
            (parameters_of(ours, variables), list(theirs.parameters())),
            (running_of(ours, variables), buffers),
        ):
            for value, tensor in zip(values, tensors, strict=True):
                tensor.copy_(torch.tensor(np.array(value)))
    x = torch.tensor(X.transpose(0, 3, 1, 2))

    def close(value, other):
        # Two libraries' float32 sums, forty layers and norms deep; beside the largest,
        # as an element may be a difference of large ones.
        size = float(np.max(np.abs(other)))
        np.testing.assert_allclose(value, other, rtol=1e-4, atol=1e-4 * size)

    theirs.eval()
    outputs = jax.jit(lambda v: apply(ours, v, X, False)[0])(variables)
    close(outputs, theirs(x).detach().numpy())

    def loss(v):
        outputs, after = apply(ours, v, X)
        return squares(outputs), (outputs, after)

    gradient, (outputs, after) = jax.jit(jax.grad(loss, has_aux=True))(variables)
    theirs.train()
    their_outputs = theirs(x)
    ((their_outputs - 0.5) ** 2).mean().backward()
    close(outputs, their_outputs.detach().numpy())
    gradients = zip(parameters_of(ours, gradient), theirs.parameters(), strict=True)
    for value, parameter in gradients:
        close(value, parameter.grad.numpy())
    running = [running_of(ours, v) for v in (after, variables)]
    for name, value, old, new in zip(
        ("mean", "variance") * 19, *running, buffers, strict=True
    ):
        n = len(X) * (8 * 4 // value.size) ** 2  # sides halve where channels double
        if name == "variance":  # torch keeps the unbiased one
            value = 0.9 * old + (value - 0.9 * old) * n / (n - 1)
        close(value, new.numpy())
