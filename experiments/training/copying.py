"""Over how long a lag does each recurrent cell learn to copy, beside its gradient?

Source: Arjovsky, Shah & Bengio 2016, arXiv:1511.06464, section 4.1: ten symbols of eight
are read, and said again after a lag T of blanks. Without memory the best mean
cross-entropy is 10 ln 8/(T + 20): every blank is known, and each symbol is one of eight.
What is scored is the share of the ten that is right. Cells and clipping are those of
`adding`, where two numbers are to be kept; here it is 30 bits. Each cell is one layer that
answers at every step; Adam, and the best rate of one grid by the loss of held-out training
sequences.

The strong baseline sees the whole sequence at once, as no recurrent net does: at a known
lag an answer is linear in what was read, and ridge regression copies exactly.
The gradient's decades are those over time: what the loss of the first answer leaves at the
first symbol, T + 10 steps before, over what it leaves at its own step.

After 1,000 steps no net keeps half of the bits, so that our own bar has tried nothing yet.
The GRU leaves least of its gradient, 4.5 decades less after 20 blanks, and is none the
worse: what it keeps is the first symbols of all. The LSTMs keep a little of each.
"""

import functools
import math

from depthbench.experiments import scores
from depthbench.experiments.scores import Scoring
from depthbench.experiments.training import adding, costs, nets
from depthbench.experiments.training.adding import CELLS, CLIPS, LOST, NORMS
from depthbench.experiments.training.pairs import whole
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
from depthbench.research.study.doubts import downward, of_sides
from depthbench.research.study.estimates import above, mean
from depthbench.research.study.headlines import listed, measured

with lazily():
    import jax
    import jax.numpy as jnp
    import numpy as np

    from depthbench.research.architectures import contract
    from depthbench.research.datasets import sequences
    from depthbench.research.learning import baselines, fits, held_out, supervised

SOURCE = "Arjovsky, Shah & Bengio 2016, arXiv:1511.06464, section 4.1"
SYMBOLS = 10  # that are remembered
TOKENS = 10  # eight symbols, a blank, and "go"
GUESS = 1 / 8
VALID = 1000  # training sequences that the rate is chosen by
ENOUGH = 2000  # sequences from which ridge has all right: more would add nothing
LEARNED = 0.5  # of the memoryless loss: half of the bits are remembered
NETS = {
    "rnn": "stacked_rnn",
    "irnn": "stacked_rnn_identity",
    "lstm": "stacked_lstm",
    "lstm_chrono": "stacked_lstm_chrono",
    "gru": "stacked_gru",
}
SCORING = Scoring(
    system="recurrent net that copies",
    noun="share of symbols right",
    trivial="guessing",
    strong="ridge on all steps",
    by=("cell", "clip"),
    axis="lag",
    unit="step",
    naming=adding.named,
)


def net_of(cell):
    """The cell's net, one layer that answers at every step, and how it is trained."""
    identity = cell["cell"] == "irnn"
    recipe = Recipe(
        architecture=NETS[cell["cell"]],
        activation="relu" if identity else "tanh",
        initializer="he_normal" if identity else "glorot_normal",
        # The input goes through two matrices: entries of their product have 0.001.
        sigma_w2=0.001 * math.sqrt(TOKENS) if identity else None,
        depth=1,
        width=cell["width"],
        batch=20,
        clip=NORMS[cell["clip"]],
    )
    shape = (cell["lag"] + 2 * SYMBOLS, TOKENS)
    return fits.Net(recipe, supervised.Task(shape, TOKENS, "tokens"))


@functools.lru_cache(maxsize=4)
def parts(lag):
    """(train, valid, test) of sequences with so many blanks, one-hot."""
    read = np.eye(TOKENS, dtype=np.float32)
    whole, test = (
        held_out.Share(read[part.x], part.y) for part in sequences.copy_memory(lag)
    )
    valid = held_out.Share(whole.x[-VALID:], whole.y[-VALID:])
    return whole.first(len(whole.y) - VALID), valid, test


def measure(cells, shared, memory):
    """One Measured for each cell."""
    return [copied(cell) for cell in cells]


def copied(cell):
    """Symbols right at the best rate, and what the lag leaves of the fresh gradient."""
    net, (train, valid, test) = net_of(cell), parts(cell["lag"])
    held = fits.chosen_by(lambda run: lost(run.outputs(valid.x), valid.y), "loss")
    by_rate = fits.by_rate(net, train.batch, cell["steps"], cell["seeds"])
    tuned = fits.tuned(
        by_rate, nets.rates(cell), "loss", held, most=cell["further_rates"]
    )
    before = fits.beforehand(net, train.batch, cell["seeds"])
    decades = over_lag(net, train.first(256), cell["seeds"])
    chosen = tuned.runs
    given = [run.outputs(test.x) for run in chosen]
    losses = [lost(outputs, test.y) for outputs in given]
    values = scores.values(
        score=[right(outputs, test.y) for outputs in given],
        valid=float(np.mean([right(run.outputs(valid.x), valid.y) for run in chosen])),
        trivial=GUESS,
        strong=ridge(cell["lag"]),
        before=before._replace(decades=decades),
        tuned=tuned,
        examples=SYMBOLS * len(test.y),
    )
    by_place = np.mean([hits(outputs, test.y) for outputs in given], axis=(0, 1))
    values |= scores.spread("loss", losses) | {
        "memoryless": sequences.copy_baseline(cell["lag"]),
        "slope": None if decades is None else decades / (cell["lag"] + SYMBOLS),
    }
    diverged = not all(map(math.isfinite, losses))
    status = ("diverged", "at every rate") if diverged else ("ok", "")
    return Measured(*status, values, {"by_place": by_place})


def hits(outputs, y):
    """Whether each of the remembered symbols is right [sequences, ten]."""
    return outputs[:, -SYMBOLS:].argmax(-1) == y[:, -SYMBOLS:]


def right(outputs, y):
    """The share of the remembered symbols that is right."""
    return float(np.mean(hits(outputs, y)))


def lost(outputs, y):
    """The mean cross-entropy over all steps, in nats."""
    wide = outputs.astype(np.float64)
    wide -= wide.max(-1, keepdims=True)
    of_label = np.take_along_axis(wide, y[..., None], -1)[..., 0]
    return float(np.mean(np.log(np.exp(wide).sum(-1)) - of_label))


def over_lag(net, share, seeds):
    """Decades of the first answer's gradient: at the first symbol over at its own step.

    The mean over fresh nets; None where nothing is left.
    """

    @jax.jit
    def gradient(variables, x, symbols):
        def loss(x):
            outputs = contract.apply(net.parts.net, variables, x, train=False)[0]
            log_p = jax.nn.log_softmax(outputs[:, -SYMBOLS])
            return -jnp.mean(jnp.take_along_axis(log_p, symbols[:, None], 1))

        return jnp.linalg.norm(jax.grad(loss)(x), axis=(0, 2))  # [time]

    norms = [
        gradient(fits.fresh(net, seed).variables, share.x, share.y[:, -SYMBOLS])
        for seed in range(seeds)
    ]
    ends = np.asarray(norms, np.float64)[:, [0, -SYMBOLS]]
    return float(np.mean(np.log10(ends[:, 0] / ends[:, 1]))) if ends.all() else None


@functools.cache
def ridge(lag):
    """The share right by ridge regression of all ten symbols on all that is read."""
    train, _, test = parts(lag)
    train = train.first(ENOUGH)
    symbols = np.eye(TOKENS)[train.y[:, -SYMBOLS:]].reshape(len(train.y), -1)
    fitted = baselines.fit("ridge", train.x, symbols)
    given = fitted.predict(test.x).reshape(len(test.y), SYMBOLS, TOKENS)
    return right(given, test.y)


# ------------------------------------------------------------------ from rows


def remaining(row):
    """The loss as a share of the best without memory."""
    error = row["loss_se"] and row["loss_se"] / row["memoryless"]
    return mean(row["loss"] / row["memoryless"], error, row["seeds"])


def faded(rows):
    """Rows of nets that begin with less than a thousandth of the gradient."""
    return [
        row for row in rows if row.get("decades") is not None and row["decades"] < LOST
    ]


def headline(rows):
    """The best net beside ridge, and what each cell remembers at the longest lag."""
    first = SCORING.headline(rows)
    done = measured(rows)
    longest = max(row["lag"] for row in done)
    said = [
        SCORING.name(row).partition(",")[0] + f" {row['score']:.2f}"
        for row in done
        if row["lag"] == longest
    ]
    shares = f" Right after {longest} blanks, of 1: {listed(said, 8)}."
    learned = [row for row in done if row["loss"] <= LEARNED * row["memoryless"]]
    kept = f" Half of the bits are kept by {len(learned)} of {len(done)} nets."
    return Headline(first.answer + shares + kept, first.worst)


def draw_places(rows, profiles):
    """Draws the share right of each of the ten symbols, at the longest lag."""

    def draw(figure, axes):
        done = [row for row in measured(rows) if row["clip"] == rows[0]["clip"]]
        longest = max(row["lag"] for row in done)
        for place, name in enumerate(dict.fromkeys(row["cell"] for row in done)):
            for row in done:
                if (row["cell"], row["lag"]) == (name, longest):
                    share = profiles(row)["by_place"]
                    at = range(1, SYMBOLS + 1)
                    axes.plot(at, share, "o-", ms=3, lw=1.3, color=f"C{place}")
        axes.axhline(GUESS, color="black", lw=1, ls=":")
        axes.set_xticks((1, 4, 7, 10))
        axes.set_ylim(0, 1.03)
        axes.set_xlabel("place among the ten symbols")
        axes.set_title(f"share right, lag {longest}", loc="left")
        axes.grid(alpha=0.25, lw=0.5)
        # Between ridge, which is above all nets, and them.
        figure.axes[0].legend(fontsize=6, frameon=False, loc=(0.55, 0.55))

    return draw


def figures_of(rows, profiles):
    caption = (
        "Middle: the loss of the first answer, from that step to the first symbol. Third: "
        "which of the ten symbols are right, in the order in which they were read."
    )
    clips = {row["clip"] for row in measured(rows)}
    lines = SCORING if len(clips) > 1 else SCORING._replace(by=("cell",))
    return [lines.figure(rows, caption, draw_places(rows, profiles))]


PROTOCOL = (
    "the copying problem, lags of 5 and 20 steps, one layer of 32 units, 19,000 sequences, "
    "1,000 steps of 20 by Adam, 3 seeds, the best of three to five rates by 1,000 further "
    "sequences"
)

STUDY = Study(
    name="copying",
    kind="experiment",
    question="Over how long a lag does each recurrent cell learn to copy?",
    source=SOURCE,
    axes={
        "cell": Axis("the recurrent cell", tuple(CELLS), CELLS),
        "clip": Axis("whether the gradient is clipped", ("norm_1",), CLIPS),
        "lag": whole("blanks between symbols and answers", (5, 20), single=False),
        "width": whole("units", (32,)),
        "steps": whole("steps of 20 sequences", (1000,)),
        "seeds": whole("runs of each rate", (3,)),
        **nets.rate_axes(3e-3, 3e-2, 3),
    },
    sizes={
        "smoke": {
            "cell": ("rnn", "lstm"),
            "lag": (2,),
            "width": (8,),
            "steps": (30,),
            "rates": (1,),
            "further_rates": (0,),
        },
        "full": {
            "lag": (10, 50, 100),
            "width": (128,),
            "steps": (10_000,),
            "seeds": (5,),
        },
    },
    plan=costs.plan(compiling=7.0, layer=5.0e-5, layers=lambda cell: cell["lag"]),
    fit=nets.fit,
    measure="depthbench.experiments.training.copying:measure",
    columns=(
        *("cell", "clip", "lag", "width", *scores.COLUMNS, "slope"),
        *("loss", "loss_se", "loss_low", "loss_high", "memoryless"),
    ),
    claims=(
        Claim(
            "tallec2018.chrono-copies-better",
            "after the same steps an LSTM whose forget gates begin open for up to the "
            "sequence's length has a larger share of symbols right on the copying problem "
            "than one whose forget biases are 1",
            "Tallec & Ollivier 2018, arXiv:1804.11188, abstract",
            estimate=scores.gap,
            allows=above(0.0),
            moves=of_sides,
            protocol=PROTOCOL,
            differs="longer lags, 128 units, RMSprop",
            scope=lambda row: True,
            label=("cell", "clip", "lag"),
            of=lambda rows: adding.versus(
                rows, "cell", ("lstm_chrono", "lstm"), higher=True
            ),
            # That a net still learns is what the claim is about.
            doubt=doubts.after_steps,
        ),
        Claim(
            "arjovsky2016.tanh-copies-nothing",
            "on the copying problem a tanh recurrent net keeps at least nine tenths of the "
            "loss that is best without memory",
            SOURCE,
            estimate=remaining,
            allows=above(0.9),
            moves=downward,
            protocol=PROTOCOL,
            differs="lags of 100 steps and more, RMSprop",
            scope=lambda row: row["cell"] == "rnn",
            label=("cell", "clip", "lag"),
        ),
        Claim(
            "depthbench.copying-needs-gradient",
            "depthbench's own bar: a recurrent net whose first answer begins with less "
            "than a thousandth of its gradient at the first symbol keeps at least half of "
            "the loss that is best without memory",
            "depthbench, README.md: no net below trains deeper than its gradient survives",
            estimate=remaining,
            allows=above(LEARNED),
            moves=downward,
            protocol=PROTOCOL,
            scope=lambda row: True,
            label=("cell", "clip", "lag"),
            of=faded,
        ),
    ),
    headline=headline,
    tables=lambda rows: [SCORING.table(rows, more=("loss", "memoryless", "slope"))],
    figures=figures_of,
    shows=("net with a memory",),
    summary=SCORING.summary,
    compile_seconds=6.0,
)

if __name__ == "__main__":
    from depthbench.research.cli.main import script

    script(STUDY.name)
