"""How often is a narrow ReLU net dead before any training, and how deep must it be?

A net is born dead if the units of some layer are 0 for every input: it is a constant.

Source: Lu, Shin, Su & Karniadakis 2019, arXiv:1903.06733.
"""

import functools

from depthbench.research.lazy import lazily
from depthbench.research.report import figures
from depthbench.research.study import estimates
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
from depthbench.research.study.estimates import above, share
from depthbench.research.study.headlines import counted, listed, measured, of_deepest
from depthbench.research.study.tables import Table, number

with lazily():
    import jax
    import jax.numpy as jnp
    import numpy as np

SOURCE = "Lu, Shin, Su & Karniadakis 2019, arXiv:1903.06733"
POINTS = 65  # inputs at which a net with biases is looked at
REACH = 1.7320508  # √3: inputs are from -√3 to √3
DEEP = 8  # 2^width layers times this are deep: one input is dead but for e^-8


def bounds(width, depth):
    """The least and the greatest chance that a net without biases is born dead.

    It has one input, and so two rays, x > 0 and x < 0, on each of which it is linear. A
    ray that is alive dies in a layer with the chance a = 2^-width. The first layer leaves
    one alive, both but for the chance 2a. So the net is dead at most if a ray is that was
    alive then: D = 1 - (1 - a)^(depth - 1). Rays at an angle θ die together with the
    chance ((π - θ)/2π)^width, which is a² at the greatest angle that states without
    negative units have, π/2. Independent deaths are therefore the least: D² of two rays.
    """
    a = 2.0**-width
    one = 1 - (1 - a) ** (depth - 1)
    return 2 * a * one + (1 - 2 * a) * one**2, one


def dead_from(width, sigma_b2, depth, seeds):
    """The first layer that is 0 for every input, [seeds]; 0 if there is none."""
    alive = jax.device_get(
        _program(width, sigma_b2 > 0, depth)(
            np.arange(seeds, dtype=np.uint32), np.float32(sigma_b2)
        )
    )
    dead = ~alive
    return np.where(np.any(dead, axis=1), np.argmax(dead, axis=1) + 1, 0)


@functools.cache
def _program(width, biased, depth):
    """A compiled (seeds, σ_b²) -> whether each layer has an active unit, [seeds, depth]."""
    x = jnp.linspace(-REACH, REACH, POINTS) if biased else jnp.array([-1.0, 1.0])

    def one(seed, sigma_b2):
        key_first, key = jax.random.split(jax.random.key(seed))

        def layer(key, h, fan_in):
            key_w, key_b = jax.random.split(key)
            weights = jax.random.normal(key_w, (fan_in, width))
            h = h @ weights * jnp.sqrt(2.0 / fan_in)
            if biased:
                h = h + jnp.sqrt(sigma_b2) * jax.random.normal(key_b, (1, width))
            h = jax.nn.relu(h)
            alive = jnp.any(h > 0)
            if not biased:  # a ray's scale means nothing, and would leave float32
                largest = jnp.max(h, axis=1, keepdims=True)
                h = h / jnp.where(largest > 0, largest, 1.0)
            return h, alive

        h, first = layer(key_first, x[:, None], 1)
        keys = jax.random.split(key, depth - 1)
        _, later = jax.lax.scan(lambda h, k: layer(k, h, width), h, keys)
        return jnp.concatenate([first[None], later])

    def run(seeds, sigma_b2):
        with jax.default_matmul_precision("highest"):
            return jax.vmap(one, in_axes=(0, None))(seeds, sigma_b2)

    return jax.jit(run)


def measure(cells, shared, memory):
    """One Measured for each cell of a unit: depths are looked at in one set of nets."""
    first = cells[0]
    deepest = max(cell["depth"] for cell in cells)
    dead = dead_from(first["width"], first["sigma_b2"], deepest, first["seeds"])
    return [_measured(cell, dead) for cell in cells]


def _measured(cell, dead):
    depth = cell["depth"]
    born_dead = float(np.mean((dead > 0) & (dead <= depth)))
    low, high = estimates.interval(share(born_dead, cell["seeds"]), level=0.025)
    without = cell["sigma_b2"] == 0  # what the bounds are of
    least, most = bounds(cell["width"], depth) if without else (None, None)
    values = {
        "born_dead": born_dead,
        "low": low,
        "high": high,
        "least": least,
        "most": most,
        "doublings": depth / 2 ** cell["width"],
    }
    return Measured("ok", "", values, {})


def headline(rows):
    """How many of the deepest nets are born dead, by width, and the first to be."""
    done = measured(rows)
    biases = min(row["sigma_b2"] for row in done)
    deep = [row for row in of_deepest(done) if row["sigma_b2"] == biases]
    if not deep:  # with these biases only shallower ones were looked at
        deep = of_deepest(done)
    shares = [
        f"{row['born_dead']:.1%} of {counted(row['width'], 'unit')}" for row in deep
    ]
    worst = max(done, key=lambda row: (row["born_dead"], -row["depth"], row["width"]))
    return Headline(
        f"With {counted(deep[0]['depth'], 'layer')} (σ_b² = {deep[0]['sigma_b2']:g}) "
        f"nets are born dead: {listed(shares, 8)}.",
        f"Worst: {counted(worst['depth'], 'layer')} of "
        f"{counted(worst['width'], 'unit')}, σ_b² = {worst['sigma_b2']:g}: "
        f"{worst['born_dead']:.1%} dead.",
    )


def tables(rows):
    """The share of nets that are born dead, by width and depth, between the bounds."""
    shown = []
    for sigma_b2 in sorted({row["sigma_b2"] for row in rows}):
        body = tuple(
            (
                number(row["width"]),
                number(row["depth"]),
                number(row["doublings"]),
                f"{row['born_dead']:.3f}",
                f"{row['low']:.3f} to {row['high']:.3f}",
                ranged_of(row),
            )
            for row in rows
            if row["sigma_b2"] == sigma_b2
        )
        title = f"Share of nets born dead, σ_b² = {sigma_b2:g}"
        headers = ("width", "depth", "depth/2^width", "dead", "95 % interval", "bounds")
        shown.append(Table(title, headers, body))
    return shown


def ranged_of(row):
    """The bounds, of nets without biases."""
    return "-" if row["least"] is None else f"{row['least']:.3f} to {row['most']:.3f}"


def draw_figures(rows, profiles):
    caption = (
        "Share of nets born dead against depth. Dots: without biases, between the bounds "
        "(shaded); crosses: with biases, at 65 inputs. One more unit doubles the depth."
    )
    return [Figure("figure", caption, functools.partial(_draw, rows))]


def _draw(rows):
    figure = figures.new(6, 4)
    axes = figure.subplots()
    deepest = max((row["depth"] for row in rows), default=2)
    depths = np.unique(np.geomspace(2, deepest, 100).astype(int))
    for place, width in enumerate(sorted({row["width"] for row in rows})):
        colour = f"C{place}"
        least, most = np.array([bounds(width, depth) for depth in depths]).T
        axes.fill_between(depths, least, most, color=colour, alpha=0.2, lw=0)
        for biased, mark in ((False, "o"), (True, "x")):
            of = [r for r in rows if r["width"] == width]
            of = [r for r in of if (r["sigma_b2"] > 0) is biased]
            shares = [r["born_dead"] for r in of]
            label = None if biased else f"width {width}"
            axes.plot([r["depth"] for r in of], shares, mark, color=colour, label=label)
    axes.set_xscale("log")
    axes.set_xlabel("hidden layers")
    axes.set_ylabel("share of nets born dead")
    axes.legend(frameon=False)
    return figure


def cost(cells, shared):
    """A layer of each net: its weights, and its points."""
    cell, deepest = cells[0], max(cell["depth"] for cell in cells)
    width, points = cell["width"], POINTS if cell["sigma_b2"] > 0 else 2
    layer = 2e-8 * width**2 + 2e-9 * points * width**2 + 1e-7
    memory = cell["seeds"] * (40 * points * width + deepest)
    return Cost(memory, memory, cell["seeds"] * deepest * layer)


STUDY = Study(
    name="born_dead",
    kind="experiment",
    question="How often is a narrow ReLU net dead before any training?",
    source=SOURCE,
    axes={
        "width": Axis("units", (2, 3, 4, 6, 8), kind="integer", low=1, high=1000),
        "sigma_b2": Axis("bias variance", (0.0, 0.1), kind="number", low=0, high=1e3),
        "depth": Axis(
            "hidden layers", (4, 16, 64, 256, 2048), kind="integer", low=2, high=10**6
        ),
        "seeds": Axis(
            "networks per cell", (500,), kind="integer", low=1, high=10**7, single=True
        ),
    },
    sizes={
        "smoke": {"width": (2, 3), "depth": (4, 64), "seeds": (100,)},
        "full": {
            "width": (2, 3, 4, 5, 6, 8, 10),
            "depth": (2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 8192),
            "seeds": (20_000,),
        },
    },
    plan=Plan(
        group=lambda cell: tuple(cell[n] for n in ("width", "sigma_b2", "seeds")),
        cost=cost,
    ),
    measure="depthbench.experiments.propagation.born_dead:measure",
    columns=tuple(
        "width sigma_b2 depth seeds status reason born_dead low high least most "
        "doublings".split()
    ),
    claims=(
        Claim(
            "lu2019.deep-nets-are-born-dead",
            "a ReLU net that is deep for its width is born dead almost surely",
            f"{SOURCE}, theorem on depth",
            tag="S28",
            estimate=lambda row: share(row["born_dead"], row["seeds"]),
            allows=above(0.95),
            published="probability 1 as depth grows",
            scope=lambda row: row["depth"] >= DEEP * 2 ** row["width"],
            protocol=f"500 nets of one input at He's variance, with biases of variance 0.1 "
            f"and without; at least {DEEP} · 2^width layers; without biases both rays, "
            f"with them {POINTS} inputs from −√3 to √3",
            differs="proves the limit for any symmetric draw; shows nets of one input",
            doubt=certain,
            label=("width", "sigma_b2", "depth"),
        ),
    ),
    headline=headline,
    tables=tables,
    figures=draw_figures,
    compile_seconds=2.0,
)

if __name__ == "__main__":
    from depthbench.research.cli.main import script

    script(STUDY.name)
