"""Captioners: greedy words are those of the true net, word by word; runs resume."""

import numpy as np

from depthbench.research.architectures.convolutional import circular
from depthbench.research.datasets import captions
from depthbench.research.learning import captioning, feed, players
from depthbench.research.learning.fits import Net
from depthbench.research.learning.recipe import Recipe
from depthbench.research.learning.supervised import Task
from tests.learning import resumption

WORDS, UNITS = len(captions.WORDS), 8
PAIR = captioning.Captioner(
    Net(
        Recipe(architecture="detector_residual", depth=1, width=4, batch=8),
        Task((16, 16, 3), UNITS, "numbers", circular.of_places),
    ),
    Net(
        Recipe(
            architecture="stacked_gru",
            depth=1,
            width=UNITS,
            activation="tanh",
            initializer="glorot_normal",
            normalizer="layer",
            batch=8,
        ),
        Task((captions.LENGTH, WORDS + UNITS), WORDS, "tokens"),
    ),
    WORDS,
)
MADE = captions.captioned(32, seed=2)
DATA = {"inputs": MADE.x, "targets": MADE.words}


def test_each_word_is_the_likeliest_after_those_that_were_said():
    ((run,),) = captioning.train(PAIR, DATA, 20, (1e-2,), [0])
    assert run.log["loss"][-1] < run.log["loss"][0]
    said = run.sentences(MADE.x)
    read = run.reader.outputs(MADE.x)
    before = np.concatenate([np.full((32, 1), captions.START), said[:, :-1]], axis=1)
    outputs = run.writer.outputs(np.asarray(captioning.given(read, before, WORDS)))
    np.testing.assert_array_equal(said, outputs.argmax(axis=-1))
    assert len(np.unique(said)) > 1


def test_two_nets_go_on_from_the_disk_bit_for_bit(tmp_path):
    hyper = players.hyper(PAIR.players, 1e-2, 4)
    resumption.assert_resumes(PAIR.system, feed.drawn(8), DATA, hyper, tmp_path)


def test_the_fresh_reader_has_a_gradient_and_a_step_a_cost():
    before = captioning.beforehand(PAIR, DATA, 2)
    assert np.isfinite([before.first_gradient, before.decades]).all()
    assert len(before.firsts) == 2 and before.step_mflop > 0


def test_the_word_before_weighs_as_much_as_what_was_read():
    """Each of its numbers has a mean square of 1 over words, which all are as likely."""
    every = np.arange(WORDS)[:, None]
    asked = np.asarray(captioning.given(np.zeros((WORDS, UNITS)), every, WORDS))
    np.testing.assert_allclose(np.mean(asked[..., :WORDS] ** 2, axis=0), 1, rtol=1e-6)
    assert not asked[..., WORDS:].any()
