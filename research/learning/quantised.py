"""Nets of integers: weights and activations of a trained net in so many bits.

A number x is kept as the whole number nearest to x / scale, at most 2^(bits−1) − 1 in size,
so that 0 stays 0. Weights have a scale for each output or one for all; what a layer reads
has one, from the largest number that the layer met in calibration. Products are of int8
with int8, summed in int32; biases, activations and what skips add up are float32.

Source: Wu et al. 2020, arXiv:2004.09602, sections 3 and 4 (scale quantisation, maximum
calibration).
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from depthbench.research.architectures.contract import Architecture, Variables
from depthbench.research.files import arrays


class Map(NamedTuple):
    """A dense map in whole numbers; of a stage each with a leading [depth].

    kernel: [in, out] int8. scale: of the kernel, [out] or [1]. reads: scale of what it
    reads, []. bias: [out]. All but the kernel are float32.
    """

    kernel: Any
    scale: Any
    reads: Any
    bias: Any


class Quantised(NamedTuple):
    """The dense maps of a net of one stage."""

    stem: Map
    layers: Map
    head: Map


def largest(bits: int) -> int:
    """The largest whole number of so many bits, of those that are as large below 0.

    >>> [largest(bits) for bits in (8, 4, 2)]
    [127, 7, 1]
    """
    return 2 ** (bits - 1) - 1


def rounded(x: Any, scale: Any, bits: int) -> jax.Array:
    """x / scale as int8 [as x], by rounding to nearest; what is too large is cut."""
    most = float(largest(bits))
    return jnp.clip(jnp.round(x / scale), -most, most).astype(jnp.int8)


def product(x: jax.Array, kernel: jax.Array) -> jax.Array:
    """x [batch, in] int8 times kernel [in, out] int8: int32 [batch, out]."""
    dimensions = (((1,), (0,)), ((), ()))
    return jax.lax.dot_general(x, kernel, dimensions, preferred_element_type=jnp.int32)


def applied(one: Map, h: jax.Array, bits: int) -> jax.Array:
    """The map of h [batch, in] float32: [batch, out] float32."""
    total = product(rounded(h, one.reads, bits), one.kernel)
    size = one.reads * one.scale
    return total.astype(jnp.float32) * size[None, :] + one.bias[None, :]


def states_of(net: Architecture, bits: int) -> Callable[[Quantised, Any], Any]:
    """A compiled (quantised, x) -> (states [depth + 1, batch, width], outputs).

    net: a multilayer perceptron of the catalogue, plain or residual, without normaliser.
    """
    (stage,) = net.stages
    phi, head = stage.layer.activation, net.head.activation
    skip = getattr(stage.layer, "scale", None)

    @jax.jit
    def states(quantised, x):
        first = applied(quantised.stem, x.reshape(len(x), -1), bits)

        def step(z, one):
            branch = applied(one, phi(z), bits)
            after = branch if skip is None else z + skip * branch
            return after, after

        last, rest = jax.lax.scan(step, first, quantised.layers)
        outputs = applied(quantised.head, head(last), bits)
        return jnp.concatenate([first[None], rest]), outputs

    return states


def quantise(
    net: Architecture,
    variables: Variables,
    x: Any,
    states: list[Any],
    bits: int = 8,
    channels: bool = True,
) -> Quantised:
    """The net in whole numbers.

    x: inputs that it is calibrated by [examples, …]. states: of theirs, what the first
    layer reads and what each returns, as `FittedNet.states`. channels: a scale for each
    output of a kernel, rather than one for all.
    """
    (stage,), (tree,) = net.stages, variables.stages
    read = [stage.layer.activation(jnp.asarray(z)) for z in states[:-1]]
    each = [_mapped(*_kernel(tree, n), h, bits, channels) for n, h in enumerate(read)]
    return Quantised(
        _mapped(*_kernel(variables.stem), x, bits, channels),
        Map(*(np.stack(leaves) for leaves in zip(*each, strict=True))),
        _mapped(
            *_kernel(variables.head), net.head.activation(states[-1]), bits, channels
        ),
    )


def _kernel(tree: Any, place: int | None = None) -> tuple[np.ndarray, np.ndarray]:
    """(kernel [in, out], bias [out]) of a module's variables, or of a stage's layer."""
    found: dict[str, Any] = {}
    for path, leaf in jax.tree_util.tree_leaves_with_path(tree):
        found[path[-1].key] = np.asarray(leaf if place is None else leaf[place])
    return found["kernel"], found["bias"]


def _mapped(
    kernel: np.ndarray, bias: np.ndarray, reads: Any, bits: int, channels: bool
) -> Map:
    most = float(largest(bits))
    sizes = (
        np.abs(kernel).max(axis=0) if channels else np.abs(kernel).max(keepdims=True)
    )
    scale = _positive(np.ravel(sizes) / most)
    met = _positive(np.abs(np.asarray(reads)).max() / most)
    # As `rounded`, which would be compiled for each shape.
    whole = np.clip(np.rint(kernel / scale[None, :]), -most, most).astype(np.int8)
    return Map(whole, scale, met, bias.astype(np.float32))


def _positive(scale: Any) -> Any:
    """The scale as float32; 1 where all that is scaled is 0."""
    return np.where(scale > 0, scale, 1).astype(np.float32)


# ------------------------------------------------------------------------------- export


def save(path: Path, quantised: Quantised) -> None:
    """Writes a .npz of plain arrays, named "stem.kernel" and so on."""
    named = {
        f"{part}.{name}": np.asarray(array)
        for part, one in zip(Quantised._fields, quantised, strict=True)
        for name, array in zip(Map._fields, one, strict=True)
    }
    np.savez(path, allow_pickle=False, **named)


def load(path: Path) -> Quantised:
    """What `save` wrote, bit for bit. Raises NotArrays where the file is another."""
    kept = arrays.read(path)
    return Quantised(
        *(
            Map(*(kept[f"{part}.{n}"] for n in Map._fields))
            for part in Quantised._fields
        )
    )


def weights(quantised: Quantised) -> int:
    """How many weights there are, biases apart."""
    return sum(np.asarray(one.kernel).size for one in quantised)


# ------------------------------------------------------------------------------ pruning


def kept_share(bits: int) -> float:
    """The share of weights that takes in float16 as many bytes as all in so many bits.

    A bit for each weight says whether it is kept: (bits − 1) / 16.

    >>> kept_share(8)
    0.4375
    """
    return (bits - 1) / 16


def pruned(variables: Variables, share: float, everywhere: bool) -> Variables:
    """The net with its largest weights alone, in float16, 0 for the others; biases stay.

    share: of the weights that are kept. everywhere: by one threshold for all kernels,
    rather than one for each, of a stage each layer's.
    Source: Han et al. 2015, arXiv:1506.02626 (without training again).
    """
    flat, tree = jax.tree_util.tree_flatten_with_path(jax.device_get(variables))
    kernels = [np.abs(leaf) for path, leaf in flat if path[-1].key == "kernel"]
    least = _threshold(np.concatenate([k.ravel() for k in kernels]), share)

    def thinned(path, leaf):
        if path[-1].key != "kernel":
            return leaf
        rows = leaf.reshape(-1, leaf.shape[-2] * leaf.shape[-1])
        own = [[_threshold(np.abs(row), share)] for row in rows]
        keep = np.abs(rows) >= (least if everywhere else np.array(own))
        kept = np.where(keep, rows.astype(np.float16).astype(rows.dtype), 0)
        return kept.reshape(leaf.shape)

    return jax.tree_util.tree_unflatten(tree, [thinned(*one) for one in flat])


def _threshold(sizes: np.ndarray, share: float) -> float:
    """The least of the largest so many of sizes [weights]."""
    count = max(round(share * sizes.size), 1)
    return float(np.partition(sizes, -count)[-count])
