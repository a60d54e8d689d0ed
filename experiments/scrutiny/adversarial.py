"""What is left of a net's accuracy when its inputs are changed against it, by depth?

Sources: Goodfellow, Shlens & Szegedy 2015, arXiv:1412.6572 (the fast gradient sign
method, FGSM); Madry et al. 2018, arXiv:1706.06083 (projected gradient, PGD, from random
starts, and training on attacked examples).

A number of an input is changed by at most ε. Digits are centred, and each has a mean
square of 1: ε is in units of that, and 0.3 are 1.3 of their 16 grey levels on average.
Inputs are not clipped to what a pixel can be.

A net's score is the share of test digits that it reads right however they were attacked:
by random signs, FGSM and PGD of 20 steps from two starts. All but FGSM itself climb the
label's log odds, which do not saturate, so that a gradient that float32 has rounded away
is not taken for resistance: `fgsm_odds` beside `fgsm` says how much that is. The support
vector machine is attacked by its own gradient in the same ways, and by what fools the
net or machines of other kernels; its kernel is the one that is best under attack of the
held-out examples, as are the rates of nets that train on attacked ones; plainly trained
nets have the rate that is best without an attack.

Nets train on examples as they are, or with each replaced by what FGSM or five steps of
PGD make of it; residual nets are asked from 16 layers on. Rates fall by a cosine, which
was chosen after rows of a constant rate had been seen: those left many nets still
learning. No verdict is the opposite with them; more are undecided.
"""

import functools

from depthbench.experiments import scores
from depthbench.experiments.scores import Scoring
from depthbench.experiments.scrutiny import adversarial_shown, attacked
from depthbench.experiments.scrutiny.adversarial_claims import (
    CLAIMS,
    GOODFELLOW,
    LABEL,
    MADRY,
)
from depthbench.experiments.training import costs, nets
from depthbench.experiments.training.pairs import whole
from depthbench.research.catalogues.catalogue import choices
from depthbench.research.datasets import readable
from depthbench.research.lazy import lazily
from depthbench.research.learning.recipe import Recipe
from depthbench.research.study.axes import Axis
from depthbench.research.study.declaration import Headline, Measured, Study
from depthbench.research.study.headlines import counted, listed, measured
from depthbench.research.study.tables import flat

with lazily():
    import numpy as np

    from depthbench.research.learning import (
        adversarial,
        attacks,
        fits,
        held_out,
        supervised,
    )

TRAININGS = choices(
    "training",
    plain="on examples as they are",
    fgsm="on what FGSM makes of them",
    pgd="on what 5 steps of PGD make of them",
)
PGD_STEPS = 5  # of the attack in training, which costs as many steps more
DEEP = 16  # layers, from which on residual nets are asked
SHOWN = 3  # digits in the picture
CURVE = (0.0, 0.25, 0.5, 0.75, 1.0, 1.5)  # times ε, for the picture
UNDER = ("clean", "random_sign", "fgsm", "fgsm_odds", "pgd")
SLOPE = ("input_gradient", "zero_gradients")
TRAINED = {
    "plain": "plainly trained",
    "fgsm": "trained on FGSM",
    "pgd": "trained on PGD",
}
SCORING = Scoring(
    system="net under attack",
    noun="accuracy under attack",
    trivial="largest class",
    strong="RBF SVM, attacked too",
    by=("training", "architecture"),
    naming=lambda row, net: f"{net}, {TRAINED[row['training']]}",
)


def fit(cells, typed):
    """Residual nets from DEEP layers on alone, unless nets or depths were typed."""
    cells, lines = nets.fit(cells, typed)
    if typed & {"architecture", "depth"}:
        return cells, lines
    plain = lambda cell: cell["architecture"] != "residual_mlp"
    return [cell for cell in cells if plain(cell) or cell["depth"] >= DEEP], lines


def measure(cells, shared, memory):
    """One Measured for each cell."""
    return [accuracies(cell) for cell in cells]


def net_of(cell, parts):
    recipe = Recipe(
        architecture=cell["architecture"],
        activation=cell["activation"],
        depth=cell["depth"],
        width=cell["width"],
        initializer="he_normal",
        schedule="cosine",
    )
    return fits.Net(recipe, supervised.Task(parts.shape, parts.classes))


@functools.cache
def perturbation(training):
    """What is done to examples in training; None where they are as they are."""
    known = {"fgsm": attacks.fgsm}
    known["pgd"] = functools.partial(attacks.pgd, steps=PGD_STEPS)
    return known.get(training)


def accuracies(cell):
    """Test accuracy under each attack, at the rate that is best against its own."""
    parts = held_out.parts(cell["dataset"], data_dir=cell.get("data_dir"))
    net, (train, valid, test) = net_of(cell, parts), parts[:3]
    perturb, system = perturbation(cell["training"]), None
    if perturb is not None:
        system = adversarial.system(net, perturb, cell["epsilon"])
    size, epsilon = max(len(valid.y), len(test.y)), cell["epsilon"]

    def share(run, asked):
        return np.mean(attacked.net(run, valid, epsilon, size).right[asked])

    asked = "survived" if system else "clean"
    held = fits.chosen_by(lambda run: share(run, asked))
    by_rate = fits.by_rate(
        net, train.batch, cell["steps"], cell["seeds"], system=system
    )
    most = cell["further_rates"]
    tuned = fits.tuned(by_rate, nets.rates(cell), "accuracy", held, most=most)
    each = [attacked.net(run, test, epsilon, size) for run in tuned.runs]
    machine = attacked.machine(cell["dataset"], cell.get("data_dir"), epsilon)
    values = scores.values(
        score=[np.mean(one.right["survived"]) for one in each],
        valid=float(np.mean([share(run, "survived") for run in tuned.runs])),
        trivial=machine.trivial,
        strong=[machine.left(one.made["pgd"]) for one in each],
        before=fits.beforehand(net, train.batch, cell["seeds"], system=system),
        tuned=tuned,
        examples=len(test.y),
    )
    values |= under_each(each) | {
        "svm_clean": float(np.mean(machine.right["clean"])),
        "svm_random_sign": float(np.mean(machine.right["random_sign"])),
        "svm_gamma": machine.fitted.setting["gamma"],
        "svm_at_edge": machine.at_edge,
        "svm_pgd": float(np.mean(machine.right["pgd"])),
        **means("svm_transferred", [machine.transferred(o.made["pgd"]) for o in each]),
    }
    return Measured("ok", "", values, shown(tuned.runs[0], test, each[0], epsilon))


def under_each(each):
    """Columns: what is right under each attack, and by how much one is worse."""
    share = lambda name: [np.mean(one.right[name]) for one in each]
    values = {}
    for name in UNDER:
        values |= means(name, share(name))
    slopes = [attacked.slope_of(one) for one in each]
    for name in SLOPE:
        values |= means(name, [slope[name] for slope in slopes])
    random, fgsm = ([one.right[n] for one in each] for n in ("random_sign", "fgsm"))
    by_direction = scores.of_answers("by_direction", random, fgsm)
    missed = np.subtract(share("fgsm"), share("survived"))
    return values | by_direction | means("fgsm_misses", missed)


def means(name, each):
    """A column's mean over seeds and its standard error; None where one is infinite."""
    spread = scores.spread(name, each if np.all(np.isfinite(each)) else [np.nan])
    return {column: spread[column] for column in (name, f"{name}_se")}


def shown(run, test, judgement, epsilon):
    """The picture's arrays: accuracy by ε, and the first digits with what they became."""
    few, made = slice(SHOWN), judgement.made["pgd"]
    read = [run.outputs(x[few]).argmax(axis=1) for x in (test.x, made)]
    sizes = np.array(CURVE) * epsilon
    share = attacked.by_epsilon(run.net)
    return {
        "epsilons": sizes,
        "curve": np.array([share(run.variables, *test, size) for size in sizes]),
        "digits": np.stack([test.x[few], made[few]]),
        "readings": np.stack([test.y[few], *read]),
    }


def headline(rows):
    """The best net beside the machine, and what FGSM alone would have it seem."""
    answer, worst = SCORING.headline(rows)
    plain = [row for row in measured(rows) if row["training"] == "plain"]
    if plain:
        told = listed(
            f"{row['fgsm']:.2f} ({row['score']:.2f}) with {counted(row['depth'], 'layer')}"
            for row in plain
            if row["architecture"] == plain[0]["architecture"]
        )
        answer += (
            f" Of plainly trained nets FGSM (all attacks together) leaves {told}, "
            f"random signs {min(row['random_sign'] for row in plain):.2f} or more."
        )
    return Headline(answer, worst)


STUDY = Study(
    name="adversarial",
    kind="experiment",
    question="What is left of a net's accuracy when inputs are changed against it, by "
    "depth?",
    source=f"{GOODFELLOW}; {MADRY}",
    axes={
        "training": Axis("what it is trained on", ("plain", "fgsm", "pgd"), TRAININGS),
        **scores.axes((1, 4, 16), scores.SKIPS),
        "width": whole("units of a layer", (64,)),
        "dataset": readable.axis(readable.classified),
        "epsilon": Axis(
            "the largest change of a number of an input, in the units that a net reads",
            (0.3,),
            kind="number",
            low=1e-6,
            high=100.0,
        ),
        "steps": whole("steps of 64 examples", (1000,)),
        "seeds": whole("runs of each rate", (3,)),
        **nets.rate_axes(1e-3, 1e-2, 3),
    },
    sizes={
        "smoke": {
            "training": ("plain", "fgsm"),
            "architecture": ("mlp",),
            "depth": (1, 2),
            "width": (16,),
            "steps": (30,),
            "rates": (1,),
        },
        "full": {
            "depth": (1, 4, 16, 32),
            "width": (512,),
            "dataset": ("fashion_mnist",),
            "steps": (5000,),
        },
    },
    plan=costs.plan(compiling=10.0, layer=4.5e-5),
    fit=fit,
    measure="depthbench.experiments.scrutiny.adversarial:measure",
    columns=(*LABEL, "activation", "width", *scores.COLUMNS, *UNDER, *SLOPE),
    claims=CLAIMS,
    headline=headline,
    tables=lambda rows: [
        SCORING.table(rows),
        flat(rows, (*LABEL, *UNDER, "input_gradient"), "accuracy by attack"),
    ],
    figures=lambda rows, profiles: adversarial_shown.figures(SCORING, rows, profiles),
    shows=("adversarial example",),
    summary=SCORING.summary,
    compile_seconds=6.0,
)

if __name__ == "__main__":
    from depthbench.research.cli.main import script

    script(STUDY.name)
