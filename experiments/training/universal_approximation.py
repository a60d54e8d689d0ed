"""How close does a net come to a function of one input, by width, and by depth at equal
numbers of weights?

Source: Cybenko 1989, Math. Control Signals Syst. 2:303 (one hidden layer is enough);
Barron 1993, IEEE Trans. Inf. Theory 39:930 (of n sigmoidal units the integrated squared
error is of order 1/n); Telgarsky 2015, arXiv:1509.08101, and 2016, arXiv:1602.04485: a
ReLU net of two units in each of k layers is a sawtooth of 2^k straight pieces, which no net
of one hidden layer with fewer than 2^k − 1 units comes within ½ of. These are theorems on
the nets that there are; here it is asked what training finds.

The baseline is a spline, linear or cubic, fitted by least squares to the same points with
as many numbers as the net has weights, half of them knots. These are at equal distances,
among which the kinks of |x| and of the sawtooth happen to be: a linear spline of knots
enough is then exact. Errors are the largest on 4,001 points; degrees and depths are chosen
by those between the training points, and rates by the training loss.
"""

import functools
import math

from depthbench.experiments import comparisons, scores
from depthbench.experiments.scores import Scoring
from depthbench.experiments.training import costs, nets, pairs
from depthbench.experiments.training import universal_approximation_shown as shown
from depthbench.experiments.training.pairs import whole
from depthbench.research.catalogues.catalogue import choices
from depthbench.research.lazy import lazily
from depthbench.research.learning.recipe import Recipe
from depthbench.research.study.axes import Axis
from depthbench.research.study.claims import Claim
from depthbench.research.study.declaration import Measured, Study
from depthbench.research.study.doubts import downward, of_sides
from depthbench.research.study.errors import Refusal
from depthbench.research.study.estimates import above, below, mean_of
from depthbench.research.study.tables import NEGLIGIBLE

with lazily():
    import numpy as np
    import scipy.interpolate as interpolate

    from depthbench.research.architectures.dense import shallow
    from depthbench.research.learning import fits, selection, starts, supervised

SOURCE = "Telgarsky 2016, arXiv:1602.04485"
POINTS, FINE = 256, 4001  # that are trained on, and that the error is the largest of
DOUBLINGS = 4  # of the sawtooth: 16 straight pieces
LEAST = 2  # units of a layer
FUNCTIONS = choices(
    "function",
    smooth="sin(3πx) e^(−x)/2",
    absolute="|x|",
    sawtooth="a sawtooth of 16 straight pieces",
)
SCORING = Scoring(
    system="universal approximation by ReLU nets",
    noun="largest error",
    trivial="best constant",
    strong="spline of as many numbers",
    by=("function", "weights"),
    higher=False,
    form=".3g",
    unit="hidden layer",
    naming=lambda row, net: f"{net}, {row['weights']} weights, on {row['function']}",
    within=scores.positive,
)
PROTOCOL = (
    "256 points of [−1, 1], ReLU, Adam with a cosine schedule, 2,500 steps of all points, "
    "5 seeds, the rate chosen by the training loss"
)


def values_of(function, x):
    """The function at x [points], of FUNCTIONS."""
    if function == "smooth":
        return np.sin(3 * np.pi * x) * np.exp(-x) / 2
    if function == "absolute":
        return np.abs(x)
    return sawtooth(x, DOUBLINGS)


def sawtooth(x, doublings):
    """The tent map on [0, 1], taken so many times, of (x + 1)/2: 2^doublings pieces.

    >>> [float(sawtooth(x, 2)) for x in (-1.0, -0.5, 0.0)]
    [0.0, 1.0, 0.0]
    """
    y = (x + 1) / 2
    for _ in range(doublings):
        y = np.where(y < 0.5, 2 * y, 2 - 2 * y)
    return y


def count(depth, width):
    """Weights and biases of a net of one input and one output.

    >>> count(1, 10), count(4, 2)
    (31, 25)
    """
    return 2 * width + (depth - 1) * width * (width + 1) + width + 1


def width_of(depth, weights):
    """The most units a layer of a net that has at most so many weights."""
    width = max(1, int(math.sqrt(weights)))
    while count(depth, width + 1) <= weights:
        width += 1
    while width > 1 and count(depth, width) > weights:
        width -= 1
    return width


def net_of(cell):
    """The cell's net, and how it is trained."""
    recipe = Recipe(
        architecture=cell["architecture"],
        activation=cell["activation"],
        depth=1,
        width=width_of(cell["depth"], cell["weights"]),
        initializer="he_normal",
        sigma_b2=0.25,  # else all kinks of the first layer begin at 0
        schedule="cosine",
        batch=POINTS,
    )
    change = shallow.hidden(cell["depth"])
    return fits.Net(recipe, supervised.Task((1,), 1, "numbers", change=change))


@functools.cache
def parts(function):
    """(x, y) to learn from, to choose by and to judge by: y [points] in float64."""
    x = np.linspace(-1, 1, POINTS)
    places = x, (x[1:] + x[:-1]) / 2, np.linspace(-1, 1, FINE)
    return tuple((at, values_of(function, at)) for at in places)


def measure(cells, shared, memory):
    """One Measured for each cell."""
    return [errors(cell) for cell in cells]


def errors(cell):
    """The largest error of the net at its best rate, and the spline's."""
    train, valid, test = parts(cell["function"])
    net, steps, seeds = net_of(cell), cell["steps"], cell["seeds"]
    data = {
        "inputs": train[0][:, None].astype(np.float32),
        "targets": train[1][:, None].astype(np.float32),
    }
    grid, most = nets.rates(cell), cell["further_rates"]
    size = seeds * len(grid)

    def runs_of(rate, steps=steps):
        return [starts.Run(s, fits.numbers(net, rate, steps)) for s in range(seeds)]

    def trained(rates, steps=steps):
        runs = [run for rate in rates for run in runs_of(rate, steps)]
        done = starts.train(net, data, steps, runs, size, capacity=cell["steps"])
        return [done[n * seeds : (n + 1) * seeds] for n in range(len(rates))]

    sooner = lambda rate: trained([rate], selection.half(steps))[0]
    tuned = fits.tuned(trained, grid, "loss", most=most, sooner=sooner)
    far = [answers(tuned.runs, part[0]) - part[1] for part in (valid, test)]
    largest = [np.max(np.abs(one), axis=1) for one in far]
    spline = best_spline(cell["function"], cell["weights"])
    values = scores.values(
        score=largest[1],
        valid=float(np.mean(largest[0])),
        trivial=float(np.ptp(test[1]) / 2),
        strong=_rounded(np.max(np.abs(spline(test[0]) - test[1]))),
        before=starts.beforehand(net, data, runs_of(grid[0]), steps),
        tuned=tuned,
        higher=False,
    )
    root = np.sqrt(np.mean(np.square(far[1]), axis=1))
    values |= {
        "width": net.recipe.width,
        "used": count(cell["depth"], net.recipe.width),
        **scores.spread("rms", root),
        **scores.spread("log10_rms", np.log10(np.maximum(root, 1e-12))),
    }
    middle = int(np.argsort(largest[0])[seeds // 2])
    at = test[0][:: FINE // shown.SHOWN]
    profile = {
        "net": answers(tuned.runs[middle : middle + 1], at)[0],
        "spline": spline(at),
    }
    return Measured(
        "ok", "", values, {**profile, "x": at, "y": values_of(cell["function"], at)}
    )


def _rounded(error):
    """The error, 0 where it is nothing but float64's rounding."""
    return float(error) if error > NEGLIGIBLE else 0.0


def answers(done, x):
    """[nets, points] of nets at x [points], in double precision."""
    outputs = starts.outputs(done, np.asarray(x, np.float32)[:, None])
    return outputs[..., 0].astype(np.float64)


@functools.cache
def best_spline(function, numbers):
    """The linear or cubic least-squares spline of so many numbers, a knot counting as one.

    The better one between the training points. Of more numbers than there are points it has
    as many as of these.
    """
    (x, y), (between, truth), _ = parts(function)
    tried = []
    for degree in (1, 3):
        inner = max(0, (min(numbers, POINTS) - degree - 1) // 2)
        knots = np.linspace(-1, 1, inner + 2)
        padded = np.concatenate([[-1.0] * degree, knots, [1.0] * degree])
        tried.append(interpolate.make_lsq_spline(x, y, padded, degree))
    return min(tried, key=lambda one: np.max(np.abs(one(between) - truth)))


def fit(cells, typed):
    """The cells whose nets have at least LEAST units a layer. Raises Refusal."""
    kept = [
        cell
        for cell in cells
        if width_of(cell["depth"], cell["weights"]) >= LEAST
        and (cell["depth"] > 1 or cell["architecture"] == "mlp")
    ]
    if not kept:
        raise Refusal(
            f"--depth: no net of so few weights has {LEAST} units in each of so many "
            "layers, or skips over fewer than 2"
        )
    kept, lines = nets.fit(kept, typed)
    left = len(cells) - len(kept)
    why = f"{left} cells left out: fewer than {LEAST} units a layer, or nothing to skip"
    return kept, [*lines, why] if left else lines


def slopes(rows):
    """Of nets of one hidden layer on the smooth function, how log10 of the root mean
    square error falls with log10 of the width: least squares, errors carried through."""
    groups = {}
    for row in rows:
        if row["depth"] == 1 and row["function"] == "smooth":
            groups.setdefault(row["activation"], []).append(row)
    made = []
    for activation, found in groups.items():
        known = [r for r in found if r.get("log10_rms_se") is not None]
        if len(known) < 3:
            continue
        x = np.log10([row["width"] for row in known])
        pull = (x - x.mean()) / np.sum((x - x.mean()) ** 2)
        slope = float(pull @ [row["log10_rms"] for row in known])
        error = float(np.linalg.norm(pull * [row["log10_rms_se"] for row in known]))
        made.append(
            {
                **pairs.joint(found),
                "activation": activation,
                "seeds": min(row["seeds"] for row in known),
                "slope": slope,
                "slope_se": error,
            }
        )
    return made


def deeper(rows):
    """On the sawtooth, how much less 4 hidden layers err than 1 of as many weights."""
    teeth = {"function": "sawtooth", "architecture": "mlp"}
    ends = ({**teeth, "depth": depth} for depth in (4, 1))
    by = ("weights", "activation")
    return comparisons.against(*ends, by, higher=False)(rows)


STUDY = Study(
    name="universal_approximation",
    kind="experiment",
    question="How close does a net come to a function, by width, and by depth at equal "
    "numbers of weights?",
    source=SOURCE,
    axes={
        "function": Axis("on [−1, 1]", ("smooth", "absolute", "sawtooth"), FUNCTIONS),
        **scores.axes((), architectures=("mlp",)),
        "depth": whole("hidden layers", (1, 2, 4), single=False),
        "weights": Axis("weights at most", (40, 160, 640), None, "integer", 7, 10**6),
        "steps": whole("steps of all points", (2500,)),
        "seeds": whole("runs of each rate", (5,)),
        **nets.rate_axes(1e-3, 3e-2, 4),
    },
    sizes={
        "smoke": {
            "function": ("sawtooth",),
            "depth": (1, 2),
            "weights": (40,),
            "steps": (60,),
            "rates": (2,),
            "further_rates": (0,),
        },
        "full": {
            "architecture": ("mlp", "residual_mlp"),
            "activation": ("relu", "tanh"),
            "depth": (1, 2, 4, 8, 16),
            "weights": (40, 160, 640, 2560, 10240, 40960),
            "steps": (20000,),
            "seeds": (8,),
        },
    },
    plan=costs.plan(
        3.0, 1.2e-5, lambda cell: max(cell["depth"], cell["weights"] / costs.WIDTH**2)
    ),
    fit=fit,
    measure="depthbench.experiments.training.universal_approximation:measure",
    columns=(
        *("function", "architecture", "activation", "depth", "weights", "width"),
        *(*scores.COLUMNS, "rms", "log10_rms", "used"),
    ),
    claims=(
        Claim(
            "cybenko1989.one-layer-comes-close",
            "one hidden layer, if it is wide, comes close to any continuous function: "
            "here to a 20th of the smooth one's range with 640 weights",
            "Cybenko 1989, Math. Control Signals Syst. 2:303",
            estimate=scores.score,
            allows=below(0.11),
            moves=downward,
            protocol=PROTOCOL,
            differs="sigmoidal units, as many as it needs, and nothing about training",
            scope=lambda row: (
                row["function"] == "smooth"
                and row["depth"] == 1
                and row["weights"] == 640
            ),
            label=("activation", "weights"),
        ),
        Claim(
            "barron1993.error-falls-as-root-of-units",
            "of one hidden layer of n units the squared error falls at least as 1/n: the "
            "root mean square error with an exponent of −½ or less",
            "Barron 1993, IEEE Trans. Inf. Theory 39:930",
            estimate=mean_of("slope"),
            allows=below(-0.5),
            protocol=PROTOCOL,
            differs="sigmoidal units, the best that there are; no training",
            scope=lambda row: True,
            label=("activation",),
            of=slopes,
            published="integrated squared error of order O(1/n)",
        ),
        Claim(
            "telgarsky2016.training-finds-sawtooth",
            "of 40 weights in 4 layers training finds a sawtooth that one hidden layer of "
            "as many weights cannot come within ½ of",
            SOURCE,
            estimate=scores.score,
            allows=below(0.5),
            moves=downward,
            protocol=PROTOCOL,
            differs="the theorem says that there is such a net, not that it is found",
            scope=lambda row: (
                row["function"] == "sawtooth"
                and (row["depth"], row["weights"]) == (4, 40)
            ),
            label=("architecture", "activation", "depth"),
        ),
        Claim(
            "depthbench.depth-beats-width-on-sawtooth",
            "depthbench's own bar: on the sawtooth 4 hidden layers have no larger error "
            "than one of as many weights",
            "depthbench",
            estimate=scores.gap,
            allows=above(0.0),
            moves=of_sides,
            protocol=PROTOCOL,
            scope=lambda row: True,
            label=("weights", "activation"),
            of=deeper,
        ),
    ),
    headline=lambda rows: shown.headline(rows, SCORING),
    tables=lambda rows: [SCORING.table(rows, more=("width", "rms"))],
    figures=lambda rows, profiles: shown.figures_of(rows, profiles, SCORING),
    shows=("universal approximator",),
    summary=lambda rows: SCORING.summary(shown.hardest(rows)),
    compile_seconds=3.0,
)

if __name__ == "__main__":
    from depthbench.research.cli.main import script

    script(STUDY.name)
