"""What columns mean: docs/columns.md says it of what many studies have, and docs/columns/
of what one has by itself."""

import re

import pytest

from depthbench.research.files.source import ROOT
from depthbench.research.report import published
from depthbench.research.study.studies import ROOMS, studies

COMMON = ROOT / "docs" / "columns.md"
PAGES = ROOT / "docs" / "columns"
# Of a column that has a meaning: its errors, intervals and the like, as columns.md says.
ENDS = re.compile(
    r"_(se|low|high|theory|by_seed|test_se|test_groups|left_out|at_edge|unfinished)$"
)


def named(text):
    """The names in a page's text: a line may tell several."""
    return set(re.findall("`([a-z0-9_]+)`", text))


def first(text):
    """The names in the first cells of a page's tables."""
    cells = (line.split("|")[1] for line in text.splitlines() if line.startswith("| `"))
    return {name for cell in cells for name in named(cell)}


def sections(text):
    """The text under each heading of a study."""
    parts = re.split("^## (.+)$", text, flags=re.M)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def pages():
    return {page.stem: sections(page.read_text()) for page in PAGES.glob("*.md")}


def lacking(study):
    """The columns of a study that no page says the meaning of."""
    own = {
        name for page in pages().values() for name in named(page.get(study.name, ""))
    }
    known = named(COMMON.read_text()) | own | set(study.axes)
    bare = lambda name: bare(ENDS.sub("", name)) if ENDS.search(name) else name
    return [n for n in study.columns if n not in known and bare(n) not in known]


PUBLISHED = [name for name in studies() if published.of_devices(name)]


@pytest.mark.parametrize("name", PUBLISHED)
def test_every_column_of_published_rows_has_a_meaning(name):
    assert lacking(studies()[name]) == []


def test_pages_are_of_studies_that_have_these_columns():
    known = studies()
    assert pages().keys() <= {*ROOMS, "benchmarks"}
    for folder, page in pages().items():
        for name, text in page.items():
            study = known[name]
            assert f".{folder}." in study.module
            there = {*study.columns, *(ENDS.sub("", n) for n in study.columns)}
            assert first(text) <= there, (name, first(text) - there)
