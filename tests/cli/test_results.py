"""`compare`, `report` and `verify` on committed rows, and on training runs."""

import errno
import json
import os
import shutil

import numpy as np
import pytest

from depthbench.research.cli.main import main
from depthbench.research.learning.recipe import NUMBERS
from depthbench.research.machine import host
from depthbench.research.report import comparison, figures, published
from depthbench.research.report.run_folder import opened
from depthbench.research.store import atomic, rows
from tests import forged
from tests.cli.test_command import run_small

TRAIN = (
    "train --depth 2 --width 16 --dataset digits --steps 24 --batch 8 --report-every 8 "
    "--seeds 3"
).split()

MEASURES = "train_loss train_accuracy test_loss test_accuracy log10_ratio".split()


@pytest.fixture(autouse=True)
def no_pictures(monkeypatch):
    monkeypatch.setattr(figures, "lay_out", lambda drawn: None)
    monkeypatch.setattr(figures, "as_png", lambda drawn: b"")
    monkeypatch.setattr(figures, "as_svg", lambda drawn: b"")


@pytest.fixture
def run(once):
    """A small run's folder."""

    def make(out):
        assert run_small(out) == 0

    return once("small for results", make)


@pytest.fixture
def committed(run, tmp_path, monkeypatch):
    """The same run's rows as they are committed."""
    monkeypatch.setattr(published, "RESULTS", tmp_path / "results")
    results = opened(run)
    return published.publish(results.study, results.folder, results.records)


def trained(*more):
    def make(out):
        assert main([*TRAIN, *more, "--out", str(out)]) == 0

    return make


@pytest.fixture
def training(once):
    return once("training for results", trained())


def compared(capsys, a, b):
    capsys.readouterr()
    assert main(["compare", str(a), str(b), "--format", "json"]) == 0
    return json.loads(capsys.readouterr().out)


def refused(capsys, *command):
    capsys.readouterr()
    assert main([*map(str, command)]) == 2
    stdout, stderr = capsys.readouterr()
    assert stdout == "" and len(stderr.splitlines()) == 1, stderr
    return stderr


@pytest.mark.parametrize("name", published.names())
def test_every_studys_committed_rows_are_read_and_equal_themselves(name, capsys):
    """Settings are read back as they were chosen, and nothing differs from itself."""
    path = published.names()[name]
    results = opened(path)
    study = results.study
    for row in results.rows:
        for axis, value in results.cell(row).items():
            if study.axes[axis].choices is not None:
                # A data set that this machine need not have is found by its form.
                known = study.axes[axis].choices
                assert str(value) in known or str(value).startswith(("ts:", "vader:"))
    same = compared(capsys, path, path)
    count = len(results.rows)
    assert (same["identical"], same["cells_in_both"], same["changes"]) == (
        count,
        count,
        [],
    )


def test_a_run_equals_its_committed_rows(run, committed, capsys):
    for a, b in ((run, committed), (committed, run)):
        same = compared(capsys, a, b)
        assert (same["cells_in_both"], same["identical"]) == (4, 4)
        assert same["changes"] == [] and same["environment"] == {}


def test_committed_rows_are_reported_as_they_were(run, committed, capsys):
    before = (committed / "report.md").read_bytes()
    (committed / "report.md").unlink()
    assert main(["report", str(committed)]) == 0
    assert (committed / "report.md").read_bytes() == before
    assert "Claims" in capsys.readouterr().out
    assert "name a run's folder" in refused(capsys, "report", committed, "--publish")


@pytest.mark.parametrize("code, status", [(errno.EACCES, 2), (errno.ENOSPC, 74)])
@pytest.mark.parametrize("kind", ["run", "training"])
def test_what_cannot_be_written_is_shown(
    kind, code, status, request, tmp_path, monkeypatch, capsys
):
    """As of another's folder, which one may only read."""
    folder = shutil.copytree(request.getfixturevalue(kind), tmp_path / "others")
    capsys.readouterr()
    assert main(["report", str(folder)]) == 0
    shown = capsys.readouterr().out
    before = {p: p.read_bytes() for p in folder.rglob("*") if p.is_file()}

    def refused(path, *_):
        raise OSError(code, os.strerror(code), str(path))

    monkeypatch.setattr(atomic, "open", refused, raising=False)
    assert main(["report", str(folder)]) == status
    out, err = capsys.readouterr()
    assert out == shown and len(err.splitlines()) == 1
    assert f"the report is not written: cannot write {folder}" in err
    assert os.strerror(code) in err
    assert {p: p.read_bytes() for p in folder.rglob("*") if p.is_file()} == before


def test_committed_rows_are_verified_and_a_forged_one_is_seen(committed, capsys):
    command = ["verify", str(committed), "--cells", "4"]
    assert main(command) == 0
    assert "4 of 4 cells are identical" in capsys.readouterr().out
    path = committed / "rows.csv"
    header, first, *others = path.read_text().splitlines()
    values = first.split(",")
    values[header.split(",").index("log10_ratio")] = "0.125"
    path.write_text("\n".join([header, ",".join(values), *others]) + "\n")
    assert main(command) == 1
    stdout = capsys.readouterr().out
    assert "DIFFERENT: log10_ratio was 0.125" in stdout and "3 of 4 cells" in stdout


@pytest.mark.slow
def test_a_training_is_verified_up_to_its_first_reports(training, tmp_path, capsys):
    assert main(["verify", str(training), "--cells", "2"]) == 0
    assert "2 of 2 reports are identical" in capsys.readouterr().out
    copy = shutil.copytree(training, tmp_path / "forged")
    path = copy / "reports" / "000000016.json"
    arrays = forged.arrays_of(path)
    arrays["test_loss"] = arrays["test_loss"] + 1
    forged.rewritten(path, rows.pack(arrays))
    assert main(["verify", str(copy)]) == 1
    stdout = capsys.readouterr().out
    assert "step 16: DIFFERENT: test_loss" in stdout
    assert "2 of 3 reports are identical" in stdout


@pytest.mark.slow
def test_a_training_of_another_device_is_not_verified(training, monkeypatch, capsys):
    here = host.environment()
    monkeypatch.setattr(host, "environment", lambda: {**here, "device": "NVIDIA H100"})
    assert main(["verify", str(training)]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert f"made on {here['device']}, whose bits no NVIDIA H100 has" in line
    assert "`depthbench compare` both" in line


@pytest.mark.slow
def test_trainings_are_compared_at_their_last_report(training, once, capsys):
    same = compared(capsys, training, training)
    assert (same["cells_in_both"], same["identical"], same["changes"]) == (1, 1, [])
    faster = once("faster training", trained("--learning-rate", "1e-2"))
    other = compared(capsys, training, faster)
    assert other["cells_in_both"] == 1  # a number that both have one of is a setting
    assert other["environment"]["learning_rate"][1] == [0.01]
    assert {change["column"] for change in other["changes"]} <= {*MEASURES}
    assert other["changes"]
    several = once("trainings", trained("--learning-rate", "1e-2,1e-1"))
    third = once("other trainings", trained("--learning-rate", "1e-2,1e-3"))
    shared = compared(capsys, several, third)
    counts = (shared["cells_in_both"], shared["only_in_a"], shared["only_in_b"])
    assert counts == (1, 1, 1)


@pytest.mark.slow
def test_what_has_no_cell_in_common_is_refused(run, training, once, tmp_path, capsys):
    other = tmp_path / "deeper"
    assert run_small(other, "--depth", "2,3") == 0
    stderr = refused(capsys, "compare", run, other)
    assert "share no cell: depth is 1, 4 in one, 2, 3 in the other" in stderr
    assert "a training run" in refused(capsys, "compare", run, training)


@pytest.mark.parametrize("command", ["compare", "report", "verify"])
@pytest.mark.parametrize(
    "damage",
    ["nothing", "no rows", "no columns", "no text", "half a stamp", "no study"],
)
def test_damaged_results_are_one_line(command, damage, committed, capsys):
    if damage == "nothing":
        shutil.rmtree(committed)
    elif damage == "no rows":
        (committed / "rows.csv").write_text("")
    elif damage == "no columns":
        (committed / "rows.csv").write_text("a,b\n1,2\n")
    elif damage == "no text":
        (committed / "rows.csv").write_bytes(b"\xff\xfe\x00")
    elif damage == "half a stamp":
        (committed / "stamp.json").write_text("{")
    else:
        forged.edited(committed, study="of_another_version")
    more = [committed] if command == "compare" else []
    assert str(committed) in refused(capsys, command, committed, *more)


def of(mean, error, seeds, **more):
    return {"x": mean, "x_se": error, "seeds": seeds, **more}


def test_seed_means_are_compared_by_students_t():
    """By hand: three seeds each, equal errors: 4 degrees of freedom, t = 4.604 at 1 %."""
    apart = 4.604 * 2**0.5 * 0.1
    assert comparison.alike(of(1.0, 0.1, 3), of(1.0 + 0.99 * apart, 0.1, 3), "x")
    assert not comparison.alike(of(1.0, 0.1, 3), of(1.0 + 1.01 * apart, 0.1, 3), "x")
    # Of many seeds the normal's 2.576; of an error in one alone, that one's seeds.
    normal = 2.576 * 2**0.5 * 0.1
    assert comparison.by_chance(
        of(0, 0.1, 10**6), of(0, 0.1, 10**6), "x_se"
    ) == pytest.approx(normal, rel=1e-3)
    one = comparison.by_chance(of(0, 0.1, 3), of(0, 0.0, 3), "x_se")
    assert one == pytest.approx(9.925 * 0.1, rel=1e-3)


def test_means_have_the_freedom_of_the_runs_that_ended():
    """Of five seeds three diverged: one degree of freedom each, two together."""
    two = comparison.by_chance(of(0, 0.1, 2), of(0, 0.1, 2), "x_se")
    counted = of(0, 0.1, 5, x_seeds=2)
    assert comparison.by_chance(counted, counted, "x_se") == two
    # Rows that were committed have the share that diverged.
    row = {"seeds": 5, "diverged": 0.6, "test_loss_se": 0.1, "test_accuracy_se": 0.1}
    assert comparison.by_chance(row, row, "test_loss_se") == two
    five = comparison.by_chance(of(0, 0.1, 5), of(0, 0.1, 5), "x_se")
    assert comparison.by_chance(row, row, "test_accuracy_se") == five


def test_a_trainings_last_report_says_how_many_seeds_each_mean_is_of():
    numbers = dict.fromkeys(NUMBERS)
    ended = [
        {**numbers, "step": 9, "status": status, "test_loss": loss}
        for status, loss in (("ok", 1.0), ("ok", 3.0), *3 * [("diverged", 1e9)])
    ]
    row = comparison._ended(ended)
    counts = (row["seeds"], row["diverged"], row["test_loss_seeds"])
    assert counts == (5, 3, 2)
    assert (row["test_loss"], row["test_loss_se"]) == (2.0, 1.0)
    assert comparison.columns(row, row, NUMBERS) == [
        "seeds",
        "step",
        "diverged",
        "test_loss",
    ]


@pytest.mark.slow
def test_as_many_values_are_listed_by_chance_as_the_level_says():
    random = np.random.default_rng(0)
    draws = random.standard_normal((2, 20_000, 4))
    means = draws.mean(axis=2)
    errors = draws.std(axis=2, ddof=1) / 2
    listed = [
        not comparison.alike(of(*pair[0], 4), of(*pair[1], 4), "x")
        for pair in zip(
            zip(means[0], errors[0], strict=True),
            zip(means[1], errors[1], strict=True),
            strict=True,
        )
    ]
    # Welch's approximation is a little careful with so few: 0.7 % of 20,000, ± 0.06 %.
    assert 0.004 < np.mean(listed) < 0.0115


@pytest.mark.parametrize(
    ("a", "b", "same"),
    [
        (None, "", True),
        (None, 0.0, False),
        (0, False, True),
        (True, False, False),
        (True, 1.5, False),
        ("inf", 3.0, False),
        ("tanh", "relu", False),
        (1.0, 1.00005, True),
        (1.0, 1.001, False),
    ],
)
def test_values_without_errors_are_equal_to_rounding(a, b, same):
    assert comparison.alike({"x": a}, {"x": b}, "x") == same


def test_times_are_alike_where_their_quartiles_overlap():
    def time(median, low, high):
        return {"step_ms": median, "step_ms_low": low, "step_ms_high": high}

    assert comparison.alike(time(5, 4, 6), time(7, 5.5, 8), "step_ms")
    assert not comparison.alike(time(5, 4, 6), time(9, 6.5, 9), "step_ms")
