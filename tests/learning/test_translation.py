"""Translation by nets: sentences as arrays, and search against its definition."""

import itertools

import jax
import numpy as np
import pytest

from depthbench.research.architectures import contract
from depthbench.research.datasets.translations import Pair
from depthbench.research.learning import fits, translation
from depthbench.research.learning.recipe import Recipe

PAIRS = [
    Pair(("a", "b", "c"), ("x", "y")),
    Pair(("b",), ("y", "x", "x")),
    Pair(("c", "a"), ("x",)),
    Pair(("a",), ()),
]
CODE = translation.coded(PAIRS, PAIRS)
ARRAYS = CODE.arrays(PAIRS)


def fresh(name="seq2seq_attention", **more):
    transformer = name.startswith("encoder")
    recipe = Recipe(
        architecture=name,
        normalizer="layer" if transformer else "none",
        **{"depth": 2, "width": 8, "activation": "tanh", **more},
    )
    return fits.fresh(translation.net(CODE, recipe))


def chances(fit, row, words):
    """log p of words [steps] as the next one at every step, given those before."""
    before = CODE.steps[0]
    x = np.zeros((1, sum(CODE.steps)), np.int32)
    x[0, :before] = ARRAYS["inputs"][row, :before]
    x[0, before:] = [translation.START, *words[:-1]]
    outputs = fit.outputs(x)[0]
    log = outputs - np.log(np.exp(outputs).sum(axis=-1, keepdims=True))
    return log[np.arange(len(words)), words]


@pytest.mark.parametrize("name", ("seq2seq_attention", "encoder_decoder"))
def test_a_net_reads_no_word_before_it_is_said(name):
    fit, before = fresh(name), CODE.steps[0]
    other = ARRAYS["inputs"].copy()
    other[:, before + 2] += 1  # the second word of the target, read at the third step
    one, two = fit.outputs(ARRAYS["inputs"]), fit.outputs(other)
    np.testing.assert_array_equal(one[:, :2], two[:, :2])
    assert not np.allclose(one[:, 2], two[:, 2], atol=1e-6)


def test_greedy_words_are_the_likeliest_at_each_step():
    fit = fresh()
    said = translation.said(fit, CODE, ARRAYS["inputs"])
    for row, words in enumerate(said):
        ended = np.flatnonzero(words == translation.END)
        for step in range(ended[0] + 1 if len(ended) else len(words)):
            every = [
                chances(fit, row, [*words[:step], w, *words[step + 1 :]])[step]
                for w in range(len(CODE.target))
            ]
            assert int(np.argmax(every)) == words[step]


def test_a_wide_search_finds_the_likeliest_of_all_sentences():
    """As many beginnings as there are: nothing is left out."""
    fit, count, steps = fresh(), len(CODE.target), CODE.steps[1]
    beam = count ** (steps - 1)
    said = translation.said(fit, CODE, ARRAYS["inputs"][:1], beam)[0]

    def score(words):
        ends = [n for n, w in enumerate(words) if w == translation.END]
        asked = ends[0] + 1 if ends else steps
        return chances(fit, 0, list(words))[:asked].sum()

    # With an end at every place, and words after it that count for nothing.
    ended = {
        (*w, translation.END, *[0] * (steps - n - 1))
        for n in range(steps)
        for w in itertools.product([w for w in range(count) if w != 2], repeat=n)
    }
    whole = itertools.product([w for w in range(count) if w != 2], repeat=steps)
    best = max([*ended, *whole], key=score)
    assert CODE.sentences(said[None]) == CODE.sentences(np.array([best]))


def test_exactly_is_what_greedy_search_says():
    net = fresh(width=16).net
    (fit,) = fits.train(net, ARRAYS, 60, (2e-2,), 1)
    said = CODE.sentences(translation.said(fit, CODE, ARRAYS["inputs"]))
    right = [words == pair.target for words, pair in zip(said, PAIRS, strict=True)]
    assert right == translation.exactly(fit, ARRAYS).tolist()
    assert sum(right) >= 3  # four sentences are soon known by heart


def test_reach_is_the_gradient_at_each_source_word():
    """By differences of the loss, in one direction of a word's vector."""
    fit = fresh()
    parts, word = fit.net.parts, ARRAYS["inputs"][0, 0]
    norms = translation.reach(fit.net, fit.variables, ARRAYS)
    assert norms.shape == (4, CODE.steps[0])

    def loss(kernel):
        stem = fit.variables.stem["params"]
        stem = {"params": {**stem, "source": {"kernel": kernel}}}
        changed = fit.variables._replace(stem=stem)
        x = ARRAYS["inputs"][:1]
        outputs = contract.apply(parts.net, changed, x, False)[0][0, 0]
        return -jax.nn.log_softmax(outputs)[ARRAYS["targets"][0, 0]]

    kernel = fit.variables.stem["params"]["source"]["kernel"]
    slope = jax.jit(jax.grad(loss))(kernel)[word]  # "a" stands there once
    assert np.linalg.norm(slope) == pytest.approx(norms[0, 0], rel=1e-4)


def test_a_word_without_a_number_is_never_said_exactly():
    """A net that gives "some unknown word" for it is not right."""
    code = translation.coded([Pair(("a",), ("x",))], [Pair(("a",), ("z",))])
    arrays = code.arrays([Pair(("a",), ("x",)), Pair(("a",), ("z",))])
    words = len(code.target)

    class Sure:
        def outputs(self, inputs):
            return np.eye(words)[np.maximum(arrays["targets"], 0)]

    assert translation.exactly(Sure(), arrays).tolist() == [True, False]
