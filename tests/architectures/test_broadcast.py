"""The broadcast decoder: a pixel is a function of its place and the vector."""

import jax
import numpy as np
import pytest

from depthbench.research.architectures.contract import apply, init

KEY = jax.random.key(0)


def drawn(net, x):
    return np.asarray(apply(net, init(KEY, net, x), x)[0])


@pytest.mark.parametrize("numbers", [1, 2, 49, 75, 101])
def test_it_gives_as_many_numbers_as_it_is_asked_for(numbers, network):
    net = network("broadcast_decoder", depth=2, width=8, outputs=numbers)
    made = drawn(net, np.ones((3, 2, 7), np.float32))
    assert made.shape == (3, numbers) and np.isfinite(made).all()


def test_places_differ_as_their_coordinates_do(network):
    """On a canvas of 5 × 5 the one of 3 × 3 is every second place: the same colours."""
    x = np.random.RandomState(0).randn(2, 6).astype(np.float32)
    nets = [network("broadcast_decoder", depth=3, width=8, outputs=n) for n in (9, 25)]
    variables = init(KEY, nets[0], x)  # of no shape that knows the canvas
    few, many = (np.asarray(apply(net, variables, x)[0]) for net in nets)
    few, many = few.reshape(2, 3, 3), many.reshape(2, 5, 5)
    # float32 sums of 8 numbers, in whichever order.
    np.testing.assert_allclose(many[:, ::2, ::2], few, rtol=1e-4, atol=1e-5)
    assert np.ptp(few.reshape(2, -1), axis=1).min() > 1e-3
    assert np.abs(few[0] - few[1]).max() > 1e-3
