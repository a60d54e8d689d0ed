"""The generator and the discriminator: sizes, and that each is the other's mirror."""

import jax
import numpy as np
import pytest

from depthbench.research.architectures.contract import apply, init

KEY = jax.random.key(0)


def states(net, x):
    """The shape of each state, and of the outputs; nothing is computed."""

    def every(x):
        variables = init(KEY, net, x)
        h = net.stem.apply(variables.stem, x, True)
        found = [h]
        for stage, stacked in zip(net.stages, variables.stages, strict=True):
            for layer in range(stage.depth):
                one = jax.tree.map(lambda a, n=layer: a[n], stacked)
                found.append(h := stage.layer.apply(one, h, True))
        return found, apply(net, variables, x)[0]

    found, outputs = jax.eval_shape(every, x)
    return [h.shape[1:] for h in found], outputs.shape


def test_a_discriminator_goes_down_the_way_a_generator_came_up(network):
    noise, image = np.ones((2, 5), np.float32), np.ones((2, 8, 8, 1), np.float32)
    kwargs = {"depth": 4, "width": 16}
    up, made = states(network("generator", **kwargs, outputs=64), noise)
    down, score = states(network("discriminator", **kwargs, outputs=1), image)
    assert up == [(2, 2, 16), (4, 4, 8), (4, 4, 8), (8, 8, 4), (8, 8, 4)]
    assert down == [(8, 8, 4), (4, 4, 8), (4, 4, 8), (2, 2, 16), (2, 2, 16)]
    assert made == (2, 64) and score == (2, 1)


@pytest.mark.parametrize("numbers", [1, 2, 5, 49, 64, 75, 101])
def test_a_generator_gives_as_many_numbers_as_it_is_asked_for(numbers, network):
    net = network("generator", depth=2, width=8, outputs=numbers)
    assert states(net, np.ones((3, 7), np.float32))[1] == (3, numbers)


@pytest.mark.parametrize("sides", [(1, 1), (7, 5), (9, 16)])
def test_a_discriminator_reads_images_of_any_sides(sides, network):
    net = network("discriminator", depth=2, width=8, outputs=1)
    assert states(net, np.ones((3, *sides, 2), np.float32))[1] == (3, 1)
