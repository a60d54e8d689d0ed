"""Architectures: one file and one entry each.

The entry says where the builder is, so that naming an architecture imports no jax.
"""

import importlib
from collections.abc import Callable
from typing import Any, Literal, NamedTuple

from research.catalogue import Catalogue


class Branch(NamedTuple):
    """A layer h' = skip × h + scale × f(h), as mean-field theory sees it."""

    skip: float
    scale: float


class Depths(NamedTuple):
    """Which depths an architecture has.

    says: the form, for people, such as "6n + 2".
    examples: a few of them, shallow to deep: what tests and sweeps run.
    """

    says: str
    allows: Callable[[int], bool]
    examples: tuple[int, ...]


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


class Family(NamedTuple):
    """An architecture that can be built at the depths and widths it allows.

    builder: "module:function" below this package; takes `contract.Settings`.
    branch: from the depth to its mean-field form; None where there is no theory here.
    takes: what an example is: "vector" (anything, flattened), "image" [height, width,
      channels] or "sequence" [time, features]; a data set's example is read as either.
    depths: which it has. repeats: all layers are alike but for their variables, so that
      a shallower net is the first layers of a deeper one.
    width: the width (channels of the first layer, units of a state) at which the
      published net's sizes are met; None where any is as good.
    activations, normalizers: the names it can take; all if empty.
    smallest: the smallest side of an image, or length of a sequence, that it can read.
    kernels: a layer's weights in units of width², about; for estimates of time.
    space: how many of an example's dimensions a state keeps; 0 where depth is time.
    """

    name: str
    builder: str
    source: str
    branch: Callable[[int], Branch] | None = None
    takes: Literal["vector", "image", "sequence"] = "vector"
    depths: Depths = ANY_DEPTH
    repeats: bool = True
    width: int | None = None
    activations: tuple[str, ...] = ()
    normalizers: tuple[str, ...] = ()
    smallest: int = 1
    kernels: int = 1
    space: int = 0

    def build(self, settings: Any) -> Any:
        """The `contract.Architecture` of these settings."""
        module, function = self.builder.split(":")
        return getattr(importlib.import_module(f"{__name__}.{module}"), function)(
            settings
        )

    def refuses(
        self, depth: int, activation: str, normalizer: str, side: int | None = None
    ) -> str | None:
        """Why the architecture cannot be built so, with what it allows; None if it can.

        side: the smaller side of the images, or the length of the sequences, fed in.
        """
        if not self.depths.allows(depth):
            return f"{self.name} has depth {self.depths.says}, not {depth}"
        for kind, name, allowed in (
            ("activation", activation, self.activations),
            ("normalizer", normalizer, self.normalizers),
        ):
            if allowed and name not in allowed:
                return f"{self.name} takes {kind} {', '.join(allowed)}, not {name}"
        if side is not None and side < self.smallest:
            return f"{self.name} reads at least {self.smallest} a side, not {side}"
        return None


ARCHITECTURES: Catalogue[Family] = Catalogue(
    "architecture",
    [
        Family(
            "mlp",
            "mlp:build",
            "Rumelhart, Hinton & Williams 1986, Nature 323:533",
            branch=lambda depth: Branch(0.0, 1.0),
        ),
        Family(
            "residual_mlp",
            "residual:build",
            "He, Zhang, Ren & Sun 2016, arXiv:1603.05027",
            branch=lambda depth: Branch(1.0, 1.0),
        ),
        Family(
            "residual_mlp_scaled",  # branches divided by √depth
            "residual:build_scaled",
            "Hayou et al. 2021, Stable ResNet, arXiv:2010.12859",
            branch=lambda depth: Branch(1.0, depth**-0.5),
        ),
        Family(
            "rezero_mlp",
            "residual:build_rezero",
            "Bachlechner et al. 2021, ReZero, arXiv:2003.04887",
            branch=lambda depth: Branch(1.0, 0.0),
        ),
        Family(
            "highway_mlp",
            "highway:build",
            "Srivastava, Greff & Schmidhuber 2015, arXiv:1505.00387",
            kernels=2,
        ),
    ],
)
