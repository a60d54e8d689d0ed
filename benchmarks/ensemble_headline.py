"""What ensemble_speed's rows answer."""

from collections.abc import Sequence

from depthbench.research.study.declaration import Headline, Row
from depthbench.research.study.headlines import listed, measured

BASE = "ensemble"
WAYS = {
    "one_by_one": "net by net",
    "torch": "in PyTorch",
    "by_variance": "in a program for each variance",
    "all_profiles": "with every layer's profile",
    "torch_threads": "in PyTorch on several threads",
}


def headline(rows: Sequence[Row]) -> Headline:
    """How many times as long the other ways take, and the one that is ahead, if any."""
    others = [row for row in measured(rows) if row["way"] != BASE]
    if not others:
        return Headline("Nothing was timed beside the grid in one program.")
    by_way = {row["way"]: row for row in others}
    times = [
        f"{by_way[way]['ratio']:.2f} × {words}"
        for way, words in WAYS.items()
        if way in by_way
    ]
    least = min(others, key=lambda row: row["ratio"])
    ahead = "is ahead of" if least["ratio"] < 1 else "comes nearest to"
    few = [row for row in others if row.get("timed", row["cells"]) < row["cells"]]
    some = (
        f" Net by net {few[0]['timed']} of {few[0]['cells']:,} nets were timed, which "
        "stand for all."
        if few
        else ""
    )
    return Headline(
        "Beside the time of one program for the whole grid, the same nets take "
        f"{listed(times, 6)}.{some}",
        f"Worst for us: {least['way']} {ahead} one program, {least['ratio']:.2f} times "
        "its time.",
    )
