"""Which form of a convolution is fast on this machine: alone, in a scan, over seeds?

3×3 convolutions of ResNet-20's three groups. XLA's CPU backend runs the gradients that
jax asks for by naive loops within a scan, and convolutions over seeds as groups.
"""

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from depthbench.benchmarks.convolution_forms import products as forms
from depthbench.research.catalogues.catalogue import Catalogue
from depthbench.research.lazy import lazily
from depthbench.research.report import figures
from depthbench.research.study.axes import Axis
from depthbench.research.study.declaration import (
    Cell,
    Cost,
    Figure,
    Headline,
    Measured,
    Plan,
    Row,
    Shared,
    Study,
)
from depthbench.research.study.headlines import measured, out_of
from depthbench.research.study.plan import all_but
from depthbench.research.study.tables import Mark, Table, number, ranged

with lazily():
    import jax
    import jax.numpy as jnp

    from depthbench.research.machine import timing

# Sums of up to 10^5 products of order 1, in another order, in float32: seen are 1e-6 of
# the arrays' norms. A wrong form differs by 0.1 and more.
TOLERANCE = 1e-4


class ConvolutionForm(NamedTuple):
    """A convolution of x [batch, side, side, channels] with a kernel [3, 3, …]."""

    name: str
    source: str
    convolve: Callable[[Any, Any], Any]


BASE = "xla"
FORMS: Catalogue[ConvolutionForm] = Catalogue(
    "form",
    [
        ConvolutionForm(
            BASE, "lax.conv_general_dilated, with jax's gradients", forms.xla
        ),
        ConvolutionForm(
            "ordered",
            "gradients as convolutions in XLA's fast order; seeds one by one",
            forms.ordered,
        ),
        ConvolutionForm(
            "ordered_groups",
            "gradients in the fast order; seeds as groups",
            forms.ordered_groups,
        ),
        ConvolutionForm(
            "kernel_by_products",
            "input gradient in the fast order, kernel's by one product",
            forms.kernel_by_products,
        ),
        ConvolutionForm(
            "products",
            "XLA forward; gradients by sums of products",
            forms.products,
        ),
        ConvolutionForm(
            "offset_by_offset",
            "a sum of nine products with shifted images",
            forms.offset_by_offset,
        ),
        ConvolutionForm(
            "all_offsets_at_once",
            "one product with every pixel's surroundings",
            forms.all_offsets_at_once,
        ),
    ],
)


class Place(NamedTuple):
    """Where convolutions stand in a program. looped: in a scan. seeds: under vmap."""

    name: str
    source: str
    looped: bool
    seeds: bool


PLACES: Catalogue[Place] = Catalogue(
    "place",
    [
        Place("unrolled", "layers one after another", False, False),
        Place("scan", "layers in lax.scan", True, False),
        Place("seeds", "layers one after another, vmap over seeds", False, True),
        Place("seeds_scan", "layers in lax.scan, vmap over seeds", True, True),
    ],
)
AREA = 512  # side × channels: 16 channels of 32 × 32, 32 of 16 × 16, 64 of 8 × 8

AXES = {
    "place": Axis("where the convolution runs", tuple(PLACES), PLACES),
    "channels": Axis(
        "channels; the side is 512 over them", (32,), None, "integer", 1, AREA
    ),
    "batch": Axis("images", (32,), None, "integer", 1, 10**5),
    "layers": Axis("convolutions, one after another", (2,), None, "integer", 1, 10**4),
    "seeds": Axis("nets side by side under vmap", (3,), None, "integer", 1, 10**4),
    "form": Axis("the form of the convolution", tuple(FORMS), FORMS),
    "rounds": Axis(
        "times each form is run", (11,), None, "integer", 1, 10**4, single=True
    ),
}
SIZES = {
    "smoke": {
        "place": ("unrolled", "seeds_scan"),
        "channels": (128,),
        "batch": (2,),
        "seeds": (2,),
        "rounds": (3,),
    },
    "full": {"channels": (16, 32, 64), "batch": (32, 128), "rounds": (25,)},
}


def cost(cells: Sequence[Cell], shared: Shared) -> Cost:
    cell: Mapping[str, Any] = cells[0]
    nets = cell["seeds"] if PLACES[cell["place"]].seeds else 1
    states = cell["batch"] * (AREA // cell["channels"]) ** 2 * cell["channels"]
    memory = 4 * 40 * states * cell["layers"] * nets + 2**28
    work = 6 * 9 * 2 * states * cell["channels"] * cell["layers"] * nets
    seconds = len(cells) * (2 + (cell["rounds"] + 2) * work / 2e10)
    return Cost(memory, memory, seconds)


class Inputs(NamedTuple):
    """kernels: [seeds, layers, 3, 3, channels, channels]; x: [seeds, batch, …]."""

    kernels: Any
    x: Any


def prepare(cell: Mapping[str, Any], seeds: int) -> Inputs:
    """Gaussian images, and kernels that keep their size."""
    random, channels = np.random.default_rng(0), cell["channels"]
    side = AREA // channels
    shape = (seeds, cell["layers"], 3, 3, channels, channels)
    kernels = random.standard_normal(shape, np.float32) * np.float32(
        (9 * channels) ** -0.5
    )
    x = random.standard_normal((seeds, cell["batch"], side, side, channels), np.float32)
    return Inputs(*jax.device_put((kernels, x)))


def program(form: Callable, place: Place, gradient: bool) -> Callable:
    """Of (kernels, x): the last states, or the loss and both gradients.

    Nothing stands between the layers, so that no kink makes rounding large.
    """

    def through(kernels, x):
        if place.looped:
            return jax.lax.scan(lambda h, kernel: (form(h, kernel), None), x, kernels)[
                0
            ]
        for kernel in kernels:
            x = form(x, kernel)
        return x

    loss = lambda kernels, x: jnp.mean(jnp.square(through(kernels, x)))
    function = jax.value_and_grad(loss, (0, 1)) if gradient else through
    return jax.vmap(function) if place.seeds else function


def measure(cells: Sequence[Cell], shared: Shared, memory: int) -> list[Measured]:
    """One Measured for each form, with XLA's own outside a loop, alone, as the base."""
    cell: Mapping[str, Any] = cells[0]
    place = PLACES[cell["place"]]
    all_nets = prepare(cell, cell["seeds"] if place.seeds else 1)
    one_net = Inputs(all_nets.kernels[0], all_nets.x[0])
    inputs = all_nets if place.seeds else one_net
    names = [str(c["form"]) for c in cells]
    picked = _picked(inputs, place, names)
    timed, apart = {}, {}
    for gradient in (False, True):
        calls = {"": _call(FORMS[BASE].convolve, PLACES["unrolled"], gradient, one_net)}
        for name in names:
            calls[name] = _call(FORMS[name].convolve, place, gradient, inputs)
        results = {name: calls[name]() for name in names}
        expected = results.get(BASE)
        if expected is None:
            expected = _call(FORMS[BASE].convolve, place, gradient, inputs)()
        for name in names:
            far = _apart(results[name], expected)
            apart[name] = max(apart.get(name, 0.0), far)
        timed[gradient] = timing.interleaved(calls, cell["rounds"])
    nets = cell["seeds"] if place.seeds else 1
    return [
        _measured(cell, nets, name, timed, apart[name], name == picked)
        for name in names
    ]


def _call(form: Callable, place: Place, gradient: bool, inputs: Inputs) -> Callable:
    run = jax.jit(program(form, place, gradient))
    return lambda: run(*inputs)


def _picked(inputs: Inputs, place: Place, names: Sequence[str]) -> str | None:
    """The form whose program is the one of `convolve`."""

    def text(form):
        return str(jax.make_jaxpr(program(form, place, True))(*inputs))

    ours = text(forms.chosen)
    return next((n for n in names if text(FORMS[n].convolve) == ours), None)


def _apart(results: Any, expected: Any) -> float:
    """The largest distance of two arrays beside their norm."""
    pairs = zip(jax.tree.leaves(results), jax.tree.leaves(expected), strict=True)
    norm = lambda a: float(np.linalg.norm(np.asarray(a, np.float64)))
    return max(norm(np.asarray(a) - np.asarray(b)) / norm(b) for a, b in pairs)


def _measured(cell, nets: int, name: str, timed, apart: float, picked: bool):
    values: dict[str, Any] = {
        "side": AREA // cell["channels"],
        "agrees": apart <= TOLERANCE,
        "largest_difference": apart,
        "chosen": picked,
        "n": cell["rounds"],
    }
    if not values["agrees"]:
        reason = f"differs from XLA's own by {number(apart)} of its size"
        return Measured("differs", reason, values)
    for gradient, column in ((False, "forward"), (True, "gradient")):
        seconds = timed[gradient]
        ratio = timing.ratio(seconds[name] / nets, seconds[""])
        step = timing.times(seconds[name] / (nets * cell["layers"]))
        values |= {
            f"{column}_ms": step.median_ms,
            f"{column}_ratio": ratio.median,
            f"{column}_ratio_low": ratio.low,
            f"{column}_ratio_high": ratio.high,
        }
    return Measured("ok", "", values)


def _shape(row: Row) -> tuple:
    return tuple(row[name] for name in ("place", "channels", "batch"))


def _best(rows: Sequence[Row]) -> dict[tuple, float]:
    """The least ratio of gradients in each place, by `_shape`."""
    best: dict[tuple, float] = {}
    for row in rows:
        if row["status"] == "ok":
            ratio = row["gradient_ratio"]
            best[_shape(row)] = min(ratio, best.get(_shape(row), ratio))
    return best


def headline(rows: Sequence[Row]) -> Headline:
    """In how many places the form that `convolve` takes is the fastest, and where not."""
    done = measured(rows)
    best = _best(done)
    chosen = [row for row in done if row["chosen"]]
    if not chosen:
        return Headline("The form that convolve takes was not timed.")
    behind = {
        f"{row['place']}, {row['channels']} channels": row["gradient_ratio"]
        / best[_shape(row)]
        for row in chosen
    }
    near = [ratio for ratio in behind.values() if ratio <= 1.1]
    place = max(behind, key=lambda name: behind[name])
    return Headline(
        f"The form that convolve takes is the fastest, or within 10 % of it, in "
        f"{out_of(len(near), len(behind), 'places')}.",
        f"Worst: {place}, {behind[place]:.2f} times the fastest form's time.",
    )


def tables(rows: Sequence[Row]) -> list[Table]:
    """One line a form; green: the fastest, red: over twice as long as it."""
    best = _best(rows)
    bodies: dict[tuple, list[tuple[str | Mark, ...]]] = {}
    for row in rows:
        body = bodies.setdefault((row["channels"], row["batch"]), [])
        label = (row["place"], row["form"] + (" *" if row.get("chosen") else ""))
        if row["status"] != "ok":
            body.append((*label, *[""] * 3, Mark(row["status"], "bad")))
            continue
        gradient, least = row["gradient_ratio"], best[_shape(row)]
        tone = "good" if gradient == least else "bad" if gradient > 2 * least else ""
        times = (number(row["forward_ms"]), number(row["gradient_ms"]))
        ratio = Mark(_spread(row, "gradient"), tone)
        body.append((*label, *times, _spread(row, "forward"), ratio))
    headers = tuple("place form forward_ms gradient_ms forward gradient".split())
    return [
        Table(
            f"{channels} channels, batch {batch}: a layer of a net, and over XLA's own "
            "unrolled (quartiles); *: convolve's",
            headers,
            tuple(body),
        )
        for (channels, batch), body in bodies.items()
    ]


def _spread(row: Row, column: str) -> str:
    low, high = (row[f"{column}_ratio_{end}"] for end in ("low", "high"))
    return ranged(row[f"{column}_ratio"], low, high, ends=2)


def pictures(rows: Sequence[Row], profiles: Any) -> list[Figure]:
    """The gradients' ratios, of all forms and places."""
    if not any(row["status"] == "ok" for row in rows):
        return []
    caption = (
        "Loss and gradients of a layer of a net, beside XLA's own outside a loop "
        "(dashed); bars are quartiles; filled: what `convolve` takes."
    )
    return [Figure("figure", caption, functools.partial(_draw, rows))]


def _draw(rows: Sequence[Row]) -> Any:
    shapes = list(dict.fromkeys((r["channels"], r["batch"]) for r in rows))
    places = [name for name in PLACES if any(r["place"] == name for r in rows)]
    names = [name for name in FORMS if any(r["form"] == name for r in rows)]
    figure = figures.new(2.3 * len(places) + 1.2, 0.24 * len(names) * len(shapes) + 1)
    grid = figure.subplots(
        len(shapes), len(places), sharex=True, sharey=True, squeeze=False
    )
    for (shape, place), axes in zip(
        ((s, p) for s in shapes for p in places), grid.flat, strict=True
    ):
        axes.axvline(1.0, color="black", lw=0.8, ls=(0, (4, 3)))
        for row in rows:
            here = (row["channels"], row["batch"], row["place"]) == (*shape, place)
            if here and row["status"] == "ok":
                _point(axes, names.index(row["form"]), row)
        axes.set_title(f"{place}: {shape[0]} channels, batch {shape[1]}", loc="left")
        axes.set_yticks(range(len(names)), names)
        axes.set_ylim(len(names) - 0.5, -0.5)
        axes.set_xscale("log")
        axes.grid(axis="x", alpha=0.25, lw=0.5)
    for axes in grid[-1]:
        axes.set_xlabel("times as long")
    return figure


def _point(axes: Any, line: int, row: Row) -> None:
    colour = "#1e8449" if row["chosen"] else "#666666"
    low, high = row["gradient_ratio_low"], row["gradient_ratio_high"]
    axes.plot([low, high], [line, line], color=colour, lw=2)
    fill = colour if row["chosen"] else "white"
    axes.plot(row["gradient_ratio"], line, "o", color=colour, mfc=fill, ms=5)


STUDY = Study(
    name="convolution_forms",
    kind="benchmark",
    question="Which form of a convolution is fast: alone, in a scan, over seeds?",
    source="measured here, against jax.lax.conv_general_dilated",
    axes=AXES,
    sizes=SIZES,
    plan=Plan(group=all_but("form"), cost=cost),
    measure="depthbench.benchmarks.convolution_forms.study:measure",
    columns=tuple(
        "place channels side batch layers seeds rounds form status reason chosen "
        "forward_ms gradient_ms forward_ratio forward_ratio_low forward_ratio_high "
        "gradient_ratio gradient_ratio_low gradient_ratio_high agrees "
        "largest_difference n".split()
    ),
    headline=headline,
    tables=tables,
    figures=pictures,
    compile_seconds=5.0,
    timings=tuple(
        "forward_ms gradient_ms forward_ratio forward_ratio_low forward_ratio_high "
        "gradient_ratio gradient_ratio_low gradient_ratio_high n".split()
    ),
    threads=1,
)
