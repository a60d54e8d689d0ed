"""Every file of a run's and of a training's folder, damaged in every way.

Reading commands say what is wrong, or refuse in a line. The command that made the folder
puts damage aside and makes it again, with the same bits, or refuses in a line. Nothing is
silent, a traceback, or waits for ever. `-m exhaustive` has 60 flips of each kind of file.
"""

import os
import random
import re
import shutil
import signal
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

from depthbench.research.cli.main import main
from depthbench.research.report import figures

pytestmark = pytest.mark.slow

RUN = (
    "run gradient_flow --architecture mlp --initializer he_normal --width 16 --batch 4 "
    "--seeds 2 --activation tanh,relu --depth 3,4"
).split()
TRAIN = (
    "train --depth 3 --width 8 --steps 40 --seeds 2 --report-every 8 "
    "--checkpoint-seconds 0.1"
).split()
LATE = (
    100  # seconds in which any command here ends, on a machine that does much besides
)


class Kind(NamedTuple):
    """A command that makes a folder, and the files that it makes, by kind.

    results: what is the same whenever the folder is whole.
    """

    command: list[str]
    files: dict[str, str]
    results: tuple[str, ...]


KINDS = {
    "run": Kind(
        RUN,
        {
            "manifest": "run.json",
            "its copy": ".run.json",
            "row": "cells/*.json",
            "profiles": "cells/*.npz",
        },
        ("rows.csv", "report.md"),
    ),
    "training": Kind(
        TRAIN,
        {
            "manifest": "run.json",
            "its copy": ".run.json",
            "report": "reports/*.json",
            "measures": "reports/*.npz",
            "seal": "checkpoints/40/seal.json",
            "state": "checkpoints/40/arrays/**/d/*",
        },
        ("curves.csv", "results.csv", "report.md"),
    ),
}
ALWAYS = ("row", "report")  # what the suite damages in every way
FILES = [(kind, name) for kind, one in KINDS.items() for name in one.files]


def replaced(make: Callable[[Path], object]) -> Callable[[Path], object]:
    def harm(path: Path) -> None:
        path.unlink()
        make(path)

    return harm


def linked(path: Path) -> None:
    """The same content, but elsewhere."""
    elsewhere = path.with_name("elsewhere")
    path.rename(elsewhere)
    path.symlink_to(elsewhere)


def foreign(path: Path) -> None:
    """Another file of the same kind in its place."""
    others = [p for p in path.parent.glob(f"0*{path.suffix}") if p != path]
    path.write_bytes(others[0].read_bytes() if others else b"{}")


HARMS = {
    "truncated": lambda path: os.truncate(path, path.stat().st_size // 2),
    "emptied": lambda path: path.write_bytes(b""),
    "deleted": lambda path: path.unlink(),
    "a folder": replaced(Path.mkdir),
    "a link": linked,
    "a pipe": replaced(os.mkfifo),
    "another's": foreign,
    "nested": lambda path: path.write_bytes(b"[" * 10**5),
}


def flipped(chance: random.Random) -> Callable[[Path], object]:
    def harm(path: Path) -> None:
        content = bytearray(path.read_bytes())
        content[chance.randrange(len(content))] ^= 1 << chance.randrange(8)
        path.write_bytes(bytes(content))

    return harm


@pytest.fixture(scope="module", autouse=True)
def no_pictures():
    """Pictures take ten times as long as the rows."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(figures, "lay_out", lambda drawn: None)
        patch.setattr(figures, "as_png", lambda drawn: b"")
        patch.setattr(figures, "as_svg", lambda drawn: b"")
        yield


@pytest.fixture
def in_time():
    """Ends a test whose command waits for ever."""

    def late(number, frame):
        raise AssertionError("it hangs")

    before = signal.signal(signal.SIGALRM, late)
    signal.alarm(LATE)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


def made(once, kind: str) -> Path:
    def make(out: Path) -> None:
        assert main([*KINDS[kind].command, "--out", str(out)]) == 0

    return once(f"damage-{kind}", make)


def files_of(folder: Path, pattern: str) -> list[Path]:
    paths = [p for p in sorted(folder.glob(pattern)) if p.stat().st_size]
    assert paths, pattern
    return paths


def results(folder: Path, kind: str) -> list[bytes]:
    return [(folder / name).read_bytes() for name in KINDS[kind].results]


def struck(once, tmp_path, capsys, kind, pattern, harm, at=-1):
    """The folder of its own, and which file of it was damaged."""
    good = made(once, kind)
    folder = shutil.copytree(good, tmp_path / "copy")
    files = files_of(folder, pattern)
    path = files[at % len(files)]
    harm(path)
    capsys.readouterr()
    return good, folder, path


def seen(capsys) -> str:
    """Standard error: lines of ours alone."""
    stderr = capsys.readouterr().err
    lines = stderr.splitlines()
    assert all(re.match("depthbench: .", line) for line in lines), stderr
    return stderr


WORDS = re.compile("damaged|missing|cells are|is a (link|folder|pipe)")


def check(capsys, kind: str, good: Path, folder: Path, path: Path, harmless: bool):
    """Reads, makes again, and reads again. harmless: it may be that nothing is damaged."""
    copy_gone = (
        path.name == ".run.json" and not path.exists()
    )  # committed rows have none
    assert main(["report", str(folder)]) in (0, 2)
    read = seen(capsys)
    silent = (
        harmless or copy_gone or "checkpoints" in path.parts
    )  # which it does not read
    assert silent or WORDS.search(read), read
    status = main([*KINDS[kind].command, "--out", str(folder)])
    text = seen(capsys)
    assert harmless or copy_gone or WORDS.search(text), text
    if status:
        assert status == 2 and len(text.splitlines()) == 1 and str(folder) in text
        return
    assert results(folder, kind) == results(good, kind)
    assert main(["report", str(folder)]) == 0
    assert not WORDS.search(text := seen(capsys)), text


@pytest.mark.parametrize(
    ("kind", "name", "harm"),
    [
        pytest.param(
            *(*file, harm),
            marks=[]
            if harm == "deleted" or file[1] in ALWAYS
            else pytest.mark.exhaustive,
        )
        for file in FILES
        for harm in HARMS
    ],
)
def test_damage_is_said_and_made_good(
    kind, name, harm, once, tmp_path, capsys, in_time
):
    pattern = KINDS[kind].files[name]
    check(
        capsys, kind, *struck(once, tmp_path, capsys, kind, pattern, HARMS[harm]), False
    )


def flips(once, tmp_path, capsys, kind, name, count):
    chance = random.Random(f"{kind} {name}")
    for number in range(count):
        folder = tmp_path / str(number)
        folder.mkdir()
        pattern, harm = KINDS[kind].files[name], flipped(chance)
        good, copy, path = struck(once, folder, capsys, kind, pattern, harm, number)
        check(capsys, kind, good, copy, path, harmless=path.suffix == ".json")
        shutil.rmtree(folder)


@pytest.mark.parametrize(("kind", "name"), FILES)
def test_a_flipped_bit_is_said_and_made_good(
    kind, name, once, tmp_path, capsys, in_time
):
    flips(once, tmp_path, capsys, kind, name, 1)


@pytest.mark.exhaustive
@pytest.mark.parametrize(("kind", "name"), FILES)
def test_any_flipped_bit_is_said_and_made_good(kind, name, once, tmp_path, capsys):
    flips(once, tmp_path, capsys, kind, name, 60)
