"""Who is at work in a folder is seen by others, who change nothing of it."""

import os
import subprocess
import sys

import pytest

from depthbench.research.store import folder as folders
from depthbench.research.store import holders
from depthbench.research.study.errors import LATER, Refusal

HOLDING = """
import sys
from pathlib import Path
from depthbench.research.store import folder
with folder.held(Path(sys.argv[1]), "study", sys.argv[2] or None):
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def begin(tmp_path):
    """Begins a process that holds the folder, or a share of it."""
    running = []

    def start(share=""):
        process = subprocess.Popen(
            [sys.executable, "-c", HOLDING, str(tmp_path), share],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        running.append(process)
        assert process.stdout and process.stdout.readline() == "held\n"
        return process

    yield start
    for process in running:
        process.kill()
        process.communicate()


def everything(folder):
    return {
        p.name: (p.stat().st_mtime_ns, p.read_bytes() if p.is_file() else b"")
        for p in sorted(folder.iterdir())
    }


def test_a_run_is_seen_with_its_process(begin, tmp_path):
    one = begin()
    before = everything(tmp_path)
    assert holders.holders(tmp_path) == [holders.Holder(str(one.pid))]
    line = f"process {one.pid} is running here"
    with pytest.raises(Refusal, match=line) as refused, holders.idle(tmp_path):
        pass
    assert refused.value.status == LATER
    assert everything(tmp_path) == before


def test_shares_are_seen_each_with_its_own(begin, tmp_path):
    pids = {share: str(begin(share).pid) for share in ("1/3", "3/3")}
    assert holders.holders(tmp_path) == [
        holders.Holder(pid, share) for share, pid in pids.items()
    ]
    line = r"\(share 1/3\), process \d+ \(share 3/3\) is running here"
    with pytest.raises(Refusal, match=line), holders.idle(tmp_path):
        pass


def test_killed_ones_are_gone(begin, tmp_path):
    one = begin("2/3")
    one.kill()
    one.communicate()
    assert holders.holders(tmp_path) == []
    with holders.idle(tmp_path):
        pass


def test_while_a_folder_is_read_no_run_begins_and_afterwards_one_does(tmp_path):
    with folders.held(tmp_path, "study"):
        pass
    before = everything(tmp_path)
    with holders.idle(tmp_path):
        for share in (None, "1/2"):
            run = folders.held(tmp_path, "study", share)
            with pytest.raises(Refusal, match="is running here"), run:
                pass
    assert {n: c for n, (_, c) in everything(tmp_path).items()} == {
        n: c for n, (_, c) in before.items()
    }
    with folders.held(tmp_path, "study", "1/2"):
        assert holders.holders(tmp_path) == [holders.Holder(str(os.getpid()), "1/2")]


def test_a_folder_without_locks_is_idle_and_gets_none(tmp_path):
    with holders.idle(tmp_path):
        pass
    assert holders.holders(tmp_path) == [] and list(tmp_path.iterdir()) == []
