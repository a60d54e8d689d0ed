"""What accounts say of faster devices: on one device's rows, and on two beside each other.

An accelerator's rows are set beside the committed ones of a CPU, cell by cell. Where rows
are a CPU's there is nothing to set beside, and such claims are untested.
"""

import math

from depthbench.research.report import published
from depthbench.research.study.claims import Claim
from depthbench.research.study.doubts import after_steps
from depthbench.research.study.estimates import above, below, exact, share
from depthbench.research.study.headlines import measured

ACCOUNT = "Schmidhuber, computer-vision-contests-won-by-gpu-cnns, of arXiv:1003.0358"
PROTOCOL = (
    "digits, 32 units, plain gradient descent in batches of 64, 3 seeds, 150 steps and "
    "fifty times as many"
)
LABEL = ("activation", "depth")
CELL = ("activation", "depth", "width", "dataset", "steps", "faster")


def beside_cpu(rows):
    """An accelerator's rows, each with the committed row of a CPU at the same cell."""
    committed = published.made("gpu_fix")
    done = [] if committed is None else measured(committed.rows)
    known = {_cell(row): row for row in done}
    return [
        {**row, "cpu": known[_cell(row)]}
        for row in rows
        if row.get("platform") not in (None, published.CPU) and _cell(row) in known
    ]


def _cell(row):
    return tuple(row.get(name) for name in CELL)


def apart(row):
    """How far log10 of the first layer's fresh gradient is from the CPU's."""
    sides = row["first_gradient"], row["cpu"]["first_gradient"]
    return exact(None if None in sides else abs(sides[0] - sides[1]))


def quicker(row):
    """log2 of the CPU's time of a step over this device's."""
    return exact(math.log2(row["cpu"]["step_ms"] / row["step_ms"]))


def vanishes(row):
    """Nets of sigmoid layers from 8 on: each multiplies the gradient by at most 1/4 ‖W‖."""
    return row["activation"] == "sigmoid" and row["depth"] >= 8


CLAIMS = (
    Claim(
        "popular.fifty-times-the-steps-cure",
        "a sigmoid net of 8 layers or more, which plain gradient descent does not train "
        "in the budget, is at 90 % of its training digits in fifty times as many steps",
        ACCOUNT,
        estimate=lambda row: share(row["reached_faster"], row["seeds"]),
        allows=above(0.5),
        protocol=PROTOCOL,
        differs="MNIST with distorted digits, wider nets of fewer layers, tanh",
        published="no new technique but GPUs, 50 times as fast",
        scope=vanishes,
        label=LABEL,
        doubt=after_steps,
    ),
    Claim(
        "popular.gpu-cures-vanishing",
        "on an accelerator a sigmoid net of 8 layers or more is at 90 % of its training "
        "digits in the budget of steps, where on a CPU it is not",
        ACCOUNT,
        estimate=lambda row: share(row["reached"], row["seeds"]),
        allows=above(0.5),
        protocol=PROTOCOL,
        differs="MNIST with distorted digits, wider nets of fewer layers, tanh",
        scope=lambda row: vanishes(row) and row["cpu"]["reached"] < 0.5,
        label=LABEL,
        of=beside_cpu,
        doubt=after_steps,
    ),
    Claim(
        "depthbench.devices-have-one-gradient",
        "depthbench's own bar: an accelerator's fresh gradient of the first layer is the "
        "CPU's, to 0.01 decades",
        "depthbench",
        estimate=apart,
        allows=below(0.01),
        protocol=PROTOCOL,
        scope=lambda row: True,
        label=LABEL,
        of=beside_cpu,
        doubt=lambda row: "",
    ),
    Claim(
        "popular.gpu-steps-sooner",
        "an accelerator takes a step of the same net in less time than a CPU",
        ACCOUNT,
        estimate=quicker,
        allows=above(0.0),
        protocol=PROTOCOL,
        differs="nets of millions of weights",
        published="50 times as fast",
        scope=lambda row: True,
        label=LABEL,
        of=beside_cpu,
        doubt=lambda row: "",
    ),
)
