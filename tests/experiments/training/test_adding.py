"""The adding problem's baseline and cells, and what is set beside what."""

import math

import numpy as np
import pytest

from depthbench.experiments.training import adding
from depthbench.research.learning import fits


def cell(name, **more):
    cell = {"cell": name, "clip": "norm_1", "lag": 12, "width": 16, "seeds": 1}
    return {**cell, **more}


def test_the_sum_is_linear_in_products_and_not_in_what_is_read():
    assert adding.ridge(12) < 1e-6
    train, _, test = adding.parts(12)
    flat = train.x.reshape(len(train.x), -1).astype(np.float64)
    flat = np.concatenate([flat, np.ones((len(flat), 1))], axis=1)
    weights = np.linalg.lstsq(flat, train.y, rcond=None)[0]
    read = np.concatenate([test.x.reshape(len(test.x), -1), np.ones((2000, 1))], axis=1)
    # A marked number of L/2 explains 2/L of its variance; both halves do: 1 − 2/L. Of
    # 2,000 sequences the standard error is 3 %.
    error = adding.missed(read @ weights, test.y)
    assert error == pytest.approx(adding.TRIVIAL * (1 - 2 / 12), rel=0.1)


def test_no_sequence_is_in_two_parts():
    every = [part.x.reshape(len(part.x), -1) for part in adding.parts(12)]
    assert [len(part) for part in every] == [18_000, 2_000, 2_000]
    assert len(np.unique(np.concatenate(every), axis=0)) == 22_000


def test_chrono_gates_begin_open_for_up_to_the_lag():
    tree = fits.fresh(adding.net_of(cell("lstm_chrono", width=64))).variables
    opened = np.asarray(tree.stem["params"]["Projection_0"]["chrono"])
    assert opened.min() >= 0 and opened.max() <= math.log(11)  # log u, u in [1, T − 1]
    assert opened.max() > math.log(6)


def test_a_norm_that_is_not_clipped_is_one_of_a_clip_never_reached():
    train, _, _ = adding.parts(12)
    ends = []
    for norm in (math.inf, 1e9, 1e-4):
        net = adding.net_of(cell("rnn"))
        net = net._replace(recipe=adding.Recipe(**{**vars(net.recipe), "clip": norm}))
        (run,) = fits.train(net, train.batch, 5, (1e-2,), 1)
        ends.append(np.asarray(run.outputs(train.x[:4])))
    np.testing.assert_array_equal(ends[0], ends[1])
    assert np.all(np.isfinite(ends[0])) and np.any(ends[0] != ends[2])


def row(name, clip, score, decades=-1.0):
    ends = dict(score=score, score_se=0.01, seeds=3, status="ok", reason="")
    return dict(cell=name, clip=clip, lag=40, decades=decades, **ends)


def test_a_method_is_better_where_its_error_is_smaller():
    rows = [row("rnn", "none", 0.16), row("rnn", "norm_1", 0.06)]
    (pair,) = adding.versus(rows, "clip", ("norm_1", "none"))
    assert pair["gap"] == pytest.approx(0.1) and pair["cell"] == "rnn"
    assert pair["gap_se"] == pytest.approx(0.01 * math.sqrt(2))
    rows = [row("lstm", "none", 0.1, -5.0), row("gru", "none", 0.01)]
    (faded,) = adding.faded(rows)
    assert faded["gap"] == pytest.approx(0.1 - adding.LEARNED)
