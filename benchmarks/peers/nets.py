"""The nets that are compared: their tasks, and their weights in plain names."""

from collections.abc import Callable
from typing import Any

import numpy as np

from depthbench.benchmarks.peers.case import (
    OUTPUTS,
    CaseSize,
    Problem,
    Weights,
    drawn,
    gaussian,
    settings,
)
from depthbench.research.architectures import ARCHITECTURES
from depthbench.research.architectures.loops import AUTO, chosen
from depthbench.research.lazy import lazily

with lazily():
    import jax

    from depthbench.research.architectures.recurrent import cells

CLASSES = 1000  # of ImageNet


def _head(variables: Any) -> Weights:
    """The last linear map of most nets."""
    return variables.head["params"]["Dense_0"]


def mlp_weights(variables: Any) -> Weights:
    """stem, layers [depth, …], head: kernel and bias each."""
    stem = variables.stem["params"]["Dense_0"]
    layers = _stacked(variables)["Dense_0"]
    return {"stem": stem, "layers": layers, "head": _head(variables)}


def _stacked(variables: Any) -> Weights:
    """Parameters [depth, …] of a net's equal layers, be they one stage or many."""
    stages = (stage["params"] for stage in variables.stages)
    return jax.tree.map(lambda *a: np.concatenate(a), *stages)


def mlp(shape: CaseSize, loop: str = AUTO) -> Problem:
    """tanh and orthogonal kernels: critical, so that no depth makes denormals."""
    net = ARCHITECTURES["mlp"].build(settings(shape, "tanh", "orthogonal"))
    return _looped(loop, net, gaussian(shape.batch, shape.length), mlp_weights)


def _looped(
    loop: str,
    net: Any,
    x: np.ndarray,
    arrange: Callable[[Any], Weights],
    outputs: int = OUTPUTS,
) -> Problem:
    """The task of a net whose layers are gone through in a loop of this name."""
    taken = chosen(loop, net, x)
    shown = loop if loop == taken.name else f"{loop}: {taken.name}"
    task = drawn(taken.change(net), x, arrange, outputs)
    return task._replace(loop=shown)


def lstm_weights(variables: Any) -> Weights:
    """layers: kernel, recurrent [depth, in, 4 × width] and bias of gates i, f, g, o."""
    (stage,) = variables.stages
    params = stage["params"]
    layers = {
        **params["Projection_0"]["Dense_0"],
        "recurrent": params["Recurrent_0"]["kernel"],
    }
    stem = variables.stem["params"]["Dense_0"]
    head = variables.head["params"]["Head_0"]["Dense_0"]
    return {"stem": stem, "layers": layers, "head": head}


def lstm(shape: CaseSize) -> Problem:
    """Layers of long short-term memory; the head reads the last step.

    What opens our forget gate is a constant beside the bias; the peers' biases have it in
    them at the start, which trains the same.
    """
    net = ARCHITECTURES["stacked_lstm"].build(settings(shape, "tanh", "glorot_normal"))
    x = gaussian(shape.batch, shape.length, shape.width)
    task = drawn(net, x, lstm_weights)
    layers = task.weights["layers"]
    bias = np.array(layers["bias"])
    bias[:, shape.width : 2 * shape.width] += cells.FORGET_BIAS
    return task._replace(
        weights={**task.weights, "layers": {**layers, "bias": bias}},
    )


def transformer_weights(variables: Any) -> Weights:
    """stem, layers [depth, …] of norms and linear maps by name, norm, head."""
    params = _stacked(variables)
    layers = {name: params[name] for name in ("wide", "narrow")} | params["attention"]
    for name in ("norm_attention", "norm_feed"):
        layers[name] = _flat(params[name], leading=1)
    return {
        "stem": variables.stem["params"]["Dense_0"],
        "layers": layers,
        "norm": _flat(variables.head["params"]["Norm_0"]),
        "head": _head(variables),
    }


def _flat(norm: Weights, leading: int = 0) -> Weights:
    """A norm's scale and shift without dimensions of one, but for the first `kept`."""
    return {name: a.reshape(*a.shape[:leading], -1) for name, a in norm.items()}


def transformer(shape: CaseSize) -> Problem:
    """An encoder with ReLU and sinusoidal positions; the head reads the mean over time."""
    wanted = settings(shape, "relu", "glorot_normal", "layer")
    net = ARCHITECTURES["transformer_pre_ln"].build(wanted)
    x = gaussian(shape.batch, shape.length, shape.width)
    return drawn(net, x, transformer_weights)


PARTS = ("first", "second", "third", "shortcut")  # a block's convolutions, in order


def resnet_weights(variables: Any) -> Weights:
    """stem, blocks (a list, in order) of as many of PARTS as there are, head.

    Convolutions: kernel [rows, columns, in, out], scale and shift of the norm after it.
    """

    def normalized(params, number):
        kernel = params[f"Conv_{number}"]["kernel"]
        return {"kernel": kernel, **_flat(params[f"Norm_{number}"])}

    blocks = []
    for stage in variables.stages:
        params = stage["params"]
        count = sum(name.startswith("Conv_") for name in params)
        for index in range(len(params["Conv_0"]["kernel"])):
            block = jax.tree.map(lambda a, i=index: a[i], params)
            names = PARTS[:count]
            blocks.append({name: normalized(block, n) for n, name in enumerate(names)})
    head = variables.head["params"]["Head_0"]["Dense_0"]
    stem = normalized(variables.stem["params"], 0)
    return {"stem": stem, "blocks": blocks, "head": head}


def resnet(shape: CaseSize, loop: str = "scan") -> Problem:
    """Blocks with batch norm."""
    wanted = settings(shape, "relu", "he_normal", "batch")
    x = gaussian(shape.batch, shape.length, shape.length, 3)
    return _looped(loop, ARCHITECTURES["resnet"].build(wanted), x, resnet_weights)


def alexnet_weights(variables: Any) -> Weights:
    """convolutions (five) and dense (three): lists of kernel and bias."""
    layers = [stage["params"] for stage in variables.stages]
    layers = [jax.tree.map(lambda a: a[0], params) for params in layers]
    images = [variables.stem["params"], *layers[:4]]
    dense = [params["Dense_0"] for params in layers[4:]]
    return {
        "convolutions": [params["Conv_0"] for params in images],
        "dense": [*dense, _head(variables)],
    }


def alexnet(shape: CaseSize, outputs: int = OUTPUTS) -> Problem:
    """Krizhevsky et al.'s two towers. No side has dropout: their masks would differ."""
    wanted = settings(shape, "relu", "he_normal")._replace(outputs=outputs)
    net = ARCHITECTURES["alexnet"].build(wanted)
    *images, sixth, seventh = net.stages
    without = (s._replace(layer=s.layer.clone(dropout=0.0)) for s in (sixth, seventh))
    net = net._replace(stages=(*images, *without))
    x = gaussian(shape.batch, shape.length, shape.length, 3)
    return drawn(net, x, alexnet_weights, outputs)


def resnet50(shape: CaseSize, loop: str = AUTO) -> Problem:
    """Bottlenecks with batch norm, and a thousand classes."""
    wanted = settings(shape, "relu", "he_normal", "batch")._replace(outputs=CLASSES)
    net = ARCHITECTURES["resnet_imagenet"].build(wanted)
    x = gaussian(shape.batch, shape.length, shape.length, 3)
    return _looped(loop, net, x, resnet_weights, CLASSES)


def decoder(shape: CaseSize, loop: str = AUTO) -> Problem:
    """Causal blocks with ReLU and rotary positions; the head reads the last step."""
    wanted = settings(shape, "relu", "glorot_normal", "layer")
    net = ARCHITECTURES["transformer_decoder"].build(wanted)
    x = gaussian(shape.batch, shape.length, shape.width)
    return _looped(loop, net, x, transformer_weights)


def large(task: Callable[[CaseSize], Problem]) -> Callable[[CaseSize], Problem]:
    """The task with its products in bfloat16."""
    return lambda shape: task(shape)._replace(dtype="bfloat16")
