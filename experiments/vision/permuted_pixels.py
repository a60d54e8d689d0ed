"""How much does each kind of net lose when pixels are shuffled, and a deeper one more?

Source: Greydanus & Kobak 2020, arXiv:2011.14439, table 1: with the points of MNIST-1D
shuffled, all examples alike, a CNN falls from 94 to 56 % and a GRU from 91 to 57 %; an MLP
has 68 % both times. What differs: nets of equal layers at several depths, and the CNN's
head reads every place by itself; as it is, with the mean over places, it would lose more
(0.93 to 0.42 with 4 layers), but for a head's sake. A support vector machine is given the
same points: for it their order means nothing.

Claims are on what 1,500 steps down a cosine give, by which most nets still come to fit the
curves they learn from more closely. Both orders have the same fresh weights and the best
rate of one grid each, chosen by the first seed on examples that are held out. Each seed has
a shuffle of its own, and what is lost is paired by seed. On images (`--dataset digits`) the
GRU reads a row a step.
"""

from depthbench.experiments import by_depth, comparisons, first_seed, scores
from depthbench.experiments.once import once
from depthbench.experiments.scores import Scoring
from depthbench.experiments.training import nets
from depthbench.experiments.training.pairs import whole
from depthbench.experiments.vision import permuted_shown
from depthbench.experiments.vision.permuted_shown import WORDS
from depthbench.research.catalogues.catalogue import choices
from depthbench.research.datasets import readable
from depthbench.research.lazy import lazily
from depthbench.research.learning.recipe import Recipe
from depthbench.research.learning.selection import Outcome, half
from depthbench.research.study.axes import Axis
from depthbench.research.study.claims import Claim
from depthbench.research.study.declaration import Cost, Headline, Measured, Plan, Study
from depthbench.research.study.doubts import after_steps
from depthbench.research.study.estimates import STAYS, about, above, mean_of
from depthbench.research.study.headlines import counted, measured

with lazily():
    import numpy as np

    from depthbench.research.architectures.convolutional import placed
    from depthbench.research.learning import baselines, fits, held_out, supervised

SOURCE = "Greydanus & Kobak 2020, arXiv:2011.14439, table 1"
NETS = choices(
    "net",
    mlp="dense layers",
    cnn="convolutions over three neighbours in each direction",
    gru="layers of gated recurrent units",
)
BATCH = 32
DEEPEST_GRU = 4  # layers: of more a step takes as long as all the others'
SCORING = Scoring(
    system="nets that are shown shuffled pixels",
    noun="accuracy on shuffled pixels",
    trivial="largest class",
    strong="RBF SVM",
    by=("net",),
    naming=lambda row, net: f"{WORDS[row['net']]} of {counted(row['depth'], 'layer')}",
)
PROTOCOL = (
    "MNIST-1D, 3,200 curves to learn from and 1,000 to test, Adam down a "
    "cosine, 1,500 steps of 32, 3 shuffles, rates chosen on 800 further curves"
)
OWN = ("kept", "drop", "drop_low", "drop_high", "drop_test_se", "kept_rate")


def fit(cells, typed):
    """The cells; without deep recurrent nets, unless their depth was typed."""
    cells, said = nets.fit(cells, typed)
    if "depth" in typed:
        return cells, said
    slow = [c for c in cells if c["net"] == "gru" and c["depth"] > DEEPEST_GRU]
    if not slow:
        return cells, said
    line = f"{len(slow)} left out: a GRU of more than {DEEPEST_GRU} layers takes long"
    return [cell for cell in cells if cell not in slow], [*said, line]


def net_of(cell, parts):
    """The cell's net: a CNN of the data's own form."""
    image, change, width = len(parts.shape) == 3, None, cell["width"]
    name = {"mlp": "mlp", "gru": "stacked_gru", "cnn": "cnn" if image else "cnn_1d"}
    if cell["net"] == "cnn":
        change = placed.by_place
    if cell["net"] != "mlp":
        width = max(1, width // 4)
    recipe = Recipe(
        architecture=name[cell["net"]],
        depth=cell["depth"],
        width=width,
        batch=BATCH,
        schedule="cosine",
    )
    return fits.Net(recipe, supervised.Task(parts.shape, parts.classes, change=change))


def shuffled(x, seed):
    """Examples [examples, …] whose pixels all lie elsewhere, alike in all of them."""
    flat = np.asarray(x).reshape(len(x), -1)
    order = np.random.RandomState(seed).permutation(flat.shape[1])
    return flat[:, order].reshape(np.shape(x))


@once
def machine_right(dataset, data_dir):
    """Whether the SVM tells each test example right [examples]; in either order it is the
    same machine."""
    parts = held_out.parts(dataset, data_dir=data_dir)
    fitted = baselines.fit("svm", *parts.train)
    return fitted.predict(parts.test.x) == parts.test.y


def measure(cells, shared, memory):
    """One Measured for each cell."""
    return [accuracies(cell) for cell in cells]


def accuracies(cell):
    """Test accuracies with pixels in order and shuffled."""
    data = cell["dataset"], cell.get("data_dir")
    parts, machine = held_out.parts(data[0], data_dir=data[1]), machine_right(*data)
    net = net_of(cell, parts)
    kept = tuned(cell, net, parts, lambda x, seed: x)
    mixed = tuned(cell, net, parts, shuffled)
    right = np.array([known(fit, parts.test, lambda x, seed: x) for fit in kept.runs])
    mixed_right = np.array([known(fit, parts.test, shuffled) for fit in mixed.runs])
    values = scores.values(
        score=mixed_right.mean(axis=1),
        valid=float(np.mean([accuracy(f, parts.valid, shuffled) for f in mixed.runs])),
        trivial=scores.baseline("majority", *data),
        strong=float(np.mean(machine)),
        before=fits.beforehand(net, parts.train.batch, cell["seeds"]),
        tuned=mixed,
        examples=len(parts.test.y),
        test_error=comparisons.of_answers(mixed_right, machine),
    )
    values |= scores.spread("kept", right.mean(axis=1), len(parts.test.y))
    values |= scores.of_answers("drop", right, mixed_right)
    values["kept_rate"] = kept.setting
    values["rate_at_edge"] |= kept.at_edge
    values["unfinished"] |= kept.unfinished
    return Measured("ok", "", values, permuted_shown.examples(parts, shuffled))


def known(fit, part, order):
    """Whether each example is told right [examples]."""
    return fit.outputs(order(part.x, fit.seed)).argmax(axis=-1) == part.y


def accuracy(fit, part, order):
    return float(np.mean(known(fit, part, order)))


def tuned(cell, net, parts, order):
    """The `fits.Tuned` of rates by the first seed; its runs are of all.

    order: (x, seed) -> x as a run sees it.
    """

    most = cell["steps"]

    def one(rate, seed, steps=most):
        data = {"inputs": order(parts.train.x, seed), "targets": parts.train.y}
        return fits.train(net, data, steps, [rate], [seed], capacity=most)[0]

    def trained(rates, seeds):
        return [one(rate, seed) for rate in rates for seed in seeds]

    def outcome(runs):
        ended = sum(run.diverged is None for run in runs) / len(runs)
        right = np.mean([accuracy(run, parts.valid, order) for run in runs])
        return Outcome(ended=ended, accuracy=float(right))

    sooner = lambda rate: [one(rate, 0, half(most))]
    return first_seed.of_runs(
        trained, cell, nets.rates(cell), "accuracy", outcome, sooner
    )


# -------------------------------------------------------------------------- claims


def published(net):
    """The scope of a claim on one kind of net, on the source's data."""
    return lambda row: row["net"] == net and row["dataset"] == "mnist1d"


LABEL = ("net", "depth")
SHARED = {
    "protocol": PROTOCOL,
    "label": LABEL,
    "estimate": mean_of("drop"),
    "doubt": after_steps,
}
DIFFERS = (
    "three convolutions in steps of two; a GRU that reads both ways; its own rates"
)
CLAIMS = (
    Claim(
        "greydanus2020.cnn-loses",
        "a convolutional net loses 38 points of accuracy when pixels are shuffled, to 10",
        SOURCE,
        allows=about(0.38, within=0.10),
        published="94 to 56 %",
        differs=DIFFERS,
        scope=published("cnn"),
        **SHARED,
    ),
    Claim(
        "greydanus2020.gru-loses",
        "a recurrent net loses 34 points of accuracy when pixels are shuffled, to 10",
        SOURCE,
        allows=about(0.34, within=0.10),
        published="91 to 57 %",
        differs=DIFFERS,
        scope=published("gru"),
        **SHARED,
    ),
    Claim(
        "greydanus2020.mlp-loses-nothing",
        "a dense net loses no accuracy when pixels are shuffled, to 3 points",
        SOURCE,
        allows=about(0.0, within=0.03),
        published="68 to 68 %",
        differs="two hidden layers of 100",
        scope=published("mlp"),
        **SHARED,
    ),
    Claim(
        "depthbench.deeper-cnn-loses-more",
        "depthbench's own bar: the deepest convolutional net loses at least 5 points more "
        "by shuffling than the shallowest",
        "depthbench",
        allows=above(0.05),
        scope=lambda row: row["net"] == "cnn",
        of=comparisons.deeper(("net", "dataset"), "drop"),
        **{**SHARED, "estimate": scores.gap},
    ),
)


# --------------------------------------------------------------------------- shown


def headline(rows):
    """Which is best on shuffled pixels, what depth adds to the loss, and what the net of
    each kind loses that serves best there."""
    answer, worst = SCORING.headline(rows)
    by, said, kind = ("net", "dataset"), [], by_depth.of_names(WORDS, "net")
    after = lambda pair: STAYS  # what is lost by so many steps
    lost = by_depth.told(SCORING, rows, by, kind, "drop", "what is lost", after)
    answer = f"{answer} {lost}".strip()
    for net in WORDS:
        own = [row for row in measured(rows) if row["net"] == net]
        if own:
            row = SCORING.best(own)
            to = f"{SCORING.write(row['kept'])} to {SCORING.write(row['score'])}"
            said.append(f"{SCORING.name(row)} {to}")
    return Headline(f"{answer} In order, then shuffled: {', '.join(said)}.", worst)


def in_words(rows):
    return [{**row, "net": WORDS[row["net"]]} for row in rows]


STUDY = Study(
    name="permuted_pixels",
    kind="experiment",
    question="How much does a net lose when pixels are shuffled, and a deeper one more?",
    source=SOURCE,
    axes={
        "net": Axis("what reads the pixels", ("mlp", "cnn", "gru"), NETS),
        "depth": whole("layers after the first", (1, 4, 12), single=False),
        "width": whole("units of a dense layer; others have a quarter", (64,)),
        "dataset": readable.axis(readable.classified)._replace(values=("mnist1d",)),
        "steps": whole("steps of 32 examples", (1500,)),
        "seeds": whole("shuffles, a run at the best rate", (3,)),
        **nets.rate_axes(3e-3, 1e-2, 2),
    },
    sizes={
        "smoke": {
            "net": ("mlp", "cnn"),
            "depth": (1,),
            "width": (16,),
            "dataset": ("digits",),
            "steps": (30,),
            "seeds": (2,),
            "rates": (1,),
            "further_rates": (0,),
        },
        "full": {"depth": (1, 2, 4, 8, 16), "width": (256,), "steps": (4000,)},
    },
    plan=Plan(cost=lambda cells, shared: cost(cells), priority=nets.longest_first),
    fit=fit,
    measure="depthbench.experiments.vision.permuted_pixels:measure",
    columns=("net", "depth", "width", "dataset", *scores.COLUMNS, *OWN),
    claims=CLAIMS,
    headline=headline,
    tables=lambda rows: [SCORING.table(in_words(rows), more=("kept", "drop"))],
    figures=lambda rows, profiles: permuted_shown.figures_of(SCORING, rows, profiles),
    shows=("net that knows which pixels are neighbours",),
    summary=SCORING.summary,
    compile_seconds=3.0,
)
STEP = {
    "mlp": 5e-5,
    "cnn": 3e-4,
    "gru": 1.2e-3,
}  # seconds of a step and layer, width 64


def cost(cells):
    """Of steps and layers."""
    seconds = 0.0
    for cell in cells:
        tried = cell["rates"] + min(cell["further_rates"], 1)
        runs = 2 * (tried + cell["seeds"] - 1)
        layer = STEP[cell["net"]] * max(1.0, cell["width"] / 64) ** 1.5
        seconds += runs * cell["steps"] * layer * (0.5 + cell["depth"]) + 1.0
    return Cost(2**28, 2**28, seconds)


if __name__ == "__main__":
    from depthbench.research.cli.main import script

    script(STUDY.name)
