import os

import pytest

from depthbench.research.files import regular


@pytest.mark.parametrize(
    ("kind", "make"),
    [
        ("a link", lambda path, file: path.symlink_to(file)),
        ("a link", lambda path, file: path.symlink_to(path.with_name("missing"))),
        ("a folder", lambda path, file: path.mkdir()),
        ("a pipe", lambda path, file: os.mkfifo(path)),
    ],
)
def test_what_is_no_file_is_not_opened(tmp_path, kind, make):
    file, path = tmp_path / "file", tmp_path / "name"
    file.write_bytes(b"outside")
    make(path, file)
    with pytest.raises(regular.NotRegular, match=f"is {kind}"):
        regular.read(path)


def test_a_device_is_not_read():
    with pytest.raises(regular.NotRegular, match="is a device"):
        regular.read(regular.Path("/dev/zero"))


def test_a_file_is_read(tmp_path):
    (tmp_path / "file").write_bytes(b"\x00content")
    assert regular.read(tmp_path / "file") == b"\x00content"
    with pytest.raises(FileNotFoundError):
        regular.read(tmp_path / "missing")
