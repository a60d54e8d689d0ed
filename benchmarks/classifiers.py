"""Which cells of a grid can be asked how many answers are right."""

from collections.abc import Sequence, Set

from research.architectures import ARCHITECTURES
from research.catalogues.losses import ACCURACY, LOSSES
from research.datasets import DATASETS
from research.study import families
from research.study.declaration import Cell
from research.study.errors import Refusal


def fit(cells: Sequence[Cell], typed: Set[str]) -> tuple[list[Cell], list[str]]:
    """The cells that can be built and classify, and a line on those left out.

    Raises Refusal where none is left.
    """
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
    dataset = DATASETS[str(cell["dataset"])]
    return ARCHITECTURES[str(cell["architecture"])].task(dataset.task)
