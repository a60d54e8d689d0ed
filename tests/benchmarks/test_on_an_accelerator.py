"""The commands that measure what docs/cost.md expects of an accelerator can be run."""

import shlex
import subprocess

import pytest

from depthbench.research.catalogues.catalogue import Mistake
from depthbench.research.store.provenance import ROOT
from tests.report.test_documents import LINE, check

SCRIPT = ROOT / "benchmarks" / "on_an_accelerator.sh"


def listed() -> list[tuple[int, str]]:
    """(seconds at most, command) of each, as a dry run says."""
    call = ["bash", str(SCRIPT), "--dry-run"]
    done = subprocess.run(call, capture_output=True, text=True, check=True)
    pairs = (line.split(" ", 1) for line in done.stdout.splitlines())
    return [(int(seconds), command) for seconds, command in pairs]


def test_every_command_is_read_and_runs_nothing():
    read = 0
    for _, command in listed():
        if LINE.match(command):
            check(shlex.split(LINE.sub("", command)))
            read += 1
        else:
            assert command == "pytest -n 0 -q -m accelerator tests"
    assert read == len(listed()) - 1
    with pytest.raises(Mistake, match="unknown case"):
        check(["run", "peers", "--case", "resnet51"])


def test_all_end_in_fifteen_minutes_and_each_study_fills_one_folder():
    """But for what is timed twice: with kept programs, and with other products."""
    seconds, commands = zip(*listed(), strict=True)
    assert sum(seconds) <= 15 * 60
    runs = [c.split() for c in commands if "--out " in c]
    pairs = {(words[words.index("run") + 1], words[-1]) for words in runs}
    folders = [folder.removeprefix("runs/accelerator/") for _, folder in pairs]
    assert len(set(folders)) == len(pairs) and len(runs) == len(commands) - 1
    for study, folder in pairs:
        assert folder.removeprefix("runs/accelerator/").startswith(study)
    for command in commands:
        assert ("XLA_FLAGS" in command) == ("_cublas" in command)


def test_what_is_cut_short_or_fails_does_not_end_the_rest(tmp_path):
    """The script's loop, with commands that take no device."""
    text = SCRIPT.read_text()
    start, end = text.index("commands=("), text.index("\n)\n") + 3
    swapped = 'commands=(" 1 sleep 9" "9 A=b printenv A" "9 false")\n'
    script = tmp_path / "benchmarks" / "script.sh"
    script.parent.mkdir()
    script.write_text(text[:start] + swapped + text[end:])
    done = subprocess.run(["bash", str(script)], capture_output=True, text=True)
    states = [line.split()[1] for line in done.stdout.splitlines() if "status" in line]
    assert states == ["124", "0", "1"] and "\nb\n" in done.stdout
