"""What Haiku's `transform` and `transform_with_state` give.

Haiku is looked for among what the user has imported, and is never imported here.
"""

import inspect
import sys
from collections.abc import Mapping
from typing import Any

from depthbench.research.lazy import lazily
from depthbench.research.models.taken import Taken, Tree, called, shapes, tried

with lazily():
    import jax


def is_one(model: Any) -> bool:
    """Whether the model is a transformed function."""
    haiku = sys.modules["haiku"]
    return isinstance(model, haiku.Transformed | haiku.TransformedWithState)


def taken(model: Any, inputs: Tree, seed: int, keywords: Mapping[str, Any]) -> Taken:
    """The function, with keys of the seed; its state is the rest. Raises Mistake."""
    stateful = isinstance(model, sys.modules["haiku"].TransformedWithState)
    key = jax.random.PRNGKey(seed)
    # None where hk.without_apply_rng took it away.
    rng = (key,) if "rng" in inspect.signature(model.apply).parameters else ()
    with tried("model", f"init({shapes(inputs)})"):
        begun = called(lambda *a, **k: model.init(key, *a, **k), inputs, keywords)
    params, rest = begun if stateful else (begun, ())

    def apply(params: Tree, rest: Tree, x: Tree) -> Tree:
        before = (params, rest) if stateful else (params,)
        run = lambda *a, **k: model.apply(*before, *rng, *a, **k)
        outputs = called(run, x, keywords)
        return outputs[0] if stateful else outputs

    def parted(given: Any) -> tuple[Any, Any]:
        pair = stateful and isinstance(given, tuple) and len(given) == 2
        return given if pair else (given, None)

    return Taken(apply, params, rest, stateful, parted)
