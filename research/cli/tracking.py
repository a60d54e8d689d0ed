"""The flag --track: a run's numbers as they come, for a tracker that is installed."""

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from depthbench.research.catalogues import packages
from depthbench.research.cli.options import one_of
from depthbench.research.engine import tracking
from depthbench.research.engine.observers import UNSEEN, Observer
from depthbench.research.engine.trackers import TRACKERS
from depthbench.research.engine.tracking import Tracking
from depthbench.research.lazy import lazily
from depthbench.research.store.folder import Folder
from depthbench.research.store.rows import Record
from depthbench.research.study.errors import Refusal

with lazily():
    from depthbench.research.report import tracked, trained

FLAG = "--track"
MOST_RUNS = 100  # of a training: each has names of its own in a tracker


def flag(parser) -> None:
    """Declares the flag."""
    parser.add_argument(
        FLAG,
        metavar="NAME",
        help=f"write numbers as they come for {', '.join(TRACKERS)}, below DIR/tracked",
    )


def check(name: str | None, runs: int = 1) -> None:
    """Raises Refusal for a name that is none, and for too many runs; DataError where the
    tracker is not installed."""
    if name is None:
        return
    one_of(FLAG, name, tuple(TRACKERS))
    packages.need(f"{FLAG} {name}", TRACKERS[name].package)
    if runs > MOST_RUNS:
        raise Refusal(f"{FLAG} {name}: {runs:,} runs: at most {MOST_RUNS} at once")


def _begun(name: str, out: Path) -> Tracking:
    return Tracking(name, lambda: tracking.opened(name, out))


@contextlib.contextmanager
def of_rows(name: str | None, out: Path) -> Iterator[Callable[[Record], None]]:
    """What a run calls with each of its rows, within the block."""
    if name is None:
        yield lambda record: None
        return
    there = sum(1 for _ in Folder(out).cells.glob("*.json"))
    sink = _begun(name, out)
    try:
        yield tracked.on_row(sink, there)
    finally:
        sink.close()


def of_training(name: str | None, out: Path, settings: dict[str, Any]) -> Observer:
    """What sees a training for a tracker; nothing does without a name."""
    if name is None:
        return UNSEEN

    def earlier() -> tracked.Reports:
        with contextlib.suppress(Refusal):  # no report yet
            return list(trained.opened(out).history)
        return []

    return tracked.TrackedTraining(_begun(name, out), settings, earlier)
