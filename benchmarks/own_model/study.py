"""Does the gradient survive in a net of your own, and how deep?

The net is named, "my.module:make", and made of each depth; it may be written in Flax,
Equinox, Haiku or plain jax, and nothing in it is changed. The short command is `depthbench
probe`.
"""

import contextlib
import itertools
from collections.abc import Sequence, Set

from depthbench.benchmarks.own_model import pictures, show
from depthbench.benchmarks.own_model import typed as typed_of
from depthbench.research.catalogues import modules
from depthbench.research.catalogues.dtypes import CAST
from depthbench.research.engine import console, runner
from depthbench.research.lazy import lazily
from depthbench.research.study.axes import Axis, flag_of
from depthbench.research.study.declaration import (
    Cell,
    Measured,
    Plan,
    Shared,
    Study,
    fixed,
)
from depthbench.research.study.errors import Refusal
from depthbench.research.study.plan import grouped

with lazily():
    from depthbench.benchmarks.own_model import nets, rows
    from depthbench.research.models import makers
    from depthbench.research.signal import model_states

DEPTHS = (4, 16, 64)  # of a net that takes a depth, where none is typed
EXAMPLE = "depthbench.benchmarks.own_model.example:make"
AXES = {
    "model": Axis("the net, or what makes it: module:name", (EXAMPLE,), kind="text"),
    "depth": Axis(
        "of the net, given to what makes it; 4, 16, 64 of one that takes a depth",
        (None,),
        kind="integer",
        low=1,
        high=10**9,
    ),
    "input": Axis(
        "the input's shape, the batch first; of several inputs with ; between them",
        ("16,16",),
        kind="text",
        single=True,
    ),
    "tokens": Axis(
        "whole numbers below this are the inputs, as a language model's; else normal ones",
        (None,),
        kind="integer",
        low=1,
        high=2**31 - 1,
        single=True,
    ),
    "loss": Axis(
        "module:name, of outputs, or of outputs and inputs; without it, the outputs' "
        "products with fixed random numbers",
        (None,),
        kind="text",
        single=True,
    ),
    "kwargs": Axis(
        "further arguments of the net's call, in JSON",
        (None,),
        kind="text",
        single=True,
    ),
    "dtype": Axis(
        "of parameters and inputs, which are cast; without it, as the net has them",
        (None,),
        CAST,
    ),
    "seeds": Axis(
        "nets drawn per cell", (3,), kind="integer", low=1, high=10**5, single=True
    ),
}
SIZES = {
    "smoke": {"depth": (2, 4), "input": ("4,16",), "seeds": (2,)},
    "full": {"depth": (4, 16, 64, 256), "seeds": (5,)},
}


def fit(cells: Sequence[Cell], typed: Set[str]) -> tuple[list[Cell], list[str]]:
    """The cells with depths for nets that take one, and one of each net that takes none.

    What is named is imported and tried, so that what is wrong is said before anything is
    written. Raises Refusal, Mistake.
    """
    for name in ("model", "loss"):
        for value in dict.fromkeys(cell[name] for cell in cells):
            if value is not None and not modules.is_name(modules.spelled(str(value))):
                raise Refusal(
                    f"{flag_of(name)} {value}: must be module:name, such as my.module:make"
                )
    _check_input(cells, typed)
    plain: Cell = {
        "input": typed_of.inputs(str(cells[0]["input"])),
        "kwargs": typed_of.keywords(cells[0]["kwargs"]),
    }
    runner.pin()  # jax is begun before the user's modules import it
    fitting: dict[tuple, Cell] = {}
    for cell in ({**cell, **plain} for cell in cells):
        for depth in _depths(cell, typed):
            each = {**cell, "depth": depth}
            fitting.setdefault(tuple(each.values()), each)
    tried = [_tried(group, typed) for group in grouped(fitting.values(), _net).values()]
    return list(itertools.chain(*tried)), []


def _check_input(cells: Sequence[Cell], typed: Set[str]) -> None:
    """Raises Refusal where the inputs of a user's net would be the example's."""
    own = [cell["model"] for cell in cells if cell["model"] != EXAMPLE]
    if own and "input" not in typed:
        raise Refusal(
            f"--input is missing: the shape of what {own[0]} takes, the batch first, such "
            "as --input 16,784"
        )


def _net(cell: Cell) -> tuple:
    return tuple(value for name, value in cell.items() if name != "depth")


def _depths(cell: Cell, typed: Set[str]) -> tuple:
    """The depths to make a net of; of one that takes none, None."""
    takes = makers.maker(modules.named(str(cell["model"]))).depth
    if not takes and cell["depth"] is not None and "depth" in typed:
        raise Refusal(
            f"--depth {cell['depth']}: {cell['model']} takes no depth; leave --depth out"
        )
    if not takes:
        return (None,)
    return DEPTHS if cell["depth"] is None else (cell["depth"],)


def _tried(cells: Sequence[Cell], typed: Set[str]) -> list[Cell]:
    """The cells of a net, after it has been made of each depth; of one seed alone where
    nothing is drawn. What does not fit in memory is for its row to say."""
    shallowest = min(cells, key=lambda cell: cell["depth"] or 0)
    with contextlib.suppress(MemoryError):
        for cell in cells:
            nets.check(cell, whole=cell is shallowest)
        if "seeds" not in typed and not nets.draws(shallowest):
            return [{**cell, "seeds": 1} for cell in cells]
    return list(cells)


def measure(cells: Sequence[Cell], shared: Shared, memory: int) -> list[Measured]:
    """One Measured for each cell, its seeds in turn: they share their programs."""
    return [_measured(cell, memory) for cell in cells]


def _measured(cell: Cell, memory: int) -> Measured:
    seeds = []
    for seed in range(int(cell["seeds"] or 1)):
        net = nets.net(cell, seed)
        with nets.blamed(nets.name_of(cell)):
            network = model_states.network(net)
        need = network.memory()
        if need > memory:
            sizes = console.size(need), console.size(memory)
            return Measured("oom", f"needs {sizes[0]}, and {sizes[1]} may be used", {})
        seeds.append(model_states.measured(net, network))
    return rows.row(seeds)


STUDY = Study(
    name="own_model",
    kind="benchmark",
    question="Does the gradient survive in a net of your own?",
    source="of gradients: Glorot & Bengio 2010; Schoenholz et al. 2017, arXiv:1611.01232",
    axes=AXES,
    sizes=SIZES,
    fit=fit,
    plan=Plan(program=_net, cost=fixed(memory=2**26, seconds=2.0)),
    measure="depthbench.benchmarks.own_model.study:measure",
    columns=(
        *AXES,
        *("status", "reason", "states", "log10_ratio", "log10_ratio_se"),
        *("log10_slope", "log10_slope_se", "verdict", "worst_state", "log10_worst"),
        *("first_bad_state", "signal_lost_at", "signal_lost_how", "signal_lost_in"),
        *("saturated", "log10_length", "log10_length_se", "decorrelation"),
        *("decorrelation_se", "zeros", "without_gradient", "no_gradient_in"),
    ),
    headline=show.headline,
    tables=show.tables,
    figures=pictures.draw_figures,
    compile_seconds=5.0,
    threads=1,  # a user's code need not bear several
)
