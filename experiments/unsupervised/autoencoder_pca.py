"""Is a deep autoencoder's code better than as many principal components?

Source: Hinton & Salakhutdinov 2006, Science 313:504: on MNIST, by 30 numbers, a deep
autoencoder that begins with a stack of restricted Boltzmann machines has a squared error
of 3.00 an image where principal components have 13.87. Kernel PCA is what a nonlinear
code costs without a net.

The net halves its width down to the code and doubles it on the way back. A start without
machines takes as many steps more as these took. Rates are chosen on held-out images.
"""

import math

from depthbench.experiments import comparisons, scores
from depthbench.experiments.once import once
from depthbench.experiments.scores import Scoring
from depthbench.experiments.training import costs, nets, pairs
from depthbench.experiments.training.pairs import whole
from depthbench.experiments.unsupervised import autoencoder_shown
from depthbench.research.catalogues.catalogue import choices
from depthbench.research.datasets import readable
from depthbench.research.lazy import lazily
from depthbench.research.learning.recipe import Recipe
from depthbench.research.study.axes import Axis
from depthbench.research.study.claims import Claim
from depthbench.research.study.declaration import (
    Headline,
    Measured,
    Study,
)
from depthbench.research.study.doubts import after_steps, upward
from depthbench.research.study.errors import Refusal
from depthbench.research.study.estimates import above, mean
from depthbench.research.study.headlines import counted, measured

with lazily():
    import numpy as np

    from depthbench.research.architectures.autoencoder import bottleneck
    from depthbench.research.learning import (
        baselines,
        fits,
        greedy,
        held_out,
        projections,
        supervised,
    )

SOURCE = "Hinton & Salakhutdinov 2006, Science 313:504"
STARTS = choices(
    "start",
    glorot="no pretraining, Glorot's variance",
    rbm="restricted Boltzmann machines layer by layer, and their transposes",
)
STARTED = {"glorot": "not pretrained", "rbm": "pretrained as RBMs"}
SCORING = Scoring(
    system="deep autoencoder",
    noun="squared error an image",
    trivial="mean image",
    strong="PCA or kernel PCA",
    by=("start", "code"),
    naming=lambda row, net: f"{net}, {STARTED[row['start']]}, code of {row['code']}",
    higher=False,
    form=".2f",
    within=scores.positive,
)
DEEP = 4
SHOWN = 10
PROTOCOL = (
    "digits of 64 pixels with mean square 1, first layer 64 sigmoid units, Adam, 1,500 "
    "steps of 64 after 300 a layer of pretraining, or as many without; 3 seeds, rates "
    "chosen on a fifth of the training part"
)


def net_of(cell, parts):
    """The cell's net: widths are halved from layer to layer, and the last is the code."""
    recipe = Recipe(
        architecture="autoencoder",
        activation="sigmoid",
        depth=cell["depth"],
        width=cell["width"],
        initializer="glorot_normal",
    )
    pixels = math.prod(parts.shape)
    change = bottleneck.through(cell["code"])
    return fits.Net(
        recipe, supervised.Task(parts.shape, pixels, "reconstruction", change)
    )


def widths_of(cell):
    """Units of each layer from the first to the code."""
    halved = [cell["width"] >> n for n in range(cell["depth"] // 2)]
    return [*halved, cell["code"]]


def measure(cells, shared, memory):
    """One Measured for each cell."""
    return [reconstructed(cell) for cell in cells]


def reconstructed(cell):
    """Squared error at the best rate, and how well the code tells classes apart."""
    asked = cell["dataset"], cell.get("data_dir")
    parts = held_out.parts(asked[0], data_dir=asked[1])
    net, (train, valid, test) = net_of(cell, parts), parts[:3]
    seeds, starts = cell["seeds"], None
    steps = cell["steps"] + cell["pretraining"] * len(widths_of(cell))
    if cell["start"] == "rbm":
        starts = [begun(net, cell, flat(train.x), seed) for seed in range(seeds)]
        steps = cell["steps"]

    held = fits.chosen_by(lambda run: squared(run, valid.x).mean(), "loss")
    by_rate = fits.by_rate(net, train.batch, steps, seeds, starts=starts)
    most = cell["further_rates"]
    tuned = fits.tuned(by_rate, nets.rates(cell), "loss", held, most=most)
    linear, curved = projected(*asked, cell["code"])
    chosen = projections.best([linear, curved], flat(valid.x))
    x = flat(test.x)
    each = np.array([squared(run, test.x) for run in tuned.runs])
    values = scores.values(
        score=each.mean(axis=1),
        valid=tuned.tried[tuned.setting].loss,
        trivial=float(np.mean(np.sum((x - flat(train.x).mean(axis=0)) ** 2, axis=1))),
        strong=float(chosen.errors(x).mean()),
        before=fits.beforehand(net, train.batch, seeds, starts=starts),
        tuned=tuned,
        higher=False,
    )
    values |= comparisons.of_averages(each, chosen.errors(x))
    told = np.array(
        [told_apart(lambda x, run=run: code_of(run, x), parts) for run in tuned.runs]
    )
    by_pca = told_apart(lambda x: linear.encode(flat(x)), parts)
    values |= {
        "pca": float(linear.errors(x).mean()),
        "pca_test_se": comparisons.of_means(each, linear.errors(x)),
        "kernel_pca": float(curved.errors(x).mean()),
        **scores.spread("code_accuracy", told.mean(axis=1), len(test.y)),
        "pca_accuracy": float(np.mean(by_pca)),
        "pca_accuracy_test_se": comparisons.of_answers(told, by_pca),
    }
    run = tuned.runs[0]
    shown = {
        "image": x[:SHOWN],
        "net": run.outputs(test.x[:SHOWN]),
        "pca": linear.decode(linear.encode(x[:SHOWN])),
        "code": code_of(run, test.x)[:, :2],
        "label": test.y,
    }
    arrays = {name: np.asarray(array, np.float32) for name, array in shown.items()}
    return Measured("ok", "", values, arrays)


def flat(x):
    return x.reshape(len(x), -1)


def squared(run, x):
    """The squared error of each image, summed over its pixels."""
    return np.sum((run.outputs(x).astype(np.float64) - flat(x)) ** 2, axis=1)


def code_of(run, x):
    """What the middle layer gives, before the next layer's sigmoids [examples, code]."""
    return run.states(x)[run.net.recipe.depth // 2]


def begun(net, cell, x, seed):
    """The seed's net with a stack of machines in it, which learned one after the other."""
    machines = []
    for width in widths_of(cell):
        one = greedy.layer("rbm", x, width, cell["pretraining"], seed).machine
        machines.append(one)
        x = greedy.hidden_of(one, x)
    fresh = fits.fresh(net, seed)
    return greedy.placed(fresh, greedy.unrolled(machines), outputs=True)


def told_apart(encode, parts):
    """Whether nearest neighbours in the code are right of each test image [images].

    How many neighbours is tuned by cross-validation.
    """
    fitted = baselines.fit("nearest", encode(parts.train.x), parts.train.y)
    return fitted.predict(encode(parts.test.x)) == parts.test.y


@once
def projected(dataset, data_dir, code):
    """(PCA, kernel PCA) of the training part."""
    parts = held_out.parts(dataset, data_dir=data_dir)
    train, valid = (flat(part.x) for part in (parts.train, parts.valid))
    # A kernel needs all pairs of examples.
    some = train[: projections.PAIRED]
    return projections.pca(train, code), projections.kernel_pca(some, valid, code)


def fit(cells, typed):
    """Cells whose stack can be halved to its code."""
    kept = [cell for cell in cells if not too_narrow(cell)]
    if not kept:
        raise Refusal(too_narrow(cells[0]))
    narrow = [cell for cell in cells if too_narrow(cell)]
    lines = [f"left out: {too_narrow(narrow[0])}"] if narrow else []
    kept, more = nets.fit(kept, typed)
    return kept, lines + more


def too_narrow(cell):
    """Why a cell's stack cannot be halved to its code; "" where it can."""
    depth, width, code = (cell[name] for name in ("depth", "width", "code"))
    if depth % 2:
        return f"depth {depth}: as many layers go up as down; it must be even"
    if width >> depth // 2 >= code:
        return ""
    return (
        f"a stack of width {width} and depth {depth} is halved to "
        f"{width >> depth // 2}, which is less than a code of {code}"
    )


def headline(rows):
    """Who is ahead by each length of a code, the longest first."""
    done = measured(rows)
    told = []
    for code in sorted({row["code"] for row in done}, reverse=True):
        own = [row for row in done if row["code"] == code]
        best = SCORING.best(own)
        ahead = {"wins": "the net is", "loses": "the strong baseline is"}
        who = ahead.get(SCORING.verdict(best), "neither is surely")
        errors = {f"{best['start']}, {counted(best['depth'], 'layer')}": best["score"]}
        errors |= {"kernel PCA": best["kernel_pca"], "PCA": best["pca"]}
        each = ", ".join(f"{name} {SCORING.write(e)}" for name, e in errors.items())
        told.append(f"by {counted(code, 'number')} {who} ahead ({each})")
    answer = f"In {SCORING.noun}, {'; '.join(told)}."
    return Headline(answer, SCORING.headline(done).worst)


PAIR = {
    "doubt": after_steps,
    "protocol": PROTOCOL,
    "label": ("start", "code", "depth"),
}

STUDY = Study(
    name="autoencoder_pca",
    kind="experiment",
    question="Is a deep autoencoder's code better than as many principal components?",
    source=SOURCE,
    axes={
        "start": Axis("what the net begins with", tuple(STARTS), STARTS),
        "code": whole("numbers of a code", (2, 8, 16), single=False),
        "depth": whole("hidden layers after the first", (2, 4, 6), 2, single=False),
        "width": whole("units of the first layer", (64,)),
        "dataset": readable.axis(readable.classified),
        "pretraining": whole(
            "steps of 64 images that a layer learns by itself", (300,)
        ),
        "steps": whole("steps of 64 images of the whole net", (1500,)),
        "seeds": whole("runs of each rate", (3,)),
        **nets.rate_axes(2e-3, 2e-2, 3),
    },
    sizes={
        "smoke": {
            "code": (2,),
            "depth": (2,),
            "width": (16,),
            "pretraining": (20,),
            "steps": (30,),
            "rates": (1,),
        },
        "full": {
            "code": (2, 8, 30),
            "depth": (2, 4, 6, 8),
            "width": (1024,),
            "dataset": ("fashion_mnist",),
            "pretraining": (2000,),
            "steps": (10000,),
        },
    },
    plan=costs.plan(compiling=6.0, layer=3.0e-5),
    fit=fit,
    measure="depthbench.experiments.unsupervised.autoencoder_pca:measure",
    columns=(
        *("start", "code", "depth", "width"),
        *scores.COLUMNS,
        *("pca", "kernel_pca", "code_accuracy", "pca_accuracy"),
    ),
    claims=(
        Claim(
            "hinton2006.deep-code-beats-pca",
            "a deep autoencoder that begins with a stack of machines has a smaller "
            "squared error than PCA with as many numbers",
            SOURCE,
            estimate=lambda row: mean(
                None if row["score"] is None else row["pca"] - row["score"],
                row["score_se"],
                row["seeds"],
                row.get("pca_test_se"),
            ),
            allows=above(0.0),
            moves=upward,
            differs="MNIST, 784-1000-500-250-30, conjugate gradients, a linear code",
            published="3.00 against 13.87 an image",
            scope=lambda row: row["start"] == "rbm" and row["depth"] >= DEEP,
            **PAIR,
        ),
        Claim(
            "hinton2006.machines-help-depth",
            "of deep autoencoders, those that begin with a stack of machines have the "
            "smaller squared error",
            SOURCE,
            estimate=pairs.gap,
            allows=above(0.0),
            differs="MNIST and others, nets of 7 hidden layers, small random weights",
            scope=lambda row: row["depth"] >= DEEP,
            of=comparisons.against(
                {"start": "rbm"}, {"start": "glorot"}, ("code", "depth"), higher=False
            ),
            **PAIR,
        ),
        Claim(
            "hinton2006.code-tells-digits-apart",
            "by two numbers, nearest neighbours tell digits apart better in a deep "
            "autoencoder's code than in two principal components",
            SOURCE,
            estimate=lambda row: mean(
                None
                if row["code_accuracy"] is None
                else row["code_accuracy"] - row["pca_accuracy"],
                row["code_accuracy_se"],
                row["seeds"],
                row.get("pca_accuracy_test_se"),
            ),
            allows=above(0.0),
            differs="MNIST, a picture of both codes",
            scope=lambda row: row["code"] == 2 and row["depth"] >= DEEP,
            **PAIR,
        ),
    ),
    headline=headline,
    tables=lambda rows: [
        SCORING.table(rows, more=("pca", "kernel_pca", "code_accuracy", "pca_accuracy"))
    ],
    figures=lambda rows, profiles: autoencoder_shown.figures(SCORING, rows, profiles),
    shows=("autoencoder", "denser code than PCA"),
    summary=SCORING.summary,
    compile_seconds=3.0,
)

if __name__ == "__main__":
    from depthbench.research.cli.main import script

    script(STUDY.name)
