"""Sentences without a net: the nearest scene's, and a template filled in from blobs.

Devlin et al. 2015, arXiv:1505.04467: captions of the nearest images do as well as many
nets by automatic measures. The template is told more than a net: the palette, and that
the ground of a scene has one colour. Pixels go to the nearest of these, connected ones
are a blob, its middle says where it is, and a support vector machine what shape it has.
"""

from typing import Any, NamedTuple

import numpy as np
import sklearn.svm as svm

from depthbench.research.datasets import captions
from depthbench.research.datasets.captions import Captioned
from depthbench.research.datasets.scenes import RGB
from depthbench.research.learning import blobs as blobs_of

SMOOTH = (0.0, 0.5)  # standard deviations of the blur before pixels are told apart
LEAST = (1, 2, 3)  # pixels of a blob's shorter side: strokes have one
LEARNED = 1500  # scenes that shapes are learned from
WINDOW = 4  # pixels of a shape that are read to each side of its middle
GAMMAS = (0.3, 1.0, 3.0)  # over the pixels' summed variance
COSTS = (1.0, 10.0)


class Blobs(NamedTuple):
    """The largest blob of each scene. colour, quarter: numbers [scenes]. read: the pixels
    around its middle, 1 in its colour and 0 in that of the ground [scenes, pixels]."""

    colour: np.ndarray
    quarter: np.ndarray
    read: np.ndarray


def nearest(train: Captioned, asked: np.ndarray) -> np.ndarray:
    """The sentences [scenes, words] of the scenes nearest by pixels."""
    known, x = (a.reshape(len(a), -1) for a in (train.x, asked))
    squares = np.sum(known**2, axis=1) - 2 * x @ known.T
    return train.words[squares.argmin(axis=1)]


def blobs(x: np.ndarray, smooth: float, least: float) -> Blobs:
    """The largest blob of each scene [scenes, side, side, 3]; least: see LEAST."""
    found = [_of_scene(image, smooth, least) for image in x]
    return Blobs(*(np.array([one[n] for one in found]) for n in range(3)))


def _of_scene(image: np.ndarray, smooth: float, least: float) -> tuple:
    side, ground = len(image), np.median(image, axis=(0, 1))
    everywhere = slice(0, side), slice(0, side)
    nothing = blobs_of.Blob(0, np.zeros(image.shape[:2], bool), everywhere)
    found = [nothing, *blobs_of.of_scene(image, RGB, smooth, least)]
    colour, _, box = max(found, key=lambda blob: blob.inside.sum())
    return (
        colour,
        _quarter(box, side),
        _read(image - ground, RGB[colour] - ground, box),
    )


def _quarter(box: Any, side: int) -> int:
    down, across = (cut.start + cut.stop >= side for cut in box)
    return 2 * down + across


def _read(image: np.ndarray, way: np.ndarray, box: Any) -> np.ndarray:
    """How far along the way from the ground to a colour the pixels around are."""
    along = np.pad(image @ way / (way @ way), WINDOW)
    row, column = ((cut.start + cut.stop - 1) // 2 for cut in box)
    size = 2 * WINDOW + 1
    return along[row : row + size, column : column + size].ravel()


class Template(NamedTuple):
    """A template that is fitted. machine: says of what is read which shape it is."""

    machine: Any
    smooth: float
    least: float

    def sentences(self, x: np.ndarray) -> np.ndarray:
        """Words [scenes, words] of scenes."""
        found = blobs(x, self.smooth, self.least)
        shape = self.machine.predict(found.read)
        return captions.written(found.colour, shape, found.quarter)


def template(train: Captioned, valid: Captioned) -> Template:
    """The template whose sentences of held-out scenes are right most often."""
    tried = []
    for smooth in SMOOTH:
        for least in LEAST:
            found = blobs(train.x[:LEARNED], smooth, least)
            known = found.colour == train.colour[:LEARNED]
            x, y = found.read[known], train.shape[:LEARNED][known]
            spread = x.var(axis=0).sum()
            for gamma in GAMMAS:
                for cost in COSTS:
                    machine = svm.SVC(C=cost, gamma=gamma / spread).fit(x, y)
                    tried.append(Template(machine, smooth, least))
    return max(tried, key=lambda one: captions.right(one.sentences(valid.x), valid))
