"""What is claimed of nets that foresee where a ball flies."""

from depthbench.experiments import scores
from depthbench.experiments.comparisons import against
from depthbench.research.study.claims import Claim
from depthbench.research.study.doubts import of_sides, upward
from depthbench.research.study.estimates import above

PROTOCOL = (
    "10,000 balls in pictures of 16 × 16 with noise, asked six pictures ahead, 1,000 steps "
    "of 32 by Adam, 3 seeds, the first seed's best of 3 to 7 rates by 500 other balls"
)
BY = ("architecture", "depth")


def fewer(more, less):
    """From rows to pairs: by how many pixels a net errs less that has seen more."""
    return against({"snapshots": more}, {"snapshots": less}, BY, higher=False)


CLAIMS = (
    Claim(
        "popular.one-snapshot-is-too-few",
        "a net that has seen two snapshots of a ball errs less by a pixel or more than one "
        "that has seen one",
        "popular accounts of recurrent nets",
        estimate=scores.gap,
        allows=above(1.0),
        moves=of_sides,
        protocol=PROTOCOL,
        differs="the accounts give no number",
        scope=lambda row: True,
        label=("architecture", "depth"),
        of=fewer(2, 1),
    ),
    Claim(
        "depthbench.five-snapshots-help",
        "depthbench's own bar: a net that has seen five snapshots of a ball errs less than "
        "one that has seen two",
        "depthbench, of noise in every picture",
        estimate=scores.gap,
        allows=above(0.0),
        moves=of_sides,
        protocol=PROTOCOL,
        scope=lambda row: True,
        label=("architecture", "depth"),
        of=fewer(5, 2),
    ),
    Claim(
        "depthbench.net-learns-to-bounce",
        "depthbench's own bar: from five snapshots of a ball a net errs less than a line "
        "that bounces at the walls",
        "depthbench, of a law that is not told",
        estimate=scores.gap,
        allows=above(0.0),
        moves=upward,
        protocol=PROTOCOL,
        scope=lambda row: row["snapshots"] == 5,
        label=("architecture", "depth"),
    ),
)
