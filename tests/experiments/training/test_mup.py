"""`mup`: the parametrisation beside the standard one, and slopes by width."""

import jax
import numpy as np
import pytest

from depthbench.experiments.training import mup_verdicts
from depthbench.research.architectures.contract import apply, divide, init
from depthbench.research.catalogues.optimizers import (
    BASE_WIDTH,
    OPTIMIZERS,
    transformation,
)


@pytest.fixture
def optax_as_it_is():
    """optax itself mixes dtypes, which a strict session refuses."""
    with jax.numpy_dtype_promotion("standard"):
        yield


def test_mup_is_the_standard_parametrisation_at_its_base_width(network):
    x = np.random.default_rng(0).standard_normal((4, 6)).astype(np.float32)
    one, other = (
        init(jax.random.key(1), network(name, width=BASE_WIDTH, depth=1), x)
        for name in ("mlp", "mlp_mup")
    )
    jax.tree.map(np.testing.assert_array_equal, one, other)


def test_steps_of_mup_are_shorter_by_width(network, optax_as_it_is):
    """Adam's first step is the gradient's sign, but for ε and float32's 1 − β₂."""
    net = network("mlp_mup", width=4 * BASE_WIDTH, depth=2)
    x = np.zeros((1, 6), np.float32)
    shapes = jax.eval_shape(lambda key: init(key, net, x), jax.random.key(0))
    params, _ = divide(jax.tree.map(lambda s: np.ones(s.shape, s.dtype), shapes))
    hyper = OPTIMIZERS["adam_mup"].hyper()
    rule = transformation(OPTIMIZERS["adam_mup"], hyper, (False,))
    step, _ = rule.update(params, rule.init(params), params)
    for tree, kernel in ((step.stem, 1), (step.stages[0], 1 / 4), (step.head, 1 / 4)):
        for path, leaf in jax.tree_util.tree_leaves_with_path(tree):
            expected = kernel if "kernel" in path[-1].key else 1
            np.testing.assert_allclose(leaf, expected, rtol=2e-5)


def test_outputs_of_mup_start_smaller_by_width(network):
    """√width smaller than in the standard parametrisation, of the same draws."""
    x = np.random.default_rng(0).standard_normal((4, 6)).astype(np.float32)
    nets = [network(name, width=4 * BASE_WIDTH, depth=1) for name in ("mlp", "mlp_mup")]
    plain, smaller = (apply(n, init(jax.random.key(1), n, x), x)[0] for n in nets)
    # The head's bias is 0 at the start; what is left is float32's rounding of sums.
    np.testing.assert_allclose(plain / 2, smaller, rtol=1e-4, atol=1e-6)


def lines(best, rates=(1, 2, 4, 8, 16)):
    """Rows of two widths whose ln loss is a parabola in log2 of the rate."""
    return [
        {
            **{"parametrization": "standard", "width": width, "seeds": 3},
            **{"status": "ok", "reason": "", "first_loss": 2.3, "diverged": 0.0},
            **{"learning_rate": rate, "train_loss_se": 0.0},
            "train_loss": float(np.exp((np.log2(rate) - at) ** 2)),
        }
        for width, at in best.items()
        for rate in rates
    ]


def test_the_shift_of_a_best_rate_is_known_to_less_than_the_grid():
    (shift,) = mup_verdicts.shifts(lines({32: 2.2, 64: 1.3}))
    assert shift["gap"] == pytest.approx(-0.9, rel=1e-9) and not shift["rate_at_edge"]
    assert mup_verdicts.shifts(lines({32: 2.2, 64: -3.0}))[0]["rate_at_edge"]
    x, error = mup_verdicts.least_at([0, 1, 2], [1.0, 0.0, 2.0], [0.1, 0.2, 0.3])
    draws = np.random.default_rng(0).standard_normal((3, 200_000))
    noisy = (
        np.array([[1.0], [0.0], [2.0]]) + 1e-3 * np.array([[0.1], [0.2], [0.3]]) * draws
    )
    low, middle, high = noisy
    vertices = 1 + (low - high) / (2 * (low - 2 * middle + high))
    assert x == pytest.approx(vertices.mean(), abs=1e-5)
    # A standard deviation of 200,000 draws is known to 0.2 %.
    assert 1e-3 * error == pytest.approx(vertices.std(), rel=0.01)


def test_a_best_rate_is_known_from_as_many_seeds_as_the_fewest_losses_beside_it():
    rows = lines({32: 2.2, 64: 1.3})
    rows[1] |= {"seeds": 5, "diverged": 0.6}  # beside the best of the narrower net
    rows[0] |= {"diverged": 1 / 3}  # too far away
    assert [shift["seeds"] for shift in mup_verdicts.shifts(rows)] == [2]
    assert [s["seeds"] for s in mup_verdicts.shifts(lines({32: 2.2, 64: 1.3}))] == [3]


def test_sizes_are_compared_at_a_rate_that_all_nets_have():
    rows = lines({32: 2.0, 64: 2.0}) + lines({64: 2.0}, rates=(32, 64, 128))
    assert mup_verdicts.middle_rate(rows) == 4


def test_the_slope_of_a_power_and_its_error():
    slope, error = mup_verdicts.slope([5, 6, 7], [1.0, 3.0, 5.0], [0.1, 0.1, 0.1])
    # Σ(x − x̄)² = 2; each of the two ends has weight ½.
    assert slope == pytest.approx(2.0, rel=1e-12)
    assert error == pytest.approx(0.1 * 0.5**0.5, rel=1e-12)
    assert mup_verdicts.slope([5, 6, 7], [4.0, 4.0, 4.0], [0, 0, 0])[
        0
    ] == pytest.approx(0)
