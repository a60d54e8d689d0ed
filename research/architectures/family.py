"""An architecture's entry: where its builder is, and what it can be built from."""

import functools
import importlib
import math
from collections.abc import Callable
from typing import Any, Literal, NamedTuple

from depthbench.research.catalogues.mistakes import Mistake
from depthbench.research.catalogues.modules import guarded, named

OURS = __name__.partition(".")[0]


class Branch(NamedTuple):
    """A layer h' = skip × h + scale × f(h), as mean-field theory sees it."""

    skip: float
    scale: float


PLAIN = Branch(0.0, 1.0)


def no_skip(depth: int) -> Branch:
    """Layers without a skip."""
    return PLAIN


class Depths(NamedTuple):
    """Which depths an architecture has.

    says: the form in words, such as "6n + 2".
    examples: a few of them, shallow to deep: what tests and sweeps run.
    """

    says: str
    allows: Callable[[int], bool]
    examples: tuple[int, ...]


AROUND = 100  # more than a step between allowed depths
ANY_DEPTH = Depths("any", lambda depth: depth >= 1, (1, 4, 16, 64, 256, 1024))


def fixed(*depths: int) -> Depths:
    """These depths alone: nets that are published with so many layers."""
    says = ", ".join(map(str, depths[:-1])) + " or " * (len(depths) > 1)
    return Depths(f"{says}{depths[-1]}", lambda depth: depth in depths, depths)


def multiples(step: int, offset: int, examples: tuple[int, ...]) -> Depths:
    """step × n + offset for n ≥ 1."""
    return Depths(
        f"{step}n + {offset}" if offset else f"{step}n",
        lambda depth: depth > offset and (depth - offset) % step == 0,
        examples,
    )


EVEN_DEPTHS = multiples(2, 0, (2, 4, 16, 64, 256, 1024))  # half of it encodes


@functools.cache
def nearest(depths: Depths, depth: int) -> int:
    """The allowed depth next to one that is not, or the next of the examples, if they
    are all there are: the shallower of two.

    >>> nearest(multiples(6, 2, (8, 20)), 11), nearest(fixed(5), 10**9)
    (8, 5)
    """
    around = range(max(1, depth - AROUND), depth + AROUND)
    allowed = [d for d in (*depths.examples, *around) if depths.allows(d)]
    return min(allowed, key=lambda d: (abs(d - depth), d))


class Family(NamedTuple):
    """An architecture that can be built at the depths and widths it allows.

    builder: "module:function", the module as seen from the folder that the entry is in;
      in the catalogue its whole name. Takes `contract.Settings`.
    branch: from the depth to its mean-field form; None where there is no theory here.
    takes: what an example is: "vector" (anything, flattened), "image" [height, width,
      channels] or "sequence" [time, features]; a data set's example is read as either.
    gives: what the outputs are: a number for each of the "classes", or the example
      again: "vector" all of its numbers at once, "image" a number for each channel of
      each pixel.
    depths: which it has. repeats: all layers are alike but for their variables, so that
      a shallower net is the first layers of a deeper one.
    width: the width (channels of the first layer, units of a state) at which the
      published net's sizes are met; None where any is as good.
    step: the width is a multiple of it.
    activations, normalizers: the names it can take, the published one first; all if
      empty. activation: what it is published with, where it takes all.
    unbiased: the normalizers with which it draws no biases: σ_b² is of no use.
    smallest: the smallest side of an image, or length of a sequence, that it can read.
    kernels: a layer's weights in units of width², about; for estimates of time.
    space: how many of an example's dimensions a state keeps; 0 where depth is time.
    steps: whether it can give outputs for each step of a sequence, and "causal" if none
      of them depends on later steps.
    """

    name: str
    builder: str
    source: str
    branch: Callable[[int], Branch] | None = None
    takes: Literal["vector", "image", "sequence"] = "vector"
    gives: Literal["classes", "vector", "image"] = "classes"
    depths: Depths = ANY_DEPTH
    repeats: bool = True
    width: int | None = None
    step: int = 1
    activation: str = "relu"
    activations: tuple[str, ...] = ()
    normalizers: tuple[str, ...] = ()
    unbiased: tuple[str, ...] = ()
    smallest: int = 1
    kernels: int = 1
    space: int = 0
    steps: Literal["", "all", "causal"] = ""

    def in_package(self, package: str) -> "Family":
        """The entry with its builder's whole name; its module is in the package."""
        return self._replace(builder=f"{package}.{self.builder}")

    def build(self, settings: Any) -> Any:
        """The `contract.Architecture` of these settings. Raises Mistake for a user's."""
        module, function = self.builder.split(":")
        if not module.startswith(f"{OURS}."):
            return _built(self.name, named(self.builder), settings)
        return getattr(importlib.import_module(module), function)(settings)

    def look(self) -> None:
        """Builds it once, small. Raises Mistake where a user's builder is none."""
        from depthbench.research.architectures.contract import Settings, Weights
        from depthbench.research.catalogues.initializers import DRAWS
        from depthbench.research.catalogues.normalizers import NORMALIZERS

        weights = Weights(DRAWS["normal"], lambda fan_in, fan_out: (1.0, 0.0))
        norm = NORMALIZERS[self.published_normalizer]
        width, depth = self.width or 64 * self.step, self.depths.examples[1:2]
        depth = (*depth, *self.depths.examples)[0]
        self.build(Settings(width, depth, abs, weights, norm, 10, depth))

    @property
    def published_normalizer(self) -> str:
        """The normaliser's name that the net has of its own."""
        return self.normalizers[0] if self.normalizers else "none"

    @property
    def published_activation(self) -> str:
        """The activation's name that the net has of its own."""
        return self.activations[0] if self.activations else self.activation

    def lacks(self, depth: int) -> str | None:
        """Why the architecture has no such depth, and the nearest; None if it has."""
        if self.depths.allows(depth):
            return None
        says = f"{self.name} has depth {self.depths.says}, not {depth}"
        return f"{says}; nearest: {nearest(self.depths, depth)}"

    def refuses(
        self,
        depth: int,
        activation: str,
        normalizer: str,
        width: int | None = None,
        side: int | None = None,
    ) -> str | None:
        """Why the architecture cannot be built so, with what it allows; None if it can.

        side: the smaller side of the images, or the length of the sequences, fed in.
        """
        if why := self.lacks(depth):
            return why
        for kind, name, allowed in (
            ("activation", activation, self.activations),
            ("normalizer", normalizer, self.normalizers),
        ):
            if allowed and name not in allowed:
                return f"{self.name} takes {kind} {', '.join(allowed)}, not {name}"
        if width is not None and width % self.step:
            return f"{self.name} needs a width divisible by {self.step}, not {width}"
        if side is not None and side < self.smallest:
            return f"{self.name} needs sides of at least {self.smallest}, not {side}"
        return None

    def task(self, dataset_task: str) -> str:
        """What the net is trained for: what is asked, or its input if it gives that."""
        return dataset_task if self.gives == "classes" else "reconstruction"

    def inputs(self, shape: tuple[int, ...]) -> int:
        """How many numbers the first layer reads at once, of an example of this shape."""
        if self.takes == "vector" or len(shape) == 1:
            return math.prod(shape)
        return shape[-1] if self.takes == "image" else math.prod(shape[1:])

    def outputs(self, shape: tuple[int, ...], classes: int) -> int:
        """How many numbers the head gives, for an example or for each of its pixels."""
        return {"classes": classes, "vector": math.prod(shape), "image": shape[-1]}[
            self.gives
        ]


def of_builder(name: str, builder: Callable[[Any], Any]) -> Family:
    """The entry of a builder that is named "module:function": of any depth, no theory.

    Raises Mistake where it is none: a function of depth, say, that makes a model.
    """
    family = Family(name, name, name.partition(":")[0])
    family.look()
    return family


def _built(name: str, builder: Callable[[Any], Any], settings: Any) -> Any:
    """What a user's builder gives. Raises Mistake where that is no Architecture."""
    from depthbench.research.architectures.contract import Architecture

    with guarded(name):
        built = builder(settings)
    if not isinstance(built, Architecture):
        raise Mistake(
            f"{name}: makes {type(built).__name__} of Settings, and no Architecture, as "
            "CONTRIBUTING shows; depthbench probe takes any other model as it is"
        )
    return built
