"""`depthbench export DIR`: a folder's rows as Parquet, or as TensorBoard shows them."""

import io
import os
import shutil
from pathlib import Path

from depthbench.research.catalogues import packages
from depthbench.research.cli.options import path, path_of_folder
from depthbench.research.engine import console, tracking
from depthbench.research.engine.trackers import tensorboard
from depthbench.research.report import figures, frames, loaded, run_folder, tracked
from depthbench.research.report.loaded import Loaded
from depthbench.research.store import atomic
from depthbench.research.study.errors import Refusal

PARQUET, TENSORBOARD = "--parquet", "--tensorboard"
MAGIC = b"PAR1"  # that a Parquet file begins with; another file is not written over


def arguments(parser) -> None:
    parser.add_argument(
        "dir", metavar="DIR", help="folder of a run, a training, or committed rows"
    )
    parser.add_argument(
        PARQUET,
        metavar="FILE",
        help="one row for each cell, or for each run at each report of a training",
    )
    parser.add_argument(
        TENSORBOARD, metavar="DIR", help="a new folder of TensorBoard's event files"
    )


def main(options) -> int:
    if options.parquet is None and options.tensorboard is None:
        raise Refusal(f"export: needs {PARQUET} FILE or {TENSORBOARD} DIR, or both")
    file = None if options.parquet is None else new_file(options.parquet)
    folder = None if options.tensorboard is None else new_folder(options.tensorboard)
    place = path_of_folder("DIR", options.dir)
    rows = loaded.opened(place)
    if file is not None:
        atomic.write_atomically(file, as_parquet(rows))
        console.say(f"written: {file}: {len(rows.rows)} rows")
    if folder is not None:
        write_events(rows, place, folder)
        console.say(f"written: {folder}: tensorboard --logdir {folder}")
    return 0


def new_file(text: str) -> Path:
    """The path of a file to be written. Raises Refusal, DataError."""
    for module in ("pandas", "pyarrow"):
        packages.need(PARQUET, module)
    file = path(PARQUET, text)
    if file.exists() and not (file.is_file() and _begins(file, MAGIC)):
        raise Refusal(f"{PARQUET} {text}: is there already, and no Parquet file")
    if not file.parent.is_dir():
        raise Refusal(f"{PARQUET} {text}: no such folder: {file.parent}")
    return file


def _begins(file: Path, content: bytes) -> bool:
    with open(file, "rb") as opened:
        return opened.read(len(content)) == content


def new_folder(text: str) -> Path:
    """The path of a folder that is not there, or empty. Raises Refusal, DataError."""
    packages.need(TENSORBOARD, "tensorboardX")
    folder = path_of_folder(TENSORBOARD, text)
    if folder.is_dir() and any(folder.iterdir()):
        raise Refusal(f"{TENSORBOARD} {text}: is not empty; choose a new folder")
    return folder


def as_parquet(rows: Loaded) -> bytes:
    """The rows as a Parquet file's bytes; what is missing is null."""
    out = io.BytesIO()
    frame = frames.typed(rows.rows, rows.keys)
    frame.to_parquet(out, engine="pyarrow", index=False)
    return out.getvalue()


def write_events(rows: Loaded, place: Path, folder: Path) -> None:
    """Writes what a tracker would have been given, all or nothing.

    Of a run its rows, numbered; of a training its reports, and each layer's gradient.
    """
    above = folder.absolute().parent
    above.mkdir(parents=True, exist_ok=True)
    made = above / atomic.temporary(folder.name)
    made.mkdir()
    try:
        sink = tensorboard.EventFiles(made)
        if run_folder.is_training(place):
            history = run_folder.training(place).history
            for step, arrays in history:
                sink.scalars(step, tracking.numbers(tracked.of_report(arrays)))
            for tag, shown in tracked.pictures(history).items():
                pixels = figures.as_pixels(shown.figure())
                sink.picture(history[-1][0], tag, pixels)
        else:
            for number, row in enumerate(rows.rows):
                sink.scalars(number, tracking.numbers(tracked.of_row(row)))
        sink.close()
        os.replace(made, folder)
    finally:
        shutil.rmtree(made, ignore_errors=True)
