"""What is drawn, symbol by symbol, against the chances that it is drawn from."""

import jax.numpy as jnp
import numpy as np

from depthbench.research.learning import continuations

CHANCES = np.array([0.5, 0.3, 0.2])


def ignorant(variables, windows):
    """Logits of the same chances at every place."""
    return jnp.broadcast_to(variables, (*windows.shape, 3))


def counting(variables, windows):
    """Surely one more than the last symbol, of three."""
    right = jnp.arange(3)[None, None] == (windows[..., None] + variables) % 3
    return 20.0 * right.astype(jnp.float32)


def shares(heat):
    windows = np.zeros((400, 2), int)
    drawn = continuations.drawn(
        ignorant, jnp.log(CHANCES), windows, 25, np.full(400, heat)
    )
    return np.bincount(drawn.ravel(), minlength=3) / drawn.size


def test_symbols_come_as_often_as_their_chances():
    # Of 10,000 draws three standard errors of a share are 0.015 at most.
    np.testing.assert_allclose(shares(1.0), CHANCES, atol=0.015)
    cooler = CHANCES**2 / np.sum(CHANCES**2)
    np.testing.assert_allclose(shares(0.5), cooler, atol=0.015)


def test_each_symbol_is_read_for_the_next():
    windows = np.array([[0, 0, 1], [2, 1, 0]])
    drawn = continuations.drawn(counting, 1, windows, 5, np.full(2, 0.1))
    assert drawn.tolist() == [[2, 0, 1, 2, 0], [1, 2, 0, 1, 2]]
