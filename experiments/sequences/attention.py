"""Is one vector too little for a sentence, and does attention keep it?

Source: Bahdanau, Cho & Bengio 2015, arXiv:1409.0473: a fixed-length vector is a
bottleneck of encoder-decoders; theirs looks at all of the source. Cho et al. 2014,
arXiv:1409.1259: without attention translations get worse as sentences get longer.
Sutskever, Vinyals & Le 2014, arXiv:1409.3215: deep ones. Vaswani et al. 2017,
arXiv:1706.03762: the Transformer.

Number words are exact and grammatical, and their length is even: as many sentences of each
length in English as of any other, and no number in two parts. Texts of Plone's interface
are as people wrote them, 2,300 short ones, where plone.app.locales is installed. Of GRUs
every decoding layer looks at the memory, as a Transformer's does. As in the papers, GRUs
with attention read both ways, and those without one way: a fresh net's gradient at the
first source word (reach) is longer with attention, and just as long where nothing is
looked at, for the decoder begins from what has just read that word.

The strong baseline knows no net: a phrase table with a language model, tuned on what is
held out. What is filled up is a word like others; sentences are short enough for one batch
of one size. The rate is chosen by the first seed's loss on held-out pairs. Nets say no
word that was not seen in training, and of software's texts none that was seen once; the
phrase table knows those too. Nets of four layers were no better after 600 steps: the time
is spent on more steps of two.
"""

from depthbench.experiments import comparisons, first_seed, scores
from depthbench.experiments.scores import Scoring
from depthbench.experiments.sequences import attention_shown, translated
from depthbench.experiments.sequences.attention_claims import CLAIMS
from depthbench.experiments.sequences.attention_shown import CALLED, NUMBERS, of_numbers
from depthbench.experiments.training import nets
from depthbench.experiments.training.pairs import whole
from depthbench.research.catalogues.catalogue import DataError
from depthbench.research.catalogues.packages import need
from depthbench.research.datasets import translations
from depthbench.research.lazy import lazily
from depthbench.research.learning.recipe import Recipe
from depthbench.research.study.axes import Axis
from depthbench.research.study.declaration import Cost, Measured, Plan, Study
from depthbench.research.study.errors import Refusal
from depthbench.research.study.headlines import counted

with lazily():
    import jax
    import numpy as np
    import scipy.special as special

    from depthbench.research.architectures import contract, walk
    from depthbench.research.learning import fits, translation

SOURCE = "Bahdanau, Cho & Bengio 2015, arXiv:1409.0473"
BEAM = 4  # beginnings that a search keeps
NORM = 1.0  # to which gradients are clipped
# Of the steps, in which the rate grows: without it the Transformer (Vaswani et al. 2017,
# section 5.3) of four layers is right in 0.4 of held-out sentences, with it in 0.95;
# GRUs are as right with it as without.
WARMED = 0.25
PROBED = 6  # of the longest sentences, of which a fresh net's gradient is taken
MAPPED = 11  # words of the sentence whose attention is drawn
SCORING = Scoring(
    system="translator with and without attention",
    noun="share translated exactly",
    trivial="word by word",
    strong="phrase table",
    by=("corpus", "architecture", "language"),
    naming=lambda row, _: (
        f"{CALLED[row['architecture']]}, {counted(row['depth'], 'layer')}, into "
        f"{translations.LANGUAGES[row['language']]}"
        f"{'' if row['corpus'] == NUMBERS else ', ' + row['corpus']}"
    ),
)


def recipe_of(cell):
    """How the cell's net is trained."""
    transformer = cell["architecture"] == "encoder_decoder"
    return Recipe(
        architecture=cell["architecture"],
        activation="relu" if transformer else "tanh",
        normalizer="layer" if transformer else "none",
        initializer="glorot_normal",
        depth=cell["depth"],
        width=cell["width"],
        batch=cell["batch"],
        schedule="cosine",
        warmup=WARMED * cell["steps"],
        clip=NORM,
    )


def which(cell):
    """What `translated` is asked for."""
    return cell["corpus"], cell["language"], cell["pairs"], cell["held"]


def measure(cells, shared, memory):
    """One Measured for each cell."""
    return [translations_of(cell) for cell in cells]


def translations_of(cell):
    """How much of the test part a net says exactly, greedily and by beam search."""
    parts = translated.sentences(*which(cell))
    baselines = translated.by_counts.begin(*which(cell))
    net = translation.net(parts.code, recipe_of(cell))
    held = fits.chosen_by(lambda run: surprise(run, parts.valid), "loss")
    tuned = first_seed.tuned(net, parts.train, cell, nets.rates(cell), "loss", held)
    if diverged := first_seed.diverged(tuned, held(tuned.runs)):
        return diverged
    right = [translation.exactly(run, parts.test) for run in tuned.runs]
    exact = [float(np.mean(each)) for each in right]
    chosen_by = [np.mean(translation.exactly(run, parts.valid)) for run in tuned.runs]
    baselines = baselines()
    values = scores.values(
        score=exact,
        valid=float(np.mean(chosen_by)),
        trivial=float(np.mean(baselines["trivial"].right)),
        strong=float(np.mean(baselines["strong"].right)),
        before=fits.beforehand(net, parts.train, cell["seeds"]),
        tuned=tuned,
        examples=len(parts.pairs.test),
        test_error=comparisons.of_answers(right, baselines["strong"].right),
    )
    values |= by_length(right, baselines["strong"].right, parts.lengths)
    values |= spoken(tuned.runs, parts, exact)
    values |= reached(net, parts, cell["seeds"])
    values |= {
        "strong_bleu": baselines["strong"].bleu,
        "nearest": float(np.mean(baselines["nearest"].right)),
        "nearest_bleu": baselines["nearest"].bleu,
    }
    profiles = {
        "exact": translated.by_length(np.mean(right, axis=0), parts.lengths),
        "counts": translated.by_length(baselines["strong"].right, parts.lengths),
        **mapped(tuned.runs[0], parts),
    }
    return Measured("ok", "", values, profiles)


def surprise(run, arrays):
    """Nats a word, of the true words so far."""
    chances = special.log_softmax(np.float64(run.outputs(arrays["inputs"])), axis=-1)
    asked = arrays["targets"] >= 0
    wanted = np.where(asked, arrays["targets"], 0)[..., None]
    own = np.take_along_axis(chances, wanted, axis=-1)[..., 0]
    return float(-np.mean(own[asked]))


OF_LENGTHS = (
    *("short", "short_se", "long", "long_se", "fall", "fall_se", "fall_test_se"),
    "strong_long",
)


def by_length(right, counts, lengths):
    """Columns of short and long sentences; `fall`: from short to long, seed by seed."""
    short, long = lengths <= translated.SHORT, lengths >= translated.LONG
    if not (short.any() and long.any()):
        return dict.fromkeys(OF_LENGTHS)  # nothing falls from or to what is not there
    each = {"short": short, "long": long}
    shares = {name: [float(np.mean(r[at])) for r in right] for name, at in each.items()}
    fall = np.subtract(shares["short"], shares["long"])
    of_tests = [
        comparisons.of_share(float(np.mean(shares[name])), int(at.sum()))
        for name, at in each.items()
    ]
    return {
        **scores.spread("short", shares["short"]),
        **scores.spread("long", shares["long"]),
        **scores.spread("fall", fall),
        "fall_test_se": float(np.hypot(*of_tests)),
        "strong_long": float(np.mean(counts[long])),
    }


def spoken(runs, parts, exact):
    """BLEU of greedy sentences and of beam search's, and what this says exactly."""
    bleu, beam, beam_bleu = [], [], []
    test, inputs = parts.pairs.test, parts.test["inputs"]
    for run in runs:
        said = parts.code.sentences(translation.said(run, parts.code, inputs))
        bleu.append(translated.bleu(said, test))
        said = parts.code.sentences(translation.said(run, parts.code, inputs, BEAM))
        found = [s == pair.target for s, pair in zip(said, test, strict=True)]
        beam.append(float(np.mean(found)))
        beam_bleu.append(translated.bleu(said, test))
    return {
        **scores.spread("bleu", bleu),
        **scores.spread("beam", beam, len(test)),
        **scores.spread("beam_bleu", beam_bleu),
        **scores.spread("beam_gain", np.subtract(beam, exact)),
    }


def reached(net, parts, seeds):
    """log10 of the first target word's gradient at the source's first word and its last.

    Of fresh nets, on the longest sentences of those that are trained on.
    """
    lengths = np.array([len(pair.source) for pair in parts.pairs.train])
    longest = np.argsort(-lengths, kind="stable")[:PROBED]
    some = {name: array[longest] for name, array in parts.train.items()}
    rows, first = np.arange(len(longest)), parts.code.steps[0] - lengths[longest]
    ends = {"reach": [], "reach_last": []}
    for seed in range(seeds):
        norms = translation.reach(net, fits.fresh(net, seed).variables, some)
        for name, at in (("reach", first), ("reach_last", -1)):
            norm = np.mean(norms[rows, at], dtype=np.float64)
            ends[name].append(np.log10(np.maximum(norm, 1e-30)))
    return scores.spread("reach", ends["reach"]) | scores.spread(
        "reach_last", ends["reach_last"]
    )


def mapped(run, parts):
    """Profiles of where a GRU's last layer looks for each word of a test sentence."""
    net = run.net.parts.net
    if net.name != "seq2seq_attention":
        return {}
    nearest = np.argmin(np.abs(parts.lengths - MAPPED))
    pair, x = parts.pairs.test[nearest], parts.test["inputs"][nearest][None]
    shares = jax.jit(lambda variables: looked(net, variables, x))(run.variables)
    said = len(pair.target) + 1  # with the end
    return {
        "map": np.asarray(shares)[:said, -len(pair.source) :],
        "read": np.frombuffer(" ".join(pair.source).encode(), np.uint8),
        "said": np.frombuffer(" ".join(pair.target).encode(), np.uint8),
    }


def looked(net, variables, x):
    """The shares [steps of the target, of the source] of the last layer that looks."""
    stem, encoder, *_ = contract.links(net, variables, train=False)
    state = walk.fold([stem, encoder], x)[0]
    stage = net.stages[1]
    for layer in range(stage.depth):
        own = contract.layer_at(stage, variables.stages[1], layer)
        state, sown = stage.layer.apply(own, state, False, mutable=["intermediates"])
    return sown["intermediates"]["shares"][0][0]


def fit(cells, typed):
    """Depths are even; packages and texts are there before anything is trained.

    Texts that were not asked for by name are left out where they are not installed, and
    so are deep nets on them.
    """
    cells, lines = installed(cells, typed)
    for cell in cells:
        if cell["depth"] % 2:
            raise Refusal(
                f"--depth {cell['depth']}: must be even: one half of the layers encodes"
            )
        if cell["architecture"] == "seq2seq_attention" and cell["width"] % 2:
            raise Refusal(f"--width {cell['width']}: must be even: GRUs read both ways")
        need("attention", "sacrebleu")
        if cell["corpus"] == NUMBERS:
            need("attention", "num2words")
        else:
            translations.software(*which(cell))
    cells, more = nets.fit(cells, typed)
    return cells, [*lines, *more]


def installed(cells, typed):
    """(the cells whose texts are there, a line on each corpus that is left out)."""
    if "corpus" in typed:
        return cells, []
    lines, least = [], min(cell["depth"] for cell in cells)
    for corpus in dict.fromkeys(cell["corpus"] for cell in cells):
        own = [cell for cell in cells if cell["corpus"] == corpus]
        try:
            files = corpus == NUMBERS or translations.files(corpus, own[0]["language"])
        except DataError as error:
            files, lines = [], [*lines, f"left out: {error}"]
        deep = corpus != NUMBERS and "depth" not in typed
        kept = [c for c in own if files and not (deep and c["depth"] > least)]
        cells = [c for c in cells if c["corpus"] != corpus or c in kept]
    return cells, lines


def cost(cells, shared):
    """Of a cell's runs: layers, steps and products; small nets are bound by the loop."""
    cell = cells[0]
    runs = cell["rates"] + cell["seeds"] - 1 + min(cell["further_rates"], 1) / 2
    step = 0.003 * cell["depth"] * (1 + (cell["width"] / 200) ** 2 * cell["batch"] / 32)
    memory = 4e8 + 40 * 4 * 12 * cell["batch"] * cell["width"] * cell["depth"]
    seconds = 6 + runs * cell["steps"] * step + cell["pairs"] / 1000
    return Cost(int(memory), int(memory), seconds)


def some(text, value, low, high):
    """An axis of how many sentences; of number words there are not more."""
    return Axis(text, (value,), None, "integer", low, high, single=True)


STUDY = Study(
    name="attention",
    kind="experiment",
    question="Is one vector too little for a sentence, and what does attention change?",
    source=SOURCE,
    axes={
        **{
            name: axis
            for name, axis in scores.axes(
                (2,), tuple(CALLED), known=tuple(CALLED)
            ).items()
            if name != "activation"
        },
        "language": Axis("translated into", ("fr",), translated.LANGUAGES),
        "corpus": Axis("sentences", (NUMBERS, "plone"), translated.CORPORA),
        "pairs": some("sentences to learn from", 4000, 100, 20_000),
        "held": some("sentences to choose by, and as many to judge by", 300, 20, 2000),
        "width": whole("units of a layer", (32,), low=2),
        "batch": whole("sentences of a step", (32,)),
        "steps": whole("steps", (850,)),
        "seeds": whole("runs of the best rate", (3,)),
        **nets.rate_axes(7e-3, 2e-2, 2),
    },
    sizes={
        "smoke": {
            "architecture": ("seq2seq_attention",),
            "corpus": (NUMBERS,),
            "depth": (2,),
            "pairs": (200,),
            "held": (40,),
            "width": (8,),
            "steps": (20,),
            "rates": (1,),
            "further_rates": (0,),
            "seeds": (2,),
        },
        "full": {
            "depth": (2, 8),
            "pairs": (8000,),
            "held": (500,),
            "width": (256,),
            "batch": (128,),
            "steps": (1600,),
            # As many runs to choose a rate as further seeds: one program.
            "seeds": (4,),
            "lowest_rate": (3e-4,),
            "highest_rate": (3e-3,),
            "further_rates": (0,),
        },
    },
    plan=Plan(cost=cost, priority=nets.longest_first),
    fit=fit,
    measure="depthbench.experiments.sequences.attention:measure",
    columns=(
        *("architecture", "language", "corpus", "depth", "width", *scores.COLUMNS),
        *("bleu", "bleu_se", "strong_bleu", "nearest", "nearest_bleu"),
        *("beam", "beam_se", "beam_bleu", "beam_bleu_se", "beam_gain", "beam_gain_se"),
        *OF_LENGTHS,
        *("reach", "reach_se", "reach_last", "reach_last_se"),
    ),
    claims=CLAIMS,
    headline=lambda rows: attention_shown.headline(SCORING, rows),
    tables=lambda rows: [
        SCORING.table(
            rows,
            more=(
                *("bleu", "strong_bleu", "beam", "beam_bleu"),
                *("nearest", "nearest_bleu", "short", "long", "reach"),
            ),
        )
    ],
    figures=lambda rows, profiles: attention_shown.figures_of(SCORING, rows, profiles),
    shows=("machine translation", "attention", "Transformer"),
    summary=lambda rows: SCORING.summary(of_numbers(rows)),
    compile_seconds=8.0,
)

if __name__ == "__main__":
    from depthbench.research.cli.main import script

    script(STUDY.name)
