"""Do highway nets train at depths where plain nets degrade?

Source: Srivastava, Greff & Schmidhuber 2015, Training Very Deep Networks,
arXiv:1507.06228, section 3.1: thin nets on MNIST, 71 units a layer in plain nets and 50
in highway nets, which makes about 5,000 parameters a layer in both; a plain first layer
and 9, 19, 49 or 99 more. SGD with momentum; rate, activation (ReLU or tanh) and the
initial gate bias (−1 to −10) of each are the best of a random search. Plain nets of 10
and 20 layers do very well and deeper ones much worse; highway nets do not suffer, and at
100 layers their loss is more than two orders of magnitude below the plain net's.

Here a grid takes the search's place: learning rates, both activations, gate biases −2 and
−4. Rates are constant. ReLU nets start with He's variance, tanh nets with Glorot's.
"""

import functools
import math

from depthbench.experiments.training import pairs
from depthbench.experiments.training.pairs import deviation, loss, rates, whole
from depthbench.research.catalogues.activations import ACTIVATIONS
from depthbench.research.datasets import readable
from depthbench.research.study import trials
from depthbench.research.study.axes import Axis
from depthbench.research.study.claims import Claim
from depthbench.research.study.declaration import Figure, Study
from depthbench.research.study.doubts import of_sides
from depthbench.research.study.estimates import above, below

SOURCE = "Srivastava et al. 2015, arXiv:1507.06228, section 3.1"
PROTOCOL = (
    "digits, 10 to 100 layers of 71 units or, with gates, 50, momentum, the best of a "
    "grid of rates, of ReLU and tanh, and of gate biases −2 and −4"
)
DIFFERS = (
    "MNIST, 40 random draws of these settings for each net, a rate that falls, gate "
    "biases to −10"
)
PLAIN = "plain"
NETS = {
    PLAIN: ("mlp", 71),
    "highway": ("highway_mlp", 50),
    "highway_closed": ("highway_mlp_closed", 50),
}
BIASES = {"highway": ", bias −2", "highway_closed": ", bias −4"}  # of the gates
KIND = {name: PLAIN if name == PLAIN else "highway" for name in NETS}
WORSE = math.log(2)  # "similar" is a loss within a factor of two; so is noise of seeds


def settings(cell):
    architecture, width = NETS[cell["net"]]
    return {
        "architecture": architecture,
        "width": width,
        "depth": cell["depth"] - 1,  # a first layer is counted
        "initializer": "glorot_normal" if cell["activation"] == "tanh" else "he_normal",
        "optimizer": "momentum",
    }


def log_loss(row):
    return math.log(max(loss(row), 1e-12))


def spread(row):
    """The standard error of the logarithm of the loss, to first order."""
    return deviation("train_loss")(row) / max(loss(row), 1e-12)


def kinds(rows):
    """The rows with the kind of their net, plain or highway."""
    return [{**row, "kind": KIND[row["net"]]} for row in rows]


def deeper(rows):
    """The logarithm of every depth's loss over that of the shallowest of its kind."""
    depths = sorted({row["depth"] for row in rows})
    return [
        pair
        for depth in depths[1:]
        for pair in pairs.versus(
            kinds(rows),
            "depth",
            (depths[0], depth),
            ("kind",),
            log_loss,
            spread,
            "loss",
            of="train_loss",
        )
    ]


def deepest(rows):
    """The same of the largest depth alone."""
    depths = sorted({row["depth"] for row in rows})
    ends = [row for row in rows if row["depth"] in (depths[0], depths[-1])]
    return deeper(ends)


def at_depth(rows):
    """At the largest depth, the logarithm of the plain net's loss over the highway's."""
    most = max(row["depth"] for row in rows)
    rows_at_depth = kinds([row for row in rows if row["depth"] == most])
    names = ("highway", PLAIN)
    by = ("depth",)
    return pairs.versus(
        rows_at_depth, "kind", names, by, log_loss, spread, "loss", of="train_loss"
    )


def untrained(row):
    """Whether a net has learned less than half of what there is to learn."""
    return float(loss(row) > math.log(10) / 2)


def headline(rows):
    """How each kind's training loss changes with depth, and the net with the most."""
    chosen = pairs.best(kinds(rows), ("kind", "depth"), "loss")
    return pairs.headline(chosen, "kind", "depth", "layer")


def tables(rows):
    title = "Training loss of the best setting (red: above half of ln 10)"
    best = pairs.best_table(kinds(rows), ("kind", "depth"), "loss", title, untrained)
    by = ("net", "activation", "depth")
    every = pairs.rate_table(
        rows, by, loss, "Training loss at each learning rate", "loss"
    )
    return [best, every]


def draw_figures(rows, profiles):
    caption = (
        "Training loss of the best setting of each kind and depth, on a logarithmic "
        "scale: mean and range over seeds. Left plain nets, right highway nets, with as "
        "many parameters a layer."
    )
    return [Figure("figure", caption, functools.partial(_draw, rows, profiles))]


def _draw(rows, profiles):
    known = kinds(rows)
    names = list(dict.fromkeys(row["kind"] for row in known))
    figure, panels = pairs.panels(len(names), width=4.2)
    for axes, name in zip(panels, names, strict=True):
        rows_of_kind = [row for row in known if row["kind"] == name]
        chosen = pairs.best(rows_of_kind, ("depth",), "loss")

        def label(row):
            bias = BIASES.get(row["net"], "")
            return (
                f"{row['depth']} ({row['activation']}, {row['learning_rate']:g}{bias})"
            )

        pairs.draw_curves(axes, chosen, profiles, label)
        axes.set_title(name, loc="left")
        axes.set_yscale("log")
        axes.legend(fontsize=7, frameon=False, title="layers")
    panels[0].set_ylabel("training loss")
    return figure


def measure(cells, shared, memory):
    """One Measured for each cell of a unit."""
    return trials.measure(cells, memory, settings, pairs.measured)


STUDY = Study(
    name="highway",
    kind="experiment",
    question="Do highway nets train at depths where plain nets degrade?",
    source=SOURCE,
    axes={
        "net": Axis(
            "plain, or with gates",
            tuple(NETS),
            pairs.methods("net", tuple(NETS), SOURCE),
        ),
        "activation": Axis("the nonlinearity", ("relu", "tanh"), ACTIVATIONS),
        "depth": whole("layers, the first counted", (10, 50, 100), 2, False),
        "learning_rate": rates((0.01, 0.03, 0.1)),
        "dataset": readable.axis(readable.classified),
        "steps": whole("steps of 64 examples", (200,)),
        "seeds": whole("runs per cell", (3,)),
    },
    sizes={
        "smoke": {
            "net": (PLAIN, "highway"),
            "activation": ("relu",),
            "depth": (5, 20),
            "learning_rate": (0.03,),
            "steps": (60,),
        },
        "full": {
            "depth": (10, 20, 50, 100),
            "learning_rate": (0.001, 0.003, 0.01, 0.03, 0.1, 0.3),
            "dataset": ("tfds:mnist",),
            "steps": (100_000,),
            "seeds": (5,),
        },
    },
    plan=trials.plan(settings),
    sweep=pairs.sweep(lambda row: (KIND[row["net"]], row["depth"]), "loss"),
    measure="depthbench.experiments.training.highway:measure",
    columns=("net", "activation", "depth", "learning_rate", "seeds", *pairs.COLUMNS),
    claims=(
        Claim(
            "srivastava2015.plain-degrades",
            "the deepest plain net ends with more training loss than the shallowest",
            SOURCE,
            tag="T7",
            estimate=pairs.gap,
            allows=above(0.0),
            moves=of_sides,
            protocol=PROTOCOL,
            differs=DIFFERS,
            published="ln of losses' ratio: above 0",
            scope=lambda row: row["kind"] == PLAIN,
            label=("kind", "depth"),
            of=deepest,
        ),
        Claim(
            "srivastava2015.highway-not-degraded",
            "highway nets do not suffer from depth: their loss grows less than twofold",
            SOURCE,
            tag="T7",
            estimate=pairs.gap,
            allows=below(WORSE),
            moves=of_sides,
            protocol=PROTOCOL,
            differs=DIFFERS,
            published="ln of losses' ratio: below 0.69",
            scope=lambda row: row["kind"] == "highway",
            label=("kind", "depth"),
            of=deeper,
        ),
        Claim(
            "srivastava2015.highway-ahead-of-plain",
            "at the largest depth a highway net ends with less loss than a plain one",
            SOURCE,
            tag="T7",
            estimate=pairs.gap,
            allows=above(0.0),
            moves=of_sides,
            protocol=PROTOCOL,
            differs=DIFFERS,
            published="ln of losses' ratio: above 0",
            scope=lambda row: True,
            label=("depth",),
            of=at_depth,
        ),
    ),
    headline=headline,
    tables=tables,
    figures=draw_figures,
    compile_seconds=7.0,
)

if __name__ == "__main__":
    from depthbench.research.cli.main import script

    script(STUDY.name)
