"""Sentences without a net: of the nearest scenes, and a template filled in from blobs.

Devlin et al. 2015, arXiv:1505.04467: captions of the nearest images do as well as many
nets by automatic measures. Here the commonest of the nearest scenes' sentences is said;
how many have a say, how pixels are blurred and whether a scene's mean colour is taken off
is chosen on held-out scenes. The template is told more than a net: the palette, and that
the ground of a scene has one colour. Pixels go to the nearest of these, connected ones
are a blob, its middle says where it is, and a support vector machine what shape it has.
"""

import itertools
from typing import Any, NamedTuple

import numpy as np
import scipy.ndimage as ndimage
import sklearn.svm as svm

from depthbench.research.datasets import captions
from depthbench.research.datasets.captions import Captioned
from depthbench.research.datasets.scenes import RGB
from depthbench.research.learning import blobs as blobs_of

BLURS = (0.0, 0.5, 1.0)
NEAREST = (1, 3, 10, 30)  # known scenes that have a say
MOST = max(NEAREST)
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


class Neighbours(NamedTuple):
    """Sentences of known scenes. known: their pixels as they are compared [scenes, pixels].
    blur: its standard deviation. centred: whether without their mean colour. most: how
    many of the nearest have a say."""

    known: np.ndarray
    words: np.ndarray
    blur: float
    centred: bool
    most: int

    def nearest(self, x: np.ndarray) -> np.ndarray:
        """The nearest known scenes of each, the nearest first [scenes, MOST]."""
        squares = np.sum(self.known**2, axis=1)
        squares = squares - 2 * pixels(x, self.blur, self.centred) @ self.known.T
        few = np.argpartition(squares, MOST - 1, axis=1)[:, :MOST]
        order = np.take_along_axis(squares, few, axis=1).argsort(axis=1)
        return np.take_along_axis(few, order, axis=1)

    def sentences(self, x: np.ndarray) -> np.ndarray:
        """Words [scenes, words] that most of the nearest have, of each scene."""
        return voted(self.words[self.nearest(x)[:, : self.most]])


def voted(words: np.ndarray) -> np.ndarray:
    """The commonest sentence of each scene's, the nearest of those that are as common.

    words: [scenes, neighbours, words].
    """
    same = np.all(words[:, :, None] == words[:, None], axis=-1).sum(axis=2)
    return words[np.arange(len(words)), same.argmax(axis=1)]


def pixels(x: np.ndarray, blur: float, centred: bool) -> np.ndarray:
    """Scenes as their neighbours are looked for [scenes, pixels]."""
    x = ndimage.gaussian_filter(x, (0, blur, blur, 0)) if blur else x
    x = x - x.mean(axis=(1, 2), keepdims=True) if centred else x
    return x.reshape(len(x), -1)


def neighbours(train: Captioned, valid: Captioned) -> Neighbours:
    """The way to the nearest scenes by which sentences of held-out ones are right most
    often."""
    found = []
    for blur, centred in itertools.product(BLURS, (False, True)):
        known = pixels(train.x, blur, centred)
        one = Neighbours(known, train.words, blur, centred, 1)
        near = train.words[one.nearest(valid.x)]
        for most in NEAREST:
            right = captions.right(voted(near[:, :most]), valid)
            found.append((right, one._replace(most=most)))
    return max(found, key=lambda each: each[0])[1]


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
