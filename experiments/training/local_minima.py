"""Do random starts end in bad minima, and does width or depth change that?

All starts of a net are trained on all of the data at every step, and where one ends with
a loss that others do not have, the Hessian says what holds it: a saddle has a direction
that goes down, a minimum has none. A direction counts if it is curved downwards by a
thousandth of the largest curvature; what has none may be a minimum or a plateau, which no
number of digits tells apart.

Source: Dauphin et al. 2014, arXiv:1406.2572 (what holds a net is saddles, not minima, the
more so in many dimensions); Choromanska et al. 2015, arXiv:1412.0233 (poor minima are of
small nets; the final losses of large ones are nearly alike).

Scored is the training loss itself, as nothing else is asked about; the baseline is
logistic regression, whose loss has one minimum. The rate is chosen by the training loss of
other starts than those that are shown.
"""

import functools
import math

from depthbench.experiments import comparisons, scores
from depthbench.experiments.scores import Scoring
from depthbench.experiments.training import costs, nets, pairs
from depthbench.experiments.training import local_minima_shown as shown
from depthbench.experiments.training.pairs import whole
from depthbench.research.catalogues.catalogue import choices
from depthbench.research.lazy import lazily
from depthbench.research.learning.recipe import Recipe
from depthbench.research.learning.selection import Outcome, half
from depthbench.research.study.axes import Axis
from depthbench.research.study.claims import Claim
from depthbench.research.study.declaration import Measured, Study
from depthbench.research.study.doubts import certain
from depthbench.research.study.errors import Refusal
from depthbench.research.study.estimates import above, below, share

with lazily():
    import numpy as np
    import sklearn.linear_model as linear_model

    from depthbench.research.architectures.dense import shallow
    from depthbench.research.learning import (
        curvature,
        fits,
        held_out,
        starts,
        supervised,
    )
    from depthbench.research.signal import profiles
    from depthbench.research.theory import thresholds

SOURCE = "Dauphin et al. 2014, arXiv:1406.2572"
TASKS = choices(
    "task", parity="parity of 4 bits, all 16 lines", digits="100 digits of 4 × 4 means"
)
BITS, DIGITS = 4, 100
STUCK = 0.02  # nats: a larger loss at the end is one that others leave
DOWN = 1e-3  # of the largest eigenvalue: a least one below −this is a way down
REST = (
    0.1  # of the loss, for a move by all of the weights' length: a lesser slope is none
)
CURVED = 24  # starts whose Hessian is made, those of the largest losses
CHOSEN_BY = 1_000_000
SCORING = Scoring(
    system="random starts of small nets",
    noun="training loss",
    trivial="class shares",
    strong="logistic regression",
    by=("task", "activation", "width"),
    higher=False,
    form=".3g",
    unit="hidden layer",
    naming=lambda row, net: f"{net}, {row['width']} wide, on {row['task']}",
    within=scores.positive,
)
PROTOCOL = (
    "parity of 4 bits and 100 digits, tanh, all examples at each of 1,000 steps of Adam "
    "with a cosine schedule, 200 starts, the rate chosen with others"
)


@functools.cache
def task_of(name):
    """(x, y, classes): float32 [examples, inputs] and int32 [examples]."""
    if name == "parity":
        return *thresholds.table(BITS), 2
    x, y = held_out.parts("digits").train.first(DIGITS)
    means = x.reshape(len(x), 4, 2, 4, 2).mean(axis=(2, 4)).reshape(len(x), -1)
    return means.astype(np.float32), y.astype(np.int32), 10


def net_of(cell):
    """The cell's net, and how it is trained."""
    x, _, classes = task_of(cell["task"])
    recipe = Recipe(
        architecture=cell["architecture"],
        activation=cell["activation"],
        depth=1,
        width=cell["width"],
        initializer="glorot_normal",
        schedule="cosine",
        batch=len(x),
    )
    change = shallow.hidden(cell["depth"])
    return fits.Net(recipe, supervised.Task(x.shape[1:], classes, change=change))


def measure(cells, shared, memory):
    """One Measured for each cell."""
    return [ends(cell) for cell in cells]


def ends(cell):
    """Where the starts of a net end, at the rate of the least loss."""
    x, y, _ = task_of(cell["task"])
    net, data, steps = net_of(cell), {"inputs": x, "targets": y}, cell["steps"]
    grid, seeds = nets.rates(cell), cell["seeds"]

    def runs_of(rate, first, count, steps=steps):
        numbers = fits.numbers(net, rate, steps)
        return [starts.Run(first + seed, numbers) for seed in range(count)]

    def train(rates, steps=steps):
        count = -(-seeds // len(grid))
        runs = [run for rate in rates for run in runs_of(rate, CHOSEN_BY, count, steps)]
        most = cell["steps"]
        done = starts.train(net, data, steps, runs, size=seeds, capacity=most)
        return [done[n * count : (n + 1) * count] for n in range(len(rates))]

    def outcome(done):
        ended = np.mean([fit.diverged is None for fit in done])
        return Outcome(ended=ended, loss=float(np.mean(losses(done, data))))

    most = cell["further_rates"]
    sooner = lambda rate: train([rate], half(steps))[0]
    tuned = fits.tuned(train, grid, "loss", outcome, most=most, sooner=sooner)
    runs = runs_of(tuned.setting, 0, seeds)
    done = starts.train(net, data, steps, runs, size=seeds)
    final = losses(done, data)
    values = scores.values(
        score=final,
        valid=tuned.tried[tuned.setting].loss,
        trivial=entropy(y),
        strong=logistic_loss(cell["task"]),
        before=starts.beforehand(net, data, runs, steps),
        tuned=tuned,
        higher=False,
    )
    profile = held(done, final, data, values)
    return Measured("ok", "", values | spread(final), profile)


def losses(done, data):
    """The mean loss on all of the data [nets], in double precision."""
    outputs = starts.outputs(done, data["inputs"]).astype(np.float64)
    top = outputs.max(axis=-1, keepdims=True)
    logs = outputs - top - np.log(np.exp(outputs - top).sum(axis=-1, keepdims=True))
    own = np.take_along_axis(logs, data["targets"][None, :, None], axis=-1)
    return -own[..., 0].mean(axis=1)


def entropy(y):
    """The loss of answering each class with its share, in nats."""
    shares = np.bincount(y) / len(y)
    shares = shares[shares > 0]
    return float(-np.sum(shares * np.log(shares)))


@functools.cache
def logistic_loss(task):
    """The training loss of logistic regression with hardly a penalty."""
    x, y, _ = task_of(task)
    fitted = linear_model.LogisticRegression(C=1e4, max_iter=10_000).fit(x, y)
    return float(-np.mean(np.log(fitted.predict_proba(x)[np.arange(len(y)), y])))


def spread(final):
    """How far apart the final losses are, and the share that ends above STUCK.

    log10_deviation: of the losses' standard deviation, with its jackknife error.
    """
    count = len(final)
    others = [np.std(np.delete(final, n)) for n in range(count)]
    logs = np.log10(np.maximum(others, 1e-12))
    error = math.sqrt((count - 1) / count * np.sum((logs - logs.mean()) ** 2))
    return {
        "stuck": float(np.mean(final > STUCK)),
        "median": float(np.median(final)),
        "log10_deviation": float(np.log10(max(np.std(final), 1e-12))),
        "log10_deviation_se": float(error),
    }


def held(done, final, data, values):
    """Profiles of the starts: final losses [starts]; of those that are worst, curvature.

    Adds to the values what holds the stuck ones: the share of them that is at a saddle.
    Those that are still on a slope are counted, and are at neither saddle nor minimum.
    """
    order = np.argsort(-final)[:CURVED]
    curved = curvature.curved([done[n] for n in order], data)
    stuck = final[order] > STUCK
    caught = stuck & (curved.steepness < REST)
    downhill = curved.least < -DOWN * np.abs(curved.largest)
    count = int(np.sum(caught))
    values |= {
        "at_rest": count,
        "on_slopes": int(np.sum(stuck)) - count,
        "saddles": float(np.mean(downhill[caught])) if count else None,
        "log10_gradient": _median_log10(curved.gradient[caught]),
        "least_eigenvalue": _resolved(curved.least[caught]) if count else None,
    }
    return {"losses": final, **curved._asdict()}


def _resolved(eigenvalues):
    """Their median, 0 where it is what float32 leaves of 0 beside curvatures of 1."""
    return profiles.resolved(float(np.median(eigenvalues)), 1.0)


def _median_log10(sizes):
    known = sizes[sizes > 0]
    return float(np.median(np.log10(known))) if len(known) else None


def fit(cells, typed):
    """The cells with something to skip. Raises Refusal where there is none."""
    kept = [c for c in cells if c["depth"] > 1 or c["architecture"] == "mlp"]
    if not kept:
        raise Refusal("--depth: skips go over 2 hidden layers or more")
    return nets.fit(kept, typed)


def narrowest_to_widest(rows):
    """log10 of the deviation of final losses, the widest net's less the narrowest's."""
    groups = {}
    for row in rows:
        key = tuple(
            row[name] for name in ("task", "architecture", "activation", "depth")
        )
        groups.setdefault(key, []).append(row)
    made = []
    for key, found in groups.items():
        low, *_, high = sorted(found, key=lambda row: row["width"]) * (
            1 + (len(found) == 1)
        )
        if low["width"] == high["width"]:
            continue
        names = ("task", "architecture", "activation", "depth")
        made.append(
            {
                **pairs.joint([low, high]),
                **dict(zip(names, key, strict=True)),
                "seeds": low["seeds"],
                **comparisons.apart(high, low, "log10_deviation"),
            }
        )
    return made


STUDY = Study(
    name="local_minima",
    kind="experiment",
    question="Do random starts end in bad minima, and does width or depth change that?",
    source=SOURCE,
    axes={
        "task": Axis("what is learned", ("parity", "digits"), TASKS),
        **scores.axes((), architectures=("mlp",), activations=("tanh",)),
        "depth": whole("hidden layers", (1, 4), single=False),
        "width": whole("units of a hidden layer", (4, 8, 16), single=False),
        "steps": whole("steps of all examples", (1000,)),
        "seeds": whole("random starts", (200,), 8),
        **nets.rate_axes(3e-3, 1e-1, 4),
    },
    sizes={
        "smoke": {
            "task": ("parity",),
            "depth": (1,),
            "width": (2, 4),
            "steps": (40,),
            "seeds": (8,),
            "rates": (1,),
        },
        "full": {
            "depth": (1, 2, 4, 8, 16),
            "width": (2, 4, 8, 16, 32),
            "architecture": ("mlp", "residual_mlp"),
            "steps": (10000,),
            "seeds": (1000,),
        },
    },
    plan=costs.plan(compiling=7.0, layer=2.0e-6, at_once=costs.tried),
    fit=fit,
    measure="depthbench.experiments.training.local_minima:measure",
    columns=(
        *("task", "architecture", "activation", "depth", "width", *scores.COLUMNS),
        *("stuck", "median", "log10_deviation", "log10_deviation_se"),
        *("at_rest", "on_slopes", "saddles"),
        *("log10_gradient", "least_eigenvalue"),
    ),
    claims=(
        Claim(
            "choromanska2015.losses-draw-together",
            "the wider a net, the less do the final losses of its starts differ",
            "Choromanska et al. 2015, arXiv:1412.0233",
            estimate=scores.gap,
            allows=below(0.0),
            protocol=PROTOCOL,
            differs="10 classes of 10 × 10 digits, one ReLU layer of 25 to 500 units, SGD",
            scope=lambda row: True,
            label=("task", "activation", "depth"),
            of=narrowest_to_widest,
        ),
        Claim(
            "dauphin2014.saddles-hold-nets",
            "where a start comes to rest at a high loss it is at a saddle, not at a "
            "minimum: the Hessian of most has a way down",
            SOURCE,
            estimate=lambda row: share(row["saddles"], row["at_rest"]),
            allows=above(0.5),
            protocol=PROTOCOL,
            differs="critical points that Newton's method finds, not ends of training",
            scope=lambda row: True,
            label=("task", "activation", "depth", "width"),
            doubt=certain,
        ),
        Claim(
            "popular.no-bad-minima",
            "of nets wide enough hardly a start ends in a bad minimum: fewer than 1 in 20",
            "popular accounts, after Choromanska et al. 2015",
            estimate=lambda row: share(row["stuck"], row["seeds"]),
            allows=below(0.05),
            protocol=PROTOCOL,
            differs="of nets of any size",
            scope=lambda row: row["width"] >= 8,
            label=("task", "activation", "depth", "width"),
        ),
    ),
    headline=lambda rows: shown.headline(rows, SCORING),
    tables=lambda rows: shown.tables(rows, SCORING),
    figures=shown.figures_of,
    shows=("local minima of the loss",),
    summary=lambda rows: SCORING.summary(shown.hardest(rows)),
    compile_seconds=4.0,
)

if __name__ == "__main__":
    from depthbench.research.cli.main import script

    script(STUDY.name)
