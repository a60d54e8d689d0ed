"""Does depth help to tell from a sensor's signal what wears in a machine?

Source: Randall & Antoni 2011, Mech. Syst. Signal Process. 25:485: how worn bearings and
gears sound, and how an engineer finds them: by the spectrum of the envelope. Bagnall &
Lines 2014, arXiv:1406.4757: a nearest neighbour under dynamic time warping is not easy to
beat where its band is chosen with care; here so is whether channels are warped together.

Four sets: generated vibrations (`research/datasets/vibration.py`; wear was drawn so that
the engineer's features are right in about four of five), and three of the UCR and UEA
archives as the package aeon holds them: six channels of a watch, a hand that points or
draws, vowels of nine speakers. Two strong baselines: warping, and features with a support
vector machine; beside nets stands that which is better on what rates are chosen by,
features where both are as good.

What differs: nets read vibrations eight samples at a step. Of the archives' sets there
are 40, 50 and 270 series to learn and choose from, so an error is of few examples.
"""

from depthbench.experiments import comparisons, first_seed, scores
from depthbench.experiments.buildable import one_of
from depthbench.experiments.once import once
from depthbench.experiments.scores import Scoring
from depthbench.experiments.sequences import sensors_shown
from depthbench.experiments.training import nets
from depthbench.experiments.training.pairs import whole
from depthbench.research.datasets import find, readable
from depthbench.research.lazy import lazily
from depthbench.research.learning.recipe import Recipe
from depthbench.research.study.axes import Axis
from depthbench.research.study.claims import Claim
from depthbench.research.study.declaration import Cost, Measured, Plan, Study
from depthbench.research.study.doubts import of_sides, upward
from depthbench.research.study.estimates import above, below

with lazily():
    import numpy as np

    from depthbench.research.learning import (
        baselines,
        fits,
        held_out,
        signal_features,
        supervised,
        warping,
    )

BAGNALL = "Bagnall & Lines 2014, arXiv:1406.4757, abstract"
NETS = {"cnn_1d": "relu", "stacked_gru": "tanh"}  # φ of each
SCORING = Scoring(
    system="net that reads sensors",
    noun="test accuracy",
    trivial="commonest class",
    strong="warping or features",
    by=("dataset", "architecture"),
    naming=sensors_shown.named,
)
PROTOCOL = (
    "1,280 signals to learn from, 320 to choose by, 400 to judge by, fewer of the "
    "archives' sets, 32 units, Adam, 260 steps of 32, 3 seeds, the first seed's best of "
    "two rates or more"
)


def net_of(cell, parts):
    """The cell's net, and what it is asked."""
    recipe = Recipe(
        architecture=cell["architecture"],
        activation=NETS[cell["architecture"]],
        initializer="he_normal"
        if cell["architecture"] == "cnn_1d"
        else "glorot_normal",
        depth=cell["depth"],
        width=cell["width"],
        batch=32,
        clip=1.0,
    )
    return fits.Net(recipe, supervised.Task(parts.shape, parts.classes))


def measure(cells, shared, memory):
    """One Measured for each cell."""
    return [accuracies(cell) for cell in cells]


def accuracies(cell):
    """Test accuracy at the best rate, and of each class."""
    where = cell["dataset"], cell["signals"], cell.get("data_dir")
    parts = divided(*where)
    (train, valid, test), others = parts[:3], compared_with.begin(*where)
    net, held = net_of(cell, parts), fits.held(valid)
    tuned = first_seed.tuned(net, train.batch, cell, nets.rates(cell), "accuracy", held)
    ended = held(tuned.runs)
    if diverged := first_seed.diverged(tuned, ended):
        return diverged
    others = others()
    given = [run.outputs(test.x).argmax(axis=1) for run in tuned.runs]
    right = [each == test.y for each in given]
    values = scores.values(
        score=[float(np.mean(each)) for each in right],
        valid=ended.accuracy,
        trivial=others["trivial"],
        strong=others["strong"],
        before=fits.beforehand(net, train.batch, cell["seeds"]),
        tuned=tuned,
        examples=len(test.y),
        test_error=comparisons.of_answers(right, others["right"]),
    )
    more = {name: others[name] for name in ("warping", "band", "features")}
    kept = {
        "net": np.mean([by_class(each, test.y) for each in given], axis=0),
        "features": others["by_class"],
    }
    return Measured("ok", "", values | more, kept)


def by_class(given, y):
    """The share right of each class [classes]."""
    return np.array([np.mean(given[y == label] == label) for label in np.unique(y)])


def whole_signal(name, x):
    """Series as they were sampled: vibrations are read eight samples at a step."""
    return x.reshape(len(x), -1, 1) if name == "vibration" else x


def divided(name, most, data_dir):
    """A set's parts, of at most so many signals to learn from and to choose by."""
    sizes = find(name, data_dir).sizes
    count = None if sizes is None or sizes[0] <= most else most
    return held_out.parts(name, count, data_dir)


@once
def compared_with(name, most, data_dir):
    """The baselines' test accuracies, by name; right: which answers are, of that which
    is better on what rates are chosen by."""
    train, *judged = divided(name, most, data_dir)[:3]
    test = judged[-1]
    near = warping.fit(train.x, train.y)
    read = lambda part: signal_features.read(whole_signal(name, part.x))
    fitted = baselines.fit("svm", read(train), train.y)
    given = {
        "features": [fitted.predict(read(part)) for part in judged],
        "warping": [near.predict(part.x) for part in judged],
    }
    right = {
        method: [g == p.y for g, p in zip(each, judged, strict=True)]
        for method, each in given.items()
    }
    shares = {
        method: [float(np.mean(each)) for each in both]
        for method, both in right.items()
    }
    strong = max(shares, key=lambda method: shares[method][0])  # of equals the first
    return {
        **{method: of_test for method, (_, of_test) in shares.items()},
        "trivial": float(np.mean(test.y == np.bincount(train.y).argmax())),
        "band": near.band,
        "strong": shares[strong][1],
        "right": right[strong][1],
        "by_class": by_class(given["features"][-1], test.y),
    }


# -------------------------------------------------------------------------- claims


def over(name):
    """By how much a net is more accurate than one of the baselines."""
    return lambda row: comparisons.over(row, name, row.get("tested"))


def vibrates(row):
    return row["dataset"] == "vibration"


LABEL = ("dataset", "architecture", "depth")
CLAIMS = (
    Claim(
        "bagnall2014.warping-hard-to-beat",
        "no net is more accurate than a nearest neighbour under dynamic time warping, its "
        "band, and whether channels are warped alone, chosen by leaving one out, by more "
        "than 2 points",
        BAGNALL,
        estimate=over("warping"),
        allows=below(0.02),
        moves=upward,
        protocol=PROTOCOL,
        differs="77 sets, of one channel; trees, support vectors and others, and no nets "
        "that read series",
        scope=lambda row: not vibrates(row),
        label=LABEL,
    ),
    Claim(
        "popular.raw-signals-suffice",
        "a net that reads the raw signal tells worn parts apart as well as an engineer's "
        "features with a support vector machine, to 2 points",
        "popular accounts of deep learning: predictive maintenance from sensors",
        estimate=over("features"),
        allows=above(-0.02),
        moves=upward,
        protocol=PROTOCOL,
        differs="accounts give no protocol: machines, and far more signals",
        scope=vibrates,
        label=LABEL,
    ),
    Claim(
        "depthbench.sensors-gain-by-depth",
        "depthbench's own bar: the deepest net tells worn parts apart better than the "
        "shallowest by 2 points",
        "depthbench",
        estimate=scores.gap,
        allows=above(0.02),
        moves=of_sides,
        protocol=PROTOCOL,
        scope=vibrates,
        label=("dataset", "architecture"),
        of=comparisons.deeper(("dataset", "architecture")),
    ),
)


def cost(cells, shared):
    """Bytes and seconds of a cell, by what its steps multiply."""
    cell = cells[0]
    runs = cell["rates"] + cell["seeds"]
    kernels = {"cnn_1d": 3, "stacked_gru": 6}[cell["architecture"]]
    size = kernels * cell["width"] ** 2 * cell["depth"]
    steps = 85  # of time, the mean of the four sets
    seconds = 6.0 + 2e-10 * runs * cell["steps"] * 32 * steps * size
    kept = 4 * 32 * 150 * 12 * cell["width"] * cell["depth"]
    memory = 400 * 2**20 + 4 * kept + 16 * size
    return Cost(memory, memory, seconds)


STUDY = Study(
    name="sensors",
    kind="experiment",
    question="Does depth help to tell from a sensor's signal what wears in a machine?",
    source=f"Randall & Antoni 2011, Mech. Syst. Signal Process. 25:485; {BAGNALL}",
    axes={
        "dataset": readable.several(
            readable.signalled,
            ("vibration", "ts:BasicMotions", "ts:GunPoint", "ts:JapaneseVowels"),
        ),
        "architecture": Axis(
            "what reads the signal",
            tuple(NETS),
            one_of(NETS, "reads no signal here"),
        ),
        "depth": whole("layers", (1, 4), single=False),
        "width": whole("units of a layer", (32,)),
        "signals": whole(
            "signals to learn from and choose by, at most", (1600,), low=40
        ),
        "steps": whole("steps of 32 signals", (260,)),
        "seeds": whole("runs of the best rate", (3,)),
        **nets.rate_axes(2e-3, 8e-3, 2),
    },
    sizes={
        "smoke": {
            "dataset": ("vibration",),
            "architecture": ("cnn_1d",),
            "depth": (1, 2),
            "width": (8,),
            "signals": (80,),
            "steps": (40,),
            "seeds": (2,),
            "rates": (1,),
        },
        "full": {
            "depth": (1, 2, 4, 8),
            "width": (128,),
            "steps": (2000,),
            "seeds": (5,),
            "lowest_rate": (1e-4,),
            "highest_rate": (1e-3,),
        },
    },
    plan=Plan(cost=cost, priority=nets.longest_first),
    fit=nets.fit,
    measure="depthbench.experiments.sequences.sensors:measure",
    columns=(
        *("dataset", "architecture", "depth", "width", *scores.COLUMNS),
        *("warping", "band", "features"),
    ),
    claims=CLAIMS,
    headline=lambda rows: sensors_shown.headline(SCORING, rows),
    tables=lambda rows: [SCORING.table(rows, more=("warping", "features"))],
    figures=lambda rows, profiles: sensors_shown.figures(SCORING, rows, profiles),
    shows=("predictive maintenance",),
    summary=lambda rows: SCORING.summary(sensors_shown.of_machine(rows)),
    compile_seconds=5.0,
)

if __name__ == "__main__":
    from depthbench.research.cli.main import script

    script(STUDY.name)
