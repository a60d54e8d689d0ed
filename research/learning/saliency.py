"""Which pixels an answer comes from: saliency maps, and what is asked of them.

A map is made by a method of METHODS from `score`, the number of each image that is to be
explained, a function from images [batch, …] to numbers [batch] in which no image depends
on another; of a classifier that is the logit of a class.

>>> weights = jnp.array([3.0, -1.0, 0.0])
>>> linear = lambda x: x @ weights
>>> x = jnp.array([[1.0, 2.0, 5.0]])
>>> METHODS["gradient_input"].map(linear, x, jax.random.key(0)).tolist()
[[3.0, -2.0, 0.0]]
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from scipy import stats

from depthbench.research.architectures import contract
from depthbench.research.architectures.contract import Variables
from depthbench.research.architectures.dense import guided
from depthbench.research.catalogues.catalogue import Catalogue
from depthbench.research.learning.fits import Net

Score = Callable[[jax.Array], jax.Array]
STEPS = 32  # of the path of integrated gradients
SAMPLES, NOISE = 25, 0.15  # of SmoothGrad: draws, and their size in parts of the range
AT_A_TIME = 96  # pictures that are explained by one call
ROUNDS = 200  # of activation maximisation


def gradient(score: Score, x: jax.Array, key: Any = None) -> jax.Array:
    """∂score/∂x [as x]."""
    return jax.grad(lambda x: jnp.sum(score(x)))(x)


def gradient_input(score: Score, x: jax.Array, key: Any = None) -> jax.Array:
    """x ∂score/∂x [as x]: of a linear score, what each pixel adds to it."""
    return x * gradient(score, x)


def integrated(score: Score, x: jax.Array, key: Any = None) -> jax.Array:
    """x times the mean gradient on the way from the zero image to x [as x].

    Over pixels it sums to score(x) − score(0), up to the rule of midpoints.
    """

    def step(total, share):
        return total + gradient(score, share * x), None

    shares = (jnp.arange(STEPS, dtype=x.dtype) + 0.5) / STEPS
    total, _ = jax.lax.scan(step, jnp.zeros_like(x), shares)
    return x * total / STEPS


def smooth(score: Score, x: jax.Array, key: Any) -> jax.Array:
    """The mean gradient of copies of x with noise on them [as x]."""
    inner = tuple(range(1, x.ndim))
    width = jnp.max(x, inner, keepdims=True) - jnp.min(x, inner, keepdims=True)

    def step(total, key):
        noisy = x + NOISE * width * jax.random.normal(key, x.shape)
        return total + gradient(score, noisy), None

    total, _ = jax.lax.scan(step, jnp.zeros_like(x), jax.random.split(key, SAMPLES))
    return total / SAMPLES


def itself(score: Score, x: jax.Array, key: Any = None) -> jax.Array:
    """The image [as x]: a map that knows nothing of the score, as an edge detector."""
    return x


def occlusion(score: Score, x: jax.Array, key: Any = None) -> jax.Array:
    """By how much the score falls when a window over a pixel is zero [as x].

    x: [batch, height, width, channels]. The window is a quarter of the image's side,
    moved by half of its own; of a pixel, the mean over the windows that cover it.
    """
    height, width = x.shape[1:3]
    side = max(height // 4, 1)
    stride = max(side // 2, 1)
    tops, lefts = (jnp.arange(0, n - side + 1, stride) for n in (height, width))
    corners = jnp.stack(jnp.meshgrid(tops, lefts, indexing="ij"), -1).reshape(-1, 2)
    whole = score(x)

    def step(carry, corner):
        fall, covers = carry
        rows, columns = (jnp.arange(n) for n in (height, width))
        inside = (rows >= corner[0]) & (rows < corner[0] + side)
        beside = (columns >= corner[1]) & (columns < corner[1] + side)
        window = (inside[:, None] & beside[None, :])[None, :, :, None].astype(x.dtype)
        lost = whole - score(x * (1 - window))
        lost = lost.reshape(-1, 1, 1, 1)
        return (fall + lost * window, covers + window), None

    covers = jnp.zeros((1, height, width, 1), x.dtype)
    (fall, covers), _ = jax.lax.scan(step, (jnp.zeros_like(x), covers), corners)
    return fall / jnp.maximum(covers, 1)


class Method(NamedTuple):
    """How a map is made.

    map: (score, x, key) -> [as x]. guided: its score is that of the net with guided
    backpropagation, so that its gradient is another.
    """

    name: str
    map: Callable[[Score, jax.Array, Any], jax.Array]
    source: str
    guided: bool = False


METHODS: Catalogue[Method] = Catalogue(
    "saliency method",
    [
        Method("gradient", gradient, "Simonyan et al. 2014, arXiv:1312.6034"),
        Method(
            "gradient_input", gradient_input, "Shrikumar et al. 2017, arXiv:1605.01713"
        ),
        Method("integrated", integrated, "Sundararajan et al. 2017, arXiv:1703.01365"),
        Method("smooth", smooth, "Smilkov et al. 2017, arXiv:1706.03825"),
        Method("guided", gradient, "Springenberg et al. 2015, arXiv:1412.6806", True),
        Method("input", itself, "the image: as Adebayo et al.'s edge detector"),
        Method("occlusion", occlusion, "Zeiler & Fergus 2014, arXiv:1311.2901"),
    ],
)


def logit_of(net: Net, variables: Variables, y: jax.Array) -> Score:
    """Of each image the logit of its class. y: labels [batch]."""

    def score(x):
        outputs, _ = contract.apply(net.parts.net, variables, x, train=False)
        return jnp.take_along_axis(outputs, y[:, None], axis=1)[:, 0]

    return score


def guided_net(net: Net) -> Net:
    """The same net, its gradient guided backpropagation's."""
    return net._replace(task=net.task._replace(change=guided.of_mlp))


def mapper(net: Net, names: Sequence[str]) -> Callable[..., dict[str, np.ndarray]]:
    """(variables, x, y, seed) -> by method the maps of the logits of y [as x].

    So many pictures at a time, the last ones repeated: one program serves any number.
    """
    other = guided_net(net)

    @jax.jit
    def maps(variables, x, y, key):
        scores = [logit_of(one, variables, y) for one in (net, other)]
        return {
            name: METHODS[name].map(scores[METHODS[name].guided], x, key)
            for name in names
        }

    def made(variables: Variables, x: Any, y: Any, seed: int = 0):
        pieces = []
        for first in range(0, len(x), AT_A_TIME):
            places = np.minimum(np.arange(first, first + AT_A_TIME), len(x) - 1)
            key = jax.random.fold_in(jax.random.key(seed), first)
            pieces.append(jax.device_get(maps(variables, x[places], y[places], key)))
        joined = {n: np.concatenate([piece[n] for piece in pieces]) for n in names}
        return {name: one[: len(x)] for name, one in joined.items()}

    return made


def sizes(maps: Any) -> np.ndarray:
    """The size of each pixel of maps, [examples, height, width]: Σ |·| over channels."""
    return np.abs(np.asarray(maps, np.float64)).sum(axis=-1)


def randomised(fitted: Variables, fresh: Variables, layers: int) -> Variables:
    """A trained net with fresh weights in its head and in so many layers below it.

    layers: −1 for the trained net as it is; more than there are: its stem too. Of a net
    with one stage.
    """
    fitted, fresh = jax.device_get((fitted, fresh))
    (stage,), (other,) = fitted.stages, fresh.stages
    depth = len(jax.tree.leaves(stage)[0])
    kept = max(depth - max(layers, 0), 0)
    mixed = jax.tree.map(
        lambda a, b: np.concatenate([a[:kept], b[kept:]]), stage, other
    )
    return Variables(
        fresh.stem if layers > depth else fitted.stem,
        (mixed,),
        fitted.head if layers < 0 else fresh.head,
    )


def rank_correlation(maps: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Spearman's, of each map with its other [examples]; 0 where a map is constant.

    >>> maps = np.arange(4.0).reshape(1, 2, 2)
    >>> [rank_correlation(maps, others).tolist() for others in (np.exp(maps), -maps)]
    [[1.0], [-1.0]]
    """
    ranks = [stats.rankdata(m.reshape(len(m), -1), axis=1) for m in (maps, others)]
    one, other = (r - r.mean(axis=1, keepdims=True) for r in ranks)
    size = np.sqrt((one**2).sum(axis=1) * (other**2).sum(axis=1))
    return (one * other).sum(axis=1) / np.where(size > 0, size, 1.0)


def maximised(net: Net, variables: Variables, x: jax.Array) -> np.ndarray:
    """Images that the net gives its largest outputs for, one of each output [outputs, …].

    Gradient ascent from x [outputs, …], on the sphere of images as long as x.
    Source: Erhan et al. 2009, Visualizing higher-layer features of a deep network.
    """
    inner = tuple(range(1, x.ndim))

    def length(x):
        return jnp.sqrt(jnp.sum(x**2, inner, keepdims=True))

    @jax.jit
    def ascended(variables, x):
        score = logit_of(net, variables, jnp.arange(len(x)))
        radius = length(x)

        def step(x, _):
            g = gradient(score, x)
            x = x + 0.1 * radius * g / jnp.maximum(length(g), 1e-30)
            return x * radius / length(x), None

        return jax.lax.scan(step, x, None, length=ROUNDS)[0]

    return np.asarray(ascended(variables, x))


def in_place(cells: np.ndarray, place: np.ndarray) -> Mapping[str, np.ndarray]:
    """Of each map, whether its largest pixel is in its place, and its share of the whole.

    cells: [examples, cells, pixels], at least 0. place: the cell [examples]. A map of
    zeros points nowhere and has nothing there.
    Source: Zhang et al. 2018, arXiv:1608.00507 (the pointing game).
    """
    largest, each = cells.max(axis=2), cells.sum(axis=2)
    whole = each.sum(axis=1)
    there = each[np.arange(len(place)), place]
    points = (largest.argmax(axis=1) == place) & (whole > 0)
    return {"points": points, "mass": there / np.where(whole > 0, whole, 1.0)}
