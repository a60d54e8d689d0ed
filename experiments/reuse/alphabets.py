"""Letters of some scripts, few drawings of each: to learn, to choose by, to judge by."""

import functools

from depthbench.research.lazy import lazily
from depthbench.research.study.axes import Axis

with lazily():
    import numpy as np

    from depthbench.research.datasets import glyphs
    from depthbench.research.learning import held_out

DRAWN = 24  # drawings of a letter: each of 12 fonts twice
CHOSEN, TESTED = 2, 12  # of them to choose rates by; and, the last ones, to judge by
MOST = DRAWN - CHOSEN - 2  # drawings of a letter that can be learned from
MEAN, DEVIATION = 0.25, 0.4  # of all drawings' pixels, about


@functools.cache
def parts(scripts: tuple[str, ...], letters: int, learned: int, label: str = "letter"):
    """Drawings of the letters of these scripts, in three parts.

    letters: how many there are of all five scripts. learned: drawings of each that are
    learned from. label: what is asked of a drawing: its letter, font or script.
    """
    drawn = glyphs.letters(letters, DRAWN)
    chosen = np.isin(drawn.script, scripts)
    x = (drawn.x[chosen].astype(np.float32) / 255 - MEAN) / DEVIATION
    labels = _labels(drawn, chosen, label)

    def share(first: int, last: int):
        kept = x[:, first:last], labels[:, first:last]
        return held_out.Share(kept[0].reshape(-1, *x.shape[2:]), kept[1].ravel())

    until = learned + CHOSEN
    judged = share(max(DRAWN - TESTED, until), DRAWN)
    count = int(labels.max()) + 1
    return held_out.Divided(share(0, learned), share(learned, until), judged, count)


def _labels(drawn, chosen, label):
    """[letters, drawings] int32, from 0."""
    fonts = drawn.font[chosen]
    if label == "font":
        return fonts.astype(np.int32)
    each = np.arange(len(fonts)) if label == "letter" else drawn.script[chosen]
    numbers = np.unique(each, return_inverse=True)[1].astype(np.int32)
    return np.broadcast_to(numbers[:, None], fonts.shape)


def axes(letters: int, drawings: int) -> dict[str, Axis]:
    """How many letters there are, and drawings to learn each from."""
    most = ("letters of all five scripts", "drawings to learn a letter from")
    bounds = ((25, 371), (1, 10))
    values = (letters, drawings)
    return {
        name: Axis(text, (value,), None, "integer", low, high, single=True)
        for name, text, value, (low, high) in zip(
            ("letters", "drawings"), most, values, bounds, strict=True
        )
    }
