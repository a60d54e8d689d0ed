"""Every entry of every catalogue keeps its contract; adding one takes one line."""

import math
import os
import shutil
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from research.architectures import ARCHITECTURES
from research.architectures.contract import Weights, apply, call, init
from research.architectures.layers import Dense, Norm
from research.catalogues.activations import ACTIVATIONS
from research.catalogues.catalogue import Catalogue, UnknownName
from research.catalogues.initializers import DRAWS, INITIALIZERS, NoCriticalPoint
from research.catalogues.losses import LOSSES
from research.catalogues.normalizers import NORMALIZERS
from research.catalogues.optimizers import OPTIMIZERS
from research.catalogues.schedules import SCHEDULES
from research.datasets import DATASETS
from research.theory import mean_field
from research.theory.quadrature import evaluate
from tests.conftest import dense_families

KEY = jax.random.key(5)
CATALOGUES = (
    *(ACTIVATIONS, INITIALIZERS, NORMALIZERS, ARCHITECTURES, DATASETS),
    *(OPTIMIZERS, SCHEDULES, LOSSES),
)
ENTRIES = [(catalogue, name) for catalogue in CATALOGUES for name in catalogue]
TANH = ACTIVATIONS["tanh"]
DTYPES = ("float32", "float64")


def normal(*shape, dtype=np.float32):
    """A fixed sample of independent normals."""
    return np.random.default_rng(3).standard_normal(shape).astype(dtype)


def over(catalogue):
    """The entries of a catalogue as a test's parameter `entry`."""
    return pytest.mark.parametrize("entry", catalogue.values(), ids=lambda e: e.name)


@pytest.mark.parametrize(
    ("catalogue", "name"), ENTRIES, ids=[f"{c.noun}-{n}" for c, n in ENTRIES]
)
def test_an_entry_says_where_it_comes_from(catalogue, name):
    entry = catalogue[name]
    assert entry.name == name
    assert len(entry.source.strip()) > 10


@pytest.mark.parametrize("catalogue", CATALOGUES, ids=lambda c: c.noun)
def test_an_unknown_name_suggests_the_nearest(catalogue):
    name = next(iter(catalogue))
    mistyped = name[:-1] + "_"  # near enough for every name, and in no catalogue
    with pytest.raises(UnknownName) as caught:
        catalogue[mistyped]
    message = str(caught.value)
    assert f"unknown {catalogue.noun} {mistyped!r}: did you mean {name}" in message
    assert all(other in message for other in catalogue)


@pytest.mark.parametrize("catalogue", CATALOGUES, ids=lambda c: c.noun)
def test_a_name_is_given_once(catalogue):
    before = dict(catalogue)
    entry = next(iter(catalogue.values()))
    with pytest.raises(ValueError, match=f"two {catalogue.noun}s are named"):
        catalogue.add(entry)
    assert dict(catalogue) == before
    with pytest.raises(ValueError, match="two things are named"):
        Catalogue("thing", [entry, entry])


# Activations


def points(dtype, kinks=()):
    """A grid on ±8 that keeps 0.01 away from every kink, and has no round numbers."""
    x = np.linspace(-8.0, 8.0, 331) + 0.0037
    for kink in kinks:
        x = x[np.abs(x - kink) > 0.01]
    return jnp.asarray(x, dtype)


@over(ACTIVATIONS)
@pytest.mark.parametrize("dtype", DTYPES)
def test_an_activation_keeps_shape_and_dtype(entry, dtype):
    @jax.jit
    def value_and_slopes(x):
        y, pull = jax.vjp(entry.phi, x)
        return y, *pull(jnp.ones_like(y))

    for wide in {dtype == "float64", True}:  # float32 stays so where x64 is allowed
        with jax.enable_x64(wide):
            x = np.array(points(dtype)).reshape(1, -1, 1)
            x[0, :2, 0] = -1e4, 1e4  # e^10000 is not finite
            for a in value_and_slopes(x):
                assert (a.shape, a.dtype) == (x.shape, x.dtype)
                assert np.all(np.isfinite(a))


@over(ACTIVATIONS)
def test_an_activation_acts_on_elements_and_compiles_once(entry, traces):
    x = np.asarray(points("float32"))
    run = traces(entry.phi)
    together = run(x)
    for shift in (0.1, 0.2, 0.3):
        run(x + np.float32(shift))
    assert run.count == 1
    # Compiled for a scalar and for an array, exp and its like may differ by a few ulp.
    np.testing.assert_allclose(
        jax.jit(jax.vmap(entry.phi))(x.reshape(-1, 1))[:, 0],
        together,
        rtol=1e-6,
        atol=1e-6,
    )


@over(ACTIVATIONS)
def test_an_activations_gradient_is_that_of_its_values(entry):
    with jax.enable_x64(True):
        x, h = np.asarray(points("float64", entry.kinks)), 1e-5
    _, gradient = evaluate(entry, x)
    central = (evaluate(entry, x + h, 0)[0] - evaluate(entry, x - h, 0)[0]) / (2 * h)
    # h² φ‴ / 6 is about 1e-10; cancellation is |φ| ε / h, 1e-9 at φ = 64.
    np.testing.assert_allclose(gradient, central, rtol=0, atol=3e-9)


def bends(activation):
    """The points in [-12, 12] where φ′ or φ″ jumps, to within 1e-3.

    The second difference of φ′, over its step h, goes to 0 as h φ⁗ where φ is smooth
    (0.01 for the sharpest here) and to at least half the jump where φ″ jumps, the
    smallest of which is CELU's ½.
    """
    h = 1e-3
    x = np.arange(-12, 12, h) + h * 0.3
    _, slopes = evaluate(activation, x)
    second = np.abs(slopes[2:] - 2 * slopes[1:-1] + slopes[:-2]) / h
    found = x[1:-1][second > 0.05]
    groups = np.split(found, np.flatnonzero(np.diff(found) > 2.5 * h) + 1)
    return [float(np.mean(group)) for group in groups if group.size]


@over(ACTIVATIONS)
def test_an_activations_kinks_are_those_declared(entry):
    assert bends(entry) == pytest.approx(sorted(entry.kinks), abs=2e-3)


# Initialisers

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
    seen = float(np.mean(np.square(kernel, dtype=np.float64))) * fans[0]
    assert seen == pytest.approx(declared, rel=4 * error)
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


# Normalisers


@over(NORMALIZERS)
@pytest.mark.parametrize("dtype", DTYPES)
def test_a_normaliser_keeps_shape_and_dtype(entry, dtype):
    for wide in {dtype == "float64", True}:  # float32 stays so where x64 is allowed
        with jax.enable_x64(wide):
            h = np.asarray(3 + 2 * normal(6, 2, 5), dtype)
            layer = Norm(entry)

            @jax.jit
            def run(h, layer=layer):
                variables = layer.init(KEY, h)
                out, after = layer.apply(variables, h, True, mutable=["statistics"])
                later = layer.apply({**variables, **after}, h, False)
                return out, later, variables, after

            out, later, variables, after = run(h)
            for y in (out, later):
                assert (y.shape, y.dtype) == (h.shape, h.dtype)
                assert np.all(np.isfinite(y))
            assert all(a.dtype == h.dtype for a in jax.tree.leaves((variables, after)))
            assert bool(after) == entry.running


def test_normalisers_make_what_they_promise():
    h = 3 + 2 * normal(64, 48)

    def normalised(name, train=False):
        layer = Norm(NORMALIZERS[name])

        @jax.jit
        def run(h):
            variables = layer.init(KEY, h)
            return layer.apply(variables, h, train, mutable=["statistics"])[0]

        return np.asarray(run(h))

    np.testing.assert_array_equal(normalised("none"), h)
    # ε = 1e-5 beside a variance of 4 (a square of 13 for rms) takes 3e-6 off.
    batch, layer = normalised("batch", train=True), normalised("layer")
    np.testing.assert_allclose(batch.mean(0), 0, atol=1e-5)
    np.testing.assert_allclose(batch.var(0), 1, rtol=1e-5)
    np.testing.assert_allclose(layer.mean(1), 0, atol=1e-5)
    np.testing.assert_allclose(layer.var(1), 1, rtol=1e-5)
    rms = normalised("rms")
    np.testing.assert_allclose(np.mean(rms**2, 1), 1, rtol=1e-5)
    assert np.all(rms.mean(1) > 0.5)  # it subtracts nothing


@over(NORMALIZERS)
def test_a_normaliser_differentiates_maps_and_compiles_once(entry, traces):
    layer = Norm(entry)
    h = 3 + normal(4, 6, 5)
    variables = jax.jit(layer.init)(KEY, h[0])

    def normalise(h):
        return layer.apply(variables, h, True, mutable=["statistics"])[0]

    run = traces(normalise)
    alone = np.stack([run(one) for one in h])
    assert run.count == 1
    # The sums may be taken in another order: a few ulp of values near 3.
    together = jax.jit(jax.vmap(normalise))(h)
    np.testing.assert_allclose(together, alone, rtol=1e-5, atol=1e-6)
    wide = jax.tree.map(lambda a: np.asarray(a, np.float64), variables)
    with jax.enable_x64(True):
        check_gradient(
            lambda h: layer.apply(wide, h, True, mutable=["statistics"])[0],
            h[0].astype(np.float64),
        )


def check_gradient(function, at):
    """A random projection of the gradient against a central difference, in float64."""
    random = np.random.default_rng(7)
    direction = jax.tree.map(lambda a: random.standard_normal(a.shape), at)
    weights = random.standard_normal(jax.eval_shape(function, at).shape)

    @jax.jit
    def value(step):
        moved = jax.tree.map(lambda a, d: a + step * d, at, direction)
        return jnp.sum(weights * function(moved))

    gradient = jax.jit(jax.grad(lambda at: jnp.sum(weights * function(at))))(at)
    assert all(np.all(np.isfinite(g)) for g in jax.tree.leaves(gradient))
    products = jax.tree.map(lambda g, d: np.sum(np.asarray(g) * d), gradient, direction)
    h = np.float64(1e-4)
    near, far = value(h) - value(-h), value(2 * h) - value(-2 * h)
    central = (8 * near - far) / (12 * h)
    # h⁴ = 1e-16 times a fifth derivative of up to 1e8 (batch norm of 4 examples).
    assert float(sum(jax.tree.leaves(products))) == pytest.approx(
        float(central), rel=1e-7, abs=1e-7
    )


# Architectures: those of other kinds have tests of their own, and test_families

dense = pytest.mark.parametrize(
    "entry", [ARCHITECTURES[n] for n in dense_families()], ids=dense_families()
)


@dense
def test_an_architecture_differentiates(entry, network, filled):
    net, x = network(entry.name), normal(4, 6, dtype=np.float64)
    with jax.enable_x64(True):
        check_gradient(lambda v: apply(net, v, x)[0], filled(net, x))


@dense
def test_an_architecture_maps_over_seeds_and_compiles_once(
    entry, network, filled, traces
):
    net, x = network(entry.name), normal(4, 6)
    drawn = [filled(net, x, seed=seed) for seed in range(3)]
    run = traces(lambda variables: apply(net, variables, x)[0])
    alone = [run(variables) for variables in drawn]
    assert run.count == 1
    stacked = jax.tree.map(lambda *arrays: jnp.stack(arrays), *drawn)
    together = jax.jit(jax.vmap(lambda variables: apply(net, variables, x)[0]))(stacked)
    # Products of matrices side by side are summed in another order.
    np.testing.assert_allclose(together, jnp.stack(alone), rtol=1e-4, atol=1e-6)


@dense
def test_a_branch_is_the_layer_that_theory_speaks_of(entry, network):
    if entry.branch is None:
        return
    depth = 4
    branch = entry.branch(depth)
    net = network(entry.name, "tanh", depth=depth)
    plain = network("mlp", "tanh", depth=depth)
    h = normal(3, 8)
    layer, variables = net.stages[0].layer, plain.stages[0].layer.init(KEY, h)
    own = layer.init(KEY, h)["params"]
    # Where a branch is a layer within the layer, its kernel is handed in.
    mine = variables["params"]
    params = {n: mine if n.startswith("Layer") else own[n] for n in own}
    params = mine if entry.name == "mlp" else params
    expected = branch.skip * h + branch.scale * plain.stages[0].layer.apply(
        variables, h
    )
    np.testing.assert_allclose(
        layer.apply({"params": params}, h), expected, rtol=1e-6, atol=1e-6
    )


# One line


ADDED = {
    "research/catalogues/activations.py": (
        '    "activation",\n    [\n',
        '        Activation("swish_beta", lambda x: x * jax.nn.sigmoid(1.7 * x), "a '
        'test of adding"),\n',
    ),
    "research/catalogues/initializers.py": (
        '    "initializer",\n    [\n',
        '        Initializer("halved", "uniform", fan_in(0.5), "a test of adding"),\n',
    ),
    "research/catalogues/normalizers.py": (
        '    "normalizer",\n    [\n',
        '        Normalizer("largest", lambda h: (jnp.zeros_like(h[..., :1]), '
        'jnp.max(h * h, -1, keepdims=True)), "a test of adding"),\n',
    ),
    "research/architectures/dense/__init__.py": (
        "FAMILIES = (\n",
        '    Family("half_mlp", "half:build", "a test of adding"),\n',
    ),
}
HALF = """
from research.architectures.dense import mlp


def build(settings):
    return mlp.build(settings)._replace(name="half_mlp")
"""
USE = """
import json
import jax
jax.config.update("jax_numpy_dtype_promotion", "strict")
from benchmarks.gradient_flow.study import AXES
from research.catalogues.activations import ACTIVATIONS
from research.signal import ensembles, measurement
from research.theory import mean_field
cell = dict(architecture="half_mlp", activation="swish_beta", initializer="halved",
            normalizer="largest", depth=3, width=8, batch=4, dataset="noise", seeds=2)
program = ensembles.Program("half_mlp", "largest", ("swish_beta",), 8, 3, 4, "noise")
(result,) = measurement.measure([cell], program, 2)
theory = mean_field.theory(ACTIVATIONS["swish_beta"], 1.5)
print(json.dumps(dict(
    axes={name: list(axis.choices) for name, axis in AXES.items() if axis.choices},
    swept=AXES["activation"].values,
    parsed=AXES["activation"].parse("--activation", "swish_beta"),
    status=result.status, slope=result.values["log10_slope"],
    sigma_w2=result.values["sigma_w2_used"], chi_1=theory.chi_1, phase=theory.phase)))
"""


@pytest.fixture(scope="module")
def enlarged(root, tmp_path_factory):
    """A copy of the source with one line added to each of four catalogues."""
    folder = tmp_path_factory.mktemp("enlarged")
    for package in ("research", "benchmarks", "experiments"):
        hidden = shutil.ignore_patterns("__pycache__", "results*", "runs")
        shutil.copytree(root / package, folder / package, ignore=hidden)
    for path, (after, line) in ADDED.items():
        text = (folder / path).read_text()
        assert text.count(after) == 1, f"{path} no longer begins its catalogue so"
        (folder / path).write_text(text.replace(after, after + line))
    (folder / "research/architectures/dense/half.py").write_text(HALF)
    return folder


def python(arguments, folder, environment):
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=folder,
        env={
            **environment,
            "PYTHONPATH": str(folder),
            "XLA_FLAGS": os.environ["XLA_FLAGS"],
        },
        capture_output=True,
        text=True,
        timeout=120,
    )


def test_an_entry_is_added_in_one_line(enlarged, clean_environment):
    import json

    done = python(["-c", USE], enlarged, clean_environment)
    assert done.returncode == 0, done.stderr
    seen = json.loads(done.stdout)
    assert seen["axes"]["activation"][0] == "swish_beta"
    assert seen["axes"]["initializer"][0] == "halved"
    assert seen["axes"]["normalizer"][0] == "largest"
    assert seen["axes"]["architecture"][0] == "half_mlp"
    assert "swish_beta" in seen["swept"] and seen["parsed"] == ["swish_beta"]
    assert seen["status"] == "ok" and math.isfinite(seen["slope"])
    assert seen["sigma_w2"] == 0.5
    assert seen["chi_1"] > 0 and seen["phase"] in ("ordered", "critical", "chaotic")


def test_an_added_entry_is_offered_by_the_command_line(enlarged, clean_environment):
    command = "from research.cli.main import entry; entry()"
    mistyped = ["run", "gradient_flow", "--activation", "swish_bta"]
    done = python(["-c", command, *mistyped], enlarged, clean_environment)
    assert done.returncode == 2
    assert "did you mean swish_beta" in done.stderr and "Traceback" not in done.stderr
