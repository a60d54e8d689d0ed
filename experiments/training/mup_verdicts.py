"""What is claimed of maximal-update parametrisation, and the rows it is judged by."""

import math

from depthbench.experiments.training import pairs
from depthbench.experiments.training.pairs import loss
from depthbench.research.lazy import lazily
from depthbench.research.study.claims import Claim
from depthbench.research.study.doubts import after_steps, certain
from depthbench.research.study.estimates import about, above, below, seeds_of
from depthbench.research.study.plan import grouped

with lazily():
    import numpy as np

SOURCE = "Yang, Hu et al. 2022, arXiv:2203.03466"
KINDS = {"standard": ("mlp", "adam"), "maximal update": ("mlp_mup", "adam_mup")}
FLAT = 0.15  # a factor of 1.5 over 16 times the width; theory has 0 as width grows
STEP = 1.0  # of the grid of rates, in log2: what a best rate can be known to
NETS = "ReLU nets of four layers on digits, widths 32 to 512, Adam"
SIZES = NETS + ", the middle rate of the grid"
TRAINING = NETS + ", 100 steps of 64 examples"
DIFFERS = "Transformers on text with Adam, nets on CIFAR-10 with SGD, widths to 8,192"


def slope(x, y, errors):
    """(slope, its standard error) of the least-squares line of y, with errors, on x."""
    x = np.asarray(x, np.float64)
    weights = (x - x.mean()) / np.sum((x - x.mean()) ** 2)
    fitted = (
        float(weights @ np.asarray(y)),
        np.linalg.norm(weights * np.asarray(errors)),
    )
    return fitted[0], float(fitted[1])


def middle_rate(rows):
    """The rate that sizes are compared at: the middle one of those of all nets.

    Without those that a net's own grid was made wider by.
    """
    nets = grouped(rows, lambda row: (row["parametrization"], row["width"]))
    of_nets = [{row["learning_rate"] for row in net} for net in nets.values()]
    grid = sorted(set.intersection(*of_nets) or set.union(*of_nets))
    return grid[len(grid) // 2]


def growth(rows):
    """Of each parametrisation, d log2 size / d log2 width, of hidden state and outputs."""
    rate = middle_rate(rows)
    of_kind = {
        kind: [
            row
            for row in rows
            if row["parametrization"] == kind and row["learning_rate"] == rate
        ]
        for kind in KINDS
    }
    return [
        {"parametrization": kind, "of": name, **_growth(rows_of_kind, name)}
        for kind, rows_of_kind in of_kind.items()
        if len({row["width"] for row in rows_of_kind}) > 1
        for name in ("hidden", "output")
    ]


def _growth(rows, name):
    """The slope of a size over widths; a run that diverges later had its sizes too."""
    lost = [row for row in rows if row.get(f"{name}_size") is None]
    seeds = min(row["seeds"] for row in rows)
    if lost:
        return {**pairs.joint(lost), "seeds": seeds, "gap": None, "gap_se": None}
    gap, error = slope(
        [math.log2(row["width"]) for row in rows],
        [row[f"{name}_size"] for row in rows],
        [pairs.deviation(f"{name}_size")(row) for row in rows],
    )
    return {"status": "ok", "seeds": seeds, "gap": gap, "gap_se": error}


def shifts(rows, kind=("parametrization",), axis="width"):
    """Of each value of an axis, log2 of its best rate over that of the least value's net.

    kind: what else nets differ in, of each of which the least value is its own.
    """
    shifted = []
    for of_kind in grouped(rows, lambda row: tuple(row[n] for n in kind)).values():
        by_value = grouped(of_kind, lambda row: row[axis])
        chosen = [optimum(by_value[value], (*kind, axis)) for value in sorted(by_value)]
        shifted += [
            {
                **row,
                **pairs.joint([chosen[0], row]),
                "seeds": min(chosen[0]["seeds"], row["seeds"]),
                "gap": row["log2_rate"] - chosen[0]["log2_rate"],
                "gap_se": math.hypot(row["log2_rate_se"], chosen[0]["log2_rate_se"]),
            }
            for row in chosen[1:]
        ]
    return shifted


def optimum(rows, by=("parametrization", "width")):
    """The best rate's row of a net, with log2 of the rate at which the loss is least.

    by: what tells nets apart, all rows being of one.
    That is the vertex of the parabola through ln loss at the best rate and the two
    beside it, and its standard error is what those of the losses make of it; nan where
    there are no such three. seeds: the fewest that one of the three losses is the mean of.
    """
    (best,) = pairs.choices(rows, by, "loss")
    if not pairs.ran(best):
        return {**best, "log2_rate": math.nan, "log2_rate_se": math.nan}
    line = sorted(filter(pairs.ran, rows), key=lambda row: row["learning_rate"])
    place = [row["learning_rate"] for row in line].index(best["learning_rate"])
    three = line[place - 1 : place + 2] if place else []
    vertex, error, seeds = math.nan, math.nan, best["seeds"]
    if len(three) == 3:
        vertex, error = least_at(
            [math.log2(row["learning_rate"]) for row in three],
            [math.log(max(loss(row), 1e-12)) for row in three],
            [pairs.deviation("train_loss")(r) / max(loss(r), 1e-12) for r in three],
        )
        seeds = min(seeds_of(row, "train_loss") for row in three)
    return {**best, "seeds": seeds, "log2_rate": vertex, "log2_rate_se": error}


def least_at(x, y, errors):
    """(where the parabola through three points is least, its standard error).

    x: at equal distances. To first order in the errors of y.
    """
    low, middle, high = y
    bend = low - 2 * middle + high
    by_low, by_high = (middle - high) / bend**2, (low - middle) / bend**2
    slopes = (by_low, -by_low - by_high, by_high)
    step = x[2] - x[1]
    error = math.hypot(*(slope * e for slope, e in zip(slopes, errors, strict=True)))
    return x[1] + step * (low - high) / (2 * bend), step * error


def widest(rows):
    most = max(row["width"] for row in rows)
    return [row for row in shifts(rows) if row["width"] == most]


CLAIMS = (
    Claim(
        "yang2022.mup-sizes-flat",
        "in μP the sizes of states and outputs after five steps are flat in width",
        f"{SOURCE}, appendix D.1",
        tag="S20",
        estimate=pairs.gap,
        allows=about(0.0, within=FLAT),
        protocol=SIZES,
        differs=DIFFERS,
        doubt=certain,
        published="exponent 0",
        scope=lambda row: row["parametrization"] == "maximal update",
        label=("parametrization", "of"),
        of=growth,
    ),
    Claim(
        "yang2022.standard-sizes-grow",
        "in the standard parametrisation the sizes of states and outputs after "
        "five steps grow with width",
        f"{SOURCE}, appendix D.1",
        tag="S20",
        estimate=pairs.gap,
        allows=above(0.0),
        protocol=SIZES,
        differs=DIFFERS,
        doubt=certain,
        published="exponent above 0",
        scope=lambda row: row["parametrization"] == "standard",
        label=("parametrization", "of"),
        of=growth,
    ),
    Claim(
        "yang2022.mup-rate-transfers",
        "in μP the best rate is the same at every width, within a step of the grid",
        f"{SOURCE}, figures 1 and 3",
        tag="S20",
        estimate=pairs.gap,
        allows=about(0.0, within=STEP),
        protocol=TRAINING,
        differs=DIFFERS,
        doubt=after_steps,
        published="log2 of the rates' ratio: 0",
        scope=lambda row: row["parametrization"] == "maximal update",
        label=("parametrization", "width"),
        of=shifts,
    ),
    Claim(
        "yang2022.standard-rate-falls",
        "in the standard parametrisation the widest net's best rate is lower, by "
        "more than a step of the grid",
        f"{SOURCE}, figures 1 and 3",
        tag="S20",
        estimate=pairs.gap,
        allows=below(-STEP),
        protocol=TRAINING,
        differs=DIFFERS,
        doubt=after_steps,
        published="log2 of the rates' ratio: below −1",
        scope=lambda row: row["parametrization"] == "standard",
        label=("parametrization", "width"),
        of=widest,
    ),
)
