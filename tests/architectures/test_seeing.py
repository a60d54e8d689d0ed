"""Nets of cells and of pairs, and the U-Net without skips: what they compute."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from depthbench.research.architectures import ARCHITECTURES
from depthbench.research.architectures.contract import Settings, Weights, apply, init
from depthbench.research.architectures.convolutional import pooled, relation
from depthbench.research.catalogues.initializers import DRAWS
from depthbench.research.catalogues.normalizers import NORMALIZERS

WEIGHTS = Weights(DRAWS["normal"], lambda fan_in, fan_out: (2**0.5, 0.1))


def built(name, depth=2, every_step=False, width=6):
    how = (jax.nn.relu, WEIGHTS, NORMALIZERS["none"])
    settings = Settings(width, depth, *how, 5, depth, every_step)
    return ARCHITECTURES[name].build(settings)


def images(side=16, count=3):
    return jax.random.normal(jax.random.key(1), (count, side, side, 3))


@pytest.mark.parametrize("name", ("detector", "detector_residual"))
def test_an_images_outputs_are_the_mean_of_its_cells(name):
    x = images()
    variables = init(jax.random.key(0), built(name), x)
    cells = apply(built(name, every_step=True), variables, x)[0]
    assert cells.shape == (3, 16, 5)  # 4 × 4 cells of 4 × 4 pixels
    whole = apply(built(name), variables, x)[0]
    np.testing.assert_allclose(whole, cells.mean(1), atol=1e-5)  # float32, sizes of 1


def test_a_cell_sees_what_is_near_it():
    """Two layers of 3 × 3 on the grid: the first cell sees nothing of the far corner."""
    net, x = built("detector", every_step=True), images(32)
    variables = init(jax.random.key(0), net, x)
    far = x.at[:, 24:, 24:].set(0.0)
    before, after = (apply(net, variables, one)[0] for one in (x, far))
    np.testing.assert_array_equal(before[:, 0], after[:, 0])
    assert jnp.abs(before[:, -1] - after[:, -1]).min() > 1e-6


def test_the_relation_net_is_f_of_the_mean_over_all_pairs():
    """Pair by pair, with the first layer's two maps as one of objects side by side."""
    net, x = built("relation_net", depth=1), images(8, 2)
    variables = jax.device_get(init(jax.random.key(0), net, x))
    stem = variables.stem["params"]
    given = {"params": stem["objects"]}
    objects = np.asarray(net.stem.objects.apply(given, x))
    count = objects.shape[1]
    assert objects.shape == (2, 16, 8)
    kernel = (
        np.concatenate([stem[name]["kernel"] for name in ("one", "other")]) / 2**0.5
    )
    bias = (stem["one"]["bias"] + stem["other"]["bias"]) / 2**0.5
    layer = jax.tree.map(lambda a: a[0], variables.stages[0])["params"]["Dense_0"]
    pairs = []
    for one in range(count):
        for other in range(count):
            both = np.concatenate([objects[:, one], objects[:, other]], axis=-1)
            z = both @ kernel + bias
            pairs.append(np.maximum(z, 0) @ layer["kernel"] + layer["bias"])
    mean = np.mean(np.maximum(pairs, 0), axis=0)
    head = variables.head["params"]
    z = mean @ head["Dense_0"]["kernel"] + head["Dense_0"]["bias"]
    last = head["Head_0"]["Dense_0"]
    expected = np.maximum(z, 0) @ last["kernel"] + last["bias"]
    np.testing.assert_allclose(apply(net, variables, x)[0], expected, rtol=1e-4)


@pytest.mark.parametrize(("side", "cells"), ((8, 16), (24, 16), (28, 16), (2, 1)))
def test_there_are_at_most_sixteen_objects(side, cells):
    objects = built("relation_net").stem.objects
    x = images(side)
    made = jax.eval_shape(
        lambda x: objects.init_with_output(jax.random.key(0), x)[0], x
    )
    assert made.shape == (3, cells, 8)


@pytest.mark.parametrize("name", ("relation_net", "relation_net_without"))
def test_objects_that_are_known_are_read_as_they_are(name):
    """Only with pairs does their order not matter."""
    net, x = built(name), jax.random.normal(jax.random.key(1), (3, 4, 5))
    variables = init(jax.random.key(0), net, x)
    assert "objects" not in variables.stem["params"]
    one, other = (
        apply(net, variables, x[:, order])[0] for order in ([0, 1, 2, 3], [2, 0, 3, 1])
    )
    # float32, sizes of 1
    assert np.allclose(one, other, atol=1e-5) == (name == "relation_net")


def test_places_go_from_corner_to_corner():
    places = relation.places(3, 1)
    assert places[:, 0, 0].tolist() == [-1, 0, 1] and not places[..., 1].any()


@pytest.mark.parametrize("side", (16, 13))
def test_without_skips_all_comes_through_the_bottom(side):
    x = images(side, 2)
    for name, through in (("unet", True), ("unet_plain", False)):
        net = built(name, depth=8, width=4)
        variables = init(jax.random.key(0), net, x)
        blind = variables._replace(
            stages=tuple(
                jax.tree.map(jnp.zeros_like, stage) if place == 1 else stage
                for place, stage in enumerate(variables.stages)
            )
        )
        outputs = apply(net, blind, x)[0]
        assert outputs.shape == (2, side, side, 5)
        inner = outputs[:, 4:-4, 4:-4]  # a border of zeros is seen by all nets
        assert (float(jnp.std(inner)) > 1e-3) == through


def test_a_closer_nets_pooled_channels_do_not_say_where_something_was():
    """A pixel far from borders, and the same two further on: a cell of 2 × 2 later."""
    net = pooled.closer(built("detector_residual", depth=1))
    x = np.zeros((2, 16, 16, 3), np.float32)
    x[0, 6, 6], x[1, 8, 8] = 1.0, 1.0
    variables = init(jax.random.key(0), net, x)
    assert apply(net, variables, x)[0].shape == (2, 5)
    kernel = next(a for a in jax.tree.leaves(variables.head) if a.ndim == 2)
    assert kernel.shape == (2 * 6 + 8 * 8 * 6, 5)  # mean, largest, 8 × 8 cells
    blind = jax.tree.map(
        lambda a: a.at[12:].set(0) if a.ndim == 2 else a, variables.head
    )
    one, other = apply(net, variables._replace(head=blind), x)[0]
    np.testing.assert_allclose(
        one, other, rtol=1e-4, atol=1e-5
    )  # sums in another order
    seen = apply(net, variables, x)[0]
    assert np.abs(seen[0] - seen[1]).max() > 1e-2
