"""Does a faster device train what a vanished gradient keeps from training?

Popular accounts have it that a heavy-duty GPU cured vanishing gradients: Schmidhuber
(people.idsia.ch/~juergen/computer-vision-contests-won-by-gpu-cnns.html) of Cireşan et al.
2010, arXiv:1003.0358, whose plain backpropagation trained deep nets fifty times faster
than on a CPU, and "this really was all about GPUs".

A device changes neither the gradient nor what a step does: it changes how many steps
there are in the same time. So nets are trained here by plain gradient descent for a
budget of steps, and on to fifty times as many, on whatever device this runs: each seed's
steps to 90 % of what it trains on, beside the fresh gradient and the time of a step. The
best rate of one grid is the one with most seeds there, soonest. What only rows of two
devices can decide is judged where rows of an accelerator are set beside the committed
ones of a CPU, cell by cell, and is untested until then (times of the CPU's rows are of
two cores that other work shared):

    depthbench run gpu_fix --out runs/gpu_fix && depthbench report runs/gpu_fix --publish
"""

import math
import time

from depthbench.experiments import scores
from depthbench.experiments.scores import Scoring
from depthbench.experiments.training import costs, nets
from depthbench.experiments.training.gpu_fix_claims import ACCOUNT, CLAIMS, LABEL
from depthbench.experiments.training.pairs import whole
from depthbench.research.datasets import readable
from depthbench.research.lazy import lazily
from depthbench.research.learning.recipe import Recipe
from depthbench.research.study.declaration import Headline, Measured, Study
from depthbench.research.study.headlines import counted, listed, measured

with lazily():
    import jax
    import numpy as np

    from depthbench.research.learning import (
        feed,
        fits,
        held_out,
        supervised,
        sweeps,
    )

TARGET, WINDOW = (
    0.9,
    10,
)  # share right of what is trained on, in a mean of so many steps
ROUNDS, TIMED = 5, 200  # of the clock, and steps in each
POINTS = 60  # of a curve
SCORING = Scoring(
    system="net of plain gradient descent, given more steps",
    noun="test accuracy",
    trivial="largest class",
    strong="RBF SVM",
    by=("activation",),
)


def measure(cells, shared, memory):
    """One Measured for each cell."""
    return [trained(cell) for cell in cells]


def net_of(cell, parts):
    recipe = Recipe(
        architecture="mlp",
        activation=cell["activation"],
        depth=cell["depth"],
        width=cell["width"],
        initializer="glorot_normal",
        optimizer="sgd",
    )
    return fits.Net(recipe, supervised.Task(parts.shape, parts.classes))


def steps_to_target(run):
    """The step at whose end a run is first right of TARGET; ∞ of one that never is."""
    right = np.asarray(run.log["accuracy"], np.float64)
    size = min(WINDOW, len(right))
    window = np.convolve(right, np.ones(size) / size, "valid")
    there = np.flatnonzero(window >= TARGET - 1e-9)  # sums are rounded
    return float(there[0] + size) if len(there) else math.inf


def trained(cell):
    """Steps to the target, accuracy, gradient and the time of a step."""
    parts = held_out.parts(cell["dataset"], data_dir=cell.get("data_dir"))
    net, (train, valid, test) = net_of(cell, parts), parts[:3]
    most = cell["steps"] * cell["faster"]

    def outcome(runs):
        steps = [steps_to_target(run) for run in runs]
        reached = float(np.mean(np.isfinite(steps)))
        return fits.of_logs(runs)._replace(
            reached=reached, steps=float(np.median(steps)) if reached else math.inf
        )

    by_rate = fits.by_rate(net, train.batch, most, cell["seeds"])
    further = cell["further_rates"]
    tuned = fits.tuned(by_rate, nets.rates(cell), "steps", outcome, most=further)
    steps = np.array([steps_to_target(run) for run in tuned.runs])
    values = scores.values(
        score=[run.accuracy(*test) for run in tuned.runs],
        valid=float(np.mean([run.accuracy(*valid) for run in tuned.runs])),
        trivial=scores.baseline("majority", cell["dataset"], cell.get("data_dir")),
        strong=scores.baseline("svm", cell["dataset"], cell.get("data_dir")),
        before=fits.beforehand(net, train.batch, cell["seeds"]),
        tuned=tuned,
        examples=len(test.y),
    )
    middle = float(np.median(steps))
    values |= {
        "platform": jax.default_backend(),
        "steps_to_target": middle if math.isfinite(middle) else None,
        "reached": float(np.mean(steps <= cell["steps"])),
        "reached_faster": float(np.mean(steps <= most)),
        "step_ms": step_ms(net, train.batch),
    }
    curve = np.mean([run.log["accuracy"] for run in tuned.runs], axis=0)
    return Measured("ok", "", values, shown(curve))


def step_ms(net, data):
    """Milliseconds of a step in the compiled loop, the median over rounds."""
    loop = sweeps.programs(net.system, feed.drawn(net.recipe.batch), TIMED)
    seeds, hyper = sweeps.arguments([sweeps.Run(0, fits.numbers(net, 1e-3, TIMED))])
    state, data = loop.opened(loop.init(seeds, hyper)), jax.device_put(dict(data))
    seconds = []
    for _ in range(ROUNDS + 1):  # the first one compiles
        began = time.perf_counter()
        state, _ = jax.block_until_ready(
            loop.advance(state, hyper, data, np.int32(TIMED))
        )
        seconds.append(time.perf_counter() - began)
    return float(np.median(seconds[1:])) * 1e3 / TIMED


def shown(curve):
    """The picture's arrays: means of a curve over stretches of equal ratios."""
    ends = np.unique(np.geomspace(1, len(curve), POINTS).astype(int))
    stretches = np.split(np.asarray(curve, np.float64), ends[:-1])
    return {"step": ends, "accuracy": np.array([np.mean(part) for part in stretches])}


def headline(rows):
    """The best net beside the baseline, and what fifty times the steps bought."""
    answer, worst = SCORING.headline(rows)
    done = measured(rows)
    late = [row for row in done if row["reached"] < 1]
    faster = done[0]["faster"]
    if not late:
        return Headline(f"{answer} All nets are at 90 % in the budget.", worst)
    told = listed(
        f"{row['reached_faster']:.0%} of {row['activation']} with "
        f"{counted(row['depth'], 'layer')}"
        for row in late
    )
    answer += (
        f" Nets that the budget does not train get there in {faster} times it: {told}."
    )
    return Headline(answer, worst)


def draw_curves(rows, profiles):
    """Draws accuracy in training by step, to fifty times the budget."""

    def draw(figure, axes):
        done = measured(rows)
        depths = sorted({row["depth"] for row in done})
        kinds = sorted({row["activation"] for row in done})
        for row in done:
            arrays = profiles(row)
            axes.plot(
                arrays["step"],
                arrays["accuracy"],
                ("-", "--", ":", "-.")[kinds.index(row["activation"]) % 4],
                color=f"C{depths.index(row['depth']) % 10}",
                lw=1.2,
                label=f"{row['activation']}, {counted(row['depth'], 'layer')}",
            )
        for budget in {row["steps"] for row in done}:
            axes.axvline(budget, color="black", lw=0.8, ls=":")
        axes.axhline(TARGET, color="#888888", lw=0.8)
        axes.set_xscale("log")
        axes.set_title("right in training, by step", loc="left")
        axes.set_xlabel("step (dotted: the budget)")
        axes.grid(alpha=0.25, lw=0.5)
        axes.legend(fontsize=6, frameon=False)

    return draw


def figures_of(rows, profiles):
    caption = (
        "Third: the share right of training batches by step; a device twice as fast moves "
        "the dotted line, and no curve."
    )
    return [SCORING.figure(rows, caption, draw_curves(rows, profiles))]


def steps(cell):
    """Of each run: the best rate's seeds go on for as long as a faster device would."""
    return cell["steps"] * (1 + cell["faster"] / (cell["rates"] + 1))


MORE = ("steps_to_target", "reached", "reached_faster", "step_ms")
STUDY = Study(
    name="gpu_fix",
    kind="experiment",
    question="Does a faster device train what a vanished gradient keeps from training?",
    source=ACCOUNT,
    axes={
        **{
            name: axis
            for name, axis in scores.axes(
                (1, 4, 8), activations=("sigmoid", "relu")
            ).items()
            if name != "architecture"
        },
        "width": whole("units of a layer", (32,)),
        "dataset": readable.axis(readable.classified),
        "steps": whole("steps of 64 examples: the budget", (150,)),
        "faster": whole("times as many steps, as of a device so much faster", (50,)),
        "seeds": whole("runs of each rate", (3,)),
        **nets.rate_axes(1e-1, 1.0, 3),
    },
    sizes={
        "smoke": {
            "activation": ("relu",),
            "depth": (1, 2),
            "width": (16,),
            "steps": (20,),
            "faster": (2,),
            "rates": (1,),
        },
        "full": {
            "depth": (1, 4, 8, 16),
            "width": (2048,),
            "dataset": ("fashion_mnist",),
            "steps": (500,),
        },
    },
    plan=costs.plan(compiling=6.0, layer=6.0e-5, steps=steps),
    fit=nets.fit,
    measure="depthbench.experiments.training.gpu_fix:measure",
    columns=(*LABEL, "width", *scores.COLUMNS, "platform", *MORE),
    claims=CLAIMS,
    headline=headline,
    tables=lambda rows: [SCORING.table(rows, more=MORE)],
    figures=figures_of,
    shows=("a faster processor as the cure",),
    summary=SCORING.summary,
    compile_seconds=4.0,
    timings=("step_ms",),
)

if __name__ == "__main__":
    from depthbench.research.cli.main import script

    script(STUDY.name)
