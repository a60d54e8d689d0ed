"""What a run's folder does when code has changed: refused by name, whatever changed."""

import json
import shutil
import subprocess
import sys

import pytest

PARTS = ("depthbench", "research", "benchmarks", "experiments")
RUN = ("run", "rezero", "--size", "smoke", "--seeds", "2")
BATCH = 'batch: int = field(_count("examples per step", 64'
CHANGES = {
    "what a cell that says nothing is trained with": (
        "research/learning/recipe.py",
        BATCH,
        BATCH.replace("64", "32"),
    ),
    "what the study's folder shares": (
        "experiments/training/pairs.py",
        "    return Measured(result.status, result.reason, values, result.profiles)",
        "    return Measured(result.status, result.reason, {}, {})",
    ),
    "what is imported when it is used": (
        "research/learning/system.py",
        "LARGEST = 1e6",
        "LARGEST = 1e5",
    ),
}


@pytest.fixture(scope="module")
def checkout(tmp_path_factory, root):
    """A copy of the source, and a folder of rows made with it."""
    copy = tmp_path_factory.mktemp("checkout")
    for part in PARTS:
        leave = shutil.ignore_patterns("__pycache__", "results")
        shutil.copytree(root / part, copy / part, symlinks=True, ignore=leave)
    return copy


def run(checkout, environment, *arguments):
    return subprocess.run(
        [sys.executable, "-m", "depthbench", *arguments],
        cwd=checkout,
        env={**environment, "PYTHONPATH": str(checkout)},
        capture_output=True,
        text=True,
        timeout=120,
    )


@pytest.mark.slow
def test_changes_of_what_measures_are_refused(checkout, clean_environment):
    first = run(checkout, clean_environment, *RUN, "--out", "out", "--format", "json")
    assert first.returncode == 0, first.stderr
    for path, old, new in CHANGES.values():
        text = (checkout / path).read_text()
        assert old in text, path
        (checkout / path).write_text(text.replace(old, new))
        refused = run(checkout, clean_environment, *RUN, "--out", "out")
        (checkout / path).write_text(text)
        assert refused.returncode == 2
        assert f"{path} has changed" in refused.stderr, (path, refused.stderr)
    unused = checkout / "research/catalogues/activations.py"
    entry = 'Activation("cube", lambda x: x**3, "nobody"),\n        Activation(\n'
    unused.write_text(unused.read_text().replace("Activation(\n", entry, 1))
    again = run(checkout, clean_environment, *RUN, "--out", "out", "--format", "json")
    assert (again.returncode, json.loads(again.stdout)) == (0, json.loads(first.stdout))
