"""Does the normalised start help deep tanh nets, and which activation needs it?

Source: Glorot & Bengio 2010, Understanding the difficulty of training deep feedforward
neural networks, AISTATS. Its images of shapes are not made here: the data are others.
"""

import functools
import math

from depthbench.experiments.training import nets
from depthbench.research.catalogues.activations import ACTIVATIONS
from depthbench.research.datasets import readable
from depthbench.research.lazy import lazily
from depthbench.research.report import figures
from depthbench.research.study import trials
from depthbench.research.study.axes import Axis
from depthbench.research.study.claims import Claim
from depthbench.research.study.declaration import Figure, Headline, Measured, Study
from depthbench.research.study.doubts import COLUMNS, certain
from depthbench.research.study.estimates import about, above, below, mean, mean_of
from depthbench.research.study.headlines import counted, listed, measured, out_of
from depthbench.research.study.tables import Mark, Table, number

with lazily():
    import jax
    import numpy as np

    from depthbench.research.architectures import contract, walk
    from depthbench.research.learning import examples, supervised, sweeps, training
    from depthbench.research.learning import recipe as training_recipe
    from depthbench.research.signal import profiles

SOURCE = "Glorot & Bengio 2010, AISTATS"
STARTS = {
    "standard": {"initializer": "lecun_uniform", "sigma_w2": 1 / 3},  # ±1/√fan-in
    "normalised": {"initializer": "glorot_uniform"},
}
# The mean singular value of a large square matrix of independent elements of variance
# 1/n: that of the quarter circle on [0, 2].
MEAN_STRETCH = 8 / (3 * math.pi)
SIGMA_W = {"standard": 3**-0.5, "normalised": 1.0}  # of square layers
ABOUT = 0.1  # relative: what "about" may mean of a number of one digit
START = "five tanh layers of 256 units before training, digits as inputs"
TRAINING = (
    "digits, five hidden layers of 256 units, SGD in batches of 64, the best of a grid "
    "of rates"
)
DIFFERS = "1,000 units, MNIST among others, batches of 10, validated rate and depth"
EXAMPLES = 8  # whose Jacobians are taken
# Test errors in %, table 1: what was published for these nets on MNIST.
PUBLISHED = {
    ("softsign", "standard"): 1.64,
    ("tanh", "standard"): 1.76,
    ("tanh", "normalised"): 1.64,
    ("sigmoid", "standard"): 2.21,
}


def recipes(cell):
    """Both starts. The first hidden layer is the stem, which reads the input."""
    same = {"depth": cell["depth"] - 1, "optimizer": "sgd"}
    return {name: {**same, **start} for name, start in STARTS.items()}


def stretches(cell, recipe):
    """Each seed's mean singular value of a hidden layer's Jacobian [seeds].

    Before training, over layers and EXAMPLES: 1 where a layer keeps all lengths.
    """
    settings = {**trials.DEFAULTS, **cell, **recipe, "learning_rate": 0.0}
    chosen = training_recipe.of(settings)
    programs = sweeps.of_recipe(chosen, settings["steps"])
    data, _ = examples.batches(chosen)
    parts = supervised.parts(chosen)
    x = parts.read(data["inputs"][:EXAMPLES])
    of = jax.jit(lambda params: jacobians(parts.net, params, x))
    runs = training.runs_of(settings)
    states = (programs.init(*sweeps.arguments([run])) for run in runs)
    # NumPy's, as decompositions in two threads can dead-lock XLA's on a CPU.
    values = [np.linalg.svd(of(s.tree.params), compute_uv=False) for s in states]
    return np.array([np.mean(v, dtype=np.float64) for v in values])


def jacobians(net, params, x):
    """∂z'/∂z of every layer at every example [layers, examples, units, units]."""
    (layers,), z, _ = walk.begin(contract.links(net, params), x)

    def step(z, layer):
        def one(z):
            return layer(z[None])[0]

        return jax.vmap(one)(z), jax.vmap(jax.jacfwd(one))(z)

    return walk.scan(layers, step, z)[1]


def finish(cell, swept):
    row, curves = {}, {}
    for name, net in swept.items():
        columns = nets.columns(net)
        accuracy, error = columns["test_accuracy"], columns["test_accuracy_se"]
        columns |= {"test_error": 1 - accuracy, "test_error_se": error}
        mean, error = profiles.over_seeds(stretches(cell, recipes(cell)[name]))
        columns |= {"stretch": mean, "stretch_se": nets.finite(error)}
        columns["stretch_linear"] = MEAN_STRETCH * SIGMA_W[name]
        row |= {f"{name}_{key}": value for key, value in columns.items()}
        row[f"{name}_published"] = PUBLISHED.get((cell["activation"], name))
        curves[name] = nets.curve(net)
    return Measured("ok", "", row, curves)


def headline(rows):
    """In how many nets the normalised start has less test error, and the worst net."""
    done = measured(rows)

    def errors(row):
        return tuple(row[f"{start}_test_error"] for start in STARTS)

    better = [
        row for row in done if row["normalised_test_error"] < row["standard_test_error"]
    ]
    shown = [
        f"{row['activation']} {row['standard_test_error']:.1%} to "
        f"{row['normalised_test_error']:.1%}"
        for row in done
    ]
    worst = max(done, key=lambda row: max(errors(row)))
    return Headline(
        f"The normalised start lowers the test error of "
        f"{out_of(len(better), len(done), 'nets')}: {listed(shown)}.",
        f"Worst: {worst['activation']} with {counted(worst['depth'], 'layer')}, "
        f"{max(errors(worst)):.1%} wrong.",
    )


def tables(rows):
    """Errors on the test part, with 95 % intervals, beside what was published."""
    body = []
    for row in rows:
        if row["status"] != "ok":
            continue
        for start in STARTS:
            values = {key: row[f"{start}_{key}"] for key in SHOWN}
            low, high = values["test_accuracy_high"], values["test_accuracy_low"]
            ends = "" if low is None else f" ({1 - low:.1%} to {1 - high:.1%})"
            error = f"{values['test_error']:.1%}{ends}"
            body.append(
                (
                    f"{row['activation']} {row['depth']}",
                    start,
                    Mark(error, "bad" if values["test_error"] > 0.5 else ""),
                    nets.entry(row, f"{start}_"),
                    number(values["learning_rate"]),
                    f"{values['stretch']:.2f} ({values['stretch_linear']:.2f})",
                    number(values["published"]),
                )
            )
    headers = "net start test_error steps_to_90% rate s.v.(linear) MNIST_2010_%".split()
    return [
        Table(
            "Both starts, each at its best learning rate", tuple(headers), tuple(body)
        )
    ]


SHOWN = (
    "test_accuracy_low test_accuracy_high test_error learning_rate stretch "
    "stretch_linear published"
).split()


def draw_figures(rows, profiles):
    caption = (
        "Left: test error with its 95 % interval; right: training loss at the best "
        "learning rate. Solid: the normalised start; dashed: the standard one."
    )
    return [Figure("figure", caption, functools.partial(_draw, rows, profiles))]


def _draw(rows, profiles):
    import matplotlib

    rows = [row for row in rows if row["status"] == "ok"]
    figure = figures.new(7.6, 3.2)
    left, right = figure.subplots(1, 2)
    for place, row in enumerate(rows):
        colour = matplotlib.color_sequences["tab10"][place % 10]
        for shift, (start, style) in enumerate(
            (("standard", "--"), ("normalised", "-"))
        ):
            error = row[f"{start}_test_error"]
            low, high = (row[f"{start}_test_accuracy_{end}"] for end in ("low", "high"))
            bar = 0.0 if low is None else (high - low) / 2
            at = place + 0.4 * shift - 0.2
            left.bar(at, error, 0.36, color=colour, alpha=0.4 + 0.6 * shift)
            left.errorbar(at, error, bar, color="black", capsize=2, lw=1)
            label = f"{row['activation']} {start}"
            loss = profiles(row)[start]
            nets.draw_curve(right, row, loss, color=colour, ls=style, label=label)
    left.set_xticks(range(len(rows)), [row["activation"] for row in rows])
    left.set_ylabel("test error")
    left.set_title("pale: standard, full: normalised", loc="left")
    left.set_yscale("log")
    left.set_ylim(0.005, 1.2)
    nets.dress(right, "training loss")
    right.legend(fontsize=6, frameon=False)
    return figure


def behind_tanh(rows):
    """Of each depth, the sigmoid net's test error over tanh's, at the standard start."""
    at = {(row["activation"], row["depth"]): row for row in rows}
    depths = dict.fromkeys(row["depth"] for row in rows)
    return [
        {"activation": "tanh to sigmoid", "depth": depth, **_over(*both)}
        for depth in depths
        if None not in (both := (at.get(("tanh", depth)), at.get(("sigmoid", depth))))
    ]


def _over(one, other):
    """The difference of two nets' test errors, and what is doubtful of either."""
    bad = next((row for row in (one, other) if row["status"] != "ok"), one)
    ended = {"status": bad["status"], "reason": bad["reason"], "seeds": one["seeds"]}
    if bad["status"] != "ok":
        return {**ended, "gap": None, "gap_se": None}
    error, spread = "standard_test_error", "standard_test_error_se"
    return {
        **ended,
        "gap": other[error] - one[error],
        "gap_se": math.hypot(*(row[spread] or math.nan for row in (one, other))),
        **{n: any(r.get(f"standard_{n}") for r in (one, other)) for n in COLUMNS},
    }


def measure(cells, shared, memory):
    """One Measured for each cell of a unit."""
    return nets.measure(cells, memory, recipes, finish)


STUDY = Study(
    name="understanding_difficulty",
    kind="experiment",
    question="Does the normalised start help deep tanh nets?",
    source=SOURCE,
    axes={
        "activation": Axis(
            "the nonlinearity", ("sigmoid", "tanh", "softsign"), ACTIVATIONS
        ),
        "depth": Axis("hidden layers", (5,), kind="integer", low=2, high=10**3),
        "dataset": readable.axis(readable.classified),
        "width": nets.one("units", 256, low=2),
        "steps": nets.one("steps per run", 400),
        **nets.rate_axes(0.03, 1.0, 4),
        "seeds": nets.one("runs per learning rate", 5),
    },
    sizes={
        "smoke": {
            "activation": ("sigmoid", "tanh"),
            "width": (16,),
            "steps": (25,),
            "further_rates": (0,),
            "rates": (1,),
            "highest_rate": (0.3,),
            "seeds": (3,),
        },
        "full": {
            "dataset": ("fashion_mnist",),
            "width": (1000,),
            "steps": (50000,),
            "lowest_rate": (1e-3,),
            "rates": (7,),
            "seeds": (5,),
        },
    },
    fit=nets.fit,
    plan=nets.plan(recipes),
    measure="depthbench.experiments.training.understanding_difficulty:measure",
    columns=tuple(
        [*"activation depth dataset width steps seeds status reason".split()]
        + [
            f"{start}_{name}"
            for start in STARTS
            for name in (
                "test_error test_error_se train_accuracy reached steps_to_target "
                "learning_rate rates_diverged stretch stretch_se "
                "stretch_linear published"
            ).split()
        ]
    ),
    claims=(
        Claim(
            "glorot2010.standard-singular-values",
            "a layer's Jacobian has singular values of about 0.5 at the standard start",
            SOURCE + ", section 4.2.2",
            tag="S14",
            estimate=mean_of("standard_stretch"),
            allows=about(0.5, within=0.5 * ABOUT),
            protocol=START,
            differs=DIFFERS,
            doubt=certain,
            published="0.5",
            scope=lambda row: row["activation"] == "tanh",
            label=("activation", "depth"),
        ),
        Claim(
            "glorot2010.normalised-singular-values",
            "a layer's Jacobian has singular values of about 0.8 at the normalised "
            "start",
            SOURCE + ", section 4.2.2",
            tag="S14",
            estimate=mean_of("normalised_stretch"),
            allows=about(0.8, within=0.8 * ABOUT),
            protocol=START,
            differs=DIFFERS,
            doubt=certain,
            published="0.8",
            scope=lambda row: row["activation"] == "tanh",
            label=("activation", "depth"),
        ),
        Claim(
            "glorot2010.normalised-start-better",
            "the normalised start lowers a tanh net's test error",
            SOURCE + ", table 1",
            tag="S14",
            estimate=lambda row: mean(
                row["normalised_test_error"] - row["standard_test_error"],
                math.hypot(
                    row["normalised_test_error_se"] or math.nan,
                    row["standard_test_error_se"] or math.nan,
                ),
                row["seeds"],
            ),
            allows=below(0.0),
            protocol=TRAINING,
            differs=DIFFERS,
            doubt=nets.doubts_of("standard", "normalised"),
            published="1.64 against 1.76 % on MNIST: difference below 0",
            scope=lambda row: row["activation"] == "tanh",
            label=("activation", "depth"),
        ),
        Claim(
            "glorot2010.sigmoid-behind-tanh",
            "at the standard start a deep sigmoid net ends with more test error than a "
            "tanh net",
            SOURCE + ", table 1",
            tag="S14",
            estimate=mean_of("gap"),
            allows=above(0.0),
            protocol=TRAINING,
            differs=DIFFERS,
            published="2.21 against 1.76 % on MNIST: difference above 0",
            scope=lambda row: True,
            label=("activation", "depth"),
            of=behind_tanh,
        ),
    ),
    headline=headline,
    tables=tables,
    figures=draw_figures,
    compile_seconds=3.0,
)

if __name__ == "__main__":
    from depthbench.research.cli.main import script

    script(STUDY.name)
