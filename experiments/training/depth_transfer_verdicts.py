"""What is claimed of the best learning rate over depth, and the rows it is judged by.

A best rate is one of so many steps. Where a net still learned when they ended, a verdict
counts only if half of the steps come to the same: then it is not the budget that decides.
"""

import math

from depthbench.experiments.training import mup_verdicts, pairs
from depthbench.research.study import doubts
from depthbench.research.study.claims import Claim
from depthbench.research.study.estimates import about, below

BORDELON = "Bordelon et al. 2023, arXiv:2309.16620"
YANG = "Yang et al. 2023, arXiv:2310.02244"
SOURCE = f"{BORDELON}; {YANG}"
BY = ("optimizer", "branches")
WITHIN = mup_verdicts.STEP  # a step of the grid, in log2
PROTOCOL = (
    "residual nets of one-layer branches on digits, 64 units, 4 to 64 layers, no "
    "normaliser, PyTorch's variance, 600 steps of 16 examples (and 300 where nets still "
    "learn), best rates between those of the grid by a parabola"
)
SGD = PROTOCOL + ", SGD at one rate for all layers"
ADAM = PROTOCOL + ", Adam"
DIFFERS = (
    "convolutional residual nets and Vision Transformers, CIFAR-10 (20 epochs) and \
ImageNet"
)
DIFFERS_YANG = "CIFAR-10, 50 epochs in batches of 64, to 1,024 layers"


def best_rates(rows):
    """Of each net but the shallowest of its kind, its best rate and how far it moved.

    half_gap: how far it had moved after half of the steps; nan where it was at an edge.
    """
    ends = mup_verdicts.shifts(rows, BY, "depth")
    halves = mup_verdicts.shifts([_at_half(row) for row in rows], BY, "depth")
    return [
        {**end, "half_gap": half["gap"]} for end, half in zip(ends, halves, strict=True)
    ]


def _at_half(row):
    """The row as if its loss at half of the steps were its last."""
    loss, error = (row.get(f"half_loss{end}") for end in ("", "_se"))
    return {**row, "train_loss": loss, "train_loss_se": error}


def settled(allows):
    """The doubts of a claim on best rates after a number of steps."""

    def within(gap):
        return allows.low <= gap <= allows.high

    def doubt(row):
        gap, half = row["gap"], row["half_gap"]
        same = math.isfinite(half) and within(half) == within(gap)
        return doubts.of_training({**row, "unfinished": row["unfinished"] and not same})

    return doubt


def deepest(rows):
    """Of each kind, the largest depth's."""
    shifted = best_rates(rows)
    most = {}
    for row in shifted:
        kind = tuple(row[name] for name in BY)
        most[kind] = max(row["depth"], most.get(kind, 0))
    return [row for row in shifted if row["depth"] == most[tuple(map(row.get, BY))]]


def of(optimizer, branches):
    return lambda row: (row["optimizer"], row["branches"]) == (optimizer, branches)


def claim(key, says, source, allows, **more):
    return Claim(
        key,
        says,
        source,
        tag="S31",
        estimate=pairs.gap,
        allows=allows,
        doubt=settled(allows),
        label=(*BY, "depth"),
        **more,
    )


CLAIMS = (
    claim(
        "bordelon2023.scaled-rate-transfers",
        "with branches divided by √depth SGD's best rate is the same at every depth, "
        "within a step of the grid",
        f"{BORDELON}, abstract",
        allows=about(0.0, within=WITHIN),
        scope=of("sgd", "scaled"),
        of=best_rates,
        protocol=SGD,
        differs=DIFFERS,
        published="optimal hyperparameters transfer across depth",
    ),
    claim(
        "bordelon2023.unscaled-rate-falls",
        "with branches as they are the deepest net's best rate for SGD is lower than the "
        "shallowest's, by more than a step of the grid",
        f"{BORDELON}, abstract",
        allows=below(-WITHIN),
        scope=of("sgd", "unscaled"),
        of=deepest,
        protocol=SGD,
        differs=DIFFERS,
        published="hyperparameters do not transfer across depth",
    ),
    claim(
        "yang2023.depth-mup-rate-transfers",
        "in depth-μP Adam's best rate is the same at every depth, within a step of the "
        "grid",
        f"{YANG}, abstract",
        allows=about(0.0, within=WITHIN),
        scope=of("adam", "scaled"),
        of=best_rates,
        protocol=f"{ADAM}, its rate divided by √depth in the layers",
        differs=DIFFERS_YANG,
        published="depthwise hyperparameter transfer",
    ),
    claim(
        "yang2023.unscaled-rate-falls",
        "with branches as they are the deepest net's best rate for Adam is lower than "
        "the shallowest's, by more than a step of the grid",
        f"{YANG}, section 1",
        allows=below(-WITHIN),
        scope=of("adam", "unscaled"),
        of=deepest,
        protocol=ADAM,
        differs=DIFFERS_YANG,
        published="significant shifts in the optimal hyperparameters",
    ),
)
