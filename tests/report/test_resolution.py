"""No published number is below the resolution of what was measured, and none is outside
what it can be: a share in [0, 1], an interval about its value."""

import re

import numpy as np
import pytest

from depthbench.research.report import documents, published
from depthbench.research.signal import profiles
from depthbench.research.signal.profiles import EPSILON
from depthbench.research.study.tables import number, with_error

# Columns and tables' headers with numbers below float32's resolution of 1: why, and
# where these end.
SQUARED = ("half a squared distance, which float32 knows to its square", EPSILON**2)
TINY = {
    "decorrelation": SQUARED,
    "apart": SQUARED,
    "1 − c": SQUARED,
    "1 − c at last (c map)": SQUARED,
    "variance": ("a variance", 100 * EPSILON**2),
    "sigma_b2_used": ("a setting: a variance as it was asked for", 0.0),
    "learning_rate": ("a setting", 0.0),
    "noise": ("a setting: a variance that was chosen", 0.0),
    "sigma_b2": ("a variance on the critical line, small beside q*", 0.0),
    "low": ("a probability, 2 to the power of minus the units", 0.0),
}
SHARES = re.compile(
    r"(.*_)?(accuracy|test_error|reached|learned|saturated|co_active"
    r"|product_share|share)"
)
ROWS = {
    (device, name): published.read_csv(folder / "rows.csv")
    for device in published.devices()
    for name, folder in published.folders(device).items()
}


def numbers(row):
    return {k: v for k, v in row.items() if isinstance(v, float | int) and v}


def below(row):
    """The columns of a row whose numbers are below resolution."""
    values = numbers(row)
    found = {
        name
        for name, value in values.items()
        if abs(value) < TINY.get(name.removesuffix("_se"), ("", EPSILON))[1]
    }
    # An error, beside what it is the error of.
    return found | {
        name
        for name, value in values.items()
        if name.endswith("_se")
        and value < EPSILON * abs(values.get(name.removesuffix("_se"), 0.0))
    }


@pytest.mark.parametrize("key", ROWS, ids="-".join)
def test_no_row_has_a_number_below_its_resolution(key):
    for row in ROWS[key]:
        assert not below(row), (below(row), row)


def test_numbers_below_resolution_are_found():
    for name, value in (
        ("log10_slope_theory", -2.4e-17),
        ("log_steps_se", 4.4e-16),
        ("variance", 1e-13),
        ("variance_se", 1e-14),
        ("rate_se", 2e-10),
        ("decorrelation", 1e-14),
    ):
        assert below({name: value}) == {name}
    assert below({"loss": 2e3, "loss_se": 1e-4}) == {"loss_se"}
    assert not below({"decorrelation": 1e-13, "learning_rate": 1e-9, "loss_se": 1e-6})


TABLE_NUMBER = re.compile(r"[-+]?\d+(?:\.\d+)?(?:e[-+]\d+)?")


def tables_of(text):
    """(header, entry) of every entry of every table of a Markdown text."""
    header: list[str] = []
    for line in text.splitlines():
        if not line.startswith("| "):
            header = []
            continue
        entries = [entry.strip() for entry in line.strip("| ").split(" | ")]
        header = header or entries
        yield from zip(header, entries, strict=False)


def entries_below(text):
    for header, entry in tables_of(text):
        floor = TINY.get(header, ("", EPSILON))[1]
        shown = [float(n) for n in TABLE_NUMBER.findall(entry)]
        if any(0 < abs(value) < floor for value in shown) or "±0.00 " in f"{entry} ":
            yield header, entry


PAGES = [
    *documents.paths(),
    *(
        f / "report.md"
        for d in published.devices()
        for f in published.folders(d).values()
    ),
]


@pytest.mark.parametrize("path", PAGES, ids=lambda path: "/".join(path.parts[-2:]))
def test_no_table_has_a_number_below_its_resolution(path):
    text = path.read_text()
    assert not list(entries_below(text))
    assert not re.search(r"± 0\.?0*(?=[ |%])", text), "an interval without a width"


def test_entries_below_resolution_are_found():
    text = "| net | ± |\n| --- | - |\n| mlp | {} |\n"
    for entry in ("3.2e-08", "1^L ± 1.8e-10", "1.00±0.00"):
        assert list(entries_below(text.format(entry))) == [("±", entry)]
    assert not list(entries_below(text.format("1.0 ± 0.001")))


LABEL = re.compile(r">([^<>]*\de[-−]\d+[^<>]*)<")


@pytest.mark.parametrize("key", ROWS, ids="-".join)
def test_no_label_of_a_figure_is_below_its_resolution(key):
    device, name = key
    for path in published.folders(device)[name].glob("*.svg"):
        for label in LABEL.findall(path.read_text()):
            shown = re.findall(r"\d(?:\.\d+)?e[-−]\d+", label)
            assert all(float(n.replace("−", "-")) >= EPSILON for n in shown), label


@pytest.mark.parametrize("key", ROWS, ids="-".join)
def test_a_share_is_one_and_its_interval_holds_it(key):
    for row in ROWS[key]:
        for name, value in row.items():
            if not SHARES.fullmatch(name) or value is None:
                continue
            assert 0 <= value <= 1, (name, value)
            ends = [row.get(f"{name}_{end}") for end in ("low", "high")]
            if None not in ends:
                low, high = ends
                assert 0 <= low <= value <= high <= 1 and low < high, (name, row)


def test_what_seeds_agree_on_has_no_error():
    """Of any number, and in any of float32's last digits."""
    for value in (0.1, 1 / 3, 5.198497031265826, 1e-30, 1e30, -7.0):
        for seeds in (2, 3, 5, 7):
            assert profiles.over_seeds(np.full(seeds, value)).error == 0
    random = np.random.default_rng(0)
    for scale in (1e-3, 1.0, 100.0):
        last = scale + scale * EPSILON / 4 * random.choice([-1, 1], 5)
        assert profiles.over_seeds(last) == (pytest.approx(scale), 0.0)


def test_a_difference_is_0_at_the_scale_of_what_it_is_one_of():
    tiny = np.array([1e-8, -2e-8, 3e-8])
    assert profiles.over_seeds(tiny).mean > 0  # small numbers of their own
    assert profiles.over_seeds(tiny, 1.0) == (0.0, 0.0)
    mean, error = profiles.over_seeds(np.array([1.0, 2.0, 3.0]), 1.0)
    assert (mean, error) == (2.0, pytest.approx(3**-0.5))
    assert np.isnan(profiles.over_seeds(np.array([1.0]), 1.0).error)


def test_a_number_is_0_where_its_text_would_be_rounding():
    assert [number(x) for x in (1e-17, -9e-13, 2e-12, 0.0)] == ["0", "0", "2e-12", "0"]
    assert number(1e-14, scale=0) == "1e-14" and number(1e-9, scale=1e4) == "0"
    assert with_error(1.0, 4e-16) == "1.000 exactly"
    assert with_error(-0.5, 4e-4, "+.2f") == "-0.50 ± 0.0004"
