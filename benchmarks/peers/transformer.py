"""A Transformer of six Pre-LN blocks: ours beside PyTorch's layers and attention."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from benchmarks.peers.case import (
    Case,
    Model,
    Shape,
    Task,
    Tie,
    drawn,
    gaussian,
    linear,
    settings,
)
from research.architectures import ARCHITECTURES
from research.lazy import lazy

torch = lazy("torch")
attention = lazy("research.architectures.attention")


def task(shape: Shape) -> Task:
    """An encoder with ReLU and sinusoidal positions; the head reads the mean over time."""
    wanted = settings(shape, "relu", "glorot_normal", "layer")
    net = ARCHITECTURES["transformer_pre_ln"].build(wanted)
    return drawn(net, gaussian(shape.batch, shape.length, shape.width))


class Block(NamedTuple):
    """One block's modules; mixed: queries, keys and values in one product."""

    norm_attention: Any
    mixed: Any
    output: Any
    norm_feed: Any
    wide: Any
    narrow: Any

    def __call__(self, h: Any, heads: int) -> Any:
        batch, time, width = h.shape
        mixed = self.mixed(self.norm_attention(h))
        parts = mixed.view(batch, time, 3, heads, width // heads).permute(2, 0, 3, 1, 4)
        seen = torch.nn.functional.scaled_dot_product_attention(*parts.unbind(0))
        h = h + self.output(seen.transpose(1, 2).reshape(batch, time, width))
        return h + self.narrow(torch.relu(self.wide(self.norm_feed(h))))


def model(task: Task) -> Model:
    """The same net of torch.nn's modules, attention by its fused function."""
    stacked = task.variables.stages[0]["params"]["attention"]["query"]["kernel"]
    depth, width, _ = stacked.shape
    nn = torch.nn
    stem = nn.Linear(task.x.shape[2], width)
    blocks = [
        Block(
            nn.LayerNorm(width),
            nn.Linear(width, 3 * width),
            nn.Linear(width, width),
            nn.LayerNorm(width),
            nn.Linear(width, 4 * width),
            nn.Linear(4 * width, width),
        )
        for _ in range(depth)
    ]
    norm, head = nn.LayerNorm(width), nn.Linear(width, task.net.head.outputs)
    ties = linear(stem, lambda own: own.stem["params"]["Dense_0"])
    for layer, block in enumerate(blocks):
        ties += _block(block, layer)
    ties += _norm(norm, lambda own: own.head["params"]["Norm_0"])
    ties += linear(head, lambda own: own.head["params"]["Dense_0"])
    positions = attention.sinusoids(task.x.shape[1], width, np.float32)
    positions = torch.from_numpy(np.array(positions))
    heads = attention.heads_of(width)

    def forward(x):
        h = stem(x) + positions
        for block in blocks:
            h = block(h, heads)
        return head(norm(h).mean(1))

    return Model(forward, tuple(ties), torch.from_numpy(task.x))


def _norm(module: Any, own_norm: Callable[[Any], Any]) -> list[Tie]:
    return [
        Tie(module.weight, lambda own: own_norm(own)["scale"].reshape(-1)),
        Tie(module.bias, lambda own: own_norm(own)["shift"].reshape(-1)),
    ]


def _block(block: Block, layer: int) -> list[Tie]:
    """Ties of one block to layer `layer` of our stage."""

    def at(*names):
        def read(own):
            tree = own.stages[0]["params"]
            for name in names:
                tree = tree[name]
            return {name: array[layer] for name, array in tree.items()}

        return read

    def joined(name):
        three = [at("attention", which) for which in ("query", "key", "value")]
        return lambda own: np.concatenate([read(own)[name] for read in three], axis=-1)

    return [
        *_norm(block.norm_attention, at("norm_attention")),
        Tie(block.mixed.weight, lambda own: joined("kernel")(own).T),
        Tie(block.mixed.bias, joined("bias")),
        *linear(block.output, at("attention", "output")),
        *_norm(block.norm_feed, at("norm_feed")),
        *linear(block.wide, at("wide")),
        *linear(block.narrow, at("narrow")),
    ]


CASE = Case(
    "transformer",
    "transformer_pre_ln",
    "Xiong et al. 2020, arXiv:2002.04745 (Pre-LN)",
    Shape(batch=16, length=128, width=128, depth=6),
    task,
    model,
)
