"""Shuffles move pixels and nothing else, and no choice looks at test accuracies."""

import matplotlib.figure
import numpy as np
import pytest

from depthbench.experiments import scores
from depthbench.experiments.vision import permuted_pixels, permuted_shown
from depthbench.research.report import published

X = np.random.RandomState(0).random_sample((5, 4, 6, 1))


def test_a_shuffle_moves_the_pixels_of_all_examples_alike():
    mixed = permuted_pixels.shuffled(X, 1)
    assert mixed.shape == X.shape and not np.array_equal(mixed, X)
    flat, moved = X.reshape(5, -1), mixed.reshape(5, -1)
    places = [int(np.flatnonzero(flat[0] == value)[0]) for value in moved[0]]
    assert sorted(places) == list(range(24))
    np.testing.assert_array_equal(moved, flat[:, places])


def test_seeds_shuffle_otherwise_and_each_always_alike():
    one, again, other = (permuted_pixels.shuffled(X, seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal(one, again)
    assert not np.array_equal(one, other)


def cell(**settings):
    return {
        **{"net": "mlp", "depth": 1, "width": 4, "dataset": "digits", "steps": 5},
        **{"seeds": 2, "rates": 1, "further_rates": 0},
        **{"lowest_rate": 1e-3, "highest_rate": 1e-3},
        **settings,
    }


def test_what_is_lost_is_paired_by_seed_and_shares_stay_shares(monkeypatch):
    monkeypatch.setattr(scores, "baseline", lambda *names: 0.1)
    row = permuted_pixels.accuracies(cell()).values
    assert row["drop"] == pytest.approx(row["kept"] - row["score"])
    assert 0 <= row["kept_low"] <= row["kept"] <= row["kept_high"] <= 1


def test_the_gap_has_the_error_of_answers_in_pairs(monkeypatch):
    """A machine that is right where the net is, is as good as it for sure."""
    monkeypatch.setattr(scores, "baseline", lambda *names: 0.1)
    right = []

    def known(fit, part, order, known=permuted_pixels.known):
        right.append(known(fit, part, order))
        return right[-1]

    monkeypatch.setattr(permuted_pixels, "known", known)
    other = permuted_pixels.accuracies(cell(seeds=1)).values["gap_test_se"]
    # The last test examples that were asked for are those in shuffled order.
    count = len(permuted_pixels.machine_right("digits", None))
    alike = next(each for each in reversed(right) if len(each) == count)
    monkeypatch.setattr(permuted_pixels, "machine_right", lambda *data: alike)
    same = permuted_pixels.accuracies(cell(seeds=1)).values
    assert same["gap"] == 0 and same["gap_test_se"] < other / 3


def test_panels_call_a_net_the_same():
    figure = permuted_pixels.SCORING.figure
    rows = published.made("permuted_pixels").rows
    drawn = figure(rows, "", permuted_shown.draw_drops(rows)).draw()
    first, _, third = (axes.get_legend_handles_labels()[1] for axes in drawn.axes)
    assert third == first[: len(third)] == list(permuted_pixels.WORDS.values())


def test_deep_recurrent_nets_are_left_out_unless_their_depth_is_typed():
    cells = [cell(net=net, depth=depth) for net in ("mlp", "gru") for depth in (4, 12)]
    kept, said = permuted_pixels.fit(cells, set())
    assert kept == cells[:3] and "1 left out" in said[-1]
    assert permuted_pixels.fit(cells, {"depth"})[0] == cells


def row(depth, drop, error):
    """Of a CNN, as a claim sees it."""
    ended = {"status": "ok", "rate_at_edge": False, "unfinished": False}
    own = {"net": "cnn", "depth": depth, "dataset": "mnist1d", "seeds": 3}
    return {**ended, **own, "drop": drop, "drop_se": error}


def test_the_first_sentence_chooses_no_depth_by_test_accuracy():
    """Which nets are named does not change with their accuracies in order."""
    rows = published.made("permuted_pixels").rows
    turned = [{**row, "kept": 1.0 - row["kept"]} for row in rows]
    wanted = {
        permuted_pixels.SCORING.name(
            permuted_pixels.SCORING.best([row for row in rows if row["net"] == net])
        )
        for net in permuted_pixels.WORDS
    }
    for every in (rows, turned):
        named = permuted_pixels.headline(every).answer.partition("In order")[2]
        assert all(name in named for name in wanted)


def test_one_wide_interval_does_not_flatten_what_is_lost():
    rows = [
        {**row(1, 0.3, 0.1), "drop_low": -9.0, "drop_high": 9.0},
        {**row(4, 0.4, 0.1), "drop_low": None, "drop_high": None},
    ]
    figure = matplotlib.figure.Figure()
    axes = figure.subplots()
    permuted_shown.draw_drops(rows)(figure, axes)
    margin = permuted_shown.MARGIN
    assert axes.get_ylim() == pytest.approx((-margin, 0.4 + margin))
