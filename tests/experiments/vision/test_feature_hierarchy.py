"""How layers are compared, and how surely they correspond."""

import itertools
from typing import NamedTuple

import numpy as np
import pytest

from depthbench.experiments.vision import feature_hierarchy, hierarchy_shown
from depthbench.research.learning import fits
from depthbench.research.report import published
from depthbench.research.study import estimates
from depthbench.research.study.errors import Refusal

RANDOM = np.random.RandomState(0)


class Run(NamedTuple):
    """A net whose states are given."""

    given: list

    def states(self, x):
        return self.given


def parts_of(x):
    class Parts(NamedTuple):
        test: object

    class Part(NamedTuple):
        x: object

    return Parts(Part(x))


@pytest.mark.parametrize(
    ("shares", "expected"),
    [([0.1, 0.2, 0.9], 1), ([0.9, 0.2, 0.1], -1), ([0.5, 0.5, 0.5], 0)],
)
def test_what_probes_find_rises_by_rank(shares, expected):
    # A correlation of ranks that float64 rounds.
    assert feature_hierarchy.rise(shares) == pytest.approx(expected, abs=1e-12)


def test_layers_that_are_rotated_copies_correspond():
    """Layers are independent noise, and CKA is blind to rotations: Kornblith et al. 2019,
    section 2. Of 40 examples and 3 numbers others than a layer's own are far from 1."""
    layers = [RANDOM.normal(size=(40, 3)) for _ in range(4)]
    turn = np.linalg.qr(RANDOM.normal(size=(3, 3)))[0]
    runs = [Run(layers), Run([layer @ turn for layer in layers])]
    alike = feature_hierarchy.likeness(runs, parts_of(np.zeros((40, 1))))
    assert alike.shape == (2, 4, 4)
    np.testing.assert_allclose([np.diag(one) for one in alike], 1.0, rtol=1e-9)
    assert [feature_hierarchy.matched(one) for one in alike] == [1.0, 1.0]
    assert feature_hierarchy.matched(alike[0][::-1]) == 0.0  # of an even number none


def test_a_layer_that_is_the_same_for_all_images_is_like_none():
    layers = [np.ones((40, 3)), RANDOM.normal(size=(40, 3))]
    (alike, _) = feature_hierarchy.likeness([Run(layers)] * 2, parts_of(np.zeros(40)))
    np.testing.assert_allclose(alike, [[0, 0], [0, 1]], atol=1e-12)


def test_pairs_that_agree_do_not_make_it_certain_how_many_layers_correspond():
    """Of five layers three are right as often as not where nine in ten are."""
    row = {"depth": 4, "seeds": 3, "matched": 0.6, "matched_se": 0.0}
    bar = estimates.above(0.9)
    assert estimates.outside(feature_hierarchy.corresponding(row), bar) > 0.05
    deep = {**row, "depth": 49, "matched": 0.2}
    assert estimates.outside(feature_hierarchy.corresponding(deep), bar) < 0.05


def test_layers_are_no_more_where_there_are_more_starts():
    row = {"depth": 4, "matched": 0.6, "matched_se": 0.1}
    few, many = (
        feature_hierarchy.corresponding({**row, "seeds": seeds}) for seeds in (3, 300)
    )
    assert few.error == many.error == 0.1
    assert few.fixed == many.fixed > 0.1


def cell(**settings):
    return {
        **{"architecture": "mlp", "activation": "relu", "depth": 1, "width": 16},
        **{"dataset": "digits", "examples": 40, "seeds": 2},
        **settings,
    }


def test_convolutions_that_take_long_are_left_out_unless_typed():
    grid = itertools.product(("mlp", "cnn_same"), ("relu", "sigmoid"), (1, 4, 16))
    names = ("architecture", "activation", "depth")
    cells = [cell(**dict(zip(names, each, strict=True))) for each in grid]
    kept, said = feature_hierarchy.fit(cells, set())
    assert kept == [*cells[:6], cells[7]] and "5 left out" in said[-1]
    for name in names:
        assert feature_hierarchy.fit(cells, {name})[0] == cells


def test_one_start_is_refused():
    with pytest.raises(Refusal, match="--seeds 1"):
        feature_hierarchy.fit([cell(seeds=1)], set())


@pytest.mark.parametrize(
    ("architecture", "shape"), [("mlp", (12, 8, 8)), ("cnn_same", (2, 3, 3))]
)
def test_layers_are_probed_and_filters_are_what_the_first_weights_gained(
    architecture, shape
):
    """Of the units with most of it, the most first; digits have one colour."""
    one = cell(architecture=architecture)
    parts = feature_hierarchy.divided(one)
    net = feature_hierarchy.net_of(one, parts)
    fresh, other = fits.fresh(net, 0), fits.fresh(net, 1)
    none = hierarchy_shown.filters(fresh, fresh, parts)
    assert none.shape == shape and not none.any()
    assert len(feature_hierarchy.probed(fresh, parts).test) == 2
    norms = np.linalg.norm(
        hierarchy_shown.filters(other, fresh, parts).reshape(len(none), -1), axis=1
    )
    assert norms[0] > 0 and list(norms) == sorted(norms, reverse=True)


def test_pictures_of_likeness_have_the_limits_of_their_data():
    rows = published.made("feature_hierarchy").rows
    near, far = np.full((3, 3), 0.98), np.full((3, 3), 0.97)
    near[0, 2] = 0.99
    kept = {"alike": near, "fresh_alike": far, "filters": np.zeros((4, 2, 2))}
    picture = hierarchy_shown.alike(
        feature_hierarchy.SCORING, rows, lambda row: kept
    ).draw()
    for axes in picture.axes[:2]:
        assert axes.images[0].get_clim() == (0.97, 0.99)
    # A dot at the layer of the other net that the first is most like.
    assert picture.axes[0].lines[0].get_xydata()[0].tolist() == [2, 0]


def test_baselines_have_the_same_lines_in_all_panels_and_layers_are_whole():
    rows = published.made("feature_hierarchy").rows
    kept = {"trained": np.linspace(0.8, 0.9, 17), "fresh": np.linspace(0.8, 0.2, 17)}
    figure, _ = feature_hierarchy.STUDY.figures(rows, lambda row: kept)
    left, _, third = figure.draw().axes
    scoring = feature_hierarchy.SCORING
    for name in (scoring.trivial, scoring.strong):
        styles = [
            line.get_linestyle()
            for axes in (left, third)
            for line, label in zip(*axes.get_legend_handles_labels(), strict=True)
            if label == name
        ]
        assert len(styles) == 2 and len(set(styles)) == 1
    assert all(tick == int(tick) for tick in third.get_xticks())


def test_a_convolution_is_read_in_the_means_of_two_by_two_places():
    state = np.arange(2 * 5 * 4 * 3, dtype=np.float32).reshape(2, 5, 4, 3)
    read = feature_hierarchy.numbers(state)
    assert read.shape == (2, 2 * 2 * 3)
    np.testing.assert_allclose(read[1, :3], state[1, :2, :2].mean((0, 1)))
    np.testing.assert_array_equal(
        feature_hierarchy.numbers(state[:, 0, 0]), state[:, 0, 0]
    )
