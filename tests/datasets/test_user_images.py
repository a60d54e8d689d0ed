"""images:DIR: every wrong picture or folder is one line with its name."""

import io
import os
import re
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from depthbench.research.datasets import find, user_images
from tests.datasets.refusals import PIXELS, refusal


def png(array, mode=None, **more):
    file = io.BytesIO()
    image = Image.fromarray(array)
    (image.convert(mode) if mode else image).save(file, "png", **more)
    return file.getvalue()


def huge(side):
    """A PNG that says how large it is; nothing of it is there."""
    head = struct.pack(">LLBBBBB", side, side, 8, 0, 0, 0, 0)
    chunks = [b"IHDR" + head, b"IDAT" + zlib.compress(bytes(99))]
    framed = (
        struct.pack(">L", len(chunk) - 4) + chunk + struct.pack(">L", zlib.crc32(chunk))
        for chunk in chunks
    )
    return b"\x89PNG\r\n\x1a\n" + b"".join(framed)


def animation():
    file = io.BytesIO()
    one, two = (Image.fromarray(PIXELS[n]) for n in (0, 1))
    one.save(file, "gif", save_all=True, append_images=[two])
    return file.getvalue()


GREY = png(PIXELS[0])
ALPHA = np.full((6, 5, 4), 254, np.uint8)
TREE = {f"{kind}/{n}.png": GREY for kind in ("cat", "dog") for n in range(8)}
TWO = {
    f"{part}/{path}": content
    for part in ("train", "test")
    for path, content in TREE.items()
}
BAD = "cat/3.png"
IMAGES = {
    "no folders": ({}, r"has no folders of images"),
    "one class": ({"cat/1.png": GREY}, r"has the one folder cat of images"),
    "beside the folders": (
        {**TREE, "a.PNG": GREY},
        r"a\.PNG is in no class's folder \(1 im",
    ),
    "a folder within": (
        {**TREE, "cat/more/1.png": GREY},
        r"more is a folder in .* class, cat",
    ),
    "a strange file": (
        {**TREE, "cat/a.txt": b"a"},
        r"cat/a\.txt is no image by its name",
    ),
    "an empty class": ({**TREE, "eel/.hidden": b""}, r"eel has no images"),
    "no test": ({"train/cat/1.png": GREY}, r"has train, and none of test, val"),
    "another class": (
        {**TWO, "test/eel/1.png": GREY},
        r"class eel of test has no folder in t",
    ),
    "nothing to judge": (
        {**{k: v for k, v in TWO.items() if k[1] == "r"}, "test/cat/.a": b""},
        r"test has no images",
    ),
    "one of a class": (
        {**TREE, "ant/1.png": GREY},
        r"class ant has no training example, and 1",
    ),
    "text": ({**TREE, BAD: b"no image"}, r"image 4, cat/3\.png, cannot be read: can"),
    "a name that acts": ({**TREE, "cat/\x1b[2J\n.png": b"?"}, r"cat/\\x1b\[2J\\n\.png"),
    "a class that acts": (
        {**TREE, "\x1b[2J/a.txt": b"?"},
        r"\\x1b\[2J/a\.txt is no image",
    ),
    "nothing": ({**TREE, BAD: b""}, r"cat/3\.png, cannot be read"),
    "cut off": ({**TREE, BAD: GREY[:50]}, r"cat/3\.png, cannot be read"),
    "PostScript": (
        {**TREE, BAD: b"%!PS-Adobe-3.0 EPSF-3.0\n"},
        r"cat/3\.png, cannot be read",
    ),
    "smaller": (
        {**TREE, BAD: png(PIXELS[0][:, :4]), "dog/1.png": png(PIXELS[0][:4])},
        r"cat/3\.png, is 6 × 4 of 1 channel, the first 6 × 5 of 1 channel \(2 of",
    ),
    "colours": (
        {**TREE, BAD: png(PIXELS[0], "RGB")},
        r"is 6 × 5 of 3 channels, the first 6 ×",
    ),
    "alpha": ({**TREE, BAD: png(ALPHA)}, r"cat/3\.png, is transparent in parts"),
    "a clear colour": (
        {**TREE, BAD: png(PIXELS[0], transparency=3)},
        r"transparent in parts",
    ),
    "16 bits": (
        {**TREE, BAD: png(PIXELS[0].astype(np.uint16) * 256)},
        r"of the form I;16, whi",
    ),
    "large": (
        {**TREE, BAD: huge(5000)},
        r"is 5,000 × 5,000: more than 16,777,216 pixels",
    ),
    "a bomb": ({**TREE, BAD: huge(20_000)}, r"cat/3\.png, cannot be read: Image size"),
    "pictures": (
        {**TREE, BAD: animation()},
        r"cat/3\.png, has 2 pictures; one is read",
    ),
    "the first": (
        {**TREE, "cat/0.png": b"?", "cat/1.png": b"?"},
        r"cat/\d\.png|cannot be read",
    ),
}


def write(folder, files):
    for path, content in files.items():
        place = folder / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(content)
    return folder


@pytest.mark.parametrize("case", IMAGES)
def test_wrong_pictures(case, tmp_path):
    files, says = IMAGES[case]
    assert re.search(says, refusal(f"images:{write(tmp_path, files)}"))


def test_pictures_are_only_what_is_in_their_folder(tmp_path):
    folder = write(tmp_path / "pics", TREE)
    (tmp_path / "other.png").write_bytes(GREY)
    (folder / "cat/z.png").symlink_to(tmp_path / "other.png")
    assert re.search(
        r"z\.png in cat is a link, which is not followed", refusal(f"images:{folder}")
    )
    (folder / "cat/z.png").unlink()
    os.mkfifo(folder / "cat/z.png")
    assert re.search(r"z\.png in cat is a pipe", refusal(f"images:{folder}"))
    (folder / "cat/z.png").unlink()
    (folder / "eel").symlink_to(folder / "cat")
    assert re.search(r"eel in pics is a link", refusal(f"images:{folder}"))
    (folder / "eel").unlink()
    (tmp_path / "link").symlink_to(folder)  # the folder itself may be anywhere
    assert find(f"images:{tmp_path / 'link'}").split().train.length == 12


def test_bounds_of_pictures(tmp_path, monkeypatch):
    folder = write(tmp_path, TREE)
    monkeypatch.setattr(user_images, "MOST_IMAGES", 15)
    assert re.search(r"has 16 images; at most 15", refusal(f"images:{folder}"))
    monkeypatch.undo()
    monkeypatch.setattr(user_images, "MOST_BYTES", 20)
    assert re.search(r"has more than 0 MiB", refusal(f"images:{folder}"))
