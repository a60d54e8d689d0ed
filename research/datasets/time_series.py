"""ts:NAME: series with labels in the archive's .ts files, of aeon or of a folder.

The package aeon (BSD licence) holds some of the UCR and UEA archives (Dau et al. 2019,
arXiv:1810.07758; Bagnall et al. 2018, arXiv:1811.00075): ts:BasicMotions, ts:GunPoint,
ts:JapaneseVowels and others. Its files are read where it is installed; it is never
imported. With --data-dir they are NAME_TRAIN.ts and NAME_TEST.ts of a folder.

A header's lines begin with @; then each line is a series, its channels divided by colons,
and its label at the end. Channels are brought to mean 0 and variance 1 over the training
part; what is shorter than the longest is filled up with zeros, and what of a series to
judge by is longer is left out.
"""

import functools
import importlib.util
import re
from os import PathLike
from pathlib import Path
from typing import NamedTuple

import numpy as np

from depthbench.research.catalogues import packages
from depthbench.research.datasets.contract import Data, DataError, Dataset, Splits

PREFIX = "ts:"
NAME = re.compile(r"ts:(\w+)")


class Series(NamedTuple):
    """x: of each series [time, channels] float64. labels: as they are written."""

    x: tuple[np.ndarray, ...]
    labels: tuple[str, ...]


def find(name: str, data_dir: str | PathLike[str] | None = None) -> Dataset:
    """The declaration of ts:NAME, whose files are read. Raises DataError."""
    where = None if data_dir is None else str(data_dir)
    made = load(name, where)
    shape = made.train.x.shape[1:]
    counts = made.train.length, made.test.length
    return Dataset(
        name,
        "time_series:load",
        shape,
        made.train.classes,
        "UCR and UEA archives: arXiv:1810.07758, arXiv:1811.00075",
        sizes=counts,
        arguments=(name, where),
    )


@functools.lru_cache(maxsize=8)
def load(name: str, data_dir: str | None = None) -> Splits:
    """x: [series, time, channels]. y: labels, numbered in the order of their names.

    Raises DataError where the files are not there or are not as they should be.
    """
    match = NAME.fullmatch(name)
    if match is None:
        raise DataError(f"{name}: must be ts:NAME, such as ts:GunPoint")
    title = match[1]
    folder = _folder(name, title, data_dir)
    train, test = (
        parsed(name, folder / f"{title}_{part}.ts") for part in ("TRAIN", "TEST")
    )
    names = sorted({*train.labels, *test.labels})
    every = np.concatenate(train.x)
    centre, deviation = every.mean(axis=0), every.std(axis=0)
    deviation = np.where(deviation > 0, deviation, 1.0)
    longest = max(map(len, train.x))
    parts = []
    for series in (train, test):
        x = np.zeros((len(series.x), longest, every.shape[1]), np.float32)
        for row, one in zip(x, series.x, strict=True):
            row[: len(one)] = ((one - centre) / deviation)[:longest]
        y = np.array([names.index(label) for label in series.labels], np.int32)
        parts.append(Data(x, y, len(names)))
    return Splits(*parts)


def _folder(name: str, title: str, data_dir: str | None) -> Path:
    if data_dir is None:
        packages.need(name, "aeon")
        spec = importlib.util.find_spec("aeon")
        assert spec is not None and spec.origin is not None
        folder = Path(spec.origin).parent / "datasets" / "data" / title
    else:
        below = Path(data_dir) / title
        folder = below if below.is_dir() else Path(data_dir)
    for part in ("TRAIN", "TEST"):
        if not (folder / f"{title}_{part}.ts").is_file():
            raise DataError(f"{name}: there is no {title}_{part}.ts in {folder}")
    return folder


def parsed(name: str, path: Path) -> Series:
    """The series of a .ts file. Raises DataError."""
    x, labels = [], []
    lines = path.read_text("utf-8", errors="replace").splitlines()
    for number, line in enumerate(lines, start=1):
        if not line.strip() or line.startswith(("@", "#", "%")):
            continue
        try:
            *channels, label = line.strip().split(":")
            values = [[float(value) for value in one.split(",")] for one in channels]
            array = np.array(values, np.float64).T
        except ValueError:
            array = np.zeros((0, 0))
        known = x[0].shape[1] if x else array.shape[-1]
        if array.ndim != 2 or not array.size or array.shape[1] != known:
            raise DataError(f"{name}: line {number} of {path.name} is no series")
        if not np.isfinite(array).all():
            raise DataError(f"{name}: line {number} of {path.name} has a gap")
        x.append(array)
        labels.append(label)
    if not x:
        raise DataError(f"{name}: {path.name} has no series")
    return Series(tuple(x), tuple(labels))
