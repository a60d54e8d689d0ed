"""README and docs speak of what is there: links, files, commands, examples, answers."""

import importlib
import re
import runpy
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest

from depthbench.research.catalogues.activations import ACTIVATIONS
from depthbench.research.cli import main, run, train
from depthbench.research.datasets import DataError
from depthbench.research.datasets.user_files import PREFIXES
from depthbench.research.report import documents, published
from depthbench.research.study.declaration import Row
from depthbench.research.study.errors import Refusal

ROOT = documents.ROOT
PAGES = [
    *documents.paths(),
    ROOT / "CONTRIBUTING.md",
    ROOT / "CHANGELOG.md",
    ROOT / "docs" / "examples" / "README.md",
]
TEXT = {path: path.read_text(encoding="utf-8") for path in PAGES}
FENCE = re.compile(r"^```([^\n]*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
each_page = pytest.mark.parametrize(
    "page", PAGES, ids=lambda p: str(p.relative_to(ROOT))
)


def prose(page: Path) -> str:
    return FENCE.sub("", TEXT[page])


# ------------------------------------------------------------------- what is missing

MISSING = re.compile(r"[,(|:] (None|nan)\b|\bNone[,.)]")


def test_what_is_not_known_is_not_told_as_none():
    """A run that was stopped has no day; a number that there is not is a dash."""
    reports = (published.ROOT / "benchmarks" / "results").glob("*/*/report.md")
    texts = [prose(page) for page in PAGES] + [path.read_text() for path in reports]
    lines = [line for text in texts for line in text.splitlines()]
    told = [line for line in lines if MISSING.search(re.sub("`[^`]*`", "", line))]
    assert not told
    assert MISSING.search("made on a GPU, None.") and MISSING.search("| nan |")


# ------------------------------------------------------------------- links and files


def anchors(text: str) -> set[str]:
    """The names by which GitHub links to a page's headings."""
    headings = re.findall(r"^#+ (.+)$", FENCE.sub("", text), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", h.lower()).replace(" ", "-") for h in headings}


def broken(page: Path, text: str) -> list[str]:
    """The relative links of a page that lead nowhere."""
    lost = []
    for link in re.findall(r"\]\(([^)\s]+)\)", FENCE.sub("", text)):
        name, _, anchor = link.partition("#")
        target = (page.parent / name).resolve() if name else page
        if re.match(r"[a-z]+:", link):
            continue
        known = (
            anchors(text if target == page else target.read_text()) if anchor else ()
        )
        if not target.exists() or (anchor and anchor not in known):
            lost.append(link)
    return lost


@each_page
def test_links_lead_somewhere(page):
    assert not broken(page, TEXT[page])


def test_broken_links_are_seen():
    page = ROOT / "README.md"
    text = "## A `b`, c\n[1](#a-b-c) [2](#nothing) [3](LICENCE) [4](docs/cost.md#cost)"
    assert broken(page, text) == ["#nothing", "LICENCE"]


@each_page
def test_files_that_are_named_exist(page):
    """Of a file that a recipe adds, the folder."""
    named = r"`((?:research|benchmarks|experiments|tests|docs)/[\w/.]*)`"
    for name in re.findall(named, prose(page)):
        path = ROOT / name
        assert path.exists() or (
            page.name == "CONTRIBUTING.md" and path.parent.is_dir()
        ), f"{page.name} names {name}"


def test_the_map_has_every_room():
    text = TEXT[ROOT / "docs" / "map.md"]
    for package in (ROOT / "research").glob("*/__init__.py"):
        assert f"<!-- modules: research/{package.parent.name} -->" in text


# ------------------------------------------------------------------------- commands

PLACEHOLDERS = {"COMMAND": "list", "STUDY": "gradient_flow", "ACTIVATION": "tanh"}
LINE = re.compile(
    r"^(?:[A-Z_]+=\S+ |srun |\.venv/bin/)*(?:depthbench|python -m research\.cli) "
)


def commands(text: str) -> Iterator[list[str]]:
    """The arguments of every `depthbench` command line in a page."""
    lines = [
        line
        for language, body in FENCE.findall(text)
        if not language.startswith("python")
        for line in re.sub(r"\s*\\\n\s*", " ", body).splitlines()
    ]
    inline = re.findall(r"`([^`\n]+)`", FENCE.sub("", text))
    for line in (*(re.sub(r"(?<=\S)(  +\S.*|\s+#.*)$", "", s) for s in lines), *inline):
        if LINE.match(line):
            line = re.sub(r"\w+", lambda word: PLACEHOLDERS.get(word[0], word[0]), line)
            yield shlex.split(re.sub(r" …|\[\w+\]", "", LINE.sub("", line)))


def check(arguments: list[str]) -> None:
    """Reads a command line as the command does, and runs nothing. Raises Refusal."""
    if arguments == ["--version"]:
        return
    name, *rest = arguments
    known = [command.name for command in main.COMMANDS]
    if name not in known:
        raise Refusal(f"unknown command {name!r}")
    module = importlib.import_module(f"depthbench.research.cli.{name}")
    take = getattr(module, "take", None) or main._take
    try:
        options = take(main.Parser(prog=f"depthbench {name}"), module, rest)
    except SystemExit as status:  # --help
        assert not status.code
        return
    try:
        if name == "run":
            run.check(options.study, options)
        elif name == "train":
            train.check(options)
    except DataError:  # a set that would have to be prepared, or written, first
        assert options.dataset.startswith(("tfds:", *PREFIXES))
    except Refusal as error:  # and its folder made
        if not re.fullmatch(r"--data-dir \S+: no such folder", str(error)):
            raise
    if name == "train":
        train.processes(options)
    if name == "theory":
        assert options.activation in ACTIVATIONS


# Pages whose commands are of what they add; tests/test_contributing.py adds it.
ADDING = (ROOT / "README.md", ROOT / "CONTRIBUTING.md")
# tests/study/test_plugins.py writes its file and runs its commands.
PLUGGING = ROOT / "docs" / "plugins.md"


@pytest.mark.parametrize(
    "page",
    [page for page in PAGES if page not in (*ADDING, PLUGGING)],
    ids=lambda page: str(page.relative_to(ROOT)),
)
def test_commands_are_understood(page, capsys):
    for arguments in commands(TEXT[page]):
        try:
            check(arguments)
        except ValueError as error:
            pytest.fail(f"{page.name}: depthbench {' '.join(arguments)}: {error}")
        except Refusal as error:
            pytest.fail(f"{page.name}: depthbench {' '.join(arguments)}: {error}")


def test_commands_are_found_and_checked():
    page = """
```
depthbench run gradient_flow --depth 4 \\
    --seeds 2     what it does
X=1 depthbench train --mesh data=2  # comment
```
`depthbench list` and `depthbench run STUDY --help`
"""
    assert list(commands(page)) == [
        ["run", "gradient_flow", "--depth", "4", "--seeds", "2"],
        ["train", "--mesh", "data=2"],
        ["list"],
        ["run", "gradient_flow", "--help"],
    ]
    for wrong in ("run gradient_flow --dept 4", "run nothing", "train --depth x", "go"):
        with pytest.raises((Refusal, ValueError)):
            check(wrong.split())


def test_pages_have_commands():
    assert sum(len(list(commands(text))) for text in TEXT.values()) > 50


# ------------------------------------------------------------------------- examples

EXAMPLES = [
    pytest.param(body, id=f"{page.name}-{number}")
    for page in PAGES
    for number, (language, body) in enumerate(FENCE.findall(TEXT[page]))
    if language == "python run"
]


@pytest.mark.parametrize("body", EXAMPLES)
def test_examples_run(body, tmp_path, capsys):
    path = tmp_path / "example.py"
    path.write_text(body)
    runpy.run_path(str(path))
    assert capsys.readouterr().out


# --------------------------------------------------------------------------- answer


def rows(kind: str, normalizer: str | None = None) -> list[Row]:
    published_run = published.made("max_trainable_depth")
    assert published_run is not None
    return [
        row
        for row in published_run.rows
        if row["architecture"] == kind and normalizer in (None, row["normalizer"])
    ]


def test_the_first_answer_is_what_the_rows_say():
    """README's sentence above its table: change it with the rows."""
    text = " ".join(TEXT[ROOT / "README.md"].split())
    assert (
        "None of these trains deeper than its gradient survives. Plain nets stop "
        "training before it is lost; residual nets with batch norm train as deep as was "
        "tried." in text
    )
    adding = published.made("adding")
    assert adding is not None
    best = min(
        (row for row in adding.rows if row["lag"] == 40), key=lambda row: row["score"]
    )
    assert best["score"] == min(row["score"] for row in adding.rows)
    assert best["cell"] == "gru" and f"10^−{-best['decades']:.1f} of its" in text
    every = [*rows("mlp"), *rows("residual_mlp")]
    assert all(row["max_depth"] <= row["gradient_depth"] for row in every)
    plain, residual = rows("mlp"), rows("residual_mlp", "batch")
    assert plain and all(row["max_depth"] < row["gradient_depth"] for row in plain)
    assert residual and all(row["capped"] for row in residual)


def test_readme_is_short_then_links():
    """Its answer, how to run it, here and elsewhere, the systems, its cost; all else is a
    link.

    Lines of tables are made from rows: one for each system.
    """
    text = TEXT[ROOT / "README.md"]
    prose = [line for line in text.splitlines() if not line.startswith("|")]
    assert len(prose) <= 195
    for path in documents.paths()[1:]:
        name = path.relative_to(ROOT)
        assert f"({name})" in text, f"README has no link to {name}"
