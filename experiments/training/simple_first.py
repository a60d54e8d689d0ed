"""Where do nets lose to simple methods, by depth and number of examples?

Popular accounts advise to try the simple thing first. Here that is a linear model, a
tree, a forest and kernels on three small tables that come with scikit-learn, from 30 to
320 rows, each tuned by cross-validation. The best of them is chosen, as nets' rates are,
by a fifth of each draw's rows that is held out; nets have weight decay, as simple methods
have penalties. A score is the accuracy or, of the diabetes, R².

Least squares are the simplest net, and have a closed form. Gradient descent finds it at
the rate that the condition number says: Nesterov 2004, theorem 2.1.15. The step is that
which is best for the slowest part of the distance; the fastest then falls no sooner, so
that at a condition number of 10⁵ the loss, too, comes down slowly.
"""

import functools

from depthbench.experiments import comparisons, scores
from depthbench.experiments.training import costs, nets, small_tables
from depthbench.experiments.training import simple_first_shown as shown
from depthbench.experiments.training.pairs import whole
from depthbench.experiments.training.simple_first_shown import METHODS, SCORING
from depthbench.experiments.training.small_tables import TABLES
from depthbench.research.lazy import lazily
from depthbench.research.learning.recipe import Recipe
from depthbench.research.study.axes import Axis
from depthbench.research.study.claims import Claim
from depthbench.research.study.declaration import Measured, Study
from depthbench.research.study.doubts import after_steps, certain
from depthbench.research.study.errors import Refusal
from depthbench.research.study.estimates import about, below, mean_of
from depthbench.research.study.plan import all_but

with lazily():
    import numpy as np

    from depthbench.research.learning import baselines, fits, least_squares, supervised

RESOLVED = 6  # decimals of a loss of order 1, whose sums float32 rounds
SOURCE = "popular accounts; Nesterov 2004, Introductory Lectures, theorem 2.1.15"
ACCOUNTS, NESTEROV = SOURCE.split("; ")
PROTOCOL = (
    "diabetes, wine and breast cancer, 24 to 256 rows to learn from, 32 units, Adam, 400 "
    "steps of 32, 5 draws of the rows; rates, weight decay and methods chosen on a quarter "
    "as many more"
)
DESCENT = (
    "standardised columns of the tables, 20,000 steps of the best constant size, 5 draws "
    "of the rows"
)
KINDS = {  # of labels, and of numbers
    "linear": ("logistic", "ridge"),
    "tree": ("tree", "tree_numbers"),
    "forest": ("forest", "forest_numbers"),
    "kernel": ("svm", "kernel_ridge"),
    "trivial": ("majority", "mean"),
}


def net_of(cell, parts, decay=0.0):
    """The cell's net, for labels or a number."""
    recipe = Recipe(
        architecture=cell["architecture"],
        activation=cell["activation"],
        depth=cell["depth"],
        width=cell["width"],
        batch=32,
        optimizer="adamw",
        weight_decay=decay,
    )
    asked = ("classes", parts.classes) if parts.classes else ("numbers", 1)
    return fits.Net(recipe, supervised.Task(parts.shape, asked[1], asked[0]))


def measure(cells, shared, memory):
    """One Measured for each cell."""
    return [accuracies(cell) for cell in cells]


def accuracies(cell):
    """A net's score on each draw of the rows, and each simple method's."""
    table, count = cell["table"], cell["examples"]
    draws = [small_tables.parts(table, count, seed) for seed in range(cell["seeds"])]
    tuned, decay = trained(cell, draws)
    right = [
        judged(fit, parts.test) for fit, parts in zip(tuned.runs, draws, strict=True)
    ]
    known = [simple(table, count, seed) for seed in range(cell["seeds"])]
    chosen = best_of(known)
    values = scores.values(
        score=right,
        valid=held(tuned.runs, draws),
        trivial=float(np.mean([each["trivial"][1] for each in known])),
        strong=[each[chosen][1] for each in known],
        before=fits.beforehand(
            net_of(cell, draws[0]), draws[0].train.batch, cell["seeds"]
        ),
        tuned=tuned,
        examples=len(draws[0].test.y) if draws[0].classes else None,
        anew=True,
    )
    for name in METHODS:
        values[name] = float(np.mean([each[name][1] for each in known]))
    values |= {"simplest": chosen, "decay": decay}
    found, profile = descent(table, count, cell["seeds"], cell["descent_steps"])
    return Measured("ok", "", {**values, **found}, profile)


def trained(cell, draws):
    """(each draw's net, weight decay) at the settings that are best on what is held out.

    Simple methods have penalties that are tuned: so have nets.
    """
    outcome = fits.chosen_by(lambda run: judged(run, draws[run.seed].valid))

    def at(decay):
        def by_rate(rates):
            by_draw = [
                fits.train(net, parts.train.batch, cell["steps"], rates, [seed])
                for seed, parts in enumerate(draws)
            ]
            return list(zip(*by_draw, strict=True))

        net, most = net_of(cell, draws[0], decay), cell["further_rates"]
        return fits.tuned(by_rate, nets.rates(cell), "accuracy", outcome, most=most)

    return nets.best_decay(at, outcome, "accuracy")


def held(runs, draws):
    """The mean score on what is held out."""
    both = zip(runs, draws, strict=True)
    return float(np.mean([judged(fit, parts.valid) for fit, parts in both]))


def judged(fit, share):
    """A net's score; the trivial answer's of one that diverged."""
    outputs = fit.outputs(share.x)
    if share.y.dtype == np.int32:
        return small_tables.score(outputs.argmax(axis=1), share.y)
    finite = np.isfinite(outputs).all()
    return small_tables.score(outputs[:, 0] if finite else 0 * share.y, share.y)


@functools.cache
def simple(table, count, seed):
    """Of each method its score on what is held out, and on the test part."""
    parts = small_tables.parts(table, count, seed)
    found = {}
    for name, of in KINDS.items():
        fitted = baselines.fit(of[0 if parts.classes else 1], *parts.train, seed=seed)
        both = (parts.valid, parts.test)
        found[name] = [small_tables.score(fitted.predict(p.x), p.y) for p in both]
    return found


def best_of(known):
    """The simple method that is best on what is held out of all draws, as rates are.

    One draw's few rows would choose by chance. The first of equal ones.
    """
    return max(METHODS, key=lambda name: np.mean([each[name][0] for each in known]))


@functools.cache
def descent(table, count, seeds, steps):
    """Least squares by gradient descent: how far it comes, and how soon."""
    excess, ratios, conditions, distances = [], [], [], []
    for seed in range(seeds):
        x, y = small_tables.parts(table, count, seed).train
        y = (y - y.mean()) / y.std()  # of labels as well: their numbers
        closed = least_squares.closed(x, y)
        done = least_squares.descend(x, y, steps)
        losses = [np.mean((x @ w - y) ** 2) for w in (done.weights, closed.solution)]
        factor = least_squares.factor(done.distance)
        excess.append(round(float(losses[0] - losses[1]), RESOLVED))
        ratios.append(np.log(factor) / np.log(closed.factor) if factor else np.nan)
        conditions.append(closed.condition)
        distances.append(done.distance / done.distance[0])
    values = {"condition": float(np.exp(np.mean(np.log(conditions))))}
    values |= scores.spread("excess", excess) | scores.spread("slope", ratios)
    every = max(1, steps // 200)
    return values, {"distance": np.array(distances, np.float32)[:, ::every]}


def fit(cells, typed):
    """The cells whose table has so many rows."""
    kept = [c for c in cells if c["examples"] <= TABLES[c["table"]].most]
    if not kept:
        most = max(TABLES[cell["table"]].most for cell in cells)
        raise Refusal(f"examples {cells[0]['examples']}: there are at most {most}")
    return nets.fit(kept, typed)


def paired(rows, names, one, other, column):
    """Rows with `one` less those with `other`, alike in `names`: `change` and errors."""
    known = {(tuple(row[n] for n in names), other(row)): row for row in rows}
    found = []
    for row in rows:
        beside = known.get((tuple(row[n] for n in names), one))
        if beside is not None and beside is not row:
            found.append(_changed(row, beside, column))
    return found


def _changed(row, beside, column):
    apart = comparisons.apart(row, beside, column)
    change = {name.replace("gap", "change"): value for name, value in apart.items()}
    edge = row.get("rate_at_edge") or beside.get("rate_at_edge")
    return {**row, **change, "rate_at_edge": edge}


def deeper(rows):
    """Each deeper net's score less that of the least deep one."""
    least = min(row["depth"] for row in rows)
    names = ("table", "examples", "architecture", "activation")
    return paired(rows, names, least, lambda row: row["depth"], "score")


def fewest(rows):
    """The gap to the best simple method with the fewest rows less that with more."""
    few, names = (
        min(row["examples"] for row in rows),
        ("table", "depth", "activation"),
    )
    return [
        {**row, "change": None if row["change"] is None else -row["change"]}
        for row in paired(rows, names, few, lambda row: row["examples"], "gap")
    ]


def once(rows):
    """A row for each table and number of rows: what no net changes."""
    return list({(row["table"], row["examples"]): row for row in rows}.values())


def claim(
    key, says, name, allows, of=lambda rows: rows, scope=lambda row: True, **more
):
    return Claim(
        key,
        says,
        more.pop("source", ACCOUNTS),
        estimate=mean_of(name),
        allows=allows,
        scope=scope,
        of=of,
        protocol=more.pop("protocol", PROTOCOL),
        **{"doubt": after_steps, "label": ("table", "examples", "depth"), **more},
    )


CLAIMS = (
    claim(
        "popular.try-the-simple-thing-first",
        "on a small table the best simple method, chosen without the test part, is as "
        "good as a multilayer perceptron, to 2 points",
        *("gap", below(0.02)),
        differs="no one protocol",
    ),
    claim(
        "popular.nets-need-more-examples",
        "a multilayer perceptron is further behind the best simple method with 30 rows "
        "than with more of them",
        *("change", below(0.0), fewest),
        differs="no one protocol",
    ),
    claim(
        "depthbench.depth-is-no-help-on-tables",
        "depthbench's own bar: on a small table a net of more hidden layers is no better "
        "than one of fewer, to 2 points",
        *("change", below(0.02), deeper),
        source="depthbench's own",
    ),
    claim(
        "nesterov2004.rate-by-condition",
        "gradient descent on least squares comes nearer by (κ − 1)/(κ + 1) a step, of the "
        "condition number κ, once its slowest part is left: the logarithms' ratio is 1",
        *("slope", about(1.0, within=0.1), once),
        scope=lambda row: row["table"] == "diabetes",
        **{"source": NESTEROV, "protocol": DESCENT, "doubt": certain},
        differs="an upper bound, for all smooth and strongly convex functions",
        label=("table", "examples"),
    ),
    claim(
        "depthbench.descent-finds-least-squares",
        "depthbench's own bar: gradient descent ends within 1 % of the variance of what "
        "the closed form of least squares leaves",
        *("excess", below(0.01), once),
        source="depthbench's own",
        protocol=DESCENT,
        doubt=certain,
        label=("table", "examples"),
    ),
)

STUDY = Study(
    name="simple_first",
    kind="experiment",
    question="Where do nets lose to simple methods, by depth and number of examples?",
    source=SOURCE,
    axes={
        "table": Axis("the table", tuple(TABLES), TABLES),
        "examples": Axis(
            "rows to learn from and to choose by",
            *((30, 120, 320), None, "integer", 20, 426),
        ),
        **scores.axes((1, 4), architectures=("mlp",)),
        "width": whole("units of a layer", (32,)),
        "steps": whole("steps of 32 rows", (400,)),
        "descent_steps": whole("steps of gradient descent on all rows", (20000,), 10),
        "seeds": whole("draws of the rows", (5,)),
        **nets.rate_axes(1e-4, 1e-2, 3),
    },
    sizes={
        "smoke": {
            "table": ("wine",),
            "examples": (30,),
            "depth": (1,),
            "width": (8,),
            "steps": (30,),
            "descent_steps": (300,),
            "seeds": (2,),
            "rates": (1,),
        },
        "full": {
            "architecture": ("mlp", "residual_mlp"),
            "examples": (20, 40, 80, 120, 240, 320, 420),
            "depth": (1, 2, 4, 8, 16),
            "width": (256,),
            "steps": (2000,),
        },
    },
    plan=costs.plan(
        compiling=2.5,
        layer=2.0e-4,
        group=all_but("architecture", "activation", "depth"),
    ),
    fit=fit,
    measure="depthbench.experiments.training.simple_first:measure",
    columns=(
        *("table", "examples", "architecture", "activation", "depth"),
        *scores.COLUMNS,
        *(
            *METHODS,
            "decay",
            "simplest",
            "condition",
            "excess",
            "excess_se",
            "slope",
            "slope_se",
        ),
    ),
    claims=CLAIMS,
    headline=shown.headline,
    tables=lambda rows: [SCORING.table(rows, more=(*METHODS, "decay", "condition"))],
    figures=shown.figures_of,
    shows=("multilayer perceptron", "simple methods first"),
    summary=shown.summary,
    compile_seconds=2.0,
)

if __name__ == "__main__":
    from depthbench.research.cli.main import script

    script(STUDY.name)
