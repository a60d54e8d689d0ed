"""`mup`: the parametrisation beside the standard one, and slopes by width."""

import jax
import numpy as np
import pytest

from experiments.training import mup_verdicts
from research.architectures.contract import apply, divide, init
from research.catalogues.optimizers import BASE_WIDTH, OPTIMIZERS, transformation


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


def test_the_slope_of_a_power_and_its_error():
    slope, error = mup_verdicts.slope([5, 6, 7], [1.0, 3.0, 5.0], [0.1, 0.1, 0.1])
    # Σ(x − x̄)² = 2; each of the two ends has weight ½.
    assert slope == pytest.approx(2.0, rel=1e-12)
    assert error == pytest.approx(0.1 * 0.5**0.5, rel=1e-12)
    assert mup_verdicts.slope([5, 6, 7], [4.0, 4.0, 4.0], [0, 0, 0])[
        0
    ] == pytest.approx(0)
