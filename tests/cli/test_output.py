"""Any terminal: of whatever encoding and width, full, closed, or gone."""

import ast
import csv
import fcntl
import io
import json
import os
import shutil
import struct
import subprocess
import sys
import termios

import pytest

from depthbench.research.cli import output
from depthbench.research.cli.main import COMMANDS, main
from depthbench.research.engine import console
from depthbench.research.report import figures
from depthbench.research.report.rendering import FORMATS, PIPED
from tests.cli.test_command import SMALL, run_small
from tests.cli.test_results import trained

MUP = "benchmarks/results/cpu/mup"
# Each command in each of its forms; R is a run's folder, T a training's.
LINES = [
    "",
    "--help",
    "run --help",
    "run gradient_flow --help",
    "run gradient_flow --dry-run",
    *(f"run gradient_flow {' '.join(SMALL)} --out R --format {f}" for f in FORMATS),
    "probe --help",
    "probe depthbench.benchmarks.own_model.example:make --dry-run",
    "train --help",
    "train --depth 2 --width 16 --dataset digits --steps 24 --batch 8 --report-every 8 "
    "--seeds 3 --out T",
    *(f"claims --only he2015 --out none --format {f}" for f in FORMATS),
    "theory tanh --sigma-w2 1.5 --sigma-b2 0.1",
    "theory tanh --format json",
    "list",
    "list --format json",
    *(f"report R --format {form}" for form in FORMATS),
    *(f"report T --format {form}" for form in FORMATS),
    f"compare {MUP} {MUP}",
    "compare R R --format json",
    "compare T T",
    "verify R --cells 1",
    "status R",
    "status R --format json",
    "merge R --out J",
    "export --help",
    "reproduce mup --dry-run",
    "doctor",
    "doctor --format json",
]
# Of these a sample is in the suite: one form of each command.
SAMPLE = [
    "run --help",
    "run gradient_flow --dry-run",
    "probe depthbench.benchmarks.own_model.example:make --dry-run",
    "train --help",
    "claims --only he2015 --out none --format table",
    "theory tanh --format json",
    "list --format json",
    "report R --format table",
    "report T --format csv",
    f"compare {MUP} {MUP}",
    "verify R --cells 1",
    "status R",
    "merge R --out J",
    "export --help",
    "reproduce mup --dry-run",
    "doctor",
]
RESTS = [line for line in LINES if line not in SAMPLE]


def rest(lines):
    return [pytest.param(line, marks=pytest.mark.exhaustive) for line in lines]


# What is wrong is said in every encoding too.
WRONG = [
    "σ",
    "run σ",
    "theory σ",
    "list σ",
    "report σ",
    "train --width σ",
    "claims --only σ",
]


@pytest.fixture(scope="module")
def folders(once, tmp_path_factory):
    """A folder with R and T, which are copies."""

    def small(out):
        assert run_small(out) == 0

    place = tmp_path_factory.mktemp("folders")
    shutil.copytree(once("small", small), place / "R")
    shutil.copytree(once("training for results", trained()), place / "T")
    return place


@pytest.fixture
def command(folders, root, monkeypatch):
    """A function from a line to its exit status; what takes long is left out."""
    monkeypatch.setattr(figures, "lay_out", lambda drawn: None)
    monkeypatch.setattr(figures, "as_png", lambda drawn: b"")
    monkeypatch.setattr(figures, "as_svg", lambda drawn: b"")
    monkeypatch.chdir(root)
    monkeypatch.delenv("COLUMNS", raising=False)
    places = {name: str(folders / name) for name in ("R", "T", "J", "none")}
    return lambda line: main([places.get(word, word) for word in line.split()])


def test_every_command_is_in_these_tests():
    assert set(SAMPLE) <= set(LINES)
    assert {line.split()[0] for line in SAMPLE} == {c.name for c in COMMANDS}


def test_a_terminal_that_does_not_know_its_width_is_no_narrow_one(monkeypatch):
    """As on a serial line, or in a container: 0 columns, which show nothing."""
    monkeypatch.delenv("COLUMNS", raising=False)
    own, other = os.openpty()
    try:
        with open(other, "w", closefd=False) as terminal:
            assert console.width_of(terminal) is None
            fcntl.ioctl(other, termios.TIOCSWINSZ, struct.pack("4H", 24, 61, 0, 0))
            assert console.width_of(terminal) == 61
    finally:
        os.close(own), os.close(other)


def stream(encoding, errors="strict"):
    return io.TextIOWrapper(io.BytesIO(), encoding, errors, write_through=True)


def written(stream):
    return stream.buffer.getvalue().decode(stream.encoding)


@pytest.mark.parametrize("encoding", ["ascii", *rest(["latin-1"])])
@pytest.mark.parametrize("line", [*SAMPLE, *rest(RESTS)])
def test_any_encoding_is_written_to(command, monkeypatch, line, encoding):
    out, err = stream(encoding), stream(encoding)
    monkeypatch.setattr(sys, "stdout", out)
    monkeypatch.setattr(sys, "stderr", err)
    status = command(line)
    text = written(out)
    assert status == 0 and text
    assert "Traceback" not in text + written(err)
    if "--format json" in line:
        json.loads(text)
    if "--format csv" in line:
        widths = {len(row) for row in csv.reader(io.StringIO(text))}
        assert len(widths) == 1
    elif "--help" not in line and "json" not in line and "markdown" not in line:
        numbers = (len(row) for row in text.splitlines() if row.startswith(("|", "+")))
        assert max(numbers, default=0) <= PIPED


@pytest.mark.parametrize("line", WRONG)
def test_what_is_wrong_is_said_in_any_encoding(command, monkeypatch, line):
    err = stream("ascii")
    monkeypatch.setattr(sys, "stderr", err)
    assert command(line) == 2
    assert written(err).startswith("depthbench: ") and written(err).count("\n") == 1
    assert "\\u03c3" in written(err)


class Refusing(io.RawIOBase):
    """A file that takes so many bytes, and then fails."""

    def __init__(self, number, after=0):
        self.number, self.left = number, after

    def writable(self):
        return True

    def write(self, content):
        self.left -= len(content)
        if self.left < 0:
            raise OSError(self.number, os.strerror(self.number))
        return len(content)


ENDS = {"full": (28, 74, 1), "closed": (9, 74, 1), "gone": (32, 0, 0)}


@pytest.mark.parametrize("after", [0, *rest([12])])
@pytest.mark.parametrize("end", ["full", *rest(["closed", "gone"])])
@pytest.mark.parametrize("line", [*SAMPLE, *rest(RESTS)])
def test_an_output_that_takes_no_more(command, monkeypatch, capsys, line, end, after):
    number, status, lines = ENDS[end]
    raw = io.BufferedWriter(Refusing(number, after))
    monkeypatch.setattr(sys, "stdout", output.StandardOutput(raw, "utf-8"))
    assert command(line) == status
    raw.raw.left = 10**9
    said = [one for one in capsys.readouterr().err.splitlines() if "standard" in one]
    assert len(said) == lines
    assert all(one.startswith("depthbench: standard output: ") for one in said)


def test_a_result_is_kept_where_it_cannot_be_printed(command, folders, monkeypatch):
    report = folders / "R" / "report.md"
    before = report.read_bytes()
    report.unlink()
    raw = io.BufferedWriter(Refusing(28))
    monkeypatch.setattr(sys, "stdout", output.StandardOutput(raw, "utf-8"))
    assert command("report R") == 74
    assert report.read_bytes() == before
    raw.raw.left = 10**9


def test_a_message_that_cannot_be_written_stops_nothing(command, monkeypatch, capsys):
    raw = io.BufferedWriter(Refusing(28))
    monkeypatch.setattr(sys, "stderr", io.TextIOWrapper(raw, "utf-8"))
    assert command("report R") == 0
    assert "keep their gradient" in capsys.readouterr().out
    raw.raw.left = 10**9


# Processes, whose own descriptors these are.

LIBRARY = """
import os, sys
from depthbench.research.cli import output

def command():
    os.write(1, b"[Gloo] Rank 0\\n")
    print('{"a": 1}')
    os.system("echo a child")
    return 3

sys.exit(output.guarded(command))
"""


def shell(line, environment, root):
    """The status of a line of bash, its standard output and standard error."""
    done = subprocess.run(
        ["bash", "-c", line.replace("depthbench", f"{sys.executable} -m depthbench")],
        cwd=root,
        env=environment,
        capture_output=True,
        timeout=120,
    )
    return done.returncode, done.stdout, done.stderr.decode()


def test_what_libraries_print_is_no_result(clean_environment, root):
    done = subprocess.run(
        [sys.executable, "-c", LIBRARY],
        cwd=root,
        env=clean_environment,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (done.returncode, done.stdout) == (3, '{"a": 1}\n')
    assert done.stderr == "[Gloo] Rank 0\na child\n"


@pytest.mark.parametrize(
    ("line", "status", "said"),
    [
        ("depthbench list > /dev/full", 74, "standard output: No space left on device"),
        ("depthbench list loops --format json >&-", 74, "standard output: closed"),
        ("depthbench run --help > /dev/full", 74, "standard output: No space left"),
        ("depthbench list | head -c 1; exit ${PIPESTATUS[0]}", 0, ""),
        ("depthbench σ 2> /dev/full", 2, ""),
        ("depthbench list loops 2>&-", 0, ""),
        ("depthbench list <&- >&- 2>&-", 74, ""),
        ("PYTHONIOENCODING=ascii depthbench σ >&-", 2, "unknown command '\\u03c3'"),
        ("LC_ALL=C PYTHONUTF8=0 PYTHONCOERCECLOCALE=0 depthbench list", 0, ""),
    ],
)
def test_a_process_answers_in_a_line(clean_environment, root, line, status, said):
    code, _, err = shell(line, clean_environment, root)
    assert code == status, err
    assert err.count("\n") == bool(said) and said in err
    assert not said or err.startswith("depthbench: ")


# One place for each stream.


def is_stream(node):
    """Whether code prints, or names one of the process's streams."""
    if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
        return node.value.id == "sys" and node.attr in ("stdout", "stderr")
    return isinstance(node, ast.Name) and node.id == "print"


def test_nothing_else_prints(root):
    """What is printed elsewhere would be escaped nowhere."""
    writers = set()
    for path in sorted((root / "research").rglob("*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        if any(map(is_stream, ast.walk(tree))):
            writers.add(path.relative_to(root / "research").as_posix())
    apart = (
        "cli/entry.py",
        "engine/joining.py",
        "engine/signals.py",
        "engine/relay.py",
        "report/notebook.py",  # asks how wide the terminal is
        "datasets/espeak.py",  # a process of its own, whose output is numbers
        "catalogues/modules.py",  # what a user's module prints, to standard error
    )
    writers -= set(apart)  # words of our own, before or below what a console can do
    assert writers == {"engine/console.py", "report/rendering.py", "cli/output.py"}
