"""Least squares by gradient descent, as a system, beside its closed form.

With the step 2 / (λ_max + λ_min) of the eigenvalues of XᵀX/n, the distance from the
solution falls by (κ − 1) / (κ + 1) in a step, κ = λ_max / λ_min: Nesterov 2004,
Introductory Lectures on Convex Optimization, theorem 2.1.15.
"""

import functools
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np

from depthbench.research.learning import feed, sweeps
from depthbench.research.learning.sweeps import Problem, Run
from depthbench.research.learning.system import System

SINGULAR = 1e-9  # of the largest eigenvalue: one that is smaller is 0 but for rounding
WINDOW = (1e-2, 1e-3)  # of the first distance: between them the slowest is left alone


class Closed(NamedTuple):
    """solution: of least norm [features]. condition: of what is not 0 of XᵀX/n.
    rate: the best step. factor: by which the distance then falls."""

    solution: np.ndarray
    condition: float
    rate: float
    factor: float


class Descent(NamedTuple):
    """distance: ‖w − w*‖ before each step [steps]. weights: after the last [features]."""

    distance: np.ndarray
    weights: np.ndarray


def closed(x: Any, y: Any) -> Closed:
    """The solution for x [examples, features], y [examples], and how soon it is found.

    >>> closed([[1.0, 0.0], [0.0, 0.5]], [1.0, 1.0]).condition
    4.0
    """
    x, y = np.asarray(x, np.float64), np.asarray(y, np.float64)
    eigenvalues = np.linalg.eigvalsh(x.T @ x / len(x))
    some = eigenvalues[eigenvalues > SINGULAR * eigenvalues[-1]]
    condition = float(some[-1] / some[0])
    solution = np.linalg.lstsq(x, y, rcond=SINGULAR**0.5)[0]
    rate = float(2 / (some[-1] + some[0]))
    return Closed(solution, condition, rate, (condition - 1) / (condition + 1))


@functools.cache
def system(features: int) -> System:
    """Descent on the half of the mean square error, from weights of 0.

    hyper: the step. Batches have inputs [examples, features], targets [examples] and the
    solution [features], which is looked at for the measure `distance` alone.
    """

    def begin(key, hyper):
        return jnp.zeros(features)

    def measure(weights, batch):
        return {"loss": (batch["inputs"] @ weights - batch["targets"]) ** 2 / 2}

    def step(weights, hyper, batch, moment):
        apart = batch["inputs"] @ weights - batch["targets"]
        gradient = batch["inputs"].T @ apart / len(apart)
        distance = jnp.linalg.norm(weights - batch["solution"])
        means = {"loss": jnp.mean(apart**2) / 2, "distance": distance}
        return weights - hyper * gradient, means

    return System(begin, step, measure)


def descend(x: Any, y: Any, steps: int) -> Descent:
    """Gradient descent at the best constant step."""
    found = closed(x, y)
    arrays = {"inputs": x, "targets": y, "solution": found.solution}
    data = {name: np.asarray(array, np.float32) for name, array in arrays.items()}
    problem = Problem(system(np.shape(x)[1]), feed.whole, data, {}, {})
    (done,) = sweeps.ended(problem, [Run(0, found.rate)], steps)
    weights = np.asarray(done.state.tree, np.float64)
    return Descent(np.asarray(done.log["distance"], np.float64), weights)


def factor(distance: Any) -> float | None:
    """By which a distance falls in a step, where the slowest part alone is left of it.

    None where it never comes so far down.

    >>> round(factor(0.5 ** np.arange(20)), 12)
    0.5
    """
    share = np.asarray(distance) / distance[0]
    first, last = (int(np.argmax(share < end)) for end in WINDOW)
    if not share.min() < WINDOW[1] or last <= first:
        return None
    return float((share[last] / share[first]) ** (1 / (last - first)))
