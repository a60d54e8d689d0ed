"""What a hint says to install can be installed: from a checkout, and where none is."""

import importlib.metadata
import re
import shlex
import tomllib

import pytest

from depthbench.command import IMPORTS
from depthbench.research.catalogues import packages
from depthbench.research.catalogues.packages import EXTRAS, distribution, install
from depthbench.research.cli import doctor
from depthbench.research.report import documents
from tests.conftest import ROOT

DECLARED = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
PROJECT = DECLARED["project"]
OPTIONAL = PROJECT["optional-dependencies"]
MODULES = [(extra, module) for extra, of in EXTRAS.items() for module in of]
each_module = pytest.mark.parametrize(("extra", "module"), MODULES)
# No hints on packages that are not there: how a damaged one is mended, what another kind
# of machine needs, and how a checkout is installed.
OTHERS = {
    "research/datasets/glyphs.py",
    "benchmarks/throughput/planned.py",
    "research/cli/report.py",
}


def name_of(requirement: str) -> str:
    """A requirement's project, as all spellings of it are compared (PEP 503)."""
    match = re.match(r"[\w.-]+", requirement)
    assert match is not None
    return re.sub(r"[-_.]+", "-", match[0]).lower()


@pytest.fixture
def wheel(monkeypatch):
    """As where a wheel of ours is installed: its metadata are of pyproject's extras."""
    lines = [
        f'{requirement}; extra == "{extra}"'
        for extra, requirements in OPTIONAL.items()
        for requirement in requirements
    ]
    lines += PROJECT["dependencies"]
    monkeypatch.setattr(packages, "is_checkout", lambda: False)
    monkeypatch.setattr(importlib.metadata, "requires", lambda name: lines)


@each_module
def test_the_extra_of_a_checkout_brings_the_module(extra, module):
    assert install(module) == f"pip install -e '.[{extra}]'"
    assert name_of(distribution(module)) in map(name_of, OPTIONAL[extra])


@each_module
def test_elsewhere_the_packages_themselves_are_named(extra, module, wheel):
    words = shlex.split(install(module))
    assert words[:2] == ["pip", "install"] and "-e" not in words
    names = [name_of(word) for word in words[2:]]
    ours = [name for name in map(name_of, OPTIONAL[extra]) if name != "depthbench"]
    assert set(ours) <= set(names) and "depthbench" not in names
    assert name_of(distribution(module)) in names
    if len(ours) < len(OPTIONAL[extra]):  # an extra within it
        assert set(map(name_of, OPTIONAL["systems"])) <= set(names)


def test_bounds_are_the_installations(wheel):
    assert "'mctx>=0.0.5'" in install("mctx")


def test_several_extras_are_one_command(wheel, monkeypatch):
    there = install("tensorflow_datasets", "tensorflow")
    assert "'tensorflow-datasets>=" in there and "'tensorflow>=" in there
    monkeypatch.setattr(packages, "is_checkout", lambda: True)
    assert install("tensorflow_datasets", "tensorflow") == (
        "pip install -e '.[data,tensorflow]'"
    )


def test_a_package_that_was_only_copied_names_what_is_missing(monkeypatch):
    def requires(name):
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(packages, "is_checkout", lambda: False)
    monkeypatch.setattr(importlib.metadata, "requires", requires)
    assert install("skimage") == "pip install scikit-image"


def test_what_every_installation_has_is_named_as_it_is_installed():
    needed = {name_of(each) for each in PROJECT["dependencies"]} | {"jaxlib"}
    assert {name_of(distribution(module)) for module in IMPORTS} == needed
    for module in IMPORTS:
        assert install(module) == f"pip install {distribution(module)}"


def test_doctor_says_how_each_package_is_installed(monkeypatch):
    monkeypatch.setattr(doctor, "_version", lambda name: None)
    found = doctor.findings()
    for extra, module in MODULES:
        if extra != "tensorflow":  # is imported by nothing of ours
            assert found[module] == f"not installed (pip install -e '.[{extra}]')"
    assert found["aeon"] == "not installed (pip install --no-deps aeon)"


@pytest.mark.parametrize("metadata", [True, False])
def test_doctor_knows_a_package_that_has_another_name(tmp_path, monkeypatch, metadata):
    """As where mlflow-skinny has installed mlflow."""
    (tmp_path / "a_tracker.py").touch()
    if metadata:
        told = tmp_path / "a_tracker_skinny-3.1.dist-info"
        told.mkdir()
        (told / "METADATA").write_text("Name: a-tracker-skinny\nVersion: 3.1\n")
        (told / "top_level.txt").write_text("a_tracker\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(doctor, "OPTIONAL", ("a_tracker",))
    version = "a-tracker-skinny 3.1" if metadata else "installed, version unknown"
    assert doctor.findings()["a_tracker"] == version


def test_one_function_makes_every_hint():
    """A hint that is written out somewhere else is not swept by the tests above."""
    made = {f"{packages.__name__.removeprefix('depthbench.').replace('.', '/')}.py"}
    folders = (ROOT / name for name in ("research", "benchmarks", "experiments"))
    sources = [*(ROOT / "depthbench").glob("*.py")]
    sources += [path for folder in folders for path in folder.rglob("*.py")]
    named = {
        path.relative_to(ROOT).as_posix()
        for path in sources
        if "pip install" in path.read_text(encoding="utf-8")
    }
    assert named == made | OTHERS


def test_no_page_names_the_public_index_for_ours():
    wrong = re.compile(r"pip install[^\n`]* '?depthbench\b")
    assert wrong.search("`pip install -U 'depthbench[peers]'`")
    pages = [*documents.paths(), ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md"]
    for page in pages:
        assert not wrong.search(page.read_text(encoding="utf-8")), page
