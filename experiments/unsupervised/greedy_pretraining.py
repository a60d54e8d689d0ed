"""Does a deep sigmoid net need pretraining, and what would have done instead?

Source: Hinton, Osindero & Teh 2006, Neural Computation 18:1527 (restricted Boltzmann
machines, layer by layer); Bengio et al. 2007, NIPS 19 (autoencoders as well); Erhan et
al. 2010, JMLR 11:625, whose nets start without it from weights uniform on ±1/√fan-in.
On MNIST the tutorials of deeplearning.net have 1.34 % wrong with machines, 1.3 % with
denoising autoencoders and 1.65 % without. The catch is Glorot, Bordes & Bengio 2011,
AISTATS: deep rectifier nets need none of it.

Nets without pretraining take as many steps more as pretraining took, each a step of the
whole net, which costs more. The learning rate of each is chosen on held-out examples.
"""

from depthbench.experiments import score_panels, scores
from depthbench.experiments.once import once
from depthbench.experiments.scores import Scoring
from depthbench.experiments.training import costs, nets
from depthbench.experiments.training.pairs import whole
from depthbench.experiments.unsupervised import montage
from depthbench.experiments.unsupervised.greedy_claims import CLAIMS
from depthbench.research.catalogues.catalogue import choices
from depthbench.research.catalogues.optimizers import OPTIMIZERS
from depthbench.research.datasets import readable
from depthbench.research.lazy import lazily
from depthbench.research.learning.recipe import Recipe
from depthbench.research.report import figures
from depthbench.research.study.axes import Axis
from depthbench.research.study.declaration import (
    Figure,
    Headline,
    Measured,
    Study,
)
from depthbench.research.study.errors import Refusal
from depthbench.research.study.headlines import measured

with lazily():
    import numpy as np

    from depthbench.research.learning import (
        fits,
        greedy,
        held_out,
        supervised,
    )

STARTS = choices(
    "start",
    uniform="no pretraining, weights uniform on ±1/√fan-in",
    glorot="no pretraining, Glorot's variance",
    rbm="restricted Boltzmann machines layer by layer",
    autoencoder="denoising autoencoders layer by layer",
)
PRETRAINED = ("rbm", "autoencoder")
RULES = OPTIMIZERS.only(
    lambda rule: rule.name in RATES, lambda rule: "has no grid of rates here"
)
RATES = {"sgd": (0.1, 1.0), "adam": (1e-3, 1e-2)}  # ends of the grids
STARTED = {
    "uniform": "drawn uniformly",
    "glorot": "drawn after Glorot",
    "rbm": "pretrained as RBMs",
    "autoencoder": "pretrained as autoencoders",
}
OPTIMIZED = {"sgd": "SGD", "adam": "Adam"}
SCORING = Scoring(
    system="net pretrained layer by layer",
    noun="test accuracy",
    trivial="largest class",
    strong="RBF SVM",
    by=("start", "activation", "optimizer"),
    naming=lambda row, net: (
        f"{net}, {STARTED[row['start']]}, by {OPTIMIZED[row['optimizer']]}"
    ),
)
FILTERS, SHOWN = 12, 8  # first units that are kept, and shown


def net_of(cell, parts):
    """The cell's net before any pretraining."""
    uniform = cell["start"] == "uniform"
    recipe = Recipe(
        activation=cell["activation"],
        depth=cell["depth"],
        width=cell["width"],
        initializer="lecun_uniform" if uniform else "glorot_normal",
        sigma_w2=1 / 3 if uniform else None,
        optimizer=cell["optimizer"],
    )
    return fits.Net(recipe, supervised.Task(parts.shape, parts.classes))


def measure(cells, shared, memory):
    """One Measured for each cell."""
    return [accuracies(cell) for cell in cells]


def accuracies(cell):
    """Test accuracy at the best rate, from the cell's start, and what all of it cost."""
    parts = held_out.parts(cell["dataset"], data_dir=cell.get("data_dir"))
    net, (train, valid, test) = net_of(cell, parts), parts[:3]
    starts, layers, seeds = None, (), cell["seeds"]
    before = cell["pretraining"] * (cell["depth"] + 1)
    steps = cell["steps"] + before
    if cell["start"] in PRETRAINED:
        stacks = [stack_of(cell, seed) for seed in range(seeds)]
        starts = [
            greedy.placed(fits.fresh(net, seed), [one.machine for one in stack])
            for seed, stack in enumerate(stacks)
        ]
        layers, steps = stacks[0], cell["steps"]

    by_rate = fits.by_rate(net, train.batch, steps, seeds, starts=starts)
    grid = nets.log_spaced(*RATES[cell["optimizer"]], cell["rates"])
    most = cell["further_rates"]
    held = fits.held(valid)
    tuned = fits.tuned(by_rate, grid, "accuracy", held, most=most)
    begun = fits.beforehand(net, train.batch, seeds, starts=starts)
    asked = cell["dataset"], cell.get("data_dir")
    values = scores.values(
        score=[run.accuracy(*test) for run in tuned.runs],
        valid=float(np.mean([run.accuracy(*valid) for run in tuned.runs])),
        trivial=scores.baseline("majority", *asked),
        strong=scores.baseline("svm", *asked),
        before=begun,
        tuned=tuned,
        examples=len(test.y),
    )
    values |= {
        "logistic": scores.baseline("logistic", *asked),
        "updates": cell["steps"] + before,
        "gflop": (
            steps * begun.step_mflop
            + sum(cell["pretraining"] * one.step_mflop for one in layers)
        )
        / 1e3,
        **scores.spread("gradient", begun.firsts),
    }
    shown = (starts or [fits.fresh(net, 0)])[0], tuned.runs[0]
    before_it, after_it = map(first_kernel, shown)
    return Measured("ok", "", values, {"before": before_it, "after": after_it})


def stack_of(cell, seed):
    """The layers that a seed's pretraining learns, from the first."""
    asked = cell["dataset"], cell.get("data_dir"), cell["start"], cell["width"]
    return [
        learned(*asked, cell["pretraining"], seed, number)[0]
        for number in range(cell["depth"] + 1)
    ]


@once
def learned(dataset, data_dir, model, width, steps, seed, number):
    """(a layer, what the next one is given); nets of all depths share their first."""
    if number == 0:
        x = held_out.parts(dataset, data_dir=data_dir).train.x
        x = x.reshape(len(x), -1)
    else:
        x = learned(dataset, data_dir, model, width, steps, seed, number - 1)[1]
    one = greedy.layer(model, x, width, steps, seed)
    return one, greedy.hidden_of(one.machine, x)


def first_kernel(fit):
    """What the first layer's first units look for [units, inputs]."""
    ((_, layer),) = fit.variables.stem["params"].items()
    return np.asarray(layer["kernel"], np.float32).T[:FILTERS]


def fit(cells, typed):
    """Cells that can be: what a layer learns are sigmoid units, as is the old start."""
    kept = [
        cell
        for cell in cells
        if cell["activation"] == "sigmoid" or cell["start"] == "glorot"
    ]
    if not kept:
        raise Refusal("pretraining and the uniform start are of sigmoid nets alone")
    lines = []
    if len(kept) < len(cells) and typed & {"start", "activation"}:
        lines = ["left out: pretraining and the uniform start of nets not of sigmoids"]
    kept, more = nets.fit(kept, typed)
    return kept, lines + more


def pretrained(rows):
    """The rows of the system itself, where there are any."""
    own = [row for row in rows if row["start"] in PRETRAINED]
    return own or list(rows)


def headline(rows):
    """How the best pretrained net fares, and what the deepest reach from each start."""
    done = measured(rows)
    first = SCORING.headline(pretrained(done))
    deepest = max(row["depth"] for row in done)
    told = [
        f"by {rule} " + ", ".join(f"{' '.join(name)} {score:.3f}" for name, score in at)
        for rule in RATES
        if (
            at := [
                ((row["start"], row["activation"]), row["score"])
                for row in done
                if (row["depth"], row["optimizer"]) == (deepest, rule)
            ]
        )
    ]
    more = f" With {deepest} layers: {'; '.join(told)}."
    return Headline(first.answer + more, SCORING.headline(done).worst)


def figures_of(rows, profiles):
    caption = (
        "First two: test accuracy by depth, by SGD and by Adam, 95 % intervals over "
        "seeds; dashed the RBF SVM, dotted the largest class. Third: log10 of the first "
        "layer's gradient before the net is trained. Last: what the first units of the "
        "first layer look for, red for ink and blue for none, in the deepest sigmoid net "
        "by SGD: fresh, after a machine's learning, after the net's, and after a "
        "denoising autoencoder's."
    )
    return [Figure("figure", caption, lambda: draw(rows, profiles))]


def draw(rows, profiles):
    done = measured(rows)
    figure = figures.new(14.4, 3.5)
    panels = figure.subplots(1, 4, width_ratios=(1, 1, 1, 1.5))
    lines = {}
    for row in sorted(done, key=lambda row: row["depth"]):
        lines.setdefault((row["start"], row["activation"]), []).append(row)
    names = sorted(lines, key=lambda name: (name[1], list(STARTS).index(name[0])))
    for axes, rule in zip(panels, RATES, strict=False):
        of_rule = {
            " ".join(name): [row for row in lines[name] if row["optimizer"] == rule]
            for name in reversed(names)
        }
        kept = {name: those for name, those in of_rule.items() if those}
        if kept:
            score_panels.scores(SCORING, axes, kept)
            axes.set_title(f"test accuracy, {rule}", loc="left")
            axes.set_ylim(0, 1.03)
    draw_gradients(panels[2], {" ".join(name): lines[name] for name in reversed(names)})
    draw_filters(panels[3], done, profiles)
    return figure


def draw_gradients(axes, lines):
    """log10 of the first layer's gradient at the start; optimizers begin alike."""
    for place, (name, rows) in enumerate(lines.items()):
        known = {r["depth"]: r["first_gradient"] for r in rows}
        at = [depth for depth in known if known[depth] is not None]
        level = [known[depth] for depth in at]
        axes.plot(at, level, "o-", ms=3, lw=1.3, color=f"C{place}", label=name)
    places = sorted({row["depth"] for rows in lines.values() for row in rows})
    axes.set_xscale("log", base=2)
    axes.set_xticks(places, [str(place) for place in places])
    axes.minorticks_off()
    axes.set_xlabel("depth")
    axes.set_title("log10 of the first gradient", loc="left")
    axes.grid(alpha=0.25, lw=0.5)


FILTERED = (  # what the deepest nets by SGD are shown of
    ("glorot", "before", "fresh"),
    ("rbm", "before", "by RBM"),
    ("rbm", "after", "fine-tuned"),
    ("autoencoder", "before", "by autoencoder"),
)


def draw_filters(axes, rows, profiles):
    """What the first units of the first layer look for, of the deepest net by SGD."""
    shown = [r for r in rows if (r["optimizer"], r["activation"]) == ("sgd", "sigmoid")]
    deepest = {row["start"]: row for row in sorted(shown, key=lambda row: row["depth"])}
    strips = [
        (name, montage.square(profiles(deepest[start])[moment][:SHOWN]))
        for start, moment, name in FILTERED
        if start in deepest
    ]
    if strips:
        montage.show(axes, strips, "filters of the first layer", cmap="RdBu_r")


STUDY = Study(
    name="greedy_pretraining",
    kind="experiment",
    question="Does a deep sigmoid net need pretraining, and what would have done instead?",
    source="Hinton, Osindero & Teh 2006, Neural Computation 18:1527; Erhan et al. 2010",
    axes={
        "start": Axis("what the net begins with", tuple(STARTS), STARTS),
        **{
            name: axis
            for name, axis in scores.axes(
                (1, 3, 5, 8), activations=("sigmoid", "relu")
            ).items()
            if name != "architecture"
        },
        "optimizer": Axis("the net's update rule", tuple(RATES), RULES),
        "width": whole("units of a layer", (64,)),
        "dataset": readable.axis(readable.classified),
        "pretraining": whole(
            "steps of 64 examples that a layer learns by itself", (300,)
        ),
        "steps": whole("steps of 64 examples of the whole net", (1500,)),
        "seeds": whole("runs of each rate", (3,)),
        **{
            name: axis
            for name, axis in nets.rate_axes(0.1, 1.0, 3).items()
            if name in ("rates", "further_rates")
        },
    },
    sizes={
        "smoke": {
            "start": ("glorot", "rbm"),
            "activation": ("sigmoid",),
            "depth": (1, 2),
            "optimizer": ("sgd",),
            "width": (16,),
            "pretraining": (20,),
            "steps": (30,),
            "rates": (1,),
        },
        "full": {
            "depth": (1, 3, 5, 8, 12),
            "width": (512,),
            "dataset": ("fashion_mnist",),
            "pretraining": (2000,),
            "steps": (5000,),
        },
    },
    plan=costs.plan(compiling=3.0, layer=4.5e-5),
    fit=fit,
    measure="depthbench.experiments.unsupervised.greedy_pretraining:measure",
    columns=(
        *("start", "activation", "optimizer", "depth", "width"),
        *scores.COLUMNS,
        *("logistic", "updates", "gflop"),
    ),
    claims=CLAIMS,
    headline=headline,
    tables=lambda rows: [SCORING.table(rows, more=("logistic", "updates", "gflop"))],
    figures=figures_of,
    shows=("deep belief net", "stacked autoencoder", "layer-wise pretraining"),
    summary=lambda rows: SCORING.summary(pretrained(measured(rows))),
    compile_seconds=2.0,
)

if __name__ == "__main__":
    from depthbench.research.cli.main import script

    script(STUDY.name)
