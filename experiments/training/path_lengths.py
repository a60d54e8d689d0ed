"""Lengths of paths through n blocks: how many there are of each, and what they carry."""

import math

import numpy as np

PUBLISHED = (5, 17, 54)  # from how many blocks to how many, of how many


def chosen(seed, blocks, samples):
    """Masks of random paths of every length, [blocks + 1, samples, blocks]."""
    random = np.random.default_rng(seed)
    ranks = random.random((blocks + 1, samples, blocks)).argsort(axis=-1)
    return ranks < np.arange(blocks + 1)[:, None, None]


def log10_counts(blocks):
    """log10 of how many paths have each length, [blocks + 1]: binomial."""
    return np.array([math.log10(math.comb(blocks, k)) for k in range(blocks + 1)])


def shares(log10):
    """Each part's share of their sum, of log10 parts [parts]."""
    parts = 10.0 ** (log10 - np.max(log10))
    return parts / np.sum(parts)


def effective(blocks):
    """Whether paths of each length are in the published range, [blocks + 1]."""
    low, high, of = PUBLISHED
    length = np.arange(blocks + 1)
    return (low * blocks <= of * length) & (of * length <= high * blocks)


def line(log10):
    """(slope, share of the variance that it explains) of log norms by length, finite."""
    length = np.flatnonzero(np.isfinite(log10))
    values = log10[length]
    slope, start = np.polyfit(length, values, 1)
    left = np.sum((values - start - slope * length) ** 2)
    total = np.sum((values - np.mean(values)) ** 2)
    return float(slope), float(1 - left / total) if total else 0.0


def expected(blocks, factor, power=1.0):
    """Share of each length if each branch on a path multiplies it by a factor: binomial.

    power: of the number of paths of a length, by which they add up: 1 where norms are
    added, ½ where gradients of independent directions are.
    """
    length = np.arange(blocks + 1)
    return shares(power * log10_counts(blocks) + length * np.log10(factor))


def quantile(shares, part):
    """The least length up to which paths carry this part, of shares [lengths]."""
    return int(np.searchsorted(np.cumsum(shares), part))
