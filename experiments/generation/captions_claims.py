"""What is claimed of both ways between scene and sentence: the claims of `captions`."""

from depthbench.experiments import comparisons, scores
from depthbench.research.study.claims import Claim
from depthbench.research.study.doubts import after_steps, of_sides, upward
from depthbench.research.study.estimates import above, below, mean

SCENES = (
    "scenes of 16 × 16 pixels with an object and 3 strokes, 20,000 to learn from, 300 to "
    "choose rates by, 500 to be judged by; "
)
SAYS = SCENES + (
    "residual convolutions of 16 channels on a grid of 8 × 8 cells, a GRU of 64 units, "
    "Adam after a warm-up of 100, gradients clipped to 1, 600 steps of 32, 3 seeds"
)
DRAWS = SCENES + (
    "a conditional variational autoencoder with 6 numbers and a broadcast decoder of 32 "
    "channels, Adam after a warm-up of 100, gradients clipped to 1, 600 steps of 32, 3 "
    "seeds; nets and steps were chosen by the judge on held-out sentences, with distances "
    "from the test scenes in sight"
)


def over_nearest(row):
    """By how much a net is right more often than the nearest scenes' sentence."""
    return comparisons.over(row, "nearest", comparisons.examples_of(row))


def below_real(row):
    """By how much the judge sees a sentence more often in drawn than in real scenes."""
    return comparisons.over(row, "real", comparisons.examples_of(row))


def farther(row):
    """By how much drawn scenes are farther from real ones than the mixture's."""
    gap = row["distance"] - row["mixture_distance"]
    of_tests = row.get("distance_test_se"), row.get("distance_test_groups")
    return mean(gap, row["distance_se"], row["seeds"], *of_tests)


def _of(direction, protocol):
    return {
        "scope": lambda row: row["direction"] == direction,
        "doubt": after_steps,
        "label": ("depth",),
        "protocol": protocol,
    }


OWN = "depthbench, a bar of our own"
READS, SKETCHES = _of("to_sentence", SAYS), _of("to_scene", DRAWS)
CLAIMS = (
    Claim(
        "devlin2015.nearest-as-good",
        "the commonest sentence of the nearest scenes is right as often as what a net says "
        "word by word after 600 steps, to a twentieth",
        "Devlin et al. 2015, arXiv:1505.04467, abstract",
        estimate=over_nearest,
        allows=below(0.05),
        differs="photographs with five captions each, features of a pretrained net, a "
        "consensus of many neighbours, BLEU and CIDEr",
        **READS,
    ),
    Claim(
        "depthbench.captions-beat-a-template",
        "depthbench's own bar: after 600 steps the net is right more often than a "
        "template filled in from blobs of known colours",
        OWN,
        estimate=scores.gap,
        allows=above(0.0),
        moves=upward,
        **READS,
    ),
    Claim(
        "depthbench.deeper-readers-caption",
        "depthbench's own bar: after 600 steps a twentieth more of the sentences are "
        "right with the deepest reader than with the shallowest",
        OWN,
        estimate=scores.gap,
        allows=above(0.05),
        moves=of_sides,
        of=comparisons.deeper(("direction", "width")),
        **READS,
    ),
    Claim(
        "depthbench.drawn-scenes-beat-no-net",
        "depthbench's own bar: after 600 steps a fixed judge sees the sentence more "
        "often in the scene that a net draws from it than in the best without a net: of "
        "known scenes, stencils and a mixture",
        OWN,
        estimate=scores.gap,
        allows=above(0.0),
        moves=upward,
        **SKETCHES,
    ),
    Claim(
        "depthbench.drawings-show-the-sentence",
        "depthbench's own bar: after 600 steps a fixed judge sees the sentence as often "
        "in drawn scenes as in real ones, to a twentieth",
        OWN,
        estimate=below_real,
        allows=above(-0.05),
        **SKETCHES,
    ),
    Claim(
        "depthbench.deeper-drawers-are-seen",
        "depthbench's own bar: after 600 steps a fixed judge sees a twentieth more of "
        "the sentences in what the deepest drawer draws than in what the shallowest does",
        OWN,
        estimate=scores.gap,
        allows=above(0.05),
        moves=of_sides,
        of=comparisons.deeper(("direction", "width")),
        **SKETCHES,
    ),
    Claim(
        "richardson2018.mixture-draws-nearer",
        "scenes that a mixture of Gaussians makes of sentences are nearer to real ones "
        "than those that a net draws after 600 steps",
        "Richardson & Weiss 2018, arXiv:1805.12462",
        estimate=farther,
        allows=above(0.0),
        differs="faces, a GAN, mixtures of factor analysers without sentences, shares of "
        "bins and no distance",
        **SKETCHES,
    ),
)
