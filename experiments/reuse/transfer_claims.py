"""What is claimed of copied layers, and the differences that the claims are about."""

from depthbench.experiments.reuse import compared
from depthbench.experiments.reuse.transfer_shown import NONE
from depthbench.research.study.claims import Claim
from depthbench.research.study.doubts import after_steps
from depthbench.research.study.estimates import above, below, mean_of

SOURCE = "Yosinski et al. 2014, arXiv:1411.1792"
PROTOCOL = (
    "135 Latin letters of 20 drawings, then 78 Greek and Cyrillic ones of 4, 64 units, "
    "Adam, 300 steps of 64, 3 seeds, rates chosen on 2 further drawings a letter"
)
DIFFERS = "convolutional nets of 8 layers on two halves of ImageNet, 450,000 steps"


def differences(rows, one, other):
    """Rows of one, less that of `other` of the same net: `gap`, `gap_se`.

    one: whether a row is judged. other: from a row to the cut, source and way of that
    which it is set beside.
    """
    names = ("architecture", "activation", "depth")
    known = {
        tuple(row[n] for n in (*names, "cut", "source", "kept")): row for row in rows
    }
    found = []
    for row in filter(one, rows):
        beside = known.get((*(row[n] for n in names), *other(row)))
        if beside is not None:
            found.append(compared.difference(row, beside))
    return found


def is_of(source, kept):
    return lambda row: (row["source"], row["kept"]) == (source, kept)


def against_random(rows):
    frozen = is_of("latin", "frozen")
    return differences(rows, frozen, lambda row: (row["cut"], "random", "frozen"))


def top_against_first(rows):
    """Frozen up to the head, less frozen in the first layer alone."""
    top = lambda row: is_of("latin", "frozen")(row) and row["cut"] == row["depth"] + 1
    return differences(rows, top, lambda row: (1, "latin", "frozen"))


def parted(rows):
    """Layers of the same task, frozen in the middle, less a net from scratch."""
    own = is_of("target", "frozen")
    middle = lambda row: own(row) and 1 < row["cut"] < row["depth"] + 1
    return differences(rows, middle, lambda row: (0, NONE, "tuned"))


def claim(key, says, name, allows, scope, of=lambda rows: rows, source=SOURCE):
    return Claim(
        key,
        says,
        source,
        estimate=mean_of(name),
        allows=allows,
        scope=scope,
        of=of,
        protocol=PROTOCOL,
        differs=DIFFERS if source is SOURCE else "",
        label=("source", "kept", "depth", "cut"),
        doubt=after_steps,
    )


CLAIMS = (
    claim(
        "yosinski2014.tuned-beats-scratch",
        "after 300 steps a net that begins with copied layers of another task and goes on "
        "training is more accurate than one from scratch, whatever their number",
        *("gain", above(0.0), is_of("latin", "tuned")),
    ),
    claim(
        "yosinski2014.frozen-falls-with-cut",
        "after 300 steps of the rest, all layers up to the head, copied and frozen, are "
        "worth less than the first alone",
        *("gap", below(0.0), is_of("latin", "frozen"), top_against_first),
    ),
    claim(
        "yosinski2014.parted-in-the-middle",
        "after 300 steps a net whose own layers are frozen up to the middle, with fresh "
        "ones above, has not found back to its accuracy on the same task",
        *("gap", below(0.0), is_of("target", "frozen"), parted),
    ),
    claim(
        "yosinski2014.better-than-random",
        "after 300 steps of the rest, frozen layers of another task are better than "
        "frozen random ones",
        *("gap", above(0.0), is_of("latin", "frozen"), against_random),
    ),
    claim(
        "depthbench.transfer-at-equal-cost",
        "depthbench's own bar: a net whose copied layers go on training beats one "
        "from scratch that was given the steps of both",
        *("ahead", above(0.0), is_of("latin", "tuned")),
        source="depthbench's own",
    ),
)
