"""Four translations of a photograph, each with the answer that needs no learning.

A patch is three channels in [−1, 1]. What a net is given is the simple guess: grey in all
three channels, the small image enlarged bicubically, the mean of what is left around a
hole, or the dark image at a longer exposure. Night is a forward model of our own: a
power law, a bluish tint and noise; the day is asked for.
"""

import functools
from collections.abc import Callable
from typing import NamedTuple

from depthbench.experiments.once import once
from depthbench.research.catalogues.catalogue import choices
from depthbench.research.datasets import photographs
from depthbench.research.lazy import lazily

with lazily():
    import numpy as np
    import PIL.Image as pil_image
    import skimage.restoration as restoration

    from depthbench.research.learning import image_restoration

TRANSLATIONS = choices(
    "translation",
    colour="from grey to colours",
    enlarge="from a sixteenth of the pixels to all",
    fill="the middle quarter, from what is around it",
    day="from a dark, tinted, noisy image to the one by day",
)
LUMA = (0.299, 0.587, 0.114)
FACTOR = 4  # by which an image is enlarged
DARK, POWER, TINT, GRAIN = 0.35, 1.5, (0.6, 0.75, 1.0), 0.02  # of the night
LEVELS = (4, 8, 16, 32, 64)  # greys that are told apart
WEIGHTS = (0.02, 0.04, 0.08, 0.16)  # of the total variation
SHOWN = (48, 32)  # rows and columns of a region that is shown, about


class Translation(NamedTuple):
    """words: what it is called. given: (images as shares [patches, side, side, 3], random
    numbers) -> what is given of them. classical: what the answer without learning is
    called. without: (train, valid) -> that answer, from what is given to what is made."""

    words: str
    given: Callable
    classical: str
    without: Callable


class Part(NamedTuple):
    """given, asked: [patches, side, side, 3] float32 in [−1, 1]. mask: 1 where a pixel is
    asked for [patches, side, side, 1]. photograph: [patches], of which one."""

    given: np.ndarray
    asked: np.ndarray
    mask: np.ndarray
    photograph: np.ndarray

    @property
    def batch(self):
        """As training takes it."""
        return {"inputs": self.given, "targets": self.asked, "mask": self.mask}

    def psnr(self, made):
        """Of pixels that are asked for, in decibels. made: [patches, side, side, 3]."""
        return self.weighed(made)(np.ones(len(made)))

    def weighed(self, made):
        """From how often each patch counts [patches] to `psnr`."""
        shown = np.clip(made, -1, 1).astype(np.float64)
        wrong = (np.square(shown - self.asked) * self.mask).sum(axis=(1, 2, 3))
        pixels = self.mask.sum(axis=(1, 2, 3))
        return lambda times: float(
            10 * np.log10(4 * 3 * (times @ pixels) / (times @ wrong))
        )


class Parts(NamedTuple):
    train: Part
    valid: Part
    test: Part
    unseen: Part


class Baselines(NamedTuple):
    """chosen: the name of the method that is best on the valid part. test, unseen: PSNR
    there of the classical method, the better ridge, nearest patches and the chosen one.
    restore: from a part to the chosen one's images; made: those of the test part."""

    chosen: str
    test: dict
    unseen: dict
    restore: Callable
    made: np.ndarray


@once
def parts(translation, side, smaller, stride):
    """The parts of a translation."""
    cut = photographs.patches(side, smaller, stride)
    return Parts(
        *(
            part_of(translation, patches.x, patches.photograph, seed)
            for seed, patches in enumerate(cut)
        )
    )


def part_of(translation, x, photograph, seed=0):
    """Patches x [patches, side, side, 3] uint8 and what is given of them."""
    share = x.astype(np.float32) / photographs.BYTE
    given = OF[translation].given(share, np.random.RandomState(seed))
    mask = np.ones((*x.shape[:3], 1), np.float32)
    if translation == "fill":
        mask = np.broadcast_to(hole(x.shape[1])[..., None], mask.shape)
        mask = mask.astype(np.float32)
    given, asked = (np.asarray(2 * a - 1, np.float32) for a in (given, share))
    return Part(given, asked, mask, photograph)


def _grey(share):
    return np.repeat((share @ np.array(LUMA, np.float32))[..., None], 3, axis=-1)


def _enlarged(share):
    count, side = share.shape[:2]
    small = share.reshape(count, side // FACTOR, FACTOR, side // FACTOR, FACTOR, 3)
    small = small.mean(axis=(2, 4))
    rise = bicubic(side // FACTOR, side)
    return np.einsum("ir,nrcd,jc->nijd", rise, small, rise, optimize=True)


def _around(share):
    known = ~hole(share.shape[1])
    mean = share[:, known].mean(axis=1)[:, None, None]
    return np.where(known[..., None], share, mean)


def _night(share, random):
    dark = DARK * share**POWER * np.array(TINT, np.float32)
    dark = np.clip(dark + GRAIN * random.standard_normal(share.shape), 0, 1)
    return dark / DARK  # the exposure is raised; tint, contrast and noise stay


@functools.cache
def bicubic(few, many):
    """The map from few values to many, [many, few]: Pillow's bicubic enlargement."""
    each = pil_image.fromarray(np.eye(few, dtype=np.float32))
    return np.asarray(each.resize((few, many), pil_image.Resampling.BICUBIC))


def hole(side):
    """Which pixels are missing: a square of half the side in the middle [side, side]."""
    missing = np.zeros((side, side), bool)
    missing[side // 4 : side - side // 4, side // 4 : side - side // 4] = True
    return missing


@once
def baselines(translation, side, smaller, stride):
    """What is made without a net, the best of several methods by the valid part."""
    every = parts(translation, side, smaller, stride)
    train, valid, test, unseen = every
    classical = OF[translation].classical
    pairs = [image_restoration.Pairs(part.given, part.asked) for part in (train, valid)]
    methods = {one.name: one.restore for one in image_restoration.fit(*pairs)}
    methods[classical] = OF[translation].without(train, valid)
    masked = {name: _masked(restore) for name, restore in methods.items()}
    scored = {name: valid.psnr(one(valid)) for name, one in masked.items()}
    chosen = max(scored, key=scored.get)
    ridge = max((n for n in scored if n.startswith("ridge")), key=scored.get)
    asked = {
        "classical": classical,
        "ridge": ridge,
        "nearest": "nearest patches",
        "chosen": chosen,
    }
    psnr = [
        {short: part.psnr(masked[name](part)) for short, name in asked.items()}
        for part in (test, unseen)
    ]
    return Baselines(chosen, *psnr, masked[chosen], masked[chosen](test))


def _masked(restore):
    """A part restored where it is asked for, and as it is elsewhere."""
    return lambda part: part.given + part.mask * (restore(part.given) - part.given)


def _mean_colours(train, valid):
    """The mean colour of each grey; how many greys are told apart is chosen."""

    def by_levels(levels):
        def place(given):
            return np.clip((given[..., 0] + 1) / 2 * levels, 0, levels - 1).astype(int)

        at = place(train.given).ravel()
        wanting = (train.asked - train.given).reshape(-1, 3)
        sums = [np.bincount(at, wanting[:, n], levels) for n in range(3)]
        mean = (
            np.stack(sums, axis=1)
            / np.maximum(np.bincount(at, None, levels), 1)[:, None]
        )
        return lambda given: given + mean[place(given)]

    return _chosen(map(by_levels, LEVELS), valid)


def _biharmonic(given):
    """All patches at once: each channel of each is a channel."""
    side = given.shape[1]
    layers = np.moveaxis(given, 0, -1).reshape(side, side, -1).astype(np.float64)
    filled = restoration.inpaint_biharmonic(layers, hole(side), channel_axis=-1)
    return np.moveaxis(filled.reshape(side, side, 3, -1), -1, 0)


def _inverse(valid):
    """The night's inverse, which is known here, and total variation of a chosen weight."""

    def by_weight(weight):
        def restore(given):
            bright = np.maximum((given + 1) / 2 / np.array(TINT), 0)
            bright = np.minimum(bright ** (1 / POWER), 1)
            calm = [
                restoration.denoise_tv_chambolle(
                    one, weight, max_num_iter=40, channel_axis=-1
                )
                for one in bright
            ]
            return 2 * np.stack(calm) - 1

        return restore

    return _chosen(map(by_weight, WEIGHTS), valid)


def _chosen(ways, valid):
    """The way that is best on the valid part."""
    return max(ways, key=lambda restore: valid.psnr(_masked(restore)(valid)))


OF = {
    "colour": Translation(
        "colours",
        lambda share, random: _grey(share),
        "mean colour of a grey",
        _mean_colours,
    ),
    "enlarge": Translation(
        "enlarging",
        lambda share, random: _enlarged(share),
        "bicubic",
        lambda train, valid: lambda given: given,
    ),
    "fill": Translation(
        "filling in",
        lambda share, random: _around(share),
        "biharmonic",
        lambda train, valid: _biharmonic,
    ),
    "day": Translation(
        "night to day",
        _night,
        "inverse and total variation",
        lambda train, valid: _inverse(valid),
    ),
}


def shown(translation, side, smaller):
    """(a part of patches side by side in each known photograph's test region, what puts
    images of theirs together again: uint8 [photographs, rows, columns, 3])."""
    down, right = (max(1, size // side) for size in SHOWN)
    regions = []
    for name in photographs.KNOWN:
        whole = photographs.photograph(name, smaller)
        left = whole.shape[1] - right * side
        top = (whole.shape[0] - down * side) // 2
        regions.append(whole[top : top + down * side, left:])
    count = len(regions)
    blocks = np.stack(regions).reshape(count, down, side, right, side, 3)
    x = blocks.transpose(0, 1, 3, 2, 4, 5).reshape(-1, side, side, 3)
    part = part_of(translation, x, np.repeat(np.arange(count), down * right), seed=9)

    def tiled(images):
        shades = np.clip((images + 1) / 2 * photographs.BYTE, 0, photographs.BYTE)
        tiles = np.round(shades).reshape(count, down, right, side, side, 3)
        tiles = tiles.transpose(0, 1, 3, 2, 4, 5)
        return tiles.reshape(count, down * side, right * side, 3).astype(np.uint8)

    return part, tiled
