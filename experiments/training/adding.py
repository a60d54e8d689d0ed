"""Over how long a lag does each recurrent cell learn to add, beside its gradient?

Source: Hochreiter & Schmidhuber 1997, Neural Computation 9:1735, as Le, Jaitly & Hinton
2015, arXiv:1504.00941, have it: two numbers of a sequence are marked, and their sum is
asked at its end. Always answering 1 has a mean squared error of 1/6. Pascanu, Mikolov &
Bengio 2013, arXiv:1211.5063: gradients that explode are clipped. Tallec & Ollivier 2018,
arXiv:1804.11188: forget gates that begin open for up to the lag.

The strong baseline is told what a net has to find out, that a number counts by its mark:
ridge regression on both and on their product at each step, of which the sum is linear.
Adam here; the best rate of one grid by the error on held-out training sequences.
The first step's kernel has no gradient of its own, as the state before it is 0: the
gradient's decades are those of states. `identity_recurrence` asks the identity's claims
of longer sequences.

The identity has the flattest fresh gradient and is among the worst; a GRU, whose gradient
loses 5.6 decades over 40 steps, is the best. Marks lie anywhere in their halves, so some
sequences ask for few steps only, from which gates can learn to open for the others.
"""

import functools
import math

from depthbench.experiments import comparisons, scores
from depthbench.experiments.scores import Scoring
from depthbench.experiments.training import costs, nets, pairs
from depthbench.experiments.training.identity_recurrence import (
    FEATURES,
    LEARNED,
    TRIVIAL,
)
from depthbench.experiments.training.pairs import whole
from depthbench.research.catalogues.catalogue import choices
from depthbench.research.lazy import lazily
from depthbench.research.learning.recipe import Recipe
from depthbench.research.study import doubts
from depthbench.research.study.axes import Axis
from depthbench.research.study.claims import Claim
from depthbench.research.study.declaration import (
    Headline,
    Measured,
    Study,
)
from depthbench.research.study.doubts import of_sides
from depthbench.research.study.estimates import above
from depthbench.research.study.headlines import listed, measured
from depthbench.research.study.plan import grouped

with lazily():
    import numpy as np

    from depthbench.research.datasets import sequences
    from depthbench.research.learning import baselines, fits, held_out, supervised

SOURCE = "Hochreiter & Schmidhuber 1997, Neural Computation 9:1735"
CELLS = choices(
    "cell",
    rnn="tanh of a product, Glorot's weights",
    irnn="ReLU that begins as the identity, Le et al. 2015, arXiv:1504.00941",
    lstm="forget gates open by a bias of 1",
    lstm_chrono="forget gates open for up to the lag, arXiv:1804.11188",
    gru="Cho et al. 2014, arXiv:1406.1078",
)
CLIPS = choices("clipping", norm_1="the gradient's norm is 1 at most", none="as it is")
# One program serves both: no norm is above infinity.
NORMS = {"norm_1": 1.0, "none": math.inf}
VALID = 2000  # training sequences that the rate is chosen by
ROUNDING = 1e-12  # what a squared error that is none may come to
LOST = -3.0  # decades: a thousandth of the gradient is left
CALLED = {
    "rnn": "RNN",
    "irnn": "IRNN",
    "lstm": "LSTM",
    "lstm_chrono": "LSTM with chrono start",
    "gru": "GRU",
}


def named(row, _):
    """A row's net in words: "GRU with clipping, lag 40"."""
    clipped = "" if row["clip"] == "none" else " with clipping"
    return f"{CALLED[row['cell']]}{clipped}, lag {row['lag']}"


SCORING = Scoring(
    system="recurrent net that adds",
    noun="test error",
    trivial="always 1",
    strong="ridge on products",
    by=("cell", "clip"),
    axis="lag",
    higher=False,
    form=".2g",
    naming=named,
    within=scores.positive,
)
PROTOCOL = (
    "the adding problem, 24 units, 18,000 sequences, 1,200 steps of 32 by Adam, 3 seeds, "
    "the best of three to five rates by 2,000 further sequences"
)


def net_of(cell):
    """The cell's net, and how it is trained; depth is time."""
    name = {"irnn": "rnn_identity"}.get(cell["cell"], cell["cell"])
    identity = cell["cell"] == "irnn"
    recipe = Recipe(
        architecture=name,
        activation="relu" if identity else "tanh",
        initializer="he_normal" if identity else "glorot_normal",
        sigma_w2=0.001**2 * FEATURES if identity else None,  # of the input's weights
        depth=cell["lag"],
        width=cell["width"],
        batch=32,
        clip=NORMS[cell["clip"]],
    )
    return fits.Net(recipe, supervised.Task((cell["lag"], FEATURES), 1, "numbers"))


@functools.lru_cache(maxsize=4)
def parts(lag):
    """(train, valid, test) of sequences of so many steps."""
    whole, test = sequences.adding(lag)
    share = held_out.Share
    return (
        share(whole.x[:-VALID], whole.y[:-VALID]),
        share(whole.x[-VALID:], whole.y[-VALID:]),
        share(test.x, test.y),
    )


def measure(cells, shared, memory):
    """One Measured for each cell."""
    return [errors(cell) for cell in cells]


def errors(cell):
    """Test error at the best rate, and what a step of time leaves of the gradient."""
    net, (train, valid, test) = net_of(cell), parts(cell["lag"])
    held = fits.chosen_by(lambda run: missed(run.outputs(valid.x), valid.y), "loss")
    by_rate = fits.by_rate(net, train.batch, cell["steps"], cell["seeds"])
    most = cell["further_rates"]
    tuned = fits.tuned(by_rate, nets.rates(cell), "loss", held, most=most)
    before = fits.beforehand(net, train.batch, cell["seeds"])
    missing = [missed(run.outputs(test.x), test.y) for run in tuned.runs]
    values = scores.values(
        score=missing,
        valid=tuned.tried[tuned.setting].loss,
        trivial=TRIVIAL,
        strong=ridge(cell["lag"]),
        before=before,
        tuned=tuned,
        higher=False,
    )
    slope = None if before.decades is None else before.decades / cell["lag"]
    lost = not all(map(math.isfinite, missing))
    status = ("diverged", "at every rate") if lost else ("ok", "")
    return Measured(*status, values | {"slope": slope})


def missed(given, wanted):
    """The mean squared error."""
    return float(np.mean(np.square(given - wanted), dtype=np.float64))


@functools.cache
def ridge(lag):
    """The test error of ridge regression on numbers, marks and their products."""
    train, _, test = parts(lag)
    fitted = baselines.fit("ridge", with_products(train.x), train.y)
    error = missed(fitted.predict(with_products(test.x)), test.y)
    return error if error > ROUNDING else 0.0


def with_products(x):
    """[sequences, steps, 3]: the number, its mark, and their product."""
    return np.concatenate([x, x[:, :, :1] * x[:, :, 1:]], axis=2)


# ------------------------------------------------------------------ from rows


def versus(rows, axis, names, higher=False):
    """By how much the first is better than the second at equal lags and else settings."""
    other = "clip" if axis == "cell" else "cell"
    done = {(row[axis], row[other], row["lag"]): row for row in rows}
    pairs_of = [
        (row, done.get((names[1], *key[1:])))
        for key, row in done.items()
        if key[0] == names[0]
    ]
    return [
        {
            **pairs.joint([one, two]),
            **{name: one[name] for name in ("lag", "seeds", other)},
            axis: f"{names[0]} to {names[1]}",
            **comparisons.apart(one, two, higher=higher),
        }
        for one, two in pairs_of
        if two is not None
    ]


def faded(rows):
    """Rows of nets that begin with less than a thousandth of the gradient."""
    return [
        {
            **row,
            "gap": row["score"] and row["score"] - LEARNED,
            "gap_se": row["score_se"],
            "gap_test_se": None,
        }
        for row in rows
        if row.get("decades") is not None and row["decades"] < LOST
    ]


def headline(rows):
    """The best net beside ridge, and the longest lag that each cell has learned."""
    first = SCORING.headline(rows)
    by_cell = grouped(measured(rows), lambda row: (row["cell"], row["clip"]))
    longest = {
        key: max((row["lag"] for row in group if row["score"] <= LEARNED), default=0)
        for key, group in by_cell.items()
    }
    said = [
        f"{CALLED[cell]} {lag}"
        + (f" ({longest[cell, 'none']} without)" if (cell, "none") in longest else "")
        for (cell, clip), lag in longest.items()
        if clip == "norm_1"
    ]
    lags = f" Longest lag learned with clipping: {listed(said, 8)}." if said else ""
    return Headline(first.answer + lags, first.worst)


def draw_slopes(rows):
    """Draws the test error of each net against its gradient's decades a step."""

    def draw(figure, axes):
        lags = sorted({row["lag"] for row in rows})
        for place, name in enumerate(dict.fromkeys(row["cell"] for row in rows)):
            for row in measured(rows):
                if row["cell"] == name and row["slope"] is not None:
                    size = 4 + 3 * lags.index(row["lag"])
                    full = "full" if row["clip"] == "norm_1" else "none"
                    style = {"ms": size, "fillstyle": full, "color": f"C{place}"}
                    axes.plot(row["decades"], row["score"], "o", **style)
            axes.plot([], [], "o", color=f"C{place}", label=name)
        axes.axhline(TRIVIAL, color="black", lw=0.8, ls=":")
        axes.axvline(LOST, color="#888888", lw=0.8, ls="--")
        axes.set_yscale("log")
        axes.set_xlabel("decades of the gradient at the start")
        axes.set_title("test error by fresh gradient", loc="left")
        axes.legend(fontsize=6, frameon=False)

    return draw


def figures_of(rows, profiles):
    caption = (
        "Left and middle: with clipping. Third: each net's error beside its fresh "
        "gradient; larger dots: longer lags; rings: not clipped; dashed: a thousandth of "
        "the gradient is left."
    )
    clipped = [row for row in measured(rows) if row["clip"] == "norm_1"]
    lines = SCORING._replace(by=("cell",)) if clipped else SCORING
    return [lines.figure(clipped or rows, caption, draw_slopes(rows))]


STUDY = Study(
    name="adding",
    kind="experiment",
    question="Over how long a lag does each recurrent cell learn to add?",
    source=SOURCE,
    axes={
        "cell": Axis("the recurrent cell", tuple(CELLS), CELLS),
        "clip": Axis("whether the gradient is clipped", tuple(CLIPS), CLIPS),
        "lag": whole("steps of time", (10, 20, 40), low=4, single=False),
        "width": whole("units", (24,)),
        "steps": whole("steps of 32 sequences", (1200,)),
        "seeds": whole("runs of each rate", (3,)),
        **nets.rate_axes(3e-3, 3e-2, 3),
    },
    sizes={
        "smoke": {
            "cell": ("rnn", "lstm"),
            "lag": (6,),
            "width": (8,),
            "steps": (30,),
            "rates": (1,),
            "further_rates": (0,),
        },
        "full": {
            "lag": (25, 50, 100),
            "width": (128,),
            "steps": (5000,),
            "seeds": (5,),
        },
    },
    plan=costs.plan(compiling=2.5, layer=2.0e-5, layers=lambda cell: cell["lag"]),
    fit=nets.fit,
    measure="depthbench.experiments.training.adding:measure",
    columns=("cell", "clip", "lag", "width", *scores.COLUMNS, "slope"),
    claims=(
        Claim(
            "tallec2018.chrono-adds-better",
            "after the same steps an LSTM whose forget gates begin open for up to the lag "
            "has a smaller test error on the adding problem than one whose forget biases "
            "are 1",
            "Tallec & Ollivier 2018, arXiv:1804.11188, abstract",
            estimate=scores.gap,
            allows=above(0.0),
            moves=of_sides,
            protocol=PROTOCOL,
            differs="lags of 200 and 750 steps, 128 units, RMSprop",
            scope=lambda row: True,
            label=("cell", "clip", "lag"),
            of=lambda rows: versus(rows, "cell", ("lstm_chrono", "lstm")),
            # That a net still learns is what the claim is about.
            doubt=doubts.after_steps,
        ),
        Claim(
            "pascanu2013.clipping-helps-adding",
            "a tanh recurrent net has a smaller test error on the adding problem where "
            "its gradient is clipped than where it is not",
            "Pascanu, Mikolov & Bengio 2013, arXiv:1211.5063, abstract",
            estimate=scores.gap,
            allows=above(0.0),
            moves=of_sides,
            protocol=PROTOCOL,
            differs="SGD, with a regulariser against vanishing besides, other tasks too",
            scope=lambda row: row["cell"] == "rnn",
            label=("cell", "clip", "lag"),
            of=lambda rows: versus(rows, "clip", ("norm_1", "none")),
        ),
        Claim(
            "depthbench.adding-needs-gradient",
            "depthbench's own bar: a recurrent net that begins with less than a "
            "thousandth of its gradient at the first step does not come to half of the "
            "error of always answering 1",
            "depthbench, README.md: no net below trains deeper than its gradient survives",
            estimate=scores.gap,
            allows=above(0.0),
            protocol=PROTOCOL,
            scope=lambda row: True,
            label=("cell", "clip", "lag"),
            of=faded,
        ),
    ),
    headline=headline,
    tables=lambda rows: [SCORING.table(rows, more=("slope", "learning_rate"))],
    figures=figures_of,
    shows=("recurrent net", "LSTM", "GRU"),
    summary=SCORING.summary,
    compile_seconds=6.0,
)

if __name__ == "__main__":
    from depthbench.research.cli.main import script

    script(STUDY.name)
