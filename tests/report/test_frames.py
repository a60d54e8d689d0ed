"""Tables with types: exact, and what is missing stays missing."""

import math

import pytest

from depthbench.research.report import frames

pandas = pytest.importorskip("pandas")

ROWS = [
    {"value": 0.1, "count": 1, "status": "ok", "reason": "", "depth": 4, "net": "mlp"},
    {"count": None, "status": "oom", "reason": "needs 3 GiB", "depth": 9, "net": None},
    {"value": "inf", "count": 2**53 + 1, "status": "ok", "reason": "", "depth": 16},
]
KEYS = {"net": "name", "depth": "integer", "absent": "number"}


def test_keys_come_first_then_status_and_reason():
    frame = frames.typed(ROWS, KEYS)
    assert list(frame) == ["net", "depth", "status", "reason", "value", "count"]
    assert frame["depth"].dtype == "int64" and list(frame["depth"]) == [4, 9, 16]


def test_what_is_missing_is_missing():
    frame = frames.typed(ROWS, KEYS)
    assert frame["value"].dtype == "float64" and frame["count"].dtype == "Int64"
    assert list(frame["value"].isna()) == [False, True, False]
    assert list(frame["count"].isna()) == [False, True, False]
    assert list(frame["net"].isna()) == [False, True, True]


def test_numbers_are_exact():
    frame = frames.typed(ROWS, KEYS)
    assert frame["value"][0] == 0.1 and frame["value"][2] == math.inf
    assert frame["count"][2] == 2**53 + 1  # which no float is


@pytest.mark.parametrize(
    ("values", "dtype"),
    [
        ([True, False], "bool"),
        ([True, None], "boolean"),
        ([True, 1], "string"),
        ([1, "auto"], "string"),
        ([2**63, 1], "string"),
        ([2**53 + 1, 0.5], "string"),
        (["inf", None], "float64"),
        (["inf", "mlp"], "string"),
        ([], "float64"),
    ],
)
def test_the_type_has_all_values(values, dtype):
    assert frames.dtype_of(values) == dtype


def test_a_key_without_a_value_has_its_axiss_type():
    frame = frames.typed([{"rate": None, "depth": None, "net": None}], KEYS)
    assert frame["depth"].dtype == "Int64" and frame["net"].dtype == "string"
    assert frame["rate"].dtype == "float64" and frame.isna().all(axis=None)
