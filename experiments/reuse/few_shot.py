"""How well are letters told apart that were never learned, from one drawing of each?

Source: Snell, Swersky & Zemel 2017, arXiv:1703.05175: an embedding is learned in episodes,
so that the nearest mean of a class's few examples, its prototype, is right; the classes of
the test are none of those that were learned. Chen et al. 2019, arXiv:1904.04232: one that
was learned by telling the base classes apart serves as well, and a deeper net makes
methods more alike. What differs here: embeddings have length 1, and nets are dense.
Branches are divided by √depth: as they are (`--architecture residual_mlp`), prototypes
with 16 layers are right in 0.75, a fault of the start and none of depth.

Five digits held out of ten are a trap: of five classes a net learns those five and no
distance, and pixels are ahead. So are they here with `--letters 5`: 0.59 at 1 shot,
where prototypes give 0.49 with one layer and 0.43 with four; of 160 letters 0.90 and 0.85.
"""

import functools

from depthbench.experiments import comparisons, scores
from depthbench.experiments.reuse import compared, letters
from depthbench.experiments.scores import Scoring
from depthbench.experiments.training import costs
from depthbench.research.lazy import lazily
from depthbench.research.study.claims import Claim
from depthbench.research.study.declaration import Measured, Study
from depthbench.research.study.doubts import of_sides, upward
from depthbench.research.study.estimates import about, above, below, mean_of
from depthbench.research.study.headlines import measured

with lazily():
    import numpy as np

    from depthbench.research.learning import embeddings

SNELL = "Snell, Swersky & Zemel 2017, arXiv:1703.05175"
CHEN = "Chen et al. 2019, arXiv:1904.04232"
WAY, ASKED = 5, 5
EPISODES = {"test": 600, "valid": 200}
SCORING = Scoring(
    system="few-shot classifier of letters never learned",
    noun="5-way 1-shot accuracy",
    trivial="guessing",
    strong=letters.STRONG,
    by=("objective", "architecture", "activation"),
    naming=lambda row, net: f"{net} by {row['objective']}",
)
GAIN = ("pixels_gain", "pixels_gain_se", "pixels_gain_test_se")
OF_LETTERS = (
    *(*comparisons.OF_GROUPS, "five_shot_test_se", "five_shot_test_groups"),
    *(*GAIN, "pixels_gain_test_groups"),
)
FIVE = ("five_shot", "five_shot_se", "strong_five", "pixels", "pixels_five")
PROTOCOL = (
    "160 letters to learn from, 40 to choose by, 600 episodes of 100 others, 3 seeds, "
    "dense nets of 64 units, Adam, 1,600 steps of 64 drawings"
)
DIFFERS = (
    "Omniglot with 1,200 characters and their rotations; four convolutions; episodes of "
    "60 classes"
)


@functools.cache
def asked(given, part="test"):
    """Fixed episodes, in which so many drawings of each letter are given."""
    count = letters.UNSEEN if part == "test" else letters.CHOOSING
    seed = 10 * given + (part == "test")
    return embeddings.questions(count, 20, EPISODES[part], WAY, given, ASKED, seed)


def each(codes, given=1, part="test"):
    """The share of an episode's queries that the nearest prototype answers right
    [episodes]."""
    return embeddings.accuracies(codes, asked(given, part))


def worth(codes):
    """What rates and maps are chosen by: 1-shot, of the letters that choose."""
    return float(np.mean(each(codes, part="valid")))


@letters.once
def compared_with(learned):
    """What needs no net: accuracies by name [episodes], and the answers to the first
    episodes."""
    parts = letters.parts(letters.drawn()[0], learned)
    _, best = letters.best_map(parts, worth)
    _, pixels = next(letters.maps(parts.train))
    of_best, of_pixels = best(parts.test), pixels(parts.test)
    values = {
        "strong": each(of_best),
        "strong_five": each(of_best, 5),
        "pixels": each(of_pixels),
        "pixels_five": each(of_pixels, 5),
    }
    return values, embeddings.answers(of_best, asked(1))[:2]


def measure(cells, shared, memory):
    """One Measured for each cell."""
    return [accuracies(cell) for cell in cells]


def accuracies(cell):
    """1- and 5-shot accuracy of the letters that were never seen."""
    parts = letters.parts(letters.drawn()[0], cell["letters"])
    tuned, before = letters.embedded(cell, parts, worth)
    others, by_map = compared_with(cell["letters"])
    codes = [letters.codes(run, parts.test) for run in tuned.runs]
    one, five = ([each(code, given) for code in codes] for given in (1, 5))
    known = {name: float(np.mean(right)) for name, right in others.items()}
    values = scores.values(
        score=np.mean(one, axis=1),
        valid=tuned.tried[tuned.setting].accuracy,
        trivial=1 / WAY,
        strong=known["strong"],
        before=before,
        tuned=tuned,
    )
    gained = np.mean(one, axis=1) - known["pixels"]
    values |= of_episodes("score", one, others["strong"])
    values |= scores.spread("pixels_gain", gained)
    values |= of_episodes("pixels_gain", one, others["pixels"])
    values |= scores.spread("five_shot", np.mean(five, axis=1))
    values |= of_episodes("five_shot", five, np.zeros(len(five[0])), 5)
    return Measured("ok", "", {**known, **values}, shown(codes[0], by_map))


def of_episodes(name, nets, strong, given=1):
    """What is known of a share of queries, and of its gap, from which letters there are."""
    share = lambda right, times: float(times @ right / times.sum())
    return letters.of_letters(name, nets, strong, share, asked(given).classes)


def shown(codes, by_map):
    """Two episodes: what is drawn, and whether net and map were wrong."""
    first = asked(1)
    x = letters.drawn()[0][-letters.UNSEEN :]
    own = np.arange(WAY)[None, :, None]
    wrong = {"net": embeddings.answers(codes, first)[:2], "map": by_map}
    drawn = x[first.classes[:2, :, None], first.drawings[:2], ..., 0]
    return {
        "drawn": drawn,
        **{name: (each != own).astype(np.uint8) for name, each in wrong.items()},
    }


# -------------------------------------------------------------------------- claims


def further(rows):
    """By how much methods are further apart in the deepest net than in the shallowest."""
    apart = [{**row, "gap": row["gap"] and abs(row["gap"])} for row in methods(rows)]
    return comparisons.deeper(KIND, "gap")(apart)


def methods(rows):
    """Telling base classes apart, less episodes, of each net."""
    return compared.values(rows, NETS, "objective", "classes", "prototypes")


NETS = ("objective", "architecture", "activation", "depth", "letters")
KIND = tuple(name for name in NETS if name != "depth")
LABEL = ("objective", "architecture", "activation", "depth")
CLAIMS = (
    Claim(
        "snell2017.one-shot-letters",
        "a prototypical net is right in 98.8 % of 5-way 1-shot queries of letters that "
        "were never learned, to 2 points",
        SNELL,
        estimate=scores.score,
        allows=above(0.968),
        moves=upward,
        protocol=PROTOCOL,
        differs=DIFFERS,
        published="98.8 %",
        scope=lambda row: (
            row["objective"] == "prototypes" and row["activation"] == "relu"
        ),
        label=LABEL,
    ),
    Claim(
        "snell2017.five-shot-letters",
        "a prototypical net is right in 99.7 % of 5-way 5-shot queries of letters that "
        "were never learned, to 2 points",
        SNELL,
        estimate=mean_of("five_shot"),
        allows=above(0.977),
        moves=upward,
        protocol=PROTOCOL,
        differs=f"{DIFFERS}, as many shots in training as in the test",
        published="99.7 %",
        scope=lambda row: (
            row["objective"] == "prototypes" and row["activation"] == "relu"
        ),
        label=LABEL,
    ),
    Claim(
        "chen2019.base-classes-suffice",
        "an embedding that was learned by telling base classes apart is as good, in 5-way "
        "1-shot accuracy of letters never learned, as one learned in episodes, to 2 points",
        CHEN,
        estimate=scores.gap,
        allows=above(-0.02),
        moves=of_sides,
        protocol=PROTOCOL,
        differs="miniImageNet and birds; a linear or cosine classifier fitted to the few",
        scope=lambda row: row["activation"] == "relu",
        label=LABEL,
        of=methods,
    ),
    Claim(
        "chen2019.deeper-more-alike",
        "between the shallowest and the deepest net, 5-way 1-shot accuracies of two "
        "few-shot methods come closer",
        CHEN,
        estimate=scores.gap,
        allows=below(0.0),
        protocol=PROTOCOL,
        differs="four convolutions to ResNet-34; birds",
        scope=lambda row: row["activation"] == "relu",
        label=("architecture", "activation"),
        of=further,
    ),
    Claim(
        "depthbench.one-shot-depth-costs-nothing",
        "depthbench's own bar: with skips, the deepest net's 5-way 1-shot accuracy is the "
        "shallowest's, to 2 points",
        "depthbench",
        estimate=scores.gap,
        allows=about(0.0, within=0.02),
        moves=of_sides,
        protocol=PROTOCOL,
        scope=lambda row: (
            row["architecture"] == letters.SKIPS[1] and row["activation"] == "relu"
        ),
        label=("objective", "architecture", "activation"),
        of=comparisons.deeper(KIND),
    ),
    Claim(
        "depthbench.one-shot-beats-pixels",
        "depthbench's own bar: the embedding's 5-way 1-shot accuracy is above that of "
        "pixels at every depth",
        "depthbench",
        estimate=mean_of("pixels_gain"),
        allows=above(0.0),
        moves=upward,
        protocol=PROTOCOL,
        scope=lambda row: True,
        label=LABEL,
    ),
)


# --------------------------------------------------------------------------- shown


def headline(rows):
    """Whether a net or a linear map is ahead, and the worst net."""
    return SCORING.headline(rows)


def draw_episodes(rows, profiles):
    """Draws two episodes as the best net answers them."""

    def draw(figure, axes):
        row = SCORING.best(measured(rows))
        kept = profiles(row)
        drawn = np.concatenate(kept["drawn"])  # [columns, 1 + asked, 16, 16]
        tile, (wide, high) = 19, drawn.shape[:2]
        picture = np.full((tile * high + 4, tile * wide), 255.0)
        top = lambda place: tile * place + 4 * (place > 0)
        for column in range(wide):
            for place in range(high):
                y, x = top(place), tile * column
                picture[y : y + 16, x : x + 16] = 255 - drawn[column, place]
        axes.imshow(picture, cmap="gray", vmin=0, vmax=255, interpolation="nearest")
        for name, colour, pad in (("net", "C3", 1.0), ("map", "C0", 2.2)):
            for column, place in np.argwhere(np.concatenate(kept[name])):
                corner = (tile * column - pad, top(place + 1) - pad)
                axes.add_patch(_frame(corner, 15 + 2 * pad, colour))
        axes.axhline(tile - 0.5, color="black", lw=0.8)
        axes.axvline(tile * wide / 2 - 2, color="black", lw=0.8)
        axes.set_title("one drawing is given (top); below, what is asked", loc="left")
        axes.set_xlim(-4, tile * wide)
        axes.set_axis_off()

    return draw


def _frame(corner, size, colour):
    from matplotlib.patches import Rectangle

    return Rectangle(corner, size, size, fill=False, edgecolor=colour, lw=1.0)


def figures_of(rows, profiles):
    caption = (
        "Third: two episodes of letters that were never learned, as the best net answers "
        "them. Of each letter the top drawing is given, and those below are asked for: "
        "red where the net, blue where the best linear map takes it for another."
    )
    return [SCORING.figure(rows, caption, draw_episodes(rows, profiles))]


STUDY = Study(
    name="few_shot",
    kind="experiment",
    question="How well does a net know letters it never learned, from one drawing each?",
    source=f"{SNELL}; {CHEN}",
    axes=letters.axes(("prototypes", "classes")),
    sizes=letters.sizes("prototypes"),
    plan=costs.plan(compiling=4.0, layer=3.5e-5),
    fit=letters.fit,
    measure="depthbench.experiments.reuse.few_shot:measure",
    columns=(
        *("objective", "architecture", "activation", "depth", "width", "letters"),
        *(*scores.COLUMNS, *FIVE, *OF_LETTERS),
    ),
    claims=CLAIMS,
    headline=headline,
    tables=lambda rows: [SCORING.table(rows, more=FIVE[::2])],
    figures=figures_of,
    shows=("learning from one example",),
    summary=SCORING.summary,
    compile_seconds=4.0,
)

if __name__ == "__main__":
    from depthbench.research.cli.main import script

    script(STUDY.name)
