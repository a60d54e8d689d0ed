"""Headlines: every study answers in a sentence, from whatever rows a run may have."""

import copy
import re

import pytest

from depthbench.research.report import published
from depthbench.research.study import declaration, headlines
from depthbench.research.study.declaration import Headline
from depthbench.research.study.studies import studies

MEASURED = {
    name: published.made(name).rows for name in studies() if name in published.folders()
}
LONGEST = 500  # letters of a sentence that is read at a glance
SINGLE = 40  # rows that are tried alone, from all over a study's rows


@pytest.mark.parametrize("name", studies())
def test_every_study_has_a_headline_of_its_own(name):
    plain = declaration.Study.__new__.__defaults__
    assert studies()[name].headline not in plain, f"give {name}'s STUDY a headline"


def parts_of(study, rows):
    """All rows, one alone, one value of an axis alone or left out, and some lost."""
    yield rows
    yield rows[: len(rows) // 2]
    for row in rows[:: max(1, len(rows) // SINGLE)]:
        yield [row]
    for axis in study.axes:
        for value in {row.get(axis) for row in rows}:
            yield [row for row in rows if row.get(axis) == value]
            yield [row for row in rows if row.get(axis) != value]
    for status in ("overflow", "lost", "diverged", "oom"):
        lost = [{**dict.fromkeys(r), **_cell(study, r), "status": status} for r in rows]
        yield lost
        yield [*lost[::2], *rows[1::2]]
        yield [*lost[:-1], rows[-1]]
        yield [*rows[:-1], lost[-1]]


def _cell(study, row):
    return {name: row.get(name) for name in study.axes}


@pytest.mark.parametrize("name", MEASURED)
def test_any_part_of_a_grid_has_a_headline(name):
    study, rows = studies()[name], MEASURED[name]
    before = copy.deepcopy(rows)
    for part in parts_of(study, rows):
        headline = headlines.of(study, part)
        assert headline.answer.endswith(".") and len(headline.answer) > 15, headline
        for text in headline:
            assert "\n" not in text and len(text) <= LONGEST, text
            assert not re.search(
                r"\b(None(?! of)|nan|inf|Mark)\b|  |\.\.|\(\)", text
            ), text
    assert rows == before


@pytest.mark.parametrize("name", studies())
def test_no_rows_have_a_headline(name):
    assert headlines.of(studies()[name], []) == Headline(headlines.UNMEASURED)


def flow(activation, initializer, depth, decades, status="ok", at=None):
    """A row of gradient_flow."""
    survives = decades is not None and abs(decades) <= 3
    return {
        "architecture": "mlp",
        "normalizer": "none",
        "width": 64,
        "activation": activation,
        "initializer": initializer,
        "depth": depth,
        "status": status,
        "log10_ratio": decades,
        "verdict": "survives" if survives else "vanishes",
        "signal_lost_at": at,
    }


def test_gradient_flow_counts_activations_and_names_what_overflows():
    rows = [
        *(flow(name, "critical", 64, -1.0) for name in ("tanh", "relu")),
        flow("selu", "critical", 64, -7.0),
        *(flow(name, "critical", 1024, -20.0) for name in ("tanh", "relu")),
        flow("selu", "critical", 1024, None, "overflow", 12),
    ]
    answer, worst = headlines.of(studies()["gradient_flow"], rows)
    assert answer == (
        "2 of 3 activations keep their gradient (within a factor of 1,000) through 64 "
        "layers in the best kind of net, mlp critical; none does through 1,024."
    )
    assert "mlp selu critical overflows at layer 12" in worst
    assert "mlp tanh critical loses 20.0 decades through 1,024 layers" in worst
    assert "1 of 6 rows have no number: 1 overflow" in worst


@pytest.mark.parametrize(
    ("good", "total", "noun", "words"),
    [
        (3, 5, "nets", "3 of 5 nets"),
        (5, 5, "nets", "all 5 nets"),
        (2, 2, "nets", "both nets"),
        (0, 5, "nets", "none of 5 nets"),
        (1, 1, "nets", "1 of 1 net"),
        (5, 5, "", "all 5"),
    ],
)
def test_shares_read_as_english(good, total, noun, words):
    assert headlines.out_of(good, total, noun) == words


def test_many_names_are_cut_short():
    assert headlines.listed("abc") == "a, b and c"
    assert headlines.listed("abcdef", 2) == "a, b and 4 more"
    assert headlines.listed([]) == "nothing"
