"""A model at several depths: decades per layer over seeds, and how deep it may be."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

import depthbench as db
from depthbench.research.report import deepened, probed
from tests.depthbench.models import WIDTH, Sigmoids, X, rotations


@pytest.fixture(scope="module")
def sigmoids():
    return db.deepen(
        Sigmoids, depths=(8, 2), batch=X, seeds=2, activation="sigmoid", sigma_w2=1.0
    )


def test_rows_are_means_over_seeds_of_probes(sigmoids):
    assert [row["depth"] for row in sigmoids.rows] == [2, 8]
    row = sigmoids.rows[1]
    reports = [db.probe(Sigmoids(8), X, seed=seed) for seed in range(2)]
    slopes = [r.slope for r in reports]
    ratios = [r.log10_ratio for r in reports]
    assert slopes[0] != slopes[1]
    assert row["log10_slope"] == pytest.approx(np.mean(slopes))
    assert row["log10_slope_se"] == pytest.approx(np.std(slopes, ddof=1) / math.sqrt(2))
    assert row["log10_ratio"] == pytest.approx(np.mean(ratios))
    assert (row["seeds"], row["states"], row["verdict"]) == (2, 9, "vanishes")
    assert sigmoids.deepest == 2
    assert sigmoids.extrapolated == pytest.approx(8 * 3 / abs(np.mean(ratios)))
    assert repr(sigmoids.reports[8]) == repr(reports[0])


def test_theory_stands_beside(sigmoids):
    chi_1 = db.theory("sigmoid", 1.0).chi_1
    assert sigmoids.theory == pytest.approx(0.5 * math.log10(chi_1))
    assert sigmoids.rows[1]["log10_slope"] == pytest.approx(sigmoids.theory, abs=0.1)
    assert f"(theory {sigmoids.theory:+.3f})" in sigmoids.answer
    assert "theory" in sigmoids.table() and len(sigmoids.figure().axes) == 2


def test_the_answer_is_first_and_fits(sigmoids):
    start = "The gradient survives through 2 of the depths probed; -0."
    assert sigmoids.answer.startswith(start) and "extrapolated" in sigmoids.answer
    for width in (80, 100):
        text = sigmoids.table(width)
        assert text.startswith("The gradient survives through 2")
        assert max(map(len, text.splitlines())) <= width
        assert "vanishes" in text and "±" in text
    html = sigmoids._repr_html_()
    assert html.index("survives through") < html.index("<img") < html.index("<table")
    assert repr(sigmoids).startswith(sigmoids.answer)
    assert list(sigmoids.to_pandas()["depth"]) == [2, 8]


class Tanhs(nnx.Module):
    def __init__(self, depth, rngs):
        layers = [nnx.Linear(WIDTH, WIDTH, rngs=rngs) for _ in range(depth)]
        self.layers = nnx.List(layers)

    def __call__(self, x):
        for layer in self.layers:
            x = jnp.tanh(layer(x))
        return x


def seeded(depth, seed):
    return rotations(depth, jax.random.key(seed))


def net_of_equinox(depth, *, key):
    equinox = pytest.importorskip("equinox")
    return equinox.nn.MLP(WIDTH, WIDTH, WIDTH, depth, jnp.tanh, key=key)


@pytest.mark.parametrize("make", [Tanhs, rotations, seeded, net_of_equinox])
def test_each_seed_is_another_draw(make):
    report = db.deepen(make, depths=(3,), batch=X, seeds=2)
    assert report.rows[0]["seeds"] == 2 and not report.notes
    assert make in (rotations, seeded) or report.rows[0]["log10_slope_se"] > 0


def test_a_make_that_draws_once_is_probed_once_and_says_so():
    report = db.deepen(
        lambda depth: rotations(depth, jax.random.key(0)), depths=(2, 3), batch=X
    )
    assert [row["seeds"] for row in report.rows] == [1, 1]
    assert "One draw" in report.notes[0] and "One draw" in report.table()
    assert "survives through 3, the deepest probed" in report.answer


def report_of(ratio, slope=0.1, verdict="survives"):
    rows = [{"state": n, "log10_gradient": 0.0} for n in ("input", "last")]
    return probed.Report(rows, {}, verdict, slope, ratio, None, None, (), {}, 0.0)


def test_what_is_0_within_its_error_goes_on_for_ever():
    both = {4: [report_of(-0.1), report_of(0.1)]}
    assert deepened.report(both).extrapolated == math.inf
    one = deepened.report({4: [report_of(-0.1)]})
    assert one.extrapolated == pytest.approx(120)
    assert "about 120" in one.answer


def test_a_seed_that_overflows_is_the_verdict():
    both = {4: [report_of(-0.1), report_of(math.nan, math.nan, "overflow")]}
    report = deepened.report(both)
    assert report.rows[0]["verdict"] == "overflow" and report.deepest is None
    assert "survives at no depth probed" in report.answer
    assert "nan" not in report.table() + report.answer
    report.figure()


def test_a_gradient_of_0_is_no_number():
    report = deepened.report({4: [report_of(-math.inf, math.nan, "vanishes")]})
    assert "-∞" in report.table() and "nan" not in report.table() + report.answer
