"""The recipe of a training run: each field is declared once, here.

What follows from the declarations, and is nowhere written again: the flags of
`depthbench train`, the defaults of studies' cells, which cells one compiled program
serves, which nets share the program that draws them, which numbers several runs may
differ in, and what a run's folder records. Importing this imports no jax.
"""

import dataclasses
from collections.abc import Callable, Container, Mapping
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

from depthbench.research.architectures import ARCHITECTURES
from depthbench.research.architectures.family import ANY_DEPTH, Family
from depthbench.research.architectures.loops import LOOPS
from depthbench.research.catalogues.activations import ACTIVATIONS
from depthbench.research.catalogues.axes import Axis, flag_of
from depthbench.research.catalogues.catalogue import Catalogue, choices
from depthbench.research.catalogues.dtypes import ACTIVE
from depthbench.research.catalogues.initializers import INITIALIZERS
from depthbench.research.catalogues.losses import LOSSES
from depthbench.research.catalogues.normalizers import NORMALIZERS
from depthbench.research.catalogues.optimizers import OPTIMIZERS
from depthbench.research.catalogues.schedules import SCHEDULES
from depthbench.research.datasets import DATASETS, FORMS, Dataset

AUGMENTATIONS = choices(
    "augmentation", flip="left and right", crop="moved by up to an eighth of a side"
)
DEPTH, WIDTH = 20, 64

Role = Literal["fresh", "step", "length", "number", "runs"]


class Field(NamedTuple):
    """One field of a recipe.

    axis: its help, its standard value in a study's cell, and which values it may have.
    role: what depends on it. "fresh": fresh states, and so all programs. "step": the
      program of a step, but no fresh state. "length": how many steps, which is the
      room that a program has for its log. "number": nothing that is compiled, it is
      traced; several values are several runs of one program. "runs": how many.
    typed: the standard of `depthbench train`, where that is another.
    published: what stands for it there where it is not typed: from net and data set.
    unset: what a number is where none is given, from the run's other settings; None
      where there is none at all, such as a norm that is not clipped to.
    compiled: from the value to that by which programs are told apart.
    several: the value is a tuple of names, in their order.
    """

    axis: Axis
    role: Role
    typed: Any = None
    published: Callable[[Family, Dataset], Any] | None = None
    unset: Callable[[Mapping[str, Any]], float | None] = lambda settings: None
    compiled: Callable[[Any], Any] = lambda value: value
    several: bool = False

    @property
    def value(self) -> Any:
        """The standard value in a study's cell."""
        return self.axis.values if self.several else self.axis.values[0]


def field(axis: Axis, role: Role = "fresh", **more: Any) -> Any:
    """A field of the dataclass below. more: of `Field`."""
    declared = Field(axis, role, **more)
    return dataclasses.field(default=declared.value, metadata={"field": declared})


def _name(help: str, value: str, choices: Catalogue) -> Axis:
    return Axis(help, (value,), choices, single=True)


def _text(help: str, value: str) -> Axis:
    return Axis(help, (value,), kind="text", single=True)


def _count(help: str, value: int, high: float = 10**9) -> Axis:
    return Axis(help, (value,), kind="integer", low=1, high=high, single=True)


def _number(help: str, high: float = 1e6, **bounds: float) -> Axis:
    return Axis(help, (None,), kind="number", **{"low": 0, "high": high, **bounds})


def _of_rule(name: str) -> Callable[[Mapping[str, Any]], float | None]:
    """What the optimizer is published with."""
    return lambda settings: getattr(OPTIMIZERS[settings["optimizer"]], name)


def _of_initializer(name: str) -> Callable[[Mapping[str, Any]], float]:
    """The variance of the layers between first and last."""

    def variance(settings: Mapping[str, Any]) -> float:
        rule = INITIALIZERS[settings["initializer"]].hidden(
            ACTIVATIONS[settings["activation"]]
        )
        return getattr(rule(settings["width"], settings["width"]), name)

    return variance


def _zero(settings: Mapping[str, Any]) -> float:
    return 0.0


def _depth(family: Family, dataset: Dataset) -> int:
    if family.takes == "sequence" and not family.space:  # depth is time: read it all
        return dataset.shape[0] if len(dataset.shape) > 1 else 1
    return DEPTH if family.depths is ANY_DEPTH else family.depths.examples[0]


def _drawn_alike(initializer: str) -> str:
    """The first initialiser of the same draw: their variances are traced."""
    draw = INITIALIZERS[initializer].draw
    alike = (name for name, one in INITIALIZERS.items() if one.draw == draw)
    return next(alike, initializer)


@dataclass(frozen=True)
class Recipe:
    """What is trained, on what and how, by name. Its numbers are None where they are the
    optimizer's and the initialiser's own.

    augment: in the order they are done. data_dir: where TensorFlow Datasets has prepared
    its sets; "" for where it does.
    """

    architecture: str = field(_name("how layers are connected", "mlp", ARCHITECTURES))
    depth: int = field(
        _count(f"number of layers; default: {DEPTH}, or as published", DEPTH),
        published=_depth,
    )
    width: int = field(
        _count(f"units or channels; default: {WIDTH}, or as published", WIDTH, 10**6),
        published=lambda family, dataset: family.width or WIDTH,
    )
    activation: str = field(
        _name("the nonlinearity; default: relu, or as published", "relu", ACTIVATIONS),
        "step",
        published=lambda family, dataset: family.published_activation,
    )
    initializer: str = field(
        _name("how weights are drawn", "he_normal", INITIALIZERS), compiled=_drawn_alike
    )
    normalizer: str = field(
        _name("normaliser; default: none, or as published", "none", NORMALIZERS),
        published=lambda family, dataset: family.published_normalizer,
    )
    dataset: str = field(
        _text(f"what is learned; one of {', '.join(DATASETS)}, or {FORMS}", "digits")
    )
    data_dir: str = field(_text("folder of prepared data", ""))
    optimizer: str = field(_name("update rule", "adam", OPTIMIZERS))
    schedule: str = field(
        _name("learning-rate schedule", "constant", SCHEDULES), "step"
    )
    batch: int = field(_count("examples per step", 64, 10**6), "step")
    steps: int = field(_count("number of steps", 2000), "length")
    seeds: int = field(_count("runs per setting", 3, 10**4), "runs", typed=1)
    dtype: str = field(
        _name("what activations and products are computed in", "float32", ACTIVE)
    )
    accumulate: int = field(
        _count(
            "parts that a batch is split into, to save memory; batch norm then has "
            "the statistics of each part, as no other normaliser",
            *(1, 10**6),
        ),
        "step",
    )
    loop: str = field(
        _name("how the layers of a stage are looped over", "scan", LOOPS),
        "step",
        typed="auto",
    )
    augment: tuple[str, ...] = field(
        Axis("augmentations of training images", (), AUGMENTATIONS),
        "step",
        several=True,
    )
    learning_rate: float | None = field(
        _number("learning rate; default: the optimizer's"),
        "number",
        unset=_of_rule("learning_rate"),
    )
    momentum: float | None = field(
        _number("decay of the gradient's average, β₁", below=1.0),
        "number",
        unset=_of_rule("momentum"),
    )
    decay: float | None = field(
        _number("decay of the squared gradient's average, β₂", below=1.0),
        "number",
        unset=_of_rule("decay"),
    )
    epsilon: float | None = field(
        _number("added to the denominator of the update, ε"),
        "number",
        unset=_of_rule("epsilon"),
    )
    weight_decay: float | None = field(
        _number("weight decay, × learning rate"),
        "number",
        unset=lambda settings: _of_rule("weight_decay")(settings) or 0.0,
    )
    clip: float | None = field(
        _number("clip the gradient to this norm", above=0.0), "number"
    )
    warmup: float | None = field(
        _number("steps of linear warm-up, at most all", 1e9), "number", unset=_zero
    )
    sigma_w2: float | None = field(
        _number("weight variance × fan-in, instead of the initialiser's"),
        "number",
        unset=_of_initializer("sigma_w2"),
    )
    sigma_b2: float | None = field(
        _number("bias variance, instead of the initialiser's"),
        "number",
        unset=_of_initializer("sigma_b2"),
    )

    @property
    def program(self) -> "Recipe":
        """The same for all recipes whose steps one compiled program takes."""
        return self._only("fresh", "step")

    @property
    def drawn(self) -> "Recipe":
        """The same for all recipes whose fresh states one compiled program draws.

        Drawing is half of what a small net takes to compile.
        """
        return self._only("fresh")

    def _only(self, *roles: Role) -> "Recipe":
        values = {
            name: one.compiled(getattr(self, name))
            for name, one in FIELDS.items()
            if one.role in roles
        }
        return Recipe(**values)


FIELDS: dict[str, Field] = {
    one.name: one.metadata["field"] for one in dataclasses.fields(Recipe)
}
DEFAULTS: dict[str, Any] = {name: one.value for name, one in FIELDS.items()}
NUMBERS = tuple(name for name, one in FIELDS.items() if one.role == "number")


def of(settings: Mapping[str, Any]) -> Recipe:
    """The recipe of settings by name, which may say more; what is missing is standard."""
    return Recipe(**{name: settings[name] for name in FIELDS if name in settings})


def wrong(settings: Mapping[str, Any], strange: Container[Any] = ()) -> str:
    """What of settings that were read from a file none can be; "" where all can.

    settings: those that a training's folder records. strange: names of plugins' entries,
    which need not be loaded to be shown.
    """
    for name, one in FIELDS.items():
        if name not in settings:
            return f"{name}: is missing"
        value = settings[name]
        listed = one.several or one.role == "number"
        if listed != isinstance(value, list | tuple):
            return f"{name}: {value!r}: must be {'a list' if listed else 'one value'}"
        if one.role == "number" and not value:
            return f"{name}: is empty"
        for each in value if listed else [value]:
            if each not in strange and (why := one.axis.wrong(each)):
                return f"{name}: {why}"
    every = Axis("", (1,), kind="integer", low=1, high=settings["steps"])
    if why := every.wrong(settings.get("report_every")):
        return f"report_every: {why}"
    judged = [list(one.judged) for one in LOSSES.values()]
    return "" if settings.get("judged") in judged else "judged: is not known"


def refused(settings: Mapping[str, Any]) -> str | None:
    """Why a number would change nothing, or ask for more than there is; None if all count.

    settings: each number's values, of which None stands for none.
    """
    rule = OPTIMIZERS[settings["optimizer"]]
    for name in NUMBERS:
        given = [value for value in settings[name] if value is not None]
        typed = f"{flag_of(name)} {','.join(f'{value:g}' for value in given)}"
        if given and not rule.uses(name):
            return f"{typed}: {rule.lacks(name)}"
        if name == "warmup" and max(given, default=0) > settings["steps"]:
            return (
                f"{typed}: is longer than the run, which has {settings['steps']} steps"
            )
    return None


def compiled(settings: Mapping[str, Any]) -> tuple[Recipe, tuple[Any, ...]]:
    """What settings that one compiled program serves have in common."""
    lengths = [name for name, one in FIELDS.items() if one.role == "length"]
    return of(settings).program, tuple(settings[name] for name in lengths)
