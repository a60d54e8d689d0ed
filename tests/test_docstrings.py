"""Every example in a docstring is run, and gives what it says."""

import ast
import doctest
import importlib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
FILES = {
    str(path.relative_to(ROOT)): path.read_text()
    for folder in ("research", "benchmarks", "experiments", "depthbench")
    for path in sorted((ROOT / folder).rglob("*.py"))
}
# Their public functions all have an example. What needs a net is shown by its test.
SHOWN = ("research/theory/", "research/learning/selection", "research/signal/profiles")
SHOWN += ("research/catalogues/",)
# They want a net's parameters; the test of optimizers has all of them.
SHOWN_BY_TESTS = {
    "research/catalogues/optimizers.py": {"transformation"},
    "research/catalogues/muon.py": {"direction", "rates"},
    "research/catalogues/packages.py": {"required"},
}


def failures(module) -> list[str]:
    """What the module's examples give that they do not say."""
    said: list[str] = []
    flags = doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS
    runner = doctest.DocTestRunner(optionflags=flags)
    for test in doctest.DocTestFinder().find(module):
        runner.run(test, out=said.append)
    return said if runner.failures else []


def module_of(path: str) -> str:
    inner = path.removesuffix(".py").removesuffix("/__init__").replace("/", ".")
    return inner if inner.startswith("depthbench") else f"depthbench.{inner}"


@pytest.mark.parametrize("path", [p for p, text in FILES.items() if ">>> " in text])
def test_examples_are_true(path):
    assert not failures(importlib.import_module(module_of(path)))


def public(tree: ast.Module):
    """(name, docstring) of every public function, and method of a public class."""
    for node in tree.body:
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
            inner = [n for n in node.body if isinstance(n, ast.FunctionDef)]
            named = [(n.name, n) for n in inner if not n.decorator_list]
        elif isinstance(node, ast.FunctionDef):
            named = [(node.name, node)]
        else:
            continue
        for name, function in named:
            if not function.name.startswith("_"):
                yield name, ast.get_docstring(function) or ""


@pytest.mark.parametrize("path", [p for p in FILES if p.startswith(SHOWN)])
def test_public_functions_show_an_example(path):
    functions = dict(public(ast.parse(FILES[path])))
    bare = [name for name, text in functions.items() if ">>> " not in text]
    assert set(bare) == SHOWN_BY_TESTS.get(path, set())


def test_a_wrong_example_is_seen(tmp_path, monkeypatch):
    (tmp_path / "wrong_example.py").write_text(
        'def half(x):\n    """x / 2.\n\n    >>> half(3)\n    1.4\n    """\n'
        "    return x / 2\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    (said,) = [s for s in failures(importlib.import_module("wrong_example")) if s]
    assert "1.4" in said and "1.5" in said
