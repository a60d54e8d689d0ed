"""The nets that are compared, and their weights in plain names."""

from collections.abc import Callable
from typing import Any

import numpy as np

from depthbench.benchmarks.peers.case import (
    Case,
    CaseSize,
    Problem,
    Weights,
    drawn,
    gaussian,
    settings,
)
from depthbench.research.architectures import ARCHITECTURES
from depthbench.research.architectures.loops import AUTO, chosen
from depthbench.research.catalogues.catalogue import Catalogue
from depthbench.research.lazy import lazily

with lazily():
    import jax

    from depthbench.research.architectures.recurrent import cells


def _head(variables: Any) -> Weights:
    """The last linear map of most nets."""
    return variables.head["params"]["Dense_0"]


def mlp_weights(variables: Any) -> Weights:
    """stem, layers [depth, …], head: kernel and bias each."""
    stages = [stage["params"]["Dense_0"] for stage in variables.stages]
    stem = variables.stem["params"]["Dense_0"]
    layers = jax.tree.map(lambda *a: np.concatenate(a), *stages)
    return {"stem": stem, "layers": layers, "head": _head(variables)}


def mlp(shape: CaseSize, loop: str = AUTO) -> Problem:
    """tanh and orthogonal kernels: critical, so that no depth makes denormals."""
    net = ARCHITECTURES["mlp"].build(settings(shape, "tanh", "orthogonal"))
    return _looped(loop, net, gaussian(shape.batch, shape.length), mlp_weights)


def _looped(
    loop: str, net: Any, x: np.ndarray, arrange: Callable[[Any], Weights]
) -> Problem:
    """The task of a net whose layers are gone through in a loop of this name."""
    taken = chosen(loop, net, x)
    shown = loop if loop == taken.name else f"{loop}: {taken.name}"
    return drawn(taken.change(net), x, arrange)._replace(loop=shown)


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
    (stage,) = variables.stages
    params = stage["params"]
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


def resnet_weights(variables: Any) -> Weights:
    """stem, blocks (a list, in order) of first and second, head.

    Convolutions: kernel [rows, columns, in, out], scale and shift of the norm after it.
    """

    def normalized(params, number):
        kernel = params[f"Conv_{number}"]["kernel"]
        return {"kernel": kernel, **_flat(params[f"Norm_{number}"])}

    blocks = []
    for stage in variables.stages:
        params = stage["params"]
        for index in range(len(params["Conv_0"]["kernel"])):
            block = jax.tree.map(lambda a, i=index: a[i], params)
            first, second = normalized(block, 0), normalized(block, 1)
            blocks.append({"first": first, "second": second})
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


def alexnet(shape: CaseSize) -> Problem:
    """Krizhevsky et al.'s two towers. No side has dropout: their masks would differ."""
    net = ARCHITECTURES["alexnet"].build(settings(shape, "relu", "he_normal"))
    *images, sixth, seventh = net.stages
    without = (s._replace(layer=s.layer.clone(dropout=0.0)) for s in (sixth, seventh))
    net = net._replace(stages=(*images, *without))
    x = gaussian(shape.batch, shape.length, shape.length, 3)
    return drawn(net, x, alexnet_weights)


def _mlp(
    name: str, form: str, shape: CaseSize, task: Callable[[CaseSize], Problem] = mlp
) -> Case:
    return Case(
        name,
        "mlp",
        "Schoenholz et al. 2017, arXiv:1611.01232 (critical tanh nets)",
        shape,
        task,
        mlp_weights,
        form,
        parameters=lambda s: s.width * (s.length + s.depth * s.width),
        states=lambda s: s.batch * (s.length + s.depth * s.width),
    )


def _of_sequence(s: CaseSize) -> float:
    """The numbers of a state of [batch, time, width] at every layer."""
    return s.batch * s.length * s.width * s.depth


def _resnet(name: str, task: Callable[[CaseSize], Problem]) -> Case:
    # Of six million inputs of ReLU a few are so near to zero that rounding decides on
    # which side they are. One of the 131,072 of a last layer is worth 131072^-1/2 = 0.003
    # of its gradient: up to 0.014 in all was seen in float32; 4e-6 where there is none
    # (batch 8).
    return Case(
        name,
        "resnet",
        "He et al. 2016, arXiv:1512.03385, section 4.2",
        CaseSize(batch=32, length=32, width=16, depth=20),
        task,
        resnet_weights,
        "resnet",
        parameters=lambda s: 53 * s.depth * s.width**2,
        states=lambda s: 2 * s.batch * s.length**2 * s.width * s.depth,
        tolerance=0.05,
    )


WIDE = CaseSize(batch=128, length=784, width=1024, depth=10)
DEEP = CaseSize(batch=128, length=784, width=128, depth=200)
CASES: Catalogue[Case] = Catalogue(
    "case",
    [
        _mlp("mlp_wide", "mlp", WIDE),
        _mlp("mlp_wide_unrolled", "mlp", WIDE, lambda s: mlp(s, "unrolled")),
        _mlp("mlp_deep", "mlp", DEEP),
        _mlp("mlp_deep_unrolled", "mlp", DEEP, lambda s: mlp(s, "unrolled")),
        _mlp(
            "mlp_1000",
            "deep_mlp",
            CaseSize(batch=32, length=784, width=128, depth=1000),
        ),
        Case(
            "lstm",
            "stacked_lstm",
            "Hochreiter & Schmidhuber 1997; forget gate: Gers et al. 2000",
            CaseSize(batch=64, length=200, width=128, depth=1),
            lstm,
            lstm_weights,
            "lstm",
            parameters=lambda s: 9 * s.depth * s.width**2,
            states=lambda s: 6 * _of_sequence(s),
        ),
        Case(
            "transformer",
            "transformer_pre_ln",
            "Xiong et al. 2020, arXiv:2002.04745 (Pre-LN)",
            CaseSize(batch=16, length=128, width=128, depth=6),
            transformer,
            transformer_weights,
            "transformer",
            parameters=lambda s: 13 * s.depth * s.width**2,
            states=lambda s: (10 + s.length / 32) * _of_sequence(s),
        ),
        _resnet("resnet20_scan", resnet),
        _resnet("resnet20_unrolled", lambda s: resnet(s, "unrolled")),
        Case(
            "alexnet",
            "alexnet",
            "Krizhevsky et al. 2012; images of 227 need no zeros around them",
            CaseSize(batch=8, length=227, width=96, depth=8),
            alexnet,
            alexnet_weights,
            "alexnet",
            parameters=lambda s: 6800 * s.width**2,
            states=lambda s: 0.3 * s.batch * s.length**2 * s.width,
            tolerance=0.05,  # ReLU and pooling, as in ResNet-20
        ),
    ],
)
