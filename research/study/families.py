"""Which cells of a grid an architecture can be built at."""

from collections.abc import Sequence, Set

from research.architectures import ANY_DEPTH, ARCHITECTURES
from research.datasets import DATASETS
from research.study.declaration import Cell
from research.study.errors import Refusal


def fit(cells: Sequence[Cell], typed: Set[str]) -> tuple[list[Cell], list[str]]:
    """The cells that can be built, and a line on those that were left out.

    An architecture that has only some depths gets its own examples, no deeper than the
    grid's, unless depths were typed. Raises Refusal where nothing is left of one.
    """
    kept: list[Cell] = []
    said = []
    for name in dict.fromkeys(cell["architecture"] for cell in cells):
        own = [cell for cell in cells if cell["architecture"] == name]
        if "depth" not in typed:
            own = _at_its_depths(own)
        reasons = [_why_not(cell) for cell in own]
        good = [cell for cell, why in zip(own, reasons, strict=True) if why is None]
        bad = list(filter(None, reasons))
        if not good:
            raise Refusal(f"--architecture {bad[0]}")
        if bad:
            said.append(f"left out {len(bad)} of {len(own)} cells: {bad[0]}")
        kept += good
    return kept, said


def _at_its_depths(cells: list[Cell]) -> list[Cell]:
    depths = ARCHITECTURES[str(cells[0]["architecture"])].depths
    if depths is ANY_DEPTH:
        return cells
    deepest = max(int(cell["depth"] or 0) for cell in cells)
    own = [d for d in depths.examples if d <= deepest] or depths.examples[:1]
    others = [{**cell, "depth": depth} for depth in own for cell in cells]
    return list({tuple(cell.items()): cell for cell in others}.values())


def _why_not(cell: Cell) -> str | None:
    family = ARCHITECTURES[str(cell["architecture"])]
    shape = DATASETS[str(cell.get("dataset", "digits"))].shape
    return family.refuses(
        int(cell["depth"] or 0),
        str(cell["activation"]),
        str(cell.get("normalizer", "none")),
        None if family.takes == "vector" else min(shape[:2]),
    )
