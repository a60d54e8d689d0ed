"""What deep_linear's rows answer."""

from depthbench.research.study.declaration import Headline
from depthbench.research.study.headlines import listed, measured, of_deepest
from depthbench.research.study.tables import number

STARTS = ("orthogonal", "gaussian")


def headline(rows):
    """How many steps the deepest net takes from each start, beside the shallowest."""
    done = measured(rows)
    (deep, *_) = of_deepest(done)
    shallow = min(done, key=lambda row: row["depth"])
    matrices = f"{deep['depth']} matrices"
    ways = [f"{start} {steps(deep, start)}" for start in STARTS]
    if shallow["depth"] < deep["depth"]:
        beside = f" ({shallow['depth']}: {{}})"
        ways = [
            way + beside.format(steps(shallow, start))
            for way, start in zip(ways, STARTS, strict=True)
        ]
    worst = max(STARTS, key=lambda start: deep[f"{start}_steps_to_target"] or 1e9)
    return Headline(
        f"Steps that a linear net of {matrices} takes to learn, by its start: "
        f"{listed(ways)}.",
        f"Worst: {worst}, {steps(deep, worst)} with {matrices}.",
    )


def steps(row, start):
    count = row[f"{start}_steps_to_target"]
    return f"never in {row['steps']}" if count is None else number(count)
