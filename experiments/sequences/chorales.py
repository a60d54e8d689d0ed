"""How deep must a net be to expect Bach's next note, and to write on as he might?

Source: Huang et al. 2018, Music Transformer, arXiv:1809.04281: self-attention with a
vector for each distance models chorales, note by note from soprano to bass, better than
with positions alone. Boulanger-Lewandowski, Bengio & Vincent 2012, arXiv:1206.6392, for
the split and for recurrent nets. What differs here: eighths and not sixteenths, pieces of
two bars, small nets, few steps.

The strong baseline is interpolated Kneser–Ney with three discounts (Chen & Goodman 1999),
counts of every chorale to learn from, with the number of notes and their order chosen by
the same chorales that rates are chosen by: in the order of writing, or with what the
voice itself sang last before all else. Windows begin anywhere: counts have seen the first
chord of each of the nets' own, with nothing before it (on the chorales that choose 1.107
nats; 1.141 without, and no better with longer beginnings).

A 4-gram is told whose turn it is, as all are, and does not reach back to what that voice
sang last, four notes ago. After 600 steps, and not 1,600, Transformers of three layers
were behind those of one.
"""

from depthbench.experiments import by_depth, comparisons, first_seed, scores
from depthbench.experiments.buildable import one_of
from depthbench.experiments.once import once
from depthbench.experiments.scores import Scoring
from depthbench.experiments.sequences import chorales_judged
from depthbench.experiments.sequences.chorales_shown import figures_of, recordings_of
from depthbench.experiments.training import nets
from depthbench.experiments.training.pairs import whole
from depthbench.research.catalogues.packages import need
from depthbench.research.datasets import chorales
from depthbench.research.lazy import lazily
from depthbench.research.learning.recipe import Recipe
from depthbench.research.study.axes import Axis
from depthbench.research.study.claims import Claim
from depthbench.research.study.declaration import Cost, Headline, Measured, Plan, Study
from depthbench.research.study.doubts import of_sides, upward
from depthbench.research.study.estimates import above
from depthbench.research.study.headlines import measured

with lazily():
    import numpy as np

    from depthbench.research.learning import fits, music, ngrams, supervised

HUANG = "Huang et al. 2018, arXiv:1809.04281"
RELATIVE, ABSOLUTE, RECURRENT = "music_transformer", "transformer_causal", "stacked_gru"
NETS = (RELATIVE, ABSOLUTE, RECURRENT)
BATCH = 8
STEP = 4  # eighths from one window to learn from to the next
PLAYED = 64  # eighths of a piece that is made
# How far back the notes are that a note's probability is made from, nearest first: in
# the order of writing, and with the same voice's last note before its chord's.
ORDERS = {
    "written": tuple(range(1, 13)),
    "voice": (4, 1, 2, 3, 8, 5, 6, 7, 12, 9, 10, 11),
}
COLUMNS = range(3, 14)  # whose turn it is, and so many notes less one
FOUR_GRAM = 4
SCORING = Scoring(
    system="music Transformer or recurrent net that expects Bach's next note",
    noun="nats a note",
    trivial="frequencies",
    strong="Kneser–Ney",
    by=("architecture",),
    higher=False,
    naming=lambda row, net: net.replace(" net of ", " of "),
    within=scores.positive,
    near=True,
)
PROTOCOL = (
    "229 chorales in eighths to learn from and 77 to test, windows of 16 (64 notes), 48 "
    "units, Adam with cosine decay, 1,100 steps of 8 windows, 3 seeds, the first seed's "
    "best of 2 or more rates by 76 further chorales"
)


@once
def windows(eighths):
    """Tokens [windows, time] of each part; those to learn from overlap. chorale: which
    one each window of the test is of [windows]."""
    cut = {
        part: chorales.windows(part, eighths, STEP if part == "train" else None)
        for part in chorales.PARTS
    }
    tokens = {part: one.tokens for part, one in cut.items()}
    return {**tokens, "chorale": np.cumsum(cut["test"].first)}


def contexts(tokens, order):
    """(what each note is expected by [notes, columns], the notes), within a window."""
    count, time = tokens.shape
    most = max(ORDERS[order])
    wide = np.concatenate([np.zeros((count, most), np.int32), tokens], axis=1)
    turn = np.tile(np.arange(time) % chorales.VOICES, (count, 1))
    notes = [wide[:, most - n : most - n + time] for n in ORDERS[order]]
    every = np.stack([turn, *notes], axis=-1)
    return every.reshape(count * time, -1), tokens.reshape(-1)


@once
def counted(eighths):
    """Nats a note of the test, by counts: of the best order, a 4-gram, frequencies."""
    parts = windows(eighths)

    def models(order):
        each = [
            contexts(chorales.tokens(notes).reshape(1, -1), order)
            for notes in chorales.chorales("train")
        ]
        each.append(contexts(parts["train"][:, : chorales.VOICES], order))
        arrays = [np.concatenate(own) for own in zip(*each, strict=True)]
        return ngrams.nested(*arrays, chorales.TOKENS)

    learned = {order: models(order) for order in ORDERS}
    valid = {order: contexts(parts["valid"], order) for order in ORDERS}
    order, best = min(
        ((order, learned[order][columns]) for order in ORDERS for columns in COLUMNS),
        key=lambda one: one[1].nats(*valid[one[0]]),
    )
    written = contexts(parts["test"], "written")
    return {
        "best": (order, best),
        "strong": best.nats(*contexts(parts["test"], order)),
        "windows": best.surprises(*contexts(parts["test"], order))
        .reshape(parts["test"].shape)
        .mean(axis=1),
        "four_gram": learned["written"][FOUR_GRAM].nats(*written),
        "trivial": learned["written"][0].nats(*written),
    }


@once
def judged(eighths, given):
    """The shares of known chords in Bach's own pieces, and in those that counts write."""
    order, model = counted(eighths)["best"]
    bach = chorales_judged.begun()
    tokens = np.stack([chorales.tokens(notes).reshape(-1) for notes in bach])

    def read(made):
        time = made.shape[1]
        wide = np.concatenate([made, made[:, :1]], axis=1)  # the last is not looked at
        every, _ = contexts(wide, order)
        return every.reshape(len(made), time + 1, -1)[:, -1]

    start = tokens[:, : chorales.VOICES * given]
    length = tokens.shape[1]
    made = ngrams.sampled(model, read, start, length, never=[chorales.START])
    return {
        "chords_bach": chorales_judged.judged(tokens, given),
        "chords_counts": chorales_judged.judged(made, given),
        "judge": chorales_judged.known()[1],
    }


def net_of(cell):
    """The cell's net, and how it is trained."""
    recurrent = cell["architecture"] == RECURRENT
    recipe = Recipe(
        architecture=cell["architecture"],
        activation="tanh" if recurrent else "relu",
        normalizer="none" if recurrent else "layer",
        initializer="glorot_normal",
        depth=cell["depth"],
        width=cell["width"],
        batch=BATCH,
        clip=1.0,
        schedule="cosine",
    )
    shape = (chorales.VOICES * cell["eighths"], music.INPUTS)
    return fits.Net(recipe, supervised.Task(shape, chorales.TOKENS, "tokens"))


def measure(cells, shared, memory):
    """One Measured for each cell."""
    return [nats(cell) for cell in cells]


def nats(cell):
    """Nats a note of the test at the best rate, and a piece that the first net writes."""
    eighths, given = cell["eighths"], min(cell["given"], chorales_judged.LONG - 1)
    parts, by_counts = windows(eighths), counted.begin(eighths)
    chords = judged.begin(eighths, given)
    net, data = net_of(cell), {"tokens": parts["train"]}
    feeds = music.drawn(BATCH)

    held = fits.chosen_by(lambda run: music.nats(run, parts["valid"]), "loss")
    rates = nets.rates(cell)
    tuned = first_seed.tuned(net, data, cell, rates, "loss", held, feeds=feeds)
    ended = held(tuned.runs)
    if diverged := first_seed.diverged(tuned, ended):
        return diverged
    some = {n: np.asarray(a) for n, a in music.batch_of(parts["train"][:64]).items()}
    by_counts = by_counts()
    lost = np.array([music.surprises(run, parts["test"]) for run in tuned.runs])
    values = scores.values(
        score=lost.mean(axis=1),
        valid=ended.loss,
        trivial=by_counts["trivial"],
        strong=by_counts["strong"],
        before=fits.beforehand(net, some, cell["seeds"]),
        tuned=tuned,
        higher=False,
        test_error=comparisons.of_means(lost, by_counts["windows"], parts["chorale"]),
    )
    values["four_gram"] = by_counts["four_gram"]
    values |= scores.spread(
        "chords", [chorales_judged.by_net(run, given) for run in tuned.runs]
    )
    values |= chords()
    return Measured("ok", "", values, written(tuned.runs[0], cell))


def written(fit, cell):
    """A piece that begins as a chorale of the test does, and that chorale [eighths,
    voices]."""
    bach = chorales.chorales("test")[0][:PLAYED]
    given = cell["given"]
    start = chorales.tokens(bach[:given]).reshape(1, -1)
    made = music.sampled(fit, start, len(bach), seed=0)
    return {
        "made": chorales.notes(made.reshape(-1, chorales.VOICES)).astype(np.int8),
        "bach": np.asarray(bach, np.int8),
        "given": np.array(given),
    }


# -------------------------------------------------------------------------- claims


CLAIMS = (
    Claim(
        "huang2018.relative-expects-better",
        "a Transformer with a vector for each distance gives fewer nats a note of chorales "
        "than one with absolute positions",
        f"{HUANG}, section 4.1",
        estimate=scores.gap,
        allows=above(0.0),
        moves=of_sides,
        protocol=PROTOCOL,
        differs="sixteenths, longer sequences, larger nets",
        scope=lambda row: True,
        label=("architecture", "depth"),
        of=comparisons.against(
            {"architecture": RELATIVE},
            {"architecture": ABSOLUTE},
            ("depth",),
            higher=False,
        ),
    ),
    Claim(
        "popular.attention-writes-music-best",
        "a music Transformer gives fewer nats a note than counts of notes do, tuned with "
        "the same care",
        "popular accounts of deep learning; Kneser & Ney 1995, ICASSP 1:181",
        estimate=scores.gap,
        allows=above(0.0),
        moves=upward,
        protocol=PROTOCOL,
        differs="accounts tell of far larger nets, trained for days",
        scope=lambda row: row["architecture"] == RELATIVE,
        label=("architecture", "depth"),
    ),
    Claim(
        "depthbench.music-gains-from-depth",
        "depthbench's own bar: the deepest net gives fewer nats a note of chorales than "
        "the shallowest, whatever the net",
        "depthbench",
        estimate=scores.gap,
        allows=above(0.0),
        moves=of_sides,
        protocol=PROTOCOL,
        scope=lambda row: True,
        label=("architecture",),
        of=comparisons.deeper(("architecture",), higher=False),
    ),
)


# --------------------------------------------------------------------------- shown


def headline(rows):
    """Whether a net or the counts are ahead, what depth does, and whose chords occur."""
    answer, worst = by_depth.headline(SCORING, rows)
    done = measured(rows)
    best, four = SCORING.best(done), SCORING.write(done[0]["four_gram"])
    answer += f" A 4-gram that also knows the voice reaches {four}."
    if best.get("chords") is not None:
        each = [best[f"chords{of}"] for of in ("", "_counts", "_bach")]
        net, counts, bach = (f"{100 * one:.0f} %" for one in each)
        answer += (
            f" Of the net's chords {net} occur in the training chorales, of the n-grams' "
            f"{counts}, of Bach's own test chorales' {bach}."
        )
    return Headline(answer, worst)


def cost(cells, shared):
    """Of a step's products at 60 Gflop/s, and a millisecond for the rest of it."""
    cell = cells[0]
    time = chorales.VOICES * cell["eighths"]
    layer = 12 * cell["width"] ** 2 * time + 3 * time**2 * cell["width"]
    step = 1e-3 + 6 * BATCH * layer * cell["depth"] / 6e10
    runs = cell["seeds"] + cell["rates"] + cell["further_rates"] / 4
    memory = 2**28 + 64 * cell["depth"] * (
        12 * cell["width"] ** 2 + 8 * BATCH * time**2
    )
    return Cost(memory, memory, 3.0 + runs * cell["steps"] * step)


def fit(cells, typed):
    """The cells; what is made needs the package that writes notes."""
    need("chorales", "mido")
    return nets.fit(cells, typed)


STUDY = Study(
    name="chorales",
    kind="experiment",
    question="How deep must a net be to expect Bach's next note?",
    source=HUANG,
    axes={
        "architecture": Axis(
            "attention by distance, by position, or a recurrent net",
            NETS,
            one_of(NETS),
        ),
        "depth": whole("hidden layers after the first", (1, 3), single=False),
        "width": whole("units", (48,)),
        "eighths": Axis(
            "eighths of a window, four notes each",
            (16,),
            kind="integer",
            low=2,
            high=60,
            single=True,
        ),
        "given": Axis(
            "eighths of a chorale that what is made begins with",
            (8,),
            kind="integer",
            low=1,
            high=PLAYED - 1,
            single=True,
        ),
        "steps": whole(f"steps of {BATCH} windows", (1100,)),
        "seeds": whole("runs of the best rate", (3,)),
        **nets.rate_axes(2e-3, 6e-3, 2),
    },
    sizes={
        "smoke": {
            "architecture": (RELATIVE,),
            "depth": (1,),
            "width": (16,),
            "eighths": (4,),
            "steps": (30,),
            "rates": (1,),
            "further_rates": (0,),
        },
        "full": {
            "depth": (1, 4, 8),
            "width": (256,),
            "eighths": (32,),
            "steps": (3000,),
            "rates": (3,),
            "lowest_rate": (1e-4,),
            "highest_rate": (1e-3,),
        },
    },
    plan=Plan(cost=cost, priority=nets.longest_first),
    fit=fit,
    measure="depthbench.experiments.sequences.chorales:measure",
    columns=(
        *("architecture", "depth", "width", *scores.COLUMNS, "four_gram"),
        *("chords", "chords_se", "chords_counts", "chords_bach", "judge"),
    ),
    claims=CLAIMS,
    headline=headline,
    tables=lambda rows: [
        SCORING.table(
            rows, more=("four_gram", "chords", "chords_counts", "chords_bach")
        )
    ],
    figures=lambda rows, profiles: figures_of(SCORING, rows, profiles),
    recordings=lambda rows, profiles: recordings_of(SCORING, rows, profiles),
    shows=("music Transformer",),
    summary=SCORING.summary,
    compile_seconds=6.0,
)

if __name__ == "__main__":
    from depthbench.research.cli.main import script

    script(STUDY.name)
