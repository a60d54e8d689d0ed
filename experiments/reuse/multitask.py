"""Do two tasks help each other, and do their gradients agree, by how much they share?

Source: Caruana 1997, Machine Learning 28:41: a net that learns related tasks in parallel,
with a shared representation, generalises better than one for each. Yu et al. 2020,
arXiv:2001.06782, definition 1: tasks conflict where the cosine of their gradients is
below 0, which can keep both from being learned.

A net reads letters of five scripts from few drawings. The second task is the script,
which the letter implies, or the font, which a reader of letters has to look past. First
layers are shared, and each task has the others for its own; with none shared these are
two nets.
"""

import functools
from typing import Any, NamedTuple

from depthbench.experiments import scores
from depthbench.experiments.reuse import alphabets
from depthbench.experiments.reuse import multitask_shown as shown
from depthbench.experiments.reuse.multitask_shown import SCORING
from depthbench.experiments.training import costs, nets
from depthbench.experiments.training.pairs import whole
from depthbench.research.catalogues.catalogue import choices
from depthbench.research.lazy import lazily
from depthbench.research.learning.recipe import Recipe
from depthbench.research.study.axes import Axis
from depthbench.research.study.claims import Claim
from depthbench.research.study.declaration import Measured, Study
from depthbench.research.study.doubts import after_steps, certain
from depthbench.research.study.errors import Refusal
from depthbench.research.study.estimates import above, below, mean_of
from depthbench.research.study.plan import all_but

with lazily():
    import numpy as np

    from depthbench.research.datasets import glyphs
    from depthbench.research.learning import baselines, branches, fits, supervised

SOURCE = "Caruana 1997, Machine Learning 28:41"
CONFLICT = "Yu et al. 2020, arXiv:2001.06782, definition 1"
SECOND = choices(
    "task",
    script="which of five scripts; the letter says it",
    font="which of twelve fonts; of no use for the letter",
)
PROTOCOL = (
    "100 letters and their scripts, or fonts, 4 drawings of each, 5 layers of 64 units "
    "below the heads, Adam, 300 steps of 64, 3 seeds, rates chosen on 2 further drawings"
)
DIFFERS = "nets of one hidden layer on road following, doors and pneumonia"
PROBED = 256  # examples that tasks' gradients are taken on


class Setting(NamedTuple):
    """What the cells of one pair of tasks share."""

    second: str
    architecture: str
    activation: str
    depth: int
    width: int
    letters: int
    drawings: int
    steps: int
    seeds: int
    lowest_rate: float
    highest_rate: float
    rates: int
    further_rates: int


def parts_of(own: Setting, label="letter"):
    """All letters, in three parts, with this label."""
    return alphabets.parts(glyphs.SCRIPTS, own.letters, own.drawings, label)


def branched(own: Setting, shared: int):
    """Nets for both tasks that have so many layers in common."""
    recipe = Recipe(
        architecture=own.architecture,
        activation=own.activation,
        depth=own.depth,
        width=own.width,
    )
    both = [parts_of(own, label) for label in ("letter", own.second)]
    tasks = tuple(supervised.Task(p.shape, p.classes) for p in both)
    return branches.Branched(recipe, tasks, shared)


def share_of(own: Setting, part: str):
    """(inputs, both tasks' labels) of a part of the data."""
    both = [getattr(parts_of(own, label), part) for label in ("letter", own.second)]
    return both[0].x, [one.y for one in both]


@functools.cache
def trained(own: Setting, shared: int, steps: int):
    """Runs at the best rate for letters, chosen by drawings that are held out."""
    several, data = branched(own, shared), branches.batch_of(*share_of(own, "train"))

    def by_rate(rates):
        fitted = branches.train(several, data, steps, rates, own.seeds)
        return [fitted[n * own.seeds :][: own.seeds] for n in range(len(rates))]

    held = fits.chosen_by(lambda run: run.accuracy(*share_of(own, "valid"))[0])
    grid, most = nets.rates(own._asdict()), own.further_rates
    return fits.tuned(by_rate, grid, "accuracy", held, most=most)


@functools.cache
def beforehand(own: Setting, shared: int):
    """The fresh nets' gradient down the letters' branch, and what a step of all costs."""
    several = branched(own, shared)
    data = branches.batch_of(*share_of(own, "train"))
    net, system = several.nets[0], branches.system(several)
    return fits.beforehand(net, data, own.seeds, system)


def measure(cells, shared, memory):
    """One Measured for each cell."""
    return [accuracies(cell) for cell in cells]


def accuracies(cell):
    """Both tasks' test accuracy, beside nets of their own of equal cost."""
    own = Setting(*(cell[name] for name in Setting._fields))
    tuned, before = (
        trained(own, cell["shared"], own.steps),
        beforehand(own, cell["shared"]),
    )
    right = accuracy(own, tuned)
    values = scores.values(
        score=right[:, 0],
        valid=float(np.mean(accuracy(own, tuned, "valid")[:, 0])),
        trivial=baseline("majority", own._replace(second="letter")),
        strong=baseline("svm", own._replace(second="letter")),
        before=before,
        tuned=tuned,
        examples=len(parts_of(own).test.y),
    )
    # Two nets for as many steps as cost the same in all.
    apart = beforehand(own, 0).step_mflop
    fewer = max(1, round(own.steps * before.step_mflop / apart))
    alone = accuracy(own, trained(own, 0, own.steps))
    equal = accuracy(own, trained(own, 0, fewer))
    tested = len(parts_of(own).test.y)
    values |= scores.beside("gain", right[:, 0], alone[:, 0], tested)
    values |= scores.beside("ahead", right[:, 0], equal[:, 0], tested)
    values |= scores.spread("other", right[:, 1])
    values |= scores.beside("other_gain", right[:, 1], alone[:, 1], tested)
    values |= {"other_strong": baseline("svm", own), "equal_steps": fewer}
    values |= cosines(own, cell["shared"], tuned)
    return Measured("ok", "", values, shown.profile(own, tuned, share_of(own, "test")))


def accuracy(own: Setting, tuned, part="test") -> Any:
    """Of each seed and task [seeds, 2]."""
    return np.array([run.accuracy(*share_of(own, part)) for run in tuned.runs])


def cosines(own: Setting, shared: int, tuned):
    """Of the tasks' gradients on what is shared, before training and after it."""
    several = branched(own, shared)
    x, targets = share_of(own, "train")
    every = len(x) // PROBED + 1  # of all letters, some
    batch = branches.batch_of(x[::every], [y[::every] for y in targets])
    values = {}
    for name, each in (
        ("start", [branches.fresh(several, run.seed) for run in tuned.runs]),
        ("end", [run.params for run in tuned.runs]),
    ):
        found = [branches.cosine(several, params, batch) for params in each]
        known = [cosine for cosine in found if cosine is not None]
        spread = scores.spread(f"cosine_{name}", known if known else [np.nan])
        values |= spread
    return values


@functools.cache
def baseline(name, own: Setting):
    """A baseline's test accuracy of the second task, tuned on the same drawings."""
    parts = parts_of(own, own.second)
    fitted = baselines.fit(name, *parts.train)
    return float(np.mean(fitted.predict(parts.test.x) == parts.test.y))


def fit(cells, typed):
    """The cells whose nets have so many layers."""
    kept = [cell for cell in cells if cell["shared"] <= cell["depth"] + 1]
    if not kept:
        most = max(cell["depth"] for cell in cells) + 1
        raise Refusal(f"shared {cells[0]['shared']}: the deepest net has {most} layers")
    return nets.fit(kept, typed)


def claim(key, says, name, allows, scope, source=SOURCE, differs="", doubt=after_steps):
    return Claim(
        key,
        says,
        source,
        estimate=mean_of(name),
        allows=allows,
        scope=lambda row: row["shared"] > 0 and scope(row),
        protocol=PROTOCOL,
        differs=differs,
        label=("second", "depth", "shared"),
        doubt=doubt,
    )


CLAIMS = (
    claim(
        "caruana1997.script-helps-letters",
        "after 300 steps a net that learns the related task of scripts beside letters, "
        "with layers in common, reads letters better than one for letters alone",
        *("gain", above(0.0), lambda row: row["second"] == "script"),
        differs=DIFFERS,
    ),
    claim(
        "caruana1997.font-helps-letters",
        "after 300 steps a net that learns fonts beside letters, with layers in common, "
        "reads letters better than one for letters alone",
        *("gain", above(0.0), lambda row: row["second"] == "font"),
        differs=DIFFERS,
    ),
    claim(
        "yu2020.letters-and-fonts-conflict",
        "the gradients of two tasks, letters and fonts, conflict on the layers they "
        "share once these are trained: their cosine is below 0",
        *("cosine_end", below(0.0), lambda row: row["second"] == "font"),
        source=CONFLICT,
        differs="CIFAR-100, scenes and robots, cosines in the course of training",
    ),
    claim(
        "depthbench.related-tasks-agree",
        "depthbench's own bar: the gradients of letters and of their scripts, which "
        "letters imply, agree before training: their cosine is above 0",
        *("cosine_start", above(0.0), lambda row: row["second"] == "script"),
        source="depthbench's own",
        doubt=certain,
    ),
    claim(
        "depthbench.sharing-at-equal-cost",
        "depthbench's own bar: a net with shared layers reads letters better than one of "
        "two nets that were given no more operations",
        *("ahead", above(0.0), lambda row: True),
        source="depthbench's own",
    ),
)

STUDY = Study(
    name="multitask",
    kind="experiment",
    question="Do two tasks help each other, by how many layers they share?",
    source=SOURCE,
    axes={
        "second": Axis("the task beside letters", ("script", "font"), SECOND),
        **scores.axes((4,), architectures=("mlp",)),
        "shared": whole("first layers in common", (0, 1, 3, 5), 0, single=False),
        "width": whole("units of a layer", (64,)),
        **alphabets.axes(100, 4),
        "steps": whole("steps of 64 drawings", (300,)),
        "seeds": whole("runs of each rate", (3,)),
        **nets.rate_axes(4e-4, 6.4e-3, 3),
    },
    sizes={
        "smoke": {
            "second": ("script",),
            "depth": (2,),
            "shared": (1,),
            "width": (16,),
            "letters": (30,),
            "steps": (30,),
            "seeds": (2,),
            "rates": (1,),
        },
        "full": {
            "architecture": ("mlp", "residual_mlp"),
            "depth": (4, 16),
            "shared": (0, 1, 3, 5, 9, 17),
            "width": (512,),
            "letters": (371,),
            "steps": (3000,),
        },
    },
    plan=costs.plan(compiling=9.0, layer=1.8e-4, group=all_but("shared")),
    fit=fit,
    measure="depthbench.experiments.reuse.multitask:measure",
    columns=(
        *("second", "architecture", "activation", "depth", "shared"),
        *scores.COLUMNS,
        *("gain", "gain_se", "gain_test_se"),
        *("ahead", "ahead_se", "ahead_test_se", "equal_steps"),
        *("other", "other_se", "other_strong"),
        *("other_gain", "other_gain_se", "other_gain_test_se"),
        *("cosine_start", "cosine_start_se", "cosine_end", "cosine_end_se"),
    ),
    claims=CLAIMS,
    headline=shown.headline,
    tables=lambda rows: [SCORING.table(rows, more=shown.MORE)],
    figures=shown.figures_of,
    shows=("one net for many tasks",),
    summary=SCORING.summary,
    compile_seconds=3.0,
)

if __name__ == "__main__":
    from depthbench.research.cli.main import script

    script(STUDY.name)
