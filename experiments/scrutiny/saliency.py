"""Does a saliency map point at the evidence, and does it know the weights?

Source: Adebayo et al. 2018, arXiv:1810.03292: maps of a net whose layers are made random
one after the other from the top should change. Those of gradients do; guided
backpropagation's hardly do while the higher layers alone are random.

There the evidence is known to nobody; here it is planted. A digit stands in one quarter of
a picture and other digits, their pixels shuffled, in the rest: the map's largest pixel
should be where the digit is. A map of the picture's brightness alone, or of nothing, finds
it once in four times. The strong baseline hides a window, place after place, and asks
the net again (Zeiler & Fergus 2014, arXiv:1311.2901). Explained is the logit of the true
label, of all test pictures.
"""

from depthbench.experiments import comparisons, scores
from depthbench.experiments.scores import Scoring
from depthbench.experiments.scrutiny import saliency_maps
from depthbench.experiments.scrutiny import saliency_shown as shown
from depthbench.experiments.scrutiny.saliency_maps import NET
from depthbench.experiments.training import costs, nets, pairs
from depthbench.experiments.training.pairs import whole
from depthbench.research.catalogues.catalogue import choices
from depthbench.research.datasets import readable
from depthbench.research.study import doubts
from depthbench.research.study.axes import Axis
from depthbench.research.study.claims import Claim
from depthbench.research.study.declaration import Figure, Study
from depthbench.research.study.estimates import above, below, mean
from depthbench.research.study.tables import flat

SOURCE = "Adebayo et al. 2018, arXiv:1810.03292"
METHODS = choices(
    "saliency method",
    gradient="the logit's gradient",
    gradient_input="gradient × picture",
    integrated="picture × the mean gradient from the zero picture",
    smooth="mean gradient of noisy copies (SmoothGrad)",
    guided="guided backpropagation",
    input="the picture itself",
)
CALLED = {  # in sentences
    "gradient_input": "gradient × input",
    "integrated": "integrated gradients",
    "smooth": "smoothed gradient",
    "guided": "guided backpropagation",
}
SCORING = Scoring(
    system="saliency map",
    noun="pointing accuracy",
    trivial="random map",
    strong="occlusion",
    by=("method", "architecture"),
    naming=lambda row, net: f"{CALLED.get(row['method'], row['method'])} of a {net}",
)
SKIPS = ("mlp", "residual_mlp_scaled")
PROTOCOL = (
    "digits among shuffled digits, 16 × 16, 64 units, Adam, 3,000 steps of 64, 3 seeds, "
    "360 test pictures"
)
ALIKE = f"{PROTOCOL}; Spearman's, over the pixels of 96 pictures, of |map|"
DRAWN = ("gradient", "integrated")  # by depth; all methods are in the table


def versus(one, other, axis, name):
    """Claims' rows: a column of the one value of an axis less the other's."""
    key = tuple(n for n in ("method", *NET) if n != axis)

    def of(rows):
        done = {(row[axis], *(row[n] for n in key)): row for row in rows}
        found = []
        for (value, *rest), row in done.items():
            beside = done.get((other, *rest))
            if value == one and beside is not None:
                found.append(
                    {
                        **pairs.joint([row, beside]),
                        **{n: row[n] for n in ("method", *NET, "seeds")},
                        **comparisons.apart(row, beside, name),
                    }
                )
        return found

    return of


def figures_of(rows, profiles):
    alike = (
        "Third: rank correlation of maps with those of the trained net, while its layers "
        "are made random from the head to the first."
    )
    drawn = [row for row in rows if row["method"] in DRAWN]
    return [
        Figure(
            "saliency",
            "One picture and its maps, by net (lines) and method; framed the quarter in "
            "which the digit stands, elsewhere are digits with shuffled pixels. Last: "
            "occlusion, and the gradient of a net whose weights are random.",
            lambda: shown.draw_maps(rows, profiles),
        ),
        SCORING.figure(drawn or rows, alike, shown.draw_alike(rows, profiles)),
        Figure(
            "units",
            "What each output is largest for, of pictures of one length: gradient ascent "
            "from noise (Erhan et al. 2009).",
            lambda: shown.draw_units(rows, profiles),
        ),
    ]


def tables(rows):
    columns = ("score", "mass", "accuracy", "kept_above", "kept")
    return [
        SCORING.table(rows),
        flat(rows, ("method", "architecture", "depth", *columns)),
    ]


def kept(row):
    """How alike the map is to that of a net with random weights throughout."""
    return mean(row["kept"], row["kept_se"], row["seeds"])


LABEL = ("method", "architecture", "depth")


def measure(cells, shared, memory):
    """One Measured for each cell of a unit."""
    return saliency_maps.measure(cells, shared, memory)


STUDY = Study(
    name="saliency",
    kind="experiment",
    question="Does a saliency map point at the evidence, and does it know the weights?",
    source=SOURCE,
    axes={
        "method": Axis("how the map is made", tuple(METHODS), METHODS),
        **scores.axes((1, 4, 16), SKIPS, known=SKIPS),
        "width": whole("units of a layer", (64,)),
        "dataset": readable.axis(readable.pictured),
        "copies": whole("pictures made of each training image", (16,)),
        "steps": whole("steps of 64 examples", (3000,)),
        "seeds": whole("runs of each rate", (3,)),
        **nets.rate_axes(1e-3, 1e-2, 3),
    },
    sizes={
        "smoke": {
            "depth": (1, 2),
            "architecture": ("mlp",),
            "width": (16,),
            "copies": (2,),
            "steps": (30,),
            "rates": (1,),
            "further_rates": (0,),
        },
        "full": {
            "depth": (1, 4, 16, 64),
            "width": (512,),
            "dataset": ("fashion_mnist",),
            "copies": (1,),
            "steps": (4000,),
        },
    },
    plan=costs.plan(
        compiling=0.7,
        layer=3.0e-5,
        together=True,
        group=lambda cell: tuple(cell[name] for name in NET),
    ),
    fit=nets.fit,
    measure="depthbench.experiments.scrutiny.saliency:measure",
    columns=(
        *("method", *NET, "width", *scores.COLUMNS, "mass", "mass_se"),
        *("accuracy", "kept_above", "kept_above_se", "kept", "kept_se"),
    ),
    claims=(
        Claim(
            "adebayo2018.gradient-knows-weights",
            "of a net whose layers are all made random, the gradient's map has a rank "
            "correlation of at most 0.2 with that of the trained net",
            SOURCE,
            estimate=kept,
            allows=below(0.2),
            protocol=ALIKE,
            differs="Inception v3 on ImageNet, nets on MNIST; the bar 0.2 is ours",
            published="gradients change with the weights",
            scope=lambda row: row["method"] == "gradient",
            doubt=doubts.certain,  # of any trained net, however good
            label=LABEL,
        ),
        Claim(
            "adebayo2018.guided-ignores-top",
            "with all layers but the first made random, guided backpropagation's map "
            "stays more like the trained net's than the gradient's does",
            SOURCE,
            estimate=pairs.gap,
            allows=above(0.0),
            protocol=ALIKE,
            differs="convolutional nets on ImageNet and MNIST",
            published="guided backpropagation is invariant to higher layers",
            scope=lambda row: True,
            doubt=doubts.certain,  # of any trained net, however good
            label=LABEL,
            of=versus("guided", "gradient", "method", "kept_above"),
        ),
        Claim(
            "adebayo2018.input-shows-through",
            "with all layers made random, gradient × picture stays more like the trained "
            "net's map than the gradient does: the picture shows through",
            SOURCE,
            estimate=pairs.gap,
            allows=above(0.0),
            protocol=ALIKE,
            differs="Inception v3 on ImageNet",
            scope=lambda row: True,
            doubt=doubts.certain,  # of any trained net, however good
            label=LABEL,
            of=versus("gradient_input", "gradient", "method", "kept"),
        ),
        Claim(
            "smilkov2017.noise-sharpens",
            "the mean gradient of noisy copies points at the evidence more often than the "
            "gradient",
            "Smilkov et al. 2017, arXiv:1706.03825",
            estimate=pairs.gap,
            allows=above(0.0),
            protocol=f"{PROTOCOL}; 25 copies, noise of 0.15 of the range",
            differs="judged by eye, Inception v3 on ImageNet",
            scope=lambda row: True,
            label=LABEL,
            of=versus("smooth", "gradient", "method", "score"),
        ),
        Claim(
            "balduzzi2017.skips-keep-maps",
            "with 16 layers the gradient points at the evidence more often in a net "
            "with skips than in one without",
            "Balduzzi et al. 2017, arXiv:1702.08591",
            estimate=pairs.gap,
            allows=above(0.0),
            protocol=PROTOCOL,
            differs="correlations of gradients of fresh nets; no maps",
            scope=lambda row: row["method"] == "gradient" and row["depth"] == 16,
            label=LABEL,
            of=versus(SKIPS[1], SKIPS[0], "architecture", "score"),
        ),
        Claim(
            "depthbench.map-finds-evidence",
            "depthbench's own bar: the largest pixel of the gradient's map is in the "
            "quarter that holds the evidence in at least 80 % of pictures",
            "depthbench",
            estimate=scores.score,
            allows=above(0.8),
            protocol=PROTOCOL,
            differs="a bar of our own",
            scope=lambda row: row["method"] == "gradient",
            label=LABEL,
        ),
    ),
    headline=SCORING.headline,
    tables=tables,
    figures=figures_of,
    shows=("what the net looked at",),
    summary=SCORING.summary,
    compile_seconds=5.0,
)

if __name__ == "__main__":
    from depthbench.research.cli.main import script

    script(STUDY.name)
