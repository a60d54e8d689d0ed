"""Estimates: tails and intervals against scipy's distributions and closed forms."""

import math

import numpy as np
import pytest
from scipy import stats

from depthbench.research.study import estimates
from depthbench.research.study.estimates import (
    about,
    above,
    below,
    exact,
    interval,
    mean,
    share,
)

MEANS = [mean(0.3, 0.1, 3), mean(-2.0, 0.5, 5), mean(1e-9, 1e-3, 2)]
SHARES = [share(p, n) for n in (3, 5, 20) for p in (0.0, 1 / n, 1.0)]


@pytest.mark.parametrize("estimate", MEANS)
def test_a_mean_has_students_t(estimate):
    """1e-12: both are the same function, by other series."""
    t = stats.t(estimate.seeds - 1, estimate.value, estimate.error)
    for limit in (-1.0, 0.0, 0.25, 2.0):
        p = estimates.surely_above(estimate, limit)
        assert p == pytest.approx(t.cdf(limit), abs=1e-12)
        assert estimates.surely_below(estimate, limit) == pytest.approx(1 - p)
    assert interval(estimate) == pytest.approx(t.interval(0.9), abs=1e-12)
    # Three seeds are not one, nor many: the interval is 2.92 standard errors wide.
    if estimate.seeds == 3:
        assert (interval(estimate)[1] - 0.3) / 0.1 == pytest.approx(2.92, abs=5e-3)


@pytest.mark.parametrize("estimate", SHARES)
def test_a_shares_interval_is_wilsons(estimate):
    low, high = interval(estimate)
    count = round(estimate.value * estimate.seeds)
    expected = stats.binomtest(count, estimate.seeds).proportion_ci(0.9, "wilson")
    assert (low, high) == pytest.approx((expected.low, expected.high), abs=1e-12)
    assert 0 <= low <= estimate.value <= high <= 1


@pytest.mark.parametrize("estimate", [*MEANS, *SHARES, exact(0.4)])
def test_intervals_are_what_the_tests_do_not_exclude(estimate):
    low, high = interval(estimate)
    for end, test in ((low, "surely_above"), (high, "surely_below")):
        if 0 < end < 1 and estimate.kind != "exact":  # a share's ends may be 0 and 1
            p = getattr(estimates, test)(estimate, end)
            assert p == pytest.approx(estimates.LEVEL, abs=1e-9)


def test_tests_have_one_side():
    """A one-sided test at 5 % is not a two-sided one: t = 2.5 tells them apart."""
    estimate = mean(0.25, 0.1, 4)  # one-sided p .044, two-sided .088
    assert estimates.inside(estimate, above(0.0)) == pytest.approx(0.0439, abs=1e-4)
    assert estimates.decided(estimate, above(0.0))
    assert estimates.outside(estimate, below(0.0)) == pytest.approx(0.0439, abs=1e-4)
    assert estimates.inside(estimate, below(0.0)) == pytest.approx(1 - 0.0439, abs=1e-4)


def test_within_a_tolerance_are_two_one_sided_tests():
    estimate = mean(0.0, 0.1, 3)
    p = stats.t(2).cdf(-2.0)
    assert estimates.inside(estimate, about(0.0, 0.2)) == pytest.approx(p)
    assert estimates.outside(estimate, about(0.5, 0.3)) == pytest.approx(p)
    # The wider the spread, the less is known: noise helps neither side.
    for error in (0.01, 0.1, 1.0, 10.0):
        noisier = mean(0.05, 2 * error, 3)
        for allowed in (about(0.0, 0.2), about(0.5, 0.3)):
            for test in (estimates.inside, estimates.outside):
                p, q = test(mean(0.05, error, 3), allowed), test(noisier, allowed)
                assert q >= p or p > 0.5


def test_what_is_exact_or_infinite_is_decided_and_ends_are_allowed():
    for value in (0.2, 0.5, math.inf):
        assert estimates.inside(exact(value), above(0.2)) == 0
        assert estimates.outside(exact(value), above(0.2)) == 1
    assert estimates.outside(exact(0.1), above(0.2)) == 0
    assert estimates.inside(mean(math.inf, 0.1, 3), below(5.0)) == 1
    assert estimates.outside(mean(math.inf, 0.1, 3), below(5.0)) == 0
    assert interval(exact(2.0)) == (2.0, 2.0)


@pytest.mark.parametrize(
    "estimate", [mean(0.5, None, 3), mean(0.5, 0.1, 1), mean(0.5, math.nan, 3)]
)
def test_of_one_seed_nothing_is_known(estimate):
    assert interval(estimate) == (-math.inf, math.inf)
    for allowed in (above(-1e9), below(1e9), about(0.5, 1e9)):
        assert not estimates.decided(estimate, allowed)
        assert estimates.seeds_to_decide(estimate, allowed) is None


@pytest.mark.parametrize("estimate", [*MEANS, *SHARES])
@pytest.mark.parametrize("allowed", [above(0.1), about(0.5, 0.1), below(0.7)])
def test_the_seeds_that_would_decide_are_the_fewest(estimate, allowed):
    seeds = estimates.seeds_to_decide(estimate, allowed)
    if estimates.decided(estimate, allowed):
        return
    assert seeds is not None and seeds > estimate.seeds

    def with_seeds(n):
        error = estimate.error * math.sqrt(estimate.seeds / n)
        return estimate._replace(error=error, seeds=n)

    assert estimates.decided(with_seeds(seeds), allowed)
    assert not estimates.decided(with_seeds(seeds - 1), allowed)


def test_seeds_on_the_limit_never_decide():
    assert estimates.seeds_to_decide(mean(0.1, 0.1, 3), above(0.1)) is None


def test_means_of_normal_draws_are_wrong_as_often_as_stated():
    """Of 4,000 samples of 3 seeds with mean 0, 5 % are "surely above 0", to four σ."""
    rng = np.random.default_rng(0)
    draws = rng.normal(size=(4000, 3))
    errors = draws.std(axis=1, ddof=1) / math.sqrt(3)
    wrong = np.mean(
        [
            estimates.surely_above(mean(m, e, 3), 0.0) <= estimates.LEVEL
            for m, e in zip(draws.mean(axis=1), errors, strict=True)
        ]
    )
    assert abs(wrong - 0.05) < 4 * math.sqrt(0.05 * 0.95 / 4000)


def test_what_seeds_do_not_lessen_is_added_and_has_no_end_of_freedom():
    """Welch and Satterthwaite's: of a fixed error alone the normal distribution's."""
    fixed = mean(0.3, 0.0, 3, fixed=0.1)
    assert interval(fixed, 0.025)[0] == pytest.approx(stats.norm(0.3, 0.1).ppf(0.025))
    both = mean(0.3, 0.1, 3, fixed=0.1)
    t = stats.t(2 * 2**2, 0.3, 0.1 * math.sqrt(2))  # (a + a)² / (a² / 2)
    assert interval(both, 0.025) == pytest.approx(t.interval(0.95))
    assert estimates.surely_above(both, 0.1) == pytest.approx(t.cdf(0.1))
    assert estimates.surely_below(both, 0.7) == pytest.approx(t.sf(0.7))
    assert mean(0.3, 0.1, 3, fixed=None) == mean(0.3, 0.1, 3)
    assert math.isnan(mean(0.3, None, 3, fixed=0.1).spread)


def test_more_seeds_do_not_decide_what_examples_leave_open():
    noisy = mean(0.1, 0.2, 3)
    assert estimates.seeds_to_decide(noisy, above(0.0)) is not None
    few = mean(0.1, 0.2, 3, fixed=0.1)
    assert estimates.seeds_to_decide(few, above(0.0)) is None


@pytest.mark.parametrize(("groups", "of_seeds"), [(2, 0.1), (5, 0.1), (5, 1.0)])
def test_few_groups_of_examples_are_wrong_no_more_often_than_stated(groups, of_seeds):
    """Of 4,000 nets of mean 0, judged by so few voices or photographs, whose spread is of
    those alone or as much of seeds: "surely above 0" are at most 5 %, to four σ."""
    rng = np.random.default_rng(0)
    of_groups = rng.normal(size=(4000, groups)) * math.sqrt(groups)
    seeds = rng.normal(size=(4000, 3)) * of_seeds * math.sqrt(3)
    error = lambda each: each.std(axis=1, ddof=1) / math.sqrt(each.shape[1])
    values = of_groups.mean(axis=1) + seeds.mean(axis=1)
    found = zip(values, error(seeds), error(of_groups), strict=True)
    above_0 = [
        estimates.surely_above(mean(value, of_seeds, 3, fixed, groups), 0.0)
        for value, of_seeds, fixed in found
    ]
    wrong = np.mean(np.array(above_0) <= estimates.LEVEL)
    assert wrong < 0.05 + 4 * math.sqrt(0.05 * 0.95 / 4000)
    # As if they were as many as one likes, many more of few are.
    as_known = [
        estimates.surely_above(mean(value, of_seeds, 3, fixed), 0.0)
        for value, of_seeds, fixed in zip(
            values, error(seeds), error(of_groups), strict=True
        )
    ]
    assert groups > 2 or np.mean(np.array(as_known) <= estimates.LEVEL) > 0.1


def test_of_one_group_nothing_is_known():
    assert math.isnan(mean(0.3, 0.1, 3, fixed=0.1, groups=1).error)
    assert mean(0.3, 0.0, 3, fixed=0.1, groups=2).freedom == 1
