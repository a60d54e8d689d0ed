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

from depthbench.experiments.training import pairs, rate_curves
from depthbench.experiments.training.mup_headline import headline
from depthbench.experiments.training.mup_verdicts import (
    CLAIMS,
    FLAT,
    KINDS,
    SOURCE,
    growth,
    middle_rate,
)
from depthbench.experiments.training.pairs import loss, rates, whole
from depthbench.research.datasets import readable
from depthbench.research.lazy import lazily
from depthbench.research.study import trials
from depthbench.research.study.axes import Axis
from depthbench.research.study.declaration import Figure, Measured, Study
from depthbench.research.study.tables import Mark, Table, number, with_error

with lazily():
    import jax
    import jax.numpy as jnp
    import numpy as np

    from depthbench.research.architectures import contract, walk
    from depthbench.research.learning import (
        examples,
        recipe,
        supervised,
        sweeps,
        training,
    )
    from depthbench.research.signal import profiles as profiles_of

EARLY = 5  # steps after which sizes are looked at
EXAMPLES = 256  # that they are means over


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
    row = pairs.measured(cell, result)
    values, arrays = dict(row.values), dict(row.profiles)
    if not pairs.ran(values):
        return row
    sizes = early_sizes(cell)
    arrays["sizes"] = sizes
    if np.all(np.isfinite(sizes)) and np.all(sizes > 0):
        for name, place in (("hidden", -2), ("output", -1)):
            size = profiles_of.over_seeds(np.log2(sizes[1, :, place]), 1.0)
            values |= {f"{name}_size": size.mean, f"{name}_size_se": size.error}
    return Measured(result.status, result.reason, values, arrays)


def tables(rows):
    by = ("parametrization", "width")
    title = "Training loss at each learning rate (standard: the best moves to the left)"
    body = tuple(
        (
            row["parametrization"],
            row["of"],
            Mark(
                with_error(row["gap"], 2 * row["gap_se"], "+.2f"),
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
        of_kind = [row for row in rows if row["parametrization"] == kind]
        rate_curves.draw(axes, of_kind, "width", widths, shades, "units")
        axes.set_title(kind, loc="left")
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
        "dataset": readable.axis(readable.classified),
        "steps": whole("steps of 64 examples", (100,), low=EARLY),
        "seeds": whole("runs per cell", (5,)),
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
    sweep=pairs.sweep(lambda row: (row["parametrization"], row["width"]), "loss"),
    measure="depthbench.experiments.training.mup:measure",
    columns=(
        *"parametrization width learning_rate depth seeds".split(),
        *"hidden_size hidden_size_se output_size output_size_se".split(),
        *pairs.COLUMNS,
    ),
    claims=CLAIMS,
    headline=headline,
    tables=tables,
    figures=draw_figures,
    compile_seconds=7.0,
)

if __name__ == "__main__":
    from depthbench.research.cli.main import script

    script(STUDY.name)
