"""Measures of predictions that a loss does not give.

What scikit-learn has (adjusted Rand index, normalised mutual information, average
precision, …) is called there.
"""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

from depthbench.research.catalogues.catalogue import DataError, Mistake
from depthbench.research.lazy import lazily

with lazily():
    import numpy as np
    import scipy.optimize as optimize
    import scipy.stats as stats


class EqualError(NamedTuple):
    """Where as many of the different are taken for the same as the other way round.

    rate: both shares, where the straight line between two thresholds has them equal.
    threshold: the score, of those that there are, from which on pairs are called the
      same with the two shares closest to each other.
    """

    rate: float
    threshold: float


def equal_error_rate(scores: Any, same: Any) -> EqualError:
    """The equal error rate of scores [pairs], which are high where `same` [pairs].

    Martin et al. 1997, Eurospeech: the DET curve. Raises DataError unless scores are
    finite, and some pairs are the same and some are not.

    >>> equal_error_rate([0.9, 0.4, 0.6, 0.1], [True, True, False, False])
    EqualError(rate=0.5, threshold=0.6)
    """
    scores, same = _scored("equal_error_rate", scores, same)
    levels, place = np.unique(-scores, return_inverse=True)
    accepted = np.cumsum(np.bincount(place, ~same, len(levels))) / np.sum(~same)
    rejected = 1 - np.cumsum(np.bincount(place, same, len(levels))) / np.sum(same)
    threshold = -levels[np.argmin(np.abs(accepted - rejected))]
    # Above all scores nothing is accepted, and every pair that is the same is rejected.
    accepted, rejected = np.append(0.0, accepted), np.append(1.0, rejected)
    after = int(np.argmax(accepted >= rejected))
    before = rejected[after - 1] - accepted[after - 1]
    share = before / (before + accepted[after] - rejected[after])
    rate = accepted[after - 1] + share * (accepted[after] - accepted[after - 1])
    return EqualError(float(rate), float(threshold))


def area(scores: Any, positive: Any) -> float:
    """The area under the ROC curve of scores [examples], high where `positive`.

    The share of pairs of a positive and a negative example in which the positive one has
    the higher score; equal scores count half. Hanley & McNeil 1982, Radiology 143:29.
    Raises DataError unless scores are finite, and both kinds are there.

    >>> area([0.1, 0.4, 0.4, 0.9], [False, False, True, True])
    0.875
    """
    scores, positive = _scored("area", scores, positive)
    count, others = int(np.sum(positive)), int(np.sum(~positive))
    ranks = stats.rankdata(scores)
    above = float(np.sum(ranks[positive])) - count * (count + 1) / 2
    return above / (count * others)


def calibration_error(probabilities: Any, labels: Any, bins: int = 15) -> float:
    """The expected calibration error of probabilities [examples, classes].

    Examples are put in bins by the largest probability, the confidence; the mean over
    examples of the distance between their bin's accuracy and its mean confidence. labels
    [examples] are numbers of classes. Guo et al. 2017, arXiv:1706.04599, equation 3.
    Raises DataError unless rows are probabilities and labels are of their classes, and
    Mistake for fewer bins than one.

    >>> calibration_error([[0.75, 0.25], [0.75, 0.25]], [0, 1])
    0.25
    """
    given, labels = np.asarray(probabilities, np.float64), np.asarray(labels)
    if bins < 1:
        raise Mistake(f"calibration_error: bins is {bins}; must be 1 or more")
    if given.ndim != 2 or labels.shape != given.shape[:1] or not given.size:
        raise DataError(
            f"calibration_error: probabilities are {list(given.shape)}, labels "
            f"{list(labels.shape)}; must be [examples, classes] and [examples]"
        )
    if not (np.all(given >= 0) and np.allclose(given.sum(axis=1), 1, atol=1e-3)):
        worst = given[
            np.argmin(np.all(given >= 0, 1) & (abs(given.sum(1) - 1) <= 1e-3))
        ]
        raise DataError(
            f"calibration_error: a row is {worst.tolist()}; must be of probabilities, "
            "which add up to 1"
        )
    _classes("calibration_error", "labels", labels)
    if labels.min() < 0 or labels.max() >= given.shape[1]:
        bad = labels[(labels < 0) | (labels >= given.shape[1])][0]
        allowed = f"0 to {given.shape[1] - 1}"
        raise DataError(f"calibration_error: a label is {bad}; must be {allowed}")
    confidence = given.max(axis=1)
    # Bin m is ((m − 1) / bins, m / bins], as in the paper.
    place = np.clip(np.ceil(confidence * bins).astype(int) - 1, 0, bins - 1)
    excess = (given.argmax(axis=1) == labels) - confidence
    return float(np.abs(np.bincount(place, excess)).sum() / len(labels))


def psnr(x: Any, y: Any, peak: float) -> float:
    """The peak signal-to-noise ratio of two arrays, in decibels; infinite where equal.

    10 log₁₀(peak² / mean square of x − y), of all numbers together. peak: the largest
    value that there can be, 255 or 1. Raises DataError unless both are finite and of one
    shape, and Mistake for a peak that is not positive.

    >>> round(psnr([0.0, 0.0], [0.1, 0.1], 1.0), 6)
    20.0
    """
    x, y = np.asarray(x, np.float64), np.asarray(y, np.float64)
    if not 0 < peak < math.inf:
        raise Mistake(f"psnr: peak is {peak}; must be positive and finite")
    if x.shape != y.shape or not x.size:
        shapes = f"x is {list(x.shape)}, y is {list(y.shape)}"
        raise DataError(f"psnr: {shapes}; must be of one shape, not empty")
    error = float(np.mean((x - y) ** 2))
    if not math.isfinite(error):
        raise DataError(f"psnr: the mean square error is {error}; x, y must be finite")
    return 10 * math.log10(peak**2 / error) if error else math.inf


def purity(clusters: Any, labels: Any) -> float:
    """The share of examples with the commonest label of their cluster.

    clusters, labels: integers [examples]. It is 1 where every example is its own
    cluster. Manning, Raghavan & Schütze 2008, section 16.3. Raises DataError unless
    there are as many labels as clusters, and some.

    >>> purity([0, 0, 0, 1], [5, 5, 6, 6])
    0.75
    """
    table = _table("purity", clusters, labels)
    return float(table.max(axis=1).sum() / table.sum())


def agreement(clusters: Any, labels: Any) -> float:
    """The share right where each cluster gets one label, and no two the same: the best.

    clusters, labels: integers [examples]. Examples of clusters that get none are wrong.
    Xie, Girshick & Farhadi 2016, arXiv:1511.06335 (accuracy); the best assignment by
    the Hungarian algorithm. Raises DataError as `purity` does.

    >>> agreement([0, 0, 1, 2], [5, 5, 6, 6])
    0.75
    """
    table = _table("agreement", clusters, labels)
    best = optimize.linear_sum_assignment(table, maximize=True)
    return float(table[best].sum() / table.sum())


def cka(x: Any, y: Any) -> float:
    """Linear centred kernel alignment of two representations of the same examples.

    ‖YᵀX‖² / (‖XᵀX‖ ‖YᵀY‖) of centred x [examples, numbers] and y [examples, others]:
    1 where one is a rotation of the other, or a multiple, and 0 where nothing in them is
    linearly related. Kornblith et al. 2019, arXiv:1905.00414, equation 5. Raises
    DataError unless both are finite, of as many examples, and no constant.

    >>> x = [[0.0, 1.0], [1.0, 0.0], [2.0, 2.0]]
    >>> round(cka(x, [[-3 * b, 3 * a] for a, b in x]), 6)
    1.0
    """
    return float(ckas([x], [y])[0, 0])


def ckas(xs: Sequence[Any], ys: Sequence[Any]) -> Any:
    """`cka` of each of xs with each of ys [len(xs), len(ys)], such as two nets' layers.

    Raises DataError as it does.

    >>> x = [[0.0, 1.0], [1.0, 0.0], [2.0, 2.0]]
    >>> ckas([x, [[0.0], [1.0], [0.0]]], [x]).round(2)
    array([[1.  ],
           [0.47]])
    """
    every = [np.asarray(one, np.float64) for one in (*xs, *ys)]
    every = [one.reshape(len(one), -1) if one.ndim else one for one in every]
    if any(one.ndim != 2 or len(one) != len(every[0]) for one in every):
        shapes = ", ".join(str(list(one.shape)) for one in every)
        raise DataError(f"cka: {shapes}; must be of as many examples")
    every = [one - one.mean(axis=0) for one in every]
    if max(one.shape[1] for one in every) > len(every[0]):
        # ‖YᵀX‖² is the inner product of XXᵀ and YYᵀ, which are smaller then.
        grams = np.array([(one @ one.T).ravel() for one in every])
        own = np.linalg.norm(grams, axis=1)
        shared = grams[: len(xs)] @ grams[len(xs) :].T
    else:
        own = np.array([np.linalg.norm(one.T @ one) for one in every])
        pairs = [[y.T @ x for y in every[len(xs) :]] for x in every[: len(xs)]]
        shared = np.array(
            [[np.linalg.norm(pair) ** 2 for pair in row] for row in pairs]
        )
    if not (np.isfinite(own).all() and own.min() > 0):
        raise DataError("cka: a representation is constant, or not finite")
    return shared / np.outer(own[: len(xs)], own[len(xs) :])


def _scored(name: str, scores: Any, kind: Any) -> tuple[Any, Any]:
    """(scores float64, kind bool). Raises DataError."""
    scores, kind = np.asarray(scores, np.float64), np.asarray(kind)
    if scores.ndim != 1 or kind.shape != scores.shape:
        shapes = f"scores are {list(scores.shape)}, the other {list(kind.shape)}"
        raise DataError(f"{name}: {shapes}; must both be of one length")
    if not np.isfinite(scores).all():
        bad = scores[~np.isfinite(scores)][0]
        raise DataError(f"{name}: a score is {bad}; must be finite")
    if not np.isin(kind, (0, 1)).all():
        bad = kind[~np.isin(kind, (0, 1))][0]
        raise DataError(f"{name}: an example is of kind {bad}; must be true or false")
    kind = kind.astype(bool)
    if not 0 < np.sum(kind) < len(kind):
        found = f"{int(np.sum(kind))} of {len(kind)} examples are true"
        raise DataError(f"{name}: {found}; some must be true and some false")
    return scores, kind


def _classes(name: str, what: str, values: Any) -> None:
    if values.dtype.kind not in "biu":
        raise DataError(f"{name}: {what} are {values.dtype}; must be integers")


def _table(name: str, clusters: Any, labels: Any) -> Any:
    """How many examples of each cluster have each label [clusters, labels]."""
    clusters, labels = np.asarray(clusters), np.asarray(labels)
    if clusters.ndim != 1 or clusters.shape != labels.shape or not clusters.size:
        shapes = f"clusters are {list(clusters.shape)}, labels {list(labels.shape)}"
        raise DataError(f"{name}: {shapes}; must both be [examples], not empty")
    _classes(name, "clusters", clusters)
    _classes(name, "labels", labels)
    rows, row = np.unique(clusters, return_inverse=True)
    columns, column = np.unique(labels, return_inverse=True)
    table = np.zeros((len(rows), len(columns)), np.int64)
    np.add.at(table, (row, column), 1)
    return table
