"""What a cell costs that trains nets at some learning rates, before it is measured."""

from collections.abc import Callable, Hashable, Sequence

from depthbench.research.study.declaration import Cell, Cost, Plan, Shared
from depthbench.research.study.plan import longest_first

WIDTH = 64  # units of a layer, up to which a step takes as long
BESIDE = 3  # layers that take as long as what a step does besides: batch, loss, update
COPIES = 5  # of the weights: themselves, gradient, step, two averages

Number = Callable[[Cell], float]


def plan(
    compiling: float | Number,
    layer: float,
    layers: Number = lambda cell: cell["depth"],
    steps: Number = lambda cell: cell["steps"],
    runs: Number | None = None,
    group: Callable[[Cell], Hashable] | None = None,
    together: bool = False,
    at_once: Number = lambda cell: 1,
    held: Number = lambda cell: 0,
) -> Plan:
    """A plan of cells that train nets at each of their learning rates, longest first.

    compiling: seconds of a cell that steps do not count in. layer: seconds of a step in a
    layer of WIDTH units at most; of wider ones it grows with their weights. layers,
    steps, runs: of a cell; runs, `tried` by default. group: as of `Plan`. together: the
    cells of a group read one net, which is trained once. at_once: nets that one call
    trains on any device. held: bytes besides weights.
    """

    def seconds(cell: Cell) -> float:
        wide = max(1.0, (cell.get("width", WIDTH) / WIDTH) ** 2)
        deep = BESIDE + layers(cell) * wide
        return (runs or tried)(cell) * steps(cell) * layer * deep

    def once(cell: Cell) -> float:
        return compiling(cell) if callable(compiling) else compiling

    def memory(cell: Cell, nets: float) -> int:
        weights = (BESIDE + layers(cell)) * cell.get("width", WIDTH) ** 2
        return 2**28 + int(4 * COPIES * nets * weights + held(cell))

    def cost(cells: Sequence[Cell], shared: Shared) -> Cost:
        read = cells[:1] if together else cells
        return Cost(
            max(memory(cell, at_once(cell)) for cell in cells),
            max(memory(cell, (runs or tried)(cell)) for cell in cells),
            sum(map(seconds, read)) + sum(map(once, cells)),
        )

    return Plan(group=group, cost=cost, priority=longest_first)


def tried(cell: Cell) -> float:
    """How many runs a cell's rates are: of each seed, at those of the grid and as long as
    once more, of half the steps at the best rate and of rates further out.

    >>> tried({"seeds": 3, "rates": 4, "further_rates": 2})
    15
    """
    further = min(1, cell.get("further_rates", 0))
    return cell.get("seeds", 1) * (cell.get("rates", 1) + further)
