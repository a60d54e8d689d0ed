"""What is left of a generator's gradient as its discriminator learns alone, or beside it?

Source: Arjovsky & Bottou 2017, arXiv:1701.04862: of a generator that is kept as it is, the
better the discriminator becomes the smaller is the gradient of log(1 − D), and the larger
and noisier that of −log D (theorems 2.4 and 2.6, figures 2 and 3). Goodfellow et al. 2014,
arXiv:1406.2661, section 3: early in training log(1 − D) saturates.

The generator has two hidden layers after its first, the discriminator as many as asked.
First the generator is frozen, fresh, by a learning rate of 0; its gradient is measured all
the same, over all its parameters and in the log domain. Then both are trained in turn, at
the best rate of one grid for the first seed, and judged by the Fréchet distance of what is
made, of a judge whose weights' digest is in the row. That is a distance after so many
steps: whether it would fall further is not asked, and `unfinished` is empty.
`first_gradient` is that of the generator's first layer, `decades` are those that the
gradient loses on its way through the fresh discriminator.
"""

from depthbench.experiments import comparisons, first_seed, scores
from depthbench.experiments.generation import gan_nets, gan_shown, judged
from depthbench.experiments.scores import Scoring
from depthbench.experiments.training import nets, pairs
from depthbench.experiments.training.pairs import whole
from depthbench.research.datasets import readable
from depthbench.research.lazy import lazily
from depthbench.research.study.axes import Axis
from depthbench.research.study.claims import Claim
from depthbench.research.study.declaration import Cost, Headline, Measured, Plan, Study
from depthbench.research.study.doubts import after_steps, certain
from depthbench.research.study.estimates import above, below, mean_of
from depthbench.research.study.headlines import counted, listed, measured, of_deepest

with lazily():
    import numpy as np

    from depthbench.research.learning import feed, fits, gan, players, sweeps
    from depthbench.research.learning import system as systems

SOURCE = "Arjovsky & Bottou 2017, arXiv:1701.04862"
GENERATOR = 2  # hidden layers of the generator after its first
MARKS = (
    0.0,
    0.02,
    0.05,
    0.1,
    0.2,
    0.5,
    1.0,
)  # of the steps: where gradients are measured
PROBED = 256
ASKED = ("saturating", "non_saturating", "wasserstein")
SCORING = Scoring(
    system="generator and its discriminator",
    noun="Fréchet distance",
    trivial="noise with each pixel's moments",
    strong="mixture of 10 Gaussians",
    by=("variant",),
    naming=lambda row, net: (
        f"{gan_nets.WORDS[row['variant']]}, discriminator of "
        f"{counted(row['depth'], 'layer')}"
    ),
    higher=False,
    form=".1f",
    within=scores.positive,
)
PROTOCOL = (
    "digits, generator of 2 hidden layers after its first, nets of 64 units, Adam (first "
    "moment 0.5), batches of 64, 3 seeds"
)
ALONE = (
    f"{PROTOCOL}; a fresh generator, kept as it is while its discriminator takes 1,000 "
    "steps at a rate of 0.001"
)


def measure(cells, shared, memory):
    """One Measured for each cell."""
    return [gradients(cell) for cell in cells]


def gradients(cell):
    """The generator's gradient beside a discriminator that learns alone, and in turn."""
    asked, seeds = (cell["dataset"], cell.get("data_dir")), cell["seeds"]
    yard, rival = judged.yardstick(*asked), judged.mixture.begin(seeds, *asked)
    x = yard.parts.train.x
    pair = gan_nets.game(cell, yard.parts.shape, (GENERATOR, cell["depth"]))

    frozen = {gan.GENERATOR: 0.0, gan.DISCRIMINATOR: cell["alone_rate"]}
    alone = [course(pair, x, cell["alone"], frozen, seed) for seed in range(seeds)]
    before = beforehand(pair, x, alone)

    def trained(grid, numbers):
        return [
            course(pair, x, cell["steps"], gan.alike(rate), seed)
            for rate in grid
            for seed in numbers
        ]

    held = gan_nets.held(yard)
    tuned = first_seed.of_runs(trained, cell, nets.rates(cell), "loss", held)
    far = [gan_nets.distance(run, yard) for run in tuned.runs]
    if not np.isfinite(far).all():
        return Measured("diverged", "no rate leaves the generator finite", {})
    rival = rival()
    values = scores.values(
        score=far,
        valid=held(tuned.runs).loss,
        trivial=judged.apart(*asked),
        strong=rival.distances,
        independent=True,
        before=before,
        tuned=tuned,
        higher=False,
    )
    made = [gan_nets.made_by(run, yard) for run in tuned.runs]
    values |= judged.of_tests(yard, made, rival)
    values |= {"judge": yard.judge.digest, "floor": yard.floor}
    for name, runs in (("alone", alone), ("in_turn", tuned.runs)):
        values |= scores.spread(
            f"{name}_change", [r.total[-1] - r.total[0] for r in runs]
        )
        right = scores.spread(f"{name}_right", [r.right for r in runs])
        # A critic's score has no fixed zero, by whose side it would be right.
        values |= dict.fromkeys(right) if cell["variant"] == "wasserstein" else right
    curves = {
        "alone": np.mean([run.total for run in alone], axis=0),
        "in_turn": np.mean([run.total for run in tuned.runs], axis=0),
        "alone_steps": marks(cell["alone"]),
        "in_turn_steps": marks(cell["steps"]),
        "made": made[0][: gan_shown.SHOWN],
    }
    arrays = {name: np.asarray(array, np.float32) for name, array in curves.items()}
    return Measured("ok", "", values, arrays)


def marks(steps):
    """The steps at which gradients are measured, the first and the last among them."""
    return sorted({round(share * steps) for share in MARKS})


class Course:
    """A run, as `fits.tuned` and `gan_nets` take one, with the generator's gradient on its
    way: total, its log10 at each of `marks`; profiles, of both fresh nets."""

    def __init__(self, run, total, profile, mflop):
        self.generator, self.log, self.samples = run.generator, run.log, run.samples
        self.diverged, self.total, self.profile = run.diverged, total, profile
        self.mflop = mflop

    @property
    def right(self):
        """The share that the discriminator tells right in the last batches."""
        return fits.at_end(self, "discriminator right")


def course(pair, x, steps, rates, seed):
    """A seed's pair, stopped at each of `marks` to look at the generator's gradient."""
    hyper = gan.hyper(pair, rates, steps)
    batch = pair[0][1].net.recipe.batch
    data, probe = {"inputs": x}, {"inputs": x[:PROBED]}
    system = players.system(pair)
    programs = sweeps.programs(system, feed.drawn(batch), steps)
    number, hyper = sweeps.arguments([sweeps.Run(seed, hyper)])
    state = programs.init(number, hyper)
    mflop = fits.step_mflop(system, batch, state, hyper, data)
    total, first, logs, done = [], None, [], 0
    for mark in marks(steps):
        if mark > done:
            state, log = programs.advance(state, hyper, data, np.int32(mark - done))
            logs.append({name: array[: mark - done] for name, array in log.items()})
        found = programs.profile(state, probe)
        first, done = first or found, mark
        total.append(size(found[gan.GENERATOR][1]))
    log = {n: np.concatenate([np.asarray(part[n]) for part in logs]) for n in logs[0]}
    diverged = sweeps.stopped(systems.diverged_at(state.diverged))
    run = gan.adversaries(pair, state, log, diverged=diverged, seed=seed)
    return Course(run, total, first, mflop)


def size(layers):
    """log10 of the gradient's length over all layers, from those of each; -inf of none."""
    each = np.asarray(layers, np.float64)
    most = each.max()
    if most == -np.inf:
        return float(most)
    return float(most + np.log10(np.sum(10.0 ** (2 * (each - most)))) / 2)


def beforehand(pair, x, runs):
    """Of the fresh nets: the generator's first layer, and the way through the other."""
    firsts = [float(run.profile[gan.GENERATOR][1][0]) for run in runs]
    states = [np.asarray(run.profile[gan.DISCRIMINATOR][0]) for run in runs]
    decades = float(np.mean([each[0] - each[-1] for each in states]))
    return fits.Beforehand(float(np.mean(firsts)), decades, runs[0].mflop, firsts)


def headline(rows):
    """What each loss leaves of the gradient, and who makes the nearer digits."""
    answer, worst = SCORING.headline(rows)
    deepest = of_deepest(measured(rows))
    told = listed(
        f"{row['alone_change']:+.1f} ({gan_nets.WORDS[row['variant']]})"
        for row in deepest
    )
    layers = counted(deepest[0]["depth"], "layer")
    change = (
        f"A discriminator of {layers} that learns alone changes log10 of the generator's "
        f"gradient by {told}."
    )
    steps = (
        f"The distances are after {deepest[0]['steps']:,} steps of both in turn; what "
    )
    return Headline(f"{answer} {change} {steps}more would give is not known.", worst)


def cost(cells, shared):
    """Seconds by steps and layers, of all seeds and, of the first, some three rates."""
    (cell,) = cells
    runs = cell["seeds"] + 1.5 * cell["rates"]
    steps = cell["seeds"] * cell["alone"] + runs * cell["steps"]
    layers = 4 + 2 * GENERATOR + 3 * cell["depth"]
    each = 3e-5 * layers * (cell["width"] / 64) ** 2
    each *= 1.6 if cell["variant"] == "wasserstein" else 1.0
    memory = 2**28 + 600 * layers * cell["width"] ** 2
    return Cost(memory, memory, 13.0 + steps * each)


PAIR = {"protocol": ALONE, "doubt": certain, "label": ("variant", "depth")}

STUDY = Study(
    name="gan_gradient",
    kind="experiment",
    question="What is left of a generator's gradient as its discriminator learns?",
    source=SOURCE,
    axes={
        "variant": Axis("the losses", ASKED, gan_nets.VARIANTS),
        "depth": whole(
            "hidden layers of the discriminator after its first",
            (1, 3, 8),
            single=False,
        ),
        "width": whole("units of a layer", (64,)),
        "dataset": readable.axis(readable.pictured),
        "alone": whole("steps of 64 that the discriminator takes alone", (1000,)),
        "alone_rate": Axis(
            "its learning rate there", (1e-3,), kind="number", low=1e-12, high=10.0
        ),
        "steps": whole("steps of 64 of both, in turn", (2000,)),
        "seeds": whole("runs of the best rate", (3,)),
        **nets.rate_axes(1e-3, 4e-3, 2),
    },
    sizes={
        "smoke": {
            "variant": ("saturating",),
            "depth": (1,),
            "width": (16,),
            "alone": (20,),
            "steps": (20,),
            "seeds": (2,),
            "rates": (1,),
            "further_rates": (0,),
        },
        "full": {
            "variant": (*ASKED, "spectral"),
            "depth": (1, 2, 4, 8, 16),
            "width": (512,),
            "dataset": ("fashion_mnist",),
            "alone": (4000,),
            "steps": (20000,),
        },
    },
    plan=Plan(cost=cost, priority=nets.longest_first),
    fit=nets.fit,
    measure="depthbench.experiments.generation.gan_gradient:measure",
    columns=(
        *("variant", "depth", "width"),
        *scores.COLUMNS,
        *("alone_change", "alone_change_se", "alone_right"),
        *("in_turn_change", "in_turn_change_se", "in_turn_right", "floor", "judge"),
        *comparisons.OF_GROUPS,
    ),
    claims=(
        Claim(
            "arjovsky2017.saturating-vanishes",
            "of a generator that is kept as it is, the gradient of log(1 - D) falls by two "
            "decades or more as the discriminator learns",
            f"{SOURCE}, theorem 2.4 and figure 2",
            estimate=mean_of("alone_change"),
            allows=below(-2.0),
            differs="convolutional nets, photographs, generators that had been trained",
            scope=lambda row: row["variant"] == "saturating",
            **PAIR,
        ),
        Claim(
            "arjovsky2017.log-d-grows",
            "of a generator that is kept as it is, the gradient of -log D grows as the "
            "discriminator learns",
            f"{SOURCE}, theorem 2.6 and figure 3",
            estimate=mean_of("alone_change"),
            allows=above(0.0),
            differs="convolutional nets, photographs, generators that had been trained",
            scope=lambda row: row["variant"] == "non_saturating",
            **PAIR,
        ),
        Claim(
            "gulrajani2017.critic-keeps-gradient",
            "of a generator that is kept as it is, a critic with a gradient penalty leaves "
            "at least a tenth of the gradient",
            "Gulrajani et al. 2017, arXiv:1704.00028, section 1",
            estimate=mean_of("alone_change"),
            allows=above(-1.0),
            differs="deep residual critics on photographs; no generator kept as it is",
            scope=lambda row: row["variant"] == "wasserstein",
            **PAIR,
        ),
        Claim(
            "depthbench.deeper-judge-kills-sooner",
            "depthbench's own bar: in as many steps a deep discriminator takes a decade "
            "more of the gradient of log(1 - D) than one of a single hidden layer after "
            "its first",
            "depthbench: what deeper discriminators do to the fall of figure 2",
            estimate=pairs.gap,
            allows=below(-1.0),
            scope=lambda row: row["variant"] == "saturating",
            of=comparisons.deeper(("variant",), "alone_change"),
            **PAIR,
        ),
        Claim(
            "goodfellow2014.saturates-early",
            "where both are trained in turn, what is made by -log D is nearer to real "
            "examples than what is made by log(1 - D)",
            "Goodfellow et al. 2014, arXiv:1406.2661, section 3",
            estimate=pairs.gap,
            allows=above(0.0),
            protocol=f"{PROTOCOL}; 2,000 steps of both, rates chosen on held-out images by "
            "the first seed",
            differs="MNIST, faces and CIFAR-10, maxout discriminators; it speaks of "
            "gradients early in learning, and gives no number",
            scope=lambda row: True,
            label=("depth",),
            doubt=after_steps,
            of=comparisons.against(
                {"variant": "non_saturating"},
                {"variant": "saturating"},
                ("depth",),
                higher=False,
            ),
        ),
    ),
    headline=headline,
    tables=lambda rows: [
        SCORING.table(rows, more=("alone_change", "in_turn_change", "floor", "judge"))
    ],
    figures=lambda rows, profiles: gan_shown.of_gradient(SCORING, rows, profiles),
    shows=("generative adversarial net: the generator's gradient",),
    summary=SCORING.summary,
    compile_seconds=8.0,
)

if __name__ == "__main__":
    from depthbench.research.cli.main import script

    script(STUDY.name)
