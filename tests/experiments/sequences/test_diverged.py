"""Nets that diverge: a row that says so, and a report of what is left."""

import contextlib
import math
from types import SimpleNamespace

import pytest

from depthbench.experiments import first_seed
from depthbench.experiments.once import once
from depthbench.research.learning import fits
from depthbench.research.report import published
from depthbench.research.study import claims, headlines, plan
from depthbench.research.study.declaration import chosen_values, grid
from depthbench.research.study.studies import studies

SEQUENCES = (
    *("attention", "char_model", "chorales", "motion", "sensors", "sentiment"),
    "speech",
)
each = pytest.mark.parametrize("name", SEQUENCES)


@each
def test_a_net_that_diverges_is_a_row_with_a_reason(name, monkeypatch):
    """Whatever is scored, if only with one of its seeds: a mean of others is no score."""

    def tuned(*arguments, **keywords):
        runs = [SimpleNamespace(diverged=step) for step in (None, 3)]
        return SimpleNamespace(runs=runs, setting=1e6)

    def half_ended(*arguments):
        return lambda runs: SimpleNamespace(ended=0.5)

    monkeypatch.setattr(first_seed, "tuned", tuned)
    for held in ("chosen_by", "held"):
        monkeypatch.setattr(f"depthbench.research.learning.fits.{held}", half_ended)
    monkeypatch.setattr(once, "begin", lambda *arguments, **keywords: None)
    study = studies()[name]
    cells, _ = study.fit(grid(study, chosen_values(study, "smoke", {})), set())
    (row,) = plan.measure(plan.units(study, cells[:1])[0], 2**31)
    assert row.status == "diverged"
    assert row.reason == "1 of 2 runs, at the best of its rates: 1e+06"


@pytest.mark.parametrize("losses", ((0.1, math.nan), (0.1, math.inf)))
def test_a_loss_that_is_not_finite_chooses_nothing(losses):
    runs = [SimpleNamespace(diverged=None, loss=loss) for loss in losses]
    outcome = fits.chosen_by(lambda run: run.loss, "loss")(runs)
    assert outcome.ended == 0 and outcome.loss == math.inf
    row = first_seed.diverged(SimpleNamespace(runs=runs, setting=0.1), outcome)
    assert row.reason == "outputs that are not finite, at the best of its rates: 0.1"
    assert fits.chosen_by(lambda run: run.loss, "loss")(runs[:1]).loss == 0.1


def lost(row, study, how):
    """A row as if its net had diverged. how: as rows are now, or as they once were."""
    if how == "ok":
        return {**row, "score": None, "score_se": None, "gap": None, "gap_se": None}
    kept = {name: row[name] for name in study.axes if name in row}
    return {**kept, "seeds": row["seeds"], "status": "diverged", "reason": "1 of 1 run"}


@each
@pytest.mark.parametrize("how", ("diverged", "ok"))
@pytest.mark.parametrize("which", (slice(0, 1), slice(1, None), slice(None)))
def test_the_others_are_reported(name, how, which):
    """Whichever nets diverge: the first, all but the first, or all of them."""
    study, rows = studies()[name], list(published.made(name).rows)
    rows[which] = [lost(row, study, how) for row in rows[which]]
    rows = claims.same_columns(rows)
    answer, _ = headlines.of(study, rows)
    assert answer and "None" not in answer
    assert study.tables(rows)
    for claim in study.claims:
        assert claims.judge(claim, rows).claim is claim


class Asked(Exception):
    """For what a run keeps beside a row."""


@each
@pytest.mark.parametrize("how", ("diverged", "ok"))
@pytest.mark.parametrize("which", (slice(0, 1), slice(1, None), slice(None)))
def test_the_others_are_drawn(name, how, which):
    """And nothing where there is none: no picture has a best net then."""

    def profiles(row):
        assert row["score"] is not None
        raise Asked

    study, rows = studies()[name], list(published.made(name).rows)
    rows[which] = [lost(row, study, how) for row in rows[which]]
    rows = claims.same_columns(rows)
    pictures, heard = study.shown(rows, profiles)
    assert bool(pictures) == any(row.get("score") is not None for row in rows)
    assert len(heard) <= 3 * len(pictures)
    for picture in pictures:
        with contextlib.suppress(Asked):
            picture.draw()
