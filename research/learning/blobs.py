"""Blobs of a scene's colours, and a support vector machine that says what each one is.

A blob is what is told of colours beforehand: the pixels next to one of a palette, and not
to the ground, that are connected. Opening (Serra 1982, Image Analysis and Mathematical
Morphology) takes off strokes that are thinner than a shape.
"""

import itertools
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from depthbench.research.lazy import lazily
from depthbench.research.learning import detections
from depthbench.research.learning.detections import Boxes

with lazily():
    import numpy as np
    import sklearn.svm as svm
    from scipy import ndimage

SMOOTH = (0.0, 0.5)  # standard deviations of the blur before pixels are told apart
OPENED = (2, 3)  # pixels of a stroke's width that is taken off, and one more
SIDES = 4  # pixels of a blob's shorter side that can be a shape
SEEN = 8  # pixels of a blob's side, as the machine sees it
TRIED = 500  # scenes that the readers which are tried learn from
GAMMAS = (0.3, 1.0, 3.0)  # over the summed variance of what it sees
COSTS = (1.0, 10.0)


class Blob(NamedTuple):
    """colour: its number in the palette. inside: which pixels are of it [height, width].
    box: the rows and the columns that it reaches over."""

    colour: int
    inside: Any
    box: tuple[slice, slice]


def of_scene(
    image: Any, palette: Any, smooth: float, least: float, opened: int = 1
) -> list[Blob]:
    """The blobs of a scene [height, width, channels], colour by colour.

    palette: [colours, channels]; the ground is the scene's median. smooth: as SMOOTH.
    least: pixels of a blob's shorter side. opened: pixels of the square that a blob is
    opened with; what is next to it then is its own.

    >>> image = np.zeros((8, 8, 1)); image[2:5, 3:5] = 1
    >>> [(b.colour, b.box, b.inside.sum()) for b in of_scene(image, [[1.0]], 0, 2)]
    [(0, (slice(2, 5, None), slice(3, 5, None)), np.int64(6))]
    """
    ground = np.median(image, axis=(0, 1))
    blurred = ndimage.gaussian_filter(image, (smooth, smooth, 0))
    apart = np.linalg.norm(blurred[..., None, :] - [*palette, ground], axis=-1)
    kind = apart.argmin(axis=-1)
    found = []
    for colour in range(len(palette)):
        mine = kind == colour
        if not mine.any():
            continue
        if opened > 1:
            core = ndimage.binary_opening(mine, np.ones((opened, opened)))
            mine &= ndimage.binary_dilation(core)
        labelled: Any = ndimage.label(mine)
        boxes: Any = ndimage.find_objects(labelled[0])
        for place, box in enumerate(boxes, 1):
            if min(cut.stop - cut.start for cut in box) >= least:
                found.append(Blob(colour, labelled[0] == place, box))
    return found


def form(blob: Blob) -> Any:
    """A blob as the machine sees it [SEEN² + 2]: its box at one size, and its sides."""
    crop = blob.inside[blob.box].astype(float)
    zoomed: Any = ndimage.zoom(crop, [SEEN / side for side in crop.shape], order=1)
    return np.append(zoomed.ravel(), np.array(crop.shape) / SEEN)


class BlobForms(NamedTuple):
    """The blobs of scenes that may be shapes. scene [blobs]. inside [blobs, height,
    width]. box [blobs, 4]: left, top, right, bottom. form: as of `form` [blobs, …]."""

    scene: Any
    inside: Any
    box: Any
    form: Any


def seen(x: Any, palette: Any, smooth: float, opened: int) -> BlobForms:
    """The blobs of scenes x [scenes, height, width, channels]."""
    every = [
        (number, blob)
        for number, image in enumerate(x)
        for blob in of_scene(image, palette, smooth, SIDES, opened)
    ]
    boxes = [
        (across.start, down.start, across.stop, down.stop)
        for down, across in (blob.box for _, blob in every)
    ]
    return BlobForms(
        np.array([number for number, _ in every], int),
        np.array([blob.inside for _, blob in every], bool).reshape(-1, *x.shape[1:3]),
        np.array(boxes, float).reshape(-1, 4),
        np.array([form(blob) for _, blob in every]).reshape(-1, SEEN**2 + 2),
    )


def classes_of(blobs: BlobForms, mask: Any, classes: int) -> Any:
    """The class of most of a blob's pixels [blobs]. mask [scenes, height, width]."""
    inside = mask[blobs.scene]
    counts = [np.sum(blobs.inside & (inside == n), axis=(1, 2)) for n in range(classes)]
    return np.argmax(counts, axis=0)


class JudgedBlobs(NamedTuple):
    """What blobs are. kind [blobs]: the class; score [blobs, classes]: how surely each."""

    blobs: BlobForms
    kind: Any
    score: Any

    def mask(self, shape: Sequence[int]) -> Any:
        """The class of each pixel of scenes, 0 where no blob is [shape]."""
        made = np.zeros(shape, int)
        for scene, inside, kind in zip(
            self.blobs.scene, self.blobs.inside, self.kind, strict=True
        ):
            made[scene][inside] = kind
        return made

    def boxes(self) -> Boxes:
        """The box of each blob, of each class but 0; kinds begin with 0."""
        scene, kind = np.indices(self.score[:, 1:].shape)
        box = np.repeat(self.blobs.box, self.score.shape[1] - 1, axis=0)
        places = self.blobs.scene[scene.ravel()]
        every = Boxes(places, kind.ravel(), box, self.score[:, 1:].ravel())
        return detections.suppressed(every)


class BlobReader(NamedTuple):
    """Fitted. machine: from forms to classes; the rest as of `of_scene`."""

    machine: Any
    palette: Any
    smooth: float
    opened: int
    classes: int

    def read(self, x: Any) -> JudgedBlobs:
        """What is in scenes x [scenes, height, width, channels]."""
        return self.judged(seen(x, self.palette, self.smooth, self.opened))

    def judged(self, blobs: BlobForms) -> JudgedBlobs:
        kind = np.zeros(len(blobs.scene), int)
        score = np.full((len(kind), self.classes), -np.inf)
        if len(kind):
            kind = self.machine.predict(blobs.form)
            score[:, self.machine.classes_] = self.machine.decision_function(blobs.form)
        return JudgedBlobs(blobs, kind, score)


def fit(
    x: Any,
    mask: Any,
    valid: Any,
    worth: Callable[[JudgedBlobs], float],
    palette: Any,
    classes: int,
) -> BlobReader:
    """The reader whose worth is greatest of what it reads in scenes held out.

    x [scenes, height, width, channels], mask: their pixels' classes, of which three or
    more are there; valid: the scenes that worth is told of. The readers that are tried
    learn from the first TRIED scenes, the chosen one from all.
    """
    best, chosen = -np.inf, None
    for smooth, opened in itertools.product(SMOOTH, OPENED):
        few, held = (seen(a, palette, smooth, opened) for a in (x[:TRIED], valid))
        kind = classes_of(few, mask[:TRIED], classes)
        for gamma, cost in itertools.product(GAMMAS, COSTS):
            machine = _machine(few.form, kind, gamma, cost)
            reader = BlobReader(machine, palette, smooth, opened, classes)
            value = worth(reader.judged(held))
            if value > best:
                best, chosen = value, (reader, gamma, cost)
    assert chosen is not None
    reader, *numbers = chosen
    every = seen(x, palette, reader.smooth, reader.opened)
    machine = _machine(every.form, classes_of(every, mask, classes), *numbers)
    return reader._replace(machine=machine)


def _machine(forms: Any, kind: Any, gamma: float, cost: float) -> Any:
    return svm.SVC(C=cost, gamma=gamma / forms.var(axis=0).sum()).fit(forms, kind)
