"""Normalisers are PyTorch's: outputs, gradients, and the averages that are kept."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import errors

from depthbench.research.architectures.layers import Norm, exact
from depthbench.research.catalogues.normalizers import EPSILON, NORMALIZERS
from depthbench.research.machine import operations

FEATURES = 5
random = np.random.default_rng(0)
SHAPES = {"vectors": (8, FEATURES), "images": (8, 3, 4, FEATURES)}
PUBLISHED = ("batch", "layer", "rms")
NORMALISING = [name for name, entry in NORMALIZERS.items() if entry.statistics]
STATISTICS = ("running_mean", "running_var")


@pytest.fixture
def torch():
    return pytest.importorskip("torch", reason="the [peers] extra is not installed")


def theirs(torch, name):
    layer = {
        "batch": lambda: torch.nn.BatchNorm1d(FEATURES, EPSILON, momentum=0.1),
        "layer": lambda: torch.nn.LayerNorm(FEATURES, EPSILON),
        "rms": lambda: torch.nn.RMSNorm(FEATURES, EPSILON),
    }[name]()
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.copy_(torch.tensor(random.standard_normal(FEATURES)))
        for buffer in STATISTICS if name == "batch" else ():
            getattr(layer, buffer).copy_(torch.tensor(random.uniform(1, 2, FEATURES)))
    return layer


def ours_of(layer, h):
    """The variables of a Norm that has the weights of PyTorch's layer."""
    shape = (1,) * (h.ndim - 1) + (FEATURES,)
    one = lambda parameter: jnp.asarray(parameter.detach().numpy()).reshape(shape)
    shift = getattr(layer, "bias", None)
    shift = jnp.zeros(shape) if shift is None else one(shift)
    variables = {"params": {"scale": one(layer.weight), "shift": shift}}
    if hasattr(layer, "running_mean"):
        running = tuple(one(getattr(layer, name).clone()) for name in STATISTICS)
        variables["statistics"] = {"kept": running}
    return variables


def assert_same(ours, theirs):
    """Ten or so float32 roundings, of sums of up to a hundred numbers."""
    theirs = theirs.detach().numpy()
    np.testing.assert_allclose(
        np.asarray(ours).reshape(theirs.shape), theirs, 2e-5, 2e-6
    )


@pytest.mark.parametrize("train", (True, False))
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("name", PUBLISHED)
def test_a_normaliser_is_pytorchs(name, shape, train, torch):
    h = 2 + random.standard_normal(SHAPES[shape]).astype(np.float32)
    layer = theirs(torch, name).train(train)
    variables, norm = ours_of(layer, h), Norm(NORMALIZERS[name])

    def run(params, h):
        outputs, after = norm.apply(
            {**variables, "params": params}, h, train, mutable=["statistics"]
        )
        return jnp.sum(jnp.sin(outputs)), (outputs, after)

    (_, (outputs, after)), gradients = jax.value_and_grad(run, (0, 1), has_aux=True)(
        variables["params"], jnp.asarray(h)
    )
    flat = torch.tensor(h.reshape(-1, FEATURES)).requires_grad_()
    expected = layer(flat)
    torch.sin(expected).sum().backward()
    assert_same(outputs, expected)
    assert_same(gradients[1], flat.grad)
    assert_same(gradients[0]["scale"], layer.weight.grad)
    if getattr(layer, "bias", None) is not None:
        assert_same(gradients[0]["shift"], layer.bias.grad)
    if name == "batch" and train:
        mean, variance = after["statistics"]["kept"]
        assert_same(mean, layer.running_mean)
        # PyTorch keeps the unbiased variance n/(n − 1), and divides by the other.
        n = len(flat)
        before = variables["statistics"]["kept"][1]
        ours = 0.9 * before + (variance - 0.9 * before) * n / (n - 1)
        assert_same(ours, layer.running_var)


def textbook(params, h, name="batch"):
    """The normaliser as its paper has it, without a thought of speed or rounding."""
    axes = tuple(range(h.ndim - 1)) if name == "batch" else (-1,)
    mean = 0.0 if name == "rms" else jnp.mean(h, axes, keepdims=True)
    variance = jnp.mean(jnp.square(h - mean), axes, keepdims=True)
    unit = (h - mean) / jnp.sqrt(variance + EPSILON)
    return unit * params["scale"] + params["shift"]


def ours(params, h, name="batch"):
    norm = Norm(NORMALIZERS[name])
    return norm.apply({"params": params, **kept_of(h)}, h, mutable=["statistics"])[0]


def kept_of(h):
    shape = (1,) * (h.ndim - 1) + (FEATURES,)
    return {"statistics": {"kept": (jnp.zeros(shape, exact(h.dtype)),) * 2}}


def drawn(h, dtype):
    """(parameters, h) and a direction beside them, of mixed signs, like the outputs'."""
    generator = np.random.default_rng(1)
    shape = (1,) * (h.ndim - 1) + (FEATURES,)
    normal = lambda shape: jnp.asarray(generator.standard_normal(shape), dtype)
    params = {"scale": 1 + normal(shape) / 8, "shift": normal(shape)}
    return (params, jnp.asarray(h, dtype)), normal(h.shape)


def sine(norm, along):
    """A curved function of the outputs, whose gradient is none of the normaliser's."""
    return lambda params, h: jnp.sum(along * jnp.sin(norm(params, h)))


def hard_batches():
    """Batches by name, and how exact float32 can be there."""
    shape = (16, 8, 8, FEATURES)
    generator = np.random.default_rng(2)
    normal = generator.standard_normal(shape)
    outlier = normal.copy()
    outlier[0, 0, 0] = 1e4
    sparse = np.where(generator.random(shape) < 0.01, np.abs(normal), 0.0)
    return [
        # The mean's rounding, of 6e-8 × 1,000 deviations, is to be made good.
        pytest.param(1e3 + normal, 5e-6, id="mean of 1,000 deviations"),
        # Nearly all of such a channel is in one number: the scale's gradient cancels.
        pytest.param(outlier, 5e-5, id="one outlier"),
        pytest.param(sparse, 5e-6, id="one number in a hundred, as of ReLU"),
    ]


@pytest.mark.parametrize("h, tolerance", hard_batches())
def test_batch_norm_is_exact_in_float32(h, tolerance):
    h = h.astype(np.float32)

    def run(norm, dtype):
        inputs, along = drawn(h, dtype)
        slopes = jax.grad(sine(norm, along), (0, 1))
        return jax.jit(lambda *a: (norm(*a), slopes(*a)))(*inputs)

    results = run(ours, np.float32)
    with jax.enable_x64(True):
        expected = run(textbook, np.float64)
    pairs = zip(*map(jax.tree.leaves, (results, expected)), strict=True)
    for a, b in pairs:
        a, b = np.asarray(a, np.float64), np.asarray(b)
        assert np.linalg.norm(a - b) <= tolerance * np.linalg.norm(b)


@pytest.mark.parametrize("name", PUBLISHED)
def test_a_normaliser_has_the_textbooks_derivatives_of_both_orders(name):
    """Forwards, backwards, forwards over backwards; in a scan, mapped over nets."""
    h = random.standard_normal(SHAPES["images"])
    with jax.enable_x64(True):
        inputs, along = drawn(h, np.float64)

        def run(norm):
            def twice(params, h):
                step = lambda h, _: (norm(params, h, name), None)
                return jax.lax.scan(step, h, length=2)[0]

            slopes = jax.grad(sine(twice, along), (0, 1))
            step = jax.tree.map(jnp.cos, inputs)
            both = lambda *a: (twice(*a), slopes(*a))
            mapped = jax.vmap(lambda a, b: jax.jvp(both, a, b))
            pair = lambda tree: jax.tree.map(lambda a: jnp.stack([a, a + 0.1]), tree)
            return jax.jit(mapped)(pair(inputs), pair(step))

        pairs = zip(*map(jax.tree.leaves, map(run, (ours, textbook))), strict=True)
        for a, b in pairs:  # some hundred roundings of 1e-16
            assert a.dtype == np.float64
            np.testing.assert_allclose(a, b, rtol=1e-10, atol=1e-11)


@pytest.mark.parametrize("deviations", (1, 1000))
@pytest.mark.parametrize("dtype", (jnp.bfloat16, jnp.float16))
@pytest.mark.parametrize("name", PUBLISHED)
def test_half_precision_is_rounded_at_the_ends_alone(name, dtype, deviations):
    """Whatever the mean, and the first example: all results are float64's, rounded."""
    h = np.random.default_rng(3).standard_normal((64, 8, 8, FEATURES))
    h[0] *= 30
    h = jnp.asarray(deviations + h, dtype)

    def run(norm, wide):
        inputs, along = drawn(h, dtype)
        inputs, along = jax.tree.map(lambda a: a.astype(wide), (inputs, along))

        def both(inputs):
            out, pull = jax.vjp(lambda inputs: norm(*inputs, name), inputs)
            return out, pull(along)[0]

        return jax.jit(both)(inputs)

    results = run(ours, dtype)
    with jax.enable_x64(True):
        expected = run(textbook, np.float64)
    pairs = zip(*map(jax.tree.leaves, (results, expected)), strict=True)
    for a, b in pairs:
        assert a.dtype == dtype
        a, b = np.asarray(a, np.float64), np.asarray(b)
        # A number is rounded by half of eps at most, and by a third of it on the whole;
        # parameters' gradients are so few that they may all be unlucky.
        bound = jnp.finfo(dtype).eps * (0.4 if a.size > FEATURES else 0.5)
        assert np.linalg.norm(a - b) <= float(bound) * np.linalg.norm(b)


@pytest.mark.parametrize("train", (True, False))
@pytest.mark.parametrize("dtype", (jnp.float32, jnp.bfloat16, jnp.float16))
@pytest.mark.parametrize("name", NORMALISING)
def test_the_gradient_keeps_h_as_it_came_and_a_few_moments(name, dtype, train):
    """Nothing of h's size beside h itself, whose bytes the next layer up has anyway."""
    h = jax.ShapeDtypeStruct((16, 8, 8, 64), dtype)
    norm = Norm(NORMALIZERS[name])
    variables = jax.eval_shape(norm.init, jax.random.key(0), h)
    statistics = {k: v for k, v in variables.items() if k != "params"}

    def run(params, h, statistics):
        variables = {"params": params, **statistics}
        return norm.apply(variables, h, train, mutable=["statistics"])[0]

    found = operations.kept(run, variables["params"], h, fixed=(statistics,))
    wide = jax.ShapeDtypeStruct(h.shape, jnp.float32)
    moments = jax.eval_shape(NORMALIZERS[name].statistics, wide)
    size = sum(a.size * a.dtype.itemsize for a in moments)
    assert found <= 2 * size < h.size * h.dtype.itemsize  # and what is subtracted


def test_a_constant_feature_is_normalised_to_the_shift():
    """The mean of so large numbers is off by more than the root of EPSILON."""
    h = np.tile(1.1 ** np.arange(240, 240 + 40 * FEATURES, 40.0), (100, 1))
    (params, h), _ = drawn(h, np.float32)
    outputs, slope = jax.jit(
        lambda h: (ours(params, h), jax.grad(lambda h: jnp.sum(ours(params, h)))(h))
    )(h)
    assert np.isfinite(outputs).all() and np.isfinite(slope).all()


def test_parameters_of_another_shape_are_refused():
    layer, h = Norm(NORMALIZERS["layer"]), jax.ShapeDtypeStruct((8, 5), jnp.float32)
    variables = jax.eval_shape(lambda h: layer.init(jax.random.key(0), h), h)
    wider = jax.ShapeDtypeStruct((8, 7), jnp.float32)
    with pytest.raises(errors.ScopeParamShapeError, match="scale"):
        jax.eval_shape(layer.apply, variables, wider)
