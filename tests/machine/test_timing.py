"""Behaviour of the clock: what is counted, waited for and forbidden; never how long."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from depthbench.research.machine import timing

pytestmark = pytest.mark.usefixtures("compiled_anew")


def test_stages_are_all_there_and_the_compiled_function_computes():
    x = jnp.arange(4.0)
    staged = timing.stages(lambda x: jnp.sum(x * x), x)
    parts = (staged.trace_s, staged.lower_s, staged.compile_s, staged.first_step_s)
    assert all(part > 0 for part in parts)
    assert staged.total_s == pytest.approx(sum(parts[:3]))
    assert float(staged.compiled(x)) == 14.0


def test_every_call_of_stages_traces_anew():
    traced = []

    def function(x):
        traced.append(x)
        return x + 1.0

    for _ in range(3):
        timing.stages(function, jnp.zeros(2))
    assert len(traced) == 3


def test_repeat_warms_up_and_makes_at_least_n_calls():
    called = []
    measured = timing.repeat(lambda: called.append(1), n=4, seconds=0.0)
    assert measured.n == 4
    assert len(called) == 5
    assert 0 <= measured.low_ms <= measured.median_ms <= measured.high_ms


def test_repeat_goes_on_for_the_seconds_asked():
    measured = timing.repeat(lambda: sum(range(100)), n=1, seconds=0.01)
    assert measured.n > 1


def test_repeat_refuses_calls_that_copy_from_the_host():
    double = jax.jit(lambda x: 2.0 * x)
    with pytest.raises(Exception, match="Disallowed host-to-device transfer"):
        timing.repeat(lambda: double(np.ones(3, np.float32)), n=1, seconds=0.0)


def test_interleaved_takes_turns():
    order = []
    seconds = timing.interleaved(
        {"a": lambda: order.append("a"), "b": lambda: order.append("b")}, n=3
    )
    assert order == ["a", "b"] * 4  # a round to warm up, then three
    assert {name: len(values) for name, values in seconds.items()} == {"a": 3, "b": 3}


def test_ratio_is_paired_by_round():
    slow_rounds = np.array([1.0, 10.0, 100.0])
    assert timing.ratio(2 * slow_rounds, slow_rounds) == timing.Spread(2.0, 2.0, 2.0, 3)


def test_first_counts_compilation_once():
    double = jax.jit(lambda x: 2.0 * x + 1.0)
    x = jnp.ones(3)
    first = timing.first(lambda: double(x))
    again = timing.first(lambda: double(x))
    assert 0 < first.compile_s <= first.total_s
    assert again.compile_s == 0
    assert np.array_equal(first.result, again.result)


def test_stages_donate_and_hand_on_the_first_result():
    add = lambda held, x: (held + x, held)
    donated, x = jnp.arange(4.0), jnp.ones(4)
    staged = timing.stages(add, donated, x, donate=(0,))
    assert donated.is_deleted() and not x.is_deleted()
    np.testing.assert_array_equal(staged.result[0], np.arange(4.0) + 1)
    assert len(staged.traced.jaxpr.jaxpr.eqns) == 1
    plan = timing.planned(staged.compiled)
    assert plan is None or plan.peak >= plan.scratch >= 0


def test_what_does_not_fit_is_not_called():
    called = []

    def noting(x):
        jax.debug.callback(lambda: called.append(1))
        return x + 1.0

    if timing.planned(jax.jit(noting).lower(1.0).compile()) is None:
        pytest.skip("XLA does not say what it plans here")
    with pytest.raises(MemoryError, match="GiB"):
        timing.stages(noting, jnp.ones(1000), memory=100)
    assert not called


def by_hand(values, share):
    """The quantile between sorted values, a straight line from each to the next."""
    ordered, place = sorted(values), share * (len(values) - 1)
    low = int(place)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (place - low) * (ordered[high] - ordered[low])


@pytest.mark.parametrize("count", [1, 2, 3, 4, 7, 100])
def test_a_spread_is_the_median_and_the_quartiles(count):
    random = np.random.default_rng(count)
    for values in (random.exponential(size=count), -random.pareto(1.5, size=count)):
        spread = timing.spread(values)
        quartiles = (spread.low, spread.median, spread.high)
        wanted = [by_hand(values.tolist(), share) for share in (0.25, 0.5, 0.75)]
        np.testing.assert_allclose(quartiles, wanted, rtol=1e-12)
        assert spread.n == count
        times = timing.times(values)
        in_ms = (times.low_ms, times.median_ms, times.high_ms)
        np.testing.assert_allclose(in_ms, 1e3 * np.array(wanted), rtol=1e-12)
        assert timing.ratio(values, np.full(count, 2.0)) == timing.spread(values / 2)
