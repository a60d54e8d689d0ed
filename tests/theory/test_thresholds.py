"""Linear rules on truth tables, against what is known of how many there are."""

import itertools

import numpy as np
import pytest

from depthbench.research.theory import thresholds


@pytest.mark.parametrize(("bits", "count"), [(2, 14), (3, 104)])
def test_as_many_tables_are_linear_as_is_known(bits, count):
    """Threshold functions of 2 and 3 variables: 14 and 104 (Muroga 1971; OEIS A000609)."""
    x, _ = thresholds.table(bits)
    patterns = itertools.product((False, True), repeat=len(x))
    assert sum(thresholds.separable(x, pattern) for pattern in patterns) == count


@pytest.mark.parametrize("bits", [2, 3])
def test_the_formula_is_what_trying_all_gives(bits):
    tried = thresholds.exhaustive_share(*thresholds.table(bits))
    assert tried == thresholds.parity_share(bits) == 0.75


def test_the_formula_is_what_trying_all_rules_of_four_bits_gives():
    """All 1,882 threshold functions of 4 variables have whole weights of at most 3."""
    x, y = thresholds.table(4)
    weights = np.array(list(itertools.product(range(-3, 4), repeat=4)))
    sums = weights @ x.T.astype(int)
    rules = {tuple(row) for bias in np.arange(-12.5, 13) for row in (sums > bias)[:, :]}
    assert len(rules) == 1882
    best = max(np.mean(np.equal(rule, y == 1)) for rule in rules)
    assert best == thresholds.parity_share(4)


@pytest.mark.parametrize("bits", [5, 6, 8])
def test_counting_bits_has_the_formulas_share(bits):
    """The rule that the proof names, and no better place for its threshold or sign."""
    x, y = thresholds.table(bits)
    ones = (x < 0).sum(axis=1)
    shares = [np.mean((ones > at) == (y == 1)) for at in range(-1, bits + 1)]
    assert max(*shares, *(1 - np.array(shares))) == thresholds.parity_share(bits)


def test_a_long_table_is_refused():
    with pytest.raises(ValueError, match="at most 8"):
        thresholds.exhaustive_share(*thresholds.table(4))
