"""Does depth help to tell whether a sentence speaks well or badly of something?

Source: Kim 2014, arXiv:1408.5882: one layer of convolutions over words and the largest of
each feature. Xiong et al. 2020, arXiv:2002.04745: a Transformer whose normalisers stand
on the branches needs no warm-up. Wang & Manning 2012, ACL: for short texts a linear model
of words and pairs of words is hard to beat. It is the strong baseline here: tf-idf and
logistic regression, of all words there are, where nets know the 2,998 commonest.

The sentences are those that Hutto & Gilbert 2014 had rated; their user fetches them (see
`research/datasets/opinions.py`) and says where by --data-dir. `--dataset opinions` is a
generator's, for whoever has no others.

What differs: word vectors begin at random and are learned here from 6,800 sentences, and
nothing is dropped; what is shorter than 32 words is filled up with a word of its own.
After 300 steps, and not 900, a convolutional net of four layers was right in 0.61, and
depth was judged by steps. Post-LN nets of four layers and more had then learned nothing at
any of three rates from 0.0005 on. Without a warm-up a lower rate is what can help them:
their grid begins at a tenth of the others' and ends one rate sooner; it is made wider as
any other where its best is at an end.
"""

import functools

from depthbench.experiments import comparisons, first_seed, scores
from depthbench.experiments.buildable import one_of
from depthbench.experiments.once import once
from depthbench.experiments.scores import Scoring
from depthbench.experiments.sequences import sentiment_shown
from depthbench.experiments.training import nets
from depthbench.experiments.training.pairs import whole
from depthbench.research.datasets import readable
from depthbench.research.lazy import lazily
from depthbench.research.learning.recipe import Recipe
from depthbench.research.study.axes import Axis
from depthbench.research.study.claims import Claim
from depthbench.research.study.declaration import Cost, Measured, Plan, Study
from depthbench.research.study.doubts import certain, of_sides, upward
from depthbench.research.study.estimates import above, below, mean

with lazily():
    import numpy as np

    from depthbench.research.architectures import lookup
    from depthbench.research.datasets import opinions
    from depthbench.research.learning import bags_of_words, fits, held_out, supervised

KIM = "Kim 2014, arXiv:1408.5882"
NETS = {  # normaliser of each
    "text_cnn": "none",
    "transformer_pre_ln": "layer",
    "transformer_post_ln": "layer",
}
SCORING = Scoring(
    system="net that judges sentences",
    noun="test accuracy",
    trivial="commoner judgement",
    strong="tf-idf and logistic regression",
    by=("architecture",),
    naming=sentiment_shown.named,
)
PROTOCOL = (
    "6,761 rated sentences of films to learn from, 1,691 to choose by, 2,114 to judge by, "
    "32 units, Adam, 900 steps of 32, 3 seeds, the first seed's best of three rates or "
    "more, from 0.0005 on, of post-LN nets from 0.00005 on"
)


def net_of(cell):
    """The cell's net, which looks its words up."""
    recipe = Recipe(
        architecture=cell["architecture"],
        activation="relu",
        normalizer=NETS[cell["architecture"]],
        initializer="he_normal",
        depth=cell["depth"],
        width=cell["width"],
        batch=32,
    )
    change = lookup.of_symbols(opinions.MOST, cell["width"])
    return fits.Net(recipe, supervised.Task((opinions.LONG,), 2, change=change))


@functools.lru_cache(maxsize=2)
def parts(dataset, data_dir):
    """(the sentences, shares of their words' numbers: train, valid, test)."""
    read = opinions.parts(dataset, data_dir)
    edge = len(read.train.texts) * 4 // 5
    x = read.numbers(read.train.texts)
    y = read.train.good.astype(np.int32)
    judged = read.numbers(read.test.texts), read.test.good.astype(np.int32)
    share = held_out.Share
    return read, (share(x[:edge], y[:edge]), share(x[edge:], y[edge:]), share(*judged))


def measure(cells, shared, memory):
    """One Measured for each cell."""
    return [accuracies(cell) for cell in cells]


def accuracies(cell):
    """Test accuracy at the best rate, and which words move the verdict."""
    where = cell["dataset"], cell.get("data_dir")
    read, (train, valid, test) = parts(*where)
    others = compared_with.begin(*where)
    net, held = net_of(cell), fits.held(valid)
    tuned = first_seed.tuned(net, train.batch, cell, rates_of(cell), "accuracy", held)
    ended = held(tuned.runs)
    if diverged := first_seed.diverged(tuned, ended):
        return diverged
    others = others()
    right = [run.outputs(test.x).argmax(axis=-1) == test.y for run in tuned.runs]
    values = scores.values(
        score=[float(np.mean(each)) for each in right],
        valid=ended.accuracy,
        trivial=others["trivial"],
        strong=others["strong"],
        before=fits.beforehand(net, train.batch, cell["seeds"]),
        tuned=tuned,
        examples=len(test.y),
        test_error=comparisons.of_answers(right, others["right"]),
    )
    moved = [sentiment_shown.moved(margins(run, read)) for run in tuned.runs]
    kept = {"net": np.mean(moved, axis=0), "bag": others["moved"]}
    more = ("pairs", "pairs_se", "judged")
    return Measured("ok", "", values | {name: others[name] for name in more}, kept)


def rates_of(cell):
    """The rates that a net is tried at first: of post-LN ones lower ones."""
    grid = list(nets.rates(cell))
    if cell["architecture"] != "transformer_post_ln" or len(grid) == 1:
        return grid
    return [min(grid) / 10, *grid[:-1]]


def margins(run, read):
    """From texts to how much better good is than bad, for a net."""

    def of(texts):
        outputs = run.outputs(read.numbers(texts))
        return outputs[:, 1] - outputs[:, 0]

    return of


@once
def compared_with(dataset, data_dir):
    """What needs no net, by name."""
    read, (train, _, test) = parts(dataset, data_dir)
    edge = len(train.y)
    texts, good = read.train.texts, read.train.good.astype(np.int32)
    learned, choosing = (texts[:edge], good[:edge]), (texts[edge:], good[edge:])
    chosen = bags_of_words.fit(learned, choosing, opinions.split)
    right = {
        longest: (model.predict(read.test.texts) == test.y).astype(np.float64)
        for longest, model in chosen.of_length.items()
    }
    gains = right[2] - right[1]
    return {
        "strong": float(np.mean(right[chosen.longest])),
        "right": right[chosen.longest],
        "trivial": float(np.mean(test.y == (np.mean(train.y) > 0.5))),
        "pairs": float(np.mean(gains)),
        "pairs_se": float(np.std(gains) / len(gains) ** 0.5),
        "judged": len(gains),
        "moved": sentiment_shown.moved(chosen.model.decision_function),
    }


# -------------------------------------------------------------------------- claims


def placed(rows):
    """In the deepest nets, normalisers on the branches less after the sums."""
    deepest = max((row["depth"] for row in rows), default=0)
    kinds = ("transformer_pre_ln", "transformer_post_ln")
    one, other = ({"architecture": name, "depth": deepest} for name in kinds)
    return comparisons.against(one, other, by=("dataset",))(rows)


def any_row(rows):
    """A row: what the bag of words gives is the same in all."""
    return list(rows)[:1]


CLAIMS = (
    Claim(
        "kim2014.random-vectors-fall-short",
        "one layer of convolutions over words whose vectors begin at random is less "
        "accurate than a linear model of words and pairs of words",
        f"{KIM}, table 2: CNN-rand beside NBSVM, on films",
        estimate=scores.gap,
        allows=below(0.0),
        moves=upward,
        protocol=PROTOCOL,
        published="76.1 % against 79.4 % of NBSVM; 81.5 % with vectors learned from "
        "100 billion words",
        differs="other sentences of films, dropout, 300 features; a linear model on "
        "naive Bayes' ratios",
        scope=lambda row: row["architecture"] == "text_cnn" and row["depth"] == 1,
        label=("architecture", "depth"),
    ),
    Claim(
        "wang2012.pairs-of-words-help",
        "pairs of words beside single words make a linear model of sentiment more "
        "accurate",
        "Wang & Manning 2012, ACL, P12-2018, abstract",
        estimate=lambda row: mean(row["pairs"], row["pairs_se"], row["judged"]),
        allows=above(0.0),
        protocol=f"{PROTOCOL}; the error is over test sentences",
        differs="counts and naive Bayes' ratios, support vectors, nine sets of texts",
        scope=lambda row: True,
        label=("dataset",),
        doubt=certain,  # no net is in it
        of=any_row,
    ),
    Claim(
        "xiong2020.pre-ln-needs-no-warm-up",
        "without warm-up, the deepest Transformer is more accurate with normalisers on "
        "its branches than with normalisers after its sums",
        "Xiong et al. 2020, arXiv:2002.04745, abstract",
        estimate=scores.gap,
        allows=above(0.0),
        moves=of_sides,
        protocol=PROTOCOL,
        differs="translation and BERT, 12 layers and more",
        scope=lambda row: True,
        label=("architecture", "depth"),
        of=placed,
    ),
    Claim(
        "depthbench.sentiment-gains-by-depth",
        "depthbench's own bar: the deepest net is more accurate than the shallowest by a "
        "point",
        "depthbench",
        estimate=scores.gap,
        allows=above(0.01),
        moves=of_sides,
        protocol=PROTOCOL,
        scope=lambda row: True,
        label=("architecture",),
        of=comparisons.deeper(("architecture",)),
    ),
    Claim(
        "depthbench.words-suffice-for-sentiment",
        "depthbench's own bar: no net is ahead of the linear model of words by more than "
        "2 points",
        "depthbench",
        estimate=scores.gap,
        allows=below(0.02),
        moves=upward,
        protocol=PROTOCOL,
        scope=lambda row: True,
        label=("architecture", "depth"),
    ),
)


def cost(cells, shared):
    """Bytes and seconds of a cell, by what its steps multiply."""
    cell = cells[0]
    runs = cell["rates"] + cell["seeds"]
    size = 12 * cell["width"] ** 2 * cell["depth"]
    seconds = 11.0 + 2e-10 * runs * cell["steps"] * 32 * opinions.LONG * size
    kept = 4 * 32 * opinions.LONG * 24 * cell["width"] * cell["depth"]
    table = 16 * opinions.MOST * cell["width"]
    memory = 300 * 2**20 + 4 * (kept + table) + 16 * size
    return Cost(memory, memory, seconds)


STUDY = Study(
    name="sentiment",
    kind="experiment",
    question="Does depth help to tell whether a sentence is meant well or badly?",
    source=f"{KIM}; Xiong et al. 2020, arXiv:2002.04745; Hutto & Gilbert 2014, ICWSM",
    axes={
        "dataset": readable.axis_of(readable.judged_texts, "vader:films"),
        "architecture": Axis(
            "what reads the words",
            tuple(NETS),
            one_of(NETS, "reads no words here"),
        ),
        "depth": whole("layers", (1, 4), single=False),
        "width": whole("units of a layer, and numbers of a word", (32,), low=4),
        "steps": whole("steps of 32 sentences", (900,)),
        "seeds": whole("runs of the best rate", (3,)),
        **nets.rate_axes(5e-4, 4.5e-3, 3),
    },
    sizes={
        "smoke": {
            "dataset": ("opinions",),
            "architecture": ("text_cnn",),
            "depth": (1,),
            "width": (16,),
            "steps": (40,),
            "seeds": (2,),
            "rates": (1,),
        },
        "full": {
            "depth": (1, 2, 4, 8, 16),
            "width": (128,),
            "steps": (2000,),
            "seeds": (5,),
            "lowest_rate": (1e-4,),
            "highest_rate": (1e-3,),
        },
    },
    plan=Plan(cost=cost, priority=nets.longest_first),
    fit=nets.fit,
    measure="depthbench.experiments.sequences.sentiment:measure",
    columns=(
        *("dataset", "architecture", "depth", "width", *scores.COLUMNS),
        *("pairs", "pairs_se", "judged"),
    ),
    claims=CLAIMS,
    headline=lambda rows: sentiment_shown.headline(SCORING, rows),
    tables=lambda rows: [SCORING.table(rows, more=("learning_rate", "pairs"))],
    figures=lambda rows, profiles: sentiment_shown.figures(SCORING, rows, profiles),
    shows=("sentiment of a sentence",),
    summary=SCORING.summary,
    compile_seconds=6.0,
)

if __name__ == "__main__":
    from depthbench.research.cli.main import script

    script(STUDY.name)
