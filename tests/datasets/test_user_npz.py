"""npz:FILE: every wrong file is one line that says what is wrong, and where."""

import io
import os
import re
import struct
import zipfile

import numpy as np
import pytest

from depthbench.research.datasets import find, user_npz
from tests.datasets.refusals import PIXELS, X, Y, changed, refusal

FOUR = {"x_train": X, "y_train": Y, "x_test": X, "y_test": Y}
NPZ = {
    "no arrays of these names": (
        {"images": X, "labels": Y},
        r"must have the arrays x and y, or x_train.*\(it has images, labels\)",
    ),
    "three of four": (
        {"x_train": X, "y_train": Y, "x_test": X},
        r"it has x_train, y_tr",
    ),
    "objects": (
        {"x": X, "y": Y.astype(object)},
        r"y\.npy is an array of Python objects",
    ),
    "text": ({"x": X, "y": Y.astype(str)}, r"y\.npy is no array of numbers .*<U"),
    "booleans": ({"x": X, "y": Y > 0}, r"no array of numbers \(its type is \|b1\)"),
    "fields": ({"x": X, "y": np.zeros(20, "f4,i4")}, r"y\.npy is no array of numbers"),
    "complex": ({"x": X.astype(complex), "y": Y}, r"x\.npy is no array of numbers"),
    "fewer labels": ({"x": X, "y": Y[1:]}, r"must have an entry an example"),
    "one number": ({"x": X, "y": np.int64(3)}, r"must have an entry an example"),
    "nothing in it": ({"x": X[:0], "y": Y[:0]}, r"there must be some"),
    "no columns": ({"x": X[:, :0], "y": Y}, r": empty$"),
    "one column less": ({**FOUR, "x_test": X[:, :1]}, r"x_train is .* x_test .* alike"),
    "other targets": ({**FOUR, "y_test": Y * 0.5}, r"y_train is int32 .* alike"),
    "one axis": ({"x": X[:, 0], "y": Y}, r"x is float64 \[20\]: must be"),
    "five axes": (
        {"x": X.reshape(20, 2, 1, 1, 1), "y": Y},
        r"must be \[examples, numb",
    ),
    "flat bytes": (
        {"x": PIXELS.reshape(20, 30), "y": Y},
        r"uint8 \[20, 30\]: must be uint8",
    ),
    "integer images": ({"x": PIXELS.astype(int), "y": Y}, r"x\.astype\('float32'\)"),
    "NaN": (
        {"x": changed(X, (7, 1), np.nan), "y": Y},
        r"x\[7\] has NaN.*\(1 of 20 ex.* is bad",
    ),
    "infinity": (
        {"x": changed(X, [3, 7], -np.inf), "y": Y},
        r"x\[3\] has.*\(2 of 20 .* are bad",
    ),
    "too large": (
        {"x": changed(X, 19, 1e39), "y": Y},
        r"x\[19\] .*too large for float32",
    ),
    "NaN to judge by": (
        {**FOUR, "x_test": changed(X, 4, np.nan)},
        r"x_test\[4\] has NaN",
    ),
    "a NaN target": ({"x": X, "y": changed(Y * 1.0, 5, np.nan)}, r"y\[5\] has NaN"),
    "no levels": (
        {"x": X + 1e12, "y": Y},
        r"x\[\.\.\., 0\] differs by less than float32",
    ),
    "a label below 0": (
        {"x": X, "y": changed(Y, 9, -1)},
        r"y\[9\] has -1, outside 0 .*np\.un",
    ),
    "a huge label": (
        {"x": X, "y": changed(Y, 9, 2**40)},
        r"y\[9\] has 1099511627776, outs",
    ),
    "a gap": (
        {"x": X, "y": Y * 3},
        r"class 1 has no training example, and 0 .* nor have 1 o",
    ),
    "a class not learned": (
        {**FOUR, "y_test": changed(Y, 6, 2)},
        r"y_test\[6\] is 2, of which",
    ),
    "one class": ({"x": X, "y": Y * 0}, r"all examples are of one class, 0"),
    "one example": ({"x": X[:1], "y": Y[1:2]}, r"has 1 example; at least 2"),
    "one-hot": ({"x": X, "y": np.eye(2)[Y]}, r"for labels save y\.argmax\(1\)"),
    "many labels": (
        {"x": X, "y": np.stack([Y, Y + 1], 1)},
        r"tokens at each step of tokens",
    ),
    "three axes of labels": (
        {"x": X, "y": np.zeros((20, 2, 2))},
        r"y is .* must be labels",
    ),
    "a token below 0": (
        {"x": changed(Y[:, None], 2, -5), "y": Y},
        r"x\[2\] has -5, outside",
    ),
    "two of a name": ({"x": X, "X": X, "y": Y}, r"two arrays are named x"),
}


def bytes_of(arrays):
    file = io.BytesIO()
    np.savez_compressed(file, **arrays)
    return file.getvalue()


def bomb():
    """An .npz of some kilobytes that unpacks to 3 GiB."""
    file, shape = io.BytesIO(), (3 * 2**27,)
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in ("x", "y"):
            header = io.BytesIO()
            form = {"descr": "<f8", "fortran_order": False, "shape": shape}
            np.lib.format.write_array_header_1_0(header, form)
            archive.writestr(f"{name}.npy", header.getvalue())
    content = bytearray(file.getvalue())
    # The directory says that 3 GiB are there.
    place = content.find(b"PK\1\2")
    while place >= 0:
        struct.pack_into("<L", content, place + 24, 3 * 2**30 - 2**20)
        place = content.find(b"PK\1\2", place + 1)
    return bytes(content)


GOOD = bytes_of({"x": X, "y": Y})
BYTES = {
    "empty": (b"", r"does not end as a zip"),
    "text": (b"x,y\n1,2\n", r"does not end as a zip"),
    "a pickle": (b"\x80\x04]\x94.", r"does not end as a zip"),
    "an npy": (b"\x93NUMPY\x01\x00", r"does not end as a zip"),
    "cut off": (GOOD[:-30], r"does not end as a zip"),
    "half of it": (
        GOOD[len(GOOD) // 2 :],
        r"does not contain plain arrays|other names",
    ),
    "flipped": (
        GOOD[:60] + b"\xff\xff\xff" + GOOD[63:],
        r"does not contain plain arrays",
    ),
    "a bomb": (bomb(), r"unpacks to \d+ bytes, more than the"),
}


@pytest.mark.parametrize("case", NPZ)
def test_wrong_arrays(case, tmp_path):
    arrays, says = NPZ[case]
    np.savez(tmp_path / "a.npz", **arrays)
    assert re.search(says, refusal(f"npz:{tmp_path / 'a.npz'}"))


@pytest.mark.parametrize("case", BYTES)
def test_files_that_are_no_npz(case, tmp_path):
    content, says = BYTES[case]
    (tmp_path / "a.npz").write_bytes(content)
    assert re.search(says, refusal(f"npz:{tmp_path / 'a.npz'}"))


def test_nothing_is_unpickled(tmp_path):
    """Neither what is read nor what is left out."""

    class Trap:
        def __reduce__(self):
            return os.mkdir, (str(tmp_path / "sprung"),)

    trap = np.array([Trap()] * 20)
    for arrays in ({"x": X, "y": trap}, {"x": X, "y": Y, "more": trap}):
        np.savez(tmp_path / "a.npz", **arrays)
        if "more" in arrays:
            assert find(f"npz:{tmp_path / 'a.npz'}").split().train.length == 16
        else:
            assert re.search("never unpickled", refusal(f"npz:{tmp_path / 'a.npz'}"))
    assert not (tmp_path / "sprung").exists()


def test_memory_is_bounded(tmp_path, monkeypatch):
    np.savez(tmp_path / "a.npz", x=X, y=Y)
    monkeypatch.setattr(user_npz, "IN_MEMORY", 100)
    assert re.search(
        r"unpacks to \d+ bytes, more than the 100", refusal(f"npz:{tmp_path / 'a.npz'}")
    )
