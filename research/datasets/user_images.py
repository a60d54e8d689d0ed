"""images:DIR: a user's pictures, one folder a class, in train/ and test/ or not.

Pixels are taken as they are stored, by Pillow. What becomes bytes of one or three channels
without loss is taken too: palettes, black and white, an alpha that hides nothing.
"""

import functools
import hashlib
import io
import math
import os
import warnings
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from depthbench.research.datasets import user_parts
from depthbench.research.datasets.contents import BLOCK
from depthbench.research.datasets.contract import (
    Data,
    DataError,
    Dataset,
    Splits,
    Stream,
    spread,
)
from depthbench.research.datasets.pixels import scale_of
from depthbench.research.files import regular
from depthbench.research.files.text import one_line
from depthbench.research.lazy import lazily

with lazily():
    import PIL.Image as pillow

FORMATS = ("PNG", "JPEG", "BMP", "GIF", "PPM", "TIFF", "WEBP")
SUFFIXES = tuple(".png .jpg .jpeg .bmp .gif .ppm .pgm .pbm .tif .tiff .webp".split())
LITTER = ("thumbs.db", "desktop.ini")  # what systems leave in folders of pictures
TRAIN, TESTS = "train", ("test", "val", "valid", "validation")
MOST_IMAGES = 10**7
MOST_PIXELS = 2**24
MOST_BYTES = 2**28  # of one file
AT_ONCE = 2**28  # bytes of images that a scale is taken of, where not all are in memory
DIGESTED = 4096  # files whose contents are looked at, of a set that is not in memory

Names = tuple[tuple[str, ...], ...]  # of files, by class


class Pictures(NamedTuple):
    """What a folder has. parts: of files by part and class."""

    dataset: Dataset
    folders: tuple[str, ...]
    classes: tuple[str, ...]
    parts: tuple[Names, ...]
    note: str


class Files(NamedTuple):
    """Images of a part: paths below the folder, and labels [examples] int32.

    numbers: of the images among all, from 1 in order of parts, classes and names.
    """

    folder: Path
    paths: list[str]
    labels: np.ndarray
    numbers: np.ndarray


Bad = tuple[int, str, str]  # an image's number, its path, and what is wrong with it


# --------------------------------------------------------------------------- folders


def stamp(name: str, folder: Path) -> tuple[int, ...]:
    """What changes where a file is added to or taken from. Raises DataError, OSError."""
    if not folder.is_dir():
        what = "is a file, not a folder" if folder.exists() else "no such folder"
        raise DataError(f"{name}: {what}")
    tops = _inside(name, folder)[0]
    parts = [folder / part for part in tops if part in (TRAIN, *TESTS)]
    inner = [place / one for place in parts for one in _inside(name, place)[0]]
    digest = hashlib.sha256()
    for place in (folder, *(folder / top for top in tops), *inner):
        status = os.stat(place)
        digest.update(f"{status.st_ino} {status.st_mtime_ns} ".encode())
    return (int.from_bytes(digest.digest()[:8]),)


@functools.lru_cache(maxsize=2)
def listing(name: str, folder: Path, stamp: tuple[int, ...]) -> Pictures:
    """What is in a folder, and the form of its first image. Raises DataError, OSError."""
    tops, others = _inside(name, folder)
    note = f"left out: {user_parts.listed(others)}" if others else ""
    pictures = [other for other in others if other.lower().endswith(SUFFIXES)]
    if pictures:
        raise DataError(
            f"{name}: {pictures[0]} is in no class's folder ({len(pictures):,} "
            "images are not): images:DIR reads one folder a class"
        )
    folders, unread = _parts(name, tops)
    if unread:
        note = "; ".join(filter(None, (note, f"not read: {', '.join(unread)}")))
    below = [_inside(name, folder / part)[0] if part else tops for part in folders]
    classes = below[0]
    if len(classes) < 2:
        has = f"the one folder {classes[0]}" if classes else "no folders"
        raise DataError(
            f"{name}: has {has} of images; each class is a folder, and 2 or more are "
            "needed to tell apart"
        )
    unknown = [one for one in below[-1] if one not in classes]
    if unknown:
        raise DataError(
            f"{name}: class {unknown[0]} of {folders[-1]} has no folder in "
            f"{folders[0]}: it has no training example"
        )
    parts = tuple(_pictures(name, folder, part, classes) for part in folders)
    count = sum(len(paths) for part in parts for paths in part)
    if count > MOST_IMAGES:
        raise DataError(f"{name}: has {count:,} images; at most {MOST_IMAGES:,}")
    dataset = Dataset(name, "", (), len(classes), "a folder of yours", stored="uint8")
    made = Pictures(dataset, folders, tuple(classes), parts, note)
    return made._replace(dataset=_declared(made, folder))


def _declared(found: Pictures, folder: Path) -> Dataset:
    """The declaration: the first image tells the form of all. Raises DataError."""
    parts = _files(found, folder)
    path = str(Path(found.folders[0]) / found.classes[0] / found.parts[0][0][0])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        pixels = _decoded(folder / path)
    name = found.dataset.name
    if isinstance(pixels, str):
        raise DataError(f"{name}: image 1, {path}, {pixels}")
    sizes = len(parts[0].labels), len(parts[1].labels)
    return found.dataset._replace(shape=pixels.shape, sizes=sizes)


def _inside(name: str, folder: Path) -> tuple[list[str], list[str]]:
    """The folders and the other files of a folder, by name; hidden ones are neither.

    Raises DataError for a link, which may lead anywhere, and for a pipe.
    """
    folders, files = [], []
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.name.startswith(".") or entry.name.lower() in LITTER:
                continue
            if entry.is_dir(follow_symlinks=False):
                folders.append(entry.name)
            elif entry.is_file(follow_symlinks=False):
                files.append(entry.name)
            else:
                kind = regular.kind_of(Path(entry.path))
                raise DataError(
                    f"{name}: {entry.name} in {folder.name} is {kind}, "
                    "which is not followed: put a file or a folder there"
                )
    return sorted(folders), sorted(files)


def _parts(name: str, tops: list[str]) -> tuple[tuple[str, ...], list[str]]:
    """The folders of training and test part, or "" for both; and those not read."""
    if TRAIN not in tops or set(tops) - {TRAIN, *TESTS}:
        return ("",), []
    tests = [one for one in TESTS if one in tops]
    if not tests:
        raise DataError(
            f"{name}: has {TRAIN}, and none of {', '.join(TESTS)} beside it: without a "
            f"test part of its own, name {name.rstrip('/')}/{TRAIN}"
        )
    return (TRAIN, tests[0]), tests[1:]


def _pictures(name: str, folder: Path, part: str, classes: Sequence[str]) -> Names:
    """The images of each class. Raises DataError."""
    found = []
    for one in classes:
        place = folder / part / one
        # Of what is judged, a class may have none.
        inner, files = _inside(name, place) if place.is_dir() else ([], [])
        short = Path(part) / one
        if inner:
            raise DataError(
                f"{name}: {inner[0]} is a folder in that of a class, {short}"
            )
        strange = [file for file in files if not file.lower().endswith(SUFFIXES)]
        if strange:
            raise DataError(
                f"{name}: {short}/{strange[0]} is no image by its name "
                f"({', '.join(SUFFIXES)}); {len(strange):,} in {short} are not"
            )
        if not files and part in ("", TRAIN):
            raise DataError(f"{name}: {short} has no images")
        found.append(tuple(files))
    return tuple(found)


def _files(found: Pictures, folder: Path) -> list[Files]:
    """Training and test part. Raises DataError where a class is not learned."""
    parts = []
    for part, names in zip(found.folders, found.parts, strict=True):
        pairs = zip(found.classes, names, strict=True)
        paths = [str(Path(part) / one / file) for one, files in pairs for file in files]
        counts = [len(files) for files in names]
        labels = np.repeat(np.arange(len(counts), dtype=np.int32), counts)
        first = 1 + sum(len(part.labels) for part in parts)
        numbers = first + np.arange(len(labels))
        parts.append(Files(folder, paths, labels, numbers))
    name = found.dataset.name
    if len(parts) == 1:
        (whole,) = parts
        numbers = user_parts.fifth(name, len(whole.labels))
        parts = [_some(whole, chosen) for chosen in numbers]
    else:
        # In another order than that of the classes: the first examples are looked at.
        mixed = np.random.RandomState(0).permutation(len(parts[0].labels))
        parts[0] = _some(parts[0], mixed)
        if not len(parts[1].labels):
            raise DataError(f"{name}: {found.folders[1]} has no images")
    user_parts.taught(name, parts[0].labels, parts[1].labels, found.classes)
    return parts


def _some(files: Files, numbers: np.ndarray) -> Files:
    paths = [files.paths[number] for number in numbers]
    return Files(files.folder, paths, files.labels[numbers], files.numbers[numbers])


# ---------------------------------------------------------------------------- pixels


def load(name: str, folder: Path, stamp: tuple[int, ...]) -> Splits:
    """The images, in memory where they fit. Raises DataError, OSError."""
    found = listing(name, folder, stamp)
    parts = _files(found, folder)
    made = [_part(found.dataset, files) for files in parts]
    bad = [one for _, wrong in made for one in wrong]
    if bad:
        raise _first_of(name, bad, sum(len(files.labels) for files in parts))
    train, test = (part for part, _ in made)
    names = f"classes {user_parts.listed(found.classes)}"
    note = "; ".join(filter(None, (names, found.note)))
    return Splits(train._replace(note=note), test._replace(scale=train.scale))


def _first_of(name: str, bad: Sequence[Bad], count: int) -> DataError:
    number, path, why = min(bad)
    line = f"image {number:,}, {path}, {why}"
    return user_parts.first_bad(name, line, len(bad), count, "images that were read")


def _part(dataset: Dataset, files: Files) -> tuple[Data | Stream, list[Bad]]:
    """A part, and the bad images of one that is in memory."""
    count = len(files.labels)
    if dataset.in_memory(count):
        x, bad = _pixels(dataset, files, np.arange(count))
        return Data(x, files.labels, dataset.classes, scale_of(x)), bad

    def read(numbers: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        x, bad = _pixels(dataset, files, numbers)
        if bad:
            raise _first_of(dataset.name, bad, len(numbers))
        return x, files.labels[numbers]

    size = math.prod(dataset.shape)
    scale = scale_of(read(spread(count, max(1, AT_ONCE // size)))[0])
    contents = _digest(dataset, files)
    return Stream(count, read, dataset.classes, scale, contents=contents), []


def _pixels(
    dataset: Dataset, files: Files, numbers: np.ndarray
) -> tuple[np.ndarray, list[Bad]]:
    """Images [examples, *shape] uint8, and those that are not as they should be."""
    x = np.zeros((len(numbers), *dataset.shape), np.uint8)

    def put(place: int) -> str:
        pixels = _decoded(files.folder / files.paths[numbers[place]])
        if isinstance(pixels, str):
            return pixels
        if pixels.shape != dataset.shape:
            return f"is {_size(pixels.shape)}, the first {_size(dataset.shape)}"
        x[place] = pixels
        return ""

    with warnings.catch_warnings(), ThreadPoolExecutor(os.cpu_count()) as threads:
        warnings.simplefilter("ignore")  # of metadata, which is not read
        wrong = list(threads.map(put, range(len(numbers))))
    bad = [
        (int(files.numbers[number]), files.paths[number], why)
        for number, why in zip(numbers, wrong, strict=True)
        if why
    ]
    return x, bad


def _size(shape: Sequence[int]) -> str:
    height, width, channels = shape
    return f"{height} × {width} of {channels} channel{'s' * (channels != 1)}"


def _decoded(path: Path) -> np.ndarray | str:
    """Pixels [height, width, channels] uint8; or why there are none."""
    try:
        with regular.opened(path) as file:
            if os.fstat(file.fileno()).st_size > MOST_BYTES:
                return f"has more than {MOST_BYTES // 2**20} MiB"
            content = file.read(MOST_BYTES + 1)
        with pillow.open(io.BytesIO(content), formats=FORMATS) as image:
            # Nothing is unpacked before this.
            if image.width * image.height > MOST_PIXELS:
                return (
                    f"is {image.height:,} × {image.width:,}: more than {MOST_PIXELS:,} "
                    "pixels"
                )
            frames = getattr(image, "n_frames", 1)
            if frames > 1:
                return f"has {frames} pictures; one is read"
            return _plain(image)
    except Exception as error:  # whatever Pillow makes of damage
        if isinstance(error, ImportError | MemoryError):
            raise
        if isinstance(error, regular.NotRegular):
            return str(error.strerror)
        reason = one_line(str(error).partition(" <_io")[0])
        return f"cannot be read: {reason or type(error).__name__}"


def _plain(image: Any) -> np.ndarray | str:
    """An image's bytes, where they are all of it; or what they would lack."""
    mode = image.mode
    if "transparency" in image.info:
        return "is transparent in parts: put it on a background"
    if mode in ("RGBA", "LA"):
        if image.getchannel("A").getextrema() != (255, 255):
            return "is transparent in parts: put it on a background"
        image = image.convert(mode[:-1])
    elif mode in ("P", "1"):
        image = image.convert("RGB" if mode == "P" else "L")
    elif mode not in ("L", "RGB"):
        return f"has pixels of the form {mode}, which 8 bits of grey or RGB do not hold"
    pixels = np.asarray(image, np.uint8)
    return pixels[..., None] if pixels.ndim == 2 else pixels


def _digest(dataset: Dataset, files: Files) -> str:
    """SHA-256 of names and sizes of all files, and of a block of some of them.

    It does not see a change within a file that keeps its size, but in DIGESTED of them.
    """
    whole = hashlib.sha256(repr((dataset.shape, dataset.classes)).encode())
    for path in files.paths:
        size = os.stat(files.folder / path, follow_symlinks=False).st_size
        whole.update(b"%d %b %d " % (len(path), os.fsencode(path), size))
    for number in spread(len(files.paths), DIGESTED):
        with regular.opened(files.folder / files.paths[number]) as file:
            whole.update(file.read(BLOCK))
    return whole.hexdigest()
