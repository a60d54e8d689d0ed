"""Least squares by gradient descent, against its closed form."""

import numpy as np
import pytest

from depthbench.research.learning import feed, least_squares
from tests.learning.resumption import assert_resumes

RANDOM = np.random.default_rng(0)
X = RANDOM.standard_normal((50, 4)) * np.array([1.0, 0.7, 0.5, 0.2])
Y = X @ np.array([1.0, -2.0, 0.5, 3.0]) + 0.1 * RANDOM.standard_normal(50)


def test_the_closed_form_solves_the_normal_equations():
    found = least_squares.closed(X, Y)
    np.testing.assert_allclose(X.T @ (X @ found.solution - Y), 0, atol=1e-12)
    values = np.linalg.svd(X, compute_uv=False)
    assert found.condition == pytest.approx((values[0] / values[-1]) ** 2)


def test_descent_goes_as_its_eigenvalues_say():
    """Each part of the distance falls by |1 − rate λ| in a step: exactly, from 0."""
    found, done = least_squares.closed(X, Y), least_squares.descend(X, Y, 60)
    eigenvalues, vectors = np.linalg.eigh(X.T @ X / len(X))
    first = vectors.T @ -found.solution
    powers = (1 - found.rate * eigenvalues) ** np.arange(60)[:, None]
    wanted = np.linalg.norm(powers * first, axis=1)
    np.testing.assert_allclose(done.distance, wanted, rtol=1e-4)  # float32, 60 steps


def test_it_ends_at_the_closed_form_at_the_rate_of_its_condition():
    found, done = least_squares.closed(X, Y), least_squares.descend(X, Y, 600)
    # Float32 rounds gradients at 1e-7, and the condition number makes 1e-5 of that.
    np.testing.assert_allclose(done.weights, found.solution, rtol=1e-4)
    measured = np.log(least_squares.factor(done.distance))
    assert measured == pytest.approx(np.log(found.factor), rel=0.02)


def test_where_columns_depend_on_each_other_it_finds_the_least_solution():
    both = np.concatenate([X, X[:, :1]], axis=1)
    found = least_squares.closed(both, Y)
    assert found.condition < 1e4
    assert found.solution[0] == pytest.approx(found.solution[4])
    done = least_squares.descend(both, Y, 800)
    np.testing.assert_allclose(done.weights, found.solution, rtol=1e-3)


def test_what_never_comes_down_has_no_factor():
    assert least_squares.factor(np.linspace(1.0, 0.5, 10)) is None


def test_descent_is_resumed_bit_for_bit(tmp_path):
    data = {"inputs": X, "targets": Y, "solution": np.zeros(4)}
    data = {name: np.float32(array) for name, array in data.items()}
    system = least_squares.system(4)
    assert_resumes(system, feed.whole, data, 0.1, tmp_path)
