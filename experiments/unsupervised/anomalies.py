"""Does an autoencoder know what it has never seen, and a deeper one better?

Source: Sakurada & Yairi 2014, MLSDA (doi 10.1145/2689746.2689747): what an autoencoder
reconstructs badly is an anomaly, and it finds subtle ones that linear PCA misses, on
telemetry of spacecraft.

In turn one class is kept from training, and is to be told from the others in the test
part: by the error of reconstruction, or by the distance to a near neighbour, an isolation
forest, local outlier factors or a one-class SVM on the code. Which of these is chosen by
validation, over all classes at once, for the autoencoder as for the strong baseline, which
has the same detectors on pixels and the errors of reconstruction by principal components.
Numbers are scaled all alike or each to variance 1: of pixels, where corners are blank, that
makes the difference. "seeds" are the classes: each has a start of its own, and intervals
are over them, cut off at 1.
"""

import functools
from typing import Any, NamedTuple

from depthbench.experiments import scores
from depthbench.experiments.scores import Scoring
from depthbench.experiments.training import costs
from depthbench.experiments.training.pairs import whole
from depthbench.experiments.unsupervised import anomalies_shown, codes
from depthbench.research.datasets import readable
from depthbench.research.lazy import lazily
from depthbench.research.machine import threads
from depthbench.research.study.claims import Claim
from depthbench.research.study.declaration import Headline, Measured, Study
from depthbench.research.study.errors import Refusal
from depthbench.research.study.estimates import above, mean_of
from depthbench.research.study.headlines import measured

with lazily():
    import numpy as np
    import sklearn.decomposition as decomposition
    import sklearn.ensemble as ensemble
    import sklearn.neighbors as neighbors
    import sklearn.svm as svm

    from depthbench.research.learning import fits, held_out, metrics

SAKURADA = "Sakurada & Yairi 2014, doi 10.1145/2689746.2689747"
COMPONENTS = (2, 4, 8, 16, 32)  # principal components, of which validation chooses
LEARNED, SHOWN = 5000, 8  # examples of a detector; images of each class
NEIGHBOURS, FACTORS = (1, 5), (5, 20)  # neighbours of a distance; of outlier factors
WIDTHS, OUTSIDE = (1, 10), 0.1  # of a one-class SVM: γ times the variance, and ν
SCORING = Scoring(
    system="autoencoder that has never seen the anomaly",
    noun="area under the ROC curve",
    trivial="guessing",
    strong="detectors on pixels, PCA's error",
    within=scores.share,
)
PROTOCOL = (
    "digits, ReLU autoencoders of 1 + 1 to 16 + 16 layers of 64 around a code of 8; five "
    "digits in turn are never seen in training"
)


class Judged(NamedTuple):
    """A detector's areas under the ROC curve, of validation and of the test part.

    values: of the test examples, high where they are strange [examples].
    """

    valid: float
    test: float
    values: Any


def measure(cells, shared, memory):
    """One Measured for each cell."""
    return [found(cell) for cell in cells]


def found(cell):
    """How well the anomalies are found, beside what needs no net."""
    parts = held_out.parts(cell["dataset"], data_dir=cell.get("data_dir"))
    net = codes.net_of(cell, parts.shape)
    tuned = codes.tuned({**cell, "seeds": 1}, net, usual(parts, 0, cell["seeds"]))
    others = [
        fits.train(
            net,
            {"inputs": usual(parts, anomaly, cell["seeds"])},
            cell["steps"],
            [tuned.setting],
            [anomaly],
        )[0]
        for anomaly in range(1, cell["seeds"])
    ]
    runs = [*tuned.runs, *others]
    lost = codes.diverged(runs)
    if lost:
        return lost
    learned = [of_net(run, parts, cell["seeds"]) for run in runs]
    random = [of_net(codes.fresh(run), parts, cell["seeds"]) for run in runs]
    data = cell["dataset"], cell.get("data_dir"), cell["seeds"]
    plain = [others_of(*data, anomaly) for anomaly in range(cell["seeds"])]
    best = {name: preferred(each) for name, each in
            (("net", learned), ("random", random), ("plain", plain))}  # fmt: skip
    on_code = preferred(learned, lambda name: name != "error")
    on_pixels = preferred(plain, lambda name: "components" not in name)
    by_components = preferred(plain, lambda name: "components" in name)
    test = lambda each, name: [one[name].test for one in each]
    values = scores.values(
        score=test(learned, best["net"]),
        valid=float(np.mean([one[best["net"]].valid for one in learned])),
        trivial=0.5,
        strong=test(plain, best["plain"]),
        before=codes.beforehand(
            {**cell, "seeds": 1}, net, usual(parts, 0, cell["seeds"])
        ),
        tuned=tuned,
    )
    each = {
        "error": test(learned, "error"),
        "on_code": test(learned, on_code),
        "random": test(random, best["random"]),
        "on_pixels": test(plain, on_pixels),
        "components": test(plain, by_components),
    }
    values |= {name: float(np.mean(one)) for name, one in each.items()}
    for name, other in (("error", "components"), ("on_code", "on_pixels")):
        gain = np.subtract(each[name], each[other])
        values |= scores.spread(f"{name}_gain", list(gain))
    values |= {"detector": best["net"], "strong_detector": best["plain"]}
    return Measured("ok", "", values, shown(runs, learned, best["net"], parts))


def usual(parts, anomaly, classes):
    """The training examples [examples, …] of all classes but one.

    As many for each of the first `classes` anomalies, so that they share a program.
    """
    count = len(parts.train.y) - max(np.bincount(parts.train.y)[:classes])
    return parts.train.x[parts.train.y != anomaly][:count]


def of_net(run, parts, classes):
    """Each way in which an autoencoder judges, by name."""
    learn = usual(parts, run.seed, classes)[:LEARNED]
    three = [learn, parts.valid.x, parts.test.x]
    every = codes.code(run, np.concatenate(three))
    seen = np.split(every, np.cumsum([len(part) for part in three])[:2])
    errors = [codes.errors(run, part) for part in three[1:]]
    return {
        "error": judged(parts, run.seed, *errors),
        **detected(parts, run.seed, seen),
    }


@functools.cache
def others_of(dataset, data_dir, classes, anomaly):
    """The same detectors on pixels, and the errors of principal components, by name."""
    parts = held_out.parts(dataset, data_dir=data_dir)
    learn = codes.flat(usual(parts, anomaly, classes))
    judges = [codes.flat(part.x) for part in (parts.valid, parts.test)]
    ways = detected(parts, anomaly, [learn[:LEARNED], *judges])
    for count in COMPONENTS:
        if count < min(learn.shape):
            pca = decomposition.PCA(count, random_state=anomaly).fit(learn)
            errors = [
                np.mean((pca.inverse_transform(pca.transform(x)) - x) ** 2, axis=1)
                for x in judges
            ]
            ways[f"{count} components"] = judged(parts, anomaly, *errors)
    return ways


@threads.single()
def detected(parts, anomaly, seen):
    """Each detector on each scaling, by name. seen: numbers of train, valid and test."""
    ways = {}
    for scaling, (learn, *judges) in codes.scalings(seen).items():
        for name, strangeness in detectors(learn, anomaly).items():
            values = [strangeness(part) for part in judges]
            ways[f"{name}, {scaling}"] = judged(parts, anomaly, *values)
    return ways


def detectors(learn, seed):
    """What gives each example's strangeness, fitted to usual ones, by name."""
    near = neighbors.NearestNeighbors().fit(learn)
    ways: dict[str, Any] = {
        f"neighbour {count}": lambda x, count=count: near.kneighbors(x, count)[0][:, -1]
        for count in NEIGHBOURS
    }
    models = {
        "forest": ensemble.IsolationForest(random_state=seed),
        **{
            f"outlier factor {count}": neighbors.LocalOutlierFactor(count, novelty=True)
            for count in FACTORS
        },
        **{
            f"one-class SVM {width}": svm.OneClassSVM(
                nu=OUTSIDE, gamma=width / learn.var(axis=0).sum()
            )
            for width in WIDTHS
        },
    }
    for name, model in models.items():
        model.fit(learn)
        ways[name] = lambda x, model=model: -model.score_samples(x)
    return ways


def judged(parts, anomaly, valid, test):
    """How well values that are high where examples are strange tell the anomaly."""
    areas = [
        metrics.area(values, part.y == anomaly)
        for values, part in ((valid, parts.valid), (test, parts.test))
    ]
    return Judged(areas[0], areas[1], test)


def preferred(each, allowed=lambda name: True):
    """The name of the way that validation prefers, over all anomalies at once."""
    names = [name for name in each[0] if allowed(name)]
    return max(names, key=lambda name: np.mean([one[name].valid for one in each]))


def shown(runs, learned, way, parts):
    """The strangest test images of each anomaly's net, and what it makes of them.

    {images, outputs: [anomalies, SHOWN, height, width], right: [anomalies, SHOWN],
    usual, strange: [20] shares of test examples by rank, of all anomalies together}.
    """
    images, outputs, right, ranks = [], [], [], []
    for run, ways in zip(runs, learned, strict=True):
        values = ways[way].values
        first = np.argsort(-values, kind="stable")[:SHOWN]
        x, own = parts.test.x[first], parts.test.y == run.seed
        images.append(codes.picture(x))
        outputs.append(codes.picture(run.outputs(x).reshape(x.shape)))
        right.append(own[first])
        rank = np.argsort(np.argsort(values, kind="stable")) / len(values)
        ranks.append((rank[~own], rank[own]))
    shares = [
        np.histogram(np.concatenate(kind), 20, (0, 1))[0] / sum(map(len, kind))
        for kind in zip(*ranks, strict=True)
    ]
    return {
        "images": np.array(images, np.float32),
        "outputs": np.array(outputs, np.float32),
        "right": np.array(right, np.uint8),
        "usual": shares[0],
        "strange": shares[1],
    }


def fit(cells, typed):
    """The cells. Raises Refusal for more anomalies than classes."""
    for cell in cells[:1]:
        dataset = readable.Readable(readable.pictured)[cell["dataset"]]
        if cell["seeds"] > dataset.classes:
            raise Refusal(
                f"--seeds {cell['seeds']}: a class is the anomaly of each; must be at "
                f"most {dataset.classes}"
            )
    return codes.fit(cells, typed)


def headline(rows):
    """Whether the autoencoder or what needs no net finds the anomalies."""
    answer, worst = SCORING.headline(rows)
    row = SCORING.best(measured(rows))
    more = (
        f"By its error {row['error']:.3f}, by detectors on its code {row['on_code']:.3f}; "
        f"by PCA's error {row['components']:.3f}, by detectors on pixels "
        f"{row['on_pixels']:.3f}."
    )
    return Headline(f"{answer} {more}", worst)


def figures_of(rows, profiles):
    caption = (
        "Third: of the net that validation prefers, where the anomalies are among all "
        "test images, from the most usual to the strangest."
    )
    draw = anomalies_shown.ranks(SCORING, rows, profiles)
    return [
        SCORING.figure(rows, caption, draw),
        anomalies_shown.strangest(SCORING, rows, profiles),
    ]


STUDY = Study(
    name="anomalies",
    kind="experiment",
    question="Does an autoencoder know what it has never seen, the deeper the better?",
    source=SAKURADA,
    axes={
        **codes.axes(activations=("relu",)),
        "seeds": whole("classes that are the anomaly in turn, a start each", (5,)),
    },
    sizes={"smoke": codes.SMOKE, "full": {**codes.FULL, "seeds": (10,)}},
    plan=costs.plan(compiling=4.0, layer=3.0e-5),
    fit=fit,
    measure="depthbench.experiments.unsupervised.anomalies:measure",
    columns=(
        *("architecture", "activation", "depth", "code", *scores.COLUMNS),
        *("detector", "strong_detector", "error", "on_code", "components", "on_pixels"),
        "random",
    ),
    claims=(
        Claim(
            "sakurada2014.beats-linear-pca",
            "an autoencoder's error of reconstruction finds anomalies better than that "
            "of linear PCA",
            SAKURADA,
            estimate=mean_of("error_gain"),
            allows=above(0.0),
            protocol=f"{PROTOCOL}; components chosen by validation",
            differs="telemetry and a Lorenz system, subtle anomalies, one hidden layer",
            scope=lambda row: True,
            label=("architecture", "activation", "depth"),
        ),
        Claim(
            "popular.detectors-want-codes",
            "neighbours, isolation forests, outlier factors and one-class SVMs find "
            "anomalies better on an autoencoder's code than on pixels",
            "popular accounts of anomaly detection",
            estimate=mean_of("on_code_gain"),
            allows=above(0.0),
            protocol=PROTOCOL,
            differs="no one protocol",
            scope=lambda row: True,
            label=("architecture", "activation", "depth"),
        ),
    ),
    headline=headline,
    tables=lambda rows: [
        SCORING.table(rows, more=("error", "on_code", "components", "on_pixels"))
    ],
    figures=figures_of,
    shows=("anomaly detector",),
    summary=SCORING.summary,
    compile_seconds=3.0,
)

if __name__ == "__main__":
    from depthbench.research.cli.main import script

    script(STUDY.name)
