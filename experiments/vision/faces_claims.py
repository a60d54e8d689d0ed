"""What was published of cascades that find faces, as claims on rows of `faces`."""

import math

from depthbench.experiments import scores
from depthbench.experiments.comparisons import against
from depthbench.experiments.training import pairs
from depthbench.research.lazy import lazily
from depthbench.research.study.claims import Claim
from depthbench.research.study.doubts import certain, of_sides, upward
from depthbench.research.study.estimates import above, below, mean, mean_of

with lazily():
    from depthbench.experiments.vision import faces_found
    from depthbench.research.signal import interval

SOURCE = "Viola & Jones 2001, CVPR 1:511, doi 10.1109/CVPR.2001.990517"
PROTOCOL = (
    "40 test faces of LFW, 25 × 25, at 1 false positive in 1,000 of 10,000 windows of "
    "other photographs; 45 faces learned from, 3 divisions of the same 100; 100 of 2,000 "
    "Haar features; stages keep 99 or 100 % of faces, as is best for what is held out; "
    "CNNs of 8 channels, Adam down a cosine, 250 steps"
)


def cascades(row):
    return row["detector"] == "cascade" and row["depth"] > 1


def beside(rows, one):
    """Each cascade's operations beside those of a row, if there is one."""
    return [
        {
            **pairs.joint([row, one]),
            **{name: row[name] for name in ("detector", "depth", "seeds")},
            **fewer(row, one),
        }
        for row in rows
        if one is not None and cascades(row)
    ]


def of_one_stage(rows):
    """Each cascade beside AdaBoost in one stage."""
    one = next((r for r in rows if (r["detector"], r["depth"]) == ("cascade", 1)), None)
    return beside(rows, one)


def of_cheapest_net(rows):
    """Each cascade beside the net that takes the fewest operations."""
    known = [r for r in rows if r["detector"] == "cnn" and r["scan_kflop"] is not None]
    cheapest = min(known, key=lambda row: row["scan_kflop"], default=None)
    return beside(rows, cheapest)


def fewer(row, one):
    """By which factor a cascade takes fewer operations, with its standard error."""
    known = [r["scan_kflop"] for r in (row, one)]
    if None in known:
        return {"fewer": None, "fewer_se": None}
    errors = [r["scan_kflop_se"] for r in (row, one)]
    share = [(e or 0.0) / k for e, k in zip(errors, known, strict=True)]
    ratio = known[1] / known[0]
    return {"fewer": ratio, "fewer_se": ratio * math.hypot(*share)}


def of_two(rows):
    """One cascade's row: all begin with the same two features."""
    return sorted(filter(cascades, rows), key=lambda row: row["depth"])[:1]


def two_found(row):
    """The share of faces that two features pass on.

    Divisions test parts of the same faces, and there are no more than these: the error of
    so many, of which one more passes and one does not, counts beside that of divisions.
    """
    if row["two_found"] is None:
        return mean(None, None, row["seeds"])
    few = interval.of_few(row["two_found"], faces_found.FACES)
    return mean(row["two_found"], row["two_found_se"], row["seeds"], few)


LABEL = ("detector", "depth")
SHARED = {"protocol": PROTOCOL, "label": LABEL}
DIFFERS = "4,916 faces and 24 × 24 windows; test images of MIT and CMU"
CLAIMS = (
    Claim(
        "viola2001.two-features-keep-faces",
        "two boosted features pass on at least 99 % of faces they never saw",
        f"{SOURCE}, section 3.1",
        estimate=two_found,
        allows=above(0.99),
        published="fewer than 1 % missed",
        differs=f"{DIFFERS}; here 99 % of the faces it learned from must pass",
        scope=lambda row: True,
        of=of_two,
        **SHARED,
    ),
    Claim(
        "viola2001.two-features-reject-most",
        "two boosted features pass on at most 40 % of windows without faces",
        f"{SOURCE}, section 3.1",
        estimate=mean_of("two_false"),
        allows=below(0.40),
        published="40 % false positives",
        differs=f"{DIFFERS}; here 99 % of the faces it learned from must pass",
        scope=lambda row: True,
        of=of_two,
        **SHARED,
    ),
    Claim(
        "viola2001.fifteen-times-faster",
        "a cascade takes a fifteenth of the operations of a convolutional net, or less, "
        "whichever net takes the fewest",
        f"{SOURCE}, section 5",
        estimate=mean_of("fewer"),
        allows=above(15.0),
        published="about 15 times faster than Rowley, Baluja & Kanade's neural nets",
        differs="seconds on one machine, 384 × 288 pixels, 38 stages; here counted "
        "operations of a window in a scan",
        scope=lambda row: True,
        of=of_cheapest_net,
        doubt=certain,  # what is counted follows from shapes and from stages
        **SHARED,
    ),
    Claim(
        "viola2001.as-good-as-the-best",
        "a cascade finds as many faces as an SVM on histograms of gradients at equal "
        "false positives, to 5 points",
        f"{SOURCE}, abstract",
        estimate=scores.gap,
        allows=above(-0.05),
        moves=upward,
        published="detection rates comparable to the best before it",
        differs=f"{DIFFERS}; the best then were neural nets and support vector machines",
        scope=cascades,
        **SHARED,
    ),
    Claim(
        "depthbench.stages-save-operations",
        "depthbench's own bar: of equally many features, a cascade takes at most a fifth "
        "of the operations in a scan that one stage takes",
        "depthbench",
        estimate=mean_of("fewer"),
        allows=above(5.0),
        scope=lambda row: True,
        of=of_one_stage,
        **SHARED,
    ),
    Claim(
        "popular.nets-see-better-than-boosting",
        "a convolutional net finds at least 5 points more faces than a cascade of up to "
        "as many stages",
        "popular accounts of deep learning, in which learned layers replaced features "
        "made by hand",
        estimate=scores.gap,
        allows=above(0.05),
        moves=of_sides,
        differs="there with millions of examples; here with 45 faces",
        scope=lambda row: True,
        of=against({"detector": "cnn"}, {"detector": "cascade"}, ("depth",)),
        **SHARED,
    ),
)
