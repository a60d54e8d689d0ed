"""Does evolution train the nets whose gradient vanishes?

Source: Salimans, Ho, Chen, Sidor & Sutskever 2017, arXiv:1703.03864: evolution strategies
need no backpropagation, and so no gradient that vanishes. Zhang, Clune & Stanley 2017,
arXiv:1712.06564: on MNIST they reach 99 %.

Sigmoid nets are learned twice from the same start: by evolution strategies, antithetic and
by ranks as in the first source, and by backpropagation; both by Adam down a cosine, each at
the best rate of one grid, chosen on held-out examples: evolution's, which cost 30 times as
much, by the first seed, backpropagation's by all. Of a step, evolution asks for the
losses of all neighbours on the same 64 examples, backpropagation for one gradient. `spread`
is log10 of the deviation of the fresh net's neighbours' losses: all that evolution sees. It
hardly falls with depth where the first layer's gradient falls by decades, as it is the last
layers that make it. What vanishes makes evolution slow and does not stop it. Rows say what
is learned in 3,500 steps of each, whose rates have fallen to nothing by then, and no more.

Depths and steps were chosen in trials, by held-out digits and not by the test's. With 8
layers and σ 0.1 evolution was right of 62 to 72 % after 4,000 steps; backpropagation after
20,000, at its best rate of three, of 17, 17 and 81 % by its seeds. With 16 layers, 32 pairs
and 5,000 steps one of two seeds of evolution had left chance, at 26 %, and backpropagation
none after 20,000: more is beyond three minutes of two cores, and in `--size full`.
"""

from depthbench.experiments import by_depth, comparisons, first_seed, scores
from depthbench.experiments.scores import Scoring
from depthbench.experiments.training import nets, pairs
from depthbench.experiments.training.pairs import whole
from depthbench.research.datasets import readable
from depthbench.research.lazy import lazily
from depthbench.research.learning.recipe import Recipe
from depthbench.research.learning.selection import half
from depthbench.research.report import figures as drawn
from depthbench.research.study.axes import Axis
from depthbench.research.study.claims import Claim
from depthbench.research.study.declaration import Cost, Headline, Measured, Plan, Study
from depthbench.research.study.doubts import (
    COLUMNS,
    after_steps,
    certain,
    of_training,
    upward,
)
from depthbench.research.study.estimates import Moves, above, below, interval, mean_of
from depthbench.research.study.headlines import counted, measured, of_deepest

with lazily():
    import jax
    import numpy as np

    from depthbench.research.architectures import contract
    from depthbench.research.learning import evolution, fits, held_out, supervised
    from depthbench.research.learning import system as systems

SOURCE = "Salimans et al. 2017, arXiv:1703.03864"
SCORING = Scoring(
    system="net learned by evolution strategies",
    noun="test accuracy",
    trivial="largest class",
    strong="RBF SVM",
    by=("activation", "sigma"),
    naming=lambda row, net: f"{net}, σ {row['sigma']:g}",
)
DEEP, DEEPEST = 4, 8
BACKPROP = "backpropagation"
PROTOCOL = (
    "digits, 16 units, Adam down a cosine, 3,500 steps of 64 examples by evolution with "
    "32 neighbours, and as many by backpropagation, 3 seeds, the best of 3 or more rates "
    "on held-out examples, evolution's by the first seed"
)


def net_of(cell, parts):
    recipe = Recipe(
        architecture=cell["architecture"],
        activation=cell["activation"],
        depth=cell["depth"],
        width=cell["width"],
        initializer="glorot_normal",
        schedule="cosine",
    )
    return fits.Net(recipe, supervised.Task(parts.shape, parts.classes))


def measure(cells, shared, memory):
    """One Measured for each cell."""
    return [accuracies(cell) for cell in cells]


def accuracies(cell):
    """Test accuracy by evolution and by backpropagation, each at its best rate."""
    asked, seeds = (cell["dataset"], cell.get("data_dir")), cell["seeds"]
    parts = held_out.parts(asked[0], data_dir=asked[1])
    net, (train, valid, test) = net_of(cell, parts), parts[:3]

    def evolved(rates, numbers, steps=cell["steps"]):
        how = numbers, cell["sigma"], cell["pairs"], cell["steps"]
        return evolution.train(net, train.batch, steps, rates, *how)

    held, most = fits.held(valid), cell["further_rates"]
    sooner = lambda rate: evolved([rate], [0], half(cell["steps"]))
    tuned = first_seed.of_runs(
        evolved, cell, nets.rates(cell), "accuracy", held, sooner
    )
    by_rate = fits.by_rate(net, train.batch, cell["backprop_steps"], seeds)
    other = fits.tuned(by_rate, nets.rates(cell), "accuracy", held, most=most)
    right = [run.accuracy(*test) for run in tuned.runs]
    beside = [run.accuracy(*test) for run in other.runs]
    values = scores.values(
        score=right,
        valid=float(np.mean([run.accuracy(*valid) for run in tuned.runs])),
        trivial=scores.baseline("majority", *asked),
        strong=scores.baseline("svm", *asked),
        before=fits.beforehand(net, train.batch, seeds),
        tuned=tuned,
        examples=len(test.y),
    )
    values["step_mflop"] = mflop(net, train.batch, cell)
    values["backprop_at_edge"] = other.at_edge
    values["backprop_unfinished"] = other.unfinished
    values |= scores.spread("backprop", beside, len(test.y))
    values |= scores.beside("beside", right, beside, len(test.y))
    each = [spread(net, train.first(64).batch, cell, seed) for seed in range(seeds)]
    values |= scores.spread("spread", each)
    curves = {
        "evolution": np.mean([run.log["accuracy"] for run in tuned.runs], axis=0),
        "backprop": np.mean([run.log["accuracy"] for run in other.runs], axis=0),
    }
    arrays = {name: np.asarray(array, np.float32) for name, array in curves.items()}
    return Measured("ok", "", values, arrays)


def spread(net, batch, cell, seed):
    """log10 of the deviation of a fresh net's neighbours' losses."""
    params, stats = contract.divide(fits.fresh(net, seed).variables)
    key = jax.random.key(seed)
    asked = (batch, key, cell["sigma"], cell["pairs"])
    found = evolution.estimated(net.parts, params, stats, *asked)
    return float(np.log10(np.std(np.asarray(found.losses, np.float64))))


def mflop(net, batch, cell):
    """Millions of operations of a step: its neighbours' losses."""
    numbers = evolution.numbers(net, 0.0, 1, cell["sigma"])
    system = evolution.system(net, cell["pairs"])
    state = jax.eval_shape(
        lambda key: systems.init(key, system, numbers), jax.random.key(0)
    )
    return fits.step_mflop(system, net.recipe.batch, state, numbers, batch)


def headline(rows):
    """Evolution beside the baseline, what depth takes from it, and in the deepest net
    evolution beside backpropagation."""
    answer, worst = SCORING.headline(rows)
    kind = lambda pair: f"σ {pair['sigma']:g}"
    deeper = by_depth.told(SCORING, rows, ("activation", "sigma"), kind)
    best = SCORING.best(of_deepest(measured(rows)))
    each = [SCORING.write(best[name]) for name in ("score", "backprop")]
    last = (
        f"With {counted(best['depth'], 'layer')}, where log10 of the first gradient is "
        f"{best['first_gradient']:.1f}, evolution reaches {each[0]}, {ahead(best)} "
        f"backpropagation with {each[1]}."
    )
    return Headline(" ".join(filter(None, (answer, deeper, last))), worst)


def ahead(row):
    """Whether evolution is surely more accurate than backpropagation."""
    low, high = interval(mean_of("beside")(row), level=0.025)
    if low > 0 or high < 0:
        return "surely ahead of" if low > 0 else "surely behind"
    return "not surely ahead of" if row["beside"] > 0 else "not ahead of"


def of_either(row):
    """The doubts of evolution's training, and those of backpropagation's."""
    names = ("rate_at_edge", "backprop_at_edge"), ("unfinished", "backprop_unfinished")
    return of_training({one: row.get(one) or row.get(other) for one, other in names})


def edge_of_either(row):
    """The doubts of what both have after so many steps: those of their rates alone."""
    names = "rate_at_edge", "backprop_at_edge"
    return after_steps({"rate_at_edge": any(row.get(name) for name in names)})


def towards(row):
    """Which way more of either's training might take by how much evolution is better."""
    others = ("backprop_at_edge", "backprop_unfinished")
    up, down = (any(bool(row.get(name)) for name in n) for n in (COLUMNS, others))
    return Moves(up=up, down=down)


def figures_of(rows, profiles):
    caption = (
        "Third: the share right of each step's examples, by evolution and by "
        "backpropagation, whose steps take far fewer operations; deeper nets are darker."
    )

    def draw(figure, axes):
        done = sorted(measured(rows), key=lambda row: row["depth"])
        depths = sorted({row["depth"] for row in done})
        several = len({(row["architecture"], row["activation"]) for row in done}) > 1
        net = lambda row: f"{by_depth.net(row)}, " if several else ""
        shades = np.linspace(1.0, 0.3, len(depths))[::-1]
        lines = {}
        for row in done:
            held, depth = profiles(row), row["depth"]
            lines[f"{net(row)}σ {row['sigma']:g}", depth] = held["evolution"]
            lines[f"{net(row)}{BACKPROP}", depth] = held["backprop"]  # of any σ
        names = sorted(dict.fromkeys(n for n, _ in lines), key=lambda n: BACKPROP in n)
        for name, depth in sorted(lines, key=lambda k: (names.index(k[0]), k[1])):
            label = f"{name}, {counted(depth, 'layer')}"
            style = {"lw": 1, "alpha": shades[depths.index(depth)], "label": label}
            ink = f"C{names.index(name)}"
            axes.plot(smooth(lines[name, depth]), color=ink, **style)
        axes.set_title("share right by step", loc="left")
        axes.set_xlabel("step")
        drawn.legend_below(figure.axes[1])
        drawn.legend_below(axes, 3)

    return [SCORING.figure(rows, caption, draw)]


def smooth(curve, window=20):
    """The mean over so many steps, or over all where they are fewer."""
    window = min(window, len(curve))
    return np.convolve(curve, np.ones(window) / window, "valid")


def cost(cells, shared):
    """Seconds by operations: of the neighbours' losses, at some 10 GFLOP a second."""
    (cell,) = cells
    weights = (cell["depth"] + 2) * cell["width"] ** 2 + 64 * cell["width"]
    each = 2 * cell["pairs"] * 64 * 2 * weights / 1e10
    runs = 1.5 * cell["rates"] + cell["seeds"]
    memory = 2**28 + 2 * cell["pairs"] * (8 * weights + 256 * cell["width"] * 16)
    return Cost(memory, memory, 3.0 + runs * cell["steps"] * each)


PAIR = {"protocol": PROTOCOL, "label": ("sigma", "depth")}

STUDY = Study(
    name="evolution",
    kind="experiment",
    question="Does evolution train the nets whose gradient vanishes?",
    source=SOURCE,
    axes={
        **scores.axes((1, 4, 8), ("mlp",), ("sigmoid",)),
        "sigma": Axis(
            "deviation of neighbours' weights",
            (0.03, 0.1),
            kind="number",
            low=1e-6,
            high=100.0,
        ),
        "pairs": whole("pairs of neighbours of a step", (16,)),
        "width": whole("units of a layer", (16,)),
        "dataset": readable.axis(readable.classified),
        "steps": whole("steps of 64 examples by evolution", (3500,)),
        "backprop_steps": whole("steps by backpropagation", (3500,)),
        "seeds": whole("runs of the best rate", (3,)),
        **nets.rate_axes(1e-2, 1.6e-1, 3),
    },
    sizes={
        "smoke": {
            "depth": (1,),
            "sigma": (0.1,),
            "pairs": (4,),
            "width": (8,),
            "steps": (20,),
            "backprop_steps": (20,),
            "seeds": (2,),
            "rates": (1,),
            "further_rates": (0,),
        },
        "full": {
            "depth": (1, 4, 8, 16),
            "pairs": (256,),
            "width": (32,),
            "steps": (10_000,),
            "backprop_steps": (10_000,),
        },
    },
    plan=Plan(cost=cost, priority=nets.longest_first),
    fit=nets.fit,
    measure="depthbench.experiments.acting.evolution:measure",
    columns=(
        *("activation", "sigma", "architecture", "depth", "width"),
        *scores.COLUMNS,
        *("backprop", "backprop_se", "beside", "beside_se", "beside_test_se"),
        *("spread", "spread_se"),
        *("backprop_at_edge", "backprop_unfinished"),
    ),
    claims=(
        Claim(
            "popular.evolution-needs-no-gradient",
            "evolution trains a sigmoid net of four layers, whose gradient vanishes, to an "
            "accuracy of 0.9",
            "popular accounts of deep learning",
            estimate=scores.score,
            allows=above(0.9),
            moves=upward,
            differs="accounts name no net and no number",
            scope=lambda row: row["depth"] == DEEP and row["activation"] == "sigmoid",
            **PAIR,
        ),
        Claim(
            "depthbench.evolution-beats-what-vanishes",
            "depthbench's own bar: after as many steps evolution has a sigmoid net of "
            "eight layers or more right more often than backpropagation",
            "depthbench: what backpropagation cannot train, if anything",
            estimate=mean_of("beside"),
            allows=above(0.0),
            scope=lambda row: (
                row["depth"] >= DEEPEST and row["activation"] == "sigmoid"
            ),
            doubt=edge_of_either,
            moves=towards,
            **PAIR,
        ),
        Claim(
            "zhang2017.evolution-reads-digits",
            "with one hidden layer after the first, evolution is as accurate as "
            "backpropagation, to 2 points",
            "Zhang, Clune & Stanley 2017, arXiv:1712.06564, abstract",
            estimate=mean_of("beside"),
            allows=above(-0.02),
            differs="MNIST, a convolutional net, populations of thousands",
            published="99 %",
            scope=lambda row: row["depth"] == 1,
            doubt=of_either,
            moves=towards,
            **PAIR,
        ),
        Claim(
            "depthbench.neighbours-lose-it-too",
            "depthbench's own bar: losses of a deep sigmoid net's neighbours differ less "
            "than those of one with a single hidden layer after the first",
            "depthbench: what vanishes for differences of losses, as for gradients",
            estimate=pairs.gap,
            allows=below(0.0),
            protocol="fresh digits nets of 16 sigmoid units, 32 neighbours, 3 seeds",
            scope=lambda row: row["activation"] == "sigmoid",
            label=("sigma", "depth"),
            doubt=certain,
            of=comparisons.deeper(("sigma", "architecture", "activation"), "spread"),
        ),
    ),
    headline=headline,
    tables=lambda rows: [SCORING.table(rows, more=("backprop", "spread"))],
    figures=figures_of,
    shows=("evolution strategies",),
    summary=SCORING.summary,
    compile_seconds=4.0,
)

if __name__ == "__main__":
    from depthbench.research.cli.main import script

    script(STUDY.name)
