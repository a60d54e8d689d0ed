"""Which layers of a net are worth copying to another task, frozen or tuned?

Source: Yosinski, Clune, Bengio & Lipson 2014, arXiv:1411.1792: transfer suffers where
upper layers are specific to their first task, and, in the middle of the net, where layers
that had adapted to each other are parted; even layers of a distant task can be better
than random ones; and a net that begins with copied layers and goes on training
generalises better than one from scratch, whatever the number of layers.

A net learns Latin letters; its first layers are copied into a net for Greek and Cyrillic,
which has few drawings of each letter. "target" copies a net's layers back into its own
task, with fresh layers above: what is lost there is not the task's, but the parting's.
"""

import functools
from typing import Any, NamedTuple

from depthbench.experiments import scores
from depthbench.experiments.once import once
from depthbench.experiments.reuse import alphabets
from depthbench.experiments.reuse import transfer_shown as shown
from depthbench.experiments.reuse.letters import maps as every_map
from depthbench.experiments.reuse.transfer_claims import CLAIMS, SOURCE
from depthbench.experiments.reuse.transfer_shown import LEARNED, NONE, SCORING
from depthbench.experiments.training import costs, nets
from depthbench.experiments.training.pairs import whole
from depthbench.research.catalogues.catalogue import choices
from depthbench.research.lazy import lazily
from depthbench.research.learning.recipe import Recipe
from depthbench.research.study.axes import Axis
from depthbench.research.study.declaration import Measured, Study
from depthbench.research.study.errors import Refusal
from depthbench.research.study.plan import all_but

with lazily():
    import jax
    import numpy as np

    from depthbench.research.learning import (
        baselines,
        first_layers,
        fits,
        supervised,
    )
    from depthbench.research.learning import system as systems

LATIN, TARGET = ("latin",), ("greek", "cyrillic")
SOURCES = choices(
    "source",
    none="no layer is copied: from scratch",
    latin="a net that learned Latin letters",
    target="a net that learned the same Greek and Cyrillic letters",
    random="a net that learned nothing",
)
KEPT = choices("way", frozen="copied layers stay as they are", tuned="all layers learn")
ALONE = ("svm", "nearest")  # baselines that are given pixels, and no Latin letter
REST, UNTRAINED = 100, 200  # seeds of fresh upper layers; of nets that learned nothing


class Setting(NamedTuple):
    """What the cells of one net share."""

    architecture: str
    activation: str
    depth: int
    width: int
    letters: int
    drawings: int
    source_steps: int
    steps: int
    seeds: int
    lowest_rate: float
    highest_rate: float
    rates: int
    further_rates: int


def net_of(own: Setting, parts):
    """The setting's net, for letters of these scripts."""
    recipe = Recipe(
        architecture=own.architecture,
        activation=own.activation,
        depth=own.depth,
        width=own.width,
    )
    return fits.Net(recipe, supervised.Task(parts.shape, parts.classes))


def task_of(own: Setting):
    """The letters that layers are copied for."""
    return alphabets.parts(TARGET, own.letters, own.drawings)


def trained(own: Setting, parts, steps: int, **more):
    """A net's runs at its best rate, chosen by drawings that are held out."""

    net = net_of(own, parts)
    by_rate = fits.by_rate(net, parts.train.batch, steps, own.seeds, **more)
    grid, most = nets.rates(own._asdict()), own.further_rates
    held = fits.held(parts.valid)
    return fits.tuned(by_rate, grid, "accuracy", held, most=most)


@functools.cache
def scratch(own: Setting, steps: int):
    """Nets that learn the task from the start."""
    return trained(own, task_of(own), steps)


@functools.cache
def donors(own: Setting, source: str):
    """The nets that layers are copied from, one for each seed."""
    if source == "latin":
        parts = alphabets.parts(LATIN, own.letters, alphabets.MOST)
        return trained(own, parts, own.source_steps).runs
    if source == "target":
        return scratch(own, own.steps).runs
    net = net_of(own, task_of(own))
    return [fits.fresh(net, UNTRAINED + seed) for seed in range(own.seeds)]


def measure(cells, shared, memory):
    """One Measured for each cell."""
    return [accuracies(cell) for cell in cells]


def accuracies(cell):
    """Test accuracy of a net with copied layers, beside one from scratch."""
    own = Setting(*(cell[name] for name in Setting._fields))
    parts, plain = task_of(own), scratch(own, own.steps)
    net, system, starts = net_of(own, parts), None, None
    if cell["kept"] == "frozen":
        system = first_layers.frozen(net, cell["cut"])
    tuned = plain
    if cell["source"] != NONE:
        starts = [
            first_layers.copied(donor, fits.fresh(net, REST + seed), cell["cut"])
            for seed, donor in enumerate(donors(own, cell["source"]))
        ]
        more = {"starts": starts, "system": system}
        tuned = trained(own, parts, own.steps, **more)
    right = accuracy(tuned, parts.test)
    before = fits.beforehand(net, parts.train.batch, own.seeds, starts=starts)
    values = scores.values(
        score=right,
        valid=float(np.mean(accuracy(tuned, parts.valid))),
        trivial=1 / parts.classes,
        strong=mapped(own.letters, own.drawings),
        before=before._replace(step_mflop=step_mflop(net, system, parts)),
        tuned=tuned,
        examples=len(parts.test.y),
    )
    once, longer = (
        accuracy(scratch(own, steps), parts.test)
        for steps in (own.steps, own.steps + own.source_steps)
    )
    values |= scores.beside("gain", right, once, len(parts.test.y))
    values |= scores.beside("ahead", right, longer, len(parts.test.y))
    values["longer"] = float(np.mean(longer))
    for name in ALONE:
        values[name] = baseline(name, own.letters, own.drawings)
    return Measured("ok", "", values, shown.profile(parts, plain, tuned))


def accuracy(tuned, share) -> Any:
    """Of each seed [seeds]."""
    return np.array([run.accuracy(*share) for run in tuned.runs])


def step_mflop(net, system, parts) -> float:
    """What a training step costs, frozen layers left out of the way back."""
    hyper = fits.numbers(net, 0.0, 1)
    state = systems.start(fits.fresh(net).learner(hyper), jax.random.key(0))
    batch = parts.train.batch
    return fits.step_mflop(system or net.system, net.recipe.batch, state, hyper, batch)


@once
def mapped(letters, drawings):
    """An SVM's test accuracy on the linear map that is best for what is held out.

    Maps are those of pixels, and LDA's of Latin letters: it is given all that nets are.
    """
    parts = alphabets.parts(TARGET, letters, drawings)
    latin = alphabets.parts(LATIN, letters, alphabets.MOST)
    x = latin.train.x.reshape(latin.classes, -1, *latin.shape)
    found = []
    for name, linear in every_map(x):
        if name == "pixels" or "LDA" in name:
            codes = [linear(part.x[:, None])[:, 0] for part in parts[:3]]
            fitted = baselines.fit("svm", codes[0], parts.train.y)
            right = [
                float(np.mean(fitted.predict(code) == part.y))
                for code, part in zip(codes[1:], parts[1:3], strict=True)
            ]
            found.append(right)
    return scores.chosen(found)


@functools.cache
def baseline(name, letters, drawings):
    """A baseline's test accuracy, tuned on the same drawings."""
    parts = alphabets.parts(TARGET, letters, drawings)
    fitted = baselines.fit(name, *parts.train)
    return float(np.mean(fitted.predict(parts.test.x) == parts.test.y))


def fit(cells, typed):
    """The cells that are something of their own: none is a net from scratch twice."""
    deepest = max(cell["depth"] for cell in cells) + 1
    kept = [cell for cell in cells if cell["cut"] <= cell["depth"] + 1]
    if not kept:
        raise Refusal(f"cut {cells[0]['cut']}: the deepest net has {deepest} layers")
    kept = [cell for cell in kept if _is_one(cell)]
    if not kept:
        raise Refusal(
            "no such net: source none has cut 0 and is tuned, others have a cut of 1 or "
            "more, and random layers are frozen"
        )
    return nets.fit(kept, typed)


def _is_one(cell) -> bool:
    if cell["source"] == NONE or cell["cut"] == 0:
        return (cell["source"], cell["cut"], cell["kept"]) == (NONE, 0, "tuned")
    return (cell["source"], cell["kept"]) != ("random", "tuned")


STUDY = Study(
    name="transfer",
    kind="experiment",
    question="Which layers of a net are worth copying to another task?",
    source=SOURCE,
    axes={
        **scores.axes((2, 8), architectures=("mlp",)),
        "cut": whole("first layers that are copied", (0, 1, 3, 5, 9), 0, single=False),
        "source": Axis("where they learned", (NONE, *LEARNED, "random"), SOURCES),
        "kept": Axis("what becomes of them", ("frozen", "tuned"), KEPT),
        "width": whole("units of a layer", (64,)),
        **alphabets.axes(300, 4),
        "source_steps": whole("steps of the net that is copied from", (600,)),
        "steps": whole("steps of 64 drawings", (300,)),
        "seeds": whole("runs of each rate", (3,)),
        **nets.rate_axes(4e-4, 6.4e-3, 3),
    },
    sizes={
        "smoke": {
            "depth": (2,),
            "cut": (0, 1),
            "source": (NONE, "latin"),
            "width": (16,),
            "letters": (30,),
            "source_steps": (30,),
            "steps": (30,),
            "seeds": (2,),
            "rates": (1,),
        },
        "full": {
            "architecture": ("mlp", "residual_mlp"),
            "depth": (2, 8, 16),
            "cut": (0, 1, 3, 5, 9, 13, 17),
            "width": (512,),
            "letters": (371,),
            "source_steps": (6000,),
            "steps": (2000,),
        },
    },
    plan=costs.plan(
        compiling=1.0,
        layer=3.0e-5,
        steps=lambda cell: cell["source_steps"] + cell["steps"],
        group=all_but("cut", "source", "kept"),
    ),
    fit=fit,
    measure="depthbench.experiments.reuse.transfer:measure",
    columns=(
        *("source", "kept", "architecture", "activation", "depth", "cut"),
        *scores.COLUMNS,
        *("gain", "gain_se", "gain_test_se", "longer"),
        *("ahead", "ahead_se", "ahead_test_se", *ALONE),
    ),
    claims=CLAIMS,
    headline=shown.headline,
    tables=lambda rows: [SCORING.table(rows, more=("gain", "longer", *ALONE))],
    figures=shown.figures_of,
    shows=("transfer learning",),
    summary=SCORING.summary,
    compile_seconds=3.0,
)

if __name__ == "__main__":
    from depthbench.research.cli.main import script

    script(STUDY.name)
