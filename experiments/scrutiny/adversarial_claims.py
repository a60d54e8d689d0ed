"""What papers say of nets under attack, and a bar of our own."""

from depthbench.experiments import comparisons
from depthbench.experiments.training import pairs
from depthbench.research.study.claims import Claim
from depthbench.research.study.estimates import above, below, mean_of
from depthbench.research.study.plan import grouped

GOODFELLOW = "Goodfellow et al. 2015, arXiv:1412.6572, section 3"
MADRY = "Madry et al. 2018, arXiv:1706.06083, figure 6"
PROTOCOL = (
    "digits, ε 0.3 of an input's root mean square, 64 units, Adam, 1,000 steps of 64 by a "
    "cosine, 3 seeds, rates chosen on a fifth of the training part"
)


def compared(rows):
    """At each net, accuracy under attack less that of another training or depth.

    Of attacked training: less plain training. Of the deepest plain net without skips:
    less the shallowest.
    """
    net = ("architecture", "activation", "depth", "epsilon", "dataset")
    key = lambda row: tuple(row.get(name) for name in net)
    plain = {key(row): row for row in rows if row["training"] == "plain"}
    found = []
    for row in rows:
        other = plain.get(key(row))
        if row["training"] != "plain" and other:
            found.append(_less(row, other))
    without = [row for row in plain.values() if row["architecture"] == "mlp"]
    alike = lambda row: (row["activation"], row["epsilon"])
    for line in grouped(without, alike).values():
        line = sorted(line, key=lambda row: row["depth"])
        if len(line) > 1:
            found.append({**_less(line[-1], line[0]), "training": "deeper"})
    return found


def _less(row, other):
    """The first row's accuracies less the second's."""
    names = ("training", "architecture", "activation", "depth", "epsilon", "seeds")
    found = {**pairs.joint([row, other]), **{name: row[name] for name in names}}
    for name in ("score", "fgsm"):
        apart = comparisons.apart(row, other, name, share=True)
        found |= {end.replace("gap", name): value for end, value in apart.items()}
    return found


def trained(*names):
    """The rows of these trainings."""
    return lambda row: row["training"] in names


LABEL = ("training", "architecture", "depth")
CLAIMS = (
    Claim(
        "goodfellow2015.direction-matters",
        "the sign of the gradient takes at least half of its accuracy from a plainly "
        "trained net beyond what random signs of the same size take",
        GOODFELLOW,
        estimate=mean_of("by_direction"),
        allows=above(0.5),
        protocol=PROTOCOL,
        differs="MNIST, a shallow softmax, ε 0.25 of pixels in [0, 1]",
        published="99.9 % wrong",
        scope=trained("plain"),
        label=LABEL,
    ),
    Claim(
        "madry2018.capacity-resists-one-step",
        "trained plainly, the deepest net is right more often under FGSM than the "
        "shallowest",
        MADRY,
        estimate=mean_of("fgsm"),
        allows=above(0.0),
        protocol=PROTOCOL,
        differs="MNIST and CIFAR-10, convolutional nets made wider",
        published="27.5 % to 32.7 % of CIFAR-10, ten times as wide",
        scope=trained("deeper"),
        label=LABEL,
        of=compared,
    ),
    Claim(
        "depthbench.depth-resists-no-attack",
        "depthbench's own bar: trained plainly, the deepest net is no more often right "
        "under all attacks than the shallowest, to 2 points",
        "depthbench",
        estimate=mean_of("score"),
        allows=below(0.02),
        protocol=PROTOCOL,
        scope=trained("deeper"),
        label=LABEL,
        of=compared,
    ),
    Claim(
        "madry2018.fgsm-training-resists-nothing",
        "trained on FGSM's examples, a net is right under all attacks no more "
        "often than one trained plainly, to 5 points",
        MADRY,
        estimate=mean_of("score"),
        allows=below(0.05),
        protocol=PROTOCOL,
        differs="CIFAR-10, convolutional nets, ε 8 of 255; of large ε alone",
        published="0.0 % where FGSM leaves 90.9 %",
        scope=trained("fgsm"),
        label=LABEL,
        of=compared,
    ),
    Claim(
        "madry2018.pgd-training-resists",
        "trained on PGD's examples, a net is right under all attacks more often "
        "than one trained plainly, by at least 40 points",
        MADRY,
        estimate=mean_of("score"),
        allows=above(0.4),
        protocol=PROTOCOL,
        differs="CIFAR-10, convolutional nets, ε 8 of 255, 7 steps in training",
        published="0.8 % to 43.7 %, and 3.5 % to 45.8 % of ten times as wide nets",
        scope=trained("pgd"),
        label=LABEL,
        of=compared,
    ),
)
