"""A wheel is the tree: what is committed is in it, and is read as from a checkout."""

import glob
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from tests.conftest import ROOT

SOURCE = ("research", "benchmarks", "experiments")
DECLARED = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
PACKED = DECLARED["tool"]["setuptools"]["package-data"]
# What only a checkout has a use for.
LEFT = {
    "benchmarks/array.sh",
    "benchmarks/on_an_accelerator.sh",
    "benchmarks/peers/README.md",
}
BUILD = (
    "import sys; from setuptools import build_meta; build_meta.build_wheel(sys.argv[1])"
)


def files(folder: Path) -> set[str]:
    """What is below a folder and no Python, by its place from the root."""
    found = (path for path in folder.rglob("*") if path.is_file())
    return {
        path.relative_to(ROOT).as_posix()
        for path in found
        if path.suffix != ".py" and "__pycache__" not in path.parts
    }


def test_the_wheel_has_every_file_of_the_tree():
    packed = set()
    for package, patterns in PACKED.items():
        folder = ROOT.joinpath(*package.split("."))
        for pattern in patterns:
            found = glob.glob(pattern, root_dir=folder, recursive=True)
            assert found, f"{package}: nothing is {pattern}"
            packed |= {(folder / name).resolve() for name in found}
    there = set().union(*(files(ROOT / name) for name in SOURCE))
    assert any("/results/" in name for name in there)
    assert {name for name in there if (ROOT / name) not in packed} == LEFT


@pytest.fixture(scope="module")
def installed(once):
    """What a wheel of this tree installs, and that alone."""
    pytest.importorskip("setuptools", "77", reason="setuptools builds the wheel")

    def make(folder: Path) -> None:
        tree = folder / "tree"  # a build leaves folders behind
        ignore = shutil.ignore_patterns("__pycache__")
        for name in ("depthbench", *SOURCE):
            shutil.copytree(ROOT / name, tree / name, symlinks=True, ignore=ignore)
        for name in ("pyproject.toml", "README.md", "LICENSE"):
            shutil.copy(ROOT / name, tree)
        subprocess.run(
            [sys.executable, "-W", "ignore", "-c", BUILD, str(folder)],
            cwd=tree,
            check=True,
            stdout=subprocess.DEVNULL,
        )
        (wheel,) = folder.glob("*.whl")
        shutil.unpack_archive(wheel, folder / "site", "zip")
        shutil.rmtree(tree)

    return once("wheel", make) / "site"


@pytest.fixture
def command(clean_environment, tmp_path):
    """Runs a command line of what is in a folder of packages, in a folder of its own."""

    def run(site: Path, line: str) -> subprocess.CompletedProcess:
        return subprocess.run(
            [sys.executable, "-P", "-m", "depthbench", *line.split()],
            cwd=tmp_path,
            env={**clean_environment, "PYTHONPATH": str(site)},
            capture_output=True,
            text=True,
        )

    return run


@pytest.mark.slow
@pytest.mark.parametrize(
    "line",
    [
        "claims --format markdown",
        "list studies --format json",
        "reproduce adding --dry-run",
        "reproduce nvidia_h100_80gb_hbm3/peers --dry-run",
    ],
)
def test_a_wheel_reads_what_the_tree_reads(line, installed, command):
    here, there = command(ROOT, line), command(installed, line)
    assert (there.returncode, there.stdout) == (0, here.stdout)
    assert there.stderr == here.stderr


def written(folder: Path) -> dict[Path, int]:
    """When each file below a folder was written, but for what importing writes."""
    paths = (path for path in folder.rglob("*") if "__pycache__" not in path.parts)
    return {path: path.stat().st_mtime_ns for path in paths if path.is_file()}


@pytest.mark.slow
def test_outside_a_checkout_nothing_is_published(installed, command, tmp_path):
    rows = shutil.copytree(
        ROOT / "benchmarks" / "results" / "cpu" / "adding", tmp_path / "rows"
    )
    before = written(tmp_path), written(installed)
    for line in (f"report {rows} --publish", "report nowhere --publish", "report"):
        done = command(installed, line)
        assert (done.returncode, done.stdout) == (2, "")
        assert done.stderr.count("\n") == 1 and "is no checkout" in done.stderr
        assert str(installed / "depthbench") in done.stderr
    assert (written(tmp_path), written(installed)) == before
