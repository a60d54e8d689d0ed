"""`run(study, …)` and `load(folder)`: what the command measures, as plain data."""

import contextlib
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from depthbench.research.catalogues.axes import Value
from depthbench.research.catalogues.catalogue import Mistake, nearest
from depthbench.research.cli.options import SIZES
from depthbench.research.cli.run import report, requested
from depthbench.research.datasets import tfds
from depthbench.research.engine import runs
from depthbench.research.machine import settings
from depthbench.research.report import loaded, run_folder
from depthbench.research.report.loaded import Loaded
from depthbench.research.store import folder as folders
from depthbench.research.store import manifest
from depthbench.research.study import plan, widening
from depthbench.research.study.declaration import Study, chosen_values, grid
from depthbench.research.study.errors import Refusal, missing
from depthbench.research.study.studies import studies


def run(
    study: str,
    *,
    size: str = "standard",
    out: str | os.PathLike[str] | None = None,
    **axes: Value | Sequence[Value],
) -> Loaded:
    """The rows of a study, as `depthbench run STUDY` makes them: in a folder, resumable.

    study: a name of `depthbench list`. size: smoke, standard or full.
    axes: the study's, each a value or several: depth=(4, 64), activation="tanh".
    out: the folder; `runs/STUDY` by default. What is there already is not run again.
    Raises Mistake, naming what does not fit, and KeyboardInterrupt after Ctrl-C, when
    what was measured is in the folder.
    """
    with _mistakes():
        declared = _named(study)
        _one_of("size", size, SIZES)
        place = _folder("out", f"runs/{declared.name}" if out is None else out)
        typed = _typed(declared, axes, place)
        chosen = chosen_values(declared, size, typed)
        cells, _ = declared.fit(plan.placed(grid(declared, chosen), ""), set(typed))
        cells = [declared.cell(cell) for cell in cells]
        request = runs.Request(widens=widening.widens(declared, size, set(typed)))
        with _settings(), runs.completed(declared, cells, place, request) as completed:
            if completed.stopped:
                raise KeyboardInterrupt
            report(declared, completed)
            rows = requested(declared, completed)
            records, _ = folders.records(completed.folder)
        results = run_folder.Results(
            declared, completed.folder, rows, completed.stamp, records
        )
        return loaded.of_results(results, rows)


def load(folder: str | os.PathLike[str]) -> Loaded:
    """What is in a folder that `depthbench run` or `train`, or `run`, has written.

    Raises Mistake where none is.
    """
    with _mistakes():
        place = _folder("folder", folder)
        if not place.is_dir():
            raise Mistake(f"folder: {folder}: no such folder")
        return loaded.opened(place)


def _named(name: Any) -> Study:
    known = studies()
    if not isinstance(name, str) or name not in known:
        raise Mistake(f"study: {name!r}: {nearest(str(name), known)}")
    return known[name]


def _one_of(argument: str, value: Any, allowed: Sequence[str]) -> None:
    if value not in allowed:
        raise Mistake(f"{argument}: {value!r}: {nearest(str(value), allowed)}")


def _folder(argument: str, path: Any) -> Path:
    try:
        place = Path(path).expanduser()
    except (TypeError, RuntimeError):
        raise Mistake(f"{argument}: {path!r}: must be the path of a folder") from None
    if place.exists() and not place.is_dir():
        raise Mistake(f"{argument}: {path}: is a file, not a folder")
    return place


def _typed(
    study: Study, axes: Mapping[str, Any], out: Path
) -> dict[str, tuple[Value, ...]]:
    """The values of the axes that are given, checked as the command's. Raises Mistake."""
    for name in axes:
        if name not in study.axes:
            raise Mistake(
                f"{name}: no axis of {study.name}: {nearest(name, study.axes)}"
            )
    typed = {}
    for name, values in axes.items():
        several = isinstance(values, list | tuple | range | set | frozenset)
        texts = ",".join(map(_text, values if several else [values]))
        typed[name] = study.axes[name].parse(name, texts)
    if "dataset" in typed:
        before = manifest.read(out).manifest
        data = before.data if before else {}
        typed["dataset"] = tuple(
            tfds.continued(str(name), data)
            if str(name).startswith(tfds.PREFIX)
            else name
            for name in typed["dataset"]
        )
    return typed


def _text(value: Any) -> str:
    """A value as it is typed in a command line."""
    return "default" if value is None else str(value)


@contextlib.contextmanager
def _mistakes() -> Iterator[None]:
    """Within the block what the command would refuse is a Mistake."""
    try:
        yield
    except Refusal as refusal:
        raise Mistake(str(refusal)) from None
    except ModuleNotFoundError as error:
        raise Mistake(str(missing(error))) from None


@contextlib.contextmanager
def _settings() -> Iterator[None]:
    """jax's settings that `pin` changes are the user's again after the block."""
    import jax

    changed = (*settings.PINNED, *settings.CHOSEN)
    before = {name: jax.config.values[name] for name in changed}
    try:
        yield
    finally:
        for name, value in before.items():
            if jax.config.values[name] != value:
                jax.config.update(name, value)
