"""Schedules: the factor of the learning rate during training.

optax has these too, but compares their numbers in Python: they cannot be traced there,
and so not be vmapped over.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

from depthbench.research.catalogues.catalogue import Catalogue, Own
from depthbench.research.lazy import lazily

with lazily():
    import jax.numpy as jnp


class Schedule(NamedTuple):
    """factor: from the share of training that is done, 0 to 1, to a factor."""

    name: str
    factor: Callable[[Any], Any]
    source: str


def warm(step: Any, steps: Any) -> Any:
    """The factor of a linear warm-up: 1 / steps at step 0, 1 from step `steps` − 1 on.

    Source: Goyal et al. 2017, arXiv:1706.02677, section 2.2.

    >>> [float(warm(step, 4)) for step in range(5)]
    [0.25, 0.5, 0.75, 1.0, 1.0]
    """
    return jnp.minimum(1.0, (step + 1.0) / jnp.maximum(steps, 1.0))


SCHEDULES: Catalogue[Schedule] = Catalogue(
    "schedule",
    [
        Schedule("constant", lambda done: jnp.ones_like(done), "Robbins & Monro 1951"),
        Schedule(
            "cosine",
            lambda done: 0.5 * (1 + jnp.cos(jnp.pi * done)),
            "Loshchilov & Hutter 2017, SGDR, arXiv:1608.03983",
        ),
        Schedule(
            "linear",
            lambda done: 1 - done,
            "Devlin et al. 2019, BERT, arXiv:1810.04805, appendix A.2",
        ),
        Schedule(
            "step",  # a tenth of it after a half, a hundredth after three quarters
            lambda done: jnp.where(done < 0.5, 1.0, jnp.where(done < 0.75, 0.1, 0.01)),
            "He, Zhang, Ren & Sun 2016, arXiv:1512.03385, section 4.2",
        ),
    ],
    own=Own(Schedule),
)
