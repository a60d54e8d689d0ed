"""max_trainable_depth's picture: what its bars say."""

import pytest
from matplotlib.colors import to_rgba

from depthbench.benchmarks.max_trainable_depth import show
from depthbench.research.report import published


@pytest.mark.parametrize("fate", show.COLOURS)
def test_a_bar_has_the_colour_of_what_the_gradient_does_at_its_depth(fate):
    """Not at the deepest that was tried, where another net would be spoken of."""
    (row, *_) = published.made("max_trainable_depth").rows
    for other in show.COLOURS:
        changed = [{**row, "gradient": fate, "gradient_at_cap": other}]
        (figure,) = show.draw_figures(changed, lambda row: {})
        drawn = figure.draw()
        (bar,) = (patch for axes in drawn.axes for patch in axes.patches)
        assert bar.get_facecolor()[:3] == to_rgba(show.COLOURS[fate])[:3]
        (legend,) = drawn.legends
        told = legend.get_texts()[0].get_text()
        assert told == f"deepest net that trains (its gradient {fate})"


def test_an_arrow_of_no_limit_is_right_of_every_diamond():
    (row, *_) = published.made("max_trainable_depth").rows
    allowed = (2.0, 1.9 * row["cap"], float("inf"), 1e9, None)
    rows = [{**row, "theory_depth": depth} for depth in allowed]
    (figure,) = show.draw_figures(rows, lambda row: {})
    drawn = figure.draw()
    at = {"D": [], ">": []}
    for line in drawn.axes[0].lines:
        if line.get_marker() in at:
            at[line.get_marker()].append(float(line.get_xdata()[0]))
    assert at["D"] == [2.0, 1.9 * row["cap"]]
    assert len(at[">"]) == 2 and min(at[">"]) > 1.5 * max(at["D"])
    texts = [text.get_text() for text in drawn.legends[0].get_texts()]
    assert texts[-1] == f"theory: no limit, or beyond {16 * row['cap']}"


def test_no_mark_that_is_not_drawn_is_in_the_legend():
    (row, *_) = published.made("max_trainable_depth").rows
    (figure,) = show.draw_figures([{**row, "theory_depth": None}], lambda row: {})
    texts = [text.get_text() for text in figure.draw().legends[0].get_texts()]
    assert not any("theory" in text for text in texts)
