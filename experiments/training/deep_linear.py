"""Does a deep linear net learn as fast as a shallow one, if it starts orthogonal?

Source: Saxe, McClelland & Ganguli 2013, Exact solutions to the nonlinear dynamics of
learning in deep linear neural networks, arXiv:1312.6120, section 3 and figure 6: fully
connected nets of 1,000 units on MNIST, the fastest of twenty learning rates.
"""

import functools
import math

from depthbench.experiments.training import linear_nets, nets
from depthbench.experiments.training.deep_linear_headline import headline
from depthbench.experiments.training.linear_nets import STARTS
from depthbench.research.datasets import readable
from depthbench.research.lazy import lazily
from depthbench.research.learning import selection
from depthbench.research.report import figures
from depthbench.research.study import families
from depthbench.research.study.axes import Axis
from depthbench.research.study.claims import Claim
from depthbench.research.study.declaration import Cost, Figure, Measured, Plan, Study
from depthbench.research.study.doubts import of_training
from depthbench.research.study.estimates import about, above, below, mean
from depthbench.research.study.plan import longest_first
from depthbench.research.study.tables import Mark, Table, number

with lazily():
    import jax
    import numpy as np

    from depthbench.research.datasets import reading

SOURCE = "Saxe et al. 2013, arXiv:1312.6120"
NAMES = (
    "learned learning_rate rate_at_edge unfinished steps_to_target steps_low steps_high "
    "shallow_steps log2_longer log2_longer_se log2_rate log2_rate_se"
).split()
PROTOCOL = (
    "digits, 4 to 64 matrices of 64 units, full-batch descent from five draws, the best "
    "of 20 rates, until a tenth of what can be learned is left"
)
DIFFERS = "MNIST, to 100 matrices of 1,000 units, a fixed error on its classes"
PATIENCE = 2
SHALLOW = 2  # matrices of the net that all are compared with
SAME = math.log2(1.5)  # learning times this near count as equal, further as longer


@functools.cache
def problem(dataset, left):
    """(statistics of a training set in float32, the loss that counts as learned)."""
    train = dataset.split().train
    x = np.asarray(reading.reader(dataset, train.scale)(train.x), np.float64)
    x = x.reshape(len(x), -1)
    data = linear_nets.statistics(x, np.eye(train.classes)[train.y])
    enough = linear_nets.least(*data) + left * (data[2] / 2 - linear_nets.least(*data))
    return tuple(np.float32(a) for a in data), np.float32(enough)


def times(cell, start, layers):
    """Learning times of nets of so many matrices: (rates, steps [rates, seeds]).

    Steps are inf where never. From the highest rate down: once all seeds have learned at
    one, no lower one is followed for more than PATIENCE times as long.
    """
    data, enough = problem(families.read_by(cell), cell["left"])
    shape = (layers, len(data[0]), cell["width"], data[1].shape[1])
    fresh = jax.jit(lambda key: linear_nets.draw(key, start, *shape))
    fit, longest = compiled(), cell["steps"]
    drawn = [fresh(jax.random.key(seed)) for seed in range(cell["seeds"])]
    grid, by_rate = nets.rates(cell), {}
    wanted = list(reversed(grid))
    while wanted:
        for rate in wanted:
            rate32, limit = np.float32(rate), np.int32(longest)
            steps = [fit(net, data, rate32, enough, limit) for net in drawn]
            by_rate[rate] = np.array(steps)
            if np.all(np.isfinite(steps)):
                longest = min(longest, int(PATIENCE * np.max(steps)) + 1)
        known = sorted(by_rate)
        steps = np.array([by_rate[rate] for rate in known])
        most = cell["further_rates"]
        further = selection.beyond(grid, known, outcomes(steps), "steps", most)
        wanted = [] if further is None else [further]
    return tuple(known), steps


@functools.cache
def compiled():
    return jax.jit(linear_nets.learn)


def outcomes(by_rate):
    """What is chosen by, from the steps `by_rate` [rates, seeds]."""
    of = zip(np.isfinite(by_rate).mean(1), np.median(by_rate, 1), strict=True)
    return [selection.Outcome(reached=share, steps=steps) for share, steps in of]


def best(by_rate):
    """The best rate's place in the steps `by_rate` [rates, seeds]."""
    return selection.best(outcomes(by_rate), "steps")


def measure(cells, shared, memory):
    """One Measured for each cell."""
    return [both_starts(cell) for cell in cells]


def both_starts(cell):
    """Both starts at this depth and at SHALLOW, each at its best learning rate."""
    data, _ = problem(families.read_by(cell), 0.0)
    row = {"least_squares": float(linear_nets.least(*data))}
    for start in STARTS:
        rates, deep = times(cell, start, cell["depth"])
        base_rates, shallow = times(cell, start, SHALLOW)
        chosen, first = best(deep), best(shallow)
        learned = np.isfinite(deep[chosen])
        # A net that has not learned by the last step counts as if it then had.
        late = np.where(learned, deep[chosen], cell["steps"])
        log2, error = nets.log2_longer(late, shallow[first])
        fastest = [fastest_rates(rates, deep), fastest_rates(base_rates, shallow)]
        shift, shift_error = nets.log2_longer(*fastest)
        columns = {
            "learned": float(np.mean(learned)),
            "learning_rate": rates[chosen] if learned.any() else None,
            "rate_at_edge": selection.at_edge(rates, outcomes(deep), "steps")
            or selection.at_edge(base_rates, outcomes(shallow), "steps"),
            "unfinished": not bool(learned.all()),
            "steps_to_target": nets.finite(np.median(deep[chosen])),
            "steps_low": nets.finite(np.min(deep[chosen])),
            "steps_high": nets.finite(np.max(deep[chosen])),
            "shallow_steps": nets.finite(np.median(shallow[first])),
            "log2_longer": log2,
            "log2_longer_se": error,
            "log2_rate": shift,
            "log2_rate_se": shift_error,
        }
        row |= {f"{start}_{name}": value for name, value in columns.items()}
    row["log2_rate_theory"] = -math.log2(cell["depth"] / SHALLOW)
    return Measured("ok", "", row)


def fastest_rates(rates, steps):
    """The rate at which each seed learns soonest [seeds]; nan where it does at none.

    steps: [rates, seeds].
    """
    fastest = np.asarray(rates)[np.argmin(steps, 0)]
    return np.where(np.isfinite(steps).any(0), fastest, np.nan)


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
        return "-"
    if row[f"{start}_learned"] < 1:
        return Mark(f"over {2**log2:.2f}", "bad")
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
    grid = nets.rates(rows[0])
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


def deep(row):
    """Whether a net is deeper than the one it is compared with."""
    return row["depth"] > SHALLOW


def delay(start):
    """What is estimated of a row's start: log2 of how many times longer it learned."""

    def of(row):
        value, error = (row[f"{start}_log2_longer{end}"] for end in ("", "_se"))
        return mean(value, error, row["seeds"])

    return of


def beside_theory(row):
    """What is estimated of a row's best rate from an orthogonal start: log2 of it over
    that of the law 1 / depth."""
    value, error = (row[f"orthogonal_log2_rate{end}"] for end in ("", "_se"))
    return mean(value and value - row["log2_rate_theory"], error, row["seeds"])


STUDY = Study(
    name="deep_linear",
    kind="experiment",
    question="Does a deep linear net learn as fast as a shallow one, started orthogonal?",
    source=SOURCE,
    axes={
        "depth": Axis(
            "matrices", (2, 4, 8, 16, 32, 64), kind="integer", low=2, high=10**4
        ),
        "dataset": readable.axis(readable.classified),
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
        "seeds": nets.one("networks per cell", 5),
    },
    sizes={
        "smoke": {
            "depth": (2, 8),
            "width": (16,),
            "steps": (40,),
            "further_rates": (0,),
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
    fit=nets.fit,
    plan=Plan(program=lambda cell: cell["depth"], cost=cost, priority=longest_first),
    measure="depthbench.experiments.training.deep_linear:measure",
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
            estimate=delay("orthogonal"),
            allows=about(0.0, within=SAME),
            protocol=PROTOCOL,
            differs=DIFFERS,
            doubt=nets.doubts_of("orthogonal"),
            published="log2 of the delay: 0",
            scope=deep,
            label=("depth",),
        ),
        Claim(
            "saxe2013.orthogonal-delay-finite",
            "from an orthogonal start depth delays a linear net's learning by less "
            "than half",
            SOURCE + ", abstract: only a finite, depth independent, delay",
            tag="S5",
            estimate=delay("orthogonal"),
            allows=below(SAME),
            protocol=PROTOCOL,
            differs=DIFFERS,
            doubt=nets.doubts_of("orthogonal"),
            published="log2 of the delay: below 0.58",
            scope=deep,
            label=("depth",),
        ),
        Claim(
            "saxe2013.gaussian-delay-grows",
            "from a scaled Gaussian start a linear net's learning time grows: at 16 "
            "matrices by half and more",
            SOURCE + ", figure 6",
            tag="S5",
            estimate=delay("gaussian"),
            allows=above(SAME),
            protocol=PROTOCOL,
            differs=DIFFERS,
            # A net whose steps have ended is at least as late as they are many.
            doubt=lambda row: of_training(
                {"rate_at_edge": row["gaussian_rate_at_edge"]}
            ),
            published="log2 of the delay: above 0.58",
            scope=lambda row: row["depth"] >= 16,
            label=("depth",),
        ),
        Claim(
            "saxe2013.orthogonal-rate-falls",
            "from an orthogonal start a linear net's best rate falls as 1 / depth",
            SOURCE + ", figure 4 (there of decoupled starts)",
            tag="S5",
            estimate=beside_theory,
            # A factor of two: the rates of the grid are 1.44 apart.
            allows=about(0.0, within=1.0),
            protocol=PROTOCOL,
            differs=DIFFERS,
            doubt=nets.doubts_of("orthogonal"),
            published="log2 of rate × depth: 0",
            scope=deep,
            label=("depth",),
        ),
    ),
    headline=headline,
    tables=tables,
    figures=draw_figures,
    compile_seconds=4.0,
)

if __name__ == "__main__":
    from depthbench.research.cli.main import script

    script(STUDY.name)
