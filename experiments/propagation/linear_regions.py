"""Do a ReLU net's linear regions along a line grow with its neurons, or with 2^depth?

The net is followed along the line as what it is, a function that is linear between
kinks: each layer's kinks are found exactly, where a unit changes sign between two.

Source: Hanin & Rolnick 2019, arXiv:1901.09021.
"""

import functools
import math

from depthbench.research.lazy import lazily
from depthbench.research.report import figures
from depthbench.research.study.axes import Axis
from depthbench.research.study.claims import Claim
from depthbench.research.study.declaration import (
    Cost,
    Figure,
    Headline,
    Measured,
    Plan,
    Study,
)
from depthbench.research.study.doubts import certain
from depthbench.research.study.estimates import about, mean
from depthbench.research.study.headlines import counted, measured, of_deepest
from depthbench.research.study.tables import Table, number

with lazily():
    import numpy as np

    from depthbench.research.signal import profiles

SOURCE = "Hanin & Rolnick 2019, arXiv:1901.09021"
SIGMA_B2 = 1e-6  # as the paper draws biases
INPUTS = 64
ANGLE = (
    0.5  # of the line, seen from the origin, in units of π: between orthogonal inputs
)


def kinks(layers, start, end):
    """(t in [0, 1] [kinks], layer [kinks]) where the net bends between two inputs.

    layers: (weights [fan_in, units], biases [units]) of each hidden layer; a ReLU follows
    each. Exact but for float64's rounding: a kink is a root of a linear function.
    """
    t, h = np.array([0.0, 1.0]), np.stack([start, end])
    layer_of = np.array([-1, -1])
    for number_, (weights, biases) in enumerate(layers):
        h = h @ weights + biases
        left, right = h[:-1], h[1:]
        piece, unit = np.nonzero(left * right < 0)
        before, after = left[piece, unit], right[piece, unit]
        share = before / (before - after)
        new = t[piece] + share * (t[piece + 1] - t[piece])
        states = left[piece] + share[:, None] * (right[piece] - left[piece])
        states[np.arange(len(unit)), unit] = 0.0
        order = np.argsort(np.concatenate([t, new]), kind="stable")
        t = np.concatenate([t, new])[order]
        h = np.maximum(np.concatenate([h, states])[order], 0)
        layer_of = np.concatenate([layer_of, np.full(len(new), number_)])[order]
    return t[layer_of >= 0], layer_of[layer_of >= 0]


def draw(seed, width, depth):
    """(layers, start, end) of a net at He's variance, and two orthogonal inputs."""
    random = np.random.default_rng((seed, width, depth))
    layers = []
    for fan_in in [INPUTS] + [width] * (depth - 1):
        weights = random.standard_normal((fan_in, width)) * math.sqrt(2 / fan_in)
        layers.append((weights, math.sqrt(SIGMA_B2) * random.standard_normal(width)))
    ends, _ = np.linalg.qr(random.standard_normal((INPUTS, 2)))
    start, end = ends.T * math.sqrt(INPUTS)
    return layers, start, end


def measure(cells, shared, memory):
    """One Measured for each cell of a unit."""
    return [_measured(cell) for cell in cells]


def _measured(cell):
    width, depth = cell["width"], cell["depth"]
    counts = np.zeros((cell["seeds"], depth))
    for seed in range(cell["seeds"]):
        _, layer_of = kinks(*draw(seed, width, depth))
        counts[seed] = np.bincount(layer_of, minlength=depth)
    regions = profiles.over_seeds(1 + np.sum(counts, axis=1))
    neurons = width * depth
    values = {
        "neurons": neurons,
        "regions": regions.mean,
        "regions_se": regions.error if cell["seeds"] > 1 else None,
        "regions_theory": 1 + ANGLE * neurons,
        "log10_most": depth * math.log10(width + 1),
        "first_layer": float(np.mean(counts[:, 0])) / width,
        "last_layer": float(np.mean(counts[:, -1])) / width,
    }
    return Measured("ok", "", values, {"by_layer": np.mean(counts, 0) / width})


def growth(axis):
    """From rows to those at which `axis` is doubled: the power of neurons on the way."""

    def of(rows):
        other = {"depth": "width", "width": "depth"}[axis]
        at = {
            (row["width"], row["depth"]): row for row in rows if row["status"] == "ok"
        }
        grown = []
        for row in rows:
            key = {axis: row[axis] * 2, other: row[other]}
            double = at.get((key["width"], key["depth"]))
            if double is None or row["status"] != "ok":
                continue
            gain = math.log2(double["regions"] / row["regions"])
            errors = [r["regions_se"] for r in (row, double)]
            error = None
            if None not in errors:
                shares = (
                    e / r["regions"] for e, r in zip(errors, (row, double), strict=True)
                )
                error = math.hypot(*shares) / math.log(2)
            grown.append({**double, "power": gain, "power_se": error})
        return grown

    return of


def power(row):
    return mean(row["power"], row["power_se"], row["seeds"])


def headline(rows):
    """How regions and neurons grow with depth in the widest nets, and the farthest off."""
    done = measured(rows)
    wide = sorted(of_deepest(done, "width"), key=lambda row: row["depth"])
    first, last = wide[0], wide[-1]
    answer = (
        f"With {counted(last['depth'], 'layer')} of {counted(last['width'], 'unit')} a "
        f"line meets {last['regions']:.4g} linear regions"
    )
    if first["depth"] < last["depth"]:
        answer += (
            f", {last['regions'] / first['regions']:.3g} times as many as with "
            f"{first['depth']:,}; neurons are {last['neurons'] / first['neurons']:.3g} "
            f"times as many, and 2^depth would be "
            f"{2.0 ** (last['depth'] - first['depth']):,.6g} times"
        )
    worst = max(done, key=lambda row: abs(math.log(of_theory(row))))
    return Headline(
        f"{answer}.",
        f"Farthest from 1 + neurons/2: {counted(worst['depth'], 'layer')} of "
        f"{counted(worst['width'], 'unit')}, {of_theory(worst):.3g} of it.",
    )


def of_theory(row):
    """Regions over those of wide nets."""
    return row["regions"] / row["regions_theory"]


def tables(rows):
    """Regions along the line: measured, of wide nets, and the most that there could be."""
    body = tuple(
        (
            number(row["width"]),
            number(row["depth"]),
            number(row["neurons"]),
            f"{row['regions']:.1f} ± {number(row['regions_se'], 2)}",
            number(row["regions_theory"]),
            number(row["first_layer"]),
            number(row["last_layer"]),
            f"10^{row['log10_most']:.0f}",
        )
        for row in rows
    )
    headers = (
        "width",
        "depth",
        "neurons",
        "regions",
        "1 + neurons/2",
        "first layer's, per unit",
        "last layer's",
        "(width + 1)^depth",
    )
    return [Table("Linear regions between two orthogonal inputs", headers, body)]


def draw_figures(rows, profiles):
    caption = (
        "Linear regions on a line between two orthogonal inputs against neurons. Line: 1 + "
        "neurons/2, wide nets of any depth. Dotted: 2^depth, as if each layer doubled them."
    )
    return [Figure("figure", caption, functools.partial(_draw, rows))]


def _draw(rows):
    figure = figures.new(5.4, 4)
    axes = figure.subplots()
    for place, width in enumerate(sorted({row["width"] for row in rows})):
        of = [row for row in rows if row["width"] == width]
        neurons, colour = [row["neurons"] for row in of], f"C{place}"
        axes.errorbar(
            neurons,
            [row["regions"] for row in of],
            yerr=[3 * (row["regions_se"] or 0) for row in of],
            fmt="o-",
            ms=3.5,
            lw=0.8,
            color=colour,
            label=f"width {width}",
        )
        axes.plot(
            neurons, [2.0 ** row["depth"] for row in of], ":", color=colour, lw=0.9
        )
    ends = np.array([min(r["neurons"] for r in rows), max(r["neurons"] for r in rows)])
    axes.plot(ends, 1 + ANGLE * ends, color="black", lw=0.8)
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_ylim(1, 20 * max(row["regions"] for row in rows))
    axes.set_xlabel("neurons")
    axes.set_ylabel("linear regions")
    axes.legend(frameon=False)
    return figure


def cost(cells, shared):
    """A layer's product of all kinks so far."""
    work = sum(c["seeds"] * c["depth"] ** 2 * c["width"] ** 3 / 4 for c in cells)
    largest = max(c["depth"] * c["width"] ** 2 for c in cells)
    return Cost(2**27 + 60 * largest, 2**27 + 60 * largest, 1.5e-9 * work + 0.01)


HERE = (
    "400 nets at He's variance, biases of variance 1e-6, from one random input to another "
    "that is orthogonal, all kinks found exactly; nets no deeper than wide"
)
DIFFERS = "draws the same nets of up to three layers, MNIST's inputs and lines"

STUDY = Study(
    name="linear_regions",
    kind="experiment",
    question="Do linear regions along a line grow with neurons, or exponentially in depth?",
    source=SOURCE,
    axes={
        "width": Axis("units", (16, 32, 64), kind="integer", low=2, high=10**4),
        "depth": Axis(
            "hidden layers", (1, 2, 4, 8, 16), kind="integer", low=1, high=10**4
        ),
        "seeds": Axis(
            "networks per cell", (400,), kind="integer", low=1, high=10**6, single=True
        ),
    },
    sizes={
        "smoke": {"width": (8, 16), "depth": (1, 2, 4), "seeds": (10,)},
        "full": {
            "width": (16, 32, 64, 128, 256),
            "depth": (1, 2, 4, 8, 16, 32),
            "seeds": (200,),
        },
    },
    plan=Plan(group=lambda cell: (cell["width"], cell["depth"]), cost=cost),
    measure="depthbench.experiments.propagation.linear_regions:measure",
    columns=tuple(
        "width depth seeds status reason neurons regions regions_se regions_theory "
        "first_layer last_layer log10_most".split()
    ),
    claims=(
        Claim(
            "hanin2019.regions-linear-in-depth",
            "linear regions of a ReLU net along a line grow linearly with its depth",
            f"{SOURCE}, on lines at initialisation",
            tag="S26",
            estimate=power,
            allows=about(1, within=0.25),
            of=growth("depth"),
            published="linear: power 1 of the number of neurons",
            scope=lambda row: row["width"] >= row["depth"],
            protocol=f"{HERE}; the mean number of regions, from one depth to its double",
            differs=DIFFERS,
            doubt=certain,
            label=("width", "depth"),
        ),
        Claim(
            "hanin2019.regions-linear-in-width",
            "linear regions of a ReLU net along a line grow linearly with its width",
            f"{SOURCE}, on lines at initialisation",
            tag="S26",
            estimate=power,
            allows=about(1, within=0.25),
            of=growth("width"),
            published="linear: power 1 of the number of neurons",
            scope=lambda row: row["width"] >= row["depth"],
            protocol=f"{HERE}; the mean number of regions, from one width to its double",
            differs=DIFFERS,
            doubt=certain,
            label=("width", "depth"),
        ),
    ),
    headline=headline,
    tables=tables,
    figures=draw_figures,
    compile_seconds=0.0,
)

if __name__ == "__main__":
    from depthbench.research.cli.main import script

    script(STUDY.name)
