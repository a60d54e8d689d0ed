"""What a run's folder does when code has changed: refused by name, whatever changed."""

import json
import os
import shutil
import subprocess
import sys

import pytest

from depthbench.research.engine import runner
from depthbench.research.files import source
from depthbench.research.machine import host
from depthbench.research.store import provenance
from depthbench.research.study.declaration import chosen_values, grid
from depthbench.research.study.studies import studies

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


@pytest.mark.parametrize(
    "name, has, lacks",
    [
        ("linear_regions", (), tuple(host.FURTHER)),
        ("faces", ("skimage", "scipy"), ("mctx", "sacrebleu", "num2words")),
        ("self_play", ("mctx",), ("num2words",)),
    ],
)
def test_libraries_are_those_that_the_rows_code_imports(name, has, lacks):
    study = studies()[name]
    chosen = chosen_values(study, "smoke", {})
    cells = [study.cell(c) for c in study.fit(grid(study, chosen), set())[0]]
    manifest = runner.fresh_manifest(study, cells, (), host.versions(), {})
    for module in has:
        assert manifest.environment[host.FURTHER[module]]
    for module in lacks:
        assert host.FURTHER[module] not in manifest.environment
    assert manifest.environment["jax"]


@pytest.fixture
def installed(tmp_path, monkeypatch):
    """A repository with a commit, and below it a copy of depthbench that is none of it."""
    git = ["git", "-C", str(tmp_path), "-c", "user.name=a", "-c", "user.email=a@b"]
    subprocess.run([*git, "init", "-q"], check=True)
    subprocess.run([*git, "commit", "-q", "--allow-empty", "-m", "x"], check=True)
    copy = tmp_path / ".venv" / "site-packages" / "depthbench"
    copy.mkdir(parents=True)
    provenance.commit.cache_clear()
    yield lambda root: [
        monkeypatch.setattr(module, "ROOT", root.resolve())
        for module in (provenance, source)
    ]
    provenance.commit.cache_clear()


def test_a_copy_in_another_repository_has_no_commit(installed, tmp_path):
    none = {"commit": None, "uncommitted": None}
    copy = tmp_path / ".venv" / "site-packages" / "depthbench"
    installed(copy)
    assert provenance.commit() == none
    (copy / "pyproject.toml").touch()  # as of a copied checkout
    provenance.commit.cache_clear()
    assert provenance.commit() == none
    installed(tmp_path)  # its own, but not depthbench's source
    provenance.commit.cache_clear()
    assert provenance.commit() == none
    (tmp_path / "pyproject.toml").touch()
    provenance.commit.cache_clear()
    assert len(provenance.commit()["commit"] or "") == 40


@pytest.fixture
def uncommitted(installed, tmp_path):
    """What is recorded as not committed of a checkout with one committed file."""
    installed(tmp_path)
    (tmp_path / "pyproject.toml").write_bytes("name = 'é'\n".encode("latin-1"))
    (tmp_path / ".gitignore").write_text(".venv\n")
    git = ["git", "-C", str(tmp_path), "-c", "user.name=a", "-c", "user.email=a@b"]
    subprocess.run([*git, "add", "pyproject.toml", ".gitignore"], check=True)
    subprocess.run([*git, "commit", "-q", "-m", "y"], check=True)

    def now():
        provenance.commit.cache_clear()
        return provenance.commit()["uncommitted"]

    return now


def test_what_is_not_committed_is_hashed_with_its_contents(uncommitted, tmp_path):
    found = [uncommitted()]
    assert found == [None]
    study = tmp_path / " ä study.py"
    for text in ("STUDY = 1", "STUDY = 2"):
        study.write_text(text)
        found.append(uncommitted())
    (tmp_path / "pyproject.toml").write_bytes("name = 'è'\n".encode("latin-1"))
    found.append(uncommitted())
    study.unlink()
    study.symlink_to("nowhere")
    found.append(uncommitted())
    assert len(set(found)) == len(found) and found[-1] == uncommitted()


def test_a_large_file_that_is_not_committed_is_not_read(
    uncommitted, tmp_path, monkeypatch
):
    large, found = tmp_path / "data.bin", []
    monkeypatch.setattr(provenance, "READ", 4)
    for content, time in (("large", 1), ("other", 1), ("other", 2), ("larger", 2)):
        large.write_text(content)
        os.utime(large, (time, time))
        found.append(uncommitted())
    assert found[0] == found[1] and len(set(found)) == 3


@pytest.mark.parametrize("fails", ["diff", "ls-files"])
def test_what_git_does_not_say_is_not_taken_for_nothing(
    uncommitted, monkeypatch, fails
):
    asked = provenance._git
    answers = lambda *words: None if words[0] == fails else asked(*words)
    monkeypatch.setattr(provenance, "_git", answers)
    assert uncommitted() == provenance.UNKNOWN
