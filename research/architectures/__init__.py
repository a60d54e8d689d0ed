"""Architectures: a folder for each kind, with its entries beside their builders.

Naming an architecture imports its entry alone: builders, and jax, come with `build`.
"""

from depthbench.research.architectures import (
    autoencoder,
    convolutional,
    dense,
    recurrent,
    residual,
    transformer,
)
from depthbench.research.architectures.family import Branch, Depths, Family, of_builder
from depthbench.research.catalogues.catalogue import Catalogue, Own

# The order is that of rows and tables.
KINDS = (dense, convolutional, residual, recurrent, transformer, autoencoder)

ARCHITECTURES: Catalogue[Family] = Catalogue(
    "architecture",
    [family.in_package(kind.__name__) for kind in KINDS for family in kind.FAMILIES],
    Own(Family, "a function of Settings that builds one", of_builder),
)

__all__ = ["ARCHITECTURES", "Branch", "Depths", "Family"]
