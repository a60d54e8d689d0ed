"""Are two drawings of one letter, of letters and a font that were never learned?

Source: Bromley et al. 1993, NIPS 6:737: two copies of one net, a siamese one, whose
outputs are near for what is the same. Chopra, Hadsell & LeCun 2005, CVPR: so classes that
were not known in training are verified; the loss is Hadsell, Chopra & LeCun 2006, CVPR,
equation 4. What differs here: embeddings have length 1, and nets are dense.

Learned from are 160 letters in sans and monospaced fonts. Asked are pairs of 100 other
letters: one drawing in those fonts, the other in a serif, whose fonts were never seen.
"""

from depthbench.experiments import comparisons, scores
from depthbench.experiments.reuse import letters
from depthbench.experiments.scores import Scoring
from depthbench.experiments.training import costs
from depthbench.research.lazy import lazily
from depthbench.research.study.claims import Claim
from depthbench.research.study.declaration import Measured, Study
from depthbench.research.study.doubts import of_sides, upward
from depthbench.research.study.estimates import above, below, mean_of
from depthbench.research.study.headlines import measured

with lazily():
    import numpy as np

    from depthbench.research.datasets import glyphs
    from depthbench.research.learning import metrics

CHOPRA = "Chopra, Hadsell & LeCun 2005, CVPR"
SOURCE = f"Bromley et al. 1993, NIPS 6:737; {CHOPRA}"
DRAWINGS, SEEN = 24, 16  # of a letter; of them in fonts that are learned from
PAIRS = 2000  # of one letter, and as many of two
BINS, HARDEST = 40, 8
SCORING = Scoring(
    system="siamese net on letters and a font never learned",
    noun="equal error rate",
    trivial="guessing",
    strong=letters.STRONG,
    by=("objective", "architecture", "activation"),
    naming=lambda row, net: f"{net} by {row['objective']}",
    higher=False,
)
MORE = ("seen_font", "strong_seen_font", "pixels", "pixels_seen_font")
ERRORS = (
    *("seen_font_se", "over_twice", "over_twice_se", "over_twice_test_se"),
    *("over_twice_test_groups", "pixels_gain", "pixels_gain_se", "pixels_gain_test_se"),
    *("pixels_gain_test_groups", *comparisons.OF_GROUPS),
)
PROTOCOL = (
    "160 letters in 8 fonts to learn from, 40 to choose by, 4,000 pairs of 100 others, "
    "3 seeds, dense nets of 64 units, Adam, 1,600 steps of 64 drawings"
)
KIND = ("objective", "architecture", "activation", "letters")


def drawings():
    """(drawings [300, 24, 16, 16, 1] uint8, those in a serif last); always the same."""
    x, font = letters.drawn(DRAWINGS)
    serif = np.array([name.startswith("DejaVuSerif") for name in glyphs.FONTS])
    order = np.argsort(serif[font], axis=1, kind="stable")
    return np.take_along_axis(x, order[..., None, None, None], axis=1)


def asked(count, seen, seed, others=None):
    """Fixed pairs: (letters [pairs, 2], drawings [pairs, 2], whether they are the same).

    Half are of one of `count` letters. The first drawing is one of the first `seen`; the
    second another of them, or with `others` one of so many after them.
    """
    random = np.random.RandomState(seed)
    one = random.randint(count, size=2 * PAIRS)
    same = np.arange(2 * PAIRS) < PAIRS
    other = np.where(same, one, (one + random.randint(1, count, 2 * PAIRS)) % count)
    first = random.randint(seen, size=2 * PAIRS)
    second = (first + random.randint(1, seen, 2 * PAIRS)) % seen
    if others is not None:
        second = seen + random.randint(others, size=2 * PAIRS)
    return np.stack([one, other], 1), np.stack([first, second], 1), same


def seen_font():
    return asked(letters.UNSEEN, SEEN, seed=0)


def unseen_font():
    return asked(letters.UNSEEN, SEEN, seed=1, others=DRAWINGS - SEEN)


def distances(codes, pairs):
    """[pairs], Euclidean. codes: [letters, drawings, numbers]."""
    which, drawn, _ = pairs
    apart = codes[which[:, 0], drawn[:, 0]] - codes[which[:, 1], drawn[:, 1]]
    return np.sqrt(np.sum(apart**2, axis=-1))


def error(codes, pairs, times=None):
    """The equal error rate where what is near is taken for the same: of all pairs, or of
    those that count. times: how often each does [pairs]."""
    counted = slice(None) if times is None else times > 0
    near, same = -distances(codes, pairs)[counted], pairs[2][counted]
    return metrics.equal_error_rate(near, same).rate


def worth(codes):
    """What rates and maps are chosen by: of the letters that choose, in seen fonts."""
    return 1 - error(codes, asked(letters.CHOOSING, SEEN, seed=2))


@letters.once
def compared_with(learned):
    """Embeddings of the test letters that need no net: (the best linear map's, pixels)."""
    parts = letters.parts(drawings(), learned, SEEN)
    _, best = letters.best_map(parts, worth)
    _, pixels = next(letters.maps(parts.train))
    return best(parts.test), pixels(parts.test)


def measure(cells, shared, memory):
    """One Measured for each cell."""
    return [errors(cell) for cell in cells]


def errors(cell):
    """Equal error rates of letters that were never seen, in two kinds of fonts."""
    parts = letters.parts(drawings(), cell["letters"], SEEN)
    tuned, before = letters.embedded(cell, parts, worth)
    strong, pixels = compared_with(cell["letters"])
    codes = [letters.codes(run, parts.test) for run in tuned.runs]
    unseen, seen = (
        [error(code, pairs) for code in codes] for pairs in (unseen_font(), seen_font())
    )
    values = scores.values(
        score=unseen,
        valid=1 - tuned.tried[tuned.setting].accuracy,
        trivial=0.5,
        strong=error(strong, unseen_font()),
        before=before,
        tuned=tuned,
        higher=False,
    )
    values |= {
        "strong_seen_font": error(strong, seen_font()),
        "pixels": error(pixels, unseen_font()),
        "pixels_seen_font": error(pixels, seen_font()),
    }
    values |= of_pairs("score", codes, strong, unseen_font())
    values |= scores.spread("seen_font", seen)
    values |= scores.spread("pixels_gain", values["pixels_seen_font"] - np.array(seen))
    values |= of_pairs("pixels_gain", codes, pixels, seen_font())
    values |= scores.spread("over_twice", np.array(unseen) - 2 * np.array(seen))
    values |= twice(values, of_pairs("seen_font", codes, strong, seen_font()))
    return Measured("ok", "", values, shown(codes[0]))


def of_pairs(name, nets, strong, pairs):
    """What is known of equal error rates, and of their gap, from which letters there
    are."""
    share = lambda codes, times: error(codes, pairs, times)
    return letters.of_letters(name, nets, strong, share, pairs[0])


def twice(unseen, seen):
    """What is known of the one less twice the other from which letters there are."""
    without = (unseen["score_left_out"], seen["seen_font_left_out"])
    one, other = (np.array(each.split(), float) for each in without)
    return {
        "over_twice_test_se": comparisons.jackknife(one - 2 * other),
        "over_twice_test_groups": len(one),
    }


def shown(codes):
    """Distances of pairs, counted, and the pairs that are hardest."""
    pairs = unseen_font()
    which, drawn, same = pairs
    distance = distances(codes, pairs)
    rate = metrics.equal_error_rate(-distance, same)
    counted = {
        name: np.histogram(distance[of], BINS, (0, 2))[0]
        for name, of in (("same", same), ("different", ~same))
    }
    x = drawings()[-letters.UNSEEN :, ..., 0]
    far, near = np.argsort(-distance * same), np.argsort(distance + 9 * same)
    hard = {
        f"hard_{name}": np.stack([x[which[n], drawn[n]] for n in _once(order, which)])
        for name, order in (("same", far), ("different", near))
    }
    return {**counted, **hard, "threshold": np.array([-rate.threshold])}


def _once(order, which):
    """The first so many pairs in an order, no two of which share a letter."""
    kept, known = [], set()
    for number in order:
        if len(kept) < HARDEST and not known & set(which[number]):
            kept.append(number)
            known |= set(which[number])
    return kept


# -------------------------------------------------------------------------- claims


LABEL = ("objective", "architecture", "activation", "depth")
RELU = lambda row: row["activation"] == "relu"
CLAIMS = (
    Claim(
        "chopra2005.unseen-classes",
        "a net that learned from pairs tells pairs of letters it never saw apart with a "
        "lower equal error rate than pixels' distance does",
        CHOPRA,
        estimate=mean_of("pixels_gain"),
        allows=above(0.0),
        moves=upward,
        protocol=PROTOCOL,
        differs="faces of 56 × 46 pixels, a convolutional net, another contrastive loss",
        scope=lambda row: RELU(row) and row["objective"] == "pairs",
        label=LABEL,
    ),
    Claim(
        "depthbench.verification-beats-lda",
        "depthbench's own bar: the shallowest net errs less than the best linear map, on "
        "pairs of letters and a font it never saw",
        "depthbench",
        estimate=scores.gap,
        allows=above(0.0),
        moves=upward,
        protocol=PROTOCOL,
        scope=lambda row: RELU(row) and row["depth"] == 1,
        label=LABEL,
    ),
    Claim(
        "depthbench.unseen-font-at-most-twice",
        "depthbench's own bar: a font that was never seen at most doubles the equal error "
        "rate on letters that were never seen",
        "depthbench",
        estimate=mean_of("over_twice"),
        allows=below(0.0),
        protocol=PROTOCOL,
        scope=RELU,
        label=LABEL,
    ),
    Claim(
        "depthbench.verification-depth-costs-none",
        "depthbench's own bar: with skips, the deepest net's equal error rate is above the "
        "shallowest's by at most a point",
        "depthbench",
        estimate=scores.gap,
        allows=above(-0.01),
        moves=of_sides,
        protocol=PROTOCOL,
        scope=lambda row: RELU(row) and row["architecture"] == letters.SKIPS[1],
        label=("objective", "architecture", "activation"),
        of=comparisons.deeper(KIND, higher=False),
    ),
)


# --------------------------------------------------------------------------- shown


def headline(rows):
    """Whether a net or a linear map is ahead, and the worst net."""
    return SCORING.headline(rows)


def draw_pairs(rows, profiles):
    """Draws distances of pairs, and the hardest pairs, of the best net."""

    def draw(figure, axes):
        kept = profiles(SCORING.best(measured(rows)))
        axes.set_title("distances of pairs; below, the hardest", loc="left")
        axes.set_axis_off()
        _histogram(axes.inset_axes((0.02, 0.56, 0.96, 0.44)), kept)
        for name, low, words in (
            ("same", 0.25, "one letter, furthest apart"),
            ("different", 0.0, "two letters, nearest"),
        ):
            _hardest(axes.inset_axes((0.0, low, 1.0, 0.2)), kept[f"hard_{name}"], words)

    return draw


def _histogram(axes, kept):
    at = (np.arange(BINS) + 0.5) * 2 / BINS
    for name, colour, x, words in (
        ("same", "C0", 0.0, "one letter"),
        ("different", "C3", 0.78, "two letters"),
    ):
        axes.fill_between(at, kept[name], step="mid", alpha=0.4, color=colour, lw=0)
        axes.text(
            x, 0.9, f" {words}", color=colour, fontsize=7, transform=axes.transAxes
        )
    axes.axvline(kept["threshold"][0], color="black", lw=0.8, ls=":")
    axes.set_yticks([])
    axes.tick_params(labelsize=6)


def _hardest(axes, drawn, words):
    """drawn: [pairs, 2, 16, 16]; a pair is one above the other."""
    padded = ((0, 0), (0, 0), (1, 1), (2, 2))
    tiles = np.pad(255 - drawn.astype(float), padded, constant_values=255)
    picture = np.concatenate([np.concatenate(pair) for pair in tiles], axis=1)
    axes.imshow(picture, cmap="gray", interpolation="nearest")
    axes.set_title(words, loc="left", fontsize=6, pad=1)
    axes.set_axis_off()


def figures_of(rows, profiles):
    caption = (
        "Third: how far the best net finds pairs of one letter (blue) and of two (red) "
        "apart, where as many errors are made of either kind (dotted), and the pairs that "
        "it is most wrong about: an unseen letter in a seen font, above a serif's."
    )
    return [SCORING.figure(rows, caption, draw_pairs(rows, profiles))]


STUDY = Study(
    name="verification",
    kind="experiment",
    question="Are two drawings of one letter, of letters and a font never learned?",
    source=SOURCE,
    axes=letters.axes(("pairs", "classes")),
    sizes=letters.sizes("pairs"),
    plan=costs.plan(compiling=3.5, layer=3.0e-5),
    fit=letters.fit,
    measure="depthbench.experiments.reuse.verification:measure",
    columns=(
        *("objective", "architecture", "activation", "depth", "width", "letters"),
        *(*scores.COLUMNS, *MORE, *ERRORS),
    ),
    claims=CLAIMS,
    headline=headline,
    tables=lambda rows: [SCORING.table(rows, more=MORE)],
    figures=figures_of,
    shows=("siamese net", "signature verification"),
    summary=SCORING.summary,
    compile_seconds=4.0,
)

if __name__ == "__main__":
    from depthbench.research.cli.main import script

    script(STUDY.name)
