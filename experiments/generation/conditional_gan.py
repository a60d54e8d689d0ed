"""Does a conditional GAN restore photographs better than methods without a net?

Sources: Isola, Zhu, Zhou & Efros 2017, arXiv:1611.07004 (pix2pix: a U-Net, 100 × its
absolute error, and a discriminator of patches of the pair); Blau & Michaeli 2018,
arXiv:1711.06077 (what looks more real is further from the truth).

Four translations of photographs: grey to colours, small to large, a hole to what was
there, night to day. The night is a forward model of our own (a power law, a tint, noise),
whose inverse the strong baseline knows. Nets learn from patches of the left of five
photographs and are judged by patches of their right, and by two photographs of which they
saw nothing (`unseen`). A net corrects the simple guess that it is given, and its score is
the PSNR of what was asked for. Nets and methods without one see the patch alone: a
bicubic enlargement of whole photographs reads over edges, and has 25.3 dB for 25.0.

The strong baseline is, for each translation, the best on held-out patches of a method
that needs no learning (bicubic, biharmonic, the night's inverse with total variation, the
mean colour of a grey), ridge regressions of patches and of windows, and the mean of the
nearest patches. Another net, which was taught whose photograph a patch is of and whether
it was blurred, judges how real images look: `distance` is Fréchet's, of its features.

Rates are chosen by held-out patches with the absolute error alone, for one seed; the GAN
has the same ones, as in the paper. There is no noise and no batch norm. Nets without
skips have a GAN only where --architecture or --objective asks for one. At the standard
size a net sees 2,400 patches and is far from what it could be; ridge regression sees all.
"""

import functools
import math

from depthbench.experiments import comparisons, scores
from depthbench.experiments.buildable import one_of
from depthbench.experiments.generation import conditional_shown, translations
from depthbench.experiments.generation.conditional_claims import CLAIMS
from depthbench.experiments.once import once
from depthbench.experiments.scores import Scoring
from depthbench.experiments.training import nets
from depthbench.experiments.training.pairs import whole
from depthbench.research.catalogues.catalogue import choices
from depthbench.research.catalogues.packages import need
from depthbench.research.lazy import lazily
from depthbench.research.learning.recipe import Recipe
from depthbench.research.learning.selection import Outcome, half
from depthbench.research.study.axes import Axis
from depthbench.research.study.declaration import (
    Cost,
    Measured,
    Plan,
    Study,
)
from depthbench.research.study.errors import Refusal
from depthbench.research.study.headlines import counted

with lazily():
    import numpy as np

    from depthbench.experiments.generation import photograph_judge
    from depthbench.research.architectures.convolutional import patch_scores
    from depthbench.research.learning import conditional, fits, supervised
    from depthbench.research.learning import judge as judges

LOSSES = choices(
    "objective",
    l1="the absolute error alone",
    l1_gan="the absolute error, and a conditional discriminator of patches",
)
NETS = {"unet": "U-Net", "unet_plain": "U-Net without skips"}
BY = {"l1": "by absolute error", "l1_gan": "by absolute error and a GAN"}
SCORING = Scoring(
    system="conditional GAN",
    noun="PSNR (dB)",
    trivial="image as given",
    strong="best without a net, of the patch alone",
    by=("translation", "architecture", "objective"),
    naming=lambda row, net: (
        f"{NETS[row['architecture']]} of {counted(row['depth'], 'layer')} "
        f"{BY[row['objective']]}, {conditional_shown.word(row)}"
    ),
    form=".2f",
)
PATCHES = 2  # layers of the discriminator after its first: it sees 7 × 7 pixels
DISTANCES = ("distance", "strong_distance", "given_distance", "floor_distance", "judge")
MORE = ("unseen", "unseen_strong", "error", "fooled")
OF_PHOTOGRAPHS = (
    *(*comparisons.OF_GROUPS, "unseen_test_se", "unseen_test_groups"),
    *("unseen_left_out", "distance_left_out"),
)


def pair_of(cell):
    """The cell's generator, and the discriminator of its images if it has one."""
    side, common = cell["side"], {"width": cell["width"], "batch": cell["batch"]}
    common |= {"momentum": 0.5, "initializer": "he_normal"}  # β₁ as in the paper
    recipe = Recipe(architecture=cell["architecture"], depth=cell["depth"], **common)
    task = supervised.Task((side, side, 3), 3, "reconstruction")
    generator = fits.Net(recipe, task)
    if cell["objective"] == "l1":
        return conditional.ConditionalPair(generator)
    recipe = Recipe(
        architecture="cnn_same", depth=PATCHES, activation="leaky_relu", **common
    )
    change = patch_scores.of_patches
    task = supervised.Task((side, side, 6), 1, "reconstruction", change)
    return conditional.ConditionalPair(generator, fits.Net(recipe, task))


def measure(cells, shared, memory):
    """One Measured for each cell."""
    return [translated(cell) for cell in cells]


def of_data(cell):
    """What a translation's parts and baselines depend on."""
    return cell["translation"], cell["side"], cell["smaller"], cell["stride"]


def translated(cell):
    """PSNR of a cell's nets, and how real their images look, beside the baselines'."""
    without = translations.baselines.begin(*of_data(cell))
    parts = translations.parts(*of_data(cell))
    pair, (train, valid, test, unseen) = pair_of(cell), parts
    tuned, seeds = tuned_by(*(cell[name] for name in TUNED)), cell["seeds"]
    # By the absolute error the first seed's run is that which chose the rate.
    runs = list(tuned.runs) if cell["objective"] == "l1" else []
    others, rates = range(len(runs), seeds), (tuned.setting,)
    runs += conditional.train(pair, train.batch, cell["steps"], rates, others)[0]
    tuned, without = tuned._replace(runs=runs), without()
    made = [run.image(test.given, test.mask) for run in runs]
    lost = sum(not np.isfinite(images).all() for images in made)
    if lost:
        return Measured("diverged", f"{lost} of {seeds} runs at the best rate", {})
    values = scores.values(
        score=[test.psnr(images) for images in made],
        valid=float(
            np.mean([valid.psnr(run.image(valid.given, valid.mask)) for run in runs])
        ),
        trivial=test.psnr(test.given),
        strong=without.test["chosen"],
        before=conditional.beforehand(pair, train.batch, seeds),
        tuned=tuned,
    )
    others = [run.image(unseen.given, unseen.mask) for run in runs]
    values["valid_half"] = -10 * math.log10(tuned.sooner)  # a PSNR, as `valid` is
    values |= {
        **of_photographs("score", test, made, without.made),
        **scores.spread("unseen", [unseen.psnr(images) for images in others]),
        **of_photographs("unseen", unseen, others, without.restore(unseen)),
        "unseen_strong": without.unseen["chosen"],
        **{name: without.test[name] for name in ("classical", "ridge", "nearest")},
        "chosen": without.chosen,
        "error": fits.at_end(runs[0], "loss"),
        "fooled": last_of(runs[0], "generator fooled"),
        **distances(cell, parts, made, without),
    }
    return Measured("ok", "", values, pictures(cell, runs[0], without))


def of_photographs(name, part, made, strong):
    """What is known of nets' PSNR and gap from which photographs there are."""
    nets = [part.weighed(images) for images in made]
    return comparisons.of_groups(name, nets, part.weighed(strong), part.photograph)


def psnr_of(run, part):
    return part.psnr(run.image(part.given, part.mask))


def last_of(run, name):
    return fits.at_end(run, name) if name in run.log else None


TUNED = (
    *("translation", "architecture", "depth", "width", "side", "smaller", "stride"),
    *("batch", "steps", "lowest_rate", "highest_rate", "rates", "further_rates"),
)


@once
def tuned_by(*values):
    """The best rate of the generator by absolute error alone, for one seed, and whether
    more steps would help it: cells of both objectives share them. values: of TUNED."""
    cell = dict(zip(TUNED, values, strict=True))
    train, valid = translations.parts(*of_data(cell))[:2]
    alone, steps = pair_of({**cell, "objective": "l1"}), cell["steps"]

    def by_rate(rates, steps=steps):
        return conditional.train(alone, train.batch, steps, rates, [0], cell["steps"])

    def held(runs):
        ended = sum(run.diverged is None for run in runs) / len(runs)
        psnr = [psnr_of(run, valid) for run in runs]
        return Outcome(ended=ended, loss=float(np.mean(10 ** (-np.array(psnr) / 10))))

    grid, most = nets.rates(cell), cell["further_rates"]
    sooner = lambda rate: by_rate([rate], half(steps))[0]
    return fits.tuned(by_rate, grid, "loss", held, most=most, sooner=sooner)


def distances(cell, parts, made, without):
    """Fréchet's distances by the judge's features: of images of every other test patch
    from the true ones of those between, as their own would be near to any restoration."""
    judge = photograph_judge.judge(cell["side"], cell["smaller"], cell["judged"])
    test = parts.test
    true = judge.features(test.asked[1::2])

    def far(images):
        """From how often each patch counts to the distance."""
        own = judge.features(np.clip(images[::2], -1, 1))
        return lambda times: judges.frechet(true[times[1::2] > 0], own[times[::2] > 0])

    of_each, every = list(map(far, made)), np.ones(len(test.asked))
    left_out = comparisons.without_each(of_each, test.photograph)
    return {
        **scores.spread("distance", [distance(every) for distance in of_each]),
        "distance_left_out": comparisons.by_seed(left_out),
        "strong_distance": far(without.made)(every),
        "given_distance": far(test.given)(every),
        "floor_distance": far(test.asked)(every),
        "judge": judge.digest,
    }


def pictures(cell, run, without):
    """Whole regions of the test part, tiled of patches: uint8, by name."""
    part, tiled = translations.shown(cell["translation"], cell["side"], cell["smaller"])
    images = {
        "given": part.given,
        "net": run.image(part.given, part.mask),
        "strong": without.restore(part),
        "truth": part.asked,
    }
    return {name: tiled(image) for name, image in images.items()}


def fit(cells, typed):
    """Cells whose patches the net can halve and restore; of nets without skips those by
    absolute error, unless others were asked for."""
    need("conditional_gan", "skimage")
    if not {"architecture", "objective"} & set(typed):
        plain = {"architecture": "unet_plain", "objective": "l1_gan"}
        cells = [cell for cell in cells if not plain.items() <= cell.items()]
    for cell in cells:
        divisor = max(4, 1 << (cell["depth"] - 3) // 5)
        if cell["side"] % divisor:
            raise Refusal(f"--side {cell['side']}: must be a multiple of {divisor}")
    return nets.fit(cells, typed)


def cost(cells, shared):
    """Convolutions of a U-Net: each level has as many products as the first."""
    seconds = memory = 0.0
    for cell in cells:
        pixels = cell["side"] ** 2 * cell["batch"]
        products = 6 * pixels * cell["width"] ** 2 * 9 * (cell["depth"] - 3)
        runs = cell["seeds"] * (1 if cell["objective"] == "l1" else 2) + 1.5
        seconds += runs * cell["steps"] * products / 1.6e10 + 4
        examples = 2e6 / cell["stride"] ** 2 / cell["smaller"] ** 2
        memory = max(memory, 2**28 + 48 * examples * cell["side"] ** 2)
        memory += 64 * pixels * cell["width"] * cell["seeds"]
    return Cost(int(memory), int(memory), seconds)


STUDY = Study(
    name="conditional_gan",
    kind="experiment",
    question="Does a conditional GAN restore photographs better than methods without a "
    "net?",
    source="Isola et al. 2017, arXiv:1611.07004",
    axes={
        "translation": Axis(
            "what is asked for",
            tuple(translations.TRANSLATIONS),
            translations.TRANSLATIONS,
        ),
        "architecture": Axis(
            "with and without skips",
            ("unet", "unet_plain"),
            one_of(NETS),
        ),
        "objective": Axis("what the generator descends", ("l1", "l1_gan"), LOSSES),
        "depth": whole("convolutions of the U-Net", (8, 13), 8, single=False),
        "width": whole("channels of its first level", (8,)),
        "side": whole("pixels of a patch's side", (16,), 8),
        "smaller": whole("pixels of a photograph that become one, each way", (2,)),
        "stride": whole("pixels from one patch that is learned from to the next", (4,)),
        "batch": whole("patches of a step", (8,)),
        "steps": whole("steps", (300,)),
        "judged": whole("steps of the judge", (400,)),
        "seeds": whole("runs", (3,)),
        **nets.rate_axes(1e-3, 10**-2.5, 2),
    },
    sizes={
        "smoke": {
            "translation": ("colour",),
            "architecture": ("unet",),
            "objective": ("l1",),
            "depth": (8,),
            "width": (4,),
            "stride": (16,),
            "steps": (20,),
            "judged": (20,),
            "seeds": (2,),
            "rates": (1,),
            "further_rates": (0,),
        },
        "full": {
            "translation": ("colour", "enlarge"),
            "depth": (13,),
            "width": (32,),
            "side": (64,),
            "smaller": (1,),
            "stride": (16,),
            "batch": (16,),
            "steps": (1500,),
            "judged": (2000,),
            "highest_rate": (1e-3,),
            "lowest_rate": (3e-5,),
            "rates": (4,),
            "further_rates": (0,),
        },
    },
    plan=Plan(cost=cost, priority=nets.longest_first),
    fit=fit,
    measure="depthbench.experiments.generation.conditional_gan:measure",
    columns=(
        *("translation", "architecture", "objective", "depth", "width"),
        *scores.COLUMNS,
        *("classical", "ridge", "nearest", "chosen", *MORE, *DISTANCES),
        *OF_PHOTOGRAPHS,
    ),
    claims=CLAIMS,
    headline=functools.partial(conditional_shown.headline, SCORING),
    tables=lambda rows: [
        SCORING.table(rows, more=("unseen", "unseen_strong", *DISTANCES[:4]))
    ],
    figures=lambda rows, profiles: conditional_shown.figures(SCORING, rows, profiles),
    shows=("image-to-image translation", "colour for old photographs"),
    summary=functools.partial(conditional_shown.summary, SCORING),
    compile_seconds=6.0,
)

if __name__ == "__main__":
    from depthbench.research.cli.main import script

    script(STUDY.name)
