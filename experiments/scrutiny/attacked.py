"""Classifiers under all attacks: what nets and a support vector machine still get right."""

import functools
from collections.abc import Mapping
from typing import Any, NamedTuple

from depthbench.research.lazy import lazily

with lazily():
    import jax
    import jax.numpy as jnp
    import numpy as np

    from depthbench.research.learning import (
        attacks,
        baselines,
        held_out,
        support_vectors,
    )

NARROWER = (0.5, 1.0, 2.0, 4.0)  # times gamma, which are tried


class Judgement(NamedTuple):
    """What a classifier makes of examples, each attack from the most harmful start.

    right: by attack, and `clean`, and `survived` all of them, [examples]. made: the
    attacked inputs by attack, of its first start, [examples, …]. slope: ∂loss/∂x at the
    examples as they are, [examples, …].
    """

    right: Mapping[str, Any]
    made: Mapping[str, Any]
    slope: Any


def net(run, share, epsilon: float, size: int) -> Judgement:
    """A trained net under attack.

    size: examples that the part is filled up to, so that all parts are one program.
    """
    count = len(share.y)
    fill = lambda a: np.concatenate([a, np.repeat(a[-1:], size - count, axis=0)])
    found = _judge(run.net)(run.variables, fill(share.x), fill(share.y), epsilon)
    return jax.tree.map(lambda a: np.asarray(a)[:count], found)


@functools.lru_cache(maxsize=64)
def _judge(net):
    @jax.jit
    def judge(variables, x, y, epsilon):
        logits = attacks.of_net(net.parts.net, variables)
        is_right = lambda a: jnp.argmax(logits(a), axis=1) == y
        made = attacks.tried(logits, x, y, epsilon)
        each = {name: jax.vmap(is_right)(a) for name, a in made.items()}
        right = {"clean": is_right(x), **{n: jnp.all(a, 0) for n, a in each.items()}}
        right["survived"] = functools.reduce(jnp.logical_and, right.values())
        first = {name: a[0] for name, a in made.items()}
        slope = attacks.input_gradient(attacks.cross_entropy, logits, x, y)
        return Judgement(right, first, slope)

    return judge


def slope_of(judgement: Judgement) -> dict[str, float]:
    """log10 of the median norm of ∂loss/∂x, −∞ if 0, and the share of exact zeros.

    In double precision: the squares of small numbers are 0 in float32.
    """
    slope = np.asarray(judgement.slope, np.float64).reshape(len(judgement.slope), -1)
    norm = np.median(np.linalg.norm(slope, axis=1))
    size = float(np.log10(norm)) if norm > 0 else -np.inf
    return {"input_gradient": size, "zero_gradients": float(np.mean(slope == 0))}


@functools.lru_cache(maxsize=64)
def by_epsilon(net):
    """From variables, x, y and ε to the share that is right under PGD from one start."""

    @jax.jit
    def share(variables, x, y, epsilon):
        logits = attacks.of_net(net.parts.net, variables)
        attacked = attacks.pgd(logits, x, y, epsilon, jax.random.key(0))
        return jnp.mean(jnp.argmax(logits(attacked), axis=1) == y)

    return share


class Machine(NamedTuple):
    """A support vector machine and what it still gets right of the test part, on its own.

    right: by attack, and `clean`, and what was made of other kernels, [examples].
    trivial: the share of the largest class. at_edge: of the kernels that were tried.
    """

    fitted: Any
    y: Any
    right: Mapping[str, Any]
    trivial: float
    at_edge: bool

    def left(self, made: Any) -> float:
        """The share right under its own attacks and under these inputs as well."""
        return float(
            np.mean(_survived(self.right) & (self.fitted.predict(made) == self.y))
        )

    def transferred(self, made: Any) -> float:
        """The share right of inputs that were made against another."""
        return float(np.mean(self.fitted.predict(made) == self.y))


@functools.cache
def machine(dataset: str, data_dir: str | None, epsilon: float) -> Machine:
    """The machine that is right most often under attack of the held-out examples.

    Of kernels from half to four times as narrow as is best without attacks: each is
    attacked by the gradient of its own margins, and by what PGD makes of the others, so
    that no kernel is chosen for a gradient that merely hides.
    """
    parts = held_out.parts(dataset, data_dir=data_dir)
    tuned = baselines.fit("svm", *parts.train)
    kernels = [support_vectors.narrowed(tuned, n, *parts.train) for n in NARROWER]
    x, y = (np.concatenate(pair) for pair in zip(parts.valid, parts.test, strict=True))
    held, judged = slice(len(parts.valid.y)), slice(len(parts.valid.y), None)
    pgd = [
        _made(kernel, attacks.pgd, x, y, epsilon, jax.random.key(0))
        for kernel in kernels
    ]
    left = [_right(kernel, [x, *pgd], y) for kernel in kernels]
    best = int(np.argmax([np.mean(one[held]) for one in left]))
    made = _made(kernels[best], attacks.tried, *parts.test, epsilon)
    made = {"clean": parts.test.x[None], **made, "of_others": [a[judged] for a in pgd]}
    majority = baselines.fit("majority", *parts.train).predict(parts.test.x)
    return Machine(
        kernels[best],
        parts.test.y,
        {
            name: _right(kernels[best], each, parts.test.y)
            for name, each in made.items()
        },
        float(np.mean(majority == parts.test.y)),
        best in (0, len(kernels) - 1),
    )


def _made(fitted, attack, *arguments):
    """What an attack on a machine makes, as arrays of numpy."""
    attack = functools.partial(attack, support_vectors.logits(fitted))
    return jax.tree.map(np.asarray, jax.jit(attack)(*arguments))


def _right(fitted, starts, y):
    """Whether the machine is right of every one of these inputs [starts, examples, …]."""
    return np.all([fitted.predict(start) == y for start in starts], axis=0)


def _survived(right):
    return functools.reduce(np.logical_and, right.values())
