"""Which cells of a grid can be asked how many answers are right."""

from collections.abc import Sequence, Set

from research.architectures import ARCHITECTURES
from research.datasets import DATASETS
from research.study import families
from research.study.declaration import Cell
from research.study.errors import Refusal


def fit(cells: Sequence[Cell], typed: Set[str]) -> tuple[list[Cell], list[str]]:
    """The cells that can be built and classify, and a line on those left out.

    Raises Refusal where none is left.
    """
    kept, said = families.fit(cells, typed)
    able = [cell for cell in kept if _task(cell) == "classes"]
    if len(able) < len(kept):
        one = next(cell for cell in kept if _task(cell) != "classes")
        why = (
            f"{one['architecture']} on {one['dataset']} is trained for {_task(one)}, "
            "of which no share is right"
        )
        if not able:
            raise Refusal(f"--architecture {why}")
        said.append(f"left out {len(kept) - len(able)} of {len(kept)} cells: {why}")
    return able, said


def _task(cell: Cell) -> str:
    dataset = DATASETS[str(cell["dataset"])]
    return ARCHITECTURES[str(cell["architecture"])].task(dataset.task)
