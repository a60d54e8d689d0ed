"""Does the best learning rate stay the same as a net becomes wider?

Source: Yang, Hu et al. 2022, Tensor Programs V, arXiv:2203.03466, figures 1, 3, table 3;
the coordinate check is appendix D.1 and the authors' package `mup`. In maximal-update
parametrisation (μP) no activation or output of a wider net grows or shrinks with width
after a few steps, and so the best learning rate of a narrow net is that of a wide one. In
the standard one (SP) they grow, and the best rate falls.

Plain ReLU nets and Adam. SP: He's variance, one rate for all parameters. μP: kernels that
read a layer's units have rates divided by their number, and outputs start with variance
1/units² instead of 1/units; both are as in SP at 64 units.
"""

import functools
import math

from experiments.training import pairs
from experiments.training.mup_headline import headline
from experiments.training.pairs import loss, rates, whole
from research.lazy import lazily
from research.study import trials
from research.study.axes import Axis
from research.study.claims import Claim
from research.study.declaration import Figure, Measured, Study
from research.study.tables import Mark, Table, number

with lazily():
    import jax
    import jax.numpy as jnp
    import numpy as np

    from research.architectures import contract, walk
    from research.learning import examples, recipe, supervised, sweeps, training
    from research.signal import profiles as profiles_of

SOURCE = "Yang, Hu et al. 2022, arXiv:2203.03466"
KINDS = {"standard": ("mlp", "adam"), "maximal update": ("mlp_mup", "adam_mup")}
EARLY = 5  # steps after which sizes are looked at
EXAMPLES = 256  # that they are means over
FLAT = 0.15  # a factor of 1.5 over 16 times the width; theory has 0 as width grows
STEP = 1.0  # of the grid of rates, in log2: what a best rate can be known to


def settings(cell):
    architecture, optimizer = KINDS[cell["parametrization"]]
    return {"architecture": architecture, "optimizer": optimizer}


@functools.cache
def sizes_of(chosen):
    """(params, statistics, x) -> mean |h| of the states and the outputs [states + 1]."""
    net = supervised.parts(chosen).net

    @jax.jit
    def sizes(params, stats, x):
        def step(h, layer):
            h = layer(h)
            return h, jnp.mean(jnp.abs(h))

        h, each = x, []
        for link in contract.links(net, contract.unite(params, stats)):
            h, size = walk.scan(link, step, h)
            each.append(size)
        return jnp.concatenate(each)

    return sizes


def early_sizes(cell):
    """Sizes at the start and after EARLY steps: [2, seeds, states + 1]."""
    full = {**trials.DEFAULTS, **cell, **settings(cell)}
    chosen = recipe.of(full)
    programs = sweeps.of_recipe(chosen, full["steps"])
    data, _ = examples.batches(chosen)
    x = data["inputs"][:EXAMPLES]
    sizes = sizes_of(chosen.program)
    both = []
    for run in training.runs_of(full):
        seeds, hyper = sweeps.arguments([run])
        state = programs.init(seeds, hyper)
        before = np.asarray(sizes(state.tree.params, state.tree.stats, x))
        state, _ = programs.advance(state, hyper, data, np.int32(EARLY))
        both.append([before, np.asarray(sizes(state.tree.params, state.tree.stats, x))])
    return np.swapaxes(np.asarray(both, np.float64), 0, 1)


def finish(cell, result):
    """The row, with log2 of the last state's and the outputs' size after EARLY steps."""
    values, arrays = dict(result.values), dict(result.profiles)
    if "first_loss" not in values:
        return pairs.measured(cell, result)
    sizes = early_sizes(cell)
    arrays["sizes"] = sizes
    if np.all(np.isfinite(sizes)) and np.all(sizes > 0):
        for name, place in (("hidden", -2), ("output", -1)):
            size = profiles_of.over_seeds(np.log2(sizes[1, :, place]))
            values |= {f"{name}_size": size.mean, f"{name}_size_se": size.error}
    return Measured(result.status, result.reason, values, arrays)


def slope(x, y, errors):
    """(slope, its standard error) of the least-squares line of y, with errors, on x."""
    x = np.asarray(x, np.float64)
    weights = (x - x.mean()) / np.sum((x - x.mean()) ** 2)
    fitted = (
        float(weights @ np.asarray(y)),
        np.linalg.norm(weights * np.asarray(errors)),
    )
    return fitted[0], float(fitted[1])


def middle_rate(rows):
    """The rate that sizes are compared at: the middle one of the grid."""
    grid = sorted({row["learning_rate"] for row in rows})
    return grid[len(grid) // 2]


def growth(rows):
    """Of each parametrisation, d log2 size / d log2 width, of hidden state and outputs."""
    rate = middle_rate(rows)
    slopes = []
    for kind in KINDS:
        rows_of_kind = [
            row
            for row in rows
            if row["parametrization"] == kind
            and row["learning_rate"] == rate
            and "output_size" in row
        ]
        if len({row["width"] for row in rows_of_kind}) < 2:
            continue
        for name in ("hidden", "output"):
            gap, error = slope(
                [math.log2(row["width"]) for row in rows_of_kind],
                [row[f"{name}_size"] for row in rows_of_kind],
                [row[f"{name}_size_se"] or 0.0 for row in rows_of_kind],
            )
            slopes.append(
                {
                    "parametrization": kind,
                    "of": name,
                    "status": "ok",
                    "seeds": min(row["seeds"] for row in rows_of_kind),
                    "gap": gap,
                    "gap_se": error,
                }
            )
    return slopes


def shifts(rows):
    """Of each width, log2 of its best rate over that of the narrowest net's."""
    shifted = []
    for kind in KINDS:
        rows_of_kind = [row for row in rows if row["parametrization"] == kind]
        chosen = sorted(
            pairs.best(rows_of_kind, ("width",), "loss"), key=lambda r: r["width"]
        )
        for row in chosen[1:]:
            ratio = row["learning_rate"] / chosen[0]["learning_rate"]
            shifted.append({**row, "status": "ok", "gap": math.log2(ratio)})
    return shifted


def widest(rows):
    most = max(row["width"] for row in rows)
    return [row for row in shifts(rows) if row["width"] == most]


def tables(rows):
    by = ("parametrization", "width")
    title = "Training loss at each learning rate (standard: the best moves to the left)"
    body = tuple(
        (
            row["parametrization"],
            row["of"],
            Mark(
                f"{row['gap']:+.2f} ± {2 * row['gap_se']:.2f}",
                "good" if abs(row["gap"]) <= FLAT else "bad",
            ),
        )
        for row in growth(rows)
    )
    headers = ("parametrization", "size of", "power of width ± 2 SE")
    rate = number(middle_rate(rows)) if rows else "-"
    check = f"Coordinate check: sizes after {EARLY} steps at rate {rate} (0 is flat)"
    return [
        pairs.rate_table(rows, by, loss, title, "loss"),
        Table(check, headers, body),
    ]


def draw_figures(rows, profiles):
    caption = (
        "Left and middle: training loss against learning rate, one line a width, the best "
        f"rate ringed. Right: mean size of the last state and of the outputs after {EARLY} "
        "steps against width; in μP they are flat."
    )
    return [Figure("figure", caption, functools.partial(_draw, rows, profiles))]


def _draw(rows, profiles):
    import matplotlib

    figure = pairs.figures.new(10.5, 3.4)
    panels = figure.subplots(1, 3)
    panels[1].sharey(panels[0])
    widths = sorted({row["width"] for row in rows})
    shades = matplotlib.colormaps["viridis"](np.linspace(0, 0.9, len(widths)))
    for axes, kind in zip(panels, KINDS, strict=False):
        for width, shade in zip(widths, shades, strict=True):
            rows_of_width = [
                row
                for row in rows
                if (row["parametrization"], row["width"]) == (kind, width)
                and "first_loss" in row
            ]
            at = [row["learning_rate"] for row in rows_of_width]
            axes.plot(
                at, [loss(r) for r in rows_of_width], color=shade, lw=1.3, label=width
            )
            for row in pairs.best(rows_of_width, ("width",), "loss"):
                place = (row["learning_rate"], loss(row))
                axes.plot(*place, "o", mfc="none", color=shade, ms=7, clip_on=False)
        axes.set_xscale("log", base=2)
        axes.set_yscale("log")
        axes.set_xlabel("learning rate")
        axes.set_title(kind, loc="left")
        axes.grid(alpha=0.25, lw=0.5)
        axes.legend(fontsize=6, frameon=False, title="units")
    panels[0].set_ylabel("training loss")
    _draw_sizes(panels[2], rows)
    return figure


def _draw_sizes(axes, rows):
    rate = middle_rate(rows)
    for colour, kind in zip(("#c0392b", "#1e8449"), KINDS, strict=True):
        rows_of_kind = [
            row
            for row in rows
            if row["parametrization"] == kind
            and row["learning_rate"] == rate
            and "output_size" in row
        ]
        widths = [row["width"] for row in rows_of_kind]
        for name, style in (("hidden", "--"), ("output", "-")):
            size = np.array([row[f"{name}_size"] for row in rows_of_kind])
            error = 2 * np.array(
                [row[f"{name}_size_se"] or 0.0 for row in rows_of_kind]
            )
            label = f"{kind}, {name}"
            axes.plot(widths, 2**size, style, color=colour, lw=1.3, label=label)
            ends = 2 ** (size - error), 2 ** (size + error)
            axes.vlines(widths, *ends, color=colour, lw=1.3)
    axes.set_xscale("log", base=2)
    axes.set_yscale("log")
    axes.set_xlabel("units")
    axes.set_title(f"size after {EARLY} steps, rate {rate:.2g}", loc="left")
    axes.grid(alpha=0.25, lw=0.5)
    axes.legend(fontsize=6, frameon=False)


def measure(cells, shared, memory):
    """One Measured for each cell of a unit."""
    return trials.measure(cells, memory, settings, finish)


STUDY = Study(
    name="mup",
    kind="experiment",
    question="Does the best learning rate stay the same as a net becomes wider?",
    source=SOURCE,
    axes={
        "parametrization": Axis(
            "how sizes and rates depend on width",
            tuple(KINDS),
            pairs.methods("parametrization", tuple(KINDS), SOURCE),
        ),
        "width": whole("units", (32, 64, 128, 256, 512), 2, False),
        "learning_rate": rates([2.0**power for power in range(-12, -3)]),
        "depth": whole("layers after the first", (3,)),
        "dataset": pairs.dataset(),
        "steps": whole("steps of 64 examples", (100,), low=EARLY),
        "seeds": whole("runs per cell", (3,)),
    },
    sizes={
        "smoke": {
            "width": (16, 64),
            "depth": (1,),
            "learning_rate": (2.0**-8, 2.0**-6),
            "steps": (30,),
        },
        "full": {
            "width": (64, 128, 256, 512, 1024, 2048, 4096),
            "learning_rate": tuple(2.0**power for power in range(-14, -2)),
            "dataset": ("tfds:cifar10",),
            "steps": (10_000,),
            "seeds": (5,),
        },
    },
    plan=trials.plan(settings),
    measure="experiments.training.mup:measure",
    columns=(
        *"parametrization width learning_rate depth seeds".split(),
        *"hidden_size hidden_size_se output_size output_size_se".split(),
        *pairs.COLUMNS,
    ),
    claims=(
        Claim(
            "yang2022.mup-sizes-flat",
            "in μP the sizes of states and outputs after five steps are flat in width",
            f"{SOURCE}, appendix D.1",
            tag="S20",
            gap=lambda row: row["gap"],
            error=lambda row: row["gap_se"],
            published="exponent 0",
            within=FLAT,
            scope=lambda row: row["parametrization"] == "maximal update",
            label=("parametrization", "of"),
            of=growth,
        ),
        Claim(
            "yang2022.standard-sizes-grow",
            "in the standard parametrisation the sizes of states and outputs after "
            "five steps grow with width",
            f"{SOURCE}, appendix D.1",
            tag="S20",
            gap=pairs.missing,
            error=pairs.exact,
            published="exponent above 0",
            ours=lambda row: row["gap"],
            within=0.0,
            scope=lambda row: row["parametrization"] == "standard",
            label=("parametrization", "of"),
            of=growth,
        ),
        Claim(
            "yang2022.mup-rate-transfers",
            "in μP the best rate is the same at every width, within a step of the grid",
            f"{SOURCE}, figures 1 and 3",
            tag="S20",
            gap=lambda row: row["gap"],
            error=pairs.exact,
            published="log2 of the rates' ratio: 0",
            within=STEP,
            scope=lambda row: row["parametrization"] == "maximal update",
            label=("parametrization", "width"),
            of=shifts,
        ),
        Claim(
            "yang2022.standard-rate-falls",
            "in the standard parametrisation the widest net's best rate is lower, by "
            "more than a step of the grid",
            f"{SOURCE}, figures 1 and 3",
            tag="S20",
            gap=lambda row: max(0.0, row["gap"] + 2 * STEP),
            error=pairs.exact,
            published="log2 of the rates' ratio: −2 or less",
            ours=lambda row: row["gap"],
            within=0.0,
            scope=lambda row: row["parametrization"] == "standard",
            label=("parametrization", "width"),
            of=widest,
        ),
    ),
    headline=headline,
    tables=tables,
    figures=draw_figures,
    compile_seconds=2.0,
)

if __name__ == "__main__":
    from research.cli.main import script

    script(STUDY.name)
