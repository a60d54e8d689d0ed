"""Studies and trainings on a user's files: run, resumed, verified, reported."""

import csv
import io
import json
import shutil

import numpy as np
import pytest
from PIL import Image

from depthbench.research.cli.main import main
from depthbench.research.datasets import user_files, user_images
from depthbench.research.engine import trainer
from depthbench.research.learning import examples
from depthbench.research.report import figures
from depthbench.research.signal import ensembles
from tests.datasets.refusals import PIXELS, ROWS, X, Y, line_of, table

TRAIN = "train --depth 1 --width 4 --steps 4 --batch 4 --report-every 2".split()
STUDY = "run gradient_flow --architecture mlp --activation tanh".split()
STUDY += "--initializer he_normal --depth 2 --width 4 --batch 4 --seeds 1".split()
NAMES = ("npz:a, b.npz", "csv:t.csv:kind", "images:pics")


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    """A working folder with a user's files, and no pictures in reports."""
    monkeypatch.setattr(figures, "lay_out", lambda drawn: None)
    monkeypatch.setattr(figures, "as_png", lambda drawn: b"")
    monkeypatch.setattr(figures, "as_svg", lambda drawn: b"")
    monkeypatch.chdir(tmp_path)
    np.savez("a, b.npz", x=X / 20, y=Y)
    (tmp_path / "t.csv").write_text(table(*ROWS))
    for number in range(20):
        place = tmp_path / "pics" / str(number % 2)
        place.mkdir(parents=True, exist_ok=True)
        Image.fromarray(PIXELS[number]).save(place / f"{number}.png")
    return tmp_path


def command(*words):
    """The exit status of a command, as of a process that has read nothing before."""
    caches = [examples._splits, examples._on_device, ensembles._data]
    caches += [ensembles.mean_square, user_files._read, user_images.listing]
    for cache in caches:
        cache.cache_clear()
    return main([str(word) for word in words])


def change(here):
    """Other contents in every file; sizes and names as they were."""
    np.savez("a, b.npz", x=X / 10, y=Y)
    (here / "t.csv").write_text(table(*ROWS).replace("3,3,", "4,3,"))
    Image.fromarray(PIXELS[7] + 1).save(here / "pics/1/7.png")


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_a_training_goes_on_with_its_data(name, here, capsys, monkeypatch):
    words = [*TRAIN, "--dataset", name, "--out"]
    report = trainer.report

    def stopping(session, *rest):
        report(session, *rest)
        session.stop.set()

    with monkeypatch.context() as patch:
        patch.setattr(trainer, "report", stopping)
        assert command(*words, "out") == 143
    text = capsys.readouterr().err
    (data,) = json.loads((here / "out/run.json").read_text())["data"].items()
    assert data[0] == name and f"its hash is {data[1][:16]}\n" in text
    shutil.copytree("out", "half")
    assert command(*words, "out") == 0
    assert command("verify", "out") == 0
    assert "2 of 2 reports are identical" in capsys.readouterr().out
    change(here)
    for wanted in ((*words, "half"), ("verify", "out")):
        assert command(*wanted) == 2
        line = capsys.readouterr().err.splitlines()[-1]
        assert f"{name} has other contents" in line
    shutil.rmtree("pics")
    (here / "t.csv").unlink()
    (here / "a, b.npz").unlink()
    assert command("report", "out") == 0
    capsys.readouterr()
    assert command(*words, "half") == 2
    assert "no such f" in line_of(capsys.readouterr().err)


@pytest.mark.slow
def test_a_study_goes_on_with_its_data(here, capsys):
    for name in NAMES:
        words = [*STUDY, "--dataset", name, "--format", "csv", "--out", "out"]
        assert command(*words) == 0
        written = capsys.readouterr()
        (row,) = csv.DictReader(io.StringIO(written.out))
        assert (row["dataset"], row["status"]) == (name, "ok")
        ((path, digest),) = json.loads((here / "out/run.json").read_text())[
            "data"
        ].items()
        assert path == name and f"its hash is {digest[:16]}\n" in written.err
        assert command(*words) == 0 and capsys.readouterr().out == written.out
        assert command("verify", "out", "--cells", 1) == 0
        capsys.readouterr()
        kept = "".join(p.read_text() for p in (here / "out/cells").glob("*.json"))
        assert str(here) not in kept
        shutil.move("out", f"of {name.partition(':')[0]}")
    change(here)
    for name in NAMES:
        out = f"of {name.partition(':')[0]}"
        for wanted in ([*STUDY, "--dataset", name, "--out", out], ["verify", out]):
            assert command(*wanted) == 2
            assert f"{name} has other contents" in capsys.readouterr().err
        assert command("report", out) == 0
        capsys.readouterr()
