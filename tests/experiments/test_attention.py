"""Corpora of the translators' study: what is left out, and who is the nearest rival."""

import pytest

from depthbench.experiments.sequences import attention, translated
from depthbench.research.catalogues.catalogue import DataError
from depthbench.research.datasets import translations
from depthbench.research.datasets.translations import Pair


def cells():
    return [
        {"corpus": corpus, "depth": depth, "language": "fr"}
        for corpus in ("numbers", "plone")
        for depth in (2, 4)
    ]


def test_texts_that_are_not_installed_are_left_out_with_a_line(monkeypatch):
    def none(package, language):
        raise DataError(f"{package}: pip install plone.app.locales")

    monkeypatch.setattr(translations, "files", none)
    kept, lines = attention.installed(cells(), set())
    assert kept == cells()[:2]
    assert lines == ["left out: plone: pip install plone.app.locales"]
    assert attention.installed(cells(), {"corpus"}) == (cells(), [])


def test_deep_nets_on_software_are_for_those_who_ask(monkeypatch):
    monkeypatch.setattr(translations, "files", lambda package, language: ["one.po"])
    assert attention.installed(cells(), set()) == (cells()[:3], [])
    assert attention.installed(cells(), {"depth"}) == (cells(), [])


def test_the_nearest_sentence_shares_most_words():
    known = [Pair(("open", "file"), ("1",)), Pair(("open", "a", "new", "file"), ("2",))]
    assert translated.nearest(known, ("open", "new", "file")) == ("2",)
    assert translated.nearest(known, ("file",)) == ("1",)


@pytest.mark.parametrize("corpus", ("numbers", "plone"))
def test_first_sentences_are_of_numbers_where_there_are_any(corpus):
    row = {
        **{"corpus": corpus, "language": "fr", "architecture": "seq2seq", "depth": 2},
        **{"status": "ok", "reason": "", "seeds": 3, "valid": 0.5, "long": 0.4},
        **{"score": 0.5, "strong": 0.4, "trivial": 0.1, "gap": 0.1, "gap_se": 0.01},
        **{"bleu": 50.0, "strong_bleu": 40.0},
    }
    other = {**row, "corpus": "plone", "score": 0.1, "valid": 0.9, "strong": 0.2}
    answer, _ = attention.STUDY.headline(
        [row, other] if corpus == "numbers" else [other]
    )
    if corpus == "numbers":
        assert answer.startswith("The net is ahead in share translated exactly: 0.500")
        assert "Of 12 words or more: GRU without attention 0.40." in answer
        assert (
            "Of plone's texts: 0.100" in answer and "BLEU 50.0 against 40.0" in answer
        )
        answer, _ = attention.STUDY.headline([{**row, "unfinished": True}])
        assert "attention 0.40 (still learning)." in answer
    else:
        assert "Of 12 words" not in answer and "0.100" in answer
