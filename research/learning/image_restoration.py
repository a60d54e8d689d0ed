"""Images restored by simple methods that learn from pairs of patches.

Each gives what is to be added to a patch as it is: a linear map of the whole patch, one
linear filter of a window around each pixel, or the mean of what the most similar patches
needed. Settings are chosen by pairs that are held out: patches that overlap would tell
each other's answers in cross-validation.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import sklearn.neighbors as neighbors

from depthbench.research.learning import selection, tuning
from depthbench.research.learning.tuning import Steps
from depthbench.research.machine import threads

PENALTIES = Steps(tuple(10.0**n for n in range(-5, 2, 2)))
WINDOWS = (3, 7)
NEIGHBOURS = Steps((1, 4, 16, 64), least=1, whole=True, counts=True)
SAMPLED = 20_000  # pixels that a filter is learned from, at most
HELD = 50_000  # pixels that a filter is chosen by, at most
AT_A_TIME = 25_600  # pixels whose windows are cut out together


class Pairs(NamedTuple):
    """What is given and what is asked for, [images, height, width, channels] each."""

    given: Any
    asked: Any

    @property
    def wanting(self) -> Any:
        """What has to be added to what is given, [images, numbers] float64."""
        wanting = np.asarray(self.asked, np.float64) - self.given
        return wanting.reshape(len(wanting), -1)


class Restorer(NamedTuple):
    """A method that was fitted. error: its mean square error on what is held out.

    setting: what was chosen, by name. restore: from images [images, …] to better ones.
    """

    name: str
    setting: dict[str, Any]
    error: float
    restore: Callable[[Any], Any]


@threads.single()
def fit(train: Pairs, held: Pairs) -> list[Restorer]:
    """Each method at its best setting, by the mean square error of the held-out pairs.

    >>> given = np.random.RandomState(0).rand(60, 4, 4, 1)
    >>> pairs = [Pairs(part, part[:, ::-1]) for part in (given[:40], given[40:])]
    >>> best(fit(*pairs)).name
    'ridge of patches'
    """
    return [linear(train, held), filtered(train, held), nearest(train, held)]


def linear(train: Pairs, held: Pairs) -> Restorer:
    """Ridge regression from the whole patch to the whole patch."""
    whole = Ridge(_flat(train.given), train.wanting)

    def made(setting):
        matrices = whole.map(setting["penalty"])
        return lambda given: whole.mapped(_flat(given), matrices)

    return _best(
        "ridge of patches", {"penalty": PENALTIES}, made, held, len(train.given)
    )


def filtered(train: Pairs, held: Pairs) -> Restorer:
    """Ridge regression from a window to its middle pixel, the same at every place."""
    most = max(1, HELD // int(np.prod(held.given.shape[1:3])))
    step = -(-len(held.given) // most)
    some = Pairs(held.given[::step], held.asked[::step])

    def of_side(side):
        ridge = _of_windows(train, side)

        def made(setting):
            matrices = ridge.map(setting["penalty"])

            def wanting(given):
                count = max(1, AT_A_TIME // int(np.prod(given.shape[1:3])))
                starts = range(0, len(given), count)
                cut = (windows(given[at : at + count], side) for at in starts)
                found = [ridge.mapped(part, matrices) for part in cut]
                return np.concatenate(found).reshape(len(given), -1)

            return wanting

        grid = {"side": Steps((side,)), "penalty": PENALTIES}
        return _best("ridge of windows", grid, made, some, SAMPLED)

    return best([of_side(side) for side in WINDOWS])


def nearest(train: Pairs, held: Pairs) -> Restorer:
    """The mean of what the most similar patches needed."""
    wanting, count = train.wanting, len(train.given)
    known = neighbors.NearestNeighbors(algorithm="brute").fit(_flat(train.given))

    def made(setting):
        def of(given):
            places = known.kneighbors(_flat(given), setting["neighbours"])[1]
            return np.stack([wanting[own].mean(axis=0) for own in places])

        return of

    return _best("nearest patches", {"neighbours": NEIGHBOURS}, made, held, count)


class Ridge:
    """Ridge regression of centred numbers, at any penalty from one decomposition.

    x: [examples, inputs]; y: [examples, outputs]. Of fewer examples than inputs the
    decomposition is of the examples' products. A penalty is in units of the inputs' mean
    variance times the examples.

    >>> x = np.random.RandomState(0).normal(size=(50, 3))
    >>> one = Ridge(x, x @ [[1.0], [2.0], [3.0]] + 4)
    >>> one.mapped(np.eye(3), one.map(1e-9)).round(3).tolist()
    [[5.0], [6.0], [7.0]]
    """

    def __init__(self, x: Any, y: Any) -> None:
        self.means = x.mean(axis=0), y.mean(axis=0)
        x, y = x - self.means[0], y - self.means[1]
        self.unit = max(float(np.square(x).sum(axis=0).mean()), 1e-12)
        self.dual = len(x) < x.shape[1]
        self.values, vectors = np.linalg.eigh(x @ x.T if self.dual else x.T @ x)
        self.turned = vectors.T @ (y if self.dual else x.T @ y)
        self.back = x.T @ vectors if self.dual else vectors

    def map(self, penalty: float) -> list[Any]:
        """Matrices whose product is [inputs, outputs]: one, or of few examples two."""
        shrunk = np.maximum(self.values, 0) + penalty * self.unit
        inner = self.turned / shrunk[:, None]
        return [self.back, inner] if self.dual else [self.back @ inner]

    def mapped(self, x: Any, matrices: list[Any]) -> Any:
        """x [..., inputs] by what `map` gives: [..., outputs]."""
        x = x - self.means[0]
        for matrix in matrices:
            x = x @ matrix
        return x + self.means[1]


def windows(x: Any, side: int) -> Any:
    """The window around each pixel, images mirrored at their borders: [images, height,
    width, side · side · channels] float64."""
    half = side // 2
    border = ((0, 0), (half, half), (half, half), (0, 0))
    padded = np.pad(np.asarray(x, np.float64), border, mode="symmetric")
    cut = np.lib.stride_tricks.sliding_window_view(padded, (side, side), (1, 2))
    return np.moveaxis(cut, 3, -1).reshape(*x.shape[:3], -1)


def _of_windows(train: Pairs, side: int) -> Ridge:
    channels = train.given.shape[-1]
    per_image = int(np.prod(train.given.shape[1:3]))
    random = np.random.RandomState(0)
    images = random.permutation(len(train.given))[: max(1, 4 * SAMPLED // per_image)]
    x = windows(train.given[images], side)
    y = train._replace(given=train.given[images], asked=train.asked[images]).wanting
    x, y = x.reshape(-1, x.shape[-1]), y.reshape(-1, channels)
    some = random.permutation(len(x))[:SAMPLED]
    return Ridge(x[some], y[some])


def _flat(x: Any) -> Any:
    return np.asarray(x, np.float64).reshape(len(x), -1)


def _best(
    name: str,
    grid: dict[str, Steps],
    made: Callable[[dict[str, Any]], Callable[[Any], Any]],
    held: Pairs,
    learns: int,
) -> Restorer:
    """The method at the setting that is best on the held-out pairs."""

    def error(setting):
        return float(np.mean((made(setting)(held.given) - held.wanting) ** 2))

    within = {number: tuning.within(steps, learns) for number, steps in grid.items()}
    setting, _ = tuning.tuned(
        within, lambda one: selection.Outcome(loss=error(one)), "loss"
    )
    wanting = made(setting)
    restore = lambda given: given + wanting(given).reshape(np.shape(given))
    return Restorer(name, setting, error(setting), restore)


def best(methods: Sequence[Restorer]) -> Restorer:
    """The method with the least error on what is held out."""
    return min(methods, key=lambda one: one.error)
