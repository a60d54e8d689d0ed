"""Do deeper layers know more of the class, and do two nets learn the same layers?

Source: Alain & Bengio 2016, arXiv:1610.01644: a linear classifier reads each layer of a
trained net; what it finds grows monotonically with depth. Kornblith et al. 2019,
arXiv:1905.00414: centred kernel alignment (CKA) finds the layer of another start's net
that corresponds to a layer. What differs: small nets with equal layers, most of them dense
where both sources have convolutions, and ridge regression on classes as the probe, fitted
to the examples that the net learned, and of a convolution to the means of 2 × 2 places.
Convolutions of other than 4 layers, and of other activations than ReLU, are left out unless
they are typed. What is read of a plain net is the sum before the nonlinearity; its first is
linear in the pixels. Branches are divided by √depth: as they are, a residual net of 16
layers explodes, and its probes find 4 points less than those of the plain one.

The same is asked of fresh nets, which learned nothing. The net's score is that of the
layer which validation prefers.
"""

from depthbench.experiments import by_depth, comparisons, first_seed, scores
from depthbench.experiments.once import once
from depthbench.experiments.scores import Scoring
from depthbench.experiments.training import nets
from depthbench.experiments.training.pairs import whole
from depthbench.experiments.vision import hierarchy_shown
from depthbench.research.datasets import readable
from depthbench.research.lazy import lazily
from depthbench.research.learning.recipe import Recipe
from depthbench.research.study.claims import Claim
from depthbench.research.study.declaration import Cost, Headline, Measured, Plan, Study
from depthbench.research.study.doubts import certain, of_training
from depthbench.research.study.errors import Refusal
from depthbench.research.study.estimates import above, below, mean, mean_of
from depthbench.research.study.headlines import counted, measured, of_deepest

with lazily():
    import numpy as np
    import scipy.stats as stats

    from depthbench.research.architectures.convolutional import placed
    from depthbench.research.learning import (
        baselines,
        fits,
        held_out,
        linear_probes,
        metrics,
        supervised,
    )
    from depthbench.research.signal import interval

ALAIN = "Alain & Bengio 2016, arXiv:1610.01644"
KORNBLITH = "Kornblith et al. 2019, arXiv:1905.00414"
NETS = ("mlp", "residual_mlp_scaled", "cnn_same")
CNN, CHANNELS = 4, 16  # layers; units for which a convolution has one channel
LARGEST = 1e18  # of a state: float32 has the square of it
TESTED, COMPARED = 2000, 512  # test images; those of them by which layers are compared
SCORING = Scoring(
    system="linear probes of a net's layers",
    noun="accuracy of a linear probe",
    trivial="probe of pixels",
    strong="RBF SVM on pixels",
    naming=lambda row, net: net.replace("cnn same", "convolutional"),
)
OWN = ("layer", "last", "fresh", "rise", "fresh_rise", "matched", "fresh_matched")
PROTOCOL = (
    "2,000 images of Fashion-MNIST, a fifth of them to choose by, 2,000 to test; nets "
    "of 64 units, or convolutions of 4 channels, Adam down a cosine, 1,500 steps of 64, 3 "
    "starts, the first's best of 2 or more rates"
)


def fit(cells, typed):
    """The cells, without convolutions that take long unless what makes them so was typed.
    Raises Refusal for one start, and for more images than there are."""
    for cell in cells:
        if cell["seeds"] < 2:
            raise Refusal("--seeds 1: layers of two nets are compared; 2 or more")
    nets.refuse_more(cells, "examples")
    cells, said = nets.fit(cells, typed)
    free = typed & {"architecture", "activation", "depth"}
    left = [cell for cell in cells if not free and slow(cell)]
    if left:
        said = [
            *said,
            f"{len(left)} left out: convolutions of other than {CNN} layers or ReLU",
        ]
    return [cell for cell in cells if cell not in left], said


def slow(cell):
    """Whether a cell's training takes long, and tells less than that of others."""
    other = cell["depth"] != CNN or cell["activation"] != "relu"
    return cell["architecture"] == "cnn_same" and other


def net_of(cell, parts):
    """The cell's net; of convolutions as `handmade` has them."""
    change, width = None, cell["width"]
    if cell["architecture"] == "cnn_same":
        change, width = placed.fitting(parts.shape), max(2, width // CHANNELS)
    recipe = Recipe(
        architecture=cell["architecture"],
        activation=cell["activation"],
        depth=cell["depth"],
        width=width,
        schedule="cosine",
    )
    return fits.Net(recipe, supervised.Task(parts.shape, parts.classes, change=change))


def divided(cell):
    parts = held_out.parts(cell["dataset"], cell["examples"], cell.get("data_dir"))
    return parts._replace(test=parts.test.first(TESTED))


@once
def pixels_of(dataset, examples, data_dir):
    """Test accuracies of (a linear probe of pixels, an RBF SVM on them)."""
    cell = {"dataset": dataset, "examples": examples, "data_dir": data_dir}
    parts = divided(cell)
    flat = [[part.x.reshape(len(part.x), -1)] for part in parts[:3]]
    read = linear_probes.read(*flat, [part.y for part in parts[:3]])
    fitted = baselines.fit("svm", *parts.train)
    return read.score, float(np.mean(fitted.predict(parts.test.x) == parts.test.y))


def measure(cells, shared, memory):
    """One Measured for each cell."""
    return [hierarchy(cell) for cell in cells]


def hierarchy(cell):
    """What linear probes find in each layer, and which layers of two nets are alike."""
    parts = divided(cell)
    net, (train, valid, _) = net_of(cell, parts), parts[:3]
    of_pixels = pixels_of.begin(cell["dataset"], cell["examples"], cell.get("data_dir"))
    grid, held = nets.rates(cell), fits.held(valid)
    tuned = first_seed.tuned(net, train.batch, cell, grid, "accuracy", held)
    new = [fits.fresh(net, seed) for seed in range(cell["seeds"])]
    read = [probed(run, parts) for run in tuned.runs]
    fresh = [probed(run, parts) for run in new]
    linear, machine = of_pixels()
    values = scores.values(
        score=[one.score for one in read],
        valid=float(np.mean([one.valid[one.layer] for one in read])),
        trivial=linear,
        strong=machine,
        before=fits.beforehand(net, train.batch, cell["seeds"]),
        tuned=tuned,
        examples=len(parts.test.y),
    )
    own = [run.accuracy(*parts.test) for run in tuned.runs]
    values |= scores.spread("own", own, len(parts.test.y))
    alike, fresh_alike = (likeness(runs, parts) for runs in (tuned.runs, new))
    columns = {
        "layer": [one.layer for one in read],
        "last": [one.test[-1] for one in read],
        "fresh": [one.test[-1] for one in fresh],
        "rise": [rise(one.test) for one in read],
        "fresh_rise": [rise(one.test) for one in fresh],
        "matched": [matched(one) for one in alike],
        "fresh_matched": [matched(one) for one in fresh_alike],
    }
    for name, each in columns.items():
        values |= scores.spread(name, each)
    profiles = {
        "trained": np.mean([one.test for one in read], axis=0),
        "fresh": np.mean([one.test for one in fresh], axis=0),
        "alike": np.mean(alike, axis=0).astype(np.float32),
        "fresh_alike": np.mean(fresh_alike, axis=0).astype(np.float32),
        "filters": hierarchy_shown.filters(tuned.runs[0], new[0], parts),
    }
    return Measured("ok", "", values, profiles)


def probed(run, parts):
    """What is read from each state of a net."""
    learn, valid, test = parts[:3]
    known = [numbers(state) for state in run.states(learn.x)]
    # Asked about together, so that one program serves all three shares.
    judged = run.states(np.concatenate([valid.x, test.x]))
    shares = [np.split(numbers(state), [len(valid.x)]) for state in judged]
    labels = [part.y for part in parts[:3]]
    return linear_probes.read(known, *zip(*shares, strict=True), labels)


def numbers(state):
    """A state as a probe reads it [images, numbers]: of a convolution the means of 2 × 2
    places, which are as many numbers as there are pixels.

    0 in place of what no number is, or too large to be squared: it tells nothing, so that
    of a net that diverged a probe finds what it finds without any features.
    """
    state = np.where(np.abs(state) < LARGEST, state, 0)  # False of nan, too
    if state.ndim == 4 and min(state.shape[1:3]) > 1:
        count, high, wide, channels = state.shape
        state = state[:, : high // 2 * 2, : wide // 2 * 2]
        state = state.reshape(count, high // 2, 2, wide // 2, 2, channels).mean((2, 4))
    return state.reshape(len(state), -1)


def rise(shares):
    """Spearman's correlation of a layer's place with what its probe finds.

    0 where all layers have the same.
    """
    if np.ptp(shares) == 0:
        return 0.0
    return float(stats.spearmanr(np.arange(len(shares)), shares).statistic)


def likeness(runs, parts):
    """CKA of every layer of one net with every layer of the next start's, of each pair
    [pairs, layers, layers]."""
    x = parts.test.x[:COMPARED]
    states = [run.states(x) for run in runs]
    pairs = zip(states, [*states[1:], states[0]], strict=True)
    return np.array([_ckas(one, other) for one, other in pairs])


def _ckas(one, other):
    """0 where a layer is the same for all images: it knows nothing."""
    alike = np.zeros((len(one), len(other)))
    rows, columns = (
        [n for n, state in enumerate(states) if np.ptp(state, axis=0).max() > 0]
        for states in (one, other)
    )
    if rows and columns:
        found = metrics.ckas([one[n] for n in rows], [other[n] for n in columns])
        alike[np.ix_(rows, columns)] = found
    return alike


def matched(alike):
    """The share of layers that are most like the same layer of the other net."""
    return float(np.mean(np.argmax(alike, axis=1) == np.arange(len(alike))))


# -------------------------------------------------------------------------- claims


def corresponding(row):
    """The share of layers that are most like their own of another start.

    A net's layers are few, whatever the number of starts: pairs that agree on them say
    nothing of how they spread, and the error of so many counts beside that of pairs.
    """
    if row["matched"] is None:
        return mean(None, None, row["seeds"])
    few = interval.of_few(row["matched"], row["depth"] + 1)
    return mean(row["matched"], row["matched_se"], row["seeds"], few)


def sinking(row):
    """By how much the last fresh layer knows more than pixels."""
    return mean(row["fresh"] - row["trivial"], row["fresh_se"], row["seeds"])


def untrained(row):
    """The doubts of what is said of trained nets: those that have learned next to nothing
    are none, whatever more steps would give them."""
    own = row.get("own")
    if own is not None and own < row["trivial"] / 2:
        return f"it did not train: {own:.2f} right"
    return of_training(row)


LABEL = ("architecture", "activation", "depth")
SHARED = {"protocol": PROTOCOL, "label": LABEL}
CLAIMS = (
    Claim(
        "alain2016.probes-rise",
        "what a linear probe finds in a trained net grows with the layer: Spearman's "
        "correlation of place and accuracy is at least 0.9",
        f"{ALAIN}, abstract",
        estimate=mean_of("rise"),
        allows=above(0.9),
        published="monotonically",
        differs="Inception v3 and ResNet-50 on ImageNet; a bar of 0.9 is ours",
        scope=lambda row: row["depth"] >= 4,
        doubt=untrained,
        **SHARED,
    ),
    Claim(
        "kornblith2019.layers-correspond",
        "of the layers of a trained net, at least 90 % are most like the same layer of a "
        "net from another start, by CKA",
        f"{KORNBLITH}, abstract",
        estimate=corresponding,
        allows=above(0.9),
        published="reliably",
        differs="ten convolutional layers, CIFAR-10; a bar of 90 % is ours",
        scope=lambda row: row["depth"] >= 4,
        doubt=untrained,
        **SHARED,
    ),
    Claim(
        "depthbench.fresh-layers-forget",
        "depthbench's own bar: in a net that learned nothing, a linear probe finds at "
        "least 5 points less in the last layer than in pixels",
        "depthbench",
        estimate=sinking,
        allows=below(-0.05),
        scope=lambda row: row["architecture"] == "mlp" and row["depth"] >= 4,
        doubt=certain,
        **SHARED,
    ),
)


# --------------------------------------------------------------------------- shown


def headline(rows):
    """Whether probes beat pixels, and how they rise in the deepest net."""
    answer, worst = SCORING.headline(rows)
    row = SCORING.best(of_deepest(measured(rows)))
    last, fresh, pixels = (
        SCORING.write(row[name]) for name in ("last", "fresh", "trivial")
    )
    more = comparisons.over(row, "trivial", row["tested"], "last")
    answer += (
        f" In the best net of {counted(row['depth'], 'layer')} a probe of the last finds "
        f"{last}, of pixels {pixels} ({by_depth.certainty(more)}); {fresh} before training."
    )
    if row["matched"] is not None:
        answer += (
            f" {100 * row['matched']:.0f} % of layers are most similar to the same layer "
            "of a net from another start."
        )
    return Headline(answer, worst)


STUDY = Study(
    name="feature_hierarchy",
    kind="experiment",
    question="Do deeper layers know more, and do two nets learn the same layers?",
    source=f"{ALAIN}; {KORNBLITH}",
    axes={
        **scores.axes((1, 4, 16), NETS, ("relu", "sigmoid"), known=NETS),
        "width": whole("units; a convolution has a sixteenth of channels", (64,)),
        "dataset": readable.axis(readable.pictured)._replace(values=("fashion_mnist",)),
        "examples": whole("images to learn from", (2000,), low=20),
        "steps": whole("steps of 64 images", (1500,)),
        "seeds": whole("runs of the best rate", (3,)),
        **nets.rate_axes(1e-3, 3e-3, 2),
    },
    sizes={
        "smoke": {
            "architecture": ("mlp",),
            "activation": ("relu",),
            "depth": (1, 4),
            "width": (16,),
            "dataset": ("digits",),
            "examples": (300,),
            "steps": (30,),
            "seeds": (2,),
            "rates": (1,),
            "further_rates": (0,),
        },
        "full": {
            "depth": (1, 4, 16, 32),
            "width": (512,),
            "examples": (10000,),
            "steps": (5000,),
            "seeds": (5,),
        },
    },
    plan=Plan(cost=lambda cells, shared: cost(cells), priority=nets.longest_first),
    fit=fit,
    measure="depthbench.experiments.vision.feature_hierarchy:measure",
    columns=("architecture", "activation", "depth", "width", *scores.COLUMNS, *OWN),
    claims=CLAIMS,
    headline=headline,
    tables=lambda rows: [SCORING.table(rows, more=OWN)],
    figures=lambda rows, profiles: hierarchy_shown.figures_of(SCORING, rows, profiles),
    shows=("hierarchy of features",),
    summary=SCORING.summary,
    compile_seconds=2.0,
)


def cost(cells):
    """Of steps and layers, and of probes of each layer."""
    seconds = 0.0
    for cell in cells:
        layers, wide = 1 + cell["depth"], max(0.2, (cell["width"] / 64) ** 2)
        runs = cell["seeds"] + cell["rates"] + cell["further_rates"] / 4
        # A convolution has as many weights in each of some 200 places.
        layer = 1.2e-3 if cell["architecture"] == "cnn_same" else 4e-5
        seconds += runs * cell["steps"] * layers * wide * layer
        seconds += 2 * cell["seeds"] * layers * cell["examples"] * wide * layer + 2.0
    return Cost(2**28, 2**28, seconds)


if __name__ == "__main__":
    from depthbench.research.cli.main import script

    script(STUDY.name)
