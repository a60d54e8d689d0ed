"""Results in a folder, read back: a run's, or those that were committed of one."""

import contextlib
import csv
import traceback
from collections.abc import Container, Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from depthbench.research.catalogues.catalogue import UnknownName
from depthbench.research.catalogues.origins import Origin
from depthbench.research.engine import console
from depthbench.research.report import coverage, published, trained
from depthbench.research.report.coverage import WHOLE, Coverage
from depthbench.research.report.trained import TrainingRun
from depthbench.research.store import folder as folders
from depthbench.research.store import manifest as manifests
from depthbench.research.store.folder import Folder
from depthbench.research.store.manifest import Manifest
from depthbench.research.store.rows import Record
from depthbench.research.study import plugins
from depthbench.research.study.axes import Axis
from depthbench.research.study.declaration import Cell, Row, Study
from depthbench.research.study.errors import Refusal
from depthbench.research.study.studies import studies


class Results(NamedTuple):
    """Rows in the order of the study's axes, and where they were made.

    records: the files that they were read from; none of committed rows.
    cover: of which plan they are; of committed rows, no other than their own.
    """

    study: Study
    folder: Folder
    rows: list[Row]
    stamp: dict[str, Any]
    records: list[Record]
    cover: Coverage = WHOLE

    def cell(self, row: Row) -> Cell:
        """The settings of a row."""
        return self.study.cell(row)


def is_training(path: Path) -> bool:
    """Whether a training run is in a folder. Raises Refusal where no run is."""
    return manifests.of(path).study == trained.STUDY


def training(path: Path) -> TrainingRun:
    """The training in a folder; what of it is damaged is said."""
    opened = trained.opened(path)
    for line in opened.damaged:
        console.say(f"damaged, skipped: {line}; `train` with the same flags mends it")
    return opened


def opened(path: Path, bare: bool = False) -> Results:
    """The results of a study in a folder; rows that are damaged or missing are said.

    bare: the study of a plugin that is not loaded stays so, and no more of it is known
    than its rows tell.
    Raises Refusal when there are none, or they are of another version.
    """
    folder, manifest, lines = folders.existing(path)
    bare = bare and manifest.study not in studies() and bool(manifest.plugins)
    study = _of_rows(folder, manifest) if bare else study_of(path, manifest)
    committed = path / "rows.csv"
    if committed.is_file() and not folder.cells.exists():
        return _committed(study, folder, manifest)
    records, damaged = folders.records(folder)
    for line in (*lines, *damaged):
        console.say(f"damaged, skipped: {line}")
    there = {record.id for record in records}
    elsewhere = folders.elsewhere(folder)
    cover = coverage.of_folder(study, manifest, there, elsewhere)
    if records and not cover.whole:
        console.say(f"{cover} are here; `run` with the same flags makes the others")
    if not records:
        raise Refusal(f"{path}: contains no intact rows")
    for record in records:
        if why := "" if bare else wrong(study, record, manifest.strange):
            raise Refusal(
                f"{path}: {record.id}.json is not a row of {study.name}: {why}"
            )
    ordered = study.alike(sorted((r.row for r in records), key=study.order))
    return Results(study, folder, ordered, records[0].stamp, records, cover)


def _of_rows(folder: Folder, manifest: Manifest) -> Study:
    """A study as far as its rows tell: its name, and those of its axes."""
    records, _ = folders.records(folder)
    names = records[0].settings if records else ()
    axes = dict.fromkeys(names, Axis("", ("",), kind="text"))
    return Study(manifest.study, "experiment", "", "", axes, {}, "", ())


def study_of(path: Path, manifest: Manifest) -> Study:
    """The study of a folder; a plugin's is loaded again. Raises Refusal."""
    if manifest.study not in studies():
        load(path, manifest, [manifest.study])
    try:
        return studies()[manifest.study]
    except UnknownName as error:
        raise Refusal(f"{path}: {error}") from None


def load(path: Path, manifest: Manifest, names: Iterable[Any] | None = None) -> None:
    """Loads the plugins that have these names, or all that a folder was made with.

    Raises Refusal, naming the file that is missing or has changed.
    """
    for place, one in manifest.plugins.items():
        if names is None or not set(names).isdisjoint(one.entries):
            origin = Origin(place, one.files, one.version)
            plugins.again(origin, one.entries, path)


def wrong(study: Study, record: Record, strange: Container[Any] = ()) -> str:
    """Why a record is none of the study's cells; nothing where it is one.

    strange: names of plugins' entries, which need not be loaded to be shown.
    """
    if record.study != study.name:
        return f"its study is {record.study}"
    if other := set(study.named(record.settings)) ^ set(study.axes):
        return f"settings.{min(other)}"
    for name, value in record.settings.items():
        axis = study.axes[name]
        if (name, value) in study.implied.items():
            return f"settings.{name}: {value!r}: is implied"
        if value not in strange and (why := axis.wrong(value)):
            return f"settings.{name}: {why}"
    return ""


@contextlib.contextmanager
def shown(path: Path, study: Study) -> Iterator[None]:
    """What a study's tables and pictures cannot make of rows that others wrote is a line.

    Raises Refusal. The study's own errors come to light where it is run.
    """
    try:
        yield
    except (
        LookupError,
        TypeError,
        ValueError,
        AttributeError,
        ArithmeticError,
    ) as error:
        place = traceback.extract_tb(error.__traceback__)[-1]
        where = f"{Path(place.filename).name}, line {place.lineno}"
        raise Refusal(
            f"{path}: its rows are not such as {study.name} shows: "
            f"{type(error).__name__}: {error} ({where})"
        ) from error


def _committed(study: Study, folder: Folder, manifest: Manifest) -> Results:
    stamp, world = folder.path / folders.STAMP, manifest.environment
    try:
        rows = published.read_csv(folder.path / "rows.csv")
        if stamp.is_file():
            world = published.read_stamp(stamp)
    except (ValueError, csv.Error) as error:
        raise Refusal(f"{folder.path}: damaged: {error}") from None
    lacking = [
        name
        for name in (*study.axes, "status")
        if name not in (rows or [{}])[0] and name not in study.implied
    ]
    if lacking:
        raise Refusal(
            f"{folder.path}: no rows of this version of {study.name}: rows.csv is "
            f"without {lacking[0]}"
        )
    return Results(study, folder, rows, world, [])
