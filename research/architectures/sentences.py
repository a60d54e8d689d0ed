"""Encoder-decoders that read words: a source, and the target's words so far.

The same layers as in the catalogue, where a sequence is source and target at once; here
the stem embeds two sentences, and every step of the target has an output: the next word.
"""

import functools

import jax
import jax.numpy as jnp
from flax import linen as nn

from depthbench.research.architectures import attention
from depthbench.research.architectures.contract import Architecture, Weights
from depthbench.research.architectures.layers import parameter, sized

READ = ("seq2seq", "seq2seq_attention", "encoder_decoder", "encoder_decoder_deepnorm")


class WordVectors(nn.Module):
    """A vector [width] for each word of [batch, time].

    Drawn as of a fan-in of 1: of a one-hot vector, one number is not 0.
    """

    words: int
    width: int
    weights: Weights

    @nn.compact
    def __call__(self, words: jax.Array) -> jax.Array:
        draw, shape = self.weights.draw, (self.words, self.width)
        sigma, _ = (self.weights.first or self.weights.gains)(1, self.width)
        inner, outer = (1.0, sigma) if self.weights.ntk else (sigma, 1.0)
        sample = draw.first or draw.kernel
        kernel = parameter(
            self,
            "kernel",
            lambda *a: sized(inner, sample, *a),
            shape,
            jnp.result_type(float),
        )
        return outer * kernel[words]


class Stem(nn.Module):
    """Memory and target of words [batch, steps of the source + steps of the target].

    source: steps of it. words: how many the source has, and the target.
    """

    width: int
    weights: Weights
    positions: bool
    source: int
    words: tuple[int, int]

    @nn.compact
    def __call__(self, x: jax.Array, train: bool = True) -> dict[str, jax.Array]:
        x = x.astype(jnp.int32)
        told = attention.placed if self.positions else lambda h: h
        embed = [
            WordVectors(count, self.width, self.weights, name=name)
            for name, count in zip(("source", "target"), self.words, strict=True)
        ]
        return {
            "memory": told(embed[0](x[:, : self.source])),
            "target": told(embed[1](x[:, self.source :])),
        }


def of_words(net: Architecture, source: int, words: tuple[int, int]) -> Architecture:
    """The net of the catalogue, one of READ, that reads words. source, words: see Stem."""
    own = net.stem
    stem = Stem(own.width, own.weights, own.positions, source, words)
    return net._replace(stem=stem)


@functools.cache
def reader(source: int, words: tuple[int, int]):
    """`of_words` as a function of the net alone; the same one for the same sizes."""
    return functools.partial(of_words, source=source, words=words)
