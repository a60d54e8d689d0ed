"""Does a residual net's gradient come by short paths, and can it spare a block?

A net of n blocks has 2^n paths, one for each choice of branches, and their lengths are
binomial: half of the blocks, give or take √n/2. Along a path of k branches the gradient
is about ρ^k, so that what all paths of a length carry is as n draws with ρ/(1 + ρ).

Source: Veit, Wilber & Belongie 2016, Residual Networks Behave Like Ensembles of
Relatively Shallow Networks, arXiv:1605.06431. In its net of 110 layers, 54 blocks, most
of the gradient came by 5 to 17 blocks (10 to 34 layers): by 0.45 % of the paths.
"""

from depthbench.experiments.training import path_nets
from depthbench.experiments.training.pairs import whole
from depthbench.experiments.training.path_nets import NETS, SOURCE, full, residual
from depthbench.experiments.training.residual_paths_shown import (
    FATAL,
    MOST,
    SPARED,
    STRAIGHT,
    draw_figures,
    tables,
)
from depthbench.research.datasets import readable
from depthbench.research.study import families
from depthbench.research.study.axes import Axis
from depthbench.research.study.claims import Claim
from depthbench.research.study.declaration import Cost, Headline, Plan, Study
from depthbench.research.study.errors import Refusal
from depthbench.research.study.estimates import above, below, mean_of
from depthbench.research.study.headlines import listed, measured, of_deepest

LEARNED = 0.9  # of training examples: what is asked of a net that is cut


def fit(cells, typed):
    """All cells. Raises Refusal where a net of images has no three equal groups."""
    for cell in cells:
        if cell["net"] == "images" and cell["depth"] % 3:
            says = f"blocks come in three groups, not {cell['depth']}"
            raise Refusal(f"--depth: of images {says}")
    return cells, []


def measure(cells, shared, memory):
    """One Measured for each cell."""
    return [path_nets.measured(cell) for cell in cells]


def unlearned(row):
    """What a net that has not learned loses by a block says nothing."""
    return "" if row["train_accuracy"] >= LEARNED else "the net has not learned"


def headline(rows):
    """Where the deepest nets' gradient comes by, and what a block less costs."""
    done = of_deepest(measured(rows))
    by = [
        f"{row['net']} {row['share']:.0%} (90 % by lengths {row['shortest']:.0f} to "
        f"{row['longest']:.0f} of {row['depth']})"
        for row in done
        if residual(row)
    ]
    cut = [row for row in done if row["kept"] is not None]
    kept = [f"{row['net']} {row['kept']:.0%}" for row in cut]
    parts = []
    if by:
        parts.append(f"Gradient by paths of the published lengths: {listed(by)}.")
    if kept:
        parts.append(f"Accuracy above chance without one block: {listed(kept)}.")
    spared = [row for row in cut if residual(row)]
    if not spared:
        return Headline(" ".join(parts) or "No net is well above chance.")
    least = min(spared, key=lambda row: row["kept_least"])
    return Headline(
        " ".join(parts),
        f"Worst residual net: {least['net']}, {least['kept_least']:.0%} without the "
        "block that it needs most.",
    )


def cost(cells, shared):
    """Training, and 2n vector-Jacobian products of a batch for each path of each length."""
    (cell,) = cells
    settings, blocks = full(cell), cell["depth"]
    one = families.cost(settings, settings["depth"])
    work = cell["steps"] * settings["depth"] * one.layer_seconds
    if residual(cell):
        work += 4 * blocks * cell["paths"] * settings["depth"] * one.layer_seconds
    state = 4 * cell["batch"] * cell["width"] * (64 if cell["net"] == "images" else 1)
    memory = one.memory * 5 + state * (8 * cell["paths"] + 12 * blocks) + 2**27
    # Batches as large as these have their products made five times as fast as a probe's.
    return Cost(memory, memory, cell["seeds"] * work / 5)


PROTOCOL = (
    "digits, 54 blocks of one dense layer of 64 units, ReLU, Adam in batches of 64; with "
    "batch norm, and with branches over √depth and no norm; norms of 40 paths drawn of "
    "each length, at the first block's input"
)
DIFFERS = "54 blocks of two convolutions with batch norm, CIFAR-10, SGD with momentum"


def claim(key, says, where, column, allows, **more):
    return Claim(
        key,
        says,
        f"{SOURCE}, {where}",
        tag="S24",
        estimate=mean_of(column),
        allows=allows,
        doubt=unlearned,
        label=("net", "depth"),
        **{"scope": residual, "protocol": PROTOCOL, "differs": DIFFERS, **more},
    )


STUDY = Study(
    name="residual_paths",
    kind="experiment",
    question="Does a residual net's gradient come by short paths? Can it spare a block?",
    source=SOURCE,
    axes={
        "net": Axis("how blocks are made", ("batch norm", "1/√depth", "plain"), NETS),
        "depth": whole("blocks", (54,), low=4, single=False),
        "width": whole("units or channels", (64,), low=4),
        "dataset": readable.axis(readable.classified),
        "batch": whole("examples per step, and of a gradient", (64,), low=2),
        "steps": whole("steps", (2000,)),
        "paths": whole("paths drawn of each length", (40,)),
        "seeds": whole("nets per cell", (5,)),
    },
    sizes={
        "smoke": {
            "depth": (9,),
            "width": (16,),
            "batch": (32,),
            "steps": (50,),
            "paths": (4,),
            "seeds": (2,),
        },
        "full": {
            "net": tuple(NETS),
            "depth": (27, 54, 108),
            "steps": (4000,),
            "paths": (200,),
            "seeds": (10,),
        },
    },
    fit=fit,
    plan=Plan(group=lambda cell: tuple(cell.values()), cost=cost),
    measure="depthbench.experiments.training.residual_paths:measure",
    columns=tuple(
        "net depth width dataset batch steps paths seeds status reason share share_se "
        "share_fresh share_fresh_se share_summed share_summed_se share_binomial "
        "share_independent share_equal shortest longest shortest_summed longest_summed "
        "factor factor_fresh straight straight_se train_accuracy test_accuracy "
        "test_accuracy_se kept kept_se kept_least".split()
    ),
    claims=(
        claim(
            "veit2016.gradient-by-short-paths",
            "most of a trained residual net's gradient comes by paths of 5/54 to 17/54 of "
            "its blocks",
            "abstract, section on short paths",
            "share",
            above(MOST),
            published="most, by 5 to 17 of 54 blocks (10 to 34 of 110 layers)",
            differs=f"{DIFFERS}; added before their norm is taken, gradients of one length "
            "cancel, and most of them comes by paths that are shorter still: see the table",
        ),
        claim(
            "veit2016.gradient-falls-with-length",
            "the gradient along a path falls exponentially with its length: of its "
            "logarithm a falling line explains nine tenths of the variance",
            "section on short paths",
            "straight",
            above(STRAIGHT),
            published="falls exponentially",
        ),
        claim(
            "veit2016.a-block-can-be-spared",
            "without any one block a trained residual net keeps 95 % of its accuracy above "
            "chance, in the mean over blocks",
            "section 4.1",
            "kept",
            above(SPARED),
            published="no noticeable change, blocks that halve the sides apart",
        ),
        claim(
            "veit2016.a-plain-layer-cannot",
            "without any one layer a trained plain net keeps at most a quarter of its "
            "accuracy above chance, in the mean over layers",
            "section 4.1",
            "kept",
            below(FATAL),
            scope=lambda row: not residual(row),
            published="falls to chance",
            protocol="digits, a plain ReLU net of 54 layers of 64 units, orthogonal at the "
            "critical variance, Adam in batches of 64",
            differs="VGG with 15 convolutions, CIFAR-10",
        ),
    ),
    headline=headline,
    tables=tables,
    figures=draw_figures,
    compile_seconds=8.0,
)

if __name__ == "__main__":
    from depthbench.research.cli.main import script

    script(STUDY.name)
