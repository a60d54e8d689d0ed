"""A training as it is read back from its folder: settings, and its reports' arrays."""

import itertools
import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from depthbench.research.learning import recipe
from depthbench.research.learning.recipe import NUMBERS
from depthbench.research.store import folder as folders
from depthbench.research.store import reports, rows
from depthbench.research.store.folder import Folder
from depthbench.research.store.manifest import Manifest
from depthbench.research.study.errors import Refusal

STUDY = reports.STUDY
PARTS = ("train", "test")


def members(settings: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The settings of every run: each combination of numbers, and each seed of it."""
    combinations = itertools.product(*(values(settings, name) for name in NUMBERS))
    return [
        {**dict(zip(NUMBERS, chosen, strict=True)), "seed": seed}
        for chosen in combinations
        for seed in range(settings["seeds"])
    ]


def values(settings: Mapping[str, Any], name: str) -> Sequence[Any]:
    """A number's values; that of a run which began before there was one is not set."""
    return settings.get(name) or (None,)


class TrainingRun(NamedTuple):
    """A training as its folder has it.

    history: (step, arrays by name) of every report, in order.
    damaged: a sentence on each report that is not there as it was written.
    """

    folder: Folder
    manifest: Manifest
    history: list[tuple[int, dict[str, np.ndarray]]]
    damaged: list[str]

    @property
    def settings(self) -> dict[str, Any]:
        return self.manifest.settings


def opened(path: Path) -> TrainingRun:
    """The training in a folder. Raises Refusal where there is none, or no report yet."""
    folder, manifest, lines = folders.existing(path)
    if manifest.study != STUDY:
        raise Refusal(f"{path}: contains {manifest.study}, not a training")
    why = recipe.wrong(manifest.settings, manifest.strange)
    if why:
        raise Refusal(f"{path}/run.json: settings.{why}")
    records, damaged = reports.read(folder, manifest)
    if not records:
        why = f"; {damaged[0]}" if damaged else ""
        raise Refusal(f"{path}: contains no whole report of a training{why}")
    history = [
        (reports.step_of(record), rows.profiles(folder.reports, record.id))
        for record in records
    ]
    for step, arrays in history:
        why = misshapen(manifest.settings, arrays)
        if why:
            raise Refusal(f"{path}: reports/{reports.name(step)}.npz: {why}")
    return TrainingRun(folder, manifest, history, [*lines, *damaged])


def misshapen(settings: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> str:
    """Why arrays are not a report's of these settings; nothing where they are."""
    runs = math.prod(len(values(settings, n)) for n in NUMBERS) * settings["seeds"]
    names = {name.removeprefix("test_") for name in arrays if name.startswith("test_")}
    needed = {"diverged", *(f"{part}_{n}" for n in names for part in PARTS)}
    needed |= {f"{part}_{n}" for n in ("loss", judged(settings)[1]) for part in PARTS}
    for name in sorted(needed | set(arrays)):
        if name not in arrays:
            return f"{name} is missing"
        array, axes = arrays[name], 2 if name.startswith("log10_") else 1
        if array.dtype.kind not in "fiu" or array.ndim != axes or len(array) != runs:
            shape = f"{array.dtype}{list(array.shape)}"
            return f"{name} is {shape}, not numbers of {runs} runs"
    return ""


def measured(settings: Mapping[str, Any], names: Iterable[str]) -> list[str]:
    """The measures among the names of a report's arrays or columns, `loss` first."""
    ends = ("_low", "_high")
    names = [
        name.removeprefix("test_")
        for name in names
        if name.startswith("test_") and not name.endswith(ends)
    ]
    return sorted(names, key=lambda name: (name != "loss", name))


def judged(settings: Mapping[str, Any]) -> tuple[str, str]:
    """("lowest" or "highest", the measure) that runs are compared by."""
    end, measure = settings["judged"]
    return end, measure
