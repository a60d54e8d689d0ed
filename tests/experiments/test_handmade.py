"""Features made by hand: how their cells are chosen."""

from depthbench.experiments.vision import handmade


def test_images_of_the_test_break_no_tie_between_cells():
    assert handmade.chosen([(0.75, 0.6), (0.75, 0.9), (0.7, 1.0)]) == 0.6
