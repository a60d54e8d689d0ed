"""`import depthbench`: what it names, what it costs, and whose `research` it takes."""

import datetime
import json
import re
import subprocess
import sys
import tomllib
import typing
from pathlib import Path

import pytest

import depthbench as db


def test_all_names_are_there_documented_and_no_others():
    assert sorted(db.__all__) == db.__all__
    assert set(db.PLACES) == set(db.__all__) <= set(dir(db))
    for name in db.__all__:
        value = getattr(db, name)
        assert (value.__doc__ or "").strip(), name
        if not hasattr(value, "__path__"):
            assert f"db.{name}" in (db.__doc__ or "") or isinstance(value, type), name
    with pytest.raises(AttributeError, match="'probes_'"):
        _ = db.probes_  # pyright: ignore


def test_names_are_what_type_checkers_are_shown():
    """The imports for type checkers and the table of places are the same."""
    import ast

    source = Path(str(db.__file__)).read_text()
    imported = {}
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ImportFrom) and node.module != "typing":
            for alias in node.names:
                imported[alias.name] = node.module
    for name, place in db.PLACES.items():
        module, _, attribute = place.partition(":")
        assert imported.pop(name) == (
            module if attribute else module.rpartition(".")[0]
        )
    assert not imported


def test_every_argument_is_typed():
    functions = (
        db.probe.__call__,
        db.probe.every,
        db.deepen,
        db.run,
        db.load,
        db.theory,
    )
    for function in functions:
        hints = typing.get_type_hints(function)
        names = set(function.__code__.co_varnames[: function.__code__.co_argcount])
        assert {*names - {"self"}, "return"} <= set(hints)


def test_every_is_that_of_probe():
    assert db.every == db.probe.every


def test_the_version_is_the_packages(root):
    declared = tomllib.loads((root / "pyproject.toml").read_text())
    assert declared["tool"]["setuptools"]["dynamic"]["version"] == {
        "attr": "depthbench.__version__"
    }
    cited = (root / "CITATION.cff").read_text()
    assert f"\nversion: {db.__version__}\n" in cited
    headings = re.findall(r"^## (.+)$", (root / "CHANGELOG.md").read_text(), re.M)
    releases = [re.fullmatch(r"(\d+\.\d+\.\d+) \((.+)\)", h) for h in headings]
    assert releases.pop(0) is None and headings[0] == "Unreleased"
    assert releases and all(releases)
    version, day = releases[0].groups()
    assert version == db.__version__ and f"\ndate-released: {day}\n" in cited
    assert datetime.date.fromisoformat(day)


def test_types_are_in_the_wheel(root):
    declared = tomllib.loads((root / "pyproject.toml").read_text())
    assert (root / "depthbench" / "py.typed").is_file()
    assert "py.typed" in declared["tool"]["setuptools"]["package-data"]["depthbench"]


def python(source, environment, folder, *paths):
    environment = {**environment, "PYTHONPATH": ":".join(map(str, paths))}
    return subprocess.run(
        [sys.executable, "-c", source],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
    )


def test_the_import_alone_takes_milliseconds(clean_environment, root, tmp_path):
    source = (
        "import sys, time, json\nbefore = set(sys.modules)\nbegan = time.perf_counter()\n"
        "import depthbench\ntook = time.perf_counter() - began\n"
        "print(json.dumps([took, sorted(set(sys.modules) - before)]))"
    )
    done = python(source, clean_environment, tmp_path, root)
    took, modules = json.loads(done.stdout)
    assert took < 0.1
    assert {m.partition(".")[0] for m in modules} - sys.stdlib_module_names == {
        "depthbench"
    }


def test_a_users_own_research_is_theirs(clean_environment, root, tmp_path):
    """A folder of a name that is in ours too: neither hides the other."""
    for name in ("research", "experiments", "benchmarks"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text("mine = True\n")
    source = (
        "import depthbench as db, research, experiments, benchmarks\n"
        "assert research.mine and experiments.mine and benchmarks.mine\n"
        "print(db.theory('tanh', 1.7, 0.05).phase, len(db.probes.__name__))"
    )
    done = python(source, clean_environment, tmp_path, tmp_path, root)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("ordered")


SCRIPT = """
import depthbench as db

report = db.probe(print, 3)
reveal_type(report)
reveal_type(report.slope)
reveal_type(db.probe.every(50, print, 3).history.steps)
reveal_type(db.deepen(print, batch=3).deepest)
reveal_type(db.run("gradient_flow", depth=(4, 64)).rows)
reveal_type(db.theory("tanh", 1.7, 0.05).chi_1)
reveal_type(db.load("runs/gradient_flow").answer)
db.probe(print)
"""
TYPES = (
    *("Report", "float", "tuple[int, ...]", "int | None"),
    *("list[dict[str, Any]]", "float", "str"),
)


@pytest.mark.slow
def test_pyright_sees_the_types_in_a_users_script(root, tmp_path):
    pytest.importorskip("pyright")
    (tmp_path / "script.py").write_text(SCRIPT)
    settings = {"extraPaths": [str(root)], "typeCheckingMode": "basic"}
    (tmp_path / "pyrightconfig.json").write_text(json.dumps(settings))
    command = [sys.executable, "-m", "pyright", "--outputjson", "script.py"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    found = json.loads(done.stdout)["generalDiagnostics"]
    seen = [d["message"] for d in found if d["severity"] == "information"]
    expected = [f'is "{each}"' for each in TYPES]
    assert [s for s, e in zip(seen, expected, strict=True) if not s.endswith(e)] == []
    (error,) = [d["message"] for d in found if d["severity"] == "error"]
    assert "batch" in error
