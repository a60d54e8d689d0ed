"""Muon: orthogonal steps for the kernels of layers, and Adam for all else.

As `MuonWithAuxAdam` of github.com/KellerJordan/Muon (Jordan et al. 2024), but in the
parameters' dtype, where it takes bfloat16. A convolution's kernel is a matrix of its
inputs and outputs, also in √(out / in), which there is of the kernel's two sides.
"""

from collections.abc import Callable
from typing import Any

from depthbench.research.lazy import lazily

with lazily():
    import jax
    import jax.numpy as jnp
    import optax

Transformation = Any  # optax.GradientTransformation
Tied = tuple[bool, ...]  # of each stage, whether its layers share one set of parameters

ADAM = (0.9, 0.95, 1e-10)  # β₁, β₂ and ε for what is no layer's kernel
ADAM_RATE = 3e-4 / 0.02  # its learning rate beside Muon's own
NEWTON_SCHULZ = (3.4445, -4.7750, 2.0315)  # of X, XXᵀX and (XXᵀ)²X
ITERATIONS = 5


def direction(beta: Any, epsilon: Any, tied: Tied) -> Transformation:
    """The direction of a step. beta: of the gradient's average."""

    def steps(updates, params):
        of = lambda leaf, shared: _steps(leaf, shared, epsilon)
        stages = [
            jax.tree.map(lambda leaf, shared=shared: of(leaf, shared), stage)
            for stage, shared in zip(updates.stages, tied, strict=True)
        ]
        return type(updates)(updates.stem, tuple(stages), updates.head)

    rules: dict[Any, Transformation] = {
        "matrix": optax.chain(_ahead(beta), optax.stateless(steps)),
        "other": optax.scale_by_adam(*ADAM),
    }
    return optax.partition(rules, lambda params: _labels(params, tied))


def rates(tied: Tied) -> Transformation:
    """Directions, with their decay, as long as the rate of each is beside Muon's."""

    def scaled(updates, params):
        return jax.tree.map(
            lambda u, label: u if label == "matrix" else ADAM_RATE * u,
            *(updates, _labels(updates, tied)),
        )

    return optax.stateless(scaled)


def _labels(params: Any, tied: Tied) -> Any:
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


def _ahead(beta: Any) -> Transformation:
    """M ← β M + (1 − β) G, and the same once more from there: Nesterov's step."""
    average: Callable = lambda m, g: beta * m + (1.0 - beta) * g

    def update(updates, state, params=None):
        state = jax.tree.map(average, state, updates)
        return jax.tree.map(average, state, updates), state

    zeros = lambda params: jax.tree.map(jnp.zeros_like, params)
    return optax.GradientTransformation(zeros, update)


def _steps(kernel: Any, shared: bool, epsilon: Any) -> Any:
    """Orthogonal steps of kernels [depth, *space, in, out], [*space, in, out] if shared.

    Longer by √(out / in) where a kernel has more outputs than inputs.
    """
    layers = 1 if shared else kernel.shape[0]
    x = kernel.reshape(layers, -1, kernel.shape[-1])
    longer = max(1.0, x.shape[2] / x.shape[1]) ** 0.5
    return (longer * orthogonal(x, epsilon)).reshape(kernel.shape)


def orthogonal(x: Any, epsilon: Any) -> Any:
    """Matrices [layers, rows, columns] whose singular values are brought to about 1.

    >>> x = orthogonal(jnp.diag(jnp.array([1.0, 2.0]))[None], 1e-7)
    >>> [f"{value:.2f}" for value in jnp.diag(x[0])]
    ['1.11', '0.69']
    """
    tall = x.shape[1] > x.shape[2]
    x = x.mT if tall else x
    norm = jnp.sqrt(jnp.sum(jnp.square(x), axis=(1, 2), keepdims=True))
    x = x / (norm + epsilon)
    a, b, c = NEWTON_SCHULZ
    for _ in range(ITERATIONS):
        square = x @ x.mT
        x = a * x + (b * square + c * square @ square) @ x
    return x.mT if tall else x
