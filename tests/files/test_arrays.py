"""Files of arrays: read as they were written, and refused before they fill the memory."""

import io
import os
import struct
import tracemalloc
import warnings
import zipfile
import zlib

import numpy as np
import pytest

from depthbench.research.files import arrays
from depthbench.research.store import rows
from depthbench.research.study.errors import Refusal

FORMS = (
    np.zeros((0, 3)),
    np.float32(2.5),
    np.asfortranarray(np.arange(6.0).reshape(2, 3)),
    np.arange(4, dtype=">i2"),
    np.arange(8, dtype=np.uint64).reshape(2, 2, 2),
    np.array([np.nan, -np.inf], np.float16),
)


def test_arrays_are_read_as_they_were_written(tmp_path):
    written = {f"array_{place}": np.asarray(form) for place, form in enumerate(FORMS)}
    (tmp_path / "a.npz").write_bytes(rows.pack(written))
    read = rows.profiles(tmp_path, "a")
    assert list(read) == list(written)
    for name, array in read.items():
        assert (array.dtype, array.shape) == (written[name].dtype, written[name].shape)
        assert array.tobytes() == written[name].tobytes()
        assert array.flags.writeable
    assert rows.profiles(tmp_path, "absent") == {}


def npy(array, **keywords):
    out = io.BytesIO()
    np.lib.format.write_array(out, np.asarray(array), **keywords)
    return out.getvalue()


def header(text, version=1):
    """An .npy header that says what it likes."""
    form = "<H" if version == 1 else "<I"
    body = text.encode() + b"\n"
    return b"\x93NUMPY" + bytes([version, 0]) + struct.pack(form, len(body)) + body


def zipped(members, **keywords):
    out = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of a name that is there twice
        with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED, **keywords) as archive:
            for name, content in members:
                archive.writestr(name, content)
    return out.getvalue()


def shaped(shape, descr="'<f8'", order="False"):
    return header(f"{{'descr': {descr}, 'fortran_order': {order}, 'shape': {shape}, }}")


def lying(size, deflated, claimed=0):
    """A zip of one array of `size` bytes by its directory, and a stream that goes on.

    claimed: the size by its directory instead.
    """
    content = shaped(f"({size // 8},)") + bytes(size)
    packer = zlib.compressobj(1, zlib.DEFLATED, -15)
    stream = packer.compress(content)
    stream += b"".join(packer.compress(bytes(2**20)) for _ in range(deflated >> 20))
    stream += packer.flush()
    name, crc = b"a.npy", zlib.crc32(content)
    lengths = (crc, len(stream), claimed or len(content), len(name), 0)
    sizes = struct.pack("<3L2H", *lengths)
    local = b"PK\3\4" + struct.pack("<5H", 20, 0, 8, 0, 33) + sizes + name + stream
    central = b"PK\1\2" + struct.pack("<6H", 20, 20, 0, 8, 0, 33) + sizes
    central += struct.pack("<3H2L", 0, 0, 0, 0, 0) + name
    end = struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, 1, 1, len(central), len(local), 0)
    return local + central + end


def with_entry(content, flags, method):
    """The zip with other flags and another method in both its headers."""
    return content.replace(
        *(struct.pack("<3H", 20, *e) for e in ((0, 8), (flags, method)))
    )


MANY = zipped([(f"{place:09d}.npy", b"") for place in range(5000)])
ONE = zipped([("a.npy", npy([1.0]))])
REFUSED = {
    "zeros without end": lying(2**28, 0),
    "more than there is": lying(64, 0, claimed=2**20),
    "four gibibytes": lying(64, 0, claimed=2**32 - 1),
    "an absurd shape": zipped([("a.npy", shaped("(4611686018427387904, 4)"))]),
    "a negative shape": zipped([("a.npy", shaped("(-1,)") + bytes(8))]),
    "two negatives": zipped([("a.npy", shaped("(-1, -1)") + bytes(8))]),
    "less than its shape": zipped([("a.npy", shaped("(9,)") + bytes(64))]),
    "more than its shape": zipped([("a.npy", shaped("(7,)") + bytes(64))]),
    "objects": zipped([("a.npy", npy(np.array([{}], object), allow_pickle=True))]),
    "text": zipped([("a.npy", npy(np.array(["abc"])))]),
    "fields": zipped([("a.npy", npy(np.zeros(2, "f4,i4")))]),
    "truth values": zipped([("a.npy", npy(np.ones(2, bool)))]),
    "complex numbers": zipped([("a.npy", npy(np.ones(2, complex)))]),
    "a header of code": zipped([("a.npy", header("__import__('os')"))]),
    "a deep header": zipped([("a.npy", header("(" * 9000))]),
    "a long header": zipped([("a.npy", shaped("(1,)" + " " * 20000) + bytes(8))]),
    "format 2": zipped([("a.npy", header("{}", version=2))]),
    "no header": zipped([("a.npy", b"")]),
    "another name": zipped([("a.pkl", b"abc")]),
    "a folder": zipped([("a/", b"")]),
    "a name twice": zipped([("a.npy", npy([1.0])), ("a.npy", npy([2.0]))]),
    "names without end": MANY,
    "a comment": ONE[:-2] + b"\3\0abc",
    "a zip64 directory": MANY[:-22] + b"PK\6\7" + bytes(16) + MANY[-22:],
    "another compression": with_entry(ONE, 0, 99),
    "a password": with_entry(ONE, 1, 8),
    "nothing": b"",
    "noise": bytes(range(256)) * 8,
    "cut off": zipped([("a.npy", npy(np.arange(99.0)))])[:-40],
    "a wrong sum": ONE.replace(struct.pack("<L", zlib.crc32(npy([1.0]))), b"abcd"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_other_files_are_refused_in_a_line_and_little_memory(tmp_path, name):
    (tmp_path / "a.npz").write_bytes(REFUSED[name])
    tracemalloc.start()
    try:
        with pytest.raises(Refusal) as refused:
            rows.profiles(tmp_path, "a")
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(str(refused.value).splitlines()) == 1
    assert str(tmp_path / "a.npz") in str(refused.value)
    assert peak < 2 * len(REFUSED[name]) + 2**20


def test_many_members_are_added_up(tmp_path):
    path, whole = tmp_path / "a.npz", {f"{n}": np.zeros(2**10) for n in range(9)}
    path.write_bytes(rows.pack(whole))
    total = 9 * (2**13 + 128)
    assert len(arrays.read(path, total)) == 9
    with pytest.raises(arrays.NotArrays, match=f"unpacks to {total} bytes"):
        arrays.read(path, total - 1)


def test_a_stream_is_not_read_beyond_its_size(tmp_path):
    """One of 128 MiB that the directory says is of 64 KiB."""
    content = lying(2**16, 2**27)
    (tmp_path / "a.npz").write_bytes(content)
    tracemalloc.start()
    try:
        read = arrays.read(tmp_path / "a.npz")
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 3 * len(content) + 2**20
    assert {name: array.shape for name, array in read.items()} == {"a": (2**13,)}


def test_what_is_no_file_is_refused_without_waiting(tmp_path):
    (tmp_path / "real.npz").write_bytes(rows.pack({"a": np.zeros(2)}))
    (tmp_path / "link.npz").symlink_to("real.npz")
    (tmp_path / "folder.npz").mkdir()
    os.mkfifo(tmp_path / "pipe.npz")
    for name in ("link", "folder", "pipe"):
        with pytest.raises(Refusal, match=f"{name}.npz: is a {name}"):
            rows.profiles(tmp_path, name)


def test_no_flipped_byte_gives_other_arrays(tmp_path):
    """Each is refused or changes nothing: flags and times of the zip that no one reads."""
    path, whole = tmp_path / "a.npz", {"a": np.arange(3.0), "b": np.zeros((2, 2))}
    content = rows.pack(whole)
    values = {n: (a.shape, a.tobytes()) for n, a in whole.items()}
    refused = 0
    for place in range(len(content)):
        flipped = bytearray(content)
        flipped[place] ^= 1 << place % 8
        path.write_bytes(flipped)
        try:
            read = arrays.read(path)
        except arrays.NotArrays:
            refused += 1
            continue
        assert {n: (a.shape, a.tobytes()) for n, a in read.items()} == values
    assert refused > len(content) // 2
