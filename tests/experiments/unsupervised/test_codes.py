"""Autoencoders of the studies: their code, their errors, and what is refused."""

import numpy as np
import pytest

from depthbench.experiments.unsupervised import anomalies, codes, unlabelled_features
from depthbench.research.learning import fits
from depthbench.research.study.errors import Refusal

CELL = {
    **dict(architecture="mlp", activation="relu", depth=1, width=8, code=3),
    **dict(dataset="digits", labels=100, seeds=3, steps=2, further_rates=0),
    **dict(lowest_rate=1e-3, highest_rate=1e-2, rates=2),
}


@pytest.fixture(scope="module")
def x():
    return np.random.RandomState(0).normal(size=(20, 2, 3, 1)).astype(np.float32)


@pytest.fixture(scope="module")
def tuned(x):
    return codes.tuned(CELL, codes.net_of(CELL, (2, 3, 1)), x)


def test_the_code_and_the_error_are_those_of_the_net(tuned, x):
    run = tuned.runs[0]
    assert [layer.shape for layer in codes.encoded(run, x)] == [(20, 8)] * 2 + [(20, 3)]
    assert codes.code(run, x).shape == (20, 3)
    one = np.mean((run.outputs(x)[4] - x[4].ravel()) ** 2)
    assert codes.errors(run, x)[4] == pytest.approx(one, rel=1e-5)  # in float32


def test_the_first_seed_chooses_the_rate_of_all(tuned):
    assert [run.seed for run in tuned.runs] == [0, 1, 2]
    assert {run.rate for run in tuned.runs} == {tuned.setting}
    assert set(tuned.tried) == {1e-3, 1e-2}
    best = min(tuned.tried, key=lambda rate: tuned.tried[rate].loss)
    assert tuned.setting == best


def test_the_control_is_what_the_run_began_with(tuned, x):
    fresh = codes.fresh(tuned.runs[1])
    again = fits.train(fresh.net, {"inputs": x}, 1, [0.0], [1])[0]
    np.testing.assert_array_equal(codes.code(fresh, x), codes.code(again, x))
    assert not np.allclose(codes.code(fresh, x), codes.code(tuned.runs[1], x))


def test_a_lost_run_makes_a_row_without_numbers(tuned):
    assert codes.diverged(tuned.runs) is None
    row = codes.diverged([tuned.runs[0], tuned.runs[1]._replace(diverged=7)])
    assert (
        row.status == "diverged" and row.reason.startswith("1 of 2") and not row.values
    )


@pytest.mark.parametrize(
    "fit, changes, says",
    [
        (codes.fit, {"code": 8}, "--code 8: must be below the width, 8"),
        (unlabelled_features.fit, {"labels": 9}, "--labels 9: must be at least one"),
        (unlabelled_features.fit, {"labels": 5001}, "must be at most 5000"),
        (anomalies.fit, {"seeds": 11}, "--seeds 11.*at most 10"),
    ],
)
def test_what_cannot_be_is_refused_in_a_line(fit, changes, says):
    with pytest.raises(Refusal, match=says):
        fit([{**CELL, **changes}], set())
    assert fit([CELL], set())[0]
