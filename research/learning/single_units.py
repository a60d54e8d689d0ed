"""Single units as detectors of a class: which of many tells it best from the others."""

from typing import Any, NamedTuple

import numpy as np
import scipy.stats


class Detectors(NamedTuple):
    """For each class the unit that was chosen.

    units: their numbers [classes]. signs: 1 where the class is above the others, −1
    where it is below [classes]. areas: under the ROC curve, of what they were chosen by.
    """

    units: np.ndarray
    signs: np.ndarray
    areas: np.ndarray


def areas(values: Any, labels: Any, classes: int) -> np.ndarray:
    """The area under the ROC curve of each unit as a detector of each class.

    values: [examples, units]. labels: [examples]. Returns [classes, units]: `metrics.area`
    of them all, by one sorting; nan for a class without examples, or without others.

    >>> areas([[0.1], [0.4], [0.4], [0.9]], [0, 0, 1, 1], 2).ravel().tolist()
    [0.125, 0.875]
    """
    ranks = scipy.stats.rankdata(values, axis=0)
    own = np.asarray(labels) == np.arange(classes)[:, None]
    count = own.sum(axis=1, keepdims=True).astype(np.float64)
    others = own.shape[1] - count
    pairs = np.where(count * others > 0, count * others, np.nan)
    return (own.astype(np.float64) @ ranks - count * (count + 1) / 2) / pairs


def choose(values: Any, labels: Any, classes: int) -> Detectors:
    """The best unit for each class, whichever side of it the class is on.

    values: [examples, units]. labels: [examples], with examples of every class.
    Le et al. 2012, arXiv:1112.6209, section 4 (there by accuracy at the best threshold).

    >>> choose([[0.1, 5.0], [0.4, 1.0], [0.4, 0.0]], [0, 1, 1], 2).units.tolist()
    [0, 0]
    """
    area = areas(values, labels, classes)
    units = np.argmax(np.abs(area - 0.5), axis=1)
    chosen = area[np.arange(classes), units]
    signs = np.where(chosen >= 0.5, 1, -1)
    return Detectors(units, signs, np.where(signs > 0, chosen, 1 - chosen))


def judge(detectors: Detectors, values: Any, labels: Any) -> np.ndarray:
    """The area under the ROC curve of each class's own unit [classes], on other examples.

    values: [examples, units] of the same units. Below 0.5 where a unit's side has changed.

    >>> chosen = choose([[0.1], [0.4]], [0, 1], 2)
    >>> judge(chosen, [[3.0], [1.0], [2.0]], [0, 0, 1]).tolist()
    [0.5, 0.5]
    """
    classes = len(detectors.units)
    signed = np.asarray(values)[:, detectors.units] * detectors.signs
    return np.diagonal(areas(signed, labels, classes)).copy()
