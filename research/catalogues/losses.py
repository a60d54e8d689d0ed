"""Losses: what a net's outputs are asked to be, as named measures of each example.

A measure is a function of the outputs [batch, …] and of the batch, a dictionary: its
`inputs` as the net reads them, its `targets`, and what else a feed puts there (a mask,
lengths). It gives a number for each example [batch].
"""

from collections.abc import Callable, Mapping
from typing import Any, Literal, NamedTuple

from depthbench.research.catalogues.catalogue import Catalogue, DataError, Own
from depthbench.research.lazy import lazily

with lazily():
    import jax.numpy as jnp
    import optax

NOT_ASKED = -1  # the label of a step whose output does not count

Measure = Callable[[Any, Mapping[str, Any]], Any]


class Loss(NamedTuple):
    """What is descended, and what else is measured of an example.

    others: further measures, by the names of their columns.
    judged: the measure by which runs are compared, and which end of it is best.
    every_step: each step of a sequence has outputs and a target, not the whole alone.
    """

    name: str
    loss: Measure
    source: str
    others: Mapping[str, Measure] = {}
    judged: tuple[Literal["lowest", "highest"], str] = ("lowest", "loss")
    every_step: bool = False

    @property
    def measures(self) -> dict[str, Measure]:
        """All of them by name; `loss` is descended."""
        return {"loss": self.loss, **self.others}

    def __hash__(self) -> int:  # the mapping has none; equal losses share programs
        return hash(self.name)


ACCURACY = ("highest", "accuracy")
SHARES = ("accuracy",)  # measures that are shares of the examples, in [0, 1]


def _labels(outputs: Any, batch: Mapping[str, Any]) -> Any:
    """The targets [batch, …]. Raises DataError unless they are a label for each output."""
    labels, shape = batch["targets"], outputs.shape[:-1]
    if not jnp.issubdtype(labels.dtype, jnp.integer) or labels.shape != shape:
        raise DataError(
            f"targets are {labels.dtype} {list(labels.shape)}; must be integers "
            f"{list(shape)}, the number of a class for each output"
        )
    return labels


def _cross_entropy(outputs: Any, batch: Mapping[str, Any]) -> Any:
    labels = _labels(outputs, batch)
    return optax.softmax_cross_entropy_with_integer_labels(outputs, labels)


def _right(outputs: Any, batch: Mapping[str, Any]) -> Any:
    """1 where the largest output is the label's, else 0."""
    right = jnp.argmax(outputs, axis=-1) == _labels(outputs, batch)
    return right.astype(jnp.float32)


def _mask(labels: Any) -> tuple[Any, Any]:
    """(1 where there is a target, else 0; how many there are) of each example."""
    mask = (labels != NOT_ASKED).astype(jnp.float32)
    return mask, jnp.maximum(jnp.sum(mask, axis=-1), 1.0)


def _token_losses(outputs: Any, batch: Mapping[str, Any]) -> Any:
    labels = _labels(outputs, batch)
    mask, count = _mask(labels)
    losses = optax.softmax_cross_entropy_with_integer_labels(
        outputs, jnp.maximum(labels, 0)
    )
    return jnp.sum(losses * mask, axis=-1) / count


def _tokens_right(outputs: Any, batch: Mapping[str, Any]) -> Any:
    mask, count = _mask(_labels(outputs, batch))
    return jnp.sum(_right(outputs, batch) * mask, axis=-1) / count


def _mean_square(outputs: Any, target: Any) -> Any:
    floats = jnp.issubdtype(target.dtype, jnp.floating)
    if not floats or target.size != outputs.size or len(target) != len(outputs):
        raise DataError(
            f"targets are {target.dtype} {list(target.shape)}; must be floats "
            f"{list(outputs.shape)}, one for each output"
        )
    apart = (outputs - target.reshape(outputs.shape)).reshape(outputs.shape[0], -1)
    return jnp.mean(jnp.square(apart), axis=-1)


LOSSES: Catalogue[Loss] = Catalogue(
    "loss",
    [
        Loss(
            "classes",
            _cross_entropy,
            "cross-entropy in nats",
            others={"accuracy": _right},
            judged=ACCURACY,
        ),
        Loss(
            "numbers",
            lambda outputs, batch: _mean_square(outputs, batch["targets"]),
            "mean square error",
        ),
        Loss(
            "tokens",
            _token_losses,
            "cross-entropy in nats, the mean over the steps that are asked",
            others={"accuracy": _tokens_right},
            judged=ACCURACY,
            every_step=True,
        ),
        Loss(
            "reconstruction",
            lambda outputs, batch: _mean_square(outputs, batch["inputs"]),
            "mean square error, the target is the input",
        ),
    ],
    own=Own(Loss),
)
