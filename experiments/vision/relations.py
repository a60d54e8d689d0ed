"""What does a relation module give to questions about two objects, by its depth?

Source: Santoro et al. 2017, arXiv:1706.01427: nets that compare all pairs of objects answer
relational questions that others do not, on scenes such as "which shape is nearest to the
red one?". Here each scene is asked that, and which shape the red one itself is.

What differs: three objects, in the order of their colours, so that the net without module
need not look for the one that is named; and they are read as what is known of them, which
is the source's state description. Pixels are another value of the axis `reads`, left out of
the standard size because convolutions need more steps than two cores have time for. Layers
have layer normalisation, and pairs are averaged.

The trivial answer is the shape of one of the others, which is right twice in three times.
The strong baseline is told which object is named: it reads that one first and the others
with their places as seen from it. No net is told so; one that reads pixels is not told
places either, and no claim sets it beside the baseline.
"""

from depthbench.experiments import by_depth, comparisons, scores
from depthbench.experiments.once import once
from depthbench.experiments.scores import Scoring
from depthbench.experiments.training import nets
from depthbench.experiments.training.pairs import whole
from depthbench.experiments.vision import pictured
from depthbench.experiments.vision.relations_shown import SHOWN, figures
from depthbench.research.catalogues.catalogue import choices
from depthbench.research.datasets import questions
from depthbench.research.lazy import lazily
from depthbench.research.learning.recipe import Recipe
from depthbench.research.study.axes import Axis
from depthbench.research.study.claims import Claim
from depthbench.research.study.declaration import Headline, Measured, Plan, Study
from depthbench.research.study.doubts import anywhere, downward, of_sides, upward
from depthbench.research.study.estimates import above, mean_of
from depthbench.research.study.headlines import counted

with lazily():
    import numpy as np

    from depthbench.research.learning import baselines, fits, supervised

SOURCE = "Santoro et al. 2017, arXiv:1706.01427"
SIDE, BATCH, SHAPES = 24, 64, 3
CHOSEN, JUDGED = 400, 1000  # scenes of the other parts
BINS = (1.0, 2.0, 4.0, 8.0)  # pixels by which the nearest is nearer: where bins begin
NETS = ("relation_net", "relation_net_without")
WORDS = {NETS[0]: "relation net", NETS[1]: "net without pairs"}
READS = choices(
    "reads",
    objects="what is known of the objects: place, shape, colour",
    pixels="the picture",
)
SCORING = Scoring(
    system="relation net",
    noun="accuracy on the nearest",
    trivial="another's shape",
    strong="RBF SVM",
    by=("architecture", "activation", "reads"),
    naming=lambda row, net: (
        f"{scores.words(row['activation'])} {WORDS[row['architecture']]}"
        f"{' of pixels' * (row['reads'] == 'pixels')}, "
        f"{counted(row['depth'], 'layer')}"
    ),
)
PROTOCOL = (
    "scenes of 3 objects, read as objects unless pixels are said, 6,000 to learn from, "
    "400 to choose rates by, 1,000 to be judged by, each asked both questions, the SVM of "
    "the nearest alone; 48 units, layer normalisation, Adam down a cosine, 6,000 steps "
    "of 64 questions, 3 seeds"
)


def net_of(cell):
    """The cell's net."""
    recipe = Recipe(
        architecture=cell["architecture"],
        activation=cell["activation"],
        depth=cell["depth"],
        width=cell["width"],
        normalizer="layer",
        batch=BATCH,
        schedule="cosine",
    )
    pixels = (SIDE, SIDE, 3 + questions.WORDS)
    known = (questions.OBJECTS, questions.FEATURES + questions.WORDS)
    shape = pixels if cell["reads"] == "pixels" else known
    return fits.Net(recipe, supervised.Task(shape, SHAPES))


@once
def parts_of(learned):
    """Scenes to learn from, to choose by and to be judged by."""
    small = min(1.0, learned / 1000)  # of the parts that choose and judge
    counts = learned, max(20, int(CHOSEN * small)), max(20, int(JUDGED * small))
    return [questions.asked(n, seed, SIDE) for seed, n in enumerate(counts)]


@once
def reading(learned, reads):
    """From a part to what nets read [questions, …]: mean 0 and variance 1 in training."""

    def raw(part):
        return part.pixels if reads == "pixels" else part.known

    first = raw(parts_of(learned)[0])
    axes = tuple(range(first.ndim - 1))
    centre, deviation = first.mean(axes), first.std(axes)

    def read(part):
        x = (raw(part) - centre) / deviation
        return x.reshape(-1, *x.shape[2:]).astype(np.float32)

    return read


@once
def by_svm(learned):
    """What the SVM answers about the nearest in the test part, and how often right."""
    train, _, test = parts_of(learned)
    given = baselines.fit("svm", train.from_named, train.answers[:, 1]).predict(
        test.from_named
    )
    return given, float(np.mean(given == test.answers[:, 1]))


def measure(cells, shared, memory):
    """One Measured for each cell."""
    return [accuracies(cell) for cell in cells]


def accuracies(cell):
    """The share right of either question, of nets at the rate best for the nearest."""
    net, (train, valid, test) = net_of(cell), parts_of(cell["scenes"])
    by_forms = by_svm.begin(cell["scenes"])
    read = reading(cell["scenes"], cell["reads"])
    data = {
        "inputs": read(train),
        "targets": train.answers.reshape(-1).astype(np.int32),
    }

    def shapes(run, part):
        given = run.outputs(read(part)).argmax(axis=-1)
        return given.reshape(part.answers.shape)

    def chosen(run):
        return float(np.mean(shapes(run, valid)[:, 1] == valid.answers[:, 1]))

    tuned = pictured.tuned(net, data, cell, chosen)
    given = [shapes(run, test) for run in tuned.runs]
    right = np.array([each == test.answers for each in given])  # [seeds, scenes, kinds]
    own, nearest = right.mean(axis=1).T
    svm, strong = by_forms()
    values = scores.values(
        score=nearest,
        valid=float(np.mean([chosen(run) for run in tuned.runs])),
        trivial=float(np.mean(another(test) == test.answers[:, 1])),
        strong=strong,
        before=fits.beforehand(net, data, cell["seeds"]),
        tuned=tuned,
        examples=len(test.answers),
        test_error=comparisons.of_answers(right[..., 1], svm == test.answers[:, 1]),
    )
    values |= scores.spread("own", own, len(test.answers))
    values |= scores.of_answers("harder", right[..., 0], right[..., 1])
    kept = {
        "by_margin": shares(right[..., 1].mean(axis=0), test.margin),
        "by_margin_svm": shares(svm == test.answers[:, 1], test.margin),
        **shown(test, given[0][:, 1], svm),
    }
    return Measured("ok", "", values, kept)


def shown(part, net, svm):
    """What a net and the SVM answer about the nearest [scenes], and the first scenes that
    one of them is wrong about."""
    true = part.answers[:, 1]
    wrong = np.flatnonzero((net != true) | (svm != true))[:SHOWN]
    return {
        "scene": wrong,
        "x": (255 * np.clip(part.scenes.x[wrong], 0, 1)).astype(np.uint8),
        "colour": part.colour,
        "true": true,
        "net": net,
        "svm": svm,
    }


def another(part):
    """The shape of another object than the named one, near or not [scenes]."""
    rows = np.arange(len(part.colour))
    return part.scenes.shape[rows, (part.colour + 1) % questions.OBJECTS]


def shares(right, margin):
    """The mean in each of BINS; 0 where a bin is empty."""
    place = np.digitize(margin, BINS) - 1
    return np.array(
        [
            right[place == n].mean() if (place == n).any() else 0
            for n in range(len(BINS))
        ]
    )


# -------------------------------------------------------------------------- claims

BY = ("activation", "depth", "reads")


def module(rows):
    """Nets with the module less those without, of as many layers, on the nearest."""
    one, other = ({"architecture": name} for name in NETS)
    return comparisons.against(one, other, BY)(rows)


def control(rows):
    """Nets without the module less those with, on the named object's own shape.

    That is not what rates and steps are judged by: who has learned it needs no more.
    """
    one, other = ({"architecture": name} for name in reversed(NETS))
    done = [
        {**row, "unfinished": row["unfinished"] and not learned(row)} for row in rows
    ]
    return comparisons.against(one, other, BY, "own", share=True)(done)


def learned(row):
    """Whether a net says of the named object which shape it is, but for a point."""
    return row["own"] is not None and row["own"] > 0.99


CLAIMS = (
    Claim(
        "santoro2017.module-gives-relations",
        "the net that compares pairs says more often which shape is nearest than that "
        "without, of as many layers",
        f"{SOURCE}, abstract",
        estimate=scores.gap,
        allows=above(0.0),
        moves=of_sides,
        protocol=PROTOCOL,
        differs="convolutions of pixels, six objects, three kinds of relational questions, "
        "2,000 hidden units and more",
        scope=lambda row: True,
        label=BY,
        of=module,
    ),
    Claim(
        "santoro2017.relations-lacking-without",
        "the net without pairs is less often right about the nearest shape than about that "
        "of the named object, by 10 points",
        f"{SOURCE}, abstract: no general capacity to solve relational questions",
        estimate=mean_of("harder"),
        allows=above(0.1),
        protocol=PROTOCOL,
        differs="convolutional nets on pixels; how much is 10 points here",
        scope=lambda row: row["architecture"] == NETS[1],
        # Who knows the named object's can only learn to know the nearest one's.
        moves=lambda row: downward(row) if learned(row) else anywhere(row),
        label=BY,
    ),
    Claim(
        "depthbench.one-object-needs-no-module",
        "depthbench's own bar: which shape the named object is, the net without pairs says "
        "as often as that with, to 2 points",
        "depthbench",
        estimate=scores.gap,
        allows=above(-0.02),
        moves=of_sides,
        protocol=PROTOCOL,
        scope=lambda row: True,
        label=BY,
        of=control,
    ),
    Claim(
        "depthbench.deeper-relations-better",
        "depthbench's own bar: the deepest relation net is more often right about the "
        "nearest shape than the shallowest",
        "depthbench",
        estimate=scores.gap,
        allows=above(0.0),
        moves=of_sides,
        protocol=PROTOCOL,
        scope=lambda row: row["architecture"] == NETS[0],
        label=("activation", "reads"),
        of=comparisons.deeper(("architecture", "activation", "reads")),
    ),
    Claim(
        "depthbench.relation-net-beats-svm",
        "depthbench's own bar: the relation net is more often right about the nearest "
        "shape than an SVM that reads places as seen from the named object",
        "depthbench",
        estimate=scores.gap,
        allows=above(0.0),
        moves=upward,
        protocol=PROTOCOL,
        scope=lambda row: (row["architecture"], row["reads"]) == (NETS[0], "objects"),
        label=BY,
    ),
)


# --------------------------------------------------------------------------- shown


def headline(rows):
    """The best net beside the baseline, what depth gives, and what the module gives it."""
    answer, worst = SCORING.headline(rows)
    kind = by_depth.of_names(WORDS)
    answer = f"{answer} {by_depth.told(SCORING, rows, SCORING.by, kind)}".strip()
    if not (done := scores.scored(rows)):
        return Headline(answer, worst)
    best = SCORING.best(done)
    alike = [
        row
        for row in done
        if all(row[name] == best[name] for name in BY) and row is not best
    ]
    if len(alike) == 1:
        side = "Without" if best["architecture"] == NETS[0] else "With"
        answer += (
            f" {side} pairs, {best['depth']} deep: {SCORING.write(alike[0]['score'])}. "
            f"About one object: {SCORING.write(best['own'])} and "
            f"{SCORING.write(alike[0]['own'])}."
        )
    return Headline(answer, worst)


def step_mflop(cell):
    """About; nets without pairs take less."""
    pairs = questions.OBJECTS**2 if cell["reads"] == "objects" else 256
    if cell["architecture"] == NETS[1]:
        pairs = 1
    width, seen = cell["width"], 0
    if cell["reads"] == "pixels":  # 12 × 12 and at last 4 × 4 places, of 3 × 3 each
        channels = 3 + questions.WORDS
        seen = 9 * width * (144 * channels + 144 * width + 16 * width)
    return 6e-6 * BATCH * (width**2 * (pairs * cell["depth"] + 2) + seen)


STUDY = Study(
    name="relations",
    kind="experiment",
    question="What does a relation module give to questions about two objects, by depth?",
    source=SOURCE,
    axes={
        **scores.axes((1, 2, 6), NETS, known=NETS),
        "width": whole("units of a layer", (48,)),
        "reads": Axis("what nets read of a scene", ("objects",), READS),
        "scenes": whole("scenes that are learned from", (6000,), low=60),
        "steps": whole("steps of 64 questions", (6000,)),
        "seeds": whole("runs at the best rate", (3,)),
        **nets.rate_axes(3e-3, 6e-3, 2),
    },
    sizes={
        "smoke": {
            "architecture": (NETS[0],),
            "depth": (1,),
            "width": (8,),
            "reads": ("objects",),
            "scenes": (80,),
            "steps": (20,),
            "seeds": (2,),
            "rates": (1,),
            "further_rates": (0,),
        },
        "full": {
            "depth": (1, 2, 4, 8),
            "width": (256,),
            "reads": ("objects", "pixels"),
            "scenes": (20_000,),
            "steps": (10_000,),
        },
    },
    plan=Plan(
        priority=nets.longest_first,
        cost=pictured.cost(
            step_mflop, lambda cell: min(3.0, cell["scenes"] / 1000), step=0.0005
        ),
    ),
    fit=nets.fit,
    measure="depthbench.experiments.vision.relations:measure",
    columns=(
        *("architecture", "activation", "depth", "width", "reads", "scenes"),
        *(*scores.COLUMNS, "own", "own_se", "harder", "harder_se", "harder_test_se"),
    ),
    claims=CLAIMS,
    headline=headline,
    tables=lambda rows: [SCORING.table(rows, more=("own",))],
    figures=lambda rows, profiles: figures(SCORING, rows, profiles),
    shows=("relational reasoning", "relation network"),
    summary=SCORING.summary,
    compile_seconds=5.0,
)

if __name__ == "__main__":
    from depthbench.research.cli.main import script

    script(STUDY.name)
