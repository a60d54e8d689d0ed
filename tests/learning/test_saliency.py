"""Saliency maps in closed form: of linear scores, of one pixel, of what is known."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from depthbench.experiments.scrutiny import saliency as study
from depthbench.experiments.scrutiny import saliency_maps
from depthbench.research.architectures.dense import guided
from depthbench.research.datasets import planted
from depthbench.research.learning import fits, saliency
from depthbench.research.learning.recipe import Recipe
from depthbench.research.learning.supervised import Task

KEY = jax.random.key(0)
X = jax.random.normal(jax.random.key(1), (5, 8, 8, 1))
WEIGHTS = jax.random.normal(jax.random.key(2), (1, 8, 8, 1))


def linear(x):
    return jnp.sum(x * WEIGHTS, (1, 2, 3)) + 3.0


def curved(x):
    return jnp.sum(jnp.tanh(x * WEIGHTS), (1, 2, 3)) ** 2


def net(depth=3, **more):
    recipe = Recipe(architecture="mlp", depth=depth, width=8, **more)
    return fits.Net(recipe, Task((8, 8, 1), 4))


@pytest.mark.parametrize("name", ["gradient_input", "integrated"])
def test_of_a_linear_score_a_map_is_what_each_pixel_adds(name):
    made = saliency.METHODS[name].map(linear, X, KEY)
    # Sums of 64 float32 terms over 32 steps: some roundings of 6e-8 each.
    np.testing.assert_allclose(made, X * WEIGHTS, rtol=1e-5, atol=1e-6)


def test_gradients_of_a_linear_score_are_its_weights():
    for name in ("gradient", "smooth"):
        made = saliency.METHODS[name].map(linear, X, KEY)
        np.testing.assert_allclose(made[2], WEIGHTS[0], rtol=1e-5, atol=1e-6)


def test_integrated_gradients_are_complete():
    made = saliency.integrated(curved, X)
    whole = curved(X) - curved(jnp.zeros_like(X))
    # The midpoint rule of 32 steps errs by f''' / 24 / 32², some 1e-4 of a bounded curve.
    np.testing.assert_allclose(made.sum((1, 2, 3)), whole, rtol=3e-3, atol=3e-3)
    plain = saliency.gradient_input(curved, X).sum((1, 2, 3))
    assert np.max(np.abs(plain - whole)) > 1  # which gradient × input is not


def test_smoothing_averages_a_gradient_that_changes_its_sign():
    score = lambda x: jnp.sum(jnp.abs(x), (1, 2, 3))
    x = jnp.full((1, 8, 8, 1), 1e-3).at[0, 0, 0, 0].set(10.0)
    rough = saliency.gradient(score, x)
    made = saliency.smooth(score, x, KEY)
    assert np.all(np.asarray(rough) == 1)
    assert float(made[0, 0, 0, 0]) == 1  # noise of 1.5 leaves 10 above 0
    # The other pixels are as often below 0: 63 means of 25 signs have deviation 0.2.
    assert abs(float(made[0].mean())) < 0.15


def test_occlusion_falls_where_the_score_looks_and_nowhere_else():
    score = lambda x: x[:, 0, 0, 0]
    made = np.asarray(saliency.occlusion(score, jnp.ones((1, 8, 8, 1))))[0, ..., 0]
    # Windows of 2 × 2 that move by 1: one covers the corner, and its three neighbours.
    assert made[0, 0] == 1 and made[0, 1] == 0.5 and made[1, 1] == 0.25
    assert np.count_nonzero(made) == 4


def test_guided_backpropagation_stops_what_is_negative():
    weights = jnp.array([[2.0, -1.0], [3.0, 1.0]])

    def score(phi, x):
        return jnp.sum(phi(x @ weights) * jnp.array([-1.0, 1.0]))

    x = jnp.array([1.0, 2.0])  # both units are on: [8, 1]
    plain = jax.grad(lambda x: score(jax.nn.relu, x))(x)
    led = jax.grad(lambda x: score(guided.guided(jax.nn.relu), x))(x)
    assert plain.tolist() == [-3.0, -2.0]
    assert led.tolist() == [-1.0, 1.0]  # the first unit's −1 is stopped


def test_a_guided_net_gives_the_same_and_maps_otherwise():
    plain = net()
    run = fits.fresh(plain)
    x, y = np.asarray(X), np.array([0, 1, 2, 3, 0])
    other = fits.FittedNet(saliency.guided_net(plain), run.variables)
    np.testing.assert_array_equal(other.outputs(x), run.outputs(x))
    made = saliency.mapper(plain, ("gradient", "guided"))(run.variables, x, y)
    assert not np.allclose(made["gradient"], made["guided"])
    assert made["gradient"].shape == x.shape


def test_maps_are_made_in_parts_without_a_seam():
    plain = net()
    run = fits.fresh(plain)
    x = np.random.RandomState(0).standard_normal((130, 8, 8, 1)).astype(np.float32)
    y = np.arange(130) % 4
    maps = saliency.mapper(plain, ("gradient",))
    whole = maps(run.variables, x, y)["gradient"]
    assert whole.shape == x.shape
    alone = maps(run.variables, x[100:101], y[100:101])["gradient"]
    np.testing.assert_array_equal(whole[100:101], alone)


@pytest.mark.parametrize("layers, changed", [(-1, 0), (0, 1), (2, 2), (4, 3)])
def test_weights_are_made_random_from_the_top(layers, changed):
    one, other = (fits.fresh(net(), seed).variables for seed in (0, 1))
    mixed = saliency.randomised(one, other, layers)
    same = lambda a, b: all(
        np.array_equal(x, y)
        for x, y in zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True)
    )
    parts = [same(mixed.head, one.head), same(mixed.stages, one.stages)]
    parts.append(same(mixed.stem, one.stem))
    assert parts == [number >= changed for number in range(3)]
    if layers == 2:  # the top two of three layers
        kernel = lambda variables: jax.tree.leaves(variables.stages)[1]
        assert np.array_equal(kernel(mixed)[0], kernel(one)[0])
        assert np.array_equal(kernel(mixed)[1:], kernel(other)[1:])


def test_what_an_output_is_largest_for_is_no_longer_than_it_began():
    run = fits.fresh(net())
    x = np.asarray(X[:4])
    found = saliency.maximised(run.net, run.variables, x)
    length = lambda a: np.sqrt((a**2).sum((1, 2, 3)))
    np.testing.assert_allclose(length(found), length(x), rtol=1e-5)  # float32
    diagonal = lambda images: np.diag(run.outputs(images))
    assert np.all(diagonal(found) > diagonal(x))


def test_the_pointing_game_by_hand():
    cells = np.zeros((3, 4, 2))
    cells[0, 1] = [3.0, 0.0]  # points to cell 1
    cells[0, 2] = [1.0, 0.0]
    cells[1, 3] = [1.0, 1.0]
    shares = saliency.in_place(cells, np.array([1, 0, 0]))  # the last is all zero
    assert shares["points"].tolist() == [True, False, False]
    assert shares["mass"].tolist() == [0.75, 0.0, 0.0]


def test_planted_pictures_hold_each_digit_once_and_whole():
    random = np.random.RandomState(0)
    x = random.standard_normal((20, 8, 8, 1)).astype(np.float32)
    made = planted.planted(x, np.arange(20), seed=3, copies=5)
    cells = made.cells(made.x[..., 0])
    found = cells[np.arange(100), made.place]
    np.testing.assert_array_equal(found, x[made.y].reshape(100, 64))
    # Elsewhere are shuffled images: pixels of one image each, in another order.
    kinds = {tuple(np.sort(image.ravel())) for image in x}
    beside = cells[np.arange(100), (made.place + 1) % 4]
    assert all(tuple(np.sort(cell)) in kinds for cell in beside)
    assert not any((cell == image.ravel()).all() for cell in beside for image in x)
    assert len(set(made.place)) == 4


def test_the_study_names_every_method_but_the_baseline():
    assert {*study.METHODS, "occlusion"} == set(saliency.METHODS)
    assert saliency_maps.levels(1) == [-1, 0, 1, 2] and saliency_maps.levels(16) == [
        -1,
        0,
        4,
        8,
        12,
        16,
        17,
    ]
