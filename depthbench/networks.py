"""`theory(activation, sigma_w2, sigma_b2)`: the infinite-width theory of one network."""

import math

from depthbench.research.catalogues.activations import ACTIVATIONS
from depthbench.research.catalogues.catalogue import Mistake
from depthbench.research.study import plugins
from depthbench.research.theory import mean_field
from depthbench.research.theory.mean_field import Theory


def theory(activation: str, sigma_w2: float = 1.0, sigma_b2: float = 0.0) -> Theory:
    """The infinite-width theory of one plain network: χ₁, fixed points, depth scales.

    activation: a name of the catalogue. sigma_w2: σ_w², weight variance × fan-in.
    sigma_b2: σ_b², bias variance. Raises Mistake.

    >>> theory("tanh", 1.7, 0.05).phase
    'ordered'
    """
    if not isinstance(activation, str):
        raise Mistake(f"activation: {activation!r}: must be a name, such as 'tanh'")
    _check("sigma_w2", sigma_w2, 1e-12)
    _check("sigma_b2", sigma_b2, 0)
    plugins.look(ACTIVATIONS, activation)
    return mean_field.theory(ACTIVATIONS[activation], float(sigma_w2), float(sigma_b2))


def _check(name: str, value: float, low: float) -> None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise Mistake(f"{name}: {value!r}: must be a number of at least {low:g}")
    if not (math.isfinite(value) and value >= low):
        raise Mistake(f"{name}: {value!r}: must be a number of at least {low:g}")
