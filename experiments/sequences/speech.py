"""How deep must a net be to know a word by a voice and an accent it never heard?

Source: Tang & Lin 2018, arXiv:1710.10361: residual nets over spectrograms tell the words of
Speech Commands apart better than convolutional nets of two layers. Hinton et al. 2012,
IEEE Signal Process. Mag. 29:82: nets of many layers overtook Gaussian mixtures.

Thirty words, spoken by espeak-ng in American and received English by twenty voices; rates
are chosen by Caribbean voices, and the test is Scottish voices, which are in no other
part. A word begins anywhere in a second of white noise, 5 to 15 dB below it: aligned and
without noise, a logistic regression is right in nearly all.

The strong baseline is the best on the voices that choose of three: logistic regression
and an RBF SVM on statistics of each band over time, which do not mind where a word is, and
linear discriminants (Gaussian classes, as in the recognisers that nets overtook) on
cepstra around the loudest part. That one knows what no net is told: that there is one
word, louder than the noise. An SVM on the same cepstra was no better on the voices that
choose (0.67 against 0.68).
Convolutions are over time, with bands for channels, as in time-delay nets; depth is how
much of the word they see at once, 92 milliseconds a layer.

The fresh gradient is as even through sixteen plain layers as through sixteen with skips.
Words are judged without noise too (quiet), and the very words that nets learned from in
other noise (heard): a voice of espeak-ng says a word in one way, so that what lies between
those and the test is voices. After 600 steps no net was ahead of the discriminants.
"""

from depthbench.experiments import by_depth, comparisons, first_seed, scores
from depthbench.experiments.buildable import one_of
from depthbench.experiments.once import once
from depthbench.experiments.scores import Scoring
from depthbench.experiments.sequences.speech_shown import figures_of, recordings_of
from depthbench.experiments.training import nets, pairs
from depthbench.experiments.training.pairs import whole
from depthbench.research.catalogues.packages import need
from depthbench.research.datasets import spoken
from depthbench.research.lazy import lazily
from depthbench.research.learning.recipe import Recipe
from depthbench.research.study.axes import Axis
from depthbench.research.study.claims import Claim
from depthbench.research.study.declaration import Cost, Headline, Measured, Plan, Study
from depthbench.research.study.doubts import of_sides, upward
from depthbench.research.study.estimates import above, mean_of
from depthbench.research.study.headlines import measured

with lazily():
    import numpy as np

    from depthbench.research.learning import baselines, fits, held_out, supervised

TANG = "Tang & Lin 2018, arXiv:1710.10361"
HINTON = "Hinton et al. 2012, IEEE Signal Process. Mag. 29:82"
PLAIN, SKIPS, RECURRENT = "cnn_1d", "residual_cnn_1d_scaled", "stacked_gru"
NETS = (PLAIN, SKIPS, RECURRENT)
DEEPEST_RECURRENT = 4  # layers, unless depths are typed: each is a loop over time
VOICES = len(spoken.PARTS["train"].variants)
SHOWN = 6  # words of the picture
QUIET = 40.0  # decibels of a word over the noise where there is next to none
SCORING = Scoring(
    system="spectrogram net that knows spoken words",
    noun="accuracy on unheard voices",
    trivial="guessing",
    strong="discriminants or SVM",
    by=("architecture",),
)
OTHERS = ("logistic", "svm", "discriminants")
PROTOCOL = (
    "30 words by espeak-ng, 20 voices in 2 accents to learn from, 6 others in a third for "
    "the test, 5 to 15 dB, 48 units, Adam with cosine decay, 1,200 steps of 32, 3 seeds, "
    "the first seed's best of 2 or more rates by voices of a fourth accent"
)


@once
def parts(copies, voices):
    """({part: its `Share`, with bands of mean 0 and deviation 1 in training}, {part:
    its `Spoken`})."""
    every = {
        "train": spoken.spoken("train", copies, voices=voices),
        "valid": spoken.spoken("valid", copies),
        "test": spoken.spoken("test", 3),
        "heard": spoken.spoken("heard", 1, voices=voices),
        "quiet": spoken.spoken("test", 1, (QUIET, QUIET)),
    }
    x = every["train"].x
    middle, scale = x.mean(axis=(0, 1)), x.std(axis=(0, 1))
    return {
        name: held_out.Share((part.x - middle) / scale, part.y)
        for name, part in every.items()
    }, every


@once
def compared_with(copies, voices):
    """(accuracies by baseline, that of the strong one, its answers in the test)."""
    _, every = parts(copies, voices)
    reads = {
        "logistic": ("logistic", spoken.statistics),
        "svm": ("svm", spoken.statistics),
        "discriminants": ("lda", spoken.aligned),
    }
    fitted = {}
    for name, (method, read) in reads.items():
        fit = baselines.fit(method, read(every["train"].x), every["train"].y)
        given = {p: fit.predict(read(every[p].x)) for p in ("valid", "test")}
        fitted[name] = {p: (g, np.mean(g == every[p].y)) for p, g in given.items()}
    strong = max(fitted, key=lambda name: fitted[name]["valid"][1])
    by_name = {name: float(each["test"][1]) for name, each in fitted.items()}
    return by_name, by_name[strong], fitted[strong]["test"][0]


def net_of(cell):
    """The cell's net, and how it is trained."""
    recurrent = cell["architecture"] == RECURRENT
    recipe = Recipe(
        architecture=cell["architecture"],
        activation="tanh" if recurrent else "relu",
        initializer="glorot_normal" if recurrent else "he_normal",
        depth=cell["depth"],
        width=cell["width"],
        batch=32,
        clip=1.0,
        schedule="cosine",
    )
    shape = (spoken.FRAMES, spoken.BANDS)
    return fits.Net(recipe, supervised.Task(shape, len(spoken.WORDS)))


def measure(cells, shared, memory):
    """One Measured for each cell."""
    return [accuracies(cell) for cell in cells]


def accuracies(cell):
    """Accuracy on voices of an unheard accent, on heard ones, and without noise."""
    heard = cell["copies"], cell["voices"]
    share, every = parts(*heard)
    net, train = net_of(cell), share["train"]
    others = compared_with.begin(*heard)
    rates, held = nets.rates(cell), fits.held(share["valid"])
    tuned = first_seed.tuned(net, train.batch, cell, rates, "accuracy", held)
    ended = held(tuned.runs)
    if diverged := first_seed.diverged(tuned, ended):
        return diverged
    others, strong, answers = others()
    known = {
        name: np.array([run.outputs(part.x).argmax(axis=-1) for run in tuned.runs])
        == part.y
        for name, part in share.items()
        if name in ("test", "heard", "quiet")
    }
    right = {name: each.mean(axis=1) for name, each in known.items()}
    voices = {name: every[name].voice for name in known}
    values = scores.values(
        score=right["test"],
        valid=ended.accuracy,
        trivial=1 / len(spoken.WORDS),
        strong=strong,
        before=fits.beforehand(net, train.batch, cell["seeds"]),
        tuned=tuned,
        examples=len(share["test"].y),
    )
    values |= comparisons.of_groups(
        "score",
        [comparisons.averages(each) for each in known["test"]],
        comparisons.averages(answers == share["test"].y),
        voices["test"],
    )
    for name in ("heard", "quiet"):
        values |= scores.spread(name, right[name], len(share[name].y))
    values |= scores.spread("lost", right["heard"] - right["test"])
    of_voices = [
        comparisons.of_means(known[name], np.zeros(len(voices[name])), voices[name])
        for name in ("heard", "test")
    ]
    values["lost_test_se"] = float(np.hypot(*of_voices))
    values["lost_test_groups"] = min(
        len(np.unique(voices[n])) for n in ("heard", "test")
    )
    given = tuned.runs[0].outputs(share["test"].x).argmax(axis=1)
    values["asked"] = spoken.WORDS[share["test"].y[0]]
    values["answered"] = spoken.WORDS[given[0]]
    shown = profiles_of(every["test"], given, answers)
    return Measured("ok", "", {**values, **others}, shown)


def profiles_of(test, given, answers):
    """What is shown of the first words of the test, and heard of the first."""
    start = int(test.onset[0])
    alone = np.zeros(spoken.CLIP, np.float32)
    word = spoken.waves()[str(test.voice[0])][test.y[0]][: spoken.CLIP]
    alone[start : start + len(word)] = word
    waves = np.stack([test.wave[0], alone])
    return {
        "spectrogram": test.x[:SHOWN],
        "said": test.y[:SHOWN],
        "net": given[:SHOWN].astype(np.int32),
        "baseline": answers[:SHOWN].astype(np.int32),
        "waves": np.round(waves * (30000 / np.abs(waves).max())).astype(np.int16),
    }


# -------------------------------------------------------------------------- claims


def beside(one, other):
    """From rows to the gap between two nets, each the place among depths (0 or −1) of an
    architecture's."""

    def compared(rows):
        by_net = {}
        for row in sorted(rows, key=lambda row: row["depth"]):
            by_net.setdefault(row["architecture"], []).append(row)
        if not {one[0], other[0]} <= set(by_net):
            return []
        first, second = (by_net[name][place] for name, place in (one, other))
        return [
            {
                **pairs.joint([first, second]),
                "seeds": first["seeds"],
                "nets": f"{SCORING.name(first)}, {SCORING.name(second)}",
                **comparisons.apart(first, second),
            }
        ]

    return compared


CLAIMS = (
    Claim(
        "tang2018.residual-above-convolutions",
        "the deepest residual net over spectrograms is more accurate than the shallowest "
        "convolutional net",
        f"{TANG}, abstract and section 4",
        estimate=scores.gap,
        allows=above(0.0),
        moves=of_sides,
        protocol=PROTOCOL,
        differs="Speech Commands, 12 classes of real speech by many speakers; 15 layers "
        "against 2, two-dimensional and dilated",
        published="95.8 % against 91.7 %",
        scope=lambda row: True,
        label=("nets",),
        of=beside((SKIPS, -1), (PLAIN, 0)),
    ),
    Claim(
        "hinton2012.layers-beat-gaussians",
        "a net of several layers is more accurate than Gaussian classes on cepstra, or an "
        "SVM, tuned with the same care",
        f"{HINTON}, abstract",
        estimate=scores.gap,
        allows=above(0.0),
        moves=upward,
        protocol=PROTOCOL,
        differs="phones and words of running speech, mixtures of Gaussians in hidden "
        "Markov models; many speakers",
        scope=lambda row: row["depth"] > 1,
        label=("architecture", "depth"),
    ),
    Claim(
        "depthbench.hearing-deep-needs-skips",
        "depthbench's own bar: the deepest convolutional net over spectrograms is more "
        "accurate with skips than without",
        "depthbench",
        estimate=scores.gap,
        allows=above(0.0),
        moves=of_sides,
        protocol=PROTOCOL,
        scope=lambda row: True,
        label=("nets",),
        of=beside((SKIPS, -1), (PLAIN, -1)),
    ),
    Claim(
        "depthbench.unheard-voices-cost",
        "depthbench's own bar: voices of an accent that was never heard cost more than 10 "
        "points beside the learned words in other noise, whatever the net",
        "depthbench",
        estimate=mean_of("lost"),
        allows=above(0.1),
        protocol=PROTOCOL,
        scope=lambda row: True,
        label=("architecture", "depth"),
    ),
)


# --------------------------------------------------------------------------- shown


def headline(rows):
    """Whether a net or the baseline is ahead, what depth does, and unheard voices."""
    answer, worst = by_depth.headline(SCORING, rows)
    best = SCORING.best(measured(rows))
    answer += (
        f" On the words that it learned from, in other noise, the best net reaches "
        f"{SCORING.write(best['heard'])}."
    )
    return Headline(answer, worst)


def cost(cells, shared):
    """Of a step's products at 60 Gflop/s, and half a millisecond for the rest of it."""
    cell = cells[0]
    layers = cell["depth"] + 1
    blocks = 6 if cell["architecture"] == RECURRENT else 3
    flop = 6 * 32 * spoken.FRAMES * blocks * layers * cell["width"] ** 2
    step = 5e-4 + flop / 6e10
    runs = cell["seeds"] + cell["rates"] + cell["further_rates"] / 4
    memory = 2**28 + 64 * cell["width"] ** 2 * blocks * layers
    words = 2e-3 * cell["copies"] * cell["voices"] * len(spoken.WORDS)
    return Cost(memory, memory, 0.5 + words + runs * cell["steps"] * step)


def fit(cells, typed):
    """The cells, without very deep recurrent nets unless depths were typed."""
    need("speech", "espeakng_loader")
    if not typed & {"depth", "architecture"}:
        deep = lambda cell: (
            cell["architecture"] == RECURRENT and cell["depth"] > DEEPEST_RECURRENT
        )
        cells = [cell for cell in cells if not deep(cell)]
    return nets.fit(cells, typed)


STUDY = Study(
    name="speech",
    kind="experiment",
    question="How deep must a net be to know a word by a voice it never heard?",
    source=f"{TANG}; {HINTON}",
    axes={
        "architecture": Axis(
            "convolutions over time, with and without skips, or recurrent",
            NETS,
            one_of(NETS),
        ),
        "depth": whole("hidden layers after the first", (1, 4, 16), single=False),
        "width": whole("channels, or units", (48,)),
        "voices": Axis(
            "voices of each of two accents to learn from",
            (VOICES,),
            kind="integer",
            low=1,
            high=VOICES,
            single=True,
        ),
        "copies": whole("times that each word is put into other noise", (2,)),
        "steps": whole("steps of 32 words", (1200,)),
        "seeds": whole("runs of the best rate", (3,)),
        **nets.rate_axes(2e-3, 6e-3, 2),
    },
    sizes={
        "smoke": {
            "architecture": (SKIPS,),
            "depth": (1,),
            "width": (16,),
            "voices": (2,),
            "copies": (1,),
            "steps": (60,),
            "rates": (1,),
            "further_rates": (0,),
        },
        "full": {
            "depth": (4, 32),
            "width": (128,),
            "copies": (4,),
            "steps": (2000,),
            "lowest_rate": (1e-3,),
            "highest_rate": (4e-3,),
            "rates": (3,),
            "further_rates": (0,),
            # As many runs to choose a rate as further seeds: one program.
            "seeds": (4,),
        },
    },
    plan=Plan(cost=cost, priority=nets.longest_first),
    fit=fit,
    measure="depthbench.experiments.sequences.speech:measure",
    columns=(
        *("architecture", "depth", "width", "voices", *scores.COLUMNS),
        *("heard", "heard_se", "quiet", "quiet_se", "lost", "lost_se"),
        *(*OTHERS, "asked", "answered", "lost_test_groups"),
        *comparisons.OF_GROUPS,
    ),
    claims=CLAIMS,
    headline=headline,
    tables=lambda rows: [
        SCORING.table(rows, more=("heard", "quiet", "learning_rate", *OTHERS))
    ],
    figures=lambda rows, profiles: figures_of(SCORING, rows, profiles),
    recordings=lambda rows, profiles: recordings_of(SCORING, rows, profiles),
    shows=("speech recognition",),
    summary=SCORING.summary,
    compile_seconds=6.0,
)

if __name__ == "__main__":
    from depthbench.research.cli.main import script

    script(STUDY.name)
