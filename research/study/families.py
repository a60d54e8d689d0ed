"""The cells of a grid at which an architecture can be built, and their cost."""

import math
from collections.abc import Callable, Mapping, Sequence, Set
from typing import Any, NamedTuple

from depthbench.research.architectures import ARCHITECTURES
from depthbench.research.architectures.family import ANY_DEPTH, Family
from depthbench.research.catalogues.losses import LOSSES
from depthbench.research.datasets import DATASETS, Dataset, find
from depthbench.research.study.declaration import Cell
from depthbench.research.study.errors import Refusal


class NetworkCost(NamedTuple):
    """Estimates for one seed's network: the bytes it needs, and seconds a layer."""

    memory: int
    layer_seconds: float


def cost(cell: Mapping[str, Any], capacity: int) -> NetworkCost:
    """What a network drawn with `capacity` layers costs to probe.

    Weights and the states of a batch are kept; drawing needs room for a copy. Fitted on
    two cores: a fixed cost a layer, its three matrix products, its φ.
    """
    family, width = ARCHITECTURES[cell["architecture"]], cell["width"]
    kernels, states = family.kernels, cell["batch"] * width
    dataset = read_by(cell)
    states *= math.prod(dataset.shape[: family.space])
    layer = kernels * (width * width + width) + states
    seconds = 1.6e-5 + kernels * 4 * states * width / 1.2e10 + states * 6e-9
    return NetworkCost(2 * (4 * layer * (capacity + 1) + 2**20), seconds)


def read_by(cell: Mapping[str, Any]) -> Dataset:
    """The data set of a cell. Raises UnknownName, DataError."""
    return find(str(cell.get("dataset", "digits")), cell.get("data_dir") or None)


def at_own_depths(cells: list[Cell], typed: Set[str]) -> tuple[list[Cell], list[str]]:
    """A study's `fit`: its cells, where each architecture has the depths asked of it.

    A builder would round another, and the row name a net that there is none of. Raises
    Refusal. Of nets of any depth the axis says which it may be.
    """
    both = [cell for cell in cells if {"architecture", "depth"} <= cell.keys()]
    nets = {(str(cell["architecture"]), int(cell["depth"] or 0)) for cell in both}
    for name, depth in sorted(nets):
        family = ARCHITECTURES[name]
        if family.depths is not ANY_DEPTH and (why := family.lacks(depth)):
            raise Refusal(f"--architecture {why}")
    return cells, []


def fit(
    cells: Sequence[Cell],
    typed: Set[str],
    shape: Callable[[Cell], tuple[int, ...]] | None = None,
) -> tuple[list[Cell], list[str]]:
    """The cells that can be built, and a line on those that were left out.

    What was not typed is brought to what an architecture is published at: depths and
    widths no larger than the grid's, its normaliser, and images that it can read.
    shape: of a cell's examples; without it, the data set's.
    Raises Refusal where nothing is left of an architecture.
    """
    buildable: list[Cell] = []
    lines = []
    for name in dict.fromkeys(cell["architecture"] for cell in cells):
        candidates = [cell for cell in cells if cell["architecture"] == name]
        candidates = _as_published(ARCHITECTURES[str(name)], candidates, typed)
        reasons = [_why_not(cell, shape) for cell in candidates]
        good = [
            cell for cell, why in zip(candidates, reasons, strict=True) if why is None
        ]
        bad = list(filter(None, reasons))
        if not good:
            why = bad[0] if bad[0].startswith(str(name)) else f"{name}: {bad[0]}"
            raise Refusal(f"--architecture {why}")
        if bad:
            lines.append(f"skipped {len(bad)} of {len(candidates)} cells: {bad[0]}")
        buildable += good
    return buildable, lines


def _as_published(
    family: Family, cells: Sequence[Cell], typed: Set[str]
) -> Sequence[Cell]:
    for axis, values in _published(family, cells).items():
        if axis in cells[0] and axis not in typed:
            cells = [{**cell, axis: value} for value in values for cell in cells]
    return list({tuple(cell.items()): cell for cell in cells}.values())


def _published(family: Family, cells: Sequence[Cell]) -> dict[str, Sequence]:
    """The values of axes that an architecture has its own of."""
    values: dict[str, Sequence] = {}
    if family.depths is not ANY_DEPTH:
        deepest = max(int(cell["depth"] or 0) for cell in cells)
        examples = family.depths.examples
        values["depth"] = [d for d in examples if d <= deepest] or examples[:1]
    if family.width is not None:
        values["width"] = [min(family.width, max(_width(c) or 0 for c in cells))]
    if family.normalizers and len({cell.get("normalizer") for cell in cells}) == 1:
        values["normalizer"] = [family.published_normalizer]
    wanted = read_by(cells[0])
    if side(family, wanted.shape) < family.smallest:
        larger = [
            name
            for name, dataset in DATASETS.items()
            if dataset.enlarges == wanted.name
            and side(family, dataset.shape) >= family.smallest
        ]
        values["dataset"] = larger[:1] or [wanted.name]
    return values


def untrainable(family: Family, dataset: Dataset) -> str | None:
    """Why the net cannot be trained on the data set, with what can; None if it can."""
    why = _unreadable(family, dataset)
    if why:
        return why
    if LOSSES[family.task(dataset.task)].every_step:
        allowed = ("causal",) if dataset.causal else ("causal", "all")
        able = [name for name, f in ARCHITECTURES.items() if f.steps in allowed]
        if family.name not in able:
            asks = "the next token" if dataset.causal else "an output at each step"
            return (
                f"{dataset.name} needs {asks}, which {family.name} does not "
                f"give; allowed: {', '.join(able)}"
            )
    return None


def unbiased(family: Family, normalizer: str, sigma_b2: Sequence[Any]) -> str | None:
    """Why a bias variance would change nothing, with which nets it does; None if it does.

    sigma_b2: its values, of which None stands for none.
    """
    given = [value for value in sigma_b2 if value is not None]
    if not given or normalizer not in family.unbiased:
        return None
    able = [name for name in family.normalizers if name not in family.unbiased]
    users = f"with {', '.join(able)} it does" if able else "other architectures do"
    return (
        f"{family.name} with normalizer {normalizer} draws no biases, whose variance "
        f"--sigma-b2 {','.join(f'{value:g}' for value in given)} is; {users}"
    )


def _unreadable(family: Family, dataset: Dataset) -> str | None:
    """Why the net cannot read the data set's examples; None if it can."""
    if family.takes == "image" and len(dataset.shape) != 3:
        return (
            f"{family.name} reads images, not {dataset.name} of shape {dataset.shape}"
        )
    return None


def _too_few(cell: Cell, dataset: Dataset) -> str | None:
    """Why a batch cannot be drawn from the data set; None if it can."""
    batch = int(cell.get("batch") or 1)
    if dataset.sizes and batch > sum(dataset.sizes):
        return (
            f"{cell['architecture']} on {dataset.name}: {sum(dataset.sizes)} examples "
            f"are fewer than a batch of {batch}"
        )
    return None


def _width(cell: Cell) -> int | None:
    width = cell.get("width")
    return None if width is None else int(width)


def side(family: Family, shape: Sequence[int]) -> int:
    """The smaller side of an example's image, or the length of its sequence."""
    if len(shape) == 1:  # a vector is one step
        return 1
    return shape[0] if family.takes == "sequence" else min(shape[:2])


def _why_not(cell: Cell, shape: Callable | None) -> str | None:
    family = ARCHITECTURES[str(cell["architecture"])]
    dataset = read_by(cell)
    normalizer = str(cell.get("normalizer", family.published_normalizer))
    why = None if shape else untrainable(family, dataset) or _too_few(cell, dataset)
    why = why or unbiased(family, normalizer, [cell.get("sigma_b2")])
    return why or family.refuses(
        int(cell["depth"] or 0),
        str(cell["activation"]),
        normalizer,
        _width(cell),
        side(family, shape(cell) if shape else dataset.shape),
    )
