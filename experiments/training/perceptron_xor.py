"""From how many random starts does a net learn n-bit parity, by its hidden layers?

A perceptron, which has none, cannot: no linear rule is right on more than 75 % of XOR,
nor on more than ½ + C(n − 1, ⌊(n − 1)/2⌋)/2ⁿ of n bits. For n ≤ 3 all divisions of the
table are tried by linear programming; for larger n that share is a theorem, whose proof
is in `research/theory/thresholds.py`.

Source: Rosenblatt 1958, Psychol. Rev. 65:386 (the perceptron and its rule); Minsky &
Papert 1969, Perceptrons (what it cannot); Rumelhart, Hinton & Williams 1986, Nature
323:533 (hidden layers that learn).

All of the truth table is trained on, and there is nothing else to test on: scored is not
how well a net generalises but the share of starts that end with every line right. A table
of 2ⁿ entries is right by definition, and so is what memorises, a nearest neighbour; the
baseline is the best of what Rosenblatt's machine can be. The learning rate is chosen with
other starts than those that are scored.
"""

import functools

from depthbench.experiments import comparisons, scores
from depthbench.experiments.scores import Scoring
from depthbench.experiments.training import costs, nets, pairs
from depthbench.experiments.training import perceptron_xor_shown as shown
from depthbench.experiments.training.pairs import whole
from depthbench.research.catalogues.catalogue import choices
from depthbench.research.lazy import lazily
from depthbench.research.learning.recipe import Recipe
from depthbench.research.learning.selection import Outcome
from depthbench.research.study.axes import Axis
from depthbench.research.study.claims import Claim
from depthbench.research.study.declaration import Measured, Study
from depthbench.research.study.doubts import of_sides, upward
from depthbench.research.study.errors import Refusal
from depthbench.research.study.estimates import above, below, share

with lazily():
    import jax.numpy as jnp
    import numpy as np

    from depthbench.research.architectures import contract
    from depthbench.research.architectures.dense import shallow
    from depthbench.research.learning import feed, fits, starts, supervised
    from depthbench.research.theory import thresholds

SOURCE = "Minsky & Papert 1969, Perceptrons, MIT Press"
RULES = choices(
    "rule",
    gradient="Adam on the cross-entropy of the whole table",
    rosenblatt="one line at a time, the weights moved by it where it is wrong",
)
SCORING = Scoring(
    system="perceptron and multilayer perceptron on parity",
    noun="share of starts that solve parity",
    trivial="one answer for all",
    strong="best linear rule",
    by=("rule", "architecture", "activation"),
    unit="hidden layer",
    naming=lambda row, net: (
        f"{net} by Rosenblatt's rule" if row["rule"] == "rosenblatt" else net
    ),
)
MARGIN = 1e-3  # nats: outputs nearer than this are equal but for rounding
CHOSEN_BY = 1_000_000  # the first seed of the starts that rates are chosen with
PROTOCOL = (
    "truth table in full, 8 units a layer, Adam, 600 steps, 200 random starts, rate chosen "
    "with others"
)


def net_of(cell):
    """The cell's net, and how it is trained."""
    gradient, relu = cell["rule"] == "gradient", cell["activation"] == "relu"
    recipe = Recipe(
        architecture=cell["architecture"],
        activation=cell["activation"],
        depth=1,
        width=cell["width"],
        initializer="he_normal" if relu else "glorot_normal",
        optimizer="adam" if gradient else "sgd",
        batch=2 ** cell["bits"] if gradient else 1,
    )
    change = shallow.hidden(cell["depth"])
    return fits.Net(recipe, supervised.Task((cell["bits"],), 2, change=change))


@functools.cache
def rosenblatt(net):
    """The system whose gradient step is Rosenblatt's: nothing is moved that is right."""

    def objective(params, stats, batch, key):
        outputs, _ = contract.apply(
            net.parts.net, contract.unite(params, stats), batch["inputs"]
        )
        own = jnp.take_along_axis(outputs, batch["targets"][:, None], axis=1)[:, 0]
        short = jnp.sum(outputs, axis=1) - 2 * own  # the other output less its own
        right = (short < 0).astype(jnp.float32)
        return {"loss": jnp.maximum(short, 0.0), "accuracy": right}, stats

    init = supervised.init_of(net.recipe, net.task)
    return supervised.system_of(net.parts, init, objective=objective)


def measure(cells, shared, memory):
    """One Measured for each cell."""
    return [solved(cell) for cell in cells]


def solved(cell):
    """The share of starts that solve the table, at the rate at which most others do."""
    x, y = thresholds.table(cell["bits"])
    net, data = net_of(cell), {"inputs": x, "targets": y}
    how = {"size": cell["seeds"]}
    if cell["rule"] == "rosenblatt":
        how |= {"system": rosenblatt(net), "feeds": feed.drawn(1)}

    def runs_of(rate, first, count):
        numbers = fits.numbers(net, rate, cell["steps"])
        return [starts.Run(first + seed, numbers) for seed in range(count)]

    def train(rates):
        count = -(-cell["seeds"] // cell["rates"])  # all rates are one call
        runs = [run for rate in rates for run in runs_of(rate, CHOSEN_BY, count)]
        done = starts.train(net, data, cell["steps"], runs, **how)
        return [done[n * count : (n + 1) * count] for n in range(len(rates))]

    def outcome(done):
        right = rights(done, x, y)
        ended = np.mean([fit.diverged is None for fit in done])
        return Outcome(
            ended=ended, trained=np.mean(right == 1), right=float(np.mean(right))
        )

    most = cell["further_rates"]
    tuned = fits.tuned(train, nets.rates(cell), "trained", outcome, most=most)
    runs = runs_of(tuned.setting, 0, cell["seeds"])
    done = starts.train(net, data, cell["steps"], runs, **how)
    right = rights(done, x, y)
    how.pop("size")
    linear = best_linear(cell["bits"])
    values = scores.values(
        score=right == 1,
        valid=tuned.tried[tuned.setting].trained,
        trivial=0.0,
        strong=float(linear == 1),
        before=starts.beforehand(net, data, runs, cell["steps"], **how),
        tuned=tuned,
        examples=1,
        anew=True,
    )
    values |= {"linear_right": linear, **scores.spread("right", right)}
    return Measured("ok", "", values, regions(cell, done, right))


def rights(done, x, y):
    """The share of the table that each net gets right [nets], by MARGIN at least.

    On parity a logistic perceptron's weights go to 0, where sums of float32 that are
    rounded in different orders can say anything, even XOR.
    """
    outputs = starts.outputs(done, x)
    lead = outputs[..., 1] - outputs[..., 0]
    return np.mean(np.where(y == 1, lead, -lead) > MARGIN, axis=1)


@functools.cache
def best_linear(bits):
    """The share of the table that the best linear rule gets right."""
    if 2**bits <= thresholds.MOST_ROWS:
        return thresholds.exhaustive_share(*thresholds.table(bits))
    return thresholds.parity_share(bits)


def regions(cell, done, right):
    """What a start that solves XOR, and one that does not, answer on the plane around it.

    By name: [side, side], the output for 1 less that for 0.
    """
    if cell["bits"] != 2:
        return {}
    at = np.linspace(-shown.REACH, shown.REACH, shown.SIDE, dtype=np.float32)
    plane = np.stack(np.meshgrid(at, at), axis=-1).reshape(-1, 2)
    found = {}
    for name, good in (("solved", right == 1), ("unsolved", right < 1)):
        if np.any(good):
            one = starts.outputs([done[int(np.argmax(good))]], plane)[0]
            found[name] = (one[:, 1] - one[:, 0]).reshape(shown.SIDE, shown.SIDE)
    return found


def fit(cells, typed):
    """The cells of which there is such a net. Raises Refusal where there is none.

    Skips go over layers after the first, Rosenblatt's rule has no hidden layer to teach,
    and without one there is no activation: the first that is asked for stands for all.
    """
    first = cells[0]["activation"] if cells else ""
    kept = [
        cell
        for cell in cells
        if (cell["depth"] > 1 or cell["architecture"] == "mlp")
        and (cell["depth"] > 0 or cell["activation"] == first)
        and (cell["depth"] == 0 or cell["rule"] == "gradient")
    ]
    if not kept:
        raise Refusal(
            "--depth: skips go over 2 hidden layers or more, and Rosenblatt's rule is of "
            "nets without any"
        )
    kept, lines = nets.fit(kept, typed)
    left = len(cells) - len(kept)
    why = f"{left} cells left out: skips over fewer than 2 layers, rules of other nets"
    return kept, [*lines, why] if left else lines


def solving(row):
    """The share of starts, as a claim estimates it."""
    return share(row["score"], row["seeds"])


def deeper(rows):
    """Of nets of 4 hidden layers, the share less that of one hidden layer."""
    places = ("bits", "activation", "rule")
    one = {tuple(r[p] for p in places): r for r in rows if r["depth"] == 1}
    more = [r for r in rows if r["depth"] == 4 and r["architecture"] == "mlp"]
    found = [(r, one.get(tuple(r[p] for p in places))) for r in more]
    return [
        {
            **pairs.joint([row, other]),
            **{name: row[name] for name in (*places, "depth", "seeds")},
            **comparisons.apart(row, other),
        }
        for row, other in found
        if other is not None
    ]


STUDY = Study(
    name="perceptron_xor",
    kind="experiment",
    question="From how many random starts does a net learn n-bit parity, by its hidden "
    "layers?",
    source=SOURCE,
    axes={
        "rule": Axis("how weights are learned", ("gradient", "rosenblatt"), RULES),
        **scores.axes((), activations=("relu", "sigmoid")),
        "depth": whole("hidden layers; 0: a perceptron", (0, 1, 2, 4, 8), 0, False),
        "bits": Axis("bits", (2, 4, 6), None, "integer", 2, 12),
        "width": whole("units of a hidden layer", (8,)),
        "steps": whole("steps", (600,)),
        "seeds": whole("random starts", (200,), 2),
        **nets.rate_axes(1e-3, 1e-1, 4),
    },
    sizes={
        "smoke": {
            "depth": (0, 1),
            "bits": (2,),
            "activation": ("relu",),
            "seeds": (12,),
            "steps": (60,),
            "rates": (1,),
        },
        "full": {
            "depth": (0, 1, 2, 4, 8, 16),
            "bits": (2, 3, 4, 6, 8, 10),
            "activation": ("relu", "tanh", "sigmoid"),
            "width": (64,),
            "steps": (4000,),
            "seeds": (1000,),
        },
    },
    plan=costs.plan(compiling=4.5, layer=6.0e-7, at_once=costs.tried),
    fit=fit,
    measure="depthbench.experiments.training.perceptron_xor:measure",
    columns=(
        *("rule", "architecture", "activation", "depth", "bits", "width"),
        *(*scores.COLUMNS, "right", "linear_right"),
    ),
    claims=(
        Claim(
            "popular.one-hidden-layer-learns-xor",
            "a net of one hidden layer learns XOR, which a perceptron cannot, from 9 "
            "starts in 10",
            "popular accounts, after Rumelhart, Hinton & Williams 1986, Nature 323:533",
            estimate=solving,
            allows=above(0.9),
            moves=upward,
            protocol=PROTOCOL,
            differs="no number of starts is named",
            scope=lambda row: row["depth"] == 1 and row["bits"] == 2,
            label=("activation",),
        ),
        Claim(
            "popular.deep-sigmoid-cannot-learn-xor",
            "the gradient of a plain sigmoid net of 8 hidden layers vanishes, and it does "
            "not learn even XOR: from fewer than 1 start in 10",
            "popular accounts, after Hochreiter 1991",
            estimate=solving,
            allows=below(0.1),
            moves=upward,
            protocol=PROTOCOL,
            differs="of deep nets in general",
            scope=lambda row: (
                (row["activation"], row["architecture"], row["depth"], row["bits"])
                == ("sigmoid", "mlp", 8, 2)
            ),
            label=("activation", "depth"),
        ),
        Claim(
            "depthbench.depth-helps-parity",
            "depthbench's own bar: four hidden layers solve parity of 4 and more bits from "
            "at least as many starts as one does, to 5 points",
            "depthbench",
            estimate=scores.gap,
            allows=above(-0.05),
            moves=of_sides,
            protocol=PROTOCOL,
            scope=lambda row: row["bits"] >= 4,
            label=("activation", "bits"),
            of=deeper,
        ),
    ),
    headline=lambda rows: shown.headline(rows, SCORING),
    tables=lambda rows: shown.tables(rows, SCORING),
    figures=lambda rows, profiles: shown.figures_of(rows, profiles, SCORING),
    shows=("perceptron", "XOR"),
    summary=lambda rows: shown.summary(rows, SCORING),
    compile_seconds=3.0,
)

if __name__ == "__main__":
    from depthbench.research.cli.main import script

    script(STUDY.name)
