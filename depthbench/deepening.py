"""`deepen(make, depths=…)`: one model at several depths, several seeds of each."""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from depthbench import measuring
from depthbench.measuring import Tree
from depthbench.networks import theory
from depthbench.research.catalogues.catalogue import Mistake
from depthbench.research.models.functional import functional
from depthbench.research.models.makers import Maker, draws_later, made, maker
from depthbench.research.models.taken import tried
from depthbench.research.report import deepened
from depthbench.research.report.deepened import DepthsReport
from depthbench.research.signal import profiles

Make = Callable[..., Any]


def deepen(
    make: Make,
    depths: Sequence[int] = (4, 16, 64),
    *,
    batch: Tree,
    loss: Callable[..., Any] | None = None,
    seeds: int = 3,
    kwargs: Mapping[str, Any] | None = None,
    activation: str | None = None,
    sigma_w2: float | None = None,
    sigma_b2: float = 0.0,
) -> DepthsReport:
    """The report of a model at several depths: decades per layer, and how deep it may be.

    make: from a depth to a model, or to a pair (f, params). Where the model draws its
      parameters when it is built (NNX, Equinox, pairs), make takes a second argument of
      the name `key`, `seed` or `rngs`, and is given one for each seed.
    seeds: how many draws of parameters at each depth.
    activation, sigma_w2, sigma_b2: of a plain net; the theory of it stands beside.
    The others are those of `probe`. Raises Mistake.

    >>> import jax, jax.numpy as jnp
    >>> def make(depth, key):
    ...     w = jax.random.normal(key, (depth, 8, 8)) / 8
    ...     layer = lambda h, w: (jnp.tanh(h @ w), None)
    ...     return lambda w, x: jax.lax.scan(layer, x, w)[0], w
    >>> deepen(make, depths=(2, 16), batch=jnp.eye(4, 8), seeds=2).deepest
    2
    """
    how = _checked(make, depths, seeds)
    expected = _theory(activation, sigma_w2, sigma_b2)
    probed, notes = {}, []
    for depth in sorted(dict.fromkeys(depths)):
        reports = []
        for seed in range(seeds):
            what = f"make({depth}{f', {how.random}=…' * bool(how.random)})"
            with tried("make", what):
                model = made(how, depth, seed)
            fn = functional(model, batch, loss, seed=seed, kwargs=kwargs)
            reports.append(measuring.report(fn))
            if seeds > 1 and not how.random and not draws_later(model):
                notes = [
                    "One draw: make takes no key, seed or rngs to draw others with."
                ]
                break
        probed[depth] = reports
    return deepened.report(probed, expected, notes)


def _checked(make: Any, depths: Any, seeds: Any) -> Maker:
    """How a model is made of a depth. Raises Mistake."""
    if not callable(make):
        raise Mistake(f"make: a {type(make).__name__} is no function of depth")
    if isinstance(depths, int | str) or not len(depths):
        raise Mistake(f"depths: {depths!r}: must be several whole numbers, (4, 16, 64)")
    for depth in depths:
        if isinstance(depth, bool) or not isinstance(depth, int) or depth < 1:
            raise Mistake(f"depths: {depth!r}: must be whole numbers of at least 1")
    if isinstance(seeds, bool) or not isinstance(seeds, int) or seeds < 1:
        raise Mistake(f"seeds: {seeds!r}: must be a whole number of at least 1")
    how = maker(make, of_depth=True)
    if not how.depth or how.needs:
        raise Mistake(
            "make: takes depth, and key, seed or rngs where it draws parameters; its "
            f"arguments are {', '.join(how.arguments) or 'none'}"
        )
    return how


def _theory(activation: str | None, sigma_w2: float | None, sigma_b2: float) -> float:
    """½ log10 χ₁; nan where nothing is asked for. Raises Mistake."""
    if activation is None and sigma_w2 is None:
        return math.nan
    if activation is None or sigma_w2 is None:
        lacking = "activation" if activation is None else "sigma_w2"
        raise Mistake(f"{lacking}: theory wants activation= and sigma_w2= both")
    chi_1 = theory(activation, sigma_w2, sigma_b2).chi_1
    slope = 0.5 * math.log10(chi_1) if chi_1 > 0 else math.nan
    return profiles.resolved(slope) if math.isfinite(slope) else math.nan
