"""Wrong command lines: one line and status 2 each, at once, and nothing is left of them."""

import json
import subprocess
import sys

import pytest


@pytest.mark.parametrize(
    "count", [2000, pytest.param(0, marks=pytest.mark.exhaustive)], ids=["some", "all"]
)
def test_wrong_command_lines_are_refused(count, root, clean_environment):
    done = subprocess.run(
        [sys.executable, "-m", "tests.cli.command_lines", str(count)],
        cwd=root,
        env=clean_environment,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert result["tried"] == count or result["tried"] > 70_000
    assert result["failed"] == [], f"{len(result['failed'])} of {result['tried']}"
