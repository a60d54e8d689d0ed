"""The flag --profile DIR[:STEPS]: a trace of some steps by jax's profiler."""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from depthbench.research.catalogues import axes
from depthbench.research.cli.options import path_of_folder
from depthbench.research.engine import console
from depthbench.research.engine.profiling import (
    OPERATIONS,
    PLUGINS,
    STEPS,
    WARM,
    operations,
    table,
)
from depthbench.research.report import rendering
from depthbench.research.study.errors import Refusal

FLAG = "--profile"
TRACE = (PLUGINS, OPERATIONS)  # what a trace is in its folder
MOST = 10_000  # steps: a trace has every operation of each
HELP = f"a new folder for a trace of warmed steps, and their number; default: {STEPS}"


def present(folder: Path, form: str) -> None:
    """Prints the operations of a trace; where standard output is for results alone, only
    where they are."""
    if form == "table":
        shown = table(operations(folder), "Operations of the steps that were traced")
        rendering.show(shown, rendering.terminal())
    console.say(f"traced: {folder}, for Perfetto or TensorBoard; {folder / OPERATIONS}")


class ProfileRequest(NamedTuple):
    """What is to be traced, and where."""

    folder: Path
    steps: int


def asked(
    text: str,
    total: float = float("inf"),
    kept: Callable[[Path], bool] = lambda path: False,
) -> ProfileRequest:
    """DIR or DIR:STEPS as it is typed. Raises Refusal.

    total: steps that there are. kept: whether what the folder has, such as what the same
    run has traced before it was interrupted, may be there.
    """
    folder, steps = found = of(text)
    if folder.is_dir() and not all(map(kept, folder.iterdir())):
        raise Refusal(f"{FLAG} {text}: {folder} is not empty; choose a new folder")
    if steps > total - WARM:
        raise Refusal(
            f"{FLAG} {text}: {steps} steps are more than the run's {total:g} without the "
            f"{WARM} that warm up"
        )
    return found


def of(text: str) -> ProfileRequest:
    """The same, whatever is in the folder. Raises Refusal."""
    place, colon, typed = text.rpartition(":")
    place = place if colon else text
    steps = axes.integer(typed) if colon else STEPS
    listed = "," in place  # as axes' values are, of which this is none
    if not place or listed or steps is None or not 1 <= steps <= MOST:
        raise Refusal(
            f"{FLAG} {text}: must be DIR or DIR:STEPS, a folder without commas and a "
            f"number of steps from 1 to {MOST:,}"
        )
    return ProfileRequest(path_of_folder(FLAG, place), steps)
