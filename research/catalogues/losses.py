"""What outputs are asked to be: a loss for each example, and which of them are right."""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax

from research.catalogues.catalogue import Catalogue

NOT_ASKED = -1  # the label of a step whose output does not count


class Task(NamedTuple):
    """losses: from outputs [batch, …] and targets to a loss for each example [batch].

    right: the same, to the share of the example that is right [batch]; None where there
      is no right and wrong.
    """

    name: str
    losses: Callable[[jax.Array, jax.Array], jax.Array]
    right: Callable[[jax.Array, jax.Array], jax.Array] | None
    source: str


def _asked(labels: jax.Array) -> tuple[jax.Array, jax.Array]:
    """(1 where an answer is asked for, else 0; how many there are) of each example."""
    asked = (labels != NOT_ASKED).astype(jnp.float32)
    return asked, jnp.maximum(jnp.sum(asked, axis=-1), 1.0)


def _token_losses(outputs: jax.Array, labels: jax.Array) -> jax.Array:
    asked, count = _asked(labels)
    losses = optax.softmax_cross_entropy_with_integer_labels(
        outputs, jnp.maximum(labels, 0)
    )
    return jnp.sum(losses * asked, axis=-1) / count


def _tokens_right(outputs: jax.Array, labels: jax.Array) -> jax.Array:
    asked, count = _asked(labels)
    right = (jnp.argmax(outputs, axis=-1) == labels).astype(jnp.float32)
    return jnp.sum(right * asked, axis=-1) / count


def _mean_square(outputs: jax.Array, target: jax.Array) -> jax.Array:
    apart = (outputs - target.reshape(outputs.shape)).reshape(outputs.shape[0], -1)
    return jnp.mean(jnp.square(apart), axis=-1)


TASKS: Catalogue[Task] = Catalogue(
    "task",
    [
        Task(
            "classes",
            optax.softmax_cross_entropy_with_integer_labels,
            lambda outputs, labels: (jnp.argmax(outputs, axis=-1) == labels).astype(
                jnp.float32
            ),
            "cross-entropy in nats",
        ),
        Task("numbers", _mean_square, None, "mean square error"),
        Task(
            "tokens",
            _token_losses,
            _tokens_right,
            "cross-entropy in nats, the mean over the steps that are asked",
        ),
        Task(
            "reconstruction",
            _mean_square,
            None,
            "mean square error, the target is the input",
        ),
    ],
)
