"""From a scene to its sentence, word by word: how deep must the net be that reads?

Source: Vinyals, Toshev, Bengio & Erhan 2015, arXiv:1411.4555 (Show and Tell): a
convolutional net reads an image, and a recurrent net that is told what was read says the
caption word by word. What differs: both nets are fresh; the recurrent one is a GRU that is
told what was read at every step, and says the likeliest word at each.

A scene has one shape and three strokes of the shapes' colours on a noisy ground, and its
sentence says what is where: "red circle top left". It is right if it is so word for word.

The strong baseline fills in a template from blobs: it is told the palette and that the
ground has one colour, which no net is, and a support vector machine names the shapes. The
other is the sentence of the nearest scene. Rates are chosen by held-out scenes, for one
seed. What nets lack at the standard size is shape, not colour or place; why was not
tried out. Asked for the shape alone, one such reader learned most of its scenes' and under
half of others', so its 4,000 scenes may be too few for a head with weights for each place.
"""

from depthbench.experiments import comparisons, scores
from depthbench.experiments.generation import captions_shown
from depthbench.experiments.scores import Scoring
from depthbench.experiments.training import nets
from depthbench.experiments.training.pairs import whole
from depthbench.experiments.vision import pictured
from depthbench.research.lazy import lazily
from depthbench.research.learning.recipe import Recipe
from depthbench.research.learning.selection import Outcome
from depthbench.research.study.claims import Claim, after_steps
from depthbench.research.study.declaration import Cost, Measured, Plan, Study
from depthbench.research.study.estimates import above, below, mean
from depthbench.research.study.headlines import counted

with lazily():
    import numpy as np

    from depthbench.experiments.generation import captions_baselines as without
    from depthbench.research.architectures.convolutional import circular
    from depthbench.research.datasets import captions as sentences
    from depthbench.research.learning import captioning, fits, selection, supervised

SOURCE = "Vinyals et al. 2015, arXiv:1411.4555"
SCORING = Scoring(
    system="captions of scenes, a convolutional net and a GRU",
    noun="share of sentences right",
    trivial="commonest sentence",
    strong="template from blobs",
    by=("width",),
    naming=lambda row, net: f"convolutional net of {counted(row['depth'], 'layer')}",
)
SIDE, BATCH = 16, 32
CHOSEN, JUDGED, SHOWN = 300, 500, 6  # scenes that choose and judge; that are drawn
PROTOCOL = (
    "scenes of 16 × 16 pixels with an object and 3 strokes, 4,000 to learn from, 300 "
    "to choose rates by, 500 to be judged by; residual convolutions of 16 channels on a "
    "grid of 4 × 4 cells, a GRU of 48 units, Adam, 1,500 steps of 32, 3 seeds"
)


def pair_of(cell):
    """The net that reads a scene, and the one that says its sentence."""
    words, units = len(sentences.WORDS), cell["units"]
    common = {"batch": BATCH, "schedule": "cosine"}
    seen = Recipe(
        architecture="detector_residual",
        depth=cell["depth"],
        width=cell["width"],
        **common,
    )
    said = Recipe(
        architecture="stacked_gru",
        depth=1,
        width=units,
        activation="tanh",
        initializer="glorot_normal",
        normalizer="layer",
        **common,
    )
    # Of the mean over places, as its head is, none could say what is where.
    look = supervised.Task((SIDE, SIDE, 3), units, "numbers", circular.of_places)
    say = supervised.Task((sentences.LENGTH, words + units), words, "tokens")
    return captioning.Captioner(fits.Net(seen, look), fits.Net(said, say), words)


@pictured.once
def parts(count):
    """So many scenes to learn from, and those that choose and that judge."""
    small = min(1.0, count / 1000)
    counts = count, *(max(20, int(n * small)) for n in (CHOSEN, JUDGED))
    return [sentences.captioned(n, 10**6 * k, SIDE) for k, n in enumerate(counts)]


@pictured.once
def baselines(count):
    """What each method without a net says of the test scenes, words by name."""
    train, valid, test = parts(count)
    _, first, often = np.unique(
        train.words, axis=0, return_index=True, return_counts=True
    )
    commonest = train.words[first[often.argmax()]]
    return {
        "trivial": np.repeat(commonest[None], len(test.x), axis=0),
        "nearest": without.nearest(train, test.x),
        "strong": without.template(train, valid).sentences(test.x),
    }


def measure(cells, shared, memory):
    """One Measured for each cell."""
    return [captioned(cell) for cell in cells]


def captioned(cell):
    """How often a cell's nets are right at the best rate, beside the baselines."""
    train, valid, test = parts(cell["scenes"])
    pair, mean_of, spread = pair_of(cell), train.x.mean(axis=(0, 1, 2)), train.x.std()
    read = lambda x: ((x - mean_of) / spread).astype(np.float32)
    data = {"inputs": read(train.x), "targets": train.words}
    share = lambda run: sentences.right(run.sentences(read(valid.x)), valid)
    tuned = tuned_of(cell, pair, data, share)
    said = [run.sentences(read(test.x)) for run in tuned.runs]
    others = baselines(cell["scenes"])
    values = scores.values(
        score=[sentences.right(one, test) for one in said],
        valid=float(np.mean([share(run) for run in tuned.runs])),
        trivial=sentences.right(others["trivial"], test),
        strong=sentences.right(others["strong"], test),
        before=captioning.beforehand(pair, data, cell["seeds"]),
        tuned=tuned,
        examples=len(test.x),
    )
    for name in sentences.ASPECTS:
        each = [sentences.shares(one, test)[name] for one in said]
        values |= scores.spread(name, each, len(test.x))
        values[f"strong_{name}"] = sentences.shares(others["strong"], test)[name]
    values["nearest"] = sentences.right(others["nearest"], test)
    return Measured("ok", "", values, shown(test, said[0], others["strong"]))


def tuned_of(cell, pair, data, share):
    """`fits.Tuned` of a rate that one seed chose, with the runs of all."""
    train = lambda rates, seeds: captioning.train(
        pair, data, cell["steps"], rates, seeds
    )

    def outcome(runs):
        ended = sum(run.diverged is None for run in runs) / len(runs)
        return Outcome(ended=ended, accuracy=float(np.mean([share(r) for r in runs])))

    first = lambda rates: train(rates, [0])
    most = cell["further_rates"]
    best = fits.tuned(first, nets.rates(cell), "accuracy", outcome, most=most)
    others = range(1, cell["seeds"])
    more = train([best.setting], others)[0] if others else []
    runs = [*best.runs, *more]
    late = selection.unfinished(fits.of_logs(runs), "loss", fits.falling(runs))
    return best._replace(runs=runs, unfinished=late)


def shown(test, net, strong):
    """The first scenes, and what is said of them."""
    words = {"words": test.words, "net": net, "strong": strong}
    kept = {name: a[:SHOWN].astype(np.uint8) for name, a in words.items()}
    return {"x": (255 * np.clip(test.x[:SHOWN], 0, 1)).astype(np.uint8), **kept}


def cost(cells, shared):
    """Convolutions of 4 × 4 cells, a GRU, and what passes between them."""
    seconds = memory = 0.0
    for cell in cells:
        convolutions = (16 * cell["depth"] + 32) * 9 * cell["width"] ** 2
        turns = sentences.LENGTH * 12 * cell["units"] ** 2
        products = 6 * BATCH * (convolutions + turns)
        runs = cell["seeds"] + cell["rates"]
        seconds += runs * cell["steps"] * (2 * products / 3e10 + 5e-4)
        seconds += 1e-3 * cell["scenes"] + 2
        kept = 64 * BATCH * 16 * cell["width"] * (cell["depth"] + 8) * cell["seeds"]
        memory = max(memory, 2**28 + 24 * cell["scenes"] * SIDE**2 + kept)
    return Cost(int(memory), int(memory), seconds)


# -------------------------------------------------------------------------- claims


def over_nearest(row):
    """By how much a net is right more often than the nearest scene's sentence."""
    return mean(row["score"] - row["nearest"], row["score_se"], row["seeds"])


def deeper(rows):
    """The deepest reader less the shallowest."""
    depths = sorted({row["depth"] for row in rows})
    if len(depths) < 2:
        return []
    ends = {"depth": depths[-1]}, {"depth": depths[0]}
    return comparisons.against(*ends, ("width",))(rows)


COMMON = {"scope": lambda row: True, "label": ("depth",), "doubt": after_steps}
CLAIMS = (
    Claim(
        "devlin2015.nearest-as-good",
        "the sentence of the nearest scene is right as often as what a net says word by "
        "word, to a twentieth",
        "Devlin et al. 2015, arXiv:1505.04467, abstract",
        estimate=over_nearest,
        allows=below(0.05),
        protocol=PROTOCOL,
        differs="photographs with five captions each, features of a pretrained net, a "
        "consensus of many neighbours, BLEU and CIDEr",
        **COMMON,
    ),
    Claim(
        "depthbench.captions-beat-a-template",
        "depthbench's own bar: the net is right more often than a template filled in from "
        "blobs of known colours",
        "depthbench, a bar of our own",
        estimate=scores.gap,
        allows=above(0.0),
        protocol=PROTOCOL,
        **COMMON,
    ),
    Claim(
        "depthbench.deeper-readers-caption",
        "depthbench's own bar: with the deepest reader a twentieth more of the sentences "
        "are right than with the shallowest",
        "depthbench, a bar of our own",
        estimate=scores.gap,
        allows=above(0.05),
        protocol=PROTOCOL,
        of=deeper,
        **COMMON,
    ),
)

STUDY = Study(
    name="captions",
    kind="experiment",
    question="From a scene to its sentence: how deep must the net be that reads?",
    source=SOURCE,
    axes={
        "depth": whole("layers of the net that reads", (1, 8), single=False),
        "width": whole("channels of the net that reads", (16,)),
        "units": whole("recurrent units, and numbers that they are told", (48,)),
        "scenes": whole("scenes to learn from", (4000,), low=50),
        "steps": whole("steps of 32 scenes", (1500,)),
        "seeds": whole("runs", (3,)),
        **nets.rate_axes(1e-3, 3e-3, 2),
    },
    sizes={
        "smoke": {
            "depth": (1,),
            "width": (8,),
            "units": (16,),
            "scenes": (60,),
            "steps": (30,),
            "seeds": (2,),
            "rates": (1,),
            "further_rates": (0,),
        },
        "full": {
            "depth": (1, 8, 32),
            "width": (128,),
            "units": (256,),
            "scenes": (30_000,),
            "steps": (10_000,),
        },
    },
    plan=Plan(cost=cost),
    fit=nets.fit,
    measure="depthbench.experiments.generation.captions:measure",
    columns=(
        *("depth", "width", *scores.COLUMNS, "nearest"),
        *("colour", "shape", "place"),
        *("strong_colour", "strong_shape", "strong_place"),
    ),
    claims=CLAIMS,
    headline=SCORING.headline,
    tables=lambda rows: [
        SCORING.table(rows, more=("nearest", "colour", "shape", "place"))
    ],
    figures=lambda rows, profiles: captions_shown.figures(SCORING, rows, profiles),
    shows=("captions for pictures",),
    summary=SCORING.summary,
    compile_seconds=8.0,
)

if __name__ == "__main__":
    from depthbench.research.cli.main import script

    script(STUDY.name)
