"""Optimizers: one entry each, all their numbers traced, so that runs differ by vmap.

An entry says the direction of a step; its length is the learning rate times a schedule.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

from depthbench.research.catalogues import in_optax
from depthbench.research.catalogues.catalogue import Catalogue, Mistake, Own
from depthbench.research.lazy import lazily

with lazily():
    import jax
    import jax.numpy as jnp
    import optax

    from depthbench.research.catalogues import muon, schedules

Transformation = Any  # optax.GradientTransformation
BASE_WIDTH = 64  # where maximal-update parametrisation is the standard one


class Hyper(NamedTuple):
    """The numbers of one training run; any may be traced.

    momentum: decay of the gradient's average, β₁. decay: of its square's, β₂.
    clip: the largest norm of the whole gradient. warmup: steps of it.
    steps: those of the whole run, which a schedule runs over.
    None leaves a part out of the program, where it would cost time for nothing.
    """

    learning_rate: Any
    momentum: Any = None
    decay: Any = None
    epsilon: Any = None
    weight_decay: Any = None
    clip: Any = None
    warmup: Any = None
    steps: Any = 1.0


class Optimizer(NamedTuple):
    """A rule for the direction of a step.

    direction: from Hyper, and from which stages are tied, to an optax transformation.
    decoupled: weight decay shrinks the weights themselves, and is no part of the
      gradient that the rule sees.
    by_depth: the direction is divided by the root of a stage's number of layers.
    scaling: of the direction together with the decay, from which stages are tied.
    learning_rate, momentum, decay, epsilon: those it is published with; None where the
      rule has no such number. weight_decay: the same, where it has one of its own.
    takes: of a rule that makes whole steps, of the learning rate in `hyper`: which of the
      numbers it takes.
    """

    name: str
    direction: Callable[[Hyper, tuple[bool, ...]], Transformation]
    source: str
    decoupled: bool = False
    by_depth: bool = False
    scaling: Callable[[tuple[bool, ...]], Transformation] | None = None
    learning_rate: float = 1e-3
    momentum: float | None = None
    decay: float | None = None
    epsilon: float | None = None
    weight_decay: float | None = None
    takes: frozenset[str] | None = None

    def uses(self, number: str) -> bool:
        """Whether the step depends on this number of Hyper.

        >>> OPTIMIZERS["sgd"].uses("momentum"), OPTIMIZERS["adam"].uses("momentum")
        (False, True)
        """
        if self.takes is not None and number in (*_PUBLISHED, "weight_decay"):
            return number in self.takes
        return number not in _PUBLISHED or getattr(self, number) is not None

    def lacks(self, number: str) -> str:
        """A sentence's end on a number that the rule does not use, and which rules do.

        >>> OPTIMIZERS["sgd"].lacks("decay").partition(";")[0]
        'optimizer sgd does not use it'
        """
        if self.takes is not None:
            numbers = ", ".join(name for name in Hyper._fields[:-1] if self.uses(name))
            return f"optimizer {self.name} does not take it; it takes {numbers}"
        users = ", ".join(name for name, one in OPTIMIZERS.items() if one.uses(number))
        return f"optimizer {self.name} does not use it; used by {users}"

    def hyper(self, **overrides: Any) -> Hyper:
        """Its published numbers, with those that are given instead.

        Raises Mistake for a number that the rule does not use.

        >>> OPTIMIZERS["sgd"].hyper(learning_rate=0.5).learning_rate
        0.5
        """
        published = {
            name: getattr(self, name) for name in (*_PUBLISHED, "weight_decay")
        }
        chosen = {name: value for name, value in overrides.items() if value is not None}
        for name in chosen:
            if not self.uses(name):
                raise Mistake(f"{name}: {self.lacks(name)}")
        return Hyper(**{**published, **chosen})

    def rates(self, count: int) -> tuple[float, ...]:
        """`count` learning rates half a decade apart, its published one in the middle.

        >>> [f"{rate:.2g}" for rate in OPTIMIZERS["sgd"].rates(3)]
        ['0.032', '0.1', '0.32']
        """
        halves = range(-((count - 1) // 2), count // 2 + 1)
        return tuple(self.learning_rate * 10 ** (half / 2) for half in halves)


def tried(learning_rate: Any) -> tuple[Any, ...]:
    """The learning rates that a setting stands for: a tuple's, or itself alone.

    >>> tried(0.1), tried((0.1, 0.3))
    ((0.1,), (0.1, 0.3))
    """
    return learning_rate if isinstance(learning_rate, tuple) else (learning_rate,)


_PUBLISHED = ("learning_rate", "momentum", "decay", "epsilon")


def transformation(
    optimizer: Optimizer,
    hyper: Hyper,
    tied: tuple[bool, ...],
    depths: tuple[int, ...] | None = None,
) -> Transformation:
    """From gradients to the step's direction, uphill: clipped, with weight decay.

    tied: of each stage, whether its layers share one set of parameters. depths: how many
    layers the stack has that it is of, where it is a part of one.
    """
    parts = []
    if hyper.clip is not None:
        parts.append(optax.clip_by_global_norm(hyper.clip))
    decayed = []
    if hyper.weight_decay is not None and optimizer.takes is None:
        decayed.append(optax.add_decayed_weights(hyper.weight_decay))
    if not optimizer.decoupled:
        parts += decayed
    direction = optimizer.direction(hyper, tied)
    if optimizer.by_depth:
        direction = optax.chain(direction, _shorter_by_depth(tied, depths))
    parts.append(direction)
    if optimizer.decoupled:
        parts += decayed
    if optimizer.scaling is not None:
        parts.append(optimizer.scaling(tied))
    rule = optax.chain(*parts)

    def update(updates, state, params=None):
        # optax takes powers of floats by integer counts.
        with jax.numpy_dtype_promotion("standard"):
            return rule.update(updates, state, params)

    return optax.GradientTransformation(rule.init, update)


def length(optimizer: Optimizer, rate: Any) -> Any:
    """What a direction is multiplied by for a step: the rate, where it is not in it yet.

    >>> length(OPTIMIZERS["sgd"], 0.5)
    0.5
    """
    return rate if optimizer.takes is None else 1.0


def rate(schedule: Any, hyper: Hyper, step: Any) -> Any:
    """The learning rate of a step: warm-up, then the schedule over what is left.

    >>> linear = schedules.SCHEDULES["linear"]
    >>> hyper = OPTIMIZERS["sgd"].hyper(learning_rate=0.5, steps=10)
    >>> [float(rate(linear, hyper, step)) for step in (0, 5, 10)]
    [0.5, 0.25, 0.0]
    """
    step = jnp.asarray(step, jnp.float32)
    warmup = 0.0 if hyper.warmup is None else hyper.warmup
    left = jnp.maximum(hyper.steps - warmup, 1.0)
    done = jnp.clip((step - warmup) / left, 0.0, 1.0)
    factor = schedule.factor(done)
    if hyper.warmup is not None:
        factor = factor * schedules.warm(step, warmup)
    return hyper.learning_rate * factor


def _averaged(nesterov: bool):
    return lambda hyper, tied: optax.trace(hyper.momentum, nesterov)


def _rms(hyper: Hyper, tied: tuple[bool, ...]) -> Transformation:
    return optax.scale_by_rms(hyper.decay, hyper.epsilon, eps_in_sqrt=False)


def _adam(hyper: Hyper, tied: tuple[bool, ...]) -> Transformation:
    return optax.scale_by_adam(hyper.momentum, hyper.decay, hyper.epsilon)


def _adam_by_width(hyper: Hyper, tied: tuple[bool, ...]) -> Transformation:
    """Adam with steps shorter by width: its rate is the one at BASE_WIDTH.

    Kernels that read a layer's units have BASE_WIDTH / units of it; those that read the
    input, and vectors, all of it.
    """

    def shorter(path, leaf):
        reads_units = "kernel" in jax.tree_util.keystr(path[-1:])
        return leaf * (BASE_WIDTH / leaf.shape[-2]) if reads_units else leaf

    def scaled(updates, params):
        brief = lambda tree: jax.tree_util.tree_map_with_path(shorter, tree)
        stages = tuple(map(brief, updates.stages))
        return type(updates)(updates.stem, stages, brief(updates.head))

    return optax.chain(_adam(hyper, tied), optax.stateless(scaled))


def _shorter_by_depth(
    tied: tuple[bool, ...], depths: tuple[int, ...] | None
) -> Transformation:
    """Steps of a stage's layers divided by √depth: the number of layers in its stack.

    Where branches are divided by √depth too, `depth` steps of one sign then move the sum
    by as much at any depth. A tied stage has one set of parameters, and its steps stay.
    """

    def scaled(updates, params):
        counts = depths or (None,) * len(updates.stages)
        stages = tuple(
            stage
            if shared
            else jax.tree.map(lambda a, n=count: a * (n or len(a)) ** -0.5, stage)
            for stage, shared, count in zip(updates.stages, tied, counts, strict=True)
        )
        return type(updates)(updates.stem, stages, updates.head)

    return optax.stateless(scaled)


def _trusted(tied: tuple[bool, ...]) -> Transformation:
    """Directions scaled to the size of each layer's weights: LAMB's trust ratio."""
    return _by_layer(optax.scale_by_trust_ratio(), tied)


def _by_layer(inner: Transformation, tied: tuple[bool, ...]) -> Transformation:
    """A stateless rule of whole arrays, used layer by layer of each stage's stack."""

    def of(updates, params):
        return inner.update(updates, inner.init(params), params)[0]

    def update(updates, state, params=None):
        assert params is not None
        stages = [
            (of if shared else jax.vmap(of))(u, p)
            for u, p, shared in zip(updates.stages, params.stages, tied, strict=True)
        ]
        ends = (of(updates.stem, params.stem), of(updates.head, params.head))
        return type(updates)(ends[0], tuple(stages), ends[1]), state

    return optax.GradientTransformation(lambda params: optax.EmptyState(), update)


def of_factory(name: str, factory: Callable[..., Transformation]) -> Optimizer:
    """The optimizer of an optax factory, with its defaults. Raises Mistake.

    >>> import optax
    >>> of_factory("optax:adamw", optax.adamw).weight_decay
    0.0001
    """
    known = in_optax.signature(name, factory)

    def direction(hyper: Hyper, tied: tuple[bool, ...]) -> Transformation:
        given = {theirs: getattr(hyper, ours) for ours, theirs in known.names.items()}
        numbers = {name: value for name, value in given.items() if value is not None}
        return in_optax.uphill(name, factory, numbers, tied)

    takes = frozenset(known.names)
    made = Optimizer(name, direction, name.partition(":")[0], takes=takes)
    return made._replace(**known.values)


OPTIMIZERS: Catalogue[Optimizer] = Catalogue(
    "optimizer",
    [
        Optimizer(
            "sgd",
            lambda hyper, tied: optax.identity(),
            "Robbins & Monro 1951; Bottou 2010",
            learning_rate=0.1,
        ),
        Optimizer(
            "momentum",
            _averaged(nesterov=False),
            "Polyak 1964",
            learning_rate=0.01,
            momentum=0.9,
        ),
        Optimizer(
            "nesterov",
            _averaged(nesterov=True),
            "Nesterov 1983; Sutskever et al. 2013",
            learning_rate=0.01,
            momentum=0.9,
        ),
        Optimizer(
            "rmsprop",
            _rms,
            "Tieleman & Hinton 2012, lecture 6.5",
            decay=0.9,
            epsilon=1e-8,
        ),
        Optimizer(  # with ε below the root, as in optax
            "adagrad",
            lambda hyper, tied: optax.scale_by_rss(0.0, hyper.epsilon),
            "Duchi, Hazan & Singer 2011, JMLR 12:2121",
            learning_rate=0.01,
            epsilon=1e-10,
        ),
        Optimizer(
            "adam",
            _adam,
            "Kingma & Ba 2015, arXiv:1412.6980",
            momentum=0.9,
            decay=0.999,
            epsilon=1e-8,
        ),
        Optimizer(  # for nets in maximal-update parametrisation: see mlp_mup
            "adam_mup",
            _adam_by_width,
            "Yang, Hu et al. 2022, Tensor Programs V, arXiv:2203.03466, table 3",
            momentum=0.9,
            decay=0.999,
            epsilon=1e-8,
        ),
        Optimizer(  # for those whose branches are divided by √depth as well
            "adam_depth_mup",
            _adam_by_width,
            "Yang et al. 2023, Tensor Programs VI, arXiv:2310.02244, depth-μP",
            by_depth=True,
            momentum=0.9,
            decay=0.999,
            epsilon=1e-8,
        ),
        Optimizer(
            "adamw",
            _adam,
            "Loshchilov & Hutter 2019, arXiv:1711.05101",
            decoupled=True,
            momentum=0.9,
            decay=0.999,
            epsilon=1e-8,
        ),
        Optimizer(
            "lion",
            lambda hyper, tied: optax.scale_by_lion(hyper.momentum, hyper.decay),
            "Chen et al. 2023, arXiv:2302.06675",
            decoupled=True,
            learning_rate=1e-4,
            momentum=0.9,
            decay=0.99,
        ),
        Optimizer(
            "muon",
            lambda hyper, tied: muon.direction(hyper.momentum, hyper.epsilon, tied),
            "Jordan et al. 2024, github.com/KellerJordan/Muon, MuonWithAuxAdam",
            decoupled=True,
            scaling=lambda tied: muon.rates(tied),
            learning_rate=0.02,
            momentum=0.95,
            epsilon=1e-7,
        ),
        Optimizer(
            "lamb",
            _adam,
            "You et al. 2020, arXiv:1904.00962, algorithm 2",
            decoupled=True,
            scaling=_trusted,
            momentum=0.9,
            decay=0.999,
            epsilon=1e-6,
        ),
    ],
    own=Own(
        Optimizer,
        "a function of learning_rate that gives an optax transformation",
        of_factory,
    ),
)
