"""Chorales for nets: what a note is expected by, and what is drawn."""

import jax
import jax.numpy as jnp
import numpy as np

from depthbench.research.datasets.chorales import TOKENS, VOICES
from depthbench.research.learning import fits, music
from depthbench.research.learning.recipe import Recipe
from depthbench.research.learning.supervised import Task

TIME = 8
TOLD = np.random.RandomState(0).randint(1, TOKENS, (3, TIME)).astype(np.int32)


def net(architecture="music_transformer", time=TIME):
    recipe = Recipe(architecture=architecture, depth=2, width=8, normalizer="layer")
    return fits.Net(recipe, Task((time, music.INPUTS), TOKENS, "tokens"))


def test_a_net_is_told_the_note_before_and_whose_turn_it_is():
    batch = music.batch_of(jnp.asarray(TOLD))
    before = np.asarray(batch["inputs"])[:, :, :TOKENS].argmax(axis=2)
    assert np.array_equal(before[:, 1:], TOLD[:, :-1]) and not before[:, 0].any()
    turn = np.asarray(batch["inputs"])[:, :, TOKENS:].argmax(axis=2)
    assert np.array_equal(turn[0], np.arange(TIME) % VOICES)


def test_no_note_is_expected_by_itself_or_by_later_ones():
    fit = fits.fresh(net())
    other = TOLD.copy()
    other[:, 5:] = other[:, 5:] % (TOKENS - 1) + 1
    outputs = [
        fit.outputs(np.asarray(music.batch_of(t)["inputs"])) for t in (TOLD, other)
    ]
    np.testing.assert_array_equal(outputs[0][:, :6], outputs[1][:, :6])
    assert not np.allclose(outputs[0][:, 6:], outputs[1][:, 6:])


def test_nats_are_the_mean_of_minus_log_p():
    fit = fits.fresh(net())
    outputs = fit.outputs(np.asarray(music.batch_of(TOLD)["inputs"])).astype(np.float64)
    p = np.exp(outputs) / np.exp(outputs).sum(axis=-1, keepdims=True)
    wanted = -np.mean(np.log(np.take_along_axis(p, TOLD[:, :, None], axis=2)))
    assert np.isclose(music.nats(fit, TOLD), wanted, rtol=1e-5)  # float32


def test_what_is_drawn_goes_on_from_the_start_and_is_what_the_net_gives():
    """A net that is sure draws its likeliest, also where its window has moved on."""
    fit = fits.fresh(net("stacked_gru"))
    sure = jax.tree.map(lambda a: 60.0 * a, fit.variables.head)
    fit = fit._replace(variables=fit.variables._replace(head=sure))
    made = music.sampled(fit, TOLD[:, :VOICES], chords=5, seed=0)
    assert made.shape == (3, 5 * VOICES)
    assert np.array_equal(made[:, :VOICES], TOLD[:, :VOICES])
    assert made.min() >= 1 and made.max() < TOKENS
    right = []
    for place in range(VOICES, made.shape[1]):
        start = max(0, -(-(place - TIME + 1) // VOICES) * VOICES)
        window = np.zeros((3, TIME), np.int32)
        window[:, : place - start] = made[:, start:place]
        given = fit.outputs(np.asarray(music.batch_of(window)["inputs"]))
        likeliest = given[:, place - start, 1:].argmax(axis=1) + 1
        right.append(made[:, place] == likeliest)
    assert np.mean(right) > 0.7  # the draw is random where two are as likely
    again = music.sampled(fit, TOLD[:, :VOICES], chords=5, seed=0)
    assert np.array_equal(made, again)
