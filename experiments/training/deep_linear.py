"""Does a deep linear net learn as fast as a shallow one, if it starts orthogonal?

Source: Saxe, McClelland & Ganguli 2013, Exact solutions to the nonlinear dynamics of
learning in deep linear neural networks, arXiv:1312.6120, section 3 and figure 6: fully
connected nets of 1,000 units on MNIST, the fastest of twenty learning rates.
"""

import functools
import math

from experiments.training import nets
from experiments.training.deep_linear_headline import headline
from research.catalogues.initializers import DRAWS
from research.datasets import DATASETS
from research.lazy import lazily
from research.learning import selection
from research.report import figures
from research.study.axes import Axis
from research.study.claims import Claim
from research.study.declaration import Cost, Figure, Measured, Plan, Study
from research.study.plan import longest_first
from research.study.tables import Mark, Table, number

with lazily():
    import jax
    import jax.numpy as jnp
    import numpy as np

SOURCE = "Saxe et al. 2013, arXiv:1312.6120"
STARTS = {"orthogonal": "orthogonal", "gaussian": "normal"}  # by name, in DRAWS
NAMES = (
    "learned learning_rate steps_to_target steps_low steps_high shallow_steps "
    "log2_longer log2_longer_se log2_rate"
).split()
PATIENCE = 2
SHALLOW = 2  # matrices of the net that all are compared with
SAME = math.log2(1.5)  # learning times this near count as equal, further as longer


def statistics(x, y):
    """All that the squared error of a linear net depends on: (Σ_xx, Σ_xy, |y|²)."""
    count = len(x)
    return x.T @ x / count, x.T @ y / count, np.sum(np.square(y)) / count


def least(sigma_xx, sigma_xy, yy):
    """The mean squared error of the best linear map, which no net can go below."""
    best = np.linalg.lstsq(sigma_xx, sigma_xy, rcond=1e-10)[0]
    return 0.5 * (yy - np.sum(best * sigma_xy))


def product(kernels):
    """W_1 … W_L of (first, others [L − 2, …], last), from the last: its side is short."""
    first, others, last = kernels

    def times(so_far, kernel):
        return kernel @ so_far, None

    return first @ jax.lax.scan(times, last, others, reverse=True)[0]


def loss(kernels, sigma_xx, sigma_xy, yy):
    """½ mean |y − x W|² of the whole data set."""
    w = product(kernels)
    return 0.5 * (yy + jnp.sum(w * (sigma_xx @ w)) - 2 * jnp.sum(w * sigma_xy))


def step(kernels, data, rate):
    """(kernels after a step of gradient descent, the loss before it)."""
    before, gradient = jax.value_and_grad(loss)(kernels, *data)
    return jax.tree.map(lambda w, g: w - rate * g, kernels, gradient), before


def learn(kernels, data, rate, enough, most):
    """Steps until the loss is at most `enough`; inf where `most` steps do not do."""

    def goes_on(carry):
        done, _, value = carry
        return (done < most) & (value > enough) & jnp.isfinite(value)

    def more(carry):
        done, kernels, _ = carry
        kernels, value = step(kernels, data, rate)
        return done + 1, kernels, value

    start = (jnp.int32(0), kernels, jnp.full_like(enough, 1e30))
    done, _, value = jax.lax.while_loop(goes_on, more, start)
    # The loss of a step is known in the next one.
    return jnp.where(value <= enough, (done - 1).astype(value.dtype), jnp.inf)


def draw(key, start, layers, inputs, width, outputs):
    """Kernels [in, out] of variance 1 / fan-in, Gaussian or orthogonal."""
    kernel = DRAWS[STARTS[start]].kernel
    key_first, key_last, key_others = jax.random.split(key, 3)
    square = jax.vmap(lambda one: kernel(one, (width, width), jnp.float32))
    return (
        kernel(key_first, (inputs, width), jnp.float32),
        square(jax.random.split(key_others, layers - 2)),
        kernel(key_last, (width, outputs), jnp.float32),
    )


@functools.cache
def problem(name, left):
    """(statistics of a training set in float32, the loss that counts as learned)."""
    train = DATASETS[name].split().train
    x = np.asarray(train.x, np.float64)
    if train.scale is not None:
        x = (x - train.scale[0]) / train.scale[1]
    x = x.reshape(len(x), -1)
    data = statistics(x, np.eye(train.classes)[train.y])
    enough = least(*data) + left * (data[2] / 2 - least(*data))
    return tuple(np.float32(a) for a in data), np.float32(enough)


def times(cell, start, layers):
    """Learning times [rates, seeds] of nets of so many matrices; inf where never.

    From the highest rate down: once all seeds have learned at one, no lower one is
    followed for more than PATIENCE times as long.
    """
    data, enough = problem(cell["dataset"], cell["left"])
    shape = (layers, len(data[0]), cell["width"], data[1].shape[1])
    fresh = jax.jit(lambda key: draw(key, start, *shape))
    fit, most = compiled(), cell["steps"]
    drawn = [fresh(jax.random.key(seed)) for seed in range(cell["seeds"])]
    by_rate = []
    for rate in reversed(rates(cell)):
        steps = [
            fit(net, data, np.float32(rate), enough, np.int32(most)) for net in drawn
        ]
        by_rate.insert(0, steps)
        if np.all(np.isfinite(steps)):
            most = min(most, int(PATIENCE * np.max(steps)) + 1)
    return np.array(by_rate)


@functools.cache
def compiled():
    return jax.jit(learn)


def rates(cell):
    return nets.log_spaced(cell["lowest_rate"], cell["highest_rate"], cell["rates"])


def best(by_rate):
    """The best rate's place in the steps `by_rate` [rates, seeds]."""
    of = zip(np.isfinite(by_rate).mean(1), np.median(by_rate, 1), strict=True)
    outcomes = [selection.Outcome(reached=share, steps=steps) for share, steps in of]
    return selection.best(outcomes, "steps")


def measure(cells, shared, memory):
    """One Measured for each cell."""
    return [both_starts(cell) for cell in cells]


def both_starts(cell):
    """Both starts at this depth and at SHALLOW, each at its best learning rate."""
    row = {"least_squares": float(least(*problem(cell["dataset"], 0.0)[0]))}
    for start in STARTS:
        deep = times(cell, start, cell["depth"])
        shallow = times(cell, start, SHALLOW)
        chosen, first = best(deep), best(shallow)
        log2, error = nets.log2_longer(deep[chosen], shallow[first])
        rate, base = rates(cell)[chosen], rates(cell)[first]
        never = not np.isfinite(deep[chosen]).any()
        columns = {
            "learned": float(np.mean(np.isfinite(deep[chosen]))),
            "learning_rate": None if never else rate,
            "rate_at_edge": selection.at_edge(rates(cell), chosen),
            "steps_to_target": nets.finite(np.median(deep[chosen])),
            "steps_low": nets.finite(np.min(deep[chosen])),
            "steps_high": nets.finite(np.max(deep[chosen])),
            "shallow_steps": nets.finite(np.median(shallow[first])),
            "log2_longer": log2,
            "log2_longer_se": error,
            "log2_rate": None if never else math.log2(rate / base),
        }
        row |= {f"{start}_{name}": value for name, value in columns.items()}
    row["log2_rate_theory"] = -math.log2(cell["depth"] / SHALLOW)
    return Measured("ok", "", row)


def cost(cells, shared):
    (cell,) = cells
    runs = 2e-5 * cell["depth"] * cell["rates"] * cell["seeds"]
    return Cost(2**28, 2**28, runs * 500)


def tables(rows):
    """Learning times with their range over seeds, and the rates they were got at."""
    body = tuple(
        (
            str(row["depth"]),
            *(entry(row, start) for start in STARTS),
            *(longer(row, start) for start in STARTS),
            *(number(row[f"{start}_learning_rate"]) for start in STARTS),
        )
        for row in rows
    )
    headers = ("matrices", "orthogonal", "Gaussian", "orth. ×", "Gauss. ×")
    headers += ("orth. rate", "Gauss. rate")
    title = f"Steps to learn, least and most (×: against {SHALLOW} matrices), best rate"
    return [Table(title, headers, body)]


def entry(row, start):
    steps, low, high = (
        row[f"{start}_{name}"]
        for name in ("steps_to_target", "steps_low", "steps_high")
    )
    if steps is None:
        return Mark(f"never in {row['steps']}", "bad")
    return f"{number(steps)} ({number(low)}-{number(high) if high else '∞'})"


def longer(row, start):
    log2 = row[f"{start}_log2_longer"]
    if log2 is None:
        return Mark("∞", "bad")
    return Mark(f"{2**log2:.2f}", "good" if abs(log2) <= SAME else "bad")


def draw_figures(rows, profiles):
    caption = (
        "Left: steps to learn at the best learning rate, against depth; bars from the "
        "least to the most over seeds, arrows: never. Right: the best learning rate; the "
        "line falls as 1 / depth."
    )
    return [Figure("figure", caption, functools.partial(_draw, rows))]


COLOURS = {"orthogonal": "#1f5f99", "gaussian": "#c0392b"}


def _draw(rows):
    figure = figures.new(7.2, 3.2)
    left, right = figure.subplots(1, 2)
    for start, colour in COLOURS.items():
        learned = [row for row in rows if row[f"{start}_steps_to_target"] is not None]
        depth = [row["depth"] for row in learned]
        middle = [row[f"{start}_steps_to_target"] for row in learned]
        ends = [
            [
                m - row[f"{start}_steps_low"]
                for m, row in zip(middle, learned, strict=True)
            ],
            [
                (row[f"{start}_steps_high"] or row["steps"]) - m
                for m, row in zip(middle, learned, strict=True)
            ],
        ]
        left.errorbar(
            depth, middle, ends, fmt="o-", ms=4, capsize=2, color=colour, label=start
        )
        never = [r["depth"] for r in rows if r[f"{start}_steps_to_target"] is None]
        left.plot(never, [rows[0]["steps"]] * len(never), "^", color=colour)
        rate = [row[f"{start}_learning_rate"] for row in learned]
        right.plot(depth, rate, "o-", ms=4, color=colour, label=start)
        if start == "orthogonal" and learned:
            law = [rate[0] * depth[0] / d for d in depth]
            right.plot(depth, law, color="black", lw=0.8, ls="--", label="1 / depth")
    grid = rates(rows[0])
    for axes, label, low, high in (
        (left, "steps to learn", 1, 1.5 * rows[0]["steps"]),
        (right, "best learning rate", grid[0] / 1.5, 1.5 * grid[-1]),
    ):
        axes.set_xscale("log", base=2)
        axes.set_xlim(rows[0]["depth"] / 1.2, 1.2 * rows[-1]["depth"])
        axes.set(yscale="log", ylim=(low, high))
        axes.set(xlabel="matrices", ylabel=label)
        axes.grid(alpha=0.25, lw=0.5)
        axes.legend(fontsize=7, frameon=False)
    return figure


def deep_and_learnt(row):
    """Whether a net is deep, and learnt from its orthogonal start."""
    return row["depth"] > SHALLOW and row["orthogonal_log2_longer"] is not None


STUDY = Study(
    name="deep_linear",
    kind="experiment",
    question="Does a deep linear net learn as fast as a shallow one, started orthogonal?",
    source=SOURCE,
    axes={
        "depth": Axis(
            "matrices", (2, 4, 8, 16, 32, 64), kind="integer", low=2, high=10**4
        ),
        "dataset": nets.dataset_axis(),
        "left": Axis(
            "share of what can be learned that may be left",
            (0.1,),
            kind="number",
            low=1e-6,
            high=0.999,
            single=True,
        ),
        "width": nets.one("units", 64),
        "steps": nets.one("steps, at most", 3000),
        **nets.rate_axes(1e-3, 1.0, 20),
        "seeds": nets.one("networks per cell", 3),
    },
    sizes={
        "smoke": {
            "depth": (2, 8),
            "width": (16,),
            "steps": (40,),
            "rates": (2,),
            "lowest_rate": (0.03,),
            "highest_rate": (0.1,),
        },
        "full": {
            "depth": (2, 4, 8, 16, 32, 64, 100),
            "dataset": ("fashion_mnist",),
            "width": (1000,),
            "steps": (20000,),
            "lowest_rate": (1e-5,),
            "highest_rate": (0.1,),
            "rates": (30,),
            "seeds": (5,),
        },
    },
    plan=Plan(program=lambda cell: cell["depth"], cost=cost, priority=longest_first),
    measure="experiments.training.deep_linear:measure",
    columns=tuple(
        [*"depth dataset left width steps seeds status reason".split()]
        + [f"{start}_{name}" for start in STARTS for name in NAMES]
        + ["log2_rate_theory", "least_squares"]
    ),
    claims=(
        Claim(
            "saxe2013.orthogonal-time-flat",
            "from an orthogonal start a linear net's learning time does not depend "
            "on depth",
            SOURCE + ", figure 6",
            tag="S5",
            gap=lambda row: row["orthogonal_log2_longer"],
            error=lambda row: row["orthogonal_log2_longer_se"],
            published="log2 of the delay: 0",
            within=SAME,
            scope=deep_and_learnt,
            label=("depth",),
        ),
        Claim(
            "saxe2013.orthogonal-delay-finite",
            "from an orthogonal start depth delays a linear net's learning by less "
            "than half",
            SOURCE + ", abstract: only a finite, depth independent, delay",
            tag="S5",
            gap=lambda row: max(0.0, row["orthogonal_log2_longer"]),
            error=lambda row: row["orthogonal_log2_longer_se"],
            published="log2 of the delay: below 0.58",
            ours=lambda row: row["orthogonal_log2_longer"],
            within=SAME,
            scope=deep_and_learnt,
            label=("depth",),
        ),
        Claim(
            "saxe2013.gaussian-delay-grows",
            "from a scaled Gaussian start a linear net's learning time grows: at 16 "
            "matrices by half and more",
            SOURCE + ", figure 6",
            tag="S5",
            gap=lambda row: max(0.0, SAME - (row["gaussian_log2_longer"] or SAME)),
            error=lambda row: row["gaussian_log2_longer_se"] or 0.0,
            published="log2 of the delay: above 0.58",
            ours=lambda row: nets.or_never(row["gaussian_log2_longer"]),
            within=0.0,
            scope=lambda row: row["depth"] >= 16,
            label=("depth",),
        ),
        Claim(
            "saxe2013.orthogonal-rate-falls",
            "from an orthogonal start a linear net's best rate falls as 1 / depth",
            SOURCE + ", figure 4 (there of decoupled starts)",
            tag="S5",
            gap=lambda row: row["orthogonal_log2_rate"] - row["log2_rate_theory"],
            error=lambda row: 0.0,
            published="log2 of rate × depth: 0",
            within=1.0,  # a factor of two: the rates of the grid are 1.44 apart
            scope=deep_and_learnt,
            label=("depth",),
        ),
    ),
    headline=headline,
    tables=tables,
    figures=draw_figures,
    compile_seconds=4.0,
)

if __name__ == "__main__":
    from research.cli.main import script

    script(STUDY.name)
