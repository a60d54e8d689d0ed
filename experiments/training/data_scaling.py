"""Is the test error a power of the number of examples, and does depth change which?

Source: Hestness et al. 2017, arXiv:1712.00409: errors of deep nets fall as powers of the
size of the training set, and better models shift the curve but keep its exponent.

At each size each seed has examples of its own, drawn from the training part; a fifth of
them chooses the learning rate, or is left out. The rivals, an SVM and nearest neighbours,
are tuned anew at each size, on the same examples. An exponent is the slope of log error
over log size, all sizes alike, one for each seed; nothing is said beyond the sizes fitted.
"""

import functools

from depthbench.experiments import comparisons, scores
from depthbench.experiments.scores import Scoring
from depthbench.experiments.training import costs, nets, pairs
from depthbench.experiments.training.pairs import whole
from depthbench.research.datasets import readable
from depthbench.research.lazy import lazily
from depthbench.research.learning.recipe import Recipe
from depthbench.research.study.claims import Claim
from depthbench.research.study.declaration import (
    Headline,
    Measured,
    Study,
)
from depthbench.research.study.errors import Refusal
from depthbench.research.study.estimates import about, above, mean_of
from depthbench.research.study.headlines import measured

with lazily():
    import numpy as np

    from depthbench.research.learning import (
        baselines,
        fits,
        held_out,
        power_law,
        supervised,
    )

SOURCE = "Hestness et al. 2017, arXiv:1712.00409"
SHIFT = 0.1  # by how much an exponent may differ and be called the same
BEND = 0.2  # the same of half of the sizes, which tell less
RIVALS = ("svm", "nearest")
SCORING = Scoring(
    system="net given more examples",
    noun="exponent of the test error",
    trivial="largest class",
    strong="RBF SVM",
    higher=False,
    form=".2f",
)
PROTOCOL = (
    "digits, 90 to 1,437 examples in five sizes, 64 ReLU units, Adam, 600 steps of 64, "
    "8 seeds with examples of their own, rates chosen at each size"
)


def fit(cells, typed):
    """The cells. Raises Refusal where there are no such sizes, or no range of them."""
    nets.refuse_more(cells, "most")
    for cell in cells:
        if cell["most"] < 4 * cell["least"]:
            raise Refusal(
                f"--most {cell['most']}: must be four times --least {cell['least']}, or "
                "more: a slope needs a range"
            )
    return nets.fit(cells, typed)


def sizes(cell):
    """How many examples, with those that settings are chosen by [sizes]."""
    ratio = (cell["most"] / cell["least"]) ** (1 / (cell["sizes"] - 1))
    return tuple(round(cell["least"] * ratio**n) for n in range(cell["sizes"]))


@functools.lru_cache(maxsize=64)
def drawn(dataset, data_dir, most, size, seed):
    """(train, valid, test): so many examples of the first `most`, a fifth for choosing."""
    parts = held_out.parts(dataset, most, data_dir)
    x = np.concatenate([parts.train.x, parts.valid.x])
    y = np.concatenate([parts.train.y, parts.valid.y])
    order = np.random.RandomState(seed).permutation(len(y))[:size]
    learned = size - max(size // 5, 1)
    train, valid = order[:learned], order[learned:]
    return held_out.Share(x[train], y[train]), held_out.Share(x[valid], y[valid])


def net_of(cell, parts):
    """The cell's net, and how it is trained."""
    recipe = Recipe(
        architecture=cell["architecture"],
        activation=cell["activation"],
        depth=cell["depth"],
        width=cell["width"],
    )
    return fits.Net(recipe, supervised.Task(parts.shape, parts.classes))


def measure(cells, shared, memory):
    """One Measured for each cell."""
    return [curve(cell) for cell in cells]


def curve(cell):
    """The exponents of test error and loss, beside its rivals'."""
    data = cell["dataset"], cell.get("data_dir"), cell["most"]
    parts = held_out.parts(cell["dataset"], cell["most"], cell.get("data_dir"))
    net, at = net_of(cell, parts), sizes(cell)
    tuned = [at_size(cell, net, size) for size in at]
    error, loss = (judged(tuned, parts.test, of) for of in (wrong, nats))
    rivals = {name: rival_errors(name, data, at, cell["seeds"]) for name in RIVALS}
    values = scores.values(
        score=power_law.exponents(at, error),
        valid=1 - tuned[-1].tried[tuned[-1].setting].accuracy,
        trivial=0.0,  # as many are wrong, whatever there is to learn from
        strong=power_law.exponents(at, rivals["svm"]),
        before=fits.beforehand(net, parts.train.batch, cell["seeds"]),
        tuned=tuned[-1],
        higher=False,
    )
    values["rate_at_edge"] = any(one.at_edge for one in tuned)
    values["unfinished"] = any(one.unfinished for one in tuned)
    values |= {
        **scores.spread("bend", bends(at, error)),
        **scores.spread("loss_slope", power_law.exponents(at, loss)),
        **scores.spread("nearest_slope", power_law.exponents(at, rivals["nearest"])),
        "straight_from": power_law.straight_from(at, error),
        "error_least": float(error[0].mean()),
        "error_most": float(error[-1].mean()),
        **{f"{name}_most": float(errors[-1].mean()) for name, errors in rivals.items()},
    }
    curves = {"size": np.array(at), "error": error, "loss": loss, **rivals}
    return Measured("ok", "", values, curves)


def bends(at, error):
    """The exponent over the larger half of the sizes less that over the smaller."""
    half = len(at) // 2 + 1
    upper = power_law.exponents(at[-half:], error[-half:])
    return upper - power_law.exponents(at[:half], error[:half])


def at_size(cell, net, size):
    """The runs at the best rate of one size: a seed has its own examples."""
    data = cell["dataset"], cell.get("data_dir"), cell["most"], size
    parts = [drawn(*data, seed) for seed in range(cell["seeds"])]

    def trained(rates):
        by_seed = [
            fits.train(net, train.batch, cell["steps"], rates, (seed,))
            for seed, (train, _) in enumerate(parts)
        ]
        return list(zip(*by_seed, strict=True))

    held = fits.chosen_by(lambda run: run.accuracy(*parts[run.seed][1]))
    most = cell["further_rates"]
    return fits.tuned(trained, nets.rates(cell), "accuracy", held, most=most)


@functools.cache
def rival(name, dataset, data_dir, most, size, seed):
    """A baseline's test error, tuned on the same examples."""
    test = held_out.parts(dataset, most, data_dir).test
    train, _ = drawn(dataset, data_dir, most, size, seed)
    return 1 - float(np.mean(baselines.fit(name, *train).predict(test.x) == test.y))


def judged(tuned, test, measure):
    """What each size's runs give on the test part [sizes, seeds]."""
    of = lambda run: measure(run.outputs(test.x), test.y)
    return np.array([[of(run) for run in one.runs] for one in tuned])


def rival_errors(name, data, at, seeds):
    """A rival's test errors [sizes, seeds]."""
    return np.array(
        [[rival(name, *data, size, seed) for seed in range(seeds)] for size in at]
    )


def wrong(outputs, labels):
    """The share of labels that are not the largest output's."""
    return float(np.mean(outputs.argmax(axis=-1) != labels))


def nats(outputs, labels):
    """The mean cross-entropy."""
    wide = np.asarray(outputs, np.float64)
    wide = wide - wide.max(axis=1, keepdims=True)
    chosen = wide[np.arange(len(labels)), labels]
    return float(np.mean(np.log(np.exp(wide).sum(axis=1)) - chosen))


# ------------------------------------------------------------------ from rows


def deeper(rows):
    """Each net's exponent less that of the shallowest of its kind."""
    kinds = {}
    for row in sorted(rows, key=lambda row: row["depth"]):
        kinds.setdefault((row["architecture"], row["activation"]), []).append(row)
    return [
        {
            **pairs.joint([first, row]),
            **{name: row[name] for name in ("architecture", "depth", "seeds")},
            **comparisons.apart(row, first),
        }
        for first, *rest in kinds.values()
        for row in rest
    ]


def headline(rows):
    """Whose error falls faster with examples, and the largest error with most of them."""
    done = measured(rows)
    best, worst = SCORING.best(done), max(done, key=lambda row: row["error_most"])
    net, strong = (SCORING.write(best[name]) for name in ("score", "strong"))
    who = {
        "wins": "The net is ahead",
        "loses": "The strong baseline is ahead",
        "ties": f"The net is {scores.TIE} the strong baseline",
    }[SCORING.verdict(best)]
    answer = (
        f"{who}: of m examples the test error of the best net ({SCORING.name(best)}) "
        f"falls as m^{net}, that of an RBF SVM as m^{strong}. With {best['most']} "
        f"examples {best['error_most']:.1%} of the net's answers are wrong, "
        f"{best['svm_most']:.1%} of the SVM's, {best['nearest_most']:.1%} of the nearest "
        "neighbours'."
    )
    if best["straight_from"] is not None:
        answer += f" One power law fits from {best['straight_from']} examples on."
    return Headline(
        answer,
        f"Worst: {worst['error_most']:.1%} of answers with {worst['most']} examples "
        f"({SCORING.name(worst)}), as m^{SCORING.write(worst['score'])}.",
    )


def draw_curves(rows, profiles):
    """Draws the test error by size, with the lines that were fitted to it."""

    def draw(figure, axes):
        done = measured(rows)
        for place, row in enumerate(done):
            curve = profiles(row)
            _line(axes, curve["size"], curve["error"], SCORING.name(row), f"C{place}")
        for name, colour in zip(RIVALS, ("black", "#888888"), strict=True):
            if done:
                curve = profiles(done[0])
                _line(axes, curve["size"], curve[name], name, colour)
        axes.set_xscale("log")
        axes.set_yscale("log")
        axes.minorticks_off()
        ticks = sorted({int(size) for row in done for size in profiles(row)["size"]})
        axes.set_xticks(ticks, [str(size) for size in ticks])
        axes.set_xlabel("examples")
        axes.set_title("test error by size", loc="left")
        axes.legend(fontsize=6, frameon=False)

    return draw


def _line(axes, at, error, name, colour):
    """Mean errors with their standard errors, and the law that was fitted."""
    slope = power_law.exponents(at, error).mean()
    spread = error.std(axis=1, ddof=min(1, error.shape[1] - 1)) / error.shape[1] ** 0.5
    axes.errorbar(at, error.mean(axis=1), spread, fmt="o", ms=3, lw=1, color=colour)
    label = f"{name}: {slope:.2f}"
    axes.plot(at, power_law.line(at, error), lw=1, color=colour, label=label)


def figures_of(rows, profiles):
    caption = (
        "Third: test error by number of examples, with standard errors over seeds, and "
        "the power laws that were fitted, over no more than the sizes shown."
    )
    return [SCORING.figure(rows, caption, draw_curves(rows, profiles))]


STUDY = Study(
    name="data_scaling",
    kind="experiment",
    question="Is the test error a power of the number of examples, whatever the depth?",
    source=SOURCE,
    axes={
        **scores.axes((1, 4, 16), architectures=("mlp",)),
        "least": whole("examples of the smallest size", (90,), low=20),
        "most": whole("examples of the largest size", (1437,), low=80),
        "sizes": whole("sizes, at equal ratios", (5,), low=3),
        "width": whole("units of a layer", (64,)),
        "dataset": readable.axis(readable.classified),
        "steps": whole("steps of 64 examples", (600,)),
        "seeds": whole("draws of examples and weights", (8,)),
        **nets.rate_axes(1e-3, 3e-3, 2),
    },
    sizes={
        "smoke": {
            "depth": (1,),
            "least": (50,),
            "most": (200,),
            "sizes": (3,),
            "width": (16,),
            "steps": (30,),
            "seeds": (2,),
            "rates": (1,),
        },
        "full": {
            "architecture": scores.SKIPS,
            "least": (625,),
            "most": (10_000,),  # an exact SVM of 60,000 takes hours
            "width": (512,),
            "dataset": ("fashion_mnist",),
            "steps": (5000,),
        },
    },
    plan=costs.plan(
        compiling=9.0,
        layer=5.5e-5,
        runs=lambda cell: cell["sizes"] * costs.tried(cell),
    ),
    fit=fit,
    measure="depthbench.experiments.training.data_scaling:measure",
    columns=(
        *("architecture", "activation", "depth", "width", "least", "most", "sizes"),
        *(*scores.COLUMNS, "bend", "bend_se", "loss_slope", "loss_slope_se"),
        *("nearest_slope", "nearest_slope_se", "straight_from", "error_least"),
        *("error_most", "svm_most", "nearest_most"),
    ),
    claims=(
        Claim(
            "hestness2017.error-is-a-power",
            "the test error is a power of the number of training examples: its exponent "
            f"over the larger sizes is that over the smaller ones, to {BEND}",
            f"{SOURCE}, abstract",
            estimate=mean_of("bend"),
            allows=about(0.0, within=BEND),
            protocol=PROTOCOL,
            differs="four domains, up to 10⁹ tokens; the net grows with the data",
            scope=lambda row: True,
            label=("architecture", "depth"),
        ),
        Claim(
            "hestness2017.depth-keeps-exponent",
            "a deeper net's test error has the exponent of a shallow one's in the number "
            f"of training examples, to {SHIFT}",
            f"{SOURCE}, abstract: model improvements only shift the error",
            estimate=scores.gap,
            allows=about(0.0, within=SHIFT),
            protocol=PROTOCOL,
            differs="published architectures, one after the other, not depth alone",
            scope=lambda row: True,
            label=("architecture", "depth"),
            of=deeper,
        ),
        Claim(
            "depthbench.net-steeper-than-svm",
            "depthbench's own bar: the test error of a net falls faster with the number "
            "of training examples than that of an SVM tuned at each size",
            "depthbench: a steep power law is worth having where a simple one is flatter",
            estimate=scores.gap,
            allows=above(0.0),
            protocol=PROTOCOL,
            scope=lambda row: True,
            label=("architecture", "depth"),
        ),
    ),
    headline=headline,
    tables=lambda rows: [
        SCORING.table(
            rows, more=("error_most", "straight_from", "nearest_slope", "loss_slope")
        )
    ],
    figures=figures_of,
    shows=("more data instead of a better method",),
    summary=SCORING.summary,
    compile_seconds=15.0,
)

if __name__ == "__main__":
    from depthbench.research.cli.main import script

    script(STUDY.name)
