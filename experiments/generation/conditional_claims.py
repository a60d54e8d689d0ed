"""What is claimed of nets that translate images: the claims of `conditional_gan`."""

from depthbench.experiments import comparisons, scores
from depthbench.experiments.training import pairs
from depthbench.research.study.claims import Claim
from depthbench.research.study.doubts import after_steps
from depthbench.research.study.estimates import above, below, mean

ISOLA = "Isola et al. 2017, arXiv:1611.07004"
PROTOCOL = (
    "patches of 16 × 16 pixels of photographs at half size, 8 channels, Adam, 300 steps "
    "of 8 patches, a quarter of the 9,905 that ridge regression sees; 3 seeds, rates "
    "chosen on held-out patches by the absolute error of one"
)
BLIND = "judge takes true images for no more real than those that are given"
DIFFERS = "256 × 256 pixels, 64 channels, 16 convolutions, 200 epochs, batch of 1"


def beside(one, other, by, of="score", higher=True):
    return comparisons.against(one, other, by, of, higher)


def realism(rows):
    """The pairs with and without a GAN, by distance; `blind`: whether the judge tells true
    images of other patches no better from true ones than those that are given."""
    far = [(r["translation"], r["floor_distance"], r["given_distance"]) for r in rows]
    blind = {name for name, *both in far if None not in both and both[0] >= both[1]}
    both = beside(*GAN, OBJECTIVES, "distance", higher=False)(rows)
    return [{**pair, "blind": pair["translation"] in blind} for pair in both]


def unseen_gap(row):
    """By how much the net is better on photographs that it saw nothing of."""
    gap = None if row["unseen"] is None else row["unseen"] - row["unseen_strong"]
    of_tests = row.get("unseen_test_se"), row.get("unseen_test_groups")
    return mean(gap, row["unseen_se"], row["seeds"], *of_tests)


def doubts_of(column="gap_test_se"):
    """The doubts of what a number of steps gives, and of rows without this error: they are
    of few photographs, whose share in a gap nobody knows then."""
    return lambda row: after_steps(row) or UNKNOWN * (row.get(column) is None)


NETS = ("translation", "objective", "depth")
OBJECTIVES = ("translation", "architecture", "depth")
UNKNOWN = "no error of its photographs is known"
WHOLE = {"doubt": doubts_of(), "protocol": PROTOCOL}
SKIPS = ({"architecture": "unet"}, {"architecture": "unet_plain"})
GAN = ({"objective": "l1_gan"}, {"objective": "l1"})

CLAIMS = (
    Claim(
        "isola2017.skips-of-the-u-net-help",
        "of image translators the U-Net has a higher PSNR than the same net without skips",
        f"{ISOLA}, section 4.3",
        estimate=pairs.gap,
        allows=above(0.0),
        differs="labels to street scenes, judged by a segmenting net, with a GAN too; "
        f"{DIFFERS}; the net gives the image itself, and no correction of the one that is "
        "given",
        scope=lambda row: row["architecture"] == "unet",
        label=("translation", "objective", "depth"),
        of=beside(*SKIPS, NETS),
        **WHOLE,
    ),
    Claim(
        "isola2017.gan-looks-more-real",
        "of image translators a U-Net whose loss has a GAN beside the absolute error makes "
        "images that are nearer to real ones by a fixed judge's Fréchet distance",
        f"{ISOLA}, section 4.2",
        estimate=pairs.gap,
        allows=above(0.0),
        differs="judged by people and by a segmenting net; absolute error alone is "
        f"reasonable but blurry; {DIFFERS}",
        scope=lambda row: row["architecture"] == "unet",
        label=("translation", "depth"),
        of=realism,
        **{**WHOLE, "doubt": lambda row: doubts_of()(row) or BLIND * row["blind"]},
    ),
    Claim(
        "blau2018.realism-costs-psnr",
        "of image translators a U-Net whose loss has a GAN beside the absolute error has a "
        "lower PSNR than one by absolute error alone",
        "Blau & Michaeli 2018, arXiv:1711.06077, section 1 and theorem 2",
        estimate=pairs.gap,
        allows=below(0.0),
        differs="a theorem on what can be reached at best, and super-resolution nets",
        scope=lambda row: row["architecture"] == "unet",
        label=("translation", "depth"),
        of=beside(*GAN, OBJECTIVES),
        **WHOLE,
    ),
    Claim(
        "depthbench.translator-beats-no-net",
        "depthbench's own bar: a U-Net by absolute error has a higher PSNR than the best "
        "method without a net, of the patch alone",
        "depthbench, a bar of our own",
        estimate=scores.gap,
        allows=above(0.0),
        scope=lambda row: (row["architecture"], row["objective"]) == ("unet", "l1"),
        label=("translation", "depth"),
        **WHOLE,
    ),
    Claim(
        "depthbench.translator-of-unseen",
        "depthbench's own bar: a U-Net by absolute error has a higher PSNR than the best "
        "method without a net, of the patch alone, on photographs of which neither saw "
        "anything",
        "depthbench, a bar of our own",
        estimate=unseen_gap,
        allows=above(0.0),
        scope=lambda row: (row["architecture"], row["objective"]) == ("unet", "l1"),
        label=("translation", "depth"),
        **{**WHOLE, "doubt": doubts_of("unseen_test_se")},
    ),
)
