"""Which deep nets keep their gradient at initialisation?

Depth × activation × initialiser × architecture, on real digits, with infinite-width
theory beside every measurement.
"""

import functools
import math
from collections.abc import Iterable, Sequence

from research.activations import ACTIVATIONS
from research.architectures import ARCHITECTURES
from research.datasets import DATASETS
from research.initializers import INITIALIZERS
from research.lazy import lazy
from research.normalizers import NORMALIZERS
from research.study import figures
from research.study.axes import Axis
from research.study.claims import Claim
from research.study.declaration import (
    Cell,
    Figure,
    Measured,
    Profiles,
    Row,
    Study,
    Unit,
)
from research.study.tables import Mark, Table, number

propagation = lazy("research.propagation")

AXES = {
    "architecture": Axis(
        "how layers are joined",
        ("mlp", "residual_mlp", "highway_mlp"),
        ARCHITECTURES,
    ),
    "activation": Axis("the nonlinearity", tuple(ACTIVATIONS), ACTIVATIONS),
    "initializer": Axis(
        "how weights are drawn",
        ("glorot_normal", "he_normal", "orthogonal", "critical"),
        INITIALIZERS,
    ),
    "normalizer": Axis("what comes before the activation", ("none",), NORMALIZERS),
    "depth": Axis(
        "number of layers",
        (1, 4, 16, 64, 256, 1024),
        kind="integer",
        low=1,
        high=10**9,
    ),
    "width": Axis("units in a layer", (64,), kind="integer", low=2, high=10**6),
    "batch": Axis("examples in the batch", (16,), kind="integer", low=2, high=1024),
    "dataset": Axis("what is fed in", ("digits",), DATASETS, single=True),
    "sigma_w2": Axis(
        "weight variance × fan-in, instead of the initialiser's",
        (None,),
        kind="number",
        low=0,
        high=1e6,
    ),
    "sigma_b2": Axis(
        "bias variance, instead of the initialiser's",
        (None,),
        kind="number",
        low=0,
        high=1e6,
    ),
    "seeds": Axis(
        "networks in each cell", (3,), kind="integer", low=1, high=10**5, single=True
    ),
}
SIZES = {
    "smoke": {
        "activation": ("sigmoid", "tanh", "relu", "relu_squared"),
        "initializer": ("glorot_normal", "he_normal", "critical"),
        "depth": (1, 4, 16),
        "width": (32,),
        "batch": (8,),
    },
    "full": {
        "architecture": tuple(ARCHITECTURES),
        "initializer": tuple(n for n in INITIALIZERS if n != "free"),
        "normalizer": tuple(NORMALIZERS),
        "depth": (1, 4, 16, 64, 256, 1024, 4096, 10_000),
        "width": (256,),
        "batch": (32,),
        "seeds": (8,),
    },
}
SHARED_CAPACITY = 1024  # nets up to this depth share one program and its draws


def plan(cells: Sequence[Cell]) -> list[Unit]:
    """Units of cells that differ in their variances alone, one program each network."""
    programs: dict[tuple, list[Cell]] = {}
    for cell in cells:
        programs.setdefault(_program_key(cell), []).append(cell)
    units = []
    for program, members in enumerate(programs.values()):
        activations = tuple(dict.fromkeys(c["activation"] for c in members))
        capacity = max(c["depth"] for c in members)
        calls: dict[tuple, list[Cell]] = {}
        for cell in members:
            draw = INITIALIZERS[cell["initializer"]].draw
            call = (draw, cell["activation"], cell["depth"])
            calls.setdefault(call, []).append(cell)
        # The draw changes slowest, since drawing takes the longest.
        for call in sorted(calls, key=lambda call: call[0]):
            units.append(_unit(program, calls[call], activations, capacity))
    return units


def _program_key(cell: Cell) -> tuple:
    shared = cell["depth"] <= SHARED_CAPACITY
    names = ("architecture", "normalizer", "width", "batch", "dataset", "seeds")
    return (*(cell[name] for name in names), shared or cell["depth"])


def _unit(program: int, cells: list[Cell], activations: tuple, capacity: int) -> Unit:
    cell = cells[0]
    width, batch, depth = cell["width"], cell["batch"], cell["depth"]
    kernels = 2 if cell["architecture"] == "highway_mlp" else 1
    layer = kernels * (width * width + width) + batch * width
    seed = 4 * layer * (capacity + 1) + 2**20
    # Fitted on two cores: a fixed cost a layer, and its three matrix products.
    work = 8e-6 + kernels * 4 * batch * width**2 / 2.5e10 + batch * width * 3e-9
    return Unit(
        tuple(cells),
        program,
        memory=2 * seed,  # drawing needs room for a copy
        peak=2 * seed * cell["seeds"],
        seconds=len(cells) * cell["seeds"] * depth * work,
        run=functools.partial(run, cells, activations, capacity, 2 * seed),
    )


def run(cells: list[Cell], activations: tuple, capacity: int, seed: int, memory: int):
    """One Measured for each cell; `seed` is the bytes that one seed takes."""
    program = propagation.program_of(cells[0], activations, capacity)
    at_a_time = max(1, min(cells[0]["seeds"], memory // seed))
    return [Measured(*r) for r in propagation.measure(cells, program, at_a_time)]


def tables(rows: Sequence[Row]) -> list[Table]:
    """What survives at each depth, decades at the deepest, and the worst cells."""
    shown = [_survivors(rows)]
    for keys, group in _by(rows, "architecture", "normalizer", "width", "sigma_w2"):
        shown.append(_decades(keys, group))
    shown.append(_worst([r for r in rows if r["status"] == "ok"]))
    return shown


def _worst(rows: Sequence[Row]) -> Table:
    """The ten cells with the most decades between their first and last gradient."""
    body = tuple(
        (
            f"{r['architecture']} {r['activation']} {r['initializer']}",
            number(r["depth"]),
            Mark(f"{r['log10_ratio']:+.1f}", "bad"),
            f"{r['log10_slope']:+.4f}",
            number(r["log10_slope_se"], 2),
            number(r["log10_slope_theory"], 4),
            number(r["saturated"], 2),
        )
        for r in sorted(rows, key=lambda r: -abs(r["log10_ratio"]))[:10]
    )
    headers = ("cell", "depth", "decades", "per layer", "±", "theory", "saturated")
    return Table("The ten worst cells that have a gradient", headers, body)


def _by(rows: Iterable[Row], *names: str) -> list[tuple[tuple, list[Row]]]:
    groups: dict[tuple, list[Row]] = {}
    for row in rows:
        groups.setdefault(tuple(row[n] for n in names), []).append(row)
    return list(groups.items())


def _survivors(rows: Sequence[Row]) -> Table:
    """How many activations keep the gradient within a factor of 1,000, by depth."""
    depths = sorted({row["depth"] for row in rows})
    names = ("architecture", "initializer", "normalizer", "width", "sigma_w2")
    named = [n for n in names[:2]] + [
        n for n in names[2:] if len({row[n] for row in rows}) > 1
    ]
    body = []
    for keys, group in _by(rows, *named):
        entries: list[str | Mark] = [number(key) for key in keys]
        for depth in depths:
            at = [row for row in group if row["depth"] == depth]
            good = sum(row.get("verdict") == "survives" for row in at)
            share = good / len(at) if at else 0.0
            tone = "good" if share > 0.8 else "bad" if share < 0.4 else "warning"
            entries.append(Mark(f"{good}/{len(at)}", tone))
        body.append(tuple(entries))
    title = "How many activations keep their gradient (within a factor of 1,000)"
    return Table(title, (*named, *(f"depth {d}" for d in depths)), tuple(body))


def _decades(keys: tuple, rows: list[Row]) -> Table:
    deepest = max(row["depth"] for row in rows)
    rows = [row for row in rows if row["depth"] == deepest]
    initializers = list(dict.fromkeys(row["initializer"] for row in rows))
    cells = {(row["activation"], row["initializer"]): row for row in rows}
    body = []
    for activation in dict.fromkeys(row["activation"] for row in rows):
        entries = [_entry(cells.get((activation, name))) for name in initializers]
        body.append((activation, *entries))
    name = " ".join(number(k) for k in (keys[0], *keys[1:]) if k not in (None, "none"))
    title = f"{name} wide, depth {deepest}: decades from last to first gradient"
    return Table(title, ("activation", *initializers), tuple(body))


def _entry(row: Row | None) -> Mark:
    if row is None:
        return Mark("", "dim")
    if row["status"] == "ok":
        tone = {"survives": "good", "vanishes": "bad", "explodes": "bad"}
        return Mark(f"{row['log10_ratio']:+.1f}", tone[row["verdict"]])
    if row["status"] in ("lost", "overflow"):
        at = row.get("signal_lost_at")
        return Mark(f"{row['status']} at {at}" if at else row["status"], "bad")
    return Mark(row["status"].replace("_", " "), "dim")


def draw_figures(rows: Sequence[Row], profiles: Profiles) -> list[Figure]:
    """Heat maps of decades per layer, and per-layer profiles with theory's lines."""
    first = rows[0]
    same = ("normalizer", "width", "sigma_w2", "sigma_b2")
    rows = [r for r in rows if all(r[n] == first[n] for n in same)]
    caption = (
        "Top: decades the gradient gains (blue) or loses (red) per layer on its way to "
        "the input; grey cells name what happened instead. Below: log10 of the "
        "gradient's norm by layer, measured (solid) and by theory (dashed)."
    )
    return [Figure("figure", caption, functools.partial(_draw, rows, profiles))]


def _draw(rows: Sequence[Row], profiles: Profiles):
    architectures = list(dict.fromkeys(r["architecture"] for r in rows))
    initializers = list(dict.fromkeys(r["initializer"] for r in rows))
    activations = list(dict.fromkeys(r["activation"] for r in rows))
    tall = 0.7 + 0.13 * len(activations)
    width = 1.4 + 2.6 * len(initializers)
    figure = figures.new(max(width, 6), tall * len(architectures) + 3.0)
    maps, lines = figure.subfigures(2, 1, height_ratios=(tall * len(architectures), 3))
    grid = maps.subplots(
        len(architectures), len(initializers), squeeze=False, sharex=True, sharey=True
    )
    for row_axes, architecture in zip(grid, architectures, strict=True):
        for axes, name in zip(row_axes, initializers, strict=True):
            here = [
                r
                for r in rows
                if (r["architecture"], r["initializer"]) == (architecture, name)
            ]
            image = _map(axes, here, activations, f"{architecture}, {name}")
    for axes in grid[-1]:
        axes.set_xlabel("depth")
    maps.colorbar(image, ax=grid, shrink=0.5, label="decades per layer", pad=0.01)
    _draw_profiles(lines, rows, profiles, architectures[0], initializers)
    return figure


def _map(axes, rows: list[Row], activations: list[str], title: str):
    depths = sorted({row["depth"] for row in rows})
    short = {"overflow": "over", "no_fixed_point": "none"}
    values = {
        (row["activation"], str(row["depth"])): (
            row["log10_slope"]
            if row["status"] == "ok"
            else short.get(row["status"], row["status"])
        )
        for row in rows
    }
    return figures.heat_map(axes, values, activations, list(map(str, depths)), 1, title)


SHOWN = ("sigmoid", "tanh", "relu", "gelu", "selu", "sin")  # of many, in the profiles


def _draw_profiles(figure, rows, profiles, architecture: str, initializers) -> None:
    rows = [r for r in rows if r["architecture"] == architecture]
    depths = sorted({r["depth"] for r in rows})
    depth = max([d for d in depths if d <= 64] or depths[:1])
    rows = [r for r in rows if r["depth"] == depth]
    names = [r["activation"] for r in rows]
    shown = [n for n in SHOWN if n in names] or list(dict.fromkeys(names))[:6]
    panels = figure.subplots(1, len(initializers), squeeze=False, sharey=True)[0]
    for axes, initializer in zip(panels, initializers, strict=True):
        lines = []
        for row in rows:
            if row["initializer"] == initializer and row["activation"] in shown:
                arrays = profiles(row)
                measured = arrays.get("log10_gradient")
                if measured is not None and row["status"] == "ok":
                    measured = (measured - measured[:, -1:]).mean(axis=0)
                else:
                    measured = None
                theory = arrays.get("log10_gradient_theory")
                lines.append(figures.Line(row["activation"], measured, theory))
        title = f"{architecture}, {initializer}, depth {depth}"
        figures.profile_lines(axes, lines, title)
        axes.set_xlabel("layer (input left)")
    panels[0].set_ylabel("log10 ‖gradient‖, last layer = 0")
    if panels[0].get_legend_handles_labels()[0]:
        panels[0].legend(fontsize=6.5, frameon=False, ncols=2)


def _plain(row: Row) -> bool:
    return row["architecture"] == "mlp" and row["normalizer"] == "none"


def _arrived(row: Row) -> bool:
    """The lengths are where the theory ends: the theorem speaks of nets at their q*."""
    if row["log10_slope_theory"] is None or row["log10_length"] is None:
        return False
    if row["q_star"] == "inf":
        return row["log10_length"] > 4
    if row["q_star"] == 0:
        return row["log10_length"] < -4
    return abs(row["log10_length"] - math.log10(row["q_star"])) < 0.2


def _case(row: Row, activation: str, initializer: str) -> bool:
    return (
        row["activation"] == activation
        and row["initializer"] == initializer
        and row["sigma_w2"] is None
        and row["depth"] >= 16
    )


LOG10_2 = 0.30102999566398120
CLAIMS = (
    Claim(
        "S1",
        "per layer the gradient's norm changes by √χ₁",
        "Schoenholz et al. 2017, arXiv:1611.01232",
        gap=lambda r: r["log10_slope"] - r["log10_slope_theory"],
        error=lambda r: r["log10_slope_se"],
        within=0.01,
        scope=lambda r: _plain(r) and r["depth"] >= 64 and _arrived(r),
    ),
    Claim(
        "S8",
        "without normalisation a residual ReLU block doubles the variance",
        "De & Smith 2020, arXiv:2002.10444",
        gap=lambda r: r["log10_slope"] - LOG10_2 / 2,
        error=lambda r: r["log10_slope_se"],
        within=0.01,
        scope=lambda r: (
            r["architecture"] == "residual_mlp"
            and r["normalizer"] == "none"
            and _case(r, "relu", "he_normal")
        ),
    ),
    Claim(
        "S11",
        "SELU with LeCun's variance keeps lengths at 1",
        "Klambauer et al. 2017, arXiv:1706.02515",
        gap=lambda r: r["log10_length"],
        error=lambda r: 0.0,
        within=0.1,
        scope=lambda r: (
            _plain(r)
            and (_case(r, "selu", "glorot_normal") or _case(r, "selu", "lecun_normal"))
        ),
    ),
    Claim(
        "S11",
        "SELU with LeCun's variance keeps gradients too (widely believed)",
        "measured here: the paper shows it of the variance alone",
        gap=lambda r: r["log10_ratio"],
        error=lambda r: r["log10_ratio_se"],
        within=0.5,
        scope=lambda r: (
            _plain(r)
            and (_case(r, "selu", "glorot_normal") or _case(r, "selu", "lecun_normal"))
        ),
    ),
    Claim(
        "S13",
        "Xavier's variance halves a ReLU net's squared gradient at each layer",
        "He et al. 2015, arXiv:1502.01852",
        gap=lambda r: r["log10_slope"] + LOG10_2 / 2,
        error=lambda r: r["log10_slope_se"],
        within=0.01,
        scope=lambda r: _plain(r) and _case(r, "relu", "glorot_normal"),
    ),
    Claim(
        "S13",
        "He's variance keeps a ReLU net's gradient, at any depth",
        "He et al. 2015, arXiv:1502.01852",
        gap=lambda r: r["log10_ratio"],
        error=lambda r: r["log10_ratio_se"],
        within=0.5,
        scope=lambda r: _plain(r) and _case(r, "relu", "he_normal"),
    ),
)

STUDY = Study(
    name="gradient_flow",
    kind="benchmark",
    question="Which deep nets keep their gradient?",
    source="Glorot & Bengio 2010; Schoenholz et al. 2017, arXiv:1611.01232",
    axes=AXES,
    sizes=SIZES,
    plan=plan,
    columns=tuple(
        [
            "architecture",
            "activation",
            "initializer",
            "normalizer",
            "depth",
            "width",
            "batch",
            "dataset",
            "seeds",
            "status",
            "reason",
            "log10_ratio",
            "log10_ratio_se",
            "log10_ratio_theory",
            "log10_slope",
            "log10_slope_se",
            "log10_slope_theory",
            "verdict",
            "verdict_theory",
            "signal_lost_at",
            "signal_lost_how",
            "saturated",
            "log10_length",
            "decorrelation",
            "sigma_w2",
            "sigma_b2",
            "sigma_w2_used",
            "sigma_b2_used",
            "phase",
            "q_star",
            "chi_1",
            "c_star",
            "xi_c",
            "trainable_depth",
            "theory_reason",
        ]
    ),
    claims=CLAIMS,
    tables=tables,
    figures=draw_figures,
    compile_seconds=7.0,
)

if __name__ == "__main__":
    from research.study.command import script

    script(STUDY.name)
