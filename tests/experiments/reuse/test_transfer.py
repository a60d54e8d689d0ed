"""Transfer: which nets there are, what is set beside what, and the drawings' parts."""

import numpy as np
import pytest

from depthbench.experiments.reuse import alphabets, transfer, transfer_claims
from depthbench.experiments.reuse.transfer import STUDY
from depthbench.research.datasets import glyphs
from depthbench.research.study.declaration import chosen_values, grid
from depthbench.research.study.errors import Refusal


def cells(**typed):
    chosen = chosen_values(STUDY, "standard", typed)
    return STUDY.fit(grid(STUDY, chosen), set(typed))[0]


def test_each_net_is_there_once():
    kinds = [(c["source"], c["kept"], c["cut"]) for c in cells(depth=(2,))]
    assert kinds.count(("none", "tuned", 0)) == 1
    assert {cut for source, _, cut in kinds if source != "none"} == {1, 3}
    assert not [kind for kind in kinds if kind[:2] == ("random", "tuned")]
    assert len(kinds) == len(set(kinds)) == 1 + 2 * 5


def test_a_cut_that_cannot_be_is_one_line():
    with pytest.raises(Refusal, match="cut 9: the deepest net has 3 layers"):
        cells(depth=(2,), cut=(9,))
    with pytest.raises(Refusal, match="no such net"):
        cells(cut=(0,), source=("latin",))


def row(source, kept, cut, score, **more):
    return {
        **{
            "source": source,
            "kept": kept,
            "cut": cut,
            "score": score,
            "score_se": 0.03,
        },
        **{"architecture": "mlp", "activation": "relu", "depth": 2, "seeds": 3},
        **{"status": "ok", "reason": "", "rate_at_edge": False, "unfinished": False},
        **more,
    }


def test_differences_are_of_one_net_and_have_both_errors():
    rows = [
        row("latin", "frozen", 1, 0.5),
        row("latin", "frozen", 3, 0.4, score_se=0.04),
        row("latin", "frozen", 3, 0.9, depth=8),
        row("random", "frozen", 3, 0.1),
        row("target", "frozen", 2, 0.2, rate_at_edge=True),
        row("none", "tuned", 0, 0.3),
    ]
    (top,) = transfer_claims.top_against_first(rows)
    assert (top["gap"], top["gap_se"]) == (pytest.approx(-0.1), pytest.approx(0.05))
    (random,) = transfer_claims.against_random(rows)
    assert random["gap"] == pytest.approx(0.3)
    (parted,) = transfer_claims.parted(rows)
    assert parted["gap"] == pytest.approx(-0.1) and parted["rate_at_edge"]


def test_drawings_are_in_one_part_and_every_font_judges():
    learned = alphabets.MOST // 4
    parts = alphabets.parts(("greek",), 60, learned)
    letters = int(np.sum(glyphs.letters(60).script == "greek"))
    assert parts.classes == letters
    sizes = [len(part.y) for part in parts[:3]]
    assert sizes == [letters * n for n in (learned, alphabets.CHOSEN, alphabets.TESTED)]
    seen = [{x.tobytes() for x in part.x} for part in parts[:3]]
    assert not (seen[0] & seen[2] or seen[1] & seen[2] or seen[0] & seen[1])
    fonts = alphabets.parts(("greek",), 60, learned, "font").test.y
    assert np.bincount(fonts).tolist() == [letters] * len(glyphs.FONTS)


def test_labels_are_of_the_same_drawings():
    by_label = {
        label: alphabets.parts(glyphs.SCRIPTS, 60, 4, label)
        for label in ("letter", "script", "font")
    }
    letters, scripts = (by_label[name].train.y for name in ("letter", "script"))
    drawn = glyphs.letters(60)
    names = np.array(sorted(glyphs.SCRIPTS))
    assert names[scripts].tolist() == drawn.script[letters].tolist()
    assert {parts.train.x.tobytes() for parts in by_label.values()} == {
        by_label["letter"].train.x.tobytes()
    }


def test_the_strong_baseline_is_given_the_latin_letters_too():
    """Of 60 letters 0.67 to 0.65; of 300, 0.61 to 0.47."""
    assert transfer.mapped(60, 4) > transfer.baseline("svm", 60, 4)
