"""Hopfield's memory: its energy, its fixed points, and its runs."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from depthbench.research.learning import feed, hopfield, sweeps
from depthbench.research.learning.system import Moment

SYSTEM = hopfield.system()


def patterns(count, units, seed=0):
    return jnp.asarray(
        1.0 - 2.0 * np.random.RandomState(seed).randint(0, 2, (count, units)),
        jnp.float32,
    )


def swept(spins, weights, stored, times):
    """The states before and after each of so many sweeps."""
    batch, every = {"weights": weights, "patterns": stored}, [spins]
    for number in range(times):
        moment = Moment(jnp.int32(number), jax.random.key(number))
        every.append(SYSTEM.step(every[-1], (), batch, moment)[0])
    return every


def test_the_energy_never_rises():
    stored, spins = patterns(12, 40), patterns(12, 40, seed=1)
    weights = hopfield.hebb(stored)
    levels = [
        np.asarray(hopfield.energy(weights, one))
        for one in swept(spins, weights, stored, 4)
    ]
    assert np.all(np.diff(levels, axis=0) <= 1e-5)  # rounding of sums of 1,600 terms
    assert np.all(levels[-1] < levels[0])


def test_hebb_is_the_sum_of_products():
    stored = patterns(3, 8)
    weights = np.asarray(hopfield.hebb(stored))
    by_hand = sum(np.outer(one, one) for one in np.asarray(stored)) / 8
    np.fill_diagonal(by_hand, 0)
    np.testing.assert_allclose(weights, by_hand, atol=1e-6)


def test_one_pattern_is_recalled_from_a_fifth_of_its_bits_turned():
    stored = patterns(1, 50)
    start = stored.at[:, :10].multiply(-1)
    (_, end) = swept(start, hopfield.hebb(stored), stored, 1)
    np.testing.assert_array_equal(end, stored)


@pytest.mark.parametrize("rule", [hopfield.hebb, hopfield.projection])
def test_alike_patterns_are_fixed_points_of_projection_alone(rule):
    """Patterns that differ in few bits: the Hebbian rule blurs them into one."""
    stored = jnp.tile(patterns(1, 60), (6, 1))
    stored = stored * (1 - 2 * jnp.eye(6, 60))  # each with a bit of its own turned
    (_, end) = swept(stored, rule(stored), stored, 1)
    kept = np.mean(np.all(np.asarray(end) == np.asarray(stored), axis=1))
    assert kept == (1 if rule is hopfield.projection else 0)


def test_recall_goes_on_where_it_stopped():
    """4 sweeps in one call of the loop are 2 and 2, bit for bit."""
    stored = patterns(10, 40)
    data = {"weights": hopfield.hebb(stored), "patterns": stored}
    problem = sweeps.Problem(SYSTEM, feed.whole, data, {}, {})
    programs = sweeps.programs(SYSTEM, feed.whole, 4)
    run, spins = sweeps.Run(0, ()), patterns(10, 40, seed=1)
    (whole,) = sweeps.ended(problem, [run], 4, [spins])
    begun = sweeps._begun(False)(np.uint32(0), spins)
    half, _ = programs.advance(begun, (), data, np.int32(2))
    rest, _ = programs.advance(half, (), data, np.int32(2))
    np.testing.assert_array_equal(rest.tree, whole.state.tree)
    assert not np.array_equal(rest.tree, spins)
