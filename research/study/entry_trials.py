"""Entries of a user's, each tried on a few numbers before anything is made with it."""

from collections.abc import Callable
from typing import Any

import numpy as np

from depthbench.research.architectures.family import Family
from depthbench.research.catalogues import optimizers, plain
from depthbench.research.catalogues.activations import ACTIVATIONS, Activation
from depthbench.research.catalogues.catalogue import nearest
from depthbench.research.catalogues.initializers import DRAWS, Initializer, Rule
from depthbench.research.catalogues.mistakes import Mistake
from depthbench.research.catalogues.modules import guarded, is_name
from depthbench.research.catalogues.normalizers import Normalizer
from depthbench.research.catalogues.optimizers import Optimizer
from depthbench.research.catalogues.schedules import Schedule
from depthbench.research.lazy import lazily

with lazily():
    import jax
    import jax.numpy as jnp

    import depthbench.research.architectures.contract as contract

KERNEL = (4, 8)


def tried(entry: Any) -> None:
    """Tries an entry of any catalogue. Raises Mistake for one that cannot be used.

    >>> tried(Schedule("half", lambda done: 0.5, "a test"))
    >>> tried(Schedule("inverse", lambda done: 1 / done, "a test"))
    Traceback (most recent call last):
    depthbench.research.catalogues.mistakes.Mistake: inverse: its factor is inf at 0
    """
    if type(entry) in TRIALS:
        TRIALS[type(entry)](entry)


def _initializer(one: Initializer) -> None:
    if one.rule != "critical" and not isinstance(one.rule, Rule):
        raise Mistake(
            f"{one.name}: its rule is {one.rule!r}; must be a Rule, such as fan_in(2.0), "
            'or "critical"'
        )
    if not is_name(one.draw) and one.draw not in DRAWS:
        raise Mistake(
            f"{one.name}: unknown draw {one.draw!r}: {nearest(one.draw, list(DRAWS))}"
        )
    relu = ACTIVATIONS["relu"]
    for first in (False, True):
        with guarded(one.name):
            draw = one.kernel_init(relu, first)
        kernel = plain.kernel(one.name, draw, KERNEL)
        _check_finite(one.name, "a kernel that it draws", kernel)


def _normalizer(one: Normalizer) -> None:
    if one.statistics is None:
        return
    h = np.random.RandomState(0).normal(size=(4, 3, 6)).astype(np.float32)
    with guarded(one.name):
        pair = one.statistics(jnp.asarray(h))
    if not isinstance(pair, tuple) or len(pair) != 2:
        raise Mistake(
            f"{one.name}: its statistics are {type(pair).__name__}; must be a pair, "
            "(mean, variance)"
        )
    mean, variance = map(np.asarray, pair)
    for what, each in (("mean", mean), ("variance", variance)):
        fits = zip(each.shape, h.shape, strict=False)
        if each.ndim != h.ndim or any(own not in (1, whole) for own, whole in fits):
            raise Mistake(
                f"{one.name}: its {what} of h {list(h.shape)} is {list(each.shape)}; must "
                "have as many dimensions, each as long as h's or 1"
            )
        _check_finite(one.name, f"its {what}", each)
    if np.min(variance) < 0:
        raise Mistake(
            f"{one.name}: its variance is {np.min(variance):.3g}; must be ≥ 0"
        )


def _optimizer(one: Optimizer) -> None:
    """A step of a net of three kernels, by shapes alone."""
    with guarded(one.name):
        rule = one.direction(one.hyper(), (False,))
    if not (hasattr(rule, "init") and hasattr(rule, "update")):
        raise Mistake(
            f"{one.name}: its direction is a {type(rule).__name__}; must be an optax "
            "transformation"
        )

    def step(params: Any) -> Any:
        rule = optimizers.transformation(one, one.hyper(), (False,))
        return rule.update(params, rule.init(params), params)[0]

    layer = lambda *stack: {
        "kernel": jnp.ones((*stack, *KERNEL)),
        "bias": jnp.ones(stack),
    }
    params = contract.Variables(
        {"params": layer()}, ({"params": layer(2)},), {"params": layer()}
    )
    with guarded(one.name):
        shapes = jax.eval_shape(step, params)
    of = lambda tree: jax.tree.map(jnp.shape, tree)
    if of(shapes) != of(params):
        raise Mistake(f"{one.name}: its direction has other shapes than the gradient")


def _schedule(one: Schedule) -> None:
    for done in (0.0, 0.5):
        with guarded(one.name):
            factor = np.asarray(jax.jit(one.factor)(jnp.float32(done)))
        if factor.shape != ():
            raise Mistake(
                f"{one.name}: its factor is an array {list(factor.shape)}; must be a number"
            )
        if not np.isfinite(factor):
            raise Mistake(f"{one.name}: its factor is {factor} at {done:g}")


def _check_finite(name: str, what: str, value: np.ndarray) -> None:
    if not np.all(np.isfinite(value)):
        raise Mistake(f"{name}: {what} is not finite")


TRIALS: dict[type, Callable[[Any], None]] = {
    Activation: lambda one: plain.try_activation(one.name, one.phi),
    Initializer: _initializer,
    Normalizer: _normalizer,
    Optimizer: _optimizer,
    Schedule: _schedule,
    Family: lambda one: one.look(),
}
