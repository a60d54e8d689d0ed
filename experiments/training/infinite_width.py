"""Does an infinitely wide net, which is a Gaussian process, predict as trained nets do?

Source: Lee et al. 2018, arXiv:1711.00165: a net of Gaussian weights is a Gaussian process
where it is infinitely wide; regression by it is Bayesian inference of all the net's
weights, exact and without training. Trained nets come near to its accuracy the wider they
are, and it is typically ahead of them. Far from criticality a deep kernel tells no
two inputs apart.

The kernel is the one that this project's mean-field theory has for its own nets; its two
variances and the noise are chosen by examples that are held out of the training part. Nets
of the same depth, activation and variances are trained to the same targets by the same
squares. Each seed is another draw of examples to learn from, for all methods.

A kernel may be all but flat and still be read: of 64 ReLU layers correlations differ by
5e-7 alone, and in double precision, with next to no noise, that is enough. What depth takes
from trained nets of the same variances it does not take from the process.
"""

import functools

from depthbench.experiments import comparisons, scores
from depthbench.experiments.scores import Scoring
from depthbench.experiments.training import costs, nets, pairs
from depthbench.experiments.training import infinite_width_shown as shown
from depthbench.experiments.training.pairs import whole
from depthbench.research.catalogues.activations import ACTIVATIONS
from depthbench.research.datasets import DataError, readable
from depthbench.research.lazy import lazily
from depthbench.research.learning.recipe import Recipe
from depthbench.research.learning.selection import half
from depthbench.research.study.claims import Claim
from depthbench.research.study.declaration import Measured, Study
from depthbench.research.study.doubts import certain, downward
from depthbench.research.study.estimates import about, above, mean_of
from depthbench.research.study.tables import flat

with lazily():
    import numpy as np
    import scipy.linalg as linalg

    from depthbench.research.learning import baselines, fits, held_out, supervised
    from depthbench.research.learning import gaussian_process as processes
    from depthbench.research.theory import kernel, mean_field

SOURCE = "Lee et al. 2018, arXiv:1711.00165"
WEIGHTS, BIASES = (1.0, 1.7, 3.0), (0.0, 0.1)  # σ_w² and σ_b² that are tried
NOISES = (
    1e-10,
    1e-8,
    1e-6,
    1e-4,
    1e-3,
    1e-2,
    1e-1,
)  # of a target, where an output's variance is 1
SCORING = Scoring(
    system="infinitely wide net (Gaussian process)",
    noun="test accuracy",
    trivial="largest class",
    strong="RBF SVM",
    by=("activation",),
    naming=lambda row, net: f"infinitely wide {net}",
)
PROTOCOL = (
    "digits, 400 examples of the training part in each of 3 draws, squares of targets "
    "0.9 and −0.1, nets of at most 32 units by Adam, "
    "200 steps of 64"
)


@functools.cache
def draws(dataset, data_dir, count, seeds):
    """For each seed examples to learn from; and the parts to choose and judge by.

    Each input is scaled to mean square 1, as digits are: the kernel is of such.
    """
    parts = held_out.parts(dataset, data_dir=data_dir)
    if count > len(parts.train.y):
        raise DataError(f"{count} examples; {dataset} has {len(parts.train.y)} to draw")
    parts = parts._replace(
        **{name: scaled(getattr(parts, name)) for name in ("train", "valid", "test")}
    )
    random = np.random.RandomState(5)
    learned = []
    for _ in range(seeds):
        order = random.permutation(len(parts.train.y))[:count]
        learned.append(held_out.Share(parts.train.x[order], parts.train.y[order]))
    return learned, parts


def scaled(share):
    """The share with inputs of mean square 1. Raises DataError where one is all 0."""
    inner = tuple(range(1, share.x.ndim))
    squares = np.mean(np.square(share.x, dtype=np.float64), inner, keepdims=True)
    if not squares.all():
        raise DataError("an input is all 0: it has no length to scale")
    return share._replace(x=(share.x / np.sqrt(squares)).astype(np.float32))


@functools.cache
def process(activation, depth, dataset, data_dir, count, seeds):
    """The Gaussian process at its best variances and noise, by the held-out examples."""
    learned, parts = draws(dataset, data_dir, count, seeds)
    phi = ACTIVATIONS[activation]
    tried = {}
    for sigma_w2 in WEIGHTS:
        for sigma_b2 in BIASES:
            made = kernel.kernel(phi, sigma_w2, sigma_b2, depth)
            right = [right_of(made, one, parts, NOISES, "valid") for one in learned]
            for noise, mean_right in zip(NOISES, np.mean(right, axis=0), strict=True):
                tried[sigma_w2, sigma_b2, noise] = float(mean_right)
    # Of what is equally accurate, the one with most noise: it asks least of rounding.
    sigma_w2, sigma_b2, noise = max(tried, key=lambda key: (tried[key], key[2]))
    best = kernel.kernel(phi, sigma_w2, sigma_b2, depth)
    some = best.correlations(parts.test.x[:200], parts.test.x[:200])
    each = {}
    for (w, b, _), accuracy in tried.items():
        each[w, b] = max(accuracy, each.get((w, b), 0.0))
    xi_c = mean_field.depth_scales(phi, sigma_w2, sigma_b2).xi_c
    return {
        "score": [right_of(best, one, parts, (noise,), "test")[0] for one in learned],
        "valid": tried[sigma_w2, sigma_b2, noise],
        "point": {"sigma_w2": sigma_w2, "sigma_b2": sigma_b2},
        "noise": noise,
        "noise_at_edge": noise in (min(NOISES), max(NOISES)),
        # How far correlations of the last states differ: 0 where the kernel is flat.
        "apart": float(np.std(some[np.triu_indices(len(some), 1)])),
        "xi_c": float(xi_c) if np.isfinite(xi_c) else None,
        "tried": np.array([[each[w, b] for b in BIASES] for w in WEIGHTS]),
    }


def right_of(made, learned, parts, noises, part):
    """For each noise the accuracy of regression on the examples of one draw."""
    judged = getattr(parts, part)
    within, beside = (made.covariance(x, learned.x) for x in (learned.x, judged.x))
    y = processes.targets(learned.y, parts.classes)
    right = []
    for noise in noises:
        try:
            given = processes.posterior(within, beside, y, noise).mean.argmax(axis=1)
        except linalg.LinAlgError:  # a flat kernel without noise tells nothing
            given = np.bincount(learned.y).argmax()
        right.append(float(np.mean(given == judged.y)))
    return right


@functools.cache
def rivals(dataset, data_dir, count, seeds):
    """Of each draw the SVM's test accuracy; and that of the largest class."""
    learned, parts = draws(dataset, data_dir, count, seeds)
    found = {}
    for name in ("svm", "majority"):
        fitted = [baselines.fit(name, *one) for one in learned]
        found[name] = [
            float(np.mean(one.predict(parts.test.x) == parts.test.y)) for one in fitted
        ]
    return found


def net_of(cell, point, parts):
    """The trained net: of the process's depth, activation and variances."""
    names = ("depth", "width", "activation")
    recipe = Recipe(
        "mlp",
        **{name: cell[name] for name in names},
        initializer="free",
        schedule="cosine",
        **point,
    )
    return fits.Net(recipe, supervised.Task(parts.shape, parts.classes, "numbers"))


def measure(cells, shared, memory):
    """One Measured for each cell."""
    return [beside(cell) for cell in cells]


def beside(cell):
    """The process, and trained nets of a width beside it."""
    key = cell["dataset"], cell.get("data_dir"), cell["train"], cell["seeds"]
    learned, parts = draws(*key)
    found, others = process(cell["activation"], cell["depth"], *key), rivals(*key)
    net = net_of(cell, found["point"], parts)
    data = [
        {"inputs": one.x, "targets": processes.targets(one.y, parts.classes)}
        for one in learned
    ]

    most = cell["steps"]

    def trained(rates, steps=most):
        return [
            [
                fits.train(net, one, steps, (rate,), (seed,), capacity=most)[0]
                for seed, one in enumerate(data)
            ]
            for rate in rates
        ]

    tuned = fits.tuned(
        trained,
        nets.rates(cell),
        "accuracy",
        fits.held(parts.valid),
        most=cell["further_rates"],
        sooner=lambda rate: trained([rate], half(most))[0],
    )
    right = [run.accuracy(*parts.test) for run in tuned.runs]
    values = scores.values(
        score=found["score"],
        valid=found["valid"],
        trivial=float(np.mean(others["majority"])),
        strong=others["svm"],
        before=fits.beforehand(net, data[0], cell["seeds"]),
        tuned=tuned,
        examples=len(parts.test.y),
    )
    values |= scores.spread("net", right, len(parts.test.y))
    values |= scores.beside("ahead", found["score"], right, len(parts.test.y))
    values |= found["point"] | {
        n: found[n] for n in ("noise", "noise_at_edge", "apart", "xi_c")
    }
    return Measured("ok", "", values, {"tried": found["tried"]})


def widest(rows):
    """Claims' rows: those of the widest net of each activation and depth."""
    most = max((row["width"] for row in rows), default=0)
    return [row for row in rows if row["width"] == most]


def wider(rows):
    """Claims' rows: the widest nets' accuracy less that of the narrowest."""
    least = min((row["width"] for row in rows), default=0)
    narrow = {
        (row["activation"], row["depth"]): row for row in rows if row["width"] == least
    }
    found = []
    for row in widest(rows):
        other = narrow.get((row["activation"], row["depth"]))
        if other is not None and other is not row:
            gap = comparisons.apart(row, other, "net", share=True)
            found.append({**row, **pairs.joint([row, other]), **gap})
    return found


def one_width(rows):
    """The process's rows, those of one width, as it is the same at all.

    Whether a net still learned is the trained one's: a process takes no steps.
    """
    return [{**row, "unfinished": False} for row in widest(rows)]


def tables(rows):
    columns = (
        "net",
        "score",
        "ahead",
        "sigma_w2",
        "sigma_b2",
        "noise",
        "apart",
        "xi_c",
    )
    return [
        SCORING.table(one_width(rows)),
        flat(rows, ("activation", "depth", "width", *columns)),
    ]


LABEL = ("activation", "depth", "width")
STUDY = Study(
    name="infinite_width",
    kind="experiment",
    question="Does an infinitely wide net predict as trained nets do?",
    source=SOURCE,
    axes={
        **{
            name: axis
            for name, axis in scores.axes(
                (1, 4, 16, 64), activations=("relu", "tanh")
            ).items()
            if name != "architecture"
        },
        "width": whole("units of the trained nets", (8, 32), single=False),
        "train": whole("examples that are learned from", (400,), low=10),
        "dataset": readable.axis(readable.classified),
        "steps": whole("steps of 64 examples", (200,)),
        "seeds": whole("draws of examples", (3,)),
        **nets.rate_axes(3e-3, 1e-2, 2),
    },
    sizes={
        "smoke": {
            "depth": (1,),
            "width": (8, 16),
            "train": (60,),
            "steps": (30,),
            "rates": (1,),
            "further_rates": (0,),
        },
        "full": {
            "depth": (1, 2, 4, 8, 16, 32, 64),
            "width": (16, 128, 1024),
            "train": (1149,),
            "steps": (3000,),
        },
    },
    plan=costs.plan(
        compiling=lambda cell: 2.0 + 10.0 * (cell["train"] / 400) ** 2,  # the process
        layer=4.0e-5,
        group=lambda cell: (cell["activation"], cell["depth"]),
    ),
    fit=nets.fit,
    measure="depthbench.experiments.training.infinite_width:measure",
    columns=(
        *("activation", "depth", "width", "train", *scores.COLUMNS),
        *("net", "net_se", "net_low", "net_high", "ahead", "ahead_se", "ahead_test_se"),
        *("sigma_w2", "sigma_b2", "noise", "noise_at_edge", "apart", "xi_c"),
    ),
    claims=(
        Claim(
            "lee2018.wide-nets-come-near",
            "the widest trained net is as accurate as the infinitely wide one, to 2 points",
            SOURCE,
            estimate=mean_of("ahead"),
            allows=about(0.0, within=0.02),
            protocol=PROTOCOL,
            differs="MNIST and CIFAR-10, up to 5,000 units; the bar of 2 points is ours",
            published="approaches that of the process with increasing width",
            scope=lambda row: True,
            label=LABEL,
            of=widest,
        ),
        Claim(
            "lee2018.wider-is-nearer",
            "the widest trained nets are at least as accurate as the narrowest",
            SOURCE,
            estimate=pairs.gap,
            allows=above(0.0),
            protocol=PROTOCOL,
            differs="MNIST and CIFAR-10, up to 5,000 units",
            published="approaches that of the process with increasing width",
            scope=lambda row: True,
            label=LABEL,
            of=wider,
        ),
        Claim(
            "lee2018.process-is-ahead",
            "the infinitely wide net is at least as accurate as trained ones of its depth",
            SOURCE,
            estimate=mean_of("ahead"),
            allows=above(0.0),
            moves=downward,
            protocol=PROTOCOL,
            differs="MNIST and CIFAR-10; nets at their own best depth and variances",
            published="typically outperform those of finite-width networks",
            scope=lambda row: True,
            label=LABEL,
        ),
        Claim(
            "depthbench.process-beats-svm",
            "depthbench's own bar: the infinitely wide net is at most one point behind a "
            "tuned SVM, at every depth",
            "depthbench",
            estimate=scores.gap,
            allows=above(-0.01),
            protocol=PROTOCOL,
            differs="a bar of our own",
            scope=lambda row: True,
            doubt=certain,  # nothing is trained
            label=("activation", "depth"),
            of=widest,
        ),
    ),
    headline=lambda rows: shown.headline(SCORING, rows, one_width(rows)),
    tables=tables,
    figures=lambda rows, profiles: shown.figures_of(
        SCORING, rows, one_width(rows), profiles, (WEIGHTS, BIASES)
    ),
    shows=("infinitely wide net", "Gaussian process"),
    summary=lambda rows: shown.summary(SCORING, one_width(rows)),
    compile_seconds=3.0,
)

if __name__ == "__main__":
    from depthbench.research.cli.main import script

    script(STUDY.name)
