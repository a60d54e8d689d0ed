"""Rows of cells: what is written can be read back."""

import errno
import os

import numpy as np
import pytest

from depthbench.research.files import regular
from depthbench.research.store import folder as folders
from depthbench.research.store import rows
from depthbench.research.store.folder import Folder
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


@pytest.mark.parametrize("code, status", [(errno.EACCES, 2), (errno.EIO, 74)])
@pytest.mark.parametrize("suffix", [".json", ".npz"])
def test_what_is_not_let_be_read_is_not_put_aside(
    suffix, code, status, tmp_path, monkeypatch
):
    """It is skipped where it is shown, and no reason to measure anew."""
    folder = Folder(tmp_path)
    folder.cells.mkdir()
    measured = Measured("ok", "", {"v": 1}, {"x": np.ones(2)})
    record, packed = rows.record_of("s", {"width": 3}, measured, STAMP)
    rows.save(folder.cells, record, packed)
    name, read = f"{record.id}{suffix}", regular.read

    def refused(path):
        if path.suffix == suffix:
            raise OSError(code, os.strerror(code), str(path))
        return read(path)

    with monkeypatch.context() as patched:
        patched.setattr(regular, "read", refused)
        assert folders.records(folder) == ([], [f"{name}: {os.strerror(code)}"])
        with pytest.raises(Refusal, match=f"{name}: {os.strerror(code)}") as caught:
            folders.records(folder, quarantine=True)
    assert caught.value.status == status
    assert folders.records(folder, quarantine=True) == ([record], [])
