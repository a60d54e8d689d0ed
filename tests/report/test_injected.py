"""Text of a stranger's files is text in whatever is made of it."""

import csv
import html.parser
import io
import json
import re
import shutil
import xml.etree.ElementTree as tree

import pytest
from markdown_it import MarkdownIt
from rich.console import Console

from depthbench.research.cli.main import main
from depthbench.research.engine import console
from depthbench.research.files.text import visible
from depthbench.research.report import (
    fields,
    figures,
    markdown,
    page,
    published,
    rendering,
)
from depthbench.research.store import folder as folders
from depthbench.research.store import manifest, reports
from depthbench.research.store.folder import Folder
from depthbench.research.study.declaration import Headline
from depthbench.research.study.tables import Mark, Table
from tests import forged
from tests.cli.test_command import run_small
from tests.cli.test_results import trained
from tests.hostile import TEXTS, made_up

SWEEP = (*TEXTS, *made_up(400))
WHOLE = pytest.param(range(1, 26), marks=pytest.mark.exhaustive)  # seeds of made_up


def of_seed(seeds):
    return SWEEP if seeds is None else [t for s in seeds for t in made_up(4000, s)]


sweep = pytest.mark.parametrize("seeds", [None, WHOLE])


class Page(html.parser.HTMLParser):
    """The tags, attributes and cells of an HTML page, as a browser makes them."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.names, self.cells, self.rest = set(), set(), [], []
        self.inside = False
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attributes):
        self.tags.add(tag)
        self.names |= {name for name, _ in attributes}
        if tag in ("td", "th", "p", "h1", "h3", "li", "figcaption"):
            self.cells.append("")
            self.inside = True

    def handle_endtag(self, tag):
        self.inside = self.inside and tag in ("b", "strong")

    def handle_data(self, data):
        if self.inside:
            self.cells[-1] += data

    def handle_comment(self, data):
        raise AssertionError(f"a comment: {data}")


# CSV


@sweep
def test_a_csv_is_read_as_it_was_written(seeds, tmp_path):
    texts = of_seed(seeds)
    written = [
        {"id": place, "text": text, "x": 0.5} for place, text in enumerate(texts)
    ]
    path = tmp_path / "rows.csv"
    path.write_bytes(rendering.as_csv(written, ["id", "text", "x"]).encode())
    assert published.read_csv(path) == written
    with open(path, newline="", encoding="utf-8") as file:
        cells = [row["text"] for row in csv.DictReader(file)]
    assert len(path.read_text().splitlines()) == len(texts) + 1
    for text, cell in zip(texts, cells, strict=True):
        assert visible(cell) == cell
        acts = cell.lstrip()[:1] in ("=", "+", "-", "@", "＝", "＋", "－", "＠")
        assert not acts or is_number(cell), (text, cell)


def is_number(text):
    try:
        return float(text) is not None
    except ValueError:
        return False


def test_names_of_columns_are_text_too(tmp_path):
    row = {text: place for place, text in enumerate(TEXTS)}
    content = rendering.as_csv([row], list(row))
    (tmp_path / "rows.csv").write_bytes(content.encode())
    assert published.read_csv(tmp_path / "rows.csv") == [row]
    assert not re.search(r"(^|,)[=+@]", content)
    # Those that are numbers stay as they are, which no spreadsheet calculates.
    assert fields.name("0.001") == "0.001" and fields.name("-0.5") == "'-0.5"


@pytest.mark.parametrize(
    "content", ["a,b\n1\n", "a\n1,2\n", 'a\n"1', "a\n\0,\n", "a\n\xff"]
)
def test_a_csv_that_is_none_is_refused_by_its_line(tmp_path, content):
    (tmp_path / "rows.csv").write_bytes(content.encode("latin-1"))
    with pytest.raises(ValueError, match=r"rows\.csv: line \d is no row"):
        published.read_csv(tmp_path / "rows.csv")


# Markdown


RENDERED = MarkdownIt("commonmark").enable(["table", "strikethrough"])


def spaced(text):
    return " ".join(visible(text).split())


@sweep
def test_markdown_shows_a_tables_text(seeds):
    texts = of_seed(seeds)
    table = Table(
        texts[0], ("a", *texts[1:3]), tuple((t, Mark(t, "bad"), "c") for t in texts)
    )
    shown = Page(RENDERED.render(rendering.as_markdown(table)))
    assert shown.tags <= {"h3", "table", "thead", "tbody", "tr", "th", "td"}
    assert not shown.names
    cells = [texts[0], *table.headers]
    cells += [cell for text in texts for cell in (text, text, "c")]
    for cell, text in zip(shown.cells, cells, strict=True):
        assert " ".join(cell.split()) == spaced(text), markdown.text(text)


@sweep
def test_markdown_shows_text_of_paragraphs_and_lists(seeds):
    for text in of_seed(seeds):
        lines = rendering.first(Headline(f"Best: {text}.", text))
        source = "\n".join([*lines, f"- {markdown.text(text)}\n"])
        shown = Page(RENDERED.render(source))
        assert shown.tags <= {"p", "strong", "ul", "li"}, (text, source)
        assert not shown.names
        assert all(c.isprintable() or c == "\n" for c in source)


# HTML


@sweep
def test_a_page_shows_text_and_runs_nothing(seeds):
    for text in of_seed(seeds):
        table = Table(text, (text, "END"), ((text, Mark(text, "bad")), ("END", "END")))
        parts = [page.head(text, text, Headline(text, text)), page.table(table)]
        parts += [page.figure(text, text, b""), page.made([text])]
        source = page.whole(text, parts)
        shown = Page(source.partition("<body>")[2])
        assert shown.tags <= TAGS and shown.names <= ATTRIBUTES, text
        kept = visible(text, keep="\n")
        assert [cell for cell in shown.cells if cell != "END"] == [kept] * 10
        assert set(Page(source).tags) <= TAGS | {
            "html",
            "head",
            "meta",
            "title",
            "style",
            "body",
        }
        source.encode()


TAGS = set("h1 h3 p div table tr th td b figure img figcaption ul li".split())
HEAD = set("html head meta title style body".split())
ATTRIBUTES = {"class", "tabindex", "alt", "src"}


# Figures


def test_figures_draw_text_as_it_is():
    """Every text where a study puts those of its rows: titles, ticks, labels, legends."""
    texts = [text for text in TEXTS if text.isascii()]
    rows_of = [figures.literal_row({"name": t, "x": 0.5, "id": t}) for t in texts]
    assert [row["id"] for row in rows_of] == texts
    for start in range(0, len(texts), 12):
        part = [row["name"] for row in rows_of[start : start + 12]]
        drawn = figures.new(6, 4)
        axes = drawn.subplots()
        for place, name in enumerate(part):
            axes.plot([place, 1.0], [0.0, 1.0], label=f"net {name}")
        axes.set_xticks(range(len(part)), part)
        axes.set_title(" ".join(part[:2]), loc="left")
        axes.set_xlabel(part[-1])
        axes.text(0, 0, part[0])
        axes.legend(fontsize=3)
        figures.lay_out(drawn)
        assert figures.as_png(drawn).startswith(b"\x89PNG")
        svg = tree.fromstring(figures.as_svg(drawn))
        words = " ".join("".join(svg.itertext()).split())
        for name in part:
            assert " ".join(name.replace(r"\$", "$").split()) in words
        assert not any("script" in element.tag for element in svg.iter())


# Terminals


CONTROLS = re.compile(
    r"[^\n\x20-\x7e\xa0-\U0010ffff]|[\u200b-\u200f\u2028-\u202e\u2066-\u2069]"
)


@sweep
def test_a_terminal_is_sent_nothing_but_text(seeds, capsys, monkeypatch):
    monkeypatch.delenv("COLUMNS", raising=False)  # pytest-xdist's, which breaks lines
    texts = of_seed(seeds)
    stream = io.StringIO()
    console_of = Console(
        file=stream, width=80, force_terminal=True, color_system="standard"
    )
    table = Table(texts[0], ("a", texts[1]), tuple((t, Mark(t, "bad")) for t in texts))
    for text in texts[:1000]:
        rendering.show_headline(Headline(text, text), console_of)
    rendering.show(table, console_of)
    ours = re.compile(r"\x1b\[(?:0|1|2|31|32|33|1;31)m")  # colours of tones
    shown = ours.sub("", stream.getvalue())
    assert not CONTROLS.search(shown)
    plain = Console(file=io.StringIO(), width=400)
    rendering.show(table, plain)
    assert "[bold red]x[/bold red]" in plain.file.getvalue() or seeds
    capsys.readouterr()
    for text in texts:
        console.say(text)
        console.write(text)
    for lines in capsys.readouterr():
        assert not CONTROLS.search(lines) and len(lines.splitlines()) == len(texts)


# Folders


def small(out):
    assert run_small(out) == 0


@pytest.fixture
def strange(once, tmp_path):
    """A run's folder whose text is a stranger's, by the right checksums."""
    run = shutil.copytree(once("small", small), tmp_path / "run")
    folder = Folder(run)
    texts = iter(TEXTS * 9)
    for record in folders.records(folder)[0]:
        more = {f"column {n}": next(texts) for n in range(20)} | {next(texts): 1.0}
        forged.rewritten(
            folder.cells / f"{record.id}.json",
            reason=next(texts),
            values=record.values | more,
            stamp=record.stamp | {"processor": next(texts), "commit": next(texts)},
        )
    return run


def only_text(out):
    return not CONTROLS.search(out)


def test_a_strangers_run_is_reported(strange, capsys):
    for form in rendering.FORMATS:
        assert main(["report", str(strange), "--format", form]) == 0
        out, err = capsys.readouterr()
        assert only_text(out) and only_text(err), form
        assert form != "json" or json.loads(out)
    shown = Page((strange / "report.html").read_text().partition("<body>")[2])
    assert shown.tags <= TAGS | {"h2"} and shown.names <= ATTRIBUTES
    report = Page(RENDERED.render((strange / "report.md").read_text()))
    assert not report.tags & {"script", "a", "b", "i"} and report.names <= {
        "src",
        "alt",
    }
    read = published.read_csv(strange / "rows.csv")
    kept = {text for row in read for text in row.values() if isinstance(text, str)}
    assert len(kept & set(TEXTS)) > 40
    for other in (strange, shutil.copytree(strange, strange.with_name("b"))):
        for form in ("table", "json"):
            assert main(["compare", str(strange), str(other), "--format", form]) == 0
            out, err = capsys.readouterr()
            assert only_text(out) and only_text(err)


@pytest.fixture
def strange_training(once, tmp_path):
    """A training's folder, and a function that gives it a text in its manifest."""
    made = once("training for results", trained())
    path = shutil.copytree(made, tmp_path / "train")
    before = manifest.of(path)

    def change(text):
        settings = {**before.settings, "dataset": text, "data_dir": text}
        world = {**before.environment, "processor": text, "device": text}
        for report in (path / "reports").glob("*.json"):
            run = {"run": reports.run_id(settings), "step": int(report.stem)}
            forged.rewritten(report, settings=run)
        forged.edited(path, settings=settings, environment=world)
        return path

    return change


@pytest.mark.parametrize(
    "text",
    [
        "<script>alert(1)</script>",
        "[x](javascript:alert(1)) ![x](y)",
        "a|b\n<b>\x1b[31m\u202e",
        "$\\frac{$",
        "=1+1",
    ],
)
def test_a_strangers_training_is_reported(strange_training, capsys, monkeypatch, text):
    if "$" not in text:  # a figure takes a second
        monkeypatch.setattr(figures, "lay_out", lambda drawn: None)
        monkeypatch.setattr(figures, "as_png", lambda drawn: b"")
        monkeypatch.setattr(figures, "as_svg", lambda drawn: b"")
    path = strange_training(text)
    assert main(["report", str(path)]) == 0
    out, err = capsys.readouterr()
    assert only_text(out) and only_text(err)
    shown = Page((path / "report.html").read_text().partition("<body>")[2])
    assert shown.tags <= TAGS and shown.names <= ATTRIBUTES
    assert any(visible(text, keep="\n") in cell for cell in shown.cells)
    report = Page(RENDERED.render((path / "report.md").read_text()))
    assert report.tags <= {*TAGS, "strong", "thead", "tbody"}
    assert report.names <= {"src", "alt"}
    assert any(spaced(text) in " ".join(cell.split()) for cell in report.cells)
