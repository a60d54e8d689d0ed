"""A folder's manifest: what its results were made with, and which there should be.

It is written twice, as run.json and as .run.json, each with its checksum. Where one copy
is damaged or missing the other one stands for it.
"""

import datetime
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from depthbench.research.catalogues.origins import Origin
from depthbench.research.files import regular, schema, sealed
from depthbench.research.files.schema import Malformed, Scalar
from depthbench.research.machine import host
from depthbench.research.store import atomic
from depthbench.research.study.errors import Refusal

SCHEMA = 3  # of run.json; 1 had the hashes of whole files, 2 no checksum
NAMES = ("run.json", ".run.json")
MISSING = "it is missing"
FOREIGN = "is not depthbench's"
VERSION = "is of another version of depthbench, which can go on with it"
# What decides bits: a change of any of these is a change of the rows.
DECIDING = (
    *("python", *host.LIBRARIES, "platform", "device", "xla_flags", "settings"),
    *("lapack", "loop"),
)


class Event(msgspec.Struct, omit_defaults=True, forbid_unknown_fields=True):
    """Something that happened to a folder. step: that a training has come to.

    accepted: the changes that were. mesh: that a training was on, and is on. workers, and
    the seconds of all of them by what they went to: what bounds a run. profiled: whether
    a profiler took part of the seconds.
    """

    started: str | None = None
    ended: str | None = None
    seconds: float | None = None
    cells: int | None = None
    done: int | None = None
    step: int | None = None
    accepted: list[str] = []
    mesh: list[str] = []
    workers: int | None = None
    spent: dict[str, float] = {}
    profiled: bool | None = None


class Foreign(msgspec.Struct, omit_defaults=True, forbid_unknown_fields=True):
    """What is not depthbench's, by where it was. entries: those of it that are in cells.

    files: hashes, by paths below the folder of the first. version: of a package.
    """

    entries: list[str] = []
    files: dict[str, str] = {}
    version: str = ""


class Manifest(
    msgspec.Struct, kw_only=True, omit_defaults=True, forbid_unknown_fields=True
):
    """cells: the ids of all that were asked for. code: hashes, by what was hashed.

    grid: what those cells have, by axis: what is not in the folder yet is named by it.
    data: the data sets' fingerprints, by name. data_dir: where a study's lay.
    plugins: by place, a file's path or a module's name. settings, layout, mesh: of a
    training run alone.
    """

    schema: int
    study: str
    code: dict[str, str]
    environment: dict[str, Scalar]
    history: list[Event] = []
    cells: list[str] = []
    grid: dict[str, list[Scalar]] = {}
    settings: dict[str, Scalar | list[Scalar]] = {}
    layout: int | None = None
    mesh: str | None = None
    data: dict[str, str] = {}
    data_dir: str | None = None
    plugins: dict[str, Foreign] = {}

    @property
    def strange(self) -> set[str]:
        """Names of plugins' entries that are in cells, which need not be loaded here."""
        return named(self.plugins)


def named(plugins: Mapping[str, Foreign]) -> set[str]:
    """The entries of all places.

    >>> sorted(named({"a.py": Foreign(["wave"]), "b.py": Foreign(["comb", "wave"])}))
    ['comb', 'wave']
    """
    return {name for one in plugins.values() for name in one.entries}


class Reading(NamedTuple):
    """What was read of both copies. damaged: why, by the copy's name."""

    manifest: Manifest | None
    damaged: dict[str, str]


def read(folder: Path) -> Reading:
    """The manifest in a folder; None where there is no copy at all.

    Raises Refusal where no copy is whole.
    """
    whole, damaged = [], {}
    for name in NAMES:
        try:
            whole.append(_opened(regular.read(folder / name)))
        except FileNotFoundError:
            damaged[name] = MISSING
        except (Malformed, OSError) as error:
            damaged[name] = getattr(error, "strerror", None) or str(error)
    if not whole and set(damaged.values()) == {MISSING}:
        return Reading(None, {})
    if not whole:
        (why, *_) = (text for text in damaged.values() if text != MISSING)
        state = "" if why in (FOREIGN, VERSION) else "damaged: "
        raise Refusal(f"{folder / NAMES[0]}: {state}{why}; choose another folder")
    if damaged.get(NAMES[1]) == MISSING:  # committed rows have but one
        del damaged[NAMES[1]]
    return Reading(whole[0], damaged)


def of(folder: Path) -> Manifest:
    """The manifest of a folder that results are in. Raises Refusal where none are."""
    if not folder.is_dir():
        raise Refusal(f"{folder}: no such folder")
    manifest = read(folder).manifest
    if manifest is None:
        raise Refusal(f"{folder}: not a run's folder (it has no run.json)")
    return manifest


def _opened(content: bytes) -> Manifest:
    body = schema.decoded(content, dict[str, Any])
    if "checksum" not in body:
        earlier = {"schema", "study", "code"} <= body.keys()
        raise Malformed(VERSION if earlier else FOREIGN)
    if sealed.opened(content, dict[str, Any]).get("schema") != SCHEMA:
        raise Malformed(VERSION)
    return sealed.opened(content, Manifest)


def content(manifest: Manifest) -> bytes:
    """A manifest as a file has it."""
    return sealed.packed(msgspec.to_builtins(manifest))


def write(folder: Path, manifest: Manifest) -> None:
    """Writes both copies, one after the other, so that one is always whole."""
    text = content(manifest)
    atomic.write_in_order({folder / name: text for name in reversed(NAMES)})


def now() -> str:
    """The date and time, UTC, to the second; a stamp only, never a duration."""
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")


def differences(old: Manifest, new: Manifest) -> list[str]:
    """What has changed since a manifest was written, in words; empty if nothing.

    Code that only one of them leads to is not compared: what leads there has changed
    too, or the one has cells of entries that the other has not.
    """
    changes = changed(old.environment, new.environment) + plugged(
        old.plugins, new.plugins
    )
    both = sorted(old.code.keys() & new.code.keys())
    return changes + [f"{n} has changed" for n in both if old.code[n] != new.code[n]]


def changed(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    """What of two environments decides bits and differs, in words."""
    # Of two sets of cells one may import a library that the other does not, and an earlier
    # version recorded fewer.
    both = [name for name in host.FURTHER.values() if name in old and name in new]
    pairs = {n: (old[n], new.get(n)) for n in (*DECIDING, *both) if n in old}
    return [f"{n} was {old}, is {new}" for n, (old, new) in pairs.items() if old != new]


def wider(
    grid: Mapping[str, Sequence[Scalar]], more: Mapping[str, Sequence[Scalar]]
) -> dict[str, list[Scalar]]:
    """What either has, by axis.

    >>> wider({"depth": [4]}, {"depth": [1, 4], "seeds": [3]})
    {'depth': [4, 1], 'seeds': [3]}
    """
    # As JSON has them: 1, 1.0 and True are equal in Python, and of other cells.
    return {
        name: list(
            {repr(v): v for v in (*grid.get(name, ()), *more.get(name, ()))}.values()
        )
        for name in dict.fromkeys((*grid, *more))
    }


def plugged(old: Mapping[str, Foreign], new: Mapping[str, Foreign]) -> list[str]:
    """Which places that both have, or of entries that both have, are of something else.

    In words. A file that was moved and is as it was is the same.
    """
    # A place is compared whatever its entries: those of the rows that are there already
    # are of the same files as those that are asked for now.
    pairs = {(place, place) for place in old.keys() & new.keys()}
    pairs |= {(was, there) for _, was, there in moved(old, new)}
    origins = lambda place, one: Origin(place, one.files, one.version)
    lines = (
        origins(there, old[was]).difference(origins(there, new[there]))
        for was, there in sorted(pairs)
    )
    return list(filter(None, lines))


def moved(
    old: Mapping[str, Foreign], new: Mapping[str, Foreign]
) -> list[tuple[str, str, str]]:
    """(name, where it was, where it is) of entries that are at no place they were at."""
    where = lambda plugins, name: {
        p for p, one in plugins.items() if name in one.entries
    }
    return [
        (name, was, there)
        for name in sorted(named(old))
        if not (before := where(old, name)) & (after := where(new, name))
        for was in sorted(before)
        for there in sorted(after)
    ]
