"""Grids made wider: which cells are added to a run, and when that ends."""

import math

import pytest

from depthbench.research.cli import claims as claims_command
from depthbench.research.cli import run as run_command
from depthbench.research.cli.main import main
from depthbench.research.engine import runs
from depthbench.research.engine.engines.threads import Threads
from depthbench.research.machine import host
from depthbench.research.report import verdicts
from depthbench.research.store import folder as folders
from depthbench.research.store.folder import Folder
from depthbench.research.study import widening
from depthbench.research.study.axes import Axis
from depthbench.research.study.declaration import (
    Measured,
    Study,
    Sweep,
    chosen_values,
    grid,
)
from depthbench.research.study.studies import studies

RATES = (0.01, 0.02, 0.04)
STUDY = Study(
    name="sweep",
    kind="experiment",
    question="?",
    source="none",
    axes={
        "net": Axis("net", ("a", "b"), {"a": 0, "b": 0}),
        "learning_rate": Axis("rates", RATES, kind="number", low=0.0, high=1e3),
    },
    sizes={"smoke": {}, "full": {}},
    measure="none:none",
    columns=(),
    sweep=Sweep("learning_rate", lambda row: row["net"], "loss"),
)
CELLS = grid(STUDY, chosen_values(STUDY, "standard", {}))


def row(cell, least):
    """A row whose loss is least at a rate of its net's own."""
    loss = abs(math.log(cell["learning_rate"] / least[cell["net"]])) + 0.1
    return {**cell, "status": "ok", "first_loss": 2.3, "train_loss": loss}


def added(least):
    """All rates beyond the grid that are run, by net."""
    rows = [row(cell, least) for cell in CELLS]
    for _ in range(100):
        known, wanted = widening.widened(STUDY, CELLS, rows)
        rows += [row(cell, least) for cell in wanted]
        if not wanted:
            break
    rates = {"a": [], "b": []}
    for cell in known:
        rates[cell["net"]].append(cell["learning_rate"])
    return rates


def test_a_best_rate_within_the_grid_adds_nothing():
    assert added({"a": 0.02, "b": 0.02}) == {"a": [], "b": []}


def test_rates_are_added_until_the_best_is_within():
    assert added({"a": 0.02, "b": 0.16}) == {"a": [], "b": [0.08, 0.16, 0.32]}
    assert added({"a": 0.005, "b": 0.02}) == {"a": [0.005, 0.0025], "b": []}


def test_no_more_than_so_many_are_added():
    assert added({"a": 100.0, "b": 0.02})["a"] == [0.08, 0.16, 0.32, 0.64]
    assert widening.most(STUDY, CELLS) == 2 * 2 * widening.MOST


def test_the_whole_grid_comes_first():
    rows = [row(cell, {"a": 1.0, "b": 1.0}) for cell in CELLS]
    assert widening.widened(STUDY, CELLS, rows[:-1]) == ([], [])
    known, wanted = widening.widened(STUDY, CELLS, rows)
    assert known == [] and [cell["learning_rate"] for cell in wanted] == [0.08, 0.08]


def test_what_could_not_be_measured_adds_nothing():
    rows = [{**cell, "status": "oom", "reason": "too large"} for cell in CELLS]
    assert widening.widened(STUDY, CELLS, rows) == ([], [])


def test_typed_rates_and_smoke_runs_are_taken_as_they_are():
    assert widening.widens(STUDY, "standard", {"net"})
    assert not widening.widens(STUDY, "standard", {"learning_rate"})
    assert not widening.widens(STUDY, "smoke", set())
    assert not widening.widens(STUDY._replace(sweep=None), "standard", set())


@pytest.mark.parametrize("study", studies().values(), ids=lambda study: study.name)
def test_studies_whose_cells_differ_in_a_rate_have_it_widened(study):
    """All that compare methods at the best of several rates, by the axis' name."""
    axis = study.axes.get("learning_rate")
    if axis is not None and not axis.single and study.name != "trainable_depth":
        assert study.sweep and study.sweep.axis == "learning_rate"
    if "rates" in study.axes:
        assert study.axes["further_rates"].values == (widening.MOST,)
        smoke = study.sizes["smoke"]  # of a single rate none is further
        assert smoke.get("rates") == (1,) or smoke["further_rates"] == (0,)


SMALL = "--net rezero --depth 2 --width 8 --steps 20 --seeds 2".split()


def test_a_run_is_made_wider_resumed_and_judged_whole(tmp_path, monkeypatch, capsys):
    """Rates too low for so few steps: further ones are run, once, and belong to the run."""
    study = studies()["rezero"]
    low = {
        **study.axes,
        "learning_rate": study.axes["learning_rate"]._replace(values=(1e-4, 1e-3)),
    }
    small = study._replace(axes=low)
    monkeypatch.setattr(run_command, "studies", lambda: {"rezero": small})
    out = str(tmp_path / "run")
    command = ["run", "rezero", *SMALL, "--out", out]
    assert main([*command, "--dry-run"]) == 0
    assert "and up to           8 more" in capsys.readouterr().out
    assert main(command) == 0
    first = capsys.readouterr()
    assert "best learning_rate of 1 methods is at the edge" in first.err
    have, _ = folders.records(Folder(tmp_path / "run"))
    rates = sorted(record.settings["learning_rate"] for record in have)
    assert rates[:3] == [1e-4, 1e-3, 1e-2] and len(rates) <= 6
    assert main([*command, "--dry-run"]) == 0
    said = capsys.readouterr().out
    assert "cells               0" in said and "and up to" not in said
    assert f"already there       {len(rates)}" in said
    assert main(command) == 0
    again = capsys.readouterr()
    assert again.out == first.out and "is at the edge" not in again.err
    assert len(folders.records(Folder(tmp_path / "run"))[0]) == len(rates)
    assert main(["verify", out, "--cells", str(len(rates))]) == 0
    as_sized = small._replace(
        sizes={
            "full": {
                "net": ("rezero",),
                "depth": (2,),
                "width": (8,),
                "steps": (20,),
                "seeds": (2,),
            }
        }
    )
    judged = verdicts.rows_of_size(as_sized, tmp_path / "run", "full")
    assert judged is not None and len(judged.rows) == len(rates)


def one_net():
    """A study of one net at few rates, all of which are too low."""
    study = studies()["rezero"]
    few = {"net": ("rezero",), "depth": (2,), "width": (8,), "learning_rate": RATES}
    axes = {
        n: axis._replace(values=few.get(n, axis.values))
        for n, axis in study.axes.items()
    }
    return study._replace(axes=axes)


class OfTwoKinds(Threads):
    """Workers of which another kind of device has rates beyond the grid's."""

    def __init__(self, alike):
        super().__init__(1, self.measured)
        self.alike, self.sent = alike, []

    def measured(self, unit, memory):
        self.sent += [cell["learning_rate"] for cell in unit.cells]
        made = [row(cell, {cell["net"]: 0.16}) for cell in unit.cells]
        names = ("first_loss", "train_loss")
        return [Measured("ok", "", {name: one[name] for name in names}) for one in made]

    def run(self, work, stop, begin):
        here = host.environment()
        for done in super().run(work, stop, begin):
            rates = {cell["learning_rate"] for cell in work.units[done.number].cells}
            other = {} if rates <= set(self.alike) else {"device": "another"}
            yield done._replace(environment={**here, **other})


def test_a_run_of_several_kinds_of_devices_is_made_wider_once(tmp_path, monkeypatch):
    study, engine = one_net(), OfTwoKinds(RATES)
    cells = grid(study, chosen_values(study, "standard", {}))
    request = runs.Request(engine=engine, widens=True, mixed=True)
    passes, once = [], runs._run_missing

    def counted(*arguments):
        passes.append(arguments)
        assert len(passes) < 10, "the run never ends"
        return once(*arguments)

    monkeypatch.setattr(runs, "_run_missing", counted)
    for further in ([0.08, 0.16, 0.32], []):  # and once more, of what is there
        engine.sent.clear()
        with runs.completed(study, cells, tmp_path / "run", request) as done:
            ran = [cell["learning_rate"] for cell in done.cells]
        assert sorted(engine.sent) == ([*RATES, *further] if further else [])
        assert ran == [*RATES, 0.08, 0.16, 0.32]
    kept, _ = folders.records(done.folder)
    assert len(kept) == 3 and len(folders.elsewhere(done.folder)) == 3


def test_claims_run_what_is_missing_beyond_a_grid_that_is_whole(
    tmp_path, monkeypatch, capsys
):
    study, path, begun = one_net(), tmp_path / "run", []
    cells = grid(study, chosen_values(study, "standard", {}))
    request = runs.Request(engine=OfTwoKinds({*RATES, 0.08, 0.16, 0.32}))
    monkeypatch.setattr(
        claims_command, "run_study", lambda study, *_: begun.append(study.name) or True
    )

    def said():
        assert claims_command.run_missing([study], {study.name: path}, "standard") == 0
        return capsys.readouterr().err

    with runs.completed(study, cells, path, request):
        pass
    assert "1 cells of 1 studies" in said() and begun == [study.name]
    with runs.completed(study, cells, path, request._replace(widens=True)):
        pass
    assert "nothing is missing" in said() and begun == [study.name]
