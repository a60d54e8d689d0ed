"""Windows of texts, and what of written text is sound."""

from types import SimpleNamespace

import numpy as np
import pytest

from depthbench.experiments.sequences import char_model, texts
from depthbench.research.datasets import corpus, find, sequences
from depthbench.research.report import published
from depthbench.research.study.errors import Refusal


def test_windows_lie_side_by_side_and_parts_apart():
    train, _, symbols = texts.every("stdlib")
    assert symbols == 97 and train.shape[1] == 1 + texts.LONG
    # The two halves of a stored window, and where the first ends the second begins.
    stored = find("stdlib").split().train.x[0]
    assert train[0, :-1].tolist() == stored[: texts.LONG].tolist()
    assert train[0, -1] == train[1, 0] == stored[texts.LONG]
    parts = texts.parts("stdlib", 64)
    places = [
        [np.flatnonzero((train == window).all(axis=1))[0] for window in part]
        for part in (parts.train, parts.valid[:1])
    ]
    edge = places[1][0]
    assert len(train) * 4 // 5 <= edge and max(places[0]) < edge
    # A module begins there: it does not go on with the last symbol of what is learned.
    assert train[edge, 0] != train[edge - 1, -1]


def test_a_text_without_an_end_is_cut_at_four_fifths():
    windows = np.zeros((100, 4), int)
    assert texts._edge(windows) == 80
    windows[85:, 0] = 1
    assert texts._edge(windows) == 85


def test_the_grammar_allows_its_own_walks_and_few_others():
    train = texts.parts("grammar", 64).train
    before, after = train[:20, :32], train[:20, 32:]
    assert texts.allowed(before, after) == 1
    other = np.random.RandomState(0).randint(0, 5, after.shape)
    # Two of five symbols are allowed: three standard errors of 660 draws are 0.06.
    assert texts.allowed(before, other) == pytest.approx(0.4, abs=0.06)


def test_the_graphs_own_surprise_is_its_entropy_on_average():
    walks = texts.parts("grammar", 400).test
    each = texts.surprise(walks)
    assert set(np.round(each.ravel(), 9)) == set(np.round(-np.log([0.75, 0.25]), 9))
    # 0.476 nats is the deviation of a symbol: four standard errors.
    assert each.mean() == pytest.approx(
        sequences.GRAMMAR_ENTROPY, abs=4 * 0.476 / np.sqrt(each.size)
    )
    with pytest.raises(KeyError):
        texts.surprise(np.full((1, 3), sequences.TOKENS.index("V")))


def test_words_that_were_read_are_known():
    text = " of return and zzqx return x"
    tokens = corpus.encoded(text)
    # Of any version's library so many windows have both words, and not the third.
    known = texts.words(400)
    assert {"return", "and"} <= known and "zzqx" not in known
    # "of" is short, and "x" may be cut.
    assert texts.known([tokens], 400) == 0.75
    assert texts.written(tokens) == text


def test_more_windows_than_there_are_is_one_line():
    with pytest.raises(Refusal, match="grammar has 16000 to learn from"):
        texts.refuse_more([{"dataset": "grammar", "windows": 20_000}])


def test_walks_are_texts_of_their_own_and_windows_of_a_module_are_one():
    """Though many a walk begins with the symbol that the one before ended with."""
    assert len(np.unique(texts.parts("grammar", 64).of_test)) == texts.TEST
    assert texts._texts(np.array([[0, 1], [1, 2], [3, 2]])).tolist() == [0, 0, 1]


def test_a_symbol_is_judged_after_all_that_counts_read():
    """The first of them is what so many symbols precede."""
    windows = np.arange(2 * (texts.LONG + 1)).reshape(2, -1) % 7

    def outputs(x):
        return np.log(0.01 + np.eye(7)[np.argmax(x, axis=-1)])

    run = SimpleNamespace(
        outputs=outputs, net=SimpleNamespace(task=SimpleNamespace(outputs=7))
    )
    lost = char_model.nats(run, windows)
    assert lost.shape == (2, texts.LONG + 1 - texts.FIRST)
    assert max(char_model.COLUMNS) < texts.FIRST


def test_what_is_sound_in_a_text_of_ones_own_is_not_known():
    tokens = np.zeros((2, 8), int)
    assert char_model.soundness("npz:own.npz", 64, tokens, tokens) is None


def test_a_grammars_entropy_is_said_beside_a_text():
    """And not after a sentence that is of the grammar already."""
    rows = list(published.made("char_model").rows)
    assert "On the grammar" in char_model.headline(rows).answer
    own = [row for row in rows if row["dataset"] == "grammar"]
    lost = [{**row, "status": "diverged"} for row in rows if row not in own]
    for fewer in (own, [*own, *lost], [*own[:-1], {**own[-1], "status": "diverged"}]):
        assert "On the grammar" not in char_model.headline(fewer).answer
