"""Both ways between scene and sentence: how deep must the net be that reads, or draws?

Sources: Vinyals, Toshev, Bengio & Erhan 2015, arXiv:1411.4555 (Show and Tell: a
convolutional net reads an image, and a recurrent net that is told what was read says the
caption word by word); Sohn, Lee & Yan 2015, NIPS (the conditional variational
autoencoder). What differs: all nets are fresh; the recurrent one is a GRU that is told
what was read at every step, and says the likeliest word at each.

A scene has one shape and three strokes of the shapes' colours on a noisy ground, and its
sentence says what is where: "red circle top left". To a sentence: it is right if it is so
word for word. The strong baseline fills in a template from blobs: it is told the palette
and that the ground has one colour, which no net is, and a support vector machine names
the shapes. Another is the commonest sentence of the nearest scenes.

To a scene: a conditional variational autoencoder, whose drawer is given the sentence's
words side by side, without a recurrent net, and numbers for what no sentence says. Each
pixel is a function of its place and of these (the spatial broadcast decoder, Watters et
al. 2019, arXiv:1901.07017): in as many steps nets of convolutions that double an image
drew shapes worse. The numbers are drawn from a Gaussian for each sentence, of what was
recognised in its scenes (Ghosh et al. 2020, arXiv:1903.12436): from the prior, one and
the same for all sentences, places came out wrong, the more so the longer nets learned.
A fixed judge, a net whose weights' digest is in the row, was taught colours, shapes and
quarters by the scenes that are learned from. A drawn scene is right if the judge sees its
sentence in it. The strong baseline is the best on held-out sentences of a scene of the
same sentence that was learned from, and so taught the judge, a stencil, drawn as scenes
are but for strokes, and mixtures of Gaussians, one for each sentence, of a size chosen
likewise. Beside it are real test scenes. `distance` is Fréchet's from the test scenes, by
the judge's features. What is drawn has the grain that training
left. All this was chosen by the judge's eye on held-out sentences, and 6 numbers by a
template's; distances from the test scenes were printed beside, and seen.

Rates are chosen by held-out scenes, for one seed. Readers once learned no shapes: beside
what was read the word before was ten times too small for a writer to tell its place by.
Words of equal size, every pixel seen and evidence pooled over places gave 0.6 from some
starts and 0.1 from others; rates that grow over the first 100 steps gave 0.8 from all.
"""

from depthbench.experiments import by_depth, comparisons, scores
from depthbench.experiments.generation import captions_shown
from depthbench.experiments.generation.captions_claims import CLAIMS
from depthbench.experiments.scores import Scoring
from depthbench.experiments.training import nets
from depthbench.experiments.training.pairs import whole
from depthbench.research.catalogues.catalogue import choices
from depthbench.research.lazy import lazily
from depthbench.research.study.axes import Axis
from depthbench.research.study.declaration import Cost, Headline, Measured, Plan, Study
from depthbench.research.study.headlines import counted, measured

with lazily():
    import numpy as np

    from depthbench.experiments.generation import captions_nets
    from depthbench.research.datasets import captions as sentences
    from depthbench.research.learning import captioning, drawing
    from depthbench.research.learning import judge as judges

DIRECTIONS = choices(
    "direction",
    to_sentence="what a net says of a scene, word by word",
    to_scene="what a net draws from a sentence",
)
SCORINGS = {
    "to_sentence": Scoring(
        system="captions of scenes, a convolutional net and a GRU",
        noun="share of sentences right",
        trivial="commonest sentence",
        strong="template from blobs",
        by=("width",),
        naming=lambda row, net: (
            f"convolutional reader of {counted(row['depth'], 'layer')}"
        ),
    ),
    "to_scene": Scoring(
        system="scenes of sentences, a conditional variational autoencoder",
        noun="share of drawings seen right",
        trivial="scene of another sentence",
        strong="best of known scene, stencil and mixture",
        by=("width",),
        naming=lambda row, net: f"drawer of {counted(row['depth'], 'layer')}",
    ),
}
MADE = {"to_sentence": "sentences", "to_scene": "drawings"}
ASPECTS = ("colour", "shape", "place")
WITHOUT = ("nearest", "template", "mixture")  # what draws without a net
FAR = ("distance", *(f"{name}_distance" for name in WITHOUT))
DRAWN = ("chosen", "template", "mixture", "real", *FAR, "floor", "judge")
ERRORS = (
    "distance_se",
    "distance_test_se",
    "distance_test_groups",
    "distance_left_out",
)
MIXED = tuple(f"mixture_{name}" for name in ASPECTS)
SHOWN = 6  # scenes that are drawn


def measure(cells, shared, memory):
    """One Measured for each cell."""
    ways = {"to_sentence": captioned, "to_scene": sketched}
    return [ways[cell["direction"]](cell) for cell in cells]


def captioned(cell):
    """How often a cell's nets are right at the best rate, beside the baselines."""
    train, valid, test = captions_nets.parts(cell["scenes"])
    read, _ = captions_nets.standard(train)
    data = {"inputs": read(train.x), "targets": train.words}
    others = captions_nets.said_without.begin(cell["scenes"])
    share = lambda run: sentences.right(run.sentences(read(valid.x)), valid)
    tuned = captions_nets.captioners(cell, data, share)
    said = [run.sentences(read(test.x)) for run in tuned.runs]
    others = others()
    pair = captions_nets.captioner(cell)
    before = captioning.beforehand(pair, data, cell["seeds"])
    values = common(tuned, share, said, others, test, before)
    words = {"words": test.words, "net": said[0], "strong": others["strong"]}
    kept = {name: a[:SHOWN].astype(np.uint8) for name, a in words.items()}
    return Measured("ok", "", values, {"x": bytes_of(test.x[:SHOWN]), **kept})


def sketched(cell):
    """How often the judge sees the sentence in what a cell's nets draw."""
    train, valid, test = captions_nets.parts(cell["scenes"])
    asked = cell["scenes"], cell["judged"]
    read, scene = captions_nets.standard(train)
    drawings = captions_nets.drawn_without.begin(*asked)
    judge = captions_nets.judge(*asked)
    data = {"inputs": train.words, "targets": read(train.x)}

    def drawn(run, part):
        made = run.scenes(part.words, seed=1)
        grain = np.random.RandomState(2).standard_normal(made.shape)
        return scene(made + run.grain * grain).astype(np.float32)

    share = lambda run: sentences.right(judge.sentences(drawn(run, valid)), valid)
    tuned = captions_nets.sketchers(cell, data, share)
    made = [drawn(run, test) for run in tuned.runs]
    lost = sum(not np.isfinite(x).all() for x in made)
    if lost:
        return Measured("diverged", f"{lost} of {len(made)} runs at the best rate", {})
    chosen, others = drawings()
    seen = {name: judge.sentences(x) for name, x in others.items()}
    pair = captions_nets.sketcher(cell)
    before = drawing.beforehand(pair, data, cell["seeds"])
    saw = [judge.sentences(x) for x in made]
    values = common(tuned, share, saw, seen, test, before)
    far = lambda x: judge.distance(test.x, x)
    values |= scores.spread("distance", [far(x) for x in made])
    values |= of_tests(judge, test, made, others["mixture"])
    values |= {f"{name}_distance": far(others[name]) for name in WITHOUT}
    values["floor"] = far(train.x[: len(test.x)])
    values |= {n: sentences.right(seen[n], test) for n in (*WITHOUT, "real")}
    shares = sentences.shares(seen["mixture"], test)
    values |= {f"mixture_{name}": shares[name] for name in ASPECTS}
    values |= {"chosen": chosen, "judge": judge.judge.digest}
    first = np.unique(test.words, axis=0, return_index=True)[1]
    place = np.sort(first)[:SHOWN]  # each of another sentence
    pictures = {"net": made[0], **{n: others[n] for n in (*WITHOUT, "real")}}
    kept = {name: bytes_of(x[place]) for name, x in pictures.items()}
    return Measured("ok", "", values, {"words": test.words[place], **kept})


def of_tests(judge, test, made, mixture):
    """What is known of distances and their gap to the mixture's from test sentences, in
    groups: those of real and of drawn scenes are the same. made: of each seed."""
    real, *own, rival = map(judge.features, (test.x, *made, mixture))

    def weighed(features):
        return lambda times: judges.frechet(real[times > 0], features[times > 0])

    each, groups = list(map(weighed, own)), comparisons.in_groups(len(real))
    return comparisons.of_groups("distance", each, weighed(rival), groups)


def common(tuned, share, found, others, test, before):
    """The columns of both directions. found: the sentences of each run's test scenes."""
    values = scores.values(
        score=[sentences.right(one, test) for one in found],
        valid=float(np.mean([share(run) for run in tuned.runs])),
        trivial=sentences.right(others["trivial"], test),
        strong=sentences.right(others["strong"], test),
        before=before,
        tuned=tuned,
        examples=len(test.x),
    )
    for name in ASPECTS:
        each = [sentences.shares(one, test)[name] for one in found]
        values |= scores.spread(name, each, len(test.x))
        values[f"strong_{name}"] = sentences.shares(others["strong"], test)[name]
    values["nearest"] = sentences.right(others["nearest"], test)
    return {**dict.fromkeys((*DRAWN, *MIXED, *ERRORS)), **values}


def bytes_of(x):
    return (255 * np.clip(x, 0, 1)).astype(np.uint8)


def cost(cells, shared):
    """Convolutions of both nets, a GRU, and what all cells share, of each in part."""
    seconds = memory = 0.0
    for cell in cells:
        width, depth, runs = cell["width"], cell["depth"], cell["seeds"] + cell["rates"]
        pixels = captions_nets.SIDE**2
        products = pixels / 4 * 9 * width**2 * (depth + 4)
        if cell["direction"] == "to_scene":
            products += pixels * (captions_nets.WIDER * width) ** 2 * (depth + 1)
        else:
            products += sentences.LENGTH * 12 * cell["units"] ** 2
        each = 6 * captions_nets.BATCH * products / 3e10 + 2e-3
        seconds += runs * cell["steps"] * each + 3e-4 * cell["scenes"]
        seconds += 1e-2 * cell["judged"] * (cell["direction"] == "to_scene")
        kept = 64 * captions_nets.BATCH * pixels * width * (depth + 8)
        memory = max(memory, 2**28 + 48 * cell["scenes"] * pixels + kept)
    return Cost(int(memory), int(memory), seconds)


def of(rows, direction):
    """The rows of a direction."""
    return [row for row in rows if row["direction"] == direction]


def to_sentence(rows):
    """The rows of sentences, which are the system's; all where none was asked for."""
    return of(rows, "to_sentence") or rows


def headline(rows):
    """Who is ahead in each direction, by the net that held-out scenes choose, and what
    depth does there."""
    done = measured(rows)
    told = [
        SCORINGS[direction].headline(own)
        for direction in SCORINGS
        if (own := of(done, direction))
    ]
    deeper = by_depth.told(
        SCORINGS["to_scene"], done, ("direction",), lambda pair: MADE[pair["direction"]]
    )
    if deeper:
        told.append(Headline(deeper))
    if drawn := of(done, "to_scene"):
        line = f"Of real test scenes {drawn[0]['real']:.3f} are seen right."
        told.append(Headline(line))
    answers, worst = zip(*told, strict=True)
    return Headline(" ".join(answers), " ".join(filter(None, worst)))


def tables(rows):
    """A table for each direction."""
    more = {"to_sentence": (), "to_scene": DRAWN}
    return [
        scoring.table(own, more=("nearest", *ASPECTS, *more[direction]))
        for direction, scoring in SCORINGS.items()
        if (own := of(rows, direction))
    ]


STUDY = Study(
    name="captions",
    kind="experiment",
    question="Between scene and sentence, both ways: how deep must the net be?",
    source="Vinyals et al. 2015, arXiv:1411.4555",
    axes={
        "direction": Axis(
            "what is made of what", ("to_sentence", "to_scene"), DIRECTIONS
        ),
        "depth": whole("layers of the net that reads or draws", (1, 8), single=False),
        "width": whole("channels of the net that reads; of one that draws × 2", (16,)),
        "units": whole("recurrent units, and numbers that they are told", (64,)),
        "scenes": whole("scenes to learn from", (20_000,), low=50),
        "steps": whole("steps of 32 scenes", (600,)),
        "judged": whole("steps of 64 scenes of the judge", (1000,)),
        "seeds": whole("runs", (3,)),
        **nets.rate_axes(8e-3, 1.6e-2, 2),
    },
    sizes={
        "smoke": {
            "direction": ("to_sentence", "to_scene"),
            "depth": (2,),
            "width": (8,),
            "units": (16,),
            "scenes": (60,),
            "steps": (20,),
            "judged": (20,),
            "seeds": (2,),
            "rates": (1,),
            "further_rates": (0,),
        },
        "full": {
            "depth": (2, 8, 32),
            "width": (64,),
            "units": (256,),
            "scenes": (60_000,),
            "steps": (6_000,),
            "judged": (6_000,),
        },
    },
    plan=Plan(cost=cost, priority=nets.longest_first),
    fit=nets.fit,
    measure="depthbench.experiments.generation.captions:measure",
    columns=(
        *("direction", "depth", "width", *scores.COLUMNS, "nearest"),
        *(*ASPECTS, *(f"strong_{name}" for name in ASPECTS), *MIXED),
        *(*DRAWN, *ERRORS),
    ),
    claims=CLAIMS,
    headline=headline,
    tables=tables,
    figures=lambda rows, profiles: captions_shown.figures(SCORINGS, rows, profiles),
    shows=("captions for pictures", "pictures for captions"),
    summary=lambda rows: SCORINGS["to_sentence"].summary(to_sentence(rows)),
    compile_seconds=8.0,
)

if __name__ == "__main__":
    from depthbench.research.cli.main import script

    script(STUDY.name)
