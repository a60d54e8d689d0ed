"""Optimizers: one entry each, all their numbers traced, so that runs differ by vmap.

An entry says the direction of a step; its length is the learning rate times a schedule.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

from research.catalogues.catalogue import Catalogue
from research.lazy import lazily

with lazily():
    import jax
    import jax.numpy as jnp
    import optax
    import optax.contrib as muon

    from research.catalogues import schedules

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
    learning_rate, momentum, decay, epsilon: those it is published with.
    """

    name: str
    direction: Callable[[Hyper, tuple[bool, ...]], Transformation]
    source: str
    decoupled: bool = False
    learning_rate: float = 1e-3
    momentum: float | None = None
    decay: float | None = None
    epsilon: float | None = None

    def hyper(self, **overrides: Any) -> Hyper:
        """Its published numbers, with those that are given instead."""
        published = {name: getattr(self, name) for name in _OWN}
        chosen = {name: value for name, value in overrides.items() if value is not None}
        return Hyper(**{**published, **chosen})

    def rates(self, count: int) -> tuple[float, ...]:
        """`count` learning rates half a decade apart, its published one in the middle.

        >>> [f"{rate:.2g}" for rate in OPTIMIZERS["sgd"].rates(3)]
        ['0.032', '0.1', '0.32']
        """
        halves = range(-((count - 1) // 2), count // 2 + 1)
        return tuple(self.learning_rate * 10 ** (half / 2) for half in halves)


def tried(learning_rate: Any) -> tuple[Any, ...]:
    """The learning rates that a setting stands for: a tuple's, or itself alone."""
    return learning_rate if isinstance(learning_rate, tuple) else (learning_rate,)


_OWN = ("learning_rate", "momentum", "decay", "epsilon")


def transformation(
    optimizer: Optimizer, hyper: Hyper, tied: tuple[bool, ...]
) -> Transformation:
    """From gradients to the step's direction, uphill: clipped, with weight decay.

    tied: of each stage, whether its layers share one set of parameters.
    """
    parts = []
    if hyper.clip is not None:
        parts.append(optax.clip_by_global_norm(hyper.clip))
    decayed = []
    if hyper.weight_decay is not None:
        decayed.append(optax.add_decayed_weights(hyper.weight_decay))
    if not optimizer.decoupled:
        parts += decayed
    parts.append(optimizer.direction(hyper, tied))
    if optimizer.decoupled:
        parts += decayed
    rule = optax.chain(*parts)

    def update(updates, state, params=None):
        # optax takes powers of floats by integer counts.
        with jax.numpy_dtype_promotion("standard"):
            return rule.update(updates, state, params)

    return optax.GradientTransformation(rule.init, update)


def rate(schedule: Any, hyper: Hyper, step: Any) -> Any:
    """The learning rate of a step: warm-up, then the schedule over what is left."""
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


def _lamb(hyper: Hyper, tied: tuple[bool, ...]) -> Transformation:
    """Adam's direction and the decay, both scaled to the size of each layer's weights."""
    parts = [_adam(hyper, tied)]
    if hyper.weight_decay is not None:
        parts.append(optax.add_decayed_weights(hyper.weight_decay))
    return optax.chain(*parts, _by_layer(optax.scale_by_trust_ratio(), tied))


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


def _muon(hyper: Hyper, tied: tuple[bool, ...]) -> Transformation:
    """Orthogonal steps for the stages' kernels; Adam for stem, head and vectors."""
    rules: dict[Any, Transformation] = {
        "matrix": optax.chain(
            muon.scale_by_muon(
                beta=hyper.momentum,
                eps=hyper.epsilon,
                weight_dimension_numbers=lambda tree: _matrices(tree, tied),
            ),
            _taller(tied),
        ),
        "other": optax.scale_by_adam(0.9, 0.95, hyper.epsilon),
    }
    return optax.partition(rules, lambda params: _labels(params, tied))


def _labels(params: Any, tied: tuple[bool, ...]) -> Any:
    """ "matrix" for the kernels of layers, "other" for all else."""

    def label(path, leaf, shared):
        name = jax.tree_util.keystr(path[-1:])
        matrix = "kernel" in name and leaf.ndim - (not shared) >= 2
        return "matrix" if matrix else "other"

    def stage(tree, shared):
        return jax.tree_util.tree_map_with_path(
            lambda path, leaf: label(path, leaf, shared), tree
        )

    other = lambda tree: jax.tree.map(lambda leaf: "other", tree)
    stages = tuple(map(stage, params.stages, tied))
    return type(params)(other(params.stem), stages, other(params.head))


def _by_stage(function: Callable, tree: Any, tied: tuple[bool, ...]) -> Any:
    """function(leaf, shared) of every leaf of the stages; stem and head stay."""
    stages = [
        jax.tree.map(lambda leaf, shared=shared: function(leaf, shared), stage)
        for stage, shared in zip(tree.stages, tied, strict=True)
    ]
    return type(tree)(tree.stem, tuple(stages), tree.head)


def _matrices(tree: Any, tied: tuple[bool, ...]) -> Any:
    """Which axes of a kernel [depth, *space, in, out] are a matrix's."""

    def numbers(leaf, shared):
        first = 0 if shared else 1
        return muon.MuonDimensionNumbers(tuple(range(first, leaf.ndim - 1)), -1)

    return _by_stage(numbers, tree, tied)


def _taller(tied: tuple[bool, ...]) -> Transformation:
    """Steps √(out / in) longer where a kernel has more outputs than inputs."""

    def longer(leaf, shared):
        fan_in = leaf.size // leaf.shape[-1] // (1 if shared else leaf.shape[0])
        return leaf * max(1.0, leaf.shape[-1] / fan_in) ** 0.5

    return optax.stateless(lambda updates, params: _by_stage(longer, updates, tied))


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
        Optimizer(
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
            _muon,
            "Jordan et al. 2024, kellerjordan.github.io/posts/muon",
            decoupled=True,
            learning_rate=0.02,
            momentum=0.95,
            epsilon=1e-8,
        ),
        Optimizer(
            "lamb",
            _lamb,
            "You et al. 2020, arXiv:1904.00962",
            momentum=0.9,
            decay=0.999,
            epsilon=1e-6,
        ),
    ],
)
