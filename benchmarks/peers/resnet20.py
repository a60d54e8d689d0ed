"""ResNet-20 for images of 32 × 32 with batch norm: our `resnet` beside PyTorch's modules.

Two forms of the same net of ours: stages of equal blocks as scans, which compile in a
time that does not grow with depth, and every block written out.
"""

from typing import Any

import numpy as np

from benchmarks.peers.case import (
    Case,
    Model,
    Shape,
    Task,
    Tie,
    drawn,
    gaussian,
    settings,
)
from research.architectures import ARCHITECTURES
from research.lazy import lazy

jax = lazy("jax")
torch = lazy("torch")
contract = lazy("research.architectures.contract")
normalizers = lazy("research.normalizers")


def scanned(shape: Shape) -> Task:
    """The architecture as it is: a scan for each stage of equal blocks."""
    return drawn(_net(shape), _images(shape))


def unrolled(shape: Shape) -> Task:
    """The same with the blocks one after another in the program."""
    return drawn(_net(shape), _images(shape), apply_unrolled)


def _net(shape: Shape) -> Any:
    return ARCHITECTURES["resnet"].build(settings(shape, "relu", "he_normal", "batch"))


def _images(shape: Shape) -> np.ndarray:
    return gaussian(shape.batch, shape.length, shape.length, 3)


def apply_unrolled(net: Any, variables: Any, x: Any) -> tuple[Any, Any]:
    """As contract.apply, with as many stages of depth 1 as there are layers."""
    alone, stages = [], []
    for stage, stacked in zip(net.stages, variables.stages, strict=True):
        for index in range(stage.depth):
            alone.append(stage._replace(depth=1))
            stages.append(jax.tree.map(lambda a, i=index: a[i : i + 1], stacked))
    outputs, after = contract.apply(
        net._replace(stages=tuple(alone)), variables._replace(stages=tuple(stages)), x
    )
    kept, rest = [], iter(after.stages)
    for stage in net.stages:
        layers = [next(rest) for _ in range(stage.depth)]
        kept.append(jax.tree.map(lambda *a: jax.numpy.concatenate(a), *layers))
    return outputs, after._replace(stages=tuple(kept))


def model(task: Task) -> Model:
    """He et al.'s net of torch.nn modules, channels last, which is faster than first."""
    width = task.variables.stem["params"]["Conv_0"]["kernel"].shape[-1]
    stem = _normalized(3, width, 1)
    parts: list[Any] = [stem, torch.nn.ReLU()]
    ties = _ties(stem, lambda own: own.stem["params"], 0)
    inputs = width
    for place, stage in enumerate(task.variables.stages):
        kernel = stage["params"]["Conv_1"]["kernel"]
        for index in range(len(kernel)):
            block = _block(inputs, inputs := kernel.shape[-1])
            parts.append(block)
            for number in (0, 1):
                of = lambda own, p=place, i=index: jax.tree.map(
                    lambda a: a[i], own.stages[p]["params"]
                )
                ties += _ties(block.layers[number], of, number)
    head = torch.nn.Linear(inputs, task.net.head.outputs)
    dense = lambda own: own.head["params"]["Head_0"]["Dense_0"]
    ties.append(Tie(head.weight, lambda own: dense(own)["kernel"].T))
    ties.append(Tie(head.bias, lambda own: dense(own)["bias"]))
    parts += [torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten(), head]
    last = torch.channels_last
    x = torch.from_numpy(np.ascontiguousarray(np.moveaxis(task.x, -1, 1)))
    net = torch.nn.Sequential(*parts).to(memory_format=last).train()
    return Model(net, tuple(ties), x.contiguous(memory_format=last))


def _normalized(inputs: int, features: int, strides: int) -> Any:
    """A convolution without bias, and batch norm."""
    return torch.nn.Sequential(
        torch.nn.Conv2d(inputs, features, 3, strides, 1, bias=False),
        torch.nn.BatchNorm2d(features, normalizers.EPSILON),
    )


def _block(inputs: int, features: int) -> Any:
    """relu(shortcut + layers), with pixels left out and zeros added where it widens."""
    nn, strides = torch.nn, features // inputs
    pad = (0, 0, 0, 0, 0, features - inputs)

    class Block(nn.Module):
        def __init__(self):
            super().__init__()
            first = _normalized(inputs, features, strides)
            self.layers = nn.ModuleList([first, _normalized(features, features, 1)])

        def forward(self, x):
            y = self.layers[1](torch.relu(self.layers[0](x)))
            if strides > 1:
                x = nn.functional.pad(x[:, :, ::strides, ::strides], pad)
            return torch.relu(x + y)

    return Block()


def _ties(layer: Any, params: Any, number: int) -> list[Tie]:
    """Ties of a normalised convolution; params: from Variables of ours to a layer's."""
    conv, norm = layer
    kernel = lambda own: params(own)[f"Conv_{number}"]["kernel"]
    return [
        Tie(conv.weight, lambda own: np.transpose(kernel(own), (3, 2, 0, 1))),
        Tie(norm.weight, lambda own: np.ravel(params(own)[f"Norm_{number}"]["scale"])),
        Tie(norm.bias, lambda own: np.ravel(params(own)[f"Norm_{number}"]["shift"])),
    ]


SOURCE = "He et al. 2016, arXiv:1512.03385, section 4.2"
SHAPE = Shape(batch=32, length=32, width=16, depth=20)
# Of six million inputs of ReLU a few are so near to zero that rounding decides on which
# side they are. One of the 131,072 of a last layer is worth 131072^-1/2 = 0.003 of its
# gradient: up to 0.014 in all was seen in float32; 4e-6 where there is none (batch 8).
TOLERANCE = 0.05
CASES = (
    Case("resnet20_scan", "resnet", SOURCE, SHAPE, scanned, model, TOLERANCE),
    Case("resnet20_unrolled", "resnet", SOURCE, SHAPE, unrolled, model, TOLERANCE),
)
