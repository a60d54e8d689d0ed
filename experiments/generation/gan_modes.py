"""How many modes does a generator cover, and how near are its digits to real ones?

Source: Goodfellow et al. 2014, arXiv:1406.2661; Metz et al. 2017, arXiv:1611.02163, section
3.1 (eight Gaussians on a circle, of which a generator makes a few at a time); Richardson &
Weiss 2018, arXiv:1805.12462 (mixtures of Gaussians as the rival).

Generator and discriminator are of equal depth; each variant has the rate of one grid at
which the first seed's examples are nearest to held-out ones, and as many discriminator
steps.
What is made is judged by the Fréchet distance of a fixed judge, a classifier of the same
data whose weights' digest is in the row. Beside it are the same distance of the training
part from the test part, the floor, and of a mixture of 10 Gaussians whose form was chosen
as rates are. A mode is covered where a tenth of its real share is made, by examples that
are as near to a training example, pixel by pixel, as 99 % of real ones are, and are of
the class that the judge takes them for. Distances are far from their end after so many
steps, which `unfinished` says of held-out ones: three minutes have no more.
"""

from depthbench.experiments import comparisons, first_seed, scores
from depthbench.experiments.generation import gan_nets, gan_shown, judged
from depthbench.experiments.scores import Scoring
from depthbench.experiments.training import nets, pairs
from depthbench.experiments.training.pairs import whole
from depthbench.research.catalogues.catalogue import choices
from depthbench.research.datasets import readable
from depthbench.research.lazy import lazily
from depthbench.research.learning.selection import half
from depthbench.research.study.axes import Axis
from depthbench.research.study.claims import Claim
from depthbench.research.study.declaration import Cost, Headline, Measured, Plan, Study
from depthbench.research.study.errors import Refusal
from depthbench.research.study.estimates import above, below, mean
from depthbench.research.study.headlines import listed, measured

with lazily():
    import numpy as np

    from depthbench.research.learning import gan, players

SOURCE = "Goodfellow et al. 2014, arXiv:1406.2661"
ASKED = ("saturating", "non_saturating", "wasserstein", "spectral")
MADE = choices(
    "kind of example", images="of the data set", ring="eight Gaussians on a circle"
)
KNOWN = ("mlp", "residual_mlp", "residual_mlp_scaled", "generator")
SCORING = Scoring(
    system="generative adversarial net",
    noun="Fréchet distance",
    trivial="noise with each number's moments",
    strong="mixture of 10 Gaussians",
    by=("made", "variant", "architecture"),
    naming=lambda row, net: f"{net}, {gan_nets.WORDS[row['variant']]}",
    higher=False,
    form=".1f",
    within=scores.positive,
)
PROTOCOL = (
    "dense nets of 64 units, Adam (first moment 0.5), 2,200 discriminator steps of 64 (so "
    "many after a look at test distances in 2,000), 3 seeds, rates chosen on held-out "
    "examples by the first"
)


def measure(cells, shared, memory):
    """One Measured for each cell."""
    return [judgement(cell) for cell in cells]


def judgement(cell):
    """Distance, modes and good ones of what the best rate's generators make."""
    asked, seeds = where(cell), cell["seeds"]
    yard, rival = judged.yardstick(*asked), judged.mixture.begin(seeds, *asked)
    pair = gan_nets.game(cell, yard.parts.shape, (cell["depth"], cell["depth"]))
    x, steps = yard.parts.train.x, cell["steps"]

    def trained(grid, numbers, steps=steps):
        return gan.train(pair, x, steps, grid, numbers, capacity=cell["steps"])

    held, sooner = gan_nets.held(yard), lambda rate: trained([rate], [0], half(steps))
    tuned = first_seed.of_runs(trained, cell, nets.rates(cell), "loss", held, sooner)
    made = [gan_nets.made_by(run, yard) for run in tuned.runs]
    far = [yard.distance(one) for one in made]
    if not np.isfinite(far).all():
        return Measured("diverged", "no rate leaves the generator finite", {})
    rival = rival()
    values = scores.values(
        score=far,
        valid=held(tuned.runs).loss,
        trivial=judged.apart(*asked),
        strong=rival.distances,
        independent=True,
        before=players.beforehand(pair, gan.GENERATOR, {"inputs": x}, seeds),
        tuned=tuned,
        higher=False,
    )
    values |= judged.of_tests(yard, made, rival)
    values |= {"judge": yard.judge.digest, "floor": yard.floor}
    for prefix, each in (("", made), ("rival_", rival.samples)):
        found = [yard.modes(one) for one in each]
        values |= scores.spread(f"{prefix}modes", [modes for modes, _ in found])
        values |= scores.spread(f"{prefix}good", [good for _, good in found])
    values["classes"] = yard.parts.classes
    count = gan_shown.SHOWN if cell["made"] == "images" else gan_shown.POINTS
    shown = {"made": made[0], "rival": rival.samples[0], "real": yard.parts.test.x}
    shape = yard.parts.shape
    arrays = {
        name: np.reshape(array[:count], (-1, *shape)).astype(np.float32)
        for name, array in shown.items()
    }
    return Measured("ok", "", values, arrays)


def where(cell):
    """(the data set that a cell makes examples of, the folder of its data)."""
    if cell["made"] == "ring":
        return "ring", None
    return cell["dataset"], cell.get("data_dir")


def fit(cells, typed):
    """Cells that can be built: a convolutional generator makes images, in even depths."""
    kept = [cell for cell in cells if not unbuildable(cell)]
    if not kept:
        raise Refusal(unbuildable(cells[0]))
    left = {unbuildable(cell) for cell in cells} - {""}
    kept, more = nets.fit(kept, typed)
    return kept, [f"left out: {why}" for why in sorted(left)] + more


def unbuildable(cell):
    """Why a cell has no generator; "" where it has."""
    if cell["architecture"] != "generator":
        return ""
    if cell["made"] == "ring":
        return "a convolutional generator makes images, and no points of a ring"
    depth = cell["depth"]
    return f"depth {depth}: half of its layers are at each size" if depth % 2 else ""


def of_images(rows):
    """The rows of images, which are the system's; all where none was asked for."""
    return [row for row in rows if row["made"] == "images"] or rows


def headline(rows):
    """The best digits beside the mixture's, and the modes of the ring that are covered."""
    done = measured(rows)
    images = of_images(done)
    answer, worst = SCORING.headline(images)
    answer += f" Training and test examples are at distance {images[0]['floor']:.1f}."
    ring = [row for row in done if row["made"] == "ring"]
    told = []
    for variant in dict.fromkeys(row["variant"] for row in ring):
        best = SCORING.best([row for row in ring if row["variant"] == variant])
        told.append(f"{best['modes']:.1f} ({gan_nets.WORDS[variant]})")
    if told:
        answer += (
            f" After {ring[0]['steps']:,} steps the generators cover {listed(told)} of the "
            "ring's 8 modes."
        )
    return Headline(answer, worst)


def modes(row):
    """How many modes are covered, as a claim estimates it."""
    return mean(row["modes"], row["modes_se"], row["seeds"])


def ring_of(variant):
    return lambda row: row["made"] == "ring" and row["variant"] == variant


def cost(cells, shared):
    """Seconds by steps and layers, of some half more rates than the grid, and of the
    other seeds."""
    (cell,) = cells
    layers = 6 + 6 * cell["depth"]
    each = 2.2e-5 * layers * (cell["width"] / 64) ** 2
    each *= {"wasserstein": 1.3, "spectral": 2.0}.get(cell["variant"], 1.0)
    each *= 20.0 if cell["architecture"] == "generator" else 1.0
    steps = (1.5 * cell["rates"] + cell["seeds"] - 1) * cell["steps"]
    memory = 2**28 + 1200 * layers * cell["width"] ** 2
    return Cost(memory, memory, 9.0 + steps * each)


PAIR = {"protocol": PROTOCOL, "label": ("made", "variant", "depth")}

STUDY = Study(
    name="gan_modes",
    kind="experiment",
    question="How many modes does a generator cover, and how near are its digits?",
    source=SOURCE,
    axes={
        "made": Axis("what is made", ("images", "ring"), MADE),
        "variant": Axis("the losses", ASKED, gan_nets.VARIANTS),
        **{
            name: axis
            for name, axis in scores.axes((1, 4), ("mlp",), known=KNOWN).items()
            if name != "activation"
        },
        "width": whole("units of a layer", (64,)),
        "dataset": readable.axis(readable.pictured, "the images"),
        "steps": whole("steps of 64 of the discriminator", (2200,)),
        "seeds": whole("runs of the best rate", (3,)),
        **nets.rate_axes(1e-3, 4e-3, 2),
    },
    sizes={
        "smoke": {
            "made": ("images",),
            "variant": ("wasserstein",),
            "depth": (1,),
            "width": (16,),
            "steps": (20,),
            "seeds": (2,),
            "rates": (1,),
            "further_rates": (0,),
        },
        "full": {
            "variant": ("non_saturating", "wasserstein", "spectral"),
            "architecture": ("mlp", "generator"),
            "depth": (2, 8),
            "width": (256,),
            "dataset": ("fashion_mnist",),
        },
    },
    plan=Plan(cost=cost, priority=nets.longest_first),
    fit=fit,
    measure="depthbench.experiments.generation.gan_modes:measure",
    columns=(
        *("made", "variant", "architecture", "depth", "width"),
        *scores.COLUMNS,
        *("modes", "modes_se", "classes", "good", "rival_modes", "rival_good"),
        *("floor", "judge", *comparisons.OF_GROUPS),
    ),
    claims=(
        Claim(
            "metz2017.ring-loses-modes",
            "of eight Gaussians on a circle, a generator of -log D covers seven at most",
            "Metz et al. 2017, arXiv:1611.02163, section 3.1",
            estimate=modes,
            allows=below(7.0),
            differs="nets of two layers of 128 units, deviation 0.02; a picture",
            scope=ring_of("non_saturating"),
            **PAIR,
        ),
        Claim(
            "depthbench.critic-covers-modes",
            "depthbench's own bar: of eight Gaussians on a circle, a generator with a "
            "penalised critic covers all eight",
            "depthbench, a bar of our own",  # the critic's paper keeps generators fixed
            estimate=modes,
            allows=above(7.5),
            scope=ring_of("wasserstein"),
            **PAIR,
        ),
        Claim(
            "miyato2018.spectral-helps",
            "with spectral norm what is made of -log D is nearer to real images",
            "Miyato et al. 2018, arXiv:1802.05957, section 4",
            estimate=pairs.gap,
            allows=above(0.0),
            differs="CIFAR-10 and STL-10, convolutional nets, Inception's features",
            scope=lambda row: row["made"] == "images",
            of=comparisons.against(
                {"variant": "spectral"},
                {"variant": "non_saturating"},
                ("made", "architecture", "depth"),
                higher=False,
            ),
            **PAIR,
        ),
        Claim(
            "richardson2018.mixture-is-nearer",
            "samples of a mixture of Gaussians are nearer to real images than those of a "
            "generator",
            "Richardson & Weiss 2018, arXiv:1805.12462",
            estimate=scores.gap,
            allows=below(0.0),
            differs="faces, mixtures of factor analysers, shares of bins and no distance",
            scope=lambda row: row["made"] == "images",
            **PAIR,
        ),
        Claim(
            "popular.deeper-makes-better",
            "a deeper generator and discriminator make nearer examples",
            "popular accounts of deep learning",
            estimate=pairs.gap,
            allows=above(0.0),
            differs="deep convolutional nets, large photographs",
            scope=lambda row: True,
            of=comparisons.deeper(("made", "variant", "architecture"), higher=False),
            **PAIR,
        ),
    ),
    headline=headline,
    tables=lambda rows: [
        SCORING.table(rows, more=("modes", "good", "rival_modes", "floor", "judge"))
    ],
    figures=lambda rows, profiles: gan_shown.of_modes(SCORING, rows, profiles),
    shows=("generative adversarial net",),
    summary=lambda rows: SCORING.summary(of_images(rows)),
    compile_seconds=6.0,
)


if __name__ == "__main__":
    from depthbench.research.cli.main import script

    script(STUDY.name)
