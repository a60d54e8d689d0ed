"""Rules of optax, and such as theirs, as optimizers: built from what makes them.

A factory takes a learning rate and gives a transformation whose updates are added. It is
built again at each step with that step's rate, which is traced, as
`optax.inject_hyperparams` does: so any schedule is exact, whatever the rule makes of it.

A rule may look at an array as a whole (a norm, a trust ratio). Here the layers of a stage
are one array [depth, …]; what the rule would do to each layer's is what counts, and how
that is had is tried once, on small arrays.
"""

import contextlib
import functools
import inspect
from collections.abc import Callable, Iterator
from typing import Any, Literal, NamedTuple

import numpy as np

from depthbench.research.catalogues.mistakes import Mistake
from depthbench.research.catalogues.modules import guarded
from depthbench.research.lazy import lazily

with lazily():
    import jax
    import jax.numpy as jnp
    import optax

Factory = Callable[..., Any]
Way = Literal["layers", "whole"]
# The names by which factories call our numbers, the first that there is.
PARAMETERS = {
    "momentum": ("b1", "momentum"),
    "decay": ("b3", "b2", "decay", "rho"),  # Adan's b2 is of differences
    "epsilon": ("eps",),
    "weight_decay": ("weight_decay", "weight_decay_rate"),
}
RATES = 0.03, 0.01, 0.02  # of the steps that are tried
SIDES = (
    2,
    128,
    130,
)  # layers, inputs, outputs: adafactor treats sides from 128 otherwise


class Signature(NamedTuple):
    """What a factory is called with. names: its parameters, by those of ours that it has.

    values: their defaults, of those that have a number.
    """

    names: dict[str, str]
    values: dict[str, float]


def signature(name: str, factory: Factory) -> Signature:
    """What a factory takes. Raises Mistake where it has no learning rate.

    >>> import optax
    >>> signature("optax:adam", optax.adam).values
    {'momentum': 0.9, 'decay': 0.999, 'epsilon': 1e-08}
    """
    with guarded(name):
        parameters = inspect.signature(factory).parameters
    if "learning_rate" not in parameters:
        raise Mistake(
            f"{name}: has no parameter learning_rate, which an optimizer needs"
        )
    needed = [
        each.name
        for each in parameters.values()
        if each.default is each.empty
        and each.name != "learning_rate"
        and each.kind not in (each.VAR_POSITIONAL, each.VAR_KEYWORD)
    ]
    if needed:
        raise Mistake(
            f"{name}: needs {', '.join(needed)}, for which there is no flag; name a "
            "function of the learning rate that gives it"
        )
    names: dict[str, str] = {}
    values: dict[str, float] = {}
    for ours, theirs in {"learning_rate": ("learning_rate",), **PARAMETERS}.items():
        there = next((each for each in theirs if each in parameters), None)
        if there and there not in names.values():
            names[ours] = there
            value = parameters[there].default
            if isinstance(value, int | float) and not isinstance(value, bool):
                values[ours] = float(value)
    return Signature(names, values)


def uphill(
    name: str, factory: Factory, numbers: dict[str, Any], tied: tuple[bool, ...]
) -> Any:
    """The negative of a rule's steps, as an optax transformation of a net's parameters.

    numbers: the factory's, the step's learning rate among them; any may be traced.
    tied: of each stage, whether its layers share one set of parameters. Raises Mistake.

    >>> import collections, optax
    >>> net = collections.namedtuple("Net", "stem stages head")(jnp.ones(2), (), {})
    >>> rule = uphill("optax:sgd", optax.sgd, {"learning_rate": 0.5}, ())
    >>> rule.update(net, rule.init(net), net)[0].stem.tolist()
    [0.5, 0.5]
    """
    by_layer = way(name, factory) == "layers"
    with guarded(name), _promoting():
        rule = factory(**numbers)

    def init(params):
        if not by_layer:
            return rule.init(params)
        return _net(params, [one(p) for one, p in _parts(rule.init, tied, params)])

    def update(updates, state, params=None):
        if not by_layer:
            updates, state = rule.update(updates, state, params)
            return jax.tree.map(jnp.negative, updates), state
        done = [
            one(u, s, p)
            for (one, u), s, (_, p) in zip(
                _parts(rule.update, tied, updates),
                (state.stem, *state.stages, state.head),
                _parts(rule.update, tied, params),
                strict=True,
            )
        ]
        uphill = [jax.tree.map(jnp.negative, each[0]) for each in done]
        return _net(updates, uphill), _net(updates, [each[1] for each in done])

    return optax.GradientTransformation(init, update)


def _net(like: Any, parts: list[Any]) -> Any:
    """Parts in the order of `_parts`, as a net's."""
    first, *stages, last = parts
    return type(like)(first, tuple(stages), last)


def _parts(function: Callable, tied: tuple[bool, ...], tree: Any) -> list[tuple]:
    """(the function, a part) of a net's stem, stages by layer, and head."""
    stages = [
        (
            function if shared or not jax.tree.leaves(stage) else jax.vmap(function),
            stage,
        )
        for stage, shared in zip(tree.stages, tied, strict=True)
    ]
    return [(function, tree.stem), *stages, (function, tree.head)]


@contextlib.contextmanager
def _promoting() -> Iterator[None]:
    """optax mixes floats and counts, and ranks."""
    with jax.numpy_dtype_promotion("standard"), jax.numpy_rank_promotion("allow"):
        yield


@functools.cache
def way(name: str, factory: Factory) -> Way:
    """How a rule treats each layer of a stage [depth, …] as an array by itself: it is
    given the "layers", or the "whole" makes no difference to it. Tried on small arrays.

    Raises Mistake where it cannot, or has no use for the learning rate after the start.

    >>> import optax
    >>> way("optax:lamb", optax.lamb)
    'layers'
    """
    with guarded(name), _promoting(), jax.ensure_compile_time_eval():
        outcome = jax.device_get(jax.jit(_tried, static_argnums=0)(factory, RATES))
    at_two = zip(*map(jax.tree.leaves, outcome["rates"]), strict=True)
    if all(np.array_equal(a, b) for a, b in at_two):
        raise Mistake(
            f"{name}: its learning rate is that of the start alone, so that no schedule "
            "would have effect"
        )
    for chosen in ("layers", "whole"):
        pairs = zip(
            *(jax.tree.leaves(outcome[one]) for one in (chosen, "apart")), strict=True
        )
        if all(np.allclose(a, b, rtol=1e-4, atol=1e-6) for a, b in pairs):
            return chosen
    raise Mistake(
        f"{name}: gives layers that are one array, [depth, …], other steps than each by "
        "itself: it takes several arrays together, or draws at random"
    )


def _tried(factory: Factory, rates: tuple[Any, ...]) -> dict[str, Any]:
    """A few steps of two layers and one array more, in each of the ways."""
    layers, *sides = SIDES
    shapes = {"kernel": (layers, *sides), "bias": (layers, sides[1])}
    numbers = np.random.RandomState(0)
    draw = lambda shape: numbers.standard_normal(shape).astype(np.float32)
    stack = {name: draw(shape) for name, shape in shapes.items()}
    end = {"kernel": draw((3, 4))}
    slopes = [
        (
            {name: draw(shape) for name, shape in shapes.items()},
            {"kernel": draw((3, 4))},
        )
        for _ in rates
    ]
    split = lambda stack: [
        {name: array[layer] for name, array in stack.items()} for layer in range(layers)
    ]
    apart = _run(
        factory, rates, (split(stack), end), [(split(g), e) for g, e in slopes]
    )
    whole = _run(factory, rates, (stack, end), slopes)
    mapped = _run(factory, rates, stack, [g for g, _ in slopes], jax.vmap)
    alone = _run(factory, rates, end, [e for _, e in slopes])
    return {
        "apart": apart[0],
        "whole": (split(whole[0][0]), whole[0][1]),
        "layers": (split(mapped[0]), alone[0]),
        "rates": tuple(apart[1](each * rates[-1]) for each in (1, 2)),
    }


def _run(
    factory: Factory,
    rates: tuple[Any, ...],
    params: Any,
    slopes: list[Any],
    mapped: Callable = lambda function: function,
) -> tuple[Any, Any]:
    """(parameters after steps, a function from another rate to the last step)."""
    state = mapped(factory(learning_rate=rates[0]).init)(params)
    for rate, slope in zip(rates, slopes, strict=True):
        step = functools.partial(_stepped, factory, mapped, slope, state, params)
        steps, state = step(rate)
        params = jax.tree.map(lambda p, u: p + u, params, steps)
    return params, lambda rate: step(rate)[0]


def _stepped(factory, mapped, slope, state, params, rate) -> tuple[Any, Any]:
    return mapped(factory(learning_rate=rate).update)(slope, state, params)
