"""The command line as a user runs it: answers, mistakes, and what must not be imported."""

import importlib.metadata
import json
import re
import shutil
import subprocess
import sys

import pytest

from depthbench.research.catalogues.activations import ACTIVATIONS
from depthbench.research.cli.main import main
from depthbench.research.report import figures
from tests import forged

SMALL = (
    "--architecture mlp --activation tanh,relu --initializer he_normal --depth 1,4 "
    "--width 16 --batch 4"
).split()


def run_small(out, *more):
    return main(["run", "gradient_flow", *SMALL, "--out", str(out), *more])


@pytest.fixture
def finished(once, tmp_path):
    """A small run's folder, made once and copied."""

    def make(out):
        assert run_small(out) == 0

    return shutil.copytree(once("small", make), tmp_path / "finished")


@pytest.fixture
def no_pictures(finished, monkeypatch):
    """Pictures take ten times as long as the rows; the finished run has its own."""
    monkeypatch.setattr(figures, "lay_out", lambda drawn: None)
    monkeypatch.setattr(figures, "as_png", lambda drawn: b"")
    monkeypatch.setattr(figures, "as_svg", lambda drawn: b"")


quick = pytest.mark.usefixtures("no_pictures")

FLOW = ["run", "gradient_flow", "--architecture"]
MISTAKES = [
    (["rum"], ["unknown command 'rum'", "run"]),
    (["--verson"], ["unknown command '--verson'", "did you mean --version"]),
    (FLOW + ["resnet", "--depth", "7"], ["has depth 6n + 2, not 7", "nearest: 8"]),
    (FLOW + ["lenet5", "--dataset", "digits"], ["sides of at least 16, not 8"]),
    (FLOW + ["vit", "--normalizer", "batch"], ["takes normalizer layer, rms"]),
    (FLOW + ["alexnet", "--width", "7"], ["a width divisible by 2, not 7"]),
    (["run", "peers", "--case", "resnet20_scan", "--depth", "7"], ["6n + 2, not 7"]),
    (FLOW + ["resnet", "--depth", "1000000000"], ["nearest: 999999998"]),
    (FLOW + ["lenet5", "--depth", "1000000000"], ["nearest: 5"]),
    (["run", "identity_recurrence", "--lag", "60"], ["--lag 60", "50, 200, 750"]),
    (["run", "gradient_flo"], ["unknown study 'gradient_flo'", "gradient_flow"]),
    (["run", "gradient_flow", "--dept", "4"], ["--dept", "did you mean --depth"]),
    (["run", "gradient_flow", "4"], ["unexpected '4'"]),
    (["run", "gradient_flow", "--activation", "rleu"], ["'rleu'", "relu"]),
    (["run", "gradient_flow", "--activation", ""], ["--activation '': is empty"]),
    (["run", "gradient_flow", "--initializer", "he"], ["'he'", "he_normal"]),
    (["run", "gradient_flow", "--architecture", "mpl"], ["'mpl'", "mlp"]),
    (["run", "gradient_flow", "--depth", "0"], ["--depth 0", "from 1"]),
    (["run", "gradient_flow", "--depth", "-3"], ["--depth -3", "from 1"]),
    (["run", "gradient_flow", "--depth", "4.5"], ["'4.5'", "whole number"]),
    (["run", "gradient_flow", "--depth"], ["--depth", "expected one argument"]),
    (["run", "gradient_flow", "--sigma-w2", "-1"], ["--sigma-w2 -1", "from 0"]),
    (["run", "gradient_flow", "--sigma-w2", "nan"], ["--sigma-w2 'nan'", "a number"]),
    (["run", "gradient_flow", "--sigma-w2", "inf"], ["--sigma-w2 'inf'", "a number"]),
    (["run", "gradient_flow", "--seeds", "1,2"], ["--seeds", "one value"]),
    (["run", "gradient_flow", "--size", "smok"], ["smok", "smoke"]),
    (["run", "gradient_flow", "--format", "jsn"], ["jsn", "json"]),
    (["run", "gradient_flow", "--shard", "3/2"], ["3/2", "I/N"]),
    (["run", "gradient_flow", "--retry", "omm"], ["omm", "oom"]),
    (["run", "gradient_flow", "--memory", "none"], ["none", "GiB"]),
    (["run", "gradient_flow", "--depth", "900000000"], ["900000000", "may be used"]),
    (
        ["run", "gradient_flow", "--depth", ",".join(map(str, range(1, 9999)))],
        ["9998 of depth", "at most 100,000"],
    ),
    (["run", "gradient_flow", "--shard", "1/٢"], ["I/N"]),
    (["run", "gradient_flow", "--out", "~nobody-here/x"], ["no such user's home"]),
    (["train", "--coordinator", "h:99999"], ["--mesh"]),
    (
        "train --mesh data=1 --num-processes 2 --process-id 0".split()
        + ["--coordinator", "h:99999"],
        ["h:99999", "a port from 1 to 65535"],
    ),
    (
        ["train", "--seeds", "10000", "--clip", ",".join(map(str, range(1, 12)))],
        ["110,000 runs", "at most 100,000"],
    ),
    (
        ["train", "--dataset", "fashion_mnist", "--data-dir", "nowhere"],
        ["--data-dir nowhere", "no such folder"],
    ),
    (["theory", "tanh", "--figure", "no/x.png"], ["no folder no"]),
    (["theory", "tahn"], ["'tahn'", "tanh"]),
    (["theory", "tanh", "--sigma-w2", "0"], ["--sigma-w2 0", "at least"]),
    (["theory", "tanh", "--sigma-b2", "-0.1"], ["--sigma-b2 -0.1", "at least 0"]),
    (["theory", "tanh", "--sigma-w2", "1,2"], ["one value"]),
    (["theory", "tanh", "--figure", "x.bmp"], ["x.bmp", ".png or .svg"]),
    (["theory"], ["activation"]),
    (["list", "activation"], ["activation", "activations"]),
    (["report", "/no/such/folder"], ["/no/such/folder", "no such folder"]),
    (["verify", "."], ["not a run's folder"]),
    (["compare", "/no/a", "/no/b"], ["/no/a"]),
    (["reproduce", "gradient_flo"], ["no published table", "gradient_flow"]),
    (["claims", "--read"], ["unknown flag --read"]),
]


@pytest.mark.parametrize(
    ("arguments", "phrases"), MISTAKES, ids=lambda v: " ".join(v)[:40]
)
def test_a_mistake_gets_one_line_and_status_2(
    arguments, phrases, capsys, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    assert main(arguments) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.count("\n") == 1, captured.err
    assert "Traceback" not in captured.err
    for words in phrases:
        assert words in captured.err
    rows = [p for p in tmp_path.rglob("*") if p.suffix in (".json", ".csv", ".npz")]
    assert rows == []


def test_an_unusable_out_is_refused(tmp_path, capsys):
    file = tmp_path / "file"
    file.write_text("mine")
    other = tmp_path / "other"
    other.mkdir()
    (other / "thesis.tex").write_text("mine")
    for out, words in (
        (file, "is a file"),
        (file / "below", "is a file"),
        (other, "holds other files"),
    ):
        assert run_small(out) == 2
        message = capsys.readouterr().err
        assert words in message and str(out) in message
    assert file.read_text() == "mine"
    assert [p.name for p in other.iterdir()] == ["thesis.tex"]


@quick
def test_rows_have_the_promised_columns(finished, capsys):
    assert run_small(finished, "--format", "json") == 0
    rows = json.loads(capsys.readouterr().out)
    assert len(rows) == 4
    promised = (
        "architecture activation initializer depth width seeds status reason log10_ratio "
        "log10_slope log10_slope_se log10_slope_theory signal_lost_at saturated"
    )
    for row in rows:
        assert set(promised.split()) <= set(row)
        assert row["status"] == "ok" and row["seeds"] == 3
    csv = (finished / "rows.csv").read_text().splitlines()
    assert csv[0].split(",") == list(rows[0])
    assert len(csv) == 5


@quick
def test_formats_say_the_same(finished, capsys):
    shown = {}
    for form in ("table", "markdown", "csv"):
        assert run_small(finished, "--format", form) == 0
        shown[form] = capsys.readouterr().out
    assert shown["csv"] == (finished / "rows.csv").read_text()
    assert "| mlp" in shown["markdown"] and "Claims" in shown["markdown"]
    assert "relu" in shown["table"] and "Claims" in shown["table"]
    assert max(map(len, shown["table"].splitlines())) <= 100


@quick
def test_the_same_command_twice_gives_identical_rows(finished, tmp_path):
    assert run_small(tmp_path / "again") == 0
    first, second = (folder / "cells" for folder in (finished, tmp_path / "again"))
    names = sorted(p.name for p in first.iterdir())
    assert names == sorted(p.name for p in second.iterdir()) and len(names) == 8
    for name in names:
        assert (first / name).read_bytes() == (second / name).read_bytes(), name


@quick
def test_a_cells_row_does_not_depend_on_what_else_is_asked(finished, tmp_path, capsys):
    alone = ["--activation", "relu", "--depth", "4", "--format", "json"]
    assert run_small(tmp_path / "alone", *alone) == 0
    (row,) = json.loads(capsys.readouterr().out)
    assert run_small(finished, "--format", "json") == 0
    others = json.loads(capsys.readouterr().out)
    (same,) = (o for o in others if o["activation"] == "relu" and o["depth"] == 4)
    # A switch of one branch compiles to other instructions than one of two: rounding.
    assert row["log10_ratio"] == pytest.approx(same["log10_ratio"], abs=1e-5)
    assert row["verdict"] == same["verdict"]


def test_dry_run_runs_nothing(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(["run", "gradient_flow", "--dry-run"]) == 0
    stdout = capsys.readouterr().out
    cells = 3 * len(ACTIVATIONS) * 4 * 6  # architectures, initialisers, depths
    counts = {"cells": cells, "compiled programs": 3}
    for words, count in counts.items():
        assert re.search(rf"^{words} +{count}$", stdout, re.MULTILINE), words
    for words in ("memory", "time", "nothing"):
        assert words in stdout
    assert list(tmp_path.iterdir()) == []


def test_report_makes_every_file(finished, capsys):
    names = ("rows.csv", "report.md", "report.html", "figure.svg", "figure.png")
    before = {name: (finished / name).read_bytes() for name in names}
    for name in names:
        (finished / name).unlink()
    assert main(["report", str(finished)]) == 0
    for name in names:
        assert (finished / name).read_bytes() == before[name], name
    page = before["report.html"].decode()
    assert "data:image/png;base64," in page and 'src="figure' not in page


@quick
def test_compare_and_verify_agree_with_themselves(finished, tmp_path, capsys):
    more = ("--initializer", "he_normal,lecun_normal")
    assert run_small(tmp_path / "b", *more) == 0
    capsys.readouterr()
    command = ["compare", str(finished), str(tmp_path / "b"), "--format", "json"]
    assert main(command) == 0
    comparison = json.loads(capsys.readouterr().out)
    assert (comparison["cells_in_both"], comparison["only_in_b"]) == (4, 4)
    assert comparison["changes"] == []
    assert main(["verify", str(finished), "--cells", "2"]) == 0
    assert "2 of 2 cells are identical" in capsys.readouterr().out


def test_compare_names_what_changed(finished, tmp_path, capsys):
    from depthbench.research.store import rows

    cells = shutil.copytree(finished, tmp_path / "b") / "cells"
    path = sorted(cells.glob("*.json"))[0]
    record = rows.load(path)
    moved = {**record.values, "log10_ratio": record.values["log10_ratio"] + 5}
    forged.rewritten(path, values=moved)
    capsys.readouterr()
    assert (
        main(["compare", str(finished), str(tmp_path / "b"), "--format", "json"]) == 0
    )
    (change,) = json.loads(capsys.readouterr().out)["changes"]
    assert change["column"] == "log10_ratio"
    assert change["after"] - change["before"] == pytest.approx(5)


def test_verify_sees_a_forged_row(finished, tmp_path, capsys):
    from depthbench.research.store import rows

    cells = shutil.copytree(finished, tmp_path / "run") / "cells"
    path = sorted(cells.glob("*.json"))[0]
    record = rows.load(path)
    forged.rewritten(path, values={**record.values, "log10_ratio": 0.0})
    capsys.readouterr()
    assert main(["verify", str(tmp_path / "run")]) == 1
    assert "DIFFERENT: log10_ratio was 0.0" in capsys.readouterr().out


def test_theory_gives_the_promised_keys(capsys):
    command = "theory tanh --sigma-w2 1.7 --sigma-b2 0.05 --format json".split()
    assert main(command) == 0
    theory = json.loads(capsys.readouterr().out)
    promised = (
        "q_star chi_1 c_star chi_c xi_q xi_c trainable_depth sigma_w2_critical phase "
        "converged"
    )
    assert set(promised.split()) <= set(theory)
    assert theory["phase"] == "ordered" and theory["converged"] is True
    assert theory["trainable_depth"] == pytest.approx(6 * theory["xi_c"])


@pytest.mark.parametrize(
    "suffix", [pytest.param(".png", marks=pytest.mark.exhaustive), ".svg"]
)
def test_theory_draws_a_phase_diagram(tmp_path, suffix, capsys):
    picture = tmp_path / f"phase{suffix}"
    assert main(["theory", "relu", "--figure", str(picture)]) == 0
    start = {".png": b"\x89PNG", ".svg": b"<?xml"}[suffix]
    assert picture.read_bytes().startswith(start)


def test_list_names_every_entry_and_source(capsys):
    assert main(["list", "--format", "json"]) == 0
    catalogues = json.loads(capsys.readouterr().out)
    from depthbench.research.catalogues.activations import ACTIVATIONS

    assert [e["name"] for e in catalogues["activations"]] == list(ACTIVATIONS)
    assert {"gradient_flow", "edge_of_chaos", "gradient_rate"} <= {
        s["name"] for s in catalogues["studies"]
    }
    assert all(entry["source"] for entries in catalogues.values() for entry in entries)


def test_doctor_tells_what_decides_bits(capsys):
    assert main(["doctor", "--format", "json"]) == 0
    environment = json.loads(capsys.readouterr().out)
    assert {"jax", "flax", "device", "devices", "memory", "denormals"} <= set(
        environment
    )
    assert environment["denormals"] in ("flushed to zero", "kept")


def test_the_version_is_a_line_for_a_bug_report(capsys, monkeypatch):
    assert main(["--version"]) == 0
    python = ".".join(map(str, sys.version_info[:3]))
    own, jax = (importlib.metadata.version(name) for name in ("depthbench", "jax"))
    told = f"depthbench {own}, jax {jax}, Python {python}"
    assert capsys.readouterr().out == f"{told}\n"

    def missing(name):
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(importlib.metadata, "version", missing)
    assert main(["--version"]) == 0  # of a checkout that nothing was installed from
    assert "depthbench (not installed)" in capsys.readouterr().out


QUIET = [
    ["--help"],
    ["--version"],
    ["run", "--help"],
    ["run", "gradient_flow", "--help"],
    ["list"],
    ["run", "gradient_flow", "--dry-run"],
    ["run", "gradient_flow", "--activation", "rleu"],
]


def test_quick_answers_do_not_import_jax(tmp_path):
    code = (
        "import json, sys\n"
        "from depthbench.research.cli.main import main\n"
        "for arguments in json.loads(sys.argv[1]):\n"
        "    try:\n        main(arguments)\n    except SystemExit:\n        pass\n"
        "    heavy = {'jax', 'sklearn'} & set(sys.modules)\n"
        "    assert not heavy, (arguments, heavy)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, json.dumps(QUIET)],
        capture_output=True,
        text=True,
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stderr


def test_report_does_not_import_jax(finished):
    code = (
        "import sys\nfrom research.cli.main import main\n"
        "assert main(['report', sys.argv[1]]) == 0\nassert 'jax' not in sys.modules\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(finished)], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr


def test_the_module_does_the_same_as_the_command(capsys):
    """With every flag; that processes agree in bits is in test_runs."""
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.gradient_flow", *SMALL, "--dry-run"],
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stderr) == (0, "")  # quiet: it is not a terminal
    assert main(["run", "gradient_flow", *SMALL, "--dry-run"]) == 0

    def lasting(text):  # what is free changes from one moment to the next
        return [line for line in text.splitlines() if not line.startswith("memory")]

    assert lasting(done.stdout) == lasting(capsys.readouterr().out)
    assert "cells               4" in done.stdout


def test_brackets_in_a_table_are_text_and_not_markup(capsys):
    from rich.console import Console

    from depthbench.research.report.rendering import show
    from depthbench.research.study.tables import Table

    table = Table("install [peers]", ("[way]",), (("depthbench[peers]",),))
    show(table, Console(width=80))
    stdout = capsys.readouterr().out
    assert stdout.count("[peers]") == 2 and "[way]" in stdout
