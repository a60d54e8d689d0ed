"""csv:FILE:LABEL: every wrong table is one line with the line that is wrong in it."""

import re

import pytest

from depthbench.research.datasets import user_csv
from tests.datasets.refusals import ROWS, refusal, table, with_row

CSV = {
    "no such column": (
        table(*ROWS),
        "king",
        r"no column 'king': did you mean kind\? \(all",
    ),
    "a name that acts": (
        table(*ROWS, head='u,v,"k\x1b\nind"'),
        "kind",
        r"k\\x1b\\nind",
    ),
    "a number for a name": (table(*ROWS), "3", r"no column '3': allowed: u, v, kind"),
    "two of the name": (
        table(*ROWS, head="kind,v,kind"),
        "kind",
        r"2 columns are named 'k",
    ),
    "an index": (
        table(*ROWS, head=",v,kind"),
        "kind",
        r"column 1 has no name.*index=False",
    ),
    "empty": ("", "kind", r"its first line is empty"),
    "names alone": (table(), "kind", r"has names of columns, and no rows"),
    "one row": (table(ROWS[0]), "kind", r"has 1 example; at least 2"),
    "one column": ("kind\na\nb\n", "kind", r"its first line has one column"),
    "semicolons": (table(*ROWS).replace(",", ";"), "kind", r"no comma, but semicolons"),
    "tabs": (table(*ROWS).replace(",", "\t"), "kind", r"no comma, but tabs"),
    "text": (
        with_row(7, "1,x,a"),
        "kind",
        r"line 7: column v is 'x', no number \(1 of 20 ro",
    ),
    "a thousand": (
        with_row(7, '"1,000",2,a'),
        "kind",
        r"line 7: column u is '1,000', no n",
    ),
    "an underscore": (
        with_row(7, "1_0,2,a"),
        "kind",
        r"line 7: column u is '1_0', no number",
    ),
    "other digits": (
        with_row(7, "٤,2,a"),
        "kind",
        r"line 7: column u is '٤', no number",
    ),
    "missing": (with_row(9, "1,,a"), "kind", r"line 9: column v is missing"),
    "spaces": (with_row(9, "1,  ,a"), "kind", r"line 9: column v is missing"),
    "not a number": (
        with_row(9, "1,NA,a"),
        "kind",
        r"line 9: column v is 'NA', no number",
    ),
    "NaN": (with_row(9, "nan,1,a"), "kind", r"line 9: column u is nan"),
    "infinity": (with_row(9, "1,-inf,a"), "kind", r"line 9: column v is -inf"),
    "too large": (
        with_row(9, "1,-1e300,a"),
        "kind",
        r"line 9: column v is too large for f",
    ),
    "past float64": (with_row(9, "1,1e400,a"), "kind", r"line 9: column v is inf"),
    "too few": (with_row(4, "1,a"), "kind", r"line 4: has 2 fields, the first line 3"),
    "too many": (
        with_row(4, "1,2,3,a"),
        "kind",
        r"line 4: has 4 fields, the first line 3",
    ),
    "an empty line": (
        with_row(4, ""),
        "kind",
        r"line 4: has nothing, the first line 3",
    ),
    "a long label": (
        with_row(5, f"1,2,{'7' * 5000}"),
        "kind",
        r"line 5: has a label of 5,000 characters, of 200 at most",
    ),
    "no label": (with_row(5, "1,2,"), "kind", r"line 5: has no label"),
    "several": (
        with_row(5, "1,2,").replace("\n9,4", "\n,4"),
        "kind",
        r"line 5: .*\(2 of 20",
    ),
    "two lines in one": (
        table('"1\n",2,a', *ROWS, "x,2,b"),
        "kind",
        r"line 24: column u is 'x', no number",
    ),
    "a row of two lines": (
        with_row(5, '1,"x\ny",a'),
        "kind",
        r"line 5: column v is 'x",
    ),
    "an open quote": (with_row(5, '1,2,"a'), "kind", r"line 5: is no row of a table"),
    "a quote within": (
        with_row(5, '1,2,"a"b'),
        "kind",
        r"line 5: is no row of a table",
    ),
    "a long field": (
        with_row(5, "1" * 140_000 + ",2,a"),
        "kind",
        r"line 5: is no row of a t",
    ),
    "other bytes": (
        table(*ROWS).replace("u", "ü").encode("latin1"),
        "kind",
        r"no text in UTF",
    ),
    "UTF-16": (table(*ROWS).encode("utf-16"), "kind", r"no text in UTF-8"),
    "a mixed label": (
        table("1,2,x", *(f"{n},1,{n}.5" for n in range(9))),
        "kind",
        r"line 2: the label 'x' is no number, as most are",
    ),
    "a large label": (
        table("1,2,1e99", *(f"{n},1,{n}.5" for n in range(9))),
        "kind",
        r"line 2: its label is too large for float32",
    ),
    "one class": (table(*(f"{n},1,a" for n in range(9))), "kind", r"of one class, a"),
    "all differ": (
        table(*(f"{n},1,{n}" for n in range(9))),
        "kind",
        r"class \d has no training example, and 1 .* with a decimal point",
    ),
    "no levels": (
        table(*(f"{10**12 + n},1,a" for n in range(9)), "1e12,1,b", "1e12,1,b"),
        "kind",
        r"column u differs by less than float32 can tell",
    ),
    "counted columns": (table(*ROWS, head="0,1,2"), "3", r"first line counts 0, 1 … 2"),
    "no names": ("\n".join(ROWS), "kind", r"no column 'kind'"),
    "an example for names": (
        "1.5,2.5,a\n1.5,3.5,b\n",
        "a",
        r"if it is an example.*number, 3",
    ),
    "past the columns": ("5,2,1\n1,3,0\n", "4", r"a number from 1 to 3, not 4"),
    "column 0": ("5,2,1\n1,3,0\n", "0", r"a number from 1 to 3, not 0"),
}


@pytest.mark.parametrize("case", CSV)
def test_wrong_tables(case, tmp_path):
    content, label, says = CSV[case]
    content = content if isinstance(content, bytes) else content.encode()
    (tmp_path / "a.csv").write_bytes(content)
    assert re.search(says, refusal(f"csv:{tmp_path / 'a.csv'}:{label}"))


def test_tables_that_are_too_large(tmp_path, monkeypatch):
    (tmp_path / "a.csv").write_text(table(*ROWS))
    monkeypatch.setattr(user_csv, "TEXT", 99)
    assert re.search(
        r"takes more than 2 GiB", refusal(f"csv:{tmp_path / 'a.csv'}:kind")
    )
    monkeypatch.setattr(user_csv, "TEXT", 10**6)
    monkeypatch.setattr(user_csv, "IN_MEMORY", 999)
    assert re.search(
        r"takes more than .* GiB", refusal(f"csv:{tmp_path / 'a.csv'}:kind")
    )
