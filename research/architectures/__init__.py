"""Architectures: one file and one entry each.

The entry says where the builder is, so that naming an architecture imports no jax.
"""

import importlib
from collections.abc import Callable
from typing import Any, NamedTuple

from research.catalogue import Catalogue


class Branch(NamedTuple):
    """A layer h' = skip × h + scale × f(h), as mean-field theory sees it."""

    skip: float
    scale: float


class Family(NamedTuple):
    """An architecture that can be built at any width and depth.

    builder: "module:function" below this package; takes `contract.Settings`.
    branch: from the depth to its mean-field form; None where there is no theory here.
    """

    name: str
    builder: str
    source: str
    branch: Callable[[int], Branch] | None = None

    def build(self, settings: Any) -> Any:
        """The `contract.Architecture` of these settings."""
        module, function = self.builder.split(":")
        return getattr(importlib.import_module(f"{__name__}.{module}"), function)(
            settings
        )


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
        ),
    ],
)
