"""Transformers: where a block's normaliser stands, and how deep ones are scaled.

A block is attention, then a feed-forward net four times as wide, each on a branch of its
own. Pre-LN: Xiong et al. 2020, arXiv:2002.04745. Post-LN: Vaswani et al. 2017,
arXiv:1706.03762. ReZero: Bachlechner et al. 2021, arXiv:2003.04887. DeepNorm: Wang et
al. 2022, arXiv:2203.00555.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from flax import linen as nn

from depthbench.research.architectures import attention
from depthbench.research.architectures.contract import (
    Architecture,
    Settings,
    Stage,
    Weights,
)
from depthbench.research.architectures.layers import (
    Dense,
    Head,
    Norm,
    as_sequence,
    identity,
    normal,
    scaled,
)
from depthbench.research.catalogues.normalizers import NORMALIZERS, Normalizer

POSITION_SIZE = 0.02  # the standard deviation of learned positions, as in BERT and ViT


class Placement(NamedTuple):
    """h' = after(α h + gate × branch(before(h))), for both branches of a block.

    before, after: whether the normaliser stands there.
    alpha: the skip's factor. beta: the factor of the σ_w of what carries values: the
      feed-forward net, and attention's values and output.
    gated: whether there is a learned gate, which starts at 0; a block has one.
    """

    before: bool = False
    after: bool = False
    alpha: Any = 1.0
    beta: Any = 1.0
    gated: bool = False


PRE_LN = Placement(before=True)
POST_LN = Placement(after=True)
REZERO = Placement(gated=True)


def _number(count: Any) -> Any:
    """A float of a number of layers, which may be traced."""
    return float(count) if isinstance(count, int) else jnp.asarray(count, jnp.float32)


def deepnorm(layers: Any) -> Placement:
    """The placement in a stack of encoders alone, or decoders alone (figure 2)."""
    layers = _number(layers)
    return Placement(
        after=True, alpha=(2.0 * layers) ** 0.25, beta=(8.0 * layers) ** -0.25
    )


def deepnorm_pair(encoders: Any, decoders: Any) -> tuple[Placement, Placement]:
    """The placements of encoders, and of the decoders that read them (figure 2)."""
    n, m = _number(encoders), _number(decoders)
    both = (n**4 * m) ** 0.0625
    return (
        Placement(after=True, alpha=0.81 * both, beta=0.87 / both),
        Placement(after=True, alpha=(3.0 * m) ** 0.25, beta=(12.0 * m) ** -0.25),
    )


class Block(nn.Module):
    """Attention, then the feed-forward net; to a memory too where there is one."""

    activation: Callable[[jax.Array], jax.Array]
    weights: Weights
    normalizer: Normalizer
    placement: Placement
    causal: bool = False
    rotary: bool = False
    relative: bool = False

    @nn.compact
    def __call__(
        self, h: jax.Array, train: bool = True, memory: jax.Array | None = None
    ) -> jax.Array:
        at, gate = self.placement, jnp.asarray(1.0, h.dtype)
        alpha = jnp.asarray(at.alpha, h.dtype)
        outer = scaled(self.weights, at.beta)
        if at.gated:
            gate = self.param("alpha", nn.initializers.zeros, (1,) * h.ndim, h.dtype)

        def join(h, name, branch):
            norm = Norm(self.normalizer, name=f"norm_{name}")
            read = norm(h, train) if at.before else h
            h = alpha * h + gate * branch(read)
            return norm(h, train) if at.after else h

        attend = attention.Attention(
            self.weights,
            outer,
            self.causal,
            self.rotary,
            self.relative,
            name="attention",
        )
        h = join(h, "attention", attend)
        if memory is not None:
            look = attention.Attention(self.weights, outer, name="cross")
            h = join(h, "cross", lambda h: look(h, memory))
        wide = Dense(4 * h.shape[-1], outer, name="wide")
        narrow = Dense(h.shape[-1], outer, name="narrow")
        return join(h, "feed", lambda h: narrow(self.activation(wide(h))))


class Embedding(nn.Module):
    """[batch, time, width] from a sequence's steps, with what tells their positions."""

    width: int
    weights: Weights
    positions: str = "sinusoidal"  # or "learned", or "none" where attention has them

    @nn.compact
    def __call__(self, x: jax.Array, train: bool = True) -> jax.Array:
        h = Dense(self.width, self.weights, first=True)(as_sequence(x))
        if self.positions == "sinusoidal":
            return h + attention.sinusoids(h.shape[1], h.shape[2], h.dtype)[None]
        if self.positions == "learned":
            return h + learned_positions(self, h)
        return h


def learned_positions(module: nn.Module, h: jax.Array) -> jax.Array:
    """Parameters [1, time, width], one vector for each position of h."""
    shape = (1, *h.shape[1:])
    return module.param("position", normal(POSITION_SIZE), shape, h.dtype)


def mean_over_time(h: jax.Array) -> jax.Array:
    return jnp.mean(h, axis=1)


def last_step(h: jax.Array) -> jax.Array:
    return h[:, -1]


def block_of(settings: Settings, placement: Placement, **more) -> Block:
    """A block of these settings."""
    weights, normalizer = settings.weights, settings.normalizer
    return Block(settings.activation, weights, normalizer, placement, **more)


def head_of(settings: Settings, placement: Placement, read, every=identity) -> Head:
    """A linear head on `read`, or on `every` where each step has outputs.

    What was never normalised is, as Pre-LN nets do.
    """
    last = settings.normalizer if placement.before else NORMALIZERS["none"]
    return Head(settings.outputs, every if settings.every_step else read, last)


def _encoder(
    name: str, settings: Settings, placement: Placement, positions: str = "sinusoidal"
) -> Architecture:
    stem = Embedding(settings.width, settings.weights, positions)
    stage = Stage(block_of(settings, placement), settings.depth, frugal=True)
    head = head_of(settings, placement, mean_over_time)
    return Architecture(name, stem, (stage,), head)


def build_pre_ln(settings: Settings) -> Architecture:
    """The normaliser on the branches and before the head (Xiong et al. 2020)."""
    return _encoder("transformer_pre_ln", settings, PRE_LN)


def build_post_ln(settings: Settings) -> Architecture:
    """The normaliser after each sum (Vaswani et al. 2017)."""
    return _encoder("transformer_post_ln", settings, POST_LN)


def build_rezero(settings: Settings) -> Architecture:
    """No normaliser, and gates that start at zero (Bachlechner et al. 2021)."""
    return _encoder("transformer_rezero", settings, REZERO)


def build_deepnorm(settings: Settings) -> Architecture:
    """Post-LN with a larger skip and smaller branches (Wang et al. 2022)."""
    placement = deepnorm(settings.active_depth)
    return _encoder("transformer_deepnorm", settings, placement)


def build_learned(settings: Settings) -> Architecture:
    """Pre-LN with a learned vector for each position."""
    return _encoder("transformer_learned", settings, PRE_LN, "learned")


def _decoder(name: str, settings: Settings, positions: str, **more) -> Architecture:
    """Causal Pre-LN blocks; the last step is read, or each."""
    stem = Embedding(settings.width, settings.weights, positions)
    block = block_of(settings, PRE_LN, causal=True, **more)
    head = head_of(settings, PRE_LN, last_step)
    stage = Stage(block, settings.depth, frugal=True)
    return Architecture(name, stem, (stage,), head)


def build_decoder(settings: Settings) -> Architecture:
    """Causal Pre-LN blocks with rotary positions; the last step is read."""
    return _decoder("transformer_decoder", settings, "none", rotary=True)


def build_absolute(settings: Settings) -> Architecture:
    """The same with sinusoids for positions."""
    return _decoder("transformer_causal", settings, "sinusoidal")


def build_music(settings: Settings) -> Architecture:
    """The same with a vector that is learned for each distance, by each head, and
    sinusoids beside it (Huang et al. 2018)."""
    return _decoder("music_transformer", settings, "sinusoidal", relative=True)
