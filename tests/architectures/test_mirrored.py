"""An autoencoder around a code: against principal components, and as a system."""

import jax
import numpy as np
import pytest
import sklearn.decomposition

from depthbench.research.architectures import contract
from depthbench.research.architectures.autoencoder import mirrored
from depthbench.research.learning import feed, fits, stimuli, supervised
from depthbench.research.learning.recipe import Recipe
from tests.learning.resumption import assert_resumes

NUMBERS, CODE = 6, 2


@pytest.fixture(scope="module")
def x():
    """[200, 6] with six different variances."""
    random = np.random.RandomState(0)
    turn, _ = np.linalg.qr(random.normal(size=(NUMBERS, NUMBERS)))
    scale = [3.0, 2.0, 1.0, 0.7, 0.5, 0.3]
    x = (random.normal(size=(200, NUMBERS)) * scale) @ turn
    return (x - x.mean(axis=0)).astype(np.float32)


def net_of(activation="relu", architecture="mlp", depth=2):
    recipe = Recipe(
        architecture=architecture,
        activation=activation,
        depth=depth,
        width=8,
        batch=200,
        initializer="glorot_normal",
        schedule="cosine",
    )
    change = mirrored.around(CODE)
    task = supervised.Task((NUMBERS,), NUMBERS, "reconstruction", change)
    return fits.Net(recipe, task)


@pytest.fixture(scope="module")
def linear(x):
    """A linear autoencoder, trained."""
    net = net_of("linear", depth=1)
    return fits.train(net, {"inputs": x}, steps=1500, rates=[0.01], seeds=1)[0]


def test_a_linear_autoencoder_finds_the_principal_components(linear, x):
    """Baldi & Hornik 1989, Neural Networks 2:53: no other minimum is left to it."""
    components = sklearn.decomposition.PCA(CODE).fit(x)
    best = components.inverse_transform(components.transform(x))
    least = np.mean((best - x) ** 2)
    error = np.mean((linear.outputs(x) - x) ** 2)
    # Batches are drawn with replacement, so the last steps leave some per cent.
    assert least <= error * (1 + 1e-5) and error < 1.05 * least


def test_the_stimulus_of_a_linear_unit_is_its_weights(linear, x):
    kernel = np.asarray(jax.tree.leaves(linear.variables.stem["params"])[-1])
    assert kernel.shape == (NUMBERS, 8)
    places = [(0, 3, 1), (0, 5, -1)]
    got = stimuli.optimal(linear, places, x[:2], np.eye(NUMBERS))
    for one, start, (_, unit, sign) in zip(got, x[:2], places, strict=True):
        wanted = sign * kernel[:, unit] / np.linalg.norm(kernel[:, unit])
        assert np.linalg.norm(one) == pytest.approx(np.linalg.norm(start), rel=1e-4)
        # Steps shorten to nothing; the last ones leave it within a degree or two.
        assert one @ wanted > 0.999 * np.linalg.norm(one)
    within = stimuli.optimal(linear, places, x[:2], np.eye(NUMBERS)[:2])
    assert np.all(np.abs(within[:, 2:]) < 1e-6) and np.any(np.abs(within[:, :2]) > 0.1)


@pytest.mark.parametrize("architecture", ["mlp", "residual_mlp_scaled"])
def test_the_code_is_the_state_after_the_encoder(x, architecture):
    net = net_of(architecture=architecture, depth=2)
    fit = fits.fresh(net)
    states = fit.states(x)
    assert [state.shape[1] for state in states] == [8, 8, 8, CODE, 8, 8, 8]
    assert fit.outputs(x).shape == x.shape
    first, last = (jax.tree.leaves(fit.variables.stages[n])[-1] for n in (0, 3))
    assert first.shape == last.shape and not np.allclose(first, last)
    assert np.linalg.matrix_rank(states[4] - states[4].mean(axis=0), tol=1e-4) == CODE


def test_training_resumes(x, tmp_path):
    net = net_of()
    hyper = fits.numbers(net, 1e-2, 4)
    assert_resumes(net.system, feed.drawn(200), {"inputs": x}, hyper, tmp_path)


def test_other_nets_have_no_mirror():
    other = contract.Architecture("unet", None, (), None)
    with pytest.raises(ValueError, match="unet is no net of equal dense layers"):
        mirrored.around(2)(other)
