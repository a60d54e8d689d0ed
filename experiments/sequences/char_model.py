"""What does depth save of the next character's surprise, and what does such a net write?

Source: Karpathy, Johnson & Fei-Fei 2015, arXiv:1506.02078: nets that read character by
character and give the next one's chances, against n-gram models; what they write is
drawn from those chances. Al-Rfou et al. 2019, arXiv:1808.04444: Transformers do it too.

Two texts: Python's standard library, of which every fifth module is the test, and walks
through Reber's grammar, whose entropy is known, so that nobody can lose less. The strong
baseline is an n-gram model with Kneser and Ney's smoothing, of the order that is best on
held-out windows, of 13 characters at most; it reads the same windows that nets learn
from. All are judged from the 18th character of a window on: the 17 before it are more
than any n-gram reads.

What differs: nets of 64 units and windows of 64 characters, at most two layers, and no more
steps than three minutes for all of them allow: with 500 and not 1,000 an LSTM of one layer
lost 1.95 nats a character of program text. Nets of it may learn on, and what a second
layer costs there may be steps. n-grams see all windows once, and need no steps.
"""

import functools

from depthbench.experiments import comparisons, first_seed, scores
from depthbench.experiments.buildable import one_of
from depthbench.experiments.once import once
from depthbench.experiments.scores import Scoring
from depthbench.experiments.sequences import char_model_shown, texts
from depthbench.experiments.training import nets
from depthbench.experiments.training.pairs import whole
from depthbench.research.datasets import readable
from depthbench.research.lazy import lazily
from depthbench.research.learning.recipe import Recipe
from depthbench.research.study.axes import Axis
from depthbench.research.study.claims import Claim
from depthbench.research.study.declaration import Cost, Measured, Plan, Study
from depthbench.research.study.doubts import downward, of_sides, upward
from depthbench.research.study.estimates import above, below, mean_of

with lazily():
    import jax
    import numpy as np

    from depthbench.research.architectures import contract
    from depthbench.research.datasets import sequences
    from depthbench.research.learning import continuations, fits, ngrams, supervised

KARPATHY = "Karpathy, Johnson & Fei-Fei 2015, arXiv:1506.02078"
NETS = {  # φ and normaliser of each
    "stacked_lstm": ("tanh", "none"),
    "stacked_gru": ("tanh", "none"),
    "transformer_decoder": ("gelu", "layer"),
}
COLUMNS = range(0, 13)  # characters before one that n-grams read
WRITTEN, COOLER, LENGTH = 8, 2, texts.LONG  # continuations at 1, at 0.5; their symbols
SCORING = Scoring(
    system="net that writes character by character",
    noun="nats a character",
    trivial="frequencies of characters",
    strong="Kneser–Ney n-grams",
    by=("dataset", "architecture"),
    higher=False,
    naming=char_model_shown.named,
    within=scores.positive,
    near=True,
)
ABOVE = ("above_floor", "above_floor_se", "above_floor_test_se")
PROTOCOL = (
    "4,000 windows of 64 characters, 64 units, 550 steps of 8 windows by Adam, the "
    "gradient clipped to 1, 3 seeds, the first seed's best of two or more rates by 512 "
    "windows of other modules, 1,024 test windows"
)


def net_of(cell, symbols):
    """The cell's net, which gives the next symbol's chances at every step."""
    activation, normalizer = NETS[cell["architecture"]]
    recipe = Recipe(
        architecture=cell["architecture"],
        activation=activation,
        normalizer=normalizer,
        initializer="glorot_normal",
        depth=cell["depth"],
        width=cell["width"],
        batch=cell["batch"],
        clip=1.0,
    )
    return fits.Net(recipe, supervised.Task((texts.LONG, symbols), symbols, "tokens"))


def measure(cells, shared, memory):
    """One Measured for each cell."""
    return [surprises(cell) for cell in cells]


def surprises(cell):
    """Nats a character on the test part, and how much of what is written is sound."""
    name, count = cell["dataset"], cell["windows"]
    parts = texts.parts(name, count)
    net = net_of(cell, parts.symbols)

    held = fits.chosen_by(lambda run: nats(run, parts.valid).mean(), "loss")
    others = compared_with.begin(name, count)
    data = {"windows": parts.train}
    feeds = texts.drawn(cell["batch"], parts.symbols)
    tuned = first_seed.tuned(
        *(net, data, cell, nets.rates(cell), "loss", held), feeds=feeds
    )
    ended = held(tuned.runs)
    if diverged := first_seed.diverged(tuned, ended):
        return diverged
    some = texts.batch(parts.train[:64], parts.symbols)
    lost = np.array([nats(run, parts.test) for run in tuned.runs])
    others = others()
    values = scores.values(
        score=[each.mean() for each in lost],
        valid=ended.loss,
        trivial=others["trivial"],
        strong=others["strong"],
        before=fits.beforehand(net, some, cell["seeds"]),
        tuned=tuned,
        higher=False,
        test_error=comparisons.of_means(
            lost.mean(axis=2), others["windows"], parts.of_test
        ),
    )
    values |= above_floor(lost, parts.test) if name == "grammar" else {}
    begun = parts.test[: WRITTEN + COOLER, :-1]
    after = [goes_on(run, begun) for run in tuned.runs]
    sound = [soundness(name, count, begun, one[:WRITTEN]) for one in after]
    if sound[0] is not None:
        values |= scores.spread("sound", sound)
    values |= {"order": others["order"], "floor": others["floor"]}
    kept = {
        "places": lost.mean(axis=(0, 1)),
        "of_ngrams": others["places"],
        "begun": begun[[0, 1, WRITTEN, WRITTEN + 1]].astype(np.uint8),
        "written": after[0][[0, 1, WRITTEN, WRITTEN + 1]].astype(np.uint8),
    }
    return Measured("ok", "", values, kept)


def above_floor(lost, walks):
    """Columns: nats a symbol more than whoever knows the graph loses on the same walks.

    lost: nats [seeds, walks, symbols] of the symbols that are judged.
    """
    least = texts.surprise(walks)[:, texts.FIRST :].mean(axis=1)
    each = lost.mean(axis=2)
    error = comparisons.of_means(each, least)
    over = scores.spread("above_floor", each.mean(axis=1) - least.mean())
    return over | {"above_floor_test_se": error}


def nats(run, windows):
    """Nats of every character from the first that is judged on [windows, places]."""
    symbols = run.net.task.outputs
    outputs = run.outputs(texts.batch(windows, symbols)["inputs"])[:, texts.FIRST - 1 :]
    outputs = outputs.astype(np.float64)
    high = outputs.max(axis=-1)
    total = high + np.log(np.exp(outputs - high[..., None]).sum(axis=-1))
    asked = windows[:, texts.FIRST :, None]
    return total - np.take_along_axis(outputs, asked, -1)[..., 0]


@functools.cache
def logits_of(net):
    """What `continuations.drawn` draws from."""
    symbols = net.task.outputs

    def logits(variables, windows):
        ones = jax.nn.one_hot(windows, symbols)
        return contract.apply(net.parts.net, variables, ones, train=False)[0]

    return logits


def goes_on(run, begun):
    """What a net writes after windows: at temperature 1, the last few at a half."""
    heat = np.where(np.arange(len(begun)) < WRITTEN, 1.0, 0.5)
    logits = logits_of(run.net)
    return continuations.drawn(logits, run.variables, begun, LENGTH, heat, run.seed)


def soundness(name, count, begun, after):
    """The share of symbols that the grammar allows, or of words that are known; None of
    a user's own text, of whose symbols nothing is known."""
    if name == "grammar":
        return texts.allowed(begun[: len(after)], after)
    return texts.known(after, count) if name == "stdlib" else None


@once
def compared_with(name, count):
    """What needs no net: by name, the nats of n-grams, and their order."""
    parts = texts.parts(name, count)
    held = ngrams.preceding(parts.valid, max(COLUMNS), texts.FIRST)
    asked = ngrams.preceding(parts.test, max(COLUMNS), texts.FIRST)

    def learned(columns):
        contexts, follows = ngrams.preceding(parts.train, columns, columns)
        return ngrams.fit(contexts, follows, parts.symbols)

    def lost(every):
        model = min(map(learned, every), key=lambda model: model.nats(*held))
        chances = model.chances(*asked)
        return model, -np.log(chances).reshape(len(parts.test), -1)

    model, each = lost(COLUMNS)
    return {
        "strong": float(each.mean()),
        "trivial": float(lost((0,))[1].mean()),
        "order": model.order,
        "floor": sequences.GRAMMAR_ENTROPY if name == "grammar" else None,
        "places": each.mean(axis=0),
        "windows": each.mean(axis=1),
    }


# -------------------------------------------------------------------------- claims


def text(row):
    return row["dataset"] == "stdlib"


def second_layer(rows):
    """Of each recurrent net, what a second layer saves."""
    by = ("dataset", "architecture")
    return comparisons.against({"depth": 2}, {"depth": 1}, by, higher=False)(rows)


def transformers(rows):
    """At each depth, what the Transformer saves beside the LSTM."""
    one, other = ({"architecture": n} for n in ("transformer_decoder", "stacked_lstm"))
    return comparisons.against(one, other, ("dataset", "depth"), higher=False)(rows)


CLAIMS = (
    Claim(
        "karpathy2015.recurrent-beats-ngrams",
        "a recurrent net of at least two layers needs fewer nats for the next character "
        "of program text than the best n-gram model",
        f"{KARPATHY}, abstract: improvements over n-gram models",
        estimate=scores.gap,
        allows=above(0.0),
        moves=upward,
        protocol=PROTOCOL,
        differs="the Linux kernel and War and Peace, 512 units, up to 20-grams, trained "
        "until they learned no more",
        scope=lambda row: (
            text(row) and row["architecture"] in RECURRENT and row["depth"] > 1
        ),
        label=("architecture", "depth"),
    ),
    Claim(
        "karpathy2015.second-layer-helps",
        "a recurrent net of two layers needs fewer nats a character of program text than "
        "one of a single layer",
        f"{KARPATHY}: depth of at least two is beneficial",
        estimate=scores.gap,
        allows=above(0.0),
        moves=of_sides,
        protocol=PROTOCOL,
        differs="the Linux kernel and War and Peace, 64 to 512 units, trained until they "
        "learned no more",
        scope=lambda row: text(row) and row["architecture"] in RECURRENT,
        label=("architecture", "depth"),
        of=second_layer,
    ),
    Claim(
        "alrfou2019.transformer-beats-lstm",
        "a Transformer needs fewer nats a character of text than an LSTM of as many "
        "layers",
        "Al-Rfou et al. 2019, arXiv:1808.04444, abstract",
        estimate=scores.gap,
        allows=above(0.0),
        moves=of_sides,
        protocol=PROTOCOL,
        differs="64 layers with losses at all of them against recurrent nets of other "
        "papers, Wikipedia",
        scope=text,
        label=("architecture", "depth"),
        of=transformers,
    ),
    Claim(
        "depthbench.grammar-to-its-entropy",
        "depthbench's own bar: at every depth a net comes to within 0.01 nats a symbol of "
        "the grammar's entropy",
        "depthbench",
        estimate=mean_of("above_floor"),
        allows=below(0.01),
        moves=downward,
        protocol=PROTOCOL,
        scope=lambda row: row["dataset"] == "grammar",
        label=("architecture", "depth"),
    ),
)
RECURRENT = ("stacked_lstm", "stacked_gru")


def headline(rows):
    """Nets beside n-grams on the library, and how near to its entropy on the grammar."""
    return char_model_shown.headline(SCORING, rows)


def fit(cells, typed):
    """The cells; a Refusal where a text has not as many windows."""
    if "windows" in typed:
        texts.refuse_more(cells)
    return nets.fit(cells, typed)


def cost(cells, shared):
    """Bytes and seconds of a cell, by what its steps multiply."""
    cell = cells[0]
    runs = cell["rates"] + cell["seeds"]
    size = 12 * cell["width"] ** 2 * cell["depth"]
    products = runs * cell["steps"] * cell["batch"] * texts.LONG * size
    seconds = 10.0 + 1.75e-10 * products  # on two quiet cores
    most = 4 * texts.LONG * (100 * 512 + 40 * cell["batch"] * cell["width"])
    memory = 400 * 2**20 + 2 * most * cell["depth"]
    return Cost(memory, memory, seconds)


STUDY = Study(
    name="char_model",
    kind="experiment",
    question="What does depth save of the next character's surprise?",
    source=f"{KARPATHY}; Al-Rfou et al. 2019, arXiv:1808.04444",
    axes={
        "dataset": readable.several(readable.followed, ("stdlib", "grammar")),
        "architecture": Axis(
            "what reads the characters",
            ("stacked_lstm", "transformer_decoder"),
            one_of(NETS, "writes no text here"),
        ),
        "depth": whole("layers", (1, 2), single=False),
        "width": whole("units of a layer", (64,)),
        "windows": whole("windows of 64 characters to learn from", (4000,), low=64),
        "batch": whole("windows of a step", (8,)),
        "steps": whole("steps", (550,)),
        "seeds": whole("runs of the best rate", (3,)),
        **nets.rate_axes(3e-3, 1e-2, 2),
    },
    sizes={
        "smoke": {
            "dataset": ("stdlib",),
            "depth": (1,),
            "width": (16,),
            "windows": (400,),
            "steps": (20,),
            "seeds": (2,),
            "rates": (1,),
            "further_rates": (0,),
            "architecture": ("stacked_lstm",),
        },
        "full": {
            "dataset": ("stdlib",),
            "architecture": tuple(NETS),
            "depth": (1, 2, 4),
            "width": (256,),
            "windows": (30_000,),
            "batch": (64,),
            "steps": (3000,),
            "lowest_rate": (3e-4,),
            "highest_rate": (1e-3,),
        },
    },
    plan=Plan(cost=cost, priority=nets.longest_first),
    fit=fit,
    measure="depthbench.experiments.sequences.char_model:measure",
    columns=(
        *("dataset", "architecture", "depth", "width", *scores.COLUMNS),
        *("order", "floor", *ABOVE, "sound", "sound_se"),
    ),
    claims=CLAIMS,
    headline=headline,
    tables=lambda rows: [SCORING.table(rows, more=("order", "floor", "sound"))],
    figures=lambda rows, profiles: char_model_shown.figures(SCORING, rows, profiles),
    shows=("text written character by character",),
    summary=lambda rows: SCORING.summary(char_model_shown.of_text(rows)),
    compile_seconds=6.0,
)

if __name__ == "__main__":
    from depthbench.research.cli.main import script

    script(STUDY.name)
