"""What studies of whole catalogues of classifiers share: which can be built, and rates.

They ask one question of a net, whether it trains, and have one answer: at the best rate
of one grid most seeds end at the target (`research.learning.selection`, "trained").
"""

from collections.abc import Sequence, Set

from depthbench.research.architectures import ARCHITECTURES
from depthbench.research.catalogues.losses import ACCURACY, LOSSES
from depthbench.research.learning import selection
from depthbench.research.study import families
from depthbench.research.study.axes import Axis
from depthbench.research.study.declaration import Cell
from depthbench.research.study.errors import Refusal


def further_rates() -> Axis:
    """How many rates may be added at an end of the grid of `rates`."""
    return Axis(
        "rates tried beyond each end of these, at most, as long as the best is there",
        (selection.MOST,),
        kind="integer",
        low=0,
        high=100,
        single=True,
    )


def fit(cells: Sequence[Cell], typed: Set[str]) -> tuple[list[Cell], list[str]]:
    """The cells that can be built and classify, and a line on those left out.

    Of a number of rates that was typed no further one is tried.

    Raises Refusal where none is left.
    """
    if "rates" in typed and "further_rates" not in typed:
        cells = [{**cell, "further_rates": 0} for cell in cells]
    buildable, lines = families.fit(cells, typed)
    able = [cell for cell in buildable if _classifies(cell)]
    if len(able) < len(buildable):
        one = next(cell for cell in buildable if not _classifies(cell))
        why = (
            f"{one['architecture']} on {one['dataset']} is trained for {_task(one)}, "
            "of which no share is right"
        )
        if not able:
            raise Refusal(f"--architecture {why}")
        lines.append(
            f"left out {len(buildable) - len(able)} of {len(buildable)} cells: {why}"
        )
    return able, lines


def _classifies(cell: Cell) -> bool:
    """Whether a share of the examples is right, each as a whole."""
    loss = LOSSES[_task(cell)]
    return loss.judged == ACCURACY and not loss.every_step


def _task(cell: Cell) -> str:
    return ARCHITECTURES[str(cell["architecture"])].task(families.read_by(cell).task)
