"""The panels of sequences' pictures: which lines there are, and where axes end."""

import numpy as np
import pytest

from depthbench.experiments import score_panels, scores
from depthbench.experiments.sequences import attention, attention_shown
from depthbench.research.report import figures, published


@pytest.mark.parametrize("higher", (False, True))
def test_a_far_baseline_is_said_in_words_where_it_is(higher):
    """The axis ends with the nets and the strong baseline, and the words cover neither."""
    rows = [
        {"depth": depth, "score": 1.1, "score_low": 1.0, "score_high": 1.2}
        | {"strong": 1.15, "trivial": 0.1 if higher else 3.4}
        for depth in (1, 4)
    ]
    for near in (False, True):
        scoring = scores.Scoring("a", "nats", "chance", "counts", near=near)
        axes = figures.new(3, 3).subplots()
        score_panels.scores(scoring, axes, {"net": rows})
        low, high = axes.get_ylim()
        within = low < rows[0]["trivial"] < high
        styles = [line.get_linestyle() for line in axes.lines]
        texts = [text.get_text() for text in axes.texts]
        if near:
            assert not within and ":" not in styles and high - low < 0.3
            end = "chance (below): 0.100" if higher else "chance (above): 3.400"
            assert texts == [end]
        else:
            assert within and ":" in styles and not texts


def lengths(row):
    """Profiles, of whose lengths one is of no sentence."""
    counts = np.array([1.0, np.nan, 0.5, 0.25])
    return {"exact": counts, "counts": counts}


def test_nets_of_one_depth_stand_side_by_side():
    """Of each corpus, with intervals; the phrase table is dashed in every panel."""
    rows = list(published.made("attention").rows)
    first, *_ = attention_shown.figures_of(attention.SCORING, rows, lengths)
    assert "a panel for each corpus" in first.caption
    numbers, plone, by_length = first.draw().axes
    for axes in (numbers, plone):
        assert len(axes.patches) == 3 and len(axes.collections) == 1
        assert [line.get_linestyle() for line in axes.lines[-2:]] == ["--", ":"]
        assert axes.get_legend()
    assert "plone" in plone.get_title(loc="left")
    (dashed,) = (line for line in by_length.lines if line.get_linestyle() == "--")
    assert dashed.get_xdata().tolist() == [1, 3, 4]
    assert all(float(tick).is_integer() for tick in by_length.get_xticks())


def test_nets_of_several_depths_are_lines():
    rows = list(published.made("attention").rows)
    deep = [{**row, "depth": 4} for row in rows]
    first, *_ = attention_shown.figures_of(attention.SCORING, [*rows, *deep], lengths)
    scored, _, by_length = first.draw().axes
    assert not scored.patches and len(by_length.lines) == 7
