"""The margins of a fitted support vector machine: fast, or with a gradient.

scikit-learn's SVC of several classes is a machine for each pair of them, whose votes are
counted. Votes have no gradient; a smooth step of each margin has.
"""

import dataclasses
import itertools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from sklearn import base
from sklearn.metrics import pairwise

from depthbench.research.learning.attacks import Logits
from depthbench.research.learning.baselines import Fitted

STEEP = 3.0  # of a vote: margins are near ±1 on the vectors that carry the machine
AT_A_TIME = 4096  # examples whose kernel is in memory


def decision(model: Any, x: Any) -> np.ndarray:
    """What an RBF SVC of two classes has for its `decision_function` [examples].

    By matrix products, in a tenth of the time. x: [examples, numbers]. model: fitted, its
    gamma a number.
    """
    count = max(1, -(-len(x) // AT_A_TIME))
    return np.concatenate(
        [
            pairwise.rbf_kernel(part, model.support_vectors_, model.gamma)
            @ model.dual_coef_[0]
            + model.intercept_[0]
            for part in np.array_split(x, count)
        ]
    )


def margins(fitted: Fitted) -> Logits:
    """From inputs [batch, …] to the margins of the pairs [batch, pairs].

    fitted: the baseline "svm". Above 0 where the pair's first class is voted for; pairs
    are (0, 1), (0, 2), … of two or more classes.
    """
    learned = fitted.learned
    model = learned.model
    centre, deviation, support, weights, bias = (
        jnp.asarray(a, jnp.float32)
        for a in (
            learned.centre[None],
            learned.deviation[None],
            model.support_vectors_,
            _weights(model),
            model.intercept_[None] * _side(model),
        )
    )
    gamma = float(model.gamma)

    def of(x: jax.Array) -> jax.Array:
        inner = (x.reshape(len(x), -1) - centre) / deviation
        squares = jnp.sum(inner**2, axis=1)[:, None] + jnp.sum(support**2, axis=1)[None]
        distance = jnp.maximum(squares - 2 * inner @ support.T, 0.0)
        return jnp.exp(-gamma * distance) @ weights + bias

    return of


def narrowed(fitted: Fitted, factor: float, x: Any, y: Any) -> Fitted:
    """The machine fitted to the same x and y with gamma so many times as large.

    fitted: the baseline "svm". x: [examples, …]. y: labels [examples].
    """
    learned = fitted.learned
    gamma = factor * float(learned.model.gamma)
    model: Any = base.clone(learned.model)
    model.set_params(gamma=gamma)
    inner = learned.inner(np.asarray(x, np.float64).reshape(len(x), -1))
    learned = learned._replace(model=model.fit(inner, y))
    setting = {**fitted.setting, "gamma": factor * fitted.setting["gamma"]}
    return dataclasses.replace(fitted, setting=setting, learned=learned)


def _side(model: Any) -> float:
    """scikit-learn turns the margin of two classes alone round."""
    return -1.0 if len(model.classes_) == 2 else 1.0


def _weights(model: Any) -> np.ndarray:
    """[support vectors, pairs]: what each vector counts for in each pair's margin."""
    ends = np.cumsum([0, *model.n_support_])
    own = [slice(first, last) for first, last in itertools.pairwise(ends)]
    weights = np.zeros((ends[-1], len(model.intercept_)))
    for place, (one, other) in enumerate(_pairs(len(own))):
        # A class's vectors have a row of weights for each class but their own.
        weights[own[one], place] = model.dual_coef_[other - 1, own[one]]
        weights[own[other], place] = model.dual_coef_[one, own[other]]
    return weights * _side(model)


def _pairs(classes: int) -> list[tuple[int, int]]:
    return [(i, j) for i in range(classes) for j in range(i + 1, classes)]


def logits(fitted: Fitted) -> Logits:
    """From inputs to [batch, classes]: each class's votes less those against it, smooth.

    The largest is not always the class with the most votes: judge by `fitted.predict`.
    To climb these fools the machine more often than to climb sums of margins does.
    """
    of, classes = margins(fitted), len(fitted.classes)
    pairs = _pairs(classes)
    signs = np.zeros((len(pairs), classes), np.float32)
    for place, (one, other) in enumerate(pairs):
        signs[place, one], signs[place, other] = 1.0, -1.0
    return lambda x: jnp.tanh(STEEP * of(x)) @ signs
