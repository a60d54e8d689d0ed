"""Multi-head attention, and how a sequence's steps know their positions.

Sources: Vaswani et al. 2017, arXiv:1706.03762; rotary positions: Su et al. 2021,
RoFormer, arXiv:2104.09864; learned relative positions: Shaw et al. 2018,
arXiv:1803.02155, as Huang et al. 2018, Music Transformer, arXiv:1809.04281, have them.
"""

import math

import jax
import jax.extend
import jax.numpy as jnp
from flax import linen as nn

from depthbench.research.architectures.contract import Weights
from depthbench.research.architectures.layers import (
    Affine,
    Dense,
    exact,
    normal,
    product,
)

# (the widest state, units of its heads). The last two are published; up to 128 units,
# which no paper's net has, there are several heads all the same.
HEADS = ((128, 32), (2047, 64), (math.inf, 128))
FUSED = 64  # steps from which the fused kernel is used: it works in such blocks
BASE = 10_000.0  # wavelengths of positions go up to 2π times this, in both papers


def heads_of(width: int) -> int:
    """As many as divide the width, up to one for each 32, 64 or 128 units.

    An even width is parted into heads of even size, which rotary positions need.
    Sources: 512 units are 8 × 64, Vaswani et al. 2017, table 3; 768 are 12 × 64, 1024
    are 16 × 64, and heads of 2048 have 128: Brown et al. 2020, GPT-3, arXiv:2005.14165,
    table 2.1 (whose 24 of them are more than 2048 units; here there are 16).
    """
    size = next(size for widest, size in HEADS if width <= widest)
    even = width // 2 if width % 2 == 0 else width
    return max(n for n in range(1, max(1, width // size) + 1) if even % n == 0)


def attend(
    query: jax.Array, key: jax.Array, value: jax.Array, causal: bool = False
) -> jax.Array:
    """softmax(q kᵀ/√d) v of [batch, heads, time, d], in the form its device has."""
    if query.dtype not in (jnp.bfloat16, jnp.float16):
        return _by_products(query, key, value, causal)
    if query.dtype == jnp.float16 and jax.default_backend() == "cpu":
        # CPUs lack the product that jax's form asks for: float16, summed in float32.
        full = (a.astype(jnp.float32) for a in (query, key, value))
        return _by_products(*full, causal).astype(query.dtype)
    time_first = (jnp.swapaxes(a, 1, 2) for a in (query, key, value))
    form = _implementation(query.shape, key.shape)
    with jax.numpy_dtype_promotion("standard"):  # jax's own adds of float32 to it
        mixed = jax.nn.dot_product_attention(
            *time_first, is_causal=causal, implementation=form
        )
    return jnp.swapaxes(mixed, 1, 2)


def _implementation(query: tuple[int, ...], key: tuple[int, ...]):
    """cuDNN's fused kernel, where there is one for such shapes [batch, heads, time, d].

    It refuses other d, even in a backward pass, and is of no use to short sequences.
    """
    fits = query[-1] % 8 == 0 and query[-1] <= 128 and min(query[2], key[2]) >= FUSED
    return "cudnn" if fits and _on_cuda() else "xla"


def _on_cuda() -> bool:
    """Whether the device has the kernel: NVIDIA's ("gpu" may be AMD's), from Ampere on."""
    backend = jax.extend.backend.get_backend()
    if "cuda" not in backend.platform_version.lower():
        return False
    return float(backend.local_devices()[0].compute_capability) >= 8


def attend_relative(
    query: jax.Array, key: jax.Array, value: jax.Array, embedding: jax.Array
) -> jax.Array:
    """softmax((q kᵀ + s)/√d) v of the steps so far, [batch, heads, time, d].

    embedding: [heads, time, d], of distances from time − 1 down to 0. s has the product
    of a query with that of its distance to the key; Huang et al. 2018, section 3.4.1.
    """
    full = [a.astype(exact(a.dtype)) for a in (query, key, value, embedding)]
    scores = skewed(full[0] @ jnp.swapaxes(full[3], 1, 2)[None])
    return _by_products(*full[:3], True, scores).astype(query.dtype)


def skewed(products: jax.Array) -> jax.Array:
    """[…, i, j] of products [batch, heads, time, time] of queries i and distances.

    The last column, of distance 0, comes to the diagonal; what is above it means nothing.
    """
    *outer, time, _ = products.shape
    wider = jnp.pad(products, [(0, 0), (0, 0), (0, 0), (1, 0)])
    return wider.reshape(*outer, time + 1, time)[..., 1:, :]


def _by_products(query, key, value, causal, more=None):
    """The same as two products, divided last: of d columns and not of `time`.

    more: added to the products of queries and keys.
    """
    root = query.shape[-1] ** -0.5
    scores = (root * query) @ jnp.swapaxes(key, 2, 3)
    if more is not None:
        scores = scores + root * more
    if causal:
        visible = jnp.tril(jnp.ones(scores.shape[-2:], bool))
        scores = jnp.where(visible[None, None], scores, -jnp.inf)
    largest = jax.lax.stop_gradient(jnp.max(scores, axis=-1, keepdims=True))
    shares = jnp.exp(scores - largest)
    return (shares @ value) / jnp.sum(shares, axis=-1, keepdims=True)


def _angles(time: int, pairs: int, dtype) -> jax.Array:
    """position × frequency [time, pairs]; frequencies fall from 1 to about 1/BASE.

    In float32 or finer, whatever products are in: bfloat16 has 513 numbers up to 1,023.
    """
    dtype = exact(dtype)
    frequency = BASE ** -(jnp.arange(pairs, dtype=dtype) / pairs)
    return jnp.arange(time, dtype=dtype)[:, None] * frequency[None]


def sinusoids(time: int, width: int, dtype) -> jax.Array:
    """[time, width]: sines at even units, cosines of the same angles at odd ones."""
    angles = _angles(time, (width + 1) // 2, dtype)
    both = jnp.stack([jnp.sin(angles), jnp.cos(angles)], axis=-1)
    return both.reshape(time, -1)[:, :width].astype(dtype)


def placed(h: jax.Array) -> jax.Array:
    """h [batch, time, width] with the sinusoids of its steps added."""
    return h + sinusoids(h.shape[1], h.shape[2], h.dtype)[None]


def rotate(x: jax.Array) -> jax.Array:
    """x [batch, heads, time, d], each pair of units turned by its position's angle.

    Products of a query and a key then depend on the difference of their positions. The
    pairs are turned as a whole: gradients of even and odd units by themselves would be
    filled up with zeros and added.
    Raises ValueError where d is odd.
    """
    *_, time, size = x.shape
    if size % 2:
        raise ValueError(f"rotary positions turn pairs of units: a head has {size}")
    angles = _angles(time, size // 2, x.dtype)[None, None, ..., None]
    pairs = x.astype(angles.dtype).reshape(*x.shape[:-1], size // 2, 2)
    sine = jnp.concatenate([-jnp.sin(angles), jnp.sin(angles)], axis=-1)
    turned = pairs * jnp.cos(angles) + jnp.flip(pairs, axis=-1) * sine
    return turned.reshape(x.shape).astype(x.dtype)


class Attention(nn.Module):
    """Multi-head attention of h [batch, time, width] to `source`, or to itself.

    outer: draws the kernels of values and output where they have weights of their own.
    relative: a vector is learned for each distance, by each head; of itself alone, causal.
    """

    weights: Weights
    outer: Weights | None = None
    causal: bool = False
    rotary: bool = False
    relative: bool = False

    @nn.compact
    def __call__(self, h: jax.Array, source: jax.Array | None = None) -> jax.Array:
        outer = self.outer or self.weights
        width = h.shape[-1]
        query = Affine(width, self.weights, name="query")(width, h.dtype)
        key = Affine(width, self.weights, name="key")(width, h.dtype)
        value = Affine(width, outer, name="value")(width, h.dtype)
        if source is None:
            query, key, value = _in_heads(h, query, key, value)
        else:
            (query,) = _in_heads(h, query)
            key, value = _in_heads(source, key, value)
        if self.rotary:
            query, key = rotate(query), rotate(key)
        if self.relative:
            draw = normal(query.shape[-1] ** -0.5)
            distances = self.param("distance", draw, query.shape[1:], h.dtype)
            mixed = attend_relative(query, key, value, distances)
        else:
            mixed = attend(query, key, value, self.causal)
        mixed = jnp.swapaxes(mixed, 1, 2)
        return Dense(width, outer, name="output")(mixed.reshape(h.shape))


def _in_heads(x: jax.Array, *maps: tuple[jax.Array, jax.Array]) -> jax.Array:
    """[maps, batch, heads, time, d]: x under several maps, made by one product."""
    batch, time, width = x.shape
    kernels, biases = zip(*maps, strict=True)
    mapped = product(x, jnp.concatenate(kernels, axis=1))
    mapped = mapped + jnp.concatenate(biases)[None, None]
    heads = heads_of(width)
    mapped = mapped.reshape(batch, time, len(maps), heads, width // heads)
    return jnp.moveaxis(mapped, (2, 3), (0, 2))
