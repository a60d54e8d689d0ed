"""The architectures that a study's system can be built of."""

from collections.abc import Collection

from depthbench.research.architectures import ARCHITECTURES
from depthbench.research.architectures.family import Family
from depthbench.research.catalogues.catalogue import Catalogue


def one_of(
    names: Collection[str], why: str = "is no net of this system"
) -> Catalogue[Family]:
    """The catalogue of these alone. why: what is said of another that is asked for.

    >>> list(one_of(["stacked_gru", "mlp"]))
    ['mlp', 'stacked_gru']
    """
    return ARCHITECTURES.only(lambda family: family.name in names, lambda family: why)
