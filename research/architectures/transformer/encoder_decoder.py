"""The encoder-decoder Transformer of Vaswani et al. 2017, arXiv:1706.03762.

Its hidden state is a tree: encoders change `memory` [batch, time, width], decoders
change `target`, and both are carried. Of `depth` layers one half are encoders. Decoders
read the encoders' sequence one step late: step t sees what came before t, and the
memory; the last step is the output.
"""

from collections.abc import Callable

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
from depthbench.research.architectures.layers import Dense, as_sequence
from depthbench.research.architectures.transformer.transformer import (
    POST_LN,
    Block,
    Placement,
    deepnorm_pair,
    head_of,
    last_step,
)
from depthbench.research.catalogues.normalizers import Normalizer

State = dict[str, jax.Array]  # memory and target, [batch, time, width]


class Stem(nn.Module):
    """Memory and target, by one embedding as in the paper's section 3.4.

    positions: told by sinusoids; recurrent layers need none.
    """

    width: int
    weights: Weights
    positions: bool = True

    @nn.compact
    def __call__(self, x: jax.Array, train: bool = True) -> State:
        h = Dense(self.width, self.weights, first=True)(as_sequence(x))
        late = jnp.pad(h, ((0, 0), (1, 0), (0, 0)))[:, :-1]
        if not self.positions:
            return {"memory": h, "target": late}
        return {"memory": attention.placed(h), "target": attention.placed(late)}


class Layer(nn.Module):
    """An encoder, or a decoder that looks at the memory."""

    activation: Callable[[jax.Array], jax.Array]
    weights: Weights
    normalizer: Normalizer
    placement: Placement
    decodes: bool

    @nn.compact
    def __call__(self, h: State, train: bool = True) -> State:
        how = (self.activation, self.weights, self.normalizer, self.placement)
        if self.decodes:
            block = Block(*how, causal=True)
            return {**h, "target": block(h["target"], train, h["memory"])}
        return {**h, "memory": Block(*how)(h["memory"], train)}


def _build(
    name: str, settings: Settings, encoders: Placement, decoders: Placement
) -> Architecture:
    how = (settings.activation, settings.weights, settings.normalizer)
    stages = (
        Stage(Layer(*how, encoders, decodes=False), settings.depth // 2),
        Stage(Layer(*how, decoders, decodes=True), settings.depth // 2),
    )
    target = lambda h: h["target"]
    head = head_of(settings, decoders, lambda h: last_step(target(h)), target)
    return Architecture(name, Stem(settings.width, settings.weights), stages, head)


def build(settings: Settings) -> Architecture:
    """The normaliser after each sum, in encoders and decoders."""
    return _build("encoder_decoder", settings, POST_LN, POST_LN)


def build_deepnorm(settings: Settings) -> Architecture:
    """The same with DeepNorm's α and β of the pair (Wang et al. 2022)."""
    half = settings.active_depth // 2
    pair = deepnorm_pair(half, half)
    return _build("encoder_decoder_deepnorm", settings, *pair)
