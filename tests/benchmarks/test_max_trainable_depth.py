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
        assert legend.get_texts()[0].get_text() == f"gradient {fate}"
