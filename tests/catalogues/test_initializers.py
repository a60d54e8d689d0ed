"""Every initialiser draws what it declares, and declares what its paper does."""

import math

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from depthbench.research.architectures.contract import Weights, apply, call, init
from depthbench.research.architectures.layers import Dense
from depthbench.research.catalogues.activations import ACTIVATIONS
from depthbench.research.catalogues.initializers import (
    DRAWS,
    INITIALIZERS,
    NoCriticalPoint,
)
from depthbench.research.theory import mean_field
from depthbench.research.theory.quadrature import evaluate
from tests.entries import DTYPES, KEY, normal, over

TANH = ACTIVATIONS["tanh"]


FANS = (96, 160)


GLOROT = 2 / (FANS[0] + FANS[1])


DRAWN = ("normal", "uniform", "truncated")
VARIANCE = {  # of a kernel [96, 160], from the papers
    **{f"lecun_{draw}": 1 / FANS[0] for draw in DRAWN},
    **{f"glorot_{draw}": GLOROT for draw in DRAWN},
    **{f"he_{draw}": 2 / FANS[0] for draw in DRAWN},
    "orthogonal": 1 / FANS[0],
    "delta_orthogonal": 1 / FANS[0],
    "looks_linear": 2 / FANS[0],
    "pytorch": 1 / (3 * FANS[0]),
    "free": 1 / FANS[0],
}


def drawn(entry, fans=FANS, first=False, activation=TANH):
    """Kernel and bias of one dense layer, as an architecture draws them."""

    def gains(fan_in, fan_out):
        at = entry.hidden(activation)(fan_in, fan_out)
        return at.sigma_w2**0.5, at.sigma_b2**0.5

    layer = Dense(fans[1], Weights(DRAWS[entry.draw], gains), first)
    params = layer.init(KEY, jnp.zeros((1, fans[0])))["params"]
    return np.asarray(params["kernel"]), np.asarray(params["bias"])


@over(INITIALIZERS)
def test_a_kernel_has_its_declared_variance(entry, fans=FANS):
    kernel, _ = drawn(entry, fans)
    assert kernel.shape == fans and kernel.dtype == np.float32
    declared = entry.hidden(TANH)(*fans).sigma_w2
    # The squares of n independent normals average to 1 ± √(2/n); uniform and truncated
    # weights have lighter tails, orthogonal ones no error, looks-linear a quarter of
    # the independent numbers.
    error = math.sqrt(2 * (4 if entry.draw == "looks_linear" else 1) / kernel.size)
    variance = float(np.mean(np.square(kernel, dtype=np.float64))) * fans[0]
    assert variance == pytest.approx(declared, rel=4 * error)
    assert abs(float(np.mean(kernel))) < 4 * math.sqrt(declared / fans[0] / kernel.size)


@pytest.mark.parametrize("name", VARIANCE)
def test_a_declared_variance_is_the_papers(name):
    hidden = INITIALIZERS[name].hidden(TANH)
    assert hidden(*FANS).sigma_w2 / FANS[0] == pytest.approx(VARIANCE[name], rel=1e-12)
    # A square kernel is where Glorot's and LeCun's variances meet.
    if name.startswith("glorot_"):
        assert hidden(64, 64).sigma_w2 == 1


@over(INITIALIZERS)
def test_only_what_is_critical_treats_the_first_layer_apart(entry):
    alike = entry.hidden(TANH)(*FANS) == entry.first(TANH)(*FANS)
    assert alike == (entry.rule != "critical")


def test_every_draw_is_some_initialisers():
    assert {entry.draw for entry in INITIALIZERS.values()} == set(DRAWS)


@pytest.mark.parametrize("name", DRAWS)
def test_a_draw_maps_and_compiles_once(name, traces):
    draw, keys = DRAWS[name], jax.random.split(KEY, 3)

    def sample(key, dtype="float32"):
        return draw.kernel(key, (8, 6), jnp.dtype(dtype))

    run, together = traces(sample), jax.vmap(sample)(keys)
    alone = jnp.stack([run(key) for key in keys])
    assert run.count == 1
    assert together.shape == (3, 8, 6) and bool(jnp.all(jnp.isfinite(together)))
    # QR may sum in another order when mapped.
    np.testing.assert_allclose(alone, together, rtol=1e-5, atol=1e-6)
    assert not np.array_equal(alone[0], alone[1])
    with jax.enable_x64(True):
        for dtype in DTYPES:
            assert jax.eval_shape(lambda: sample(keys[0], dtype)).dtype == dtype  # noqa: B023
            bias = jax.eval_shape(lambda: draw.bias(keys[0], (6,), jnp.dtype(dtype)))  # noqa: B023
            assert (bias.shape, bias.dtype) == ((6,), dtype)


@pytest.mark.parametrize("shape", [(3, 3, 4, 8), (5, 7), (3, 2, 6), (27, 64)])
@pytest.mark.parametrize(
    ("draw", "distribution"),
    [("normal", "normal"), ("truncated", "truncated_normal"), ("uniform", "uniform")],
)
def test_a_kernel_is_the_one_that_jax_draws(draw, distribution, shape):
    """Whatever order it is drawn in: seeds of published rows mean the same numbers."""
    own = DRAWS[draw].kernel(KEY, shape, jnp.dtype("float32"))
    theirs = jax.nn.initializers.variance_scaling(1.0, "fan_in", distribution)
    np.testing.assert_array_equal(own, theirs(KEY, shape))


def test_orthogonal_kernels_may_have_either_shape():
    for name in ("orthogonal", "looks_linear"):
        test_a_kernel_has_its_declared_variance(INITIALIZERS[name], FANS[::-1])
    kernel, _ = drawn(INITIALIZERS["orthogonal"], FANS[::-1])
    # QR in float32; 160 inputs of variance 1/160 each: isometric on 96 outputs.
    np.testing.assert_allclose(np.linalg.svd(kernel)[1], 1, rtol=1e-5)


@over(INITIALIZERS)
def test_a_draw_has_its_shape(entry):
    kernel, _ = drawn(entry)
    unit = math.sqrt(entry.hidden(TANH)(*FANS).sigma_w2 / FANS[0])
    largest = float(np.max(np.abs(kernel)))
    if entry.draw == "uniform":
        # The largest of n uniforms misses the bound by a share 1/n; 10/n is e^-10 rare.
        assert math.sqrt(3) * (1 - 10 / kernel.size) < largest / unit < math.sqrt(3)
    elif entry.draw == "truncated":
        # A normal cut at ±2 has standard deviation 0.8796; 1 % from the edge lie 0.2 %.
        assert 0.99 * 2 < largest / unit * 0.87962566 < 2 * (1 + 1e-6)
    elif entry.draw in ("orthogonal", "delta_orthogonal"):
        values = np.linalg.svd(kernel, compute_uv=False)
        assert values.size == min(FANS)
        expected = unit * math.sqrt(max(FANS))
        np.testing.assert_allclose(values, expected, rtol=1e-5)  # QR in float32
    elif entry.draw == "looks_linear":
        half = kernel[: FANS[0] // 2, : FANS[1] // 2]
        np.testing.assert_array_equal(kernel, np.block([[half, -half], [-half, half]]))
    else:
        assert entry.draw == "normal"
        # 15,360 normals: the largest is within 3.3 … 5.6 but for a chance of 1e-3.
        assert 3.3 < largest / unit < 5.6


def test_looks_linear_and_relu_make_a_linear_net(network):
    net = network(
        "mlp", "relu", draw="looks_linear", sigma_w=2**0.5, width=16, depth=50
    )
    x = normal(3, 10)
    variables = init(jax.random.key(1), net, x)
    head = {"params": jax.tree.map(jnp.zeros_like, variables.head["params"])}

    @jax.jit
    def last(x):  # the head ends in another kind of weights, so look before it
        (h, _), _ = apply(
            net._replace(head=Through()), variables._replace(head=head), x
        )
        return h

    a, b = last(x), last(jnp.flip(x, 0))
    # Orthogonal: 50 layers keep the length, and rounding grows as √50 ε at most.
    np.testing.assert_allclose(last(x + 3 * jnp.flip(x, 0)), a + 3 * b, atol=2e-5)
    np.testing.assert_allclose(last(-x), -a, atol=2e-5)
    first, _ = call(net.stem, variables.stem, x)
    np.testing.assert_allclose(jnp.mean(a**2, 1), jnp.mean(first**2, 1), rtol=1e-4)


class Through:
    """In place of a head: the hidden state as it is."""

    def apply(self, variables, h, train, rngs=None):
        return h, None


def test_pytorch_bounds_are_those_of_its_documentation():
    kernel, bias = drawn(INITIALIZERS["pytorch"], (100, 4000))
    for values in (kernel, bias):
        largest = float(np.max(np.abs(values)))
        assert 0.99 * 0.1 < largest <= 0.1 * (1 + 1e-6)  # 1/√fan_in


def test_pytorch_statistics_are_those_of_torch():
    torch = pytest.importorskip("torch", reason="torch is not installed (extra: peers)")
    torch.manual_seed(0)
    linear = torch.nn.Linear(100, 4000)
    theirs = [linear.weight.detach().numpy().T, linear.bias.detach().numpy()]
    for ours, other in zip(
        drawn(INITIALIZERS["pytorch"], (100, 4000)), theirs, strict=True
    ):
        assert ours.shape == other.shape
        # A uniform's squares vary by √0.8 of their mean: 4 errors of two samples.
        error = 4 * math.sqrt(2 * 0.8 / ours.size)
        assert np.mean(ours**2) == pytest.approx(np.mean(other**2), rel=error)
        assert np.max(np.abs(ours)) == pytest.approx(np.max(np.abs(other)), rel=0.01)


@over(ACTIVATIONS)
def test_critical_variances_keep_the_gradient(entry):
    initializer = INITIALIZERS["critical"]
    assert INITIALIZERS["critical_orthogonal"].rule == initializer.rule
    if not has_critical_point(entry):
        with pytest.raises(NoCriticalPoint, match="chi_1 = 1"):
            initializer.hidden(entry)
        return
    hidden, first = (f(entry)(64, 64) for f in (initializer.hidden, initializer.first))
    q_star = first.sigma_w2  # an input of mean square 1 gives first states of this
    assert first.sigma_b2 == 0 and hidden.sigma_b2 >= 0
    chi = mean_field.chi_1(entry, hidden.sigma_w2, q_star)
    assert float(chi) == pytest.approx(1, abs=1e-9)
    length = mean_field.length_map(entry, hidden.sigma_w2, hidden.sigma_b2, q_star)
    assert float(length) == pytest.approx(q_star, rel=1e-9)


def has_critical_point(activation):
    """Whether at some length q, with σ_w² for χ₁ = 1, σ_b² is not negative and a length
    near q goes to it: q E[φ′²] ≥ E[φ²] and E[φ φ′ z] / √q ≤ E[φ′²].

    By a plain sum over z, at every eighth of a decade.
    """
    q = np.geomspace(1e-6, 1e6, 97)
    z = np.linspace(-9.0, 9.0, 20_000)  # no point on a kink at 0
    weights = np.exp(-z * z / 2) / np.sum(np.exp(-z * z / 2))
    phi, slope = evaluate(activation, np.sqrt(q)[:, None] * z)
    length, squared = phi**2 @ weights, slope**2 @ weights
    returns = (phi * slope * z) @ weights / np.sqrt(q)
    most = squared * (1 + 1e-9)  # ReLU and its like have both, but for rounding
    return bool(np.any((length <= q * most) & (returns <= most)))


# Initialisers as jax has them, for layers that are not ours.


@over(INITIALIZERS)
@pytest.mark.parametrize("dtype", [None, "bfloat16"])
@pytest.mark.parametrize("first", [False, True])
def test_a_jax_initializer_has_the_rules_mean_and_variance(entry, dtype, first):
    shape = (96, 160) if "delta" in entry.name else (2, 2, 24, 160)
    fan_in = math.prod(shape[:-1])
    rule = (entry.first if first else entry.hidden)(TANH)
    declared = rule(fan_in, math.prod(shape[:-2]) * shape[-1])
    kernel = entry.kernel_init(TANH, first)(KEY, shape, dtype)
    bias = entry.bias_init(TANH, fan_in, first)(KEY, (4096,), dtype)
    assert kernel.dtype == bias.dtype == (dtype or "float32")
    assert (kernel.shape, bias.shape) == (shape, (4096,))
    rounded = 0.01 if dtype else 0  # 8 bits
    halved = 2 if first and entry.draw == "looks_linear" else 1  # [W, -W] / √2
    for drawn, wanted in (
        (kernel, declared.sigma_w2 / fan_in / halved),
        (bias, declared.sigma_b2),
    ):
        values = np.asarray(drawn, np.float64)
        independent = values.size / (4 if entry.draw == "looks_linear" else 1)
        error = 4 * math.sqrt(2 / independent) + rounded
        assert np.mean(np.square(values)) == pytest.approx(wanted, rel=error, abs=1e-12)
        assert abs(np.mean(values)) <= 4 * math.sqrt(wanted / independent) + 1e-12


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("name", ["orthogonal", "critical_orthogonal"])
def test_an_orthogonal_jax_initializer_keeps_angles(name, dtype):
    kernel = INITIALIZERS[name].kernel_init(TANH)(KEY, (64, 64), jnp.dtype(dtype))
    sigma_w2 = INITIALIZERS[name].hidden(TANH).sigma_w2
    product = np.asarray(kernel, np.float64)
    product = product.T @ product / sigma_w2
    # An entry of 64 products of numbers rounded to 24 bits, or to 8, of 1/8 each.
    error = 2e-6 if dtype == "float32" else 4e-3
    np.testing.assert_allclose(product, np.eye(64), atol=4 * error)


def test_layers_of_anyones_take_them():
    """Dense and Conv of Flax, and a critical net whose lengths stay as theory says."""
    entry = INITIALIZERS["critical"]
    drawn = {"kernel_init": entry.kernel_init(TANH), "bias_init": entry.bias_init(TANH)}
    conv = nn.Conv(8, (3, 3), **drawn).init(KEY, jnp.zeros((1, 6, 6, 4)))["params"]
    assert conv["kernel"].shape == (3, 3, 4, 8) and float(conv["bias"].std()) > 0.05
    h = jax.random.normal(KEY, (8, 512))
    for layer in range(8):
        dense = nn.Dense(512, **drawn)
        h = jnp.tanh(h)
        h, _ = dense.init_with_output(jax.random.fold_in(KEY, layer), h)
    # q* = 1; of 8 examples that share 8 layers of 512 units.
    assert float(jnp.mean(jnp.square(h))) == pytest.approx(1, abs=0.15)
    one = jax.jit(lambda key: entry.kernel_init(TANH)(key, (4, 4), jnp.float32))
    assert jax.vmap(one)(jax.random.split(KEY, 3)).shape == (3, 4, 4)


def test_biases_that_ask_for_a_fan_in():
    with pytest.raises(ValueError, match="pytorch: its biases depend on fan_in"):
        INITIALIZERS["pytorch"].bias_init(TANH)
    with pytest.raises(NoCriticalPoint):
        INITIALIZERS["critical"].kernel_init(ACTIVATIONS["softplus"])
