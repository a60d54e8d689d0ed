"""Are classes clusters of an autoencoder's code, and is a deeper code a better one?

Source: Xie, Girshick & Farhadi 2016, arXiv:1511.06335: clusters of raw pixels have little
to do with classes; those of the codes of a deep autoencoder (500, 500 and 2,000 units
before a code of 10) have more.

Clusters, as many as there are classes, are learned from the training part without labels
and judged on the test part. One way is chosen by validation labels, for the code as for
its baselines: k-means, or a mixture of Gaussians with full or diagonal covariances, on
numbers as they are or each of variance 1; full ones only where a cluster has more
examples than numbers. The strong baseline has that choice on pixels and on several
numbers of principal components; the control has it on the fresh net's code.
"""

import functools
import warnings
from typing import Any, NamedTuple

from depthbench.experiments import comparisons, scores
from depthbench.experiments.scores import Scoring
from depthbench.experiments.training import costs, pairs
from depthbench.experiments.unsupervised import clusters_shown, codes
from depthbench.research.lazy import lazily
from depthbench.research.machine import threads
from depthbench.research.study.claims import Claim
from depthbench.research.study.declaration import Headline, Measured, Study
from depthbench.research.study.estimates import above, mean_of
from depthbench.research.study.headlines import measured

with lazily():
    import numpy as np
    import sklearn.cluster as cluster
    import sklearn.decomposition as decomposition
    import sklearn.exceptions as exceptions
    import sklearn.metrics as rated
    import sklearn.mixture as mixture

    from depthbench.research.learning import held_out, metrics

XIE = "Xie, Girshick & Farhadi 2016, arXiv:1511.06335"
LEAST = 1e-2  # added to a mixture's variances, of numbers that vary by 1
RESTARTS: Any = 5  # of k-means; its best is kept
COMPONENTS = (8, 16, 32)  # principal components that clusters are looked for in
LEARNED, SHOWN, MEMBERS = 10_000, 500, 5  # examples; points of the map; images
SCORING = Scoring(
    system="clusters of an autoencoder's code",
    noun="adjusted Rand index",
    trivial="one cluster",
    strong="clusters of pixels or components",
    within=lambda row: (-0.5, 1.0),
)
PROTOCOL = (
    "digits, ReLU autoencoders of 1 + 1 to 16 + 16 layers of 64 around a code of 8, "
    "3 seeds; k-means or mixture, chosen by validation"
)
WAYS = ("kmeans", "full", "diag")


class Clustered(NamedTuple):
    """The clusters that validation prefers.

    space: where they were found. valid: its adjusted Rand index. test: each test
    example's cluster [examples].
    """

    space: str
    valid: float
    test: Any


def measure(cells, shared, memory):
    """One Measured for each cell."""
    return [agreements(cell) for cell in cells]


def agreements(cell):
    """How clusters of the code agree with the classes, and those of the baselines."""
    parts = held_out.parts(cell["dataset"], data_dir=cell.get("data_dir"))
    net = codes.net_of(cell, parts.shape)
    tuned = codes.tuned(cell, net, parts.train.x)
    lost = codes.diverged(tuned.runs)
    if lost:
        return lost

    def of_code(run):
        return clustered(parts, {"code": lambda x: codes.code(run, x)}, run.seed)

    learned = [of_code(run) for run in tuned.runs]
    random = [of_code(codes.fresh(run)) for run in tuned.runs]
    data = cell["dataset"], cell.get("data_dir")
    seeds = range(cell["seeds"])
    pixels = [in_pixels(*data, seed) for seed in seeds]
    strong = [
        max([one, *in_components(*data, seed)], key=lambda found: found.valid)
        for one, seed in zip(pixels, seeds, strict=True)
    ]
    weighed = {
        name: [agreeing(parts.test.y, one.test) for one in each]
        for name, each in (
            *(("learned", learned), ("random", random)),
            *(("pixels", pixels), ("strong", strong)),
        )
    }
    all_once = np.ones(len(parts.test.y))
    rand = {name: [of(all_once) for of in each] for name, each in weighed.items()}
    values = scores.values(
        score=rand["learned"],
        valid=float(np.mean([one.valid for one in learned])),
        trivial=0.0,
        strong=rand["strong"],
        before=codes.beforehand(cell, net, parts.train.x),
        tuned=tuned,
    )
    for name in ("pixels", "random"):
        values[name] = float(np.mean(rand[name]))
        gain = np.subtract(rand["learned"], rand[name])
        values |= scores.spread(f"{name}_gain", list(gain))
    groups = comparisons.in_groups(len(parts.test.y))
    for name, other in (("score", "strong"), ("pixels_gain", "pixels")):
        values |= comparisons.of_groups(
            name, weighed["learned"], averaged(weighed[other]), groups
        )
    values |= others(parts.test.y, [one.test for one in learned])
    errors = [codes.errors(run, parts.test.x).mean() for run in tuned.runs]
    values["error"] = float(np.mean(errors))
    return Measured("ok", "", values, shown(tuned.runs[0], learned[0].test, parts))


def agreeing(y, clusters):
    """From whether each example counts [examples] to the adjusted Rand index of those."""

    def of(times):
        kept = times > 0
        return rated.adjusted_rand_score(y[kept], clusters[kept])

    return of


def averaged(each):
    """The mean of what several such functions give."""
    return lambda times: float(np.mean([of(times) for of in each]))


def others(y, each):
    """Other measures of clusters, means over seeds, by name."""
    ways = {
        "information": rated.normalized_mutual_info_score,
        "purity": lambda y, clusters: metrics.purity(clusters, y),
        "agreement": lambda y, clusters: metrics.agreement(clusters, y),
    }
    return {
        name: float(np.mean([way(y, clusters) for clusters in each]))
        for name, way in ways.items()
    }


@threads.single()
def clustered(parts, spaces, seed):
    """The clusters of the space, scaling and method that validation prefers.

    spaces: from examples to numbers [examples, numbers], by name.
    """
    x = [parts.train.first(LEARNED).x, parts.valid.x, parts.test.x]
    tried = []
    for name, see in spaces.items():
        for three in codes.scalings([see(part) for part in x]).values():
            for way in ways(three[0], parts.classes):
                found = fitted(method(way, parts.classes, seed), three[0])
                valid, test = (found.predict(part) for part in three[1:])
                score = rated.adjusted_rand_score(parts.valid.y, valid)
                tried.append(Clustered(name, float(score), test))
    return max(tried, key=lambda one: one.valid)


def ways(x, count):
    """The methods for so many clusters of x; full covariances need examples enough.

    Of a cluster with fewer examples than numbers they are what is added to them.
    """
    examples, numbers = np.shape(x)
    return [way for way in WAYS if way != "full" or examples > count * numbers]


def method(way, count, seed):
    """k-means, or a mixture of Gaussians that cannot collapse onto an example."""
    if way == "kmeans":
        return cluster.KMeans(count, n_init=RESTARTS, random_state=seed)
    return mixture.GaussianMixture(
        count, covariance_type=way, reg_covar=LEAST, random_state=seed
    )


def fitted(model, x):
    """The model fitted to x; one that stopped early is judged as it is."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", exceptions.ConvergenceWarning)
        return model.fit(x)


@functools.cache
def in_pixels(dataset, data_dir, seed):
    """The clusters of pixels."""
    parts = held_out.parts(dataset, data_dir=data_dir)
    return clustered(parts, {"pixels": codes.flat}, seed)


@functools.cache
def in_components(dataset, data_dir, seed):
    """The clusters of each number of principal components that there can be."""
    parts = held_out.parts(dataset, data_dir=data_dir)
    flat = codes.flat(parts.train.first(LEARNED).x)
    found = []
    for count in COMPONENTS:
        if count < min(flat.shape):
            pca = decomposition.PCA(count, random_state=seed).fit(flat)
            see = lambda x, pca=pca: pca.transform(codes.flat(x))
            found.append(clustered(parts, {f"{count} components": see}, seed))
    return found


def shown(run, found, parts):
    """The code on a plane, and images of each cluster: its mean, and some at random.

    {map: [points, 2], labels: [points], means: [clusters, height, width],
    members: [clusters, MEMBERS, height, width], right: [clusters, MEMBERS]}; right where
    an image is of the commonest class of its cluster; nan where there are no more.
    """
    x, y = codes.picture(parts.test.x), parts.test.y
    plane = decomposition.PCA(2, svd_solver="full").fit_transform(
        codes.code(run, parts.test.x)
    )
    means, members, right = [], [], []
    for one in range(parts.classes):
        own = np.flatnonzero(found == one)
        blank = np.full((MEMBERS, *x.shape[1:]), np.nan)
        first = own[:MEMBERS]
        blank[: len(first)] = x[first]
        most = np.bincount(y[own], minlength=parts.classes).argmax()
        means.append(x[own].mean(axis=0) if len(own) else blank[0])
        members.append(blank)
        right.append(
            np.resize(y[first] == most, MEMBERS) if len(own) else [0] * MEMBERS
        )
    return {
        "map": plane[:SHOWN],
        "labels": y[:SHOWN],
        "means": np.array(means, np.float32),
        "members": np.array(members, np.float32),
        "right": np.array(right, np.uint8),
    }


def headline(rows):
    """Whether clusters of the code beat those of pixels and components."""
    answer, worst = SCORING.headline(rows)
    row = SCORING.best(measured(rows))
    control = f"Of the fresh net's code {row['random']:.3f}, of pixels alone"
    return Headline(f"{answer} {control} {row['pixels']:.3f}.", worst)


def figures_of(rows, profiles):
    caption = (
        "Third: the code of the net that validation prefers, on the plane of its first "
        "two principal components, coloured by class."
    )
    draw = clusters_shown.plane(SCORING, rows, profiles)
    return [
        SCORING.figure(rows, caption, draw),
        clusters_shown.members(SCORING, rows, profiles),
    ]


STUDY = Study(
    name="clusters",
    kind="experiment",
    question="Are classes clusters of an autoencoder's code, the deeper the better?",
    source=XIE,
    axes=codes.axes(),
    sizes={"smoke": codes.SMOKE, "full": codes.FULL},
    plan=costs.plan(compiling=3.5, layer=2.5e-5),
    fit=codes.fit,
    measure="depthbench.experiments.unsupervised.clusters:measure",
    columns=(
        *("architecture", "activation", "depth", "code", *scores.COLUMNS),
        *("random", "pixels", "information", "purity", "agreement", "error"),
    ),
    claims=(
        Claim(
            "xie2016.codes-beat-pixels",
            "clusters of an autoencoder's code agree with classes better than clusters "
            "of pixels",
            XIE,
            estimate=mean_of("pixels_gain"),
            allows=above(0.0),
            protocol=f"{PROTOCOL}; adjusted Rand index",
            differs="MNIST, k-means, layers trained one by one; accuracy",
            scope=lambda row: row["activation"] == "relu",
            label=("architecture", "depth"),
        ),
        Claim(
            "popular.deeper-codes-cluster-better",
            "clusters of a deeper autoencoder's code agree better with classes than "
            "those of a shallow one's",
            "popular accounts of unsupervised learning",
            estimate=pairs.gap,
            allows=above(0.0),
            protocol=f"{PROTOCOL}; the deepest against the shallowest",
            differs="no one protocol",
            scope=lambda row: row["activation"] == "relu",
            label=("architecture",),
            of=comparisons.deeper(("architecture", "activation")),
        ),
        Claim(
            "depthbench.codes-beat-components",
            "depthbench's own bar: clusters of an autoencoder's code agree with classes "
            "better than those of pixels or principal components",
            "depthbench",
            estimate=scores.gap,
            allows=above(0.0),
            protocol=PROTOCOL,
            scope=lambda row: row["activation"] == "relu",
            label=("architecture", "depth"),
        ),
    ),
    headline=headline,
    tables=lambda rows: [SCORING.table(rows, more=("random", "pixels", "error"))],
    figures=figures_of,
    shows=("clusters without labels",),
    summary=SCORING.summary,
    compile_seconds=3.0,
)

if __name__ == "__main__":
    from depthbench.research.cli.main import script

    script(STUDY.name)
