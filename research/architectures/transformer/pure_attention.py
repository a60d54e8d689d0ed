"""Transformers without their skips, without their feed-forward nets, without both.

Dong, Cordonnier & Loukas 2021, arXiv:2103.03404, section 3: what is left of a block that
has lost one of its parts or two. Normalisers stand before the branches, as in Pre-LN.
"""

from collections.abc import Callable
from typing import Any

import jax
from flax import linen as nn

from depthbench.research.architectures import attention
from depthbench.research.architectures.contract import (
    Architecture,
    Settings,
    Stage,
    Weights,
)
from depthbench.research.architectures.layers import Dense, Norm
from depthbench.research.architectures.transformer.transformer import (
    PRE_LN,
    Embedding,
    head_of,
    mean_over_time,
)
from depthbench.research.catalogues.normalizers import Normalizer


class Block(nn.Module):
    """h' = attention(norm(h)), plus h with skips; then the same of a feed-forward net.

    activation: the feed-forward net's; None where there is no such net.
    """

    weights: Weights
    normalizer: Normalizer
    skips: bool = False
    activation: Callable[[jax.Array], jax.Array] | None = None

    @nn.compact
    def __call__(self, h: jax.Array, train: bool = True) -> jax.Array:
        def join(h, name, branch):
            y = branch(Norm(self.normalizer, name=f"norm_{name}")(h, train))
            return h + y if self.skips else y

        h = join(h, "attention", attention.Attention(self.weights, name="attention"))
        phi = self.activation
        if phi is None:
            return h
        wide = Dense(4 * h.shape[-1], self.weights, name="wide")
        narrow = Dense(h.shape[-1], self.weights, name="narrow")
        return join(h, "feed", lambda h: narrow(phi(wide(h))))


def _build(name: str, settings: Settings, **parts: Any) -> Architecture:
    stem = Embedding(settings.width, settings.weights)
    block = Block(settings.weights, settings.normalizer, **parts)
    stage = Stage(block, settings.depth, frugal=True)
    return Architecture(name, stem, (stage,), head_of(settings, PRE_LN, mean_over_time))


def build(settings: Settings) -> Architecture:
    """Attention alone ("SAN")."""
    return _build("attention", settings)


def build_skip(settings: Settings) -> Architecture:
    """Attention and skips, no feed-forward nets."""
    return _build("attention_skip", settings, skips=True)


def build_feed(settings: Settings) -> Architecture:
    """Attention and feed-forward nets, no skips."""
    return _build("attention_feed", settings, activation=settings.activation)
