"""Committed rows: what was measured once, and is published with the code.

They lie in benchmarks/results/DEVICE/STUDY, whatever the kind of study. DEVICE is an
accelerator, or cpu; where times were taken on another processor than those that are there,
that processor: amd_epyc.
"""

import contextlib
import csv
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from msgspec.structs import replace

from depthbench.research.files import regular, schema
from depthbench.research.files.schema import Malformed, Scalar
from depthbench.research.files.source import ROOT
from depthbench.research.report import comparison, fields, study_report
from depthbench.research.store import manifest as manifests
from depthbench.research.store.atomic import write_atomically
from depthbench.research.store.folder import STAMP, Folder
from depthbench.research.store.manifest import Manifest
from depthbench.research.store.rows import Record
from depthbench.research.study.declaration import Row, Study, of_smoke_size
from depthbench.research.study.errors import Refusal

RESULTS = ROOT / "benchmarks" / "results"
CPU = "cpu"
KEPT = ("*.svg", "*.wav", "*.mid")  # of a run's files, beside its rows


class Made(NamedTuple):
    """Rows, where they were made, the day that it ended, and the code's commit."""

    rows: list[Row]
    environment: dict[str, Any]
    date: str | None
    commit: str | None = None

    @property
    def device(self) -> str | None:
        """The processor's or the accelerator's name."""
        key = "processor" if self.environment.get("platform") == "cpu" else "device"
        return self.environment.get(key)

    @property
    def day(self) -> str:
        """The day that it ended, after a comma; of a run that was stopped, nothing."""
        return f", {self.date}" if self.date else ""


def folders(device: str = CPU) -> dict[str, Path]:
    """Where each study's committed rows of a device are."""
    return {path.name: path for path in sorted((RESULTS / device).glob("*/"))}


def devices() -> list[str]:
    """The devices that there are committed rows of; the CPU first, then other CPUs."""
    names = sorted(path.name for path in RESULTS.glob("*/"))
    return sorted(names, key=lambda name: (name != CPU, not _is_cpu(name)))


def _is_cpu(device: str) -> bool:
    stamps = (RESULTS / device).glob(f"*/{STAMP}")
    return any(read_stamp(path).get("platform") == CPU for path in stamps)


def names() -> dict[str, Path]:
    """All folders of committed rows: STUDY, of the CPU's, DEVICE/STUDY, of another's."""
    others = {
        f"{device}/{name}": path
        for device in devices()
        if device != CPU
        for name, path in folders(device).items()
    }
    return {**folders(), **others}


def name_of(path: Path) -> str | None:
    """What a folder of committed rows is called; None of any other."""
    here = path.resolve()
    return next((name for name, folder in names().items() if folder == here), None)


def made(name: str, device: str = CPU) -> Made | None:
    """A study's committed rows; None if there are none."""
    folder = folders(device).get(name)
    if folder is None:
        return None
    manifest, stamp = manifests.of(folder), read_stamp(folder / STAMP)
    rows = read_csv(folder / "rows.csv")
    return Made(rows, manifest.environment, ended(manifest), stamp.get("commit"))


def of_devices(name: str) -> dict[str, Made]:
    """A study's committed rows on each device that there are any of; the CPU first."""
    every = ((device, made(name, device)) for device in devices())
    return {device: rows for device, rows in every if rows is not None}


def ended(manifest: Manifest) -> str | None:
    """The day that a folder's last run ended."""
    days = [event.ended for event in manifest.history if event.ended]
    return days[-1][:10] if days else None


def read_csv(path: Path) -> list[Row]:
    """The rows of a rows.csv: numbers and truth values as such, empty as None.

    Raises ValueError where it is none.
    """
    with open(path, newline="", encoding="utf-8") as file:
        lines = csv.reader(file, strict=True)
        try:
            names = [fields.name_of(field) for field in next(lines, [])]
            return [
                dict(zip(names, map(fields.value_of, line), strict=True))
                for line in lines
            ]
        except (csv.Error, ValueError):
            message = f"rows.csv: line {lines.line_num} is no row of its columns"
            raise ValueError(message) from None


def read_stamp(path: Path) -> dict[str, Any]:
    """What the rows beside it were made with. Raises Refusal where it is damaged."""
    try:
        return schema.decoded(regular.read(path), dict[str, Scalar])
    except (OSError, Malformed) as error:
        why = getattr(error, "strerror", None) or error
        raise Refusal(f"{path}: damaged: {why}") from None


def made_again(study: Study, device: str = CPU) -> str:
    """A published report.md, made from its committed rows."""
    folder = folders(device)[study.name]
    stamp = read_stamp(folder / STAMP)
    return as_committed(study, read_csv(folder / "rows.csv"), stamp)


def as_committed(study: Study, rows: list[Row], stamp: dict[str, Any]) -> str:
    """The report of committed rows in Markdown; figures and recordings are beside it."""
    figures, recordings = study.shown(rows, lambda row: {})
    named = [(figure.name, figure.caption) for figure in figures]
    heard = [(recording.name, recording.caption) for recording in recordings]
    return study_report.as_markdown(study, rows, [stamp], named, heard)


def check(study: Study, folder: Folder, records: list[Record]) -> None:
    """Raises Refusal for rows that are not to be committed: of the smoke size, of fewer
    cells than are there, of several commits or machines, or timed where a profiler was at
    work."""
    count = sum(record.values.get("profiled") is True for record in records)
    if count:
        raise Refusal(
            f"--publish: {count} of {len(records)} rows were profiled; run them without "
            "--profile, into another folder"
        )
    check_stamps(folder.path, [record.stamp for record in records])
    rows = read_csv(folder.path / "rows.csv")
    if of_smoke_size(study, rows):
        raise Refusal(
            f"--publish: {folder.path} is of the smoke size, which shows that a study "
            "runs and nothing else; run the standard one"
        )
    before = made(study.name, _place(study, records[0].stamp))
    if before is not None:
        both = comparison.pairs(tuple(study.axes), rows, before.rows)
        if len(both) == len(rows) < len(before.rows):
            raise Refusal(
                f"--publish: {folder.path} has {len(rows):,} of the "
                f"{len(before.rows):,} committed cells, and no others; run them all"
            )


def check_stamps(path: Path, stamps: Sequence[Mapping[str, Any]]) -> None:
    """Raises Refusal for rows of several commits or machines: they are committed with one
    stamp, which must be that of each."""
    for kind, told in (
        ("commits", study_report.commit),
        ("machines", lambda stamp: study_report.machine(stamp, ())),
    ):
        there = sorted({told(stamp).removeprefix("commit ") for stamp in stamps})
        if len(there) > 1:
            raise Refusal(
                f"--publish: {path} has rows of {len(there)} {kind} ({'; '.join(there)}), "
                "and committed rows are of one; run all of them there, into another folder"
            )


@contextlib.contextmanager
def unless_it_fails(study: Study, records: list[Record]) -> Iterator[None]:
    """Puts back what the committed rows' folder had, where the block raises."""
    target = RESULTS / _place(study, records[0].stamp) / study.name
    before = {path: path.read_bytes() for path in target.glob("*")}
    try:
        yield
    except BaseException:
        for path in set(target.glob("*")) - before.keys():
            path.unlink()
        for path, content in before.items():
            write_atomically(path, content)
        with contextlib.suppress(OSError):  # others have something in it
            for folder in (target, target.parent):
                folder.rmdir()
        raise


def publish(study: Study, folder: Folder, records: list[Record]) -> Path:
    """Where a run's rows, report, figures and stamps now are. Raises Refusal for those of
    `check`."""
    check(study, folder, records)
    stamp = records[0].stamp
    device = _place(study, stamp)
    target = RESULTS / device / study.name
    target.mkdir(parents=True, exist_ok=True)
    shown = [path for kind in KEPT for path in folder.path.glob(kind)]
    for path in (folder.path / "rows.csv", *shown):
        write_atomically(target / path.name, regular.read(path))
    # Where data lay says who ran it, and nothing about the rows.
    manifest = replace(manifests.of(folder.path), cells=[], grid={}, data_dir=None)
    write_atomically(target / "run.json", manifests.content(manifest))
    text = json.dumps(stamp, indent=1, sort_keys=True) + "\n"
    write_atomically(target / STAMP, text.encode())
    write_atomically(target / "report.md", made_again(study, device).encode())
    return target


def _place(study: Study, stamp: Mapping[str, Any]) -> str:
    """The folder of a device's rows: another CPU's times are beside, and not instead."""
    if stamp["platform"] != CPU:
        return _slug(str(stamp["device"]))
    before, processor = made(study.name), str(stamp["processor"])
    if before is None or not study.timings or before.device == processor:
        return CPU
    return _slug(processor)


def _slug(name: str) -> str:
    """A device's name as a folder's: "NVIDIA H100 80GB HBM3" is nvidia_h100_80gb_hbm3.

    A name without a letter or digit of ASCII, or that is the CPU's folder, has another.
    """
    slug = re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_")
    return slug if slug not in ("", CPU) else f"other_{slug}".rstrip("_")
