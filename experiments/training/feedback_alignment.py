"""How deep does a net train whose errors come back through random matrices?

Source: Lillicrap, Cownden, Tweed & Akerman 2016, Nature Communications 7:13276: replacing
Wᵀ in the backward pass by a fixed random matrix trains a net of one hidden layer on MNIST
as well as backpropagation does. Bartunov et al. 2018, arXiv:1807.04587: it does well on
MNIST and falls behind on CIFAR-10 and ImageNet.

Both rules begin with the same weights, and each has the best rate of one grid, chosen by
examples that are held out of the training part.
"""

from depthbench.experiments import comparisons, scores
from depthbench.experiments.scores import Scoring
from depthbench.experiments.training import costs, nets, pairs
from depthbench.experiments.training.pairs import whole
from depthbench.research.catalogues.catalogue import choices
from depthbench.research.datasets import readable
from depthbench.research.lazy import lazily
from depthbench.research.learning.recipe import Recipe
from depthbench.research.study.axes import Axis
from depthbench.research.study.claims import Claim
from depthbench.research.study.declaration import Headline, Measured, Study
from depthbench.research.study.doubts import of_sides
from depthbench.research.study.estimates import above, below
from depthbench.research.study.headlines import counted, measured, of_deepest

with lazily():
    import jax
    import numpy as np

    from depthbench.research.architectures import contract
    from depthbench.research.architectures.dense import feedback
    from depthbench.research.learning import fits, held_out, supervised

SOURCE = "Lillicrap et al. 2016, Nature Communications 7:13276"
RULES = choices(
    "rule",
    backprop="errors come back through Wᵀ",
    random="through fixed random matrices",
)
TAUGHT = {"backprop": "backpropagation", "random": "random feedback"}
SCORING = Scoring(
    system="net trained through random feedback",
    noun="test accuracy",
    trivial="largest class",
    strong="RBF SVM",
    by=("rule", "activation"),
    naming=lambda row, net: f"{net} by {TAUGHT[row['rule']]}",
)
SAME = 1e-9  # a cosine so near to 1 is one of equal gradients, rounded otherwise
PROTOCOL = (
    "digits, 64 units, Adam, 800 steps of 64, 3 seeds, rates chosen on a fifth of the "
    "training part"
)


def net_of(cell, parts):
    """The cell's net, and how it is trained."""
    recipe = Recipe(
        architecture="mlp",
        activation=cell["activation"],
        depth=cell["depth"],
        width=cell["width"],
        initializer="glorot_normal",
    )
    change = feedback.of_mlp if cell["rule"] == "random" else None
    return fits.Net(recipe, supervised.Task(parts.shape, parts.classes, change=change))


def measure(cells, shared, memory):
    """One Measured for each cell."""
    return [accuracies(cell) for cell in cells]


def accuracies(cell):
    """Test accuracy at the best rate, and how far the feedback is from the gradient."""
    parts = held_out.parts(cell["dataset"], data_dir=cell.get("data_dir"))
    net, (train, valid, test) = net_of(cell, parts), parts[:3]

    by_rate = fits.by_rate(net, train.batch, cell["steps"], cell["seeds"])
    most = cell["further_rates"]
    held = fits.held(valid)
    tuned = fits.tuned(by_rate, nets.rates(cell), "accuracy", held, most=most)
    right = [run.accuracy(*test) for run in tuned.runs]
    values = scores.values(
        score=right,
        valid=float(np.mean([run.accuracy(*valid) for run in tuned.runs])),
        trivial=scores.baseline("majority", cell["dataset"], cell.get("data_dir")),
        strong=scores.baseline("svm", cell["dataset"], cell.get("data_dir")),
        before=fits.beforehand(net, train.batch, cell["seeds"]),
        tuned=tuned,
        examples=len(test.y),
    )
    each = [angles(run, train.first(256).batch) for run in tuned.runs]
    values |= scores.spread("first_angle", [angle[0] for angle in each])
    return Measured("ok", "", values, {"angle": np.mean(each, axis=0)})


def angles(fit, batch):
    """Degrees between what each layer's kernel is moved by and its true gradient.

    [layers], those of the scan alone; 0 for backpropagation.
    """
    plain = fit.net._replace(task=fit.net.task._replace(change=None))
    params, stats = contract.divide(fit.variables)
    none = contract.divide(fits.fresh(plain).variables)[1]
    moved, _ = supervised.gradients(fit.net.parts, params, stats, batch, None)
    true, _ = supervised.gradients(plain.parts, params, none, batch, None)
    one, other = (_kernels(tree) for tree in (moved, true))
    sizes = np.linalg.norm(one, axis=(1, 2)) * np.linalg.norm(other, axis=(1, 2))
    cosine = np.sum(one * other, axis=(1, 2)) / np.maximum(sizes, 1e-30)
    return np.degrees(np.arccos(np.where(cosine > 1 - SAME, 1.0, cosine)))


def _kernels(variables):
    """Kernels of the scanned layers, [layers, in, out], in double precision."""
    (stage,) = variables.stages
    (kernel,) = (leaf for leaf in jax.tree.leaves(stage) if leaf.ndim == 3)
    return np.asarray(kernel, np.float64)


def compared(rows):
    """At each depth, random feedback's accuracy less backpropagation's."""
    deepest = max(row["depth"] for row in rows)
    done = {(row["rule"], row["activation"], row["depth"]): row for row in rows}
    pairs_of = [
        (row, done.get(("backprop", *key[1:])))
        for key, row in done.items()
        if key[0] == "random"
    ]
    return [
        {
            **pairs.joint([row, other]),
            **{name: row[name] for name in ("activation", "depth", "seeds")},
            "deepest": deepest,
            **comparisons.apart(row, other),
        }
        for row, other in pairs_of
        if other is not None
    ]


def of_feedback(rows):
    """The rows of random feedback, which is the system; all where it was not asked for."""
    return [row for row in rows if row["rule"] == "random"] or rows


def headline(rows):
    """Random feedback beside the baseline, and in its deepest net beside the gradient."""
    answer, worst = SCORING.headline(of_feedback(rows))
    deepest = of_deepest(measured(rows))
    each = {row["rule"]: SCORING.write(row["score"]) for row in deepest}
    if len(each) == 2:
        layers = counted(deepest[0]["depth"], "layer")
        answer += (
            f" With {layers} random feedback reaches {each['random']}, backpropagation "
            f"{each['backprop']}."
        )
    return Headline(answer, worst)


def draw_angles(rows, profiles):
    """Draws the angle of each layer, of random feedback."""

    def draw(figure, axes):
        for row in measured(rows):
            if row["rule"] == "random":
                angle = profiles(row)["angle"]
                share = np.linspace(0, 1, len(angle)) if len(angle) > 1 else [0.5]
                label = f"{row['activation']}, {row['depth']} layers"
                axes.plot(share, angle, "o-", ms=2, lw=1, label=label)
        axes.axhline(90, color="black", lw=0.8, ls=":")
        axes.set_title("degrees off the gradient, after training", loc="left")
        axes.set_xlabel("place in the net, input to output")
        axes.set_ylim(0, 120)
        axes.legend(fontsize=6, frameon=False)

    return draw


def figures_of(rows, profiles):
    caption = (
        "Third: the angle between what random feedback moves a layer's weights by and "
        "their true gradient, after training; at 90° (dotted) they have nothing in "
        "common."
    )
    return [SCORING.figure(rows, caption, draw_angles(rows, profiles))]


STUDY = Study(
    name="feedback_alignment",
    kind="experiment",
    question="How deep does a net train whose errors come back through random matrices?",
    source=SOURCE,
    axes={
        "rule": Axis("how errors come back", ("backprop", "random"), RULES),
        **{
            name: axis
            for name, axis in scores.axes((1, 4, 16, 32), activations=("tanh",)).items()
            if name != "architecture"
        },
        "width": whole("units of a layer", (64,)),
        "dataset": readable.axis(readable.classified),
        "steps": whole("steps of 64 examples", (800,)),
        "seeds": whole("runs of each rate", (3,)),
        **nets.rate_axes(3e-4, 1e-2, 4),
    },
    sizes={
        "smoke": {"depth": (1, 2), "width": (16,), "steps": (30,), "rates": (1,)},
        "full": {
            "depth": (1, 2, 4, 8, 16, 32),
            "activation": ("tanh", "relu"),
            "width": (512,),
            "dataset": ("fashion_mnist",),
            "steps": (5000,),
        },
    },
    plan=costs.plan(compiling=7.0, layer=4.5e-5),
    fit=nets.fit,
    measure="depthbench.experiments.training.feedback_alignment:measure",
    columns=("rule", "activation", "depth", "width", *scores.COLUMNS, "first_angle"),
    claims=(
        Claim(
            "lillicrap2016.as-good-as-backprop",
            "with one hidden layer after the first, random feedback is as accurate as "
            "backpropagation, to 2 points",
            SOURCE,
            estimate=scores.gap,
            allows=above(-0.02),
            moves=of_sides,
            protocol=PROTOCOL,
            differs="MNIST, one hidden layer of 1,000 sigmoid units, plain SGD",
            published="2.1 % against 2.4 % wrong",
            scope=lambda row: row["depth"] == 1,
            label=("activation", "depth"),
            of=compared,
        ),
        Claim(
            "bartunov2018.behind-where-deep",
            "in the deepest net random feedback is less accurate than backpropagation by "
            "more than 2 points",
            "Bartunov et al. 2018, arXiv:1807.04587, abstract",
            estimate=scores.gap,
            allows=below(-0.02),
            moves=of_sides,
            protocol=PROTOCOL,
            differs="worse on CIFAR-10 and ImageNet, in locally connected nets; well on "
            "MNIST",
            published="significantly worse",
            scope=lambda row: row["depth"] == row["deepest"],
            label=("activation", "depth"),
            of=compared,
        ),
    ),
    headline=headline,
    tables=lambda rows: [SCORING.table(rows, more=("first_angle",))],
    figures=figures_of,
    shows=("learning without backpropagation",),
    summary=lambda rows: SCORING.summary(of_feedback(rows)),
    compile_seconds=3.0,
)

if __name__ == "__main__":
    from depthbench.research.cli.main import script

    script(STUDY.name)
