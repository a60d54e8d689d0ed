"""Tables in a terminal of any width: numbers are whole, and the answer is there."""

import io

import pytest
from rich.console import Console

from depthbench.research.files.text import writable
from depthbench.research.report import (
    columns,
    published,
    rendering,
    study_report,
    verdicts,
)
from depthbench.research.report.rendering import text_of
from depthbench.research.study.studies import studies
from depthbench.research.study.tables import Mark, Table

WIDTHS = (60, 80, 100)
STACKS = (*verdicts.STACKS, study_report.SHOWN)


def tables_of(name):
    """A study's tables as a terminal has them; name: STUDY or DEVICE/STUDY."""
    device, _, study_name = f"{published.CPU}/{name}".rpartition("/")
    study = studies()[study_name]
    rows = published.made(study_name, device.rpartition("/")[2]).rows
    for table in [*study.tables(rows), *study_report.judgement(study, rows)]:
        groups = [g for g in STACKS if set(g) <= set(table.headers)]
        yield rendering.stacked(table, *groups)


def drawn(table, width, encoding="utf-8"):
    stream = io.TextIOWrapper(io.BytesIO(), encoding)
    rendering.show(table, Console(file=stream, width=width))
    stream.flush()
    return stream.buffer.getvalue().decode(encoding)


def numbers(table):
    """The words with a digit of its entries."""
    texts = (text_of(entry) for row in table.rows for entry in row)
    return [w for text in texts for w in text.split() if any(c.isdigit() for c in w)]


def marked(table):
    return any(isinstance(entry, Mark) for row in table.rows for entry in row)


@pytest.mark.parametrize("width", WIDTHS)
def test_no_number_of_a_study_is_broken(width):
    """Nor is a line longer than the terminal, nor a column left out in silence."""
    left_out = 0
    for name in published.names():
        for table in tables_of(name):
            text, fit = drawn(table, width), columns.fit(table, width)
            assert max(map(len, text.splitlines())) <= width, name
            broken = set(numbers(fit.table)) - set(text.split())
            assert not broken, (name, table.title, broken)
            assert len(fit.table.headers) + len(fit.left_out) == len(table.headers)
            named = " ".join(text.split())
            for header in fit.left_out:
                assert " ".join(header.split()) in named, (name, header)
            assert fit.table.headers[0].split() == table.headers[0].split()
            assert marked(fit.table) == marked(table), (name, table.title)
            left_out += len(fit.left_out)
    assert left_out or width > 80


def test_what_is_left_out_is_the_last_that_does_not_stand_out():
    headers = ("net", "depth", "rate", "loss", "error", "verdict")
    rows = [
        ("mlp", str(depth), "0.00123", "9.5e-05", "1.25e+03", Mark("fails", "bad"))
        for depth in (1, 2)
    ]
    table = Table("", headers, tuple(rows))
    left_out = [columns.fit(table, width).left_out for width in (60, 44, 36, 27, 18)]
    assert left_out[0] == ()
    assert left_out[1:3] == [("error",), ("loss", "error")]
    assert left_out[3] == ("rate", "loss", "error")
    assert left_out[4] == ("rate", "loss", "error", "verdict")


def test_the_columns_that_tell_rows_apart_stay():
    rows = tuple(("mlp", str(d), r, Mark("1", "")) for d in (1, 2) for r in "ab")
    assert columns.naming(Table("", ("net", "depth", "rule", "x"), rows)) == 3
    assert columns.naming(Table("", ("net", "x"), (("a", "1"), ("a", "1")))) == 1


@pytest.mark.parametrize("encoding", ["ascii", "latin-1"])
def test_escapes_have_room_too(encoding):
    for width in WIDTHS:
        for table in tables_of("finite_width"):
            text = drawn(table, width, encoding).replace("|", " ")
            assert max(map(len, text.splitlines())) <= width
            entry = lambda e: writable(text_of(e), encoding)
            seen = tuple(tuple(map(entry, row)) for row in table.rows)
            headers = tuple(map(entry, table.headers))
            fit = columns.fit(Table("", headers, seen), width)
            assert numbers(fit.table) and set(numbers(fit.table)) <= set(text.split())


def test_a_header_is_broken_where_a_reader_would():
    assert columns.folded("examples_per_s", 9).split("\n") == ["examples_", "per_s"]
    assert columns.folded("90 % interval", 8).split("\n") == ["90 %", "interval"]
    assert columns.folded("ms", 9) == "ms"
    assert columns.folded("0.00024", 3) == "0.00024"
