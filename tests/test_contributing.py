"""CONTRIBUTING keeps its word: what it adds, as it is written, in a copy of the source."""

import ast
import json
import math
import os
import re
import shlex
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import NamedTuple
from xml.etree import ElementTree

import pytest

from tests.conftest import ROOT

PAGE = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
TREE = (
    *("depthbench", "research", "benchmarks", "experiments", "tests", "docs"),
    *("README.md", "CONTRIBUTING.md", "CHANGELOG.md", "LICENSE", "CITATION.cff"),
    "pyproject.toml",
)
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.M | re.S)
# The line before an example: a file of its own, or where in a file it goes.
NEW = re.compile(r"`(\S+\.py)`:")
ENTRY = re.compile(r"at the\s+end\s+of\s+`(\w+)`\s+in\s+`(\S+\.py)`")


class Addition(NamedTuple):
    """An example of the page. holder: what it is an entry of; "" for a whole file."""

    path: str
    holder: str
    code: str


def blocks(page: str) -> list[tuple[str, str, str]]:
    """(the paragraph before it, its language, its text) of each block of code."""
    return [
        (page[: block.start()].rstrip("\n").rpartition("\n\n")[2], block[1], block[2])
        for block in FENCE.finditer(page)
    ]


def additions(page: str) -> list[Addition]:
    """The page's examples that say where they go, in its order."""
    added = []
    for before, language, code in blocks(page):
        if language == "python" and (file := NEW.fullmatch(before)):
            added.append(Addition(file[1], "", code))
        elif language == "python" and (entry := ENTRY.search(before)):
            added.append(Addition(entry[2], entry[1], code))
    return added


def commands(page: str) -> list[list[str]]:
    """The command lines that the page gives after its examples, as it gives them."""
    after = page[page.index("## Add a catalogue entry") :]
    texts = [code for _, language, code in blocks(after) if not language]
    return [shlex.split(line) for text in texts for line in text.splitlines()]


def apply(addition: Addition, folder: Path) -> None:
    """Writes the file, or the entry after the last of its holder."""
    path = folder / addition.path
    if not addition.holder:
        assert not path.exists(), f"{addition.path} is there"
        path.write_text(addition.code, encoding="utf-8")
        return
    text = path.read_text(encoding="utf-8")
    last = last_of(ast.parse(text), addition.holder)
    assert last.end_lineno is not None
    lines = text.splitlines()
    code = addition.code.rstrip("\n") + "," * isinstance(last, ast.expr)
    lines.insert(last.end_lineno, textwrap.indent(code, " " * last.col_offset))
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def last_of(tree: ast.Module, name: str) -> ast.expr | ast.stmt:
    """The last field of a class, or the last entry of a list or a catalogue."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef) and node.name == name:
            return [line for line in node.body if isinstance(line, ast.AnnAssign)][-1]
        target = node.targets[0] if isinstance(node, ast.Assign) else None
        target = node.target if isinstance(node, ast.AnnAssign) else target
        called = node.arg if isinstance(node, ast.keyword) else None
        if name == (target.id if isinstance(target, ast.Name) else called):
            value = node.value  # type: ignore[attr-defined]
            listed = value.args[-1] if isinstance(value, ast.Call) else value
            assert isinstance(listed, ast.List | ast.Tuple), f"{name} is no list"
            return listed.elts[-1]
    raise AssertionError(f"nothing is named {name}")


def names(addition: Addition) -> list[str]:
    """What an example adds: an entry, a field, a study, peers; nothing by a builder."""
    added = []
    for statement in ast.parse(addition.code).body:
        if addition.holder and isinstance(statement, ast.AnnAssign):
            added.append(ast.unparse(statement.target))
        elif isinstance(statement, ast.Assign | ast.Expr):
            value = statement.value
            calls = value.elts if isinstance(value, ast.List) else [value]
            for call in (call for call in calls if isinstance(call, ast.Call)):
                words = {word.arg: word.value for word in call.keywords}
                added.append(ast.literal_eval((*call.args, words.get("name"))[0]))
    return added


ADDED = additions(PAGE)
NAMES = [name for addition in ADDED for name in names(addition)]


def python(arguments, folder, environment, given=""):
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=folder,
        env={
            **environment,
            "PYTHONPATH": str(folder),
            "XLA_FLAGS": os.environ["XLA_FLAGS"],
        },
        input=given,
        capture_output=True,
        text=True,
        timeout=400,
    )


@pytest.fixture(scope="session")
def copy(once, clean_environment) -> Path:
    """A copy of the source with all of the page's examples, its documents made again."""

    def make(folder: Path) -> None:
        leave = shutil.ignore_patterns("__pycache__", "runs")
        folder.mkdir()
        for name in TREE:
            if (ROOT / name).is_dir():
                shutil.copytree(ROOT / name, folder / name, symlinks=True, ignore=leave)
            else:
                shutil.copy(ROOT / name, folder / name)
        for addition in ADDED:
            apply(addition, folder)
        done = python(["-m", "depthbench", "report"], folder, clean_environment)
        assert done.returncode == 0, done.stderr

    return once("contributing", make)


def test_the_page_adds_one_of_each_kind():
    """What is promised: an example that nobody can read is not tried below."""
    kinds = {
        *("ACTIVATIONS", "INITIALIZERS", "NORMALIZERS", "OPTIMIZERS", "SCHEDULES"),
        *("FAMILIES", "Recipe", "DATASETS", "claims"),
    }
    assert kinds == {addition.holder for addition in ADDED} - {""}
    files = {addition.path.split("/")[-2] for addition in ADDED if not addition.holder}
    assert files == {"dense", "datasets", "propagation", "peers"}
    assert len(NAMES) == len(set(NAMES)) == len(kinds) + 2  # a study and a peer
    before = PAGE[: PAGE.index("## Docstrings")]  # whose example is of a style
    assert len(ADDED) == [language for _, language, _ in blocks(before)].count("python")


def test_readmes_entry_is_the_pages():
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    entries = [code for _, language, code in blocks(readme) if language == "python"]
    assert ADDED[0].code in entries


# The page's commands are run at the size of a test, as far as they do not say theirs, in
# one process.
SMALL = {
    "run": "--size smoke --format json",
    "gradient_flow": "--depth 3 --width 8 --seeds 2",
    "train": "--steps 3 --depth 2 --width 8 --batch 8 --format json",
    "claims": "--size smoke --format json",
}
RUN = """
import contextlib, io, json, runpy, sys
from depthbench.research.cli.main import main
from depthbench.research.report import figures
from tests.report import test_documents

# Drawn, but not laid out and coloured in: that takes longer than the rows.
figures.lay_out = lambda drawn: None
figures.as_png = figures.as_svg = lambda drawn: b""
for page in test_documents.ADDING:
    for words in test_documents.commands(page.read_text()):
        with contextlib.redirect_stdout(io.StringIO()):  # --help among them
            test_documents.check(words)  # those within sentences too
for words in json.load(sys.stdin):
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        if words[0] == "depthbench":
            status = main(words[1:])
        else:
            sys.argv = words[2:]
            try:
                runpy.run_module(words[2], run_name="__main__")
            except SystemExit as end:
                status = end.code
    print(json.dumps([words, status, out.getvalue()]), flush=True)
"""


def shrunk(words: list[str], number: int) -> list[str]:
    """A command line with what is missing of a small size, and a folder of its own."""
    kinds = words[1:3] if words[0] == "depthbench" else ["run"]
    more = " ".join(SMALL.get(kind, "") for kind in kinds).split()
    flags = zip(more[::2], more[1::2], strict=True)
    added = [word for flag in flags if flag[0] not in words for word in flag]
    return [*words, *added, *(["--out", f"runs/{number}"] if more else [])]


@pytest.mark.slow
def test_the_pages_commands_run(copy, clean_environment):
    lines = [shrunk(words, i) for i, words in enumerate(commands(PAGE))]
    assert {words[1] for words in lines} == {"theory", "run", "train", "-m", "claims"}
    done = python(["-c", RUN], copy, clean_environment, json.dumps(lines))
    assert done.returncode == 0, done.stderr
    answers = [json.loads(line) for line in done.stdout.splitlines()]
    assert [words for words, _, _ in answers] == lines
    for words, status, out in answers:
        assert not status and out, f"{words}: {status}\n{done.stderr}"
        if words[1] in ("run", "train", "-m"):
            rows = [row for row in json.loads(out) if row["status"] == "ok"]
            assert rows, f"{words}: {out}"
        if words[1] == "train":  # each value of each flag in its own run
            values = [word.split(",") for word in words[3::2]]
            assert len(rows) == math.prod(map(len, values)), f"{words}: {out}"
        if words[1] == "run":
            measured = {value for row in rows for value in row.values()}
            asked = {value for word in words[3:] for value in word.split(",")}
            assert asked & {*NAMES} <= measured, f"{words}: {out}"


# Where contract tests are: what goes through catalogues, studies, claims, peers and fields.
CONTRACTS = (
    *("catalogues", "theory", "datasets", "architectures", "report", "study"),
    *("learning/test_recipe.py", "benchmarks/test_peers.py", "store/test_closure.py"),
)
DOCUMENTS = (
    *("test_documents_are_made_from_committed_rows", "test_docs_name_every"),
    *("test_files_that_are_named_exist", "test_links_lead_somewhere"),
)


@pytest.mark.slow
def test_contract_tests_of_what_is_added_pass(copy, clean_environment, tmp_path):
    """Of each name one at least, without a test of its own; and those of documents."""
    wanted = " or ".join([*NAMES, *DOCUMENTS])
    flags = ["-q", "-n", "0", "-p", "no:cacheprovider", "-k", wanted]
    flags += ["-m", "not exhaustive"]  # those that are slow too
    paths = [f"tests/{path}" for path in CONTRACTS]
    report = tmp_path / "tests.xml"
    done = python(
        ["-m", "pytest", *flags, f"--junitxml={report}", *paths],
        copy,
        clean_environment,
    )
    assert done.returncode == 0, done.stdout[-8000:] + done.stderr
    ran = [
        case.attrib["name"]
        for case in ElementTree.parse(report).iter("testcase")
        if case.find("skipped") is None
    ]
    for name in NAMES:
        tried = [case for case in ran if name in case.partition("[")[2]]
        assert tried, f"no test of {name} among {ran}"


def test_a_mistyped_name_of_what_was_added_is_mended(copy, clean_environment):
    """The command line offers entries, wherever they come from."""
    mistyped = "run gradient_flow --activation squarepls".split()
    done = python(["-m", "depthbench", *mistyped], copy, clean_environment)
    assert done.returncode == 2 and "Traceback" not in done.stderr
    assert "did you mean squareplus" in done.stderr
