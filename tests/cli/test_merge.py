"""`depthbench merge`: parts of a run as one folder, whole or not at all, and the parts as
they were."""

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time

import msgspec
import pytest

from depthbench.research.cli.main import main
from depthbench.research.cli.shard import VARIABLES
from depthbench.research.engine import merging, runner
from depthbench.research.report import figures
from depthbench.research.store import folder as folders
from depthbench.research.store import manifest as manifests
from depthbench.research.store import rows
from depthbench.research.store.folder import Folder
from depthbench.research.study import plan
from depthbench.research.study.errors import Refusal
from depthbench.research.study.studies import studies
from tests import forged
from tests.cli.test_command import SMALL, run_small

pytestmark = pytest.mark.slow  # real runs, in parts
STUDIES = ("gradient_flow", "linear_regions")


@pytest.fixture(autouse=True)
def no_pictures(monkeypatch):
    """Pictures take ten times as long as the rows."""
    monkeypatch.setattr(figures, "lay_out", lambda drawn: None)
    monkeypatch.setattr(figures, "as_png", lambda drawn: b"")
    monkeypatch.setattr(figures, "as_svg", lambda drawn: b"")


@pytest.fixture
def whole(once, monkeypatch):
    """The folder of a study's run of smoke size, made once."""

    def of(name):
        def make(out):
            assert main(["run", name, "--size", "smoke", "--out", str(out)]) == 0

        return once(f"smoke-{name}", make)

    return of


@pytest.fixture
def parts(once, tmp_path, capsys):
    """Two shares of a small run, in two folders, to be changed."""

    def make(out):
        for number in (1, 2):
            assert run_small(out / str(number), "--shard", f"{number}/2") == 0

    shutil.copytree(once("small-in-two", make), tmp_path / "parts")
    capsys.readouterr()
    return [tmp_path / "parts" / "1", tmp_path / "parts" / "2"]


def split(folder, units, count, place):
    """Copies of a folder, of which each has the rows of one share of so many."""
    study, data = units[0].study, list(manifests.of(folder).data.values())
    made = []
    for number in range(1, count + 1):
        part = place / str(number)
        (part / "cells").mkdir(parents=True)
        for name in manifests.NAMES:
            shutil.copy(folder / name, part)
        for unit in runner.share(units, f"{number}/{count}"):
            for cell in unit.cells:
                name = rows.cell_id(study, cell, data[0] if data else "none")
                for file in (folder / "cells").glob(f"{name}.*"):
                    shutil.copy(file, part / "cells")
        made.append(part)
    return made


def files(folder, *apart):
    """All files of a folder, but for locks and manifests, and those apart."""
    apart = (*manifests.NAMES, *apart)
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name not in apart and ".lock" not in path.name
    }


def tree(*places):
    """Everything in folders, and when it was written; of a lock, by whom."""
    times = lambda path: 0 if path.name == ".lock" else path.stat().st_mtime_ns
    return {
        path: (times(path), path.read_bytes() if path.is_file() else b"")
        for place in places
        for path in sorted(place.rglob("*"))
    }


def lasting(folder):
    """The manifest without times."""
    return msgspec.structs.replace(manifests.of(folder), history=[])


def merge(*words):
    return main(["merge", *map(str, words)])


def refused(capsys, *words, status=2):
    """The line with which a merge is refused, that makes nothing and changes nothing."""
    capsys.readouterr()
    places = [word.parent for word in words if not isinstance(word, str)]
    before = tree(*places)
    assert merge(*words) == status
    stdout, stderr = capsys.readouterr()
    assert not stdout and stderr.count("\n") == 1, stderr
    assert tree(*places) == before
    return stderr


@pytest.mark.parametrize("name", STUDIES)
def test_any_shares_merged_are_the_folder_of_the_plain_run(name, whole, tmp_path):
    """Of as many shares as there are units, of more, and of some numbers between; in an
    order that is drawn."""
    folder, study = whole(name), studies()[name]
    records, _ = folders.records(Folder(folder))
    cells = [record.settings for record in records]
    units, chance = plan.units(study, cells), random.Random(0)
    for count in sorted({1, 2, 3, len(units), len(units) + 1}):
        made = split(folder, units, count, tmp_path / str(count))
        chance.shuffle(made)
        before = tree(*made)
        out = tmp_path / f"joined-{count}"
        assert merge(*made, "--out", out) == 0
        assert files(out) == files(folder)
        assert manifests.of(out) == manifests.of(folder)
        assert tree(*made) == before


def test_shares_that_were_run_are_the_plain_run(parts, once, tmp_path, capsys):
    plain = once("small", lambda out: run_small(out))
    assert merge(*parts, "--out", tmp_path / "joined") == 0
    assert "4 of 4 cells" in capsys.readouterr().out
    assert files(tmp_path / "joined" / "cells") == files(plain / "cells")
    assert lasting(tmp_path / "joined") == lasting(plain)
    for name in ("rows.csv", "report.md"):
        joined = (tmp_path / "joined" / name).read_bytes()
        assert joined == (plain / name).read_bytes()
    history = manifests.of(tmp_path / "joined").history
    assert sum(event.done or 0 for event in history) == 4
    assert run_small(tmp_path / "joined", "--dry-run") == 0
    assert run_small(tmp_path / "joined") == 0  # nothing is left to be run
    assert len(list((tmp_path / "joined" / "cells").glob("*.json"))) == 4


def test_the_script_for_a_slurm_array(root, tmp_path, once, capsys):
    """Its tasks, begun by hand with the variables that SLURM sets; from 4 in steps of 3."""
    script = ["bash", str(root / "benchmarks" / "array.sh"), "gradient_flow", *SMALL]
    for number in ("4", "7"):
        variables = dict(zip(VARIABLES, (number, "4", "8", "3", "2"), strict=True))
        environment = {**os.environ, **variables, "PARTS": str(tmp_path / "parts")}
        environment["PATH"] = os.pathsep.join(
            [os.path.dirname(sys.executable), os.environ["PATH"]]
        )
        done = subprocess.run(
            script, env=environment, cwd=root, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr
        assert "2 of 4 cells so far." in done.stdout
    places = sorted((tmp_path / "parts").iterdir())
    assert [place.name for place in places] == ["4", "7"]
    # Tests have XLA compile with less care, and a second device: other settings, same rows.
    assert merge(*places, "--out", tmp_path / "joined") == 0
    assert "4 of 4 cells" in capsys.readouterr().out


def test_a_part_says_how_much_it_is_and_leaves_claims_open(parts, capsys):
    first, _ = parts
    assert main(["report", str(first)]) == 0
    shown = capsys.readouterr()
    assert "2 of 4 cells are here" in shown.err
    assert shown.out.startswith("2 of 4 cells so far. ")
    for name in ("report.md", "report.html"):
        assert "2 of 4 cells so far" in (first / name).read_text()
    assert main(["report", str(first), "--publish"]) == 2
    assert "has 2 of 4 cells" in capsys.readouterr().err


def test_one_part_alone_is_a_part(parts, tmp_path, capsys):
    assert merge(parts[0], "--out", tmp_path / "joined") == 0
    shown = capsys.readouterr()
    assert "2 of 4 cells: " in shown.out and "depthbench status" in shown.out
    assert merge(parts[1], "--out", tmp_path / "joined") == 0  # as a run goes on
    assert "4 of 4 cells: " in capsys.readouterr().out
    assert merge(*parts, "--out", tmp_path / "joined") == 0
    assert "2 cells, 2 of them in another folder too" in capsys.readouterr().out


def test_what_is_left_of_a_start_or_empty_is_a_new_folder(parts, tmp_path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "begun").mkdir()
    (tmp_path / "begun" / ".lock").write_text("12")
    (tmp_path / "sent" / folders.JOBS / "all" / "1").mkdir(parents=True)
    (tmp_path / "sent" / folders.JOBS / "all" / "1" / "alive").touch()
    for name in ("empty", "begun", "sent", "deep/er"):
        assert merge(*parts, "--out", tmp_path / name) == 0
        assert len(folders.records(Folder(tmp_path / name))[0]) == 4
        assert not (tmp_path / name / folders.JOBS).exists()


@pytest.mark.parametrize("harm", ["flip", "truncate", "profiles", "renamed", "study"])
def test_a_damaged_row_is_refused_by_name(parts, tmp_path, capsys, harm):
    path = sorted((parts[1] / "cells").glob("*.json"))[0]
    content = bytearray(path.read_bytes())
    if harm == "flip":
        content[len(content) // 2] ^= 1
        path.write_bytes(content)
    elif harm == "truncate":
        path.write_bytes(content[:50])
    elif harm == "profiles":
        path.with_suffix(".npz").write_bytes(b"PK")
    elif harm == "renamed":
        forged.rewritten(path, settings={**json.loads(content)["settings"], "depth": 9})
    else:
        forged.rewritten(path, study="finite_width")
    line = refused(capsys, *parts, "--out", tmp_path / "joined")
    assert path.stem in line and str(parts[1]) in line


def test_rows_of_one_cell_are_to_be_equal(parts, tmp_path, capsys):
    path = sorted((parts[0] / "cells").glob("*.json"))[0]
    for file in (path, path.with_suffix(".npz")):
        shutil.copy(file, parts[1] / "cells")
    assert merge(*parts, "--out", tmp_path / "equal") == 0
    assert "1 of them in another folder too" in capsys.readouterr().out
    values = json.loads(path.read_bytes())["values"]
    copy = parts[1] / "cells" / path.name
    forged.rewritten(copy, values={**values, "log10_ratio": 1.5})
    for accepted in ([], ["--accept-changes"]):
        line = refused(capsys, *parts, "--out", tmp_path / "joined", *accepted)
        assert f"{path.name}: log10_ratio is 1.5" in line
    # Into a folder too, of which nothing is changed then.
    line = refused(capsys, parts[1], "--out", tmp_path / "equal")
    assert "log10_ratio" in line


def test_only_times_may_differ(parts):
    one = merging.part(parts[0]).records[0]
    slower = {**one.values, "step_ms": 2.0}
    two = msgspec.structs.replace(one, values={**one.values, "step_ms": 1.0})
    three = msgspec.structs.replace(one, values=slower, reason="another machine's")
    assert merging.difference(two, three, ("step_ms",)) == ""
    assert "step_ms is 2.0, and 1.0" in merging.difference(two, three, ())
    assert "status" in merging.difference(
        one, msgspec.structs.replace(one, status="oom"), ()
    )
    assert "profiles" in merging.difference(
        one, msgspec.structs.replace(one, profiles=None), ()
    )


@pytest.mark.parametrize("what", ["code", "environment", "data"])
def test_what_was_made_otherwise_is_refused_or_recorded(parts, tmp_path, capsys, what):
    body = manifests.of(parts[1])
    if what == "code":
        change, word = (
            {"code": {**body.code, "research/signal/probes.py": "0" * 16}},
            "",
        )
        word = "research/signal/probes.py has changed"
    elif what == "environment":
        change, word = {"environment": {**body.environment, "jax": "0.0.1"}}, "0.0.1"
    else:
        change, word = {"data": dict.fromkeys(body.data, "0" * 16)}, "other contents"
    forged.edited(parts[1], **change)
    line = refused(capsys, *parts, "--out", tmp_path / "joined")
    assert word in line and "--accept-changes" in line and str(parts[1]) in line
    out = tmp_path / "accepted"
    assert merge(*parts, "--out", out, "--accept-changes") == 0
    accepted = [word for event in manifests.of(out).history for word in event.accepted]
    assert any(word in each for each in accepted)
    assert files(out / "cells") == {
        **files(parts[0] / "cells"),
        **files(parts[1] / "cells"),
    }  # each with its own stamp


def test_what_is_no_part_is_refused(parts, whole, tmp_path, capsys, root):
    out = tmp_path / "joined"
    other = shutil.copytree(whole("linear_regions"), tmp_path / "other")
    assert "linear_regions" in refused(capsys, parts[0], other, "--out", out)
    committed = root / "benchmarks" / "results" / "cpu" / "digits"
    assert "committed rows" in refused(capsys, parts[0], str(committed), "--out", out)
    assert "named twice" in refused(capsys, parts[0], parts[0], "--out", out)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.tex").write_text("mine")
    assert "no run.json" in refused(capsys, tmp_path / "mine", "--out", out)
    line = refused(capsys, *parts, "--out", tmp_path / "mine")
    assert "holds other files, such as thesis.tex" in line
    assert "one of the parts" in refused(capsys, *parts, "--out", parts[1])
    assert "only read" in refused(capsys, *parts, "--out", parts[1] / "deeper")
    line = refused(capsys, *parts, "--out", other)
    assert "contains linear_regions, not gradient_flow" in line
    for part in parts:
        shutil.rmtree(part / "cells")
    assert "contain no rows" in refused(capsys, *parts, "--out", out)


def test_folders_at_which_a_run_is_at_work_are_refused(parts, tmp_path, capsys):
    with folders.held(parts[1], "gradient_flow", "2/2"):
        line = refused(capsys, *parts, "--out", tmp_path / "joined", status=75)
        assert f"process {os.getpid()} (share 2/2) is running here" in line
    assert merge(*parts, "--out", tmp_path / "joined") == 0
    with folders.held(tmp_path / "joined", "gradient_flow"):
        line = refused(capsys, *parts, "--out", tmp_path / "joined", status=75)
        assert "is running here" in line


def test_a_merge_of_equal_number_elsewhere_takes_nothing_of_ours(
    parts, tmp_path, monkeypatch
):
    """A process of another machine that fails at the same folder, while this one merges."""
    every = merging.merged([merging.part(path) for path in parts], False, ())
    out = tmp_path / "joined"

    def meanwhile(folder):
        with pytest.raises(Refusal, match="cannot be made"):
            merging.write(every, out, out, lambda folder: os.rmdir(folder.cells))

    monkeypatch.setattr(os, "getpid", lambda: 12)
    monkeypatch.setattr(merging, "_tidy", lambda out: None)  # has no lock of theirs yet
    merging.write(every, out, out, meanwhile)
    assert len(folders.records(Folder(out))[0]) == 4
    assert not list(tmp_path.glob(".joined.*.tmp"))


@pytest.mark.parametrize("kills", [4, pytest.param(50, marks=pytest.mark.exhaustive)])
def test_killed_at_any_moment_it_leaves_nothing_half(parts, tmp_path, kills):
    """Killed as the folder beside comes up, or a while later: drawn over as long as the
    rest takes."""
    out, before = tmp_path / "new" / "joined", tree(*parts)
    command = [sys.executable, "-m", "depthbench", "merge", *map(str, parts)]
    command += ["--out", str(out)]
    chance, lasts, killed = random.Random(), 2.0, 0

    def halves():
        return [*out.parent.glob(".joined.*.tmp")]

    while killed < kills:
        process = subprocess.Popen(
            command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
        )
        known = set(halves())
        until = time.monotonic() + 120
        while process.poll() is None and not set(halves()) - known:
            assert time.monotonic() < until, "nothing was begun"
            time.sleep(0.002)
        began = time.monotonic()
        time.sleep(chance.uniform(0, 1.2 * lasts))
        process.send_signal(signal.SIGKILL)
        _, stderr = process.communicate()
        assert process.returncode in (0, -9), stderr
        killed += process.returncode == -9
        if out.exists():
            lasts = min(lasts, time.monotonic() - began)
            records, damaged = folders.records(Folder(out))
            assert len(records) == 4 and not damaged and (out / "report.html").exists()
            shutil.rmtree(out)
        assert tree(*parts) == before
    assert merge(*parts, "--out", out) == 0
    assert [path.name for path in out.parent.iterdir()] == ["joined"]
    assert not list(out.rglob("*.tmp"))


def test_killed_while_it_adds_it_goes_on(parts, tmp_path, capsys):
    """The folder that it is added to has whole rows at every moment, as a run's has."""
    out = tmp_path / "joined"
    assert merge(parts[0], "--out", out) == 0
    real, saved = rows.save, []

    def save(folder, record, packed):
        if saved:
            raise KeyboardInterrupt
        saved.append(record)
        real(folder, record, packed)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(rows, "save", save)
        assert merge(parts[1], "--out", out) == 130
    records, damaged = folders.records(Folder(out))
    assert len(records) == 3 and not damaged
    capsys.readouterr()
    assert merge(parts[1], "--out", out) == 0
    assert "4 of 4 cells" in capsys.readouterr().out
