"""`rank_collapse`: residuals of attention, their cube, and how fast they fall."""

import jax
import numpy as np
import pytest

from depthbench.experiments.propagation import rank_collapse, transformers
from depthbench.research.architectures import attention, contract, walk

WIDTH, DEPTH = 64, 3  # two heads
CELL = {"width": WIDTH, "depth": DEPTH, "batch": 4, "seeds": 1}


@pytest.fixture(scope="module")
def states():
    """(the layers' parameters of attention alone, its states in float64)."""
    net = transformers.build({**CELL, "architecture": "attention"}, DEPTH, "none")
    _, x, _ = transformers.batches(CELL)
    variables = contract.init(jax.random.key(3), net, x[0])
    # Biases too, which a random net at Xavier's variance has not.
    bias = lambda path, a: a + 0.3 if path[-1].key == "bias" else a
    variables = jax.tree_util.tree_map_with_path(bias, variables)
    with jax.enable_x64(True):
        wide = jax.tree.map(lambda a: np.asarray(a, np.float64), variables)
        (layers,), h, _ = walk.begin(contract.links(net, wide), x[0].astype(float))
        last, before = walk.through(layers, h)
        before = np.concatenate([before, last[None]])
    return variables.stages[0]["params"]["attention"], before


def test_a_layers_deviation_is_its_outputs(states):
    stacked, h = states
    heads = attention.heads_of(WIDTH)
    assert heads == 2
    for layer in (0, 1):  # whose residuals a float64 has, of X minus its mean
        params = jax.tree.map(lambda a, n=layer: a[n], stacked)
        for before, after in zip(h[layer], h[layer + 1], strict=True):
            r, x = rank_collapse.residual(before)
            rest, common = rank_collapse.deviation(params, heads, r, x[0])
            expected, mean = rank_collapse.residual(after)
            # Rounding of states of size 1, in float64.
            np.testing.assert_allclose(rest, expected, atol=1e-13)
            np.testing.assert_allclose(common, mean[0], atol=1e-13)


def test_a_small_residual_comes_out_as_its_cube(states):
    """R' of εR is ε³ R' as ε goes to 0: far below what X minus its mean could show."""
    stacked, h = states
    params = jax.tree.map(lambda a: a[0], stacked)
    r, x = rank_collapse.residual(h[0, 0])
    outputs = [
        rank_collapse.deviation(params, 2, scale * r, x[0])[0] / scale**3
        for scale in (1e-20, 1e-60)
    ]
    assert np.linalg.norm(outputs[0]) > 0
    # Float64's products; terms of higher order are ε² smaller.
    np.testing.assert_allclose(*outputs, rtol=1e-9, atol=1e-12)


def test_exact_residuals_are_those_of_the_states(states):
    stacked, h = states
    exact = rank_collapse.exact_residuals(stacked, 2, h[0, 0])
    r, _ = rank_collapse.residual(h[:, 0])
    shares = np.linalg.norm(r, axis=(1, 2)) / np.linalg.norm(h[:, 0], axis=(1, 2))
    # Of 1e-10 a state's rounding has left six digits.
    np.testing.assert_allclose(exact[:3], np.log10(shares[:3]), rtol=1e-6)


def test_a_residual_has_no_mean_and_its_share_no_unit():
    h = np.random.default_rng(0).standard_normal((5, 3)) + 2
    r, x = rank_collapse.residual(h)
    np.testing.assert_allclose(np.mean(r, axis=0), 0, atol=1e-15)
    whole = np.log10(np.linalg.norm(r) / np.linalg.norm(h))
    assert rank_collapse.relative(r, x[0]) == pytest.approx(whole, rel=1e-12)
    tiny = rank_collapse.relative(1e-250 * r, x[0])  # its square is no float64
    expected = np.log10(np.linalg.norm(r) / (5**0.5 * np.linalg.norm(x))) - 250
    assert tiny == pytest.approx(expected, rel=1e-12)


def test_powers_and_falls_of_known_residuals():
    cubes = -0.5 * 3.0 ** np.arange(6)
    assert rank_collapse.power(cubes) == pytest.approx(3.0)
    # What comes before the residual is small is left out.
    assert rank_collapse.power([-0.1, -0.2, *cubes[1:]]) == pytest.approx(3.0)
    assert np.isnan(rank_collapse.power([-0.1, -0.2, -0.3]))
    steady = -0.1 * np.arange(21)
    assert rank_collapse.fall(steady) == pytest.approx(-0.1)
    # Rounding below the floor is no sign that the fall has ended.
    ended = np.concatenate([-1.0 * np.arange(7), np.full(20, -6.0)])
    assert rank_collapse.fall(ended) == pytest.approx(-1.0)
    assert rank_collapse.fall([-0.3, -0.1, -0.1, -0.1, -0.1]) == 0


def test_skips_without_normalisers_halve_the_share_in_two_layers():
    """The mean is added to itself, turned: its square doubles, the residual stays."""
    cell = {"net": "attention, skips", "width": 64, "depth": 32, "batch": 4, "seeds": 3}
    (row,) = rank_collapse.measure([cell], None, None)
    # Half of log10 2, but for 64 units' noise.
    assert row.values["decades_per_layer"] == pytest.approx(-0.1505, rel=0.1)
