"""Rows of cells: what is written can be read back."""

import numpy as np
import pytest

from depthbench.research.store import rows
from depthbench.research.study.declaration import Measured
from depthbench.research.study.errors import Refusal

STAMP = {"data": "none"}


@pytest.mark.parametrize("value", [1, -0.5, "two", True, None, np.float32(2), np.inf])
def test_what_a_cell_gives_is_read_back(value, tmp_path):
    record, packed = rows.record_of(
        "s", {"width": 3}, Measured("ok", "", {"v": value}), STAMP
    )
    rows.save(tmp_path, record, packed)
    assert rows.load(tmp_path / f"{record.id}.json") == record


@pytest.mark.parametrize(
    ("value", "kind"),
    [([1, 2], "list"), ({"a": 1}, "dict"), (np.ones(2), "ndarray"), (1j, "complex")],
)
def test_what_could_not_be_read_back_is_refused(value, kind):
    measured = Measured("ok", "", {"fine": 1, "kept": value})
    with pytest.raises(Refusal, match=f"^s: its measure gives {kind} as kept; must"):
        rows.record_of("s", {"width": 3}, measured, STAMP)


def test_a_status_is_a_word():
    with pytest.raises(Refusal, match="gives NoneType as status; must be a text"):
        rows.record_of("s", {}, Measured(None, "", {}), STAMP)
