"""The nets of PyTorch's own modules, and how a PyTorch user trains them.

PyTorch gets its best case: fused SGD, gradients set to None between steps, fused LSTM
and attention, inputs laid out as it likes and on its side before the clock starts.
What a net calls is asked of PyTorch as the net is built: torch.compile cannot see through
a lazy handle, and would leave such nets as they are.
"""

import contextlib
import os
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from depthbench.benchmarks.peers import torch_loop
from depthbench.benchmarks.peers.case import (
    MOMENTUM,
    RATE,
    Model,
    Peer,
    Problem,
    Side,
    Sizes,
    Weights,
    channels_first,
    each,
    positions,
)
from depthbench.benchmarks.peers.torch_training import linear
from depthbench.research.lazy import lazily

with lazily():
    import torch
    import torch._inductor.utils as inductor

    from depthbench.research.architectures import attention

EPSILON = 1e-5


def side(model: Model, task: Problem, transform: Callable = lambda cost: cost) -> Side:
    """Forward, backward and update. transform: of the function from batch to loss."""
    model.net.to(torch_loop.device())
    parameters = _trained(model)
    optimizer = torch.optim.SGD(parameters, lr=RATE, momentum=MOMENTUM, fused=True)
    x, y = torch_loop.placed(model.lay(task.x)), torch_loop.placed(task.y).long()
    cross_entropy = torch.nn.functional.cross_entropy
    half = {"device_type": x.device.type, "dtype": torch.bfloat16}
    coarse = torch.autocast(**half, enabled=task.dtype != "float32")

    def cost(x, y):
        with coarse:
            outputs = model.forward(x)
        outputs = outputs.float()
        return cross_entropy(outputs, y), outputs

    run = transform(cost)
    torch_loop.forget_peak()

    def step():
        optimizer.zero_grad(set_to_none=True)
        loss, outputs = run(x, y)
        loss.backward()
        optimizer.step()
        torch_loop.wait()
        return loss.detach(), outputs.detach()

    gradients = lambda: [p.grad.cpu().numpy().copy() for p in parameters]
    return Side(step, gradients, torch_loop.peak)


def compiled(model: Model, task: Problem) -> Side:
    """The same by torch.compile, with nothing that an earlier net or run left compiled."""
    os.environ["TORCHINDUCTOR_FORCE_DISABLE_CACHES"] = "1"  # read at the first compile
    torch.compiler.reset()
    one = side(model, task, torch.compile)
    # In a folder that stays, what C++ made is found again by the next run.
    folder = [inductor.fresh_cache()]

    def step():
        with folder.pop() if folder else contextlib.nullcontext():
            return one.step()

    return one._replace(step=step)


def leaves(model: Model) -> list[np.ndarray]:
    """The parameters, in the order of a side's gradients."""
    return [parameter.detach().cpu().numpy() for parameter in _trained(model)]


def _trained(model: Model) -> list[Any]:
    return [p for p in model.net.parameters() if p.requires_grad]


def _filled(module: Any, **values: np.ndarray) -> Any:
    """The module with these values in its parameters."""
    with torch.no_grad():
        for name, value in values.items():
            getattr(module, name).copy_(torch.from_numpy(np.array(value)))
    return module


def mlp(weights: Weights, shape: Sizes) -> Model:
    """Linear, Tanh, …, in a Sequential."""
    parts = [linear(weights["stem"])]
    for layer in [*each(weights["layers"]), weights["head"]]:
        parts += [torch.nn.Tanh(), linear(layer)]
    net = torch.nn.Sequential(*parts)
    return Model(net, net)


def lstm(weights: Weights, shape: Sizes) -> Model:
    """Linear, torch.nn.LSTM, Linear; its fused kernel likes time first."""
    layers = each(weights["layers"])
    width = len(layers[0]["recurrent"])
    stem, head = linear(weights["stem"]), linear(weights["head"])
    body = torch.nn.LSTM(width, width, len(layers))
    for number, params in enumerate(layers):
        values = {
            f"weight_ih_l{number}": params["kernel"].T,
            f"weight_hh_l{number}": params["recurrent"].T,
            f"bias_ih_l{number}": params["bias"],
            f"bias_hh_l{number}": np.zeros_like(params["bias"]),  # one bias is enough
        }
        _filled(body, **values)
        getattr(body, f"bias_hh_l{number}").requires_grad_(False)

    def forward(x):
        h, _ = body(stem(x))
        return head(h[-1])

    time_first = lambda x: np.ascontiguousarray(np.swapaxes(x, 0, 1))
    return Model(torch.nn.ModuleList([stem, body, head]), forward, time_first)


class Block(NamedTuple):
    """One block's modules; mixed: queries, keys and values in one product."""

    norm_attention: Any
    mixed: Any
    output: Any
    norm_feed: Any
    wide: Any
    narrow: Any

    def __call__(self, h: Any, heads: int, attend: Callable) -> Any:
        batch, time, width = h.shape
        mixed = self.mixed(self.norm_attention(h))
        parts = mixed.view(batch, time, 3, heads, width // heads).permute(2, 0, 3, 1, 4)
        attended = attend(*parts.unbind(0))
        h = h + self.output(attended.transpose(1, 2).reshape(batch, time, width))
        return h + self.narrow(self.wide(self.norm_feed(h)).relu())


def _causal(time: int, size: int) -> Callable:
    """PyTorch's fused attention, causal, of queries and keys turned by their positions."""
    attend = torch.nn.functional.scaled_dot_product_attention
    frequency = attention.BASE ** -(np.arange(size // 2) / (size // 2))
    angles = (np.arange(time)[:, None] * frequency).astype(np.float32)
    cosine, sine = map(torch_loop.placed, (np.cos(angles), np.sin(angles)))
    stack = torch.stack

    def turned(a):
        even, odd = a.unflatten(-1, (-1, 2)).unbind(-1)
        both = (even * cosine - odd * sine, even * sine + odd * cosine)
        return stack(both, -1).flatten(-2).to(a.dtype)

    return lambda q, k, v: attend(turned(q), turned(k), v, is_causal=True)


def _layer_norm(norm: Weights) -> Any:
    module = torch.nn.LayerNorm(len(norm["scale"]), EPSILON)
    return _filled(module, weight=norm["scale"], bias=norm["shift"])


def _block(params: Weights) -> Block:
    three = [params[name] for name in ("query", "key", "value")]
    mixed = {n: np.concatenate([a[n] for a in three], -1) for n in ("kernel", "bias")}
    return Block(
        _layer_norm(params["norm_attention"]),
        linear(mixed),
        linear(params["output"]),
        _layer_norm(params["norm_feed"]),
        linear(params["wide"]),
        linear(params["narrow"]),
    )


def transformer(weights: Weights, shape: Sizes) -> Model:
    """Modules for all but attention, which is PyTorch's fused function."""
    places = torch_loop.placed(positions(shape[0], len(weights["stem"]["bias"])))
    attend = torch.nn.functional.scaled_dot_product_attention
    return _of_blocks(weights, attend, lambda h: h + places, lambda h: h.mean(1))


def decoder(weights: Weights, shape: Sizes) -> Model:
    """The same, causal and with rotary positions."""
    width = len(weights["stem"]["bias"])
    attend = _causal(shape[0], width // attention.heads_of(width))
    return _of_blocks(weights, attend, lambda h: h, lambda h: h[:, -1])


def _of_blocks(
    weights: Weights, attend: Callable, place: Callable, read: Callable
) -> Model:
    stem, head = linear(weights["stem"]), linear(weights["head"])
    blocks = [_block(params) for params in each(weights["layers"])]
    norm = _layer_norm(weights["norm"])
    heads = attention.heads_of(len(weights["stem"]["bias"]))

    def forward(x):
        h = place(stem(x))
        for block in blocks:
            h = block(h, heads, attend)
        return head(read(norm(h)))

    parts = [stem, *(module for block in blocks for module in block), norm, head]
    return Model(torch.nn.ModuleList(parts), forward)


def _convolution(
    params: Weights, strides: int, edge: int, groups: int = 1, bias: bool = True
) -> Any:
    rows, columns, inputs, features = params["kernel"].shape
    module = torch.nn.Conv2d(
        inputs * groups, features, (rows, columns), strides, edge, 1, groups, bias
    )
    values = {"weight": np.transpose(params["kernel"], (3, 2, 0, 1))}
    return _filled(module, **values, **({"bias": params["bias"]} if bias else {}))


def _normalized(params: Weights, strides: int = 1) -> Any:
    """A convolution without bias, and batch norm."""
    norm = torch.nn.BatchNorm2d(len(params["scale"]), EPSILON)
    edge = len(params["kernel"]) // 2
    return torch.nn.Sequential(
        _convolution(params, strides, edge, bias=False),
        _filled(norm, weight=params["scale"], bias=params["shift"]),
    )


def _residual(params: Weights) -> Any:
    """relu(shortcut + layers), with pixels left out and zeros added where it widens."""
    inputs, features = params["first"]["kernel"].shape[2:]
    strides, pad = features // inputs, (0, 0, 0, 0, 0, features - inputs)
    padded = torch.nn.functional.pad

    class Residual(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.first = _normalized(params["first"], strides)
            self.second = _normalized(params["second"])

        def forward(self, x):
            y = self.second(self.first(x).relu())
            if strides > 1:
                x = padded(x[:, :, ::strides, ::strides], pad)
            return (x + y).relu()

    return Residual()


def _bottleneck(params: Weights) -> Any:
    """relu(shortcut + layers), the stride in the 3 × 3 convolution, as torchvision's."""
    inputs, features = params["first"]["kernel"].shape[2], len(params["third"]["scale"])
    strides, opens = 2 if features == 2 * inputs else 1, "shortcut" in params

    class Bottleneck(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.first = _normalized(params["first"])
            self.second = _normalized(params["second"], strides)
            self.third = _normalized(params["third"])
            if opens:
                self.shortcut = _normalized(params["shortcut"], strides)

        def forward(self, x):
            y = self.third(self.second(self.first(x).relu()).relu())
            return ((self.shortcut(x) if opens else x) + y).relu()

    return Bottleneck()


def _images(parts: list[Any]) -> Model:
    """Channels last, which is faster than first; x is seen as [batch, channel, …]."""
    net = torch.nn.Sequential(*parts).to(memory_format=torch.channels_last).train()
    return Model(net, lambda x: net(x.permute(0, 3, 1, 2)))


def resnet(weights: Weights, shape: Sizes) -> Model:
    """He et al.'s net of torch.nn modules."""
    nn = torch.nn
    blocks = [_residual(params) for params in weights["blocks"]]
    head = [nn.AdaptiveAvgPool2d(1), nn.Flatten(), linear(weights["head"])]
    return _images([_normalized(weights["stem"]), nn.ReLU(), *blocks, *head])


def resnet50(weights: Weights, shape: Sizes) -> Model:
    """He et al.'s net of bottlenecks, of torch.nn modules."""
    nn = torch.nn
    stem = [_normalized(weights["stem"], 2), nn.ReLU(), nn.MaxPool2d(3, 2, 1)]
    blocks = [_bottleneck(params) for params in weights["blocks"]]
    head = [nn.AdaptiveAvgPool2d(1), nn.Flatten(), linear(weights["head"])]
    return _images([*stem, *blocks, *head])


def alexnet(weights: Weights, shape: Sizes) -> Model:
    """Convolutions with PyTorch's local response norm, whose α is divided by its size."""
    nn, parts, channels = torch.nn, [], 3
    for number, params in enumerate(weights["convolutions"]):
        groups = channels // params["kernel"].shape[2]
        channels = params["kernel"].shape[3]
        if number in (1, 2):
            parts += [nn.LocalResponseNorm(5, 5e-4, 0.75, 2.0), nn.MaxPool2d(3, 2)]
        first = number == 0
        edge = 0 if first else params["kernel"].shape[0] // 2
        parts += [_convolution(params, 4 if first else 1, edge, groups), nn.ReLU()]
    first, second, head = weights["dense"]
    turned = {**first, "kernel": channels_first(first["kernel"], channels)}
    parts += [nn.MaxPool2d(3, 2), nn.Flatten(), linear(turned), nn.ReLU()]
    return _images([*parts, linear(second), nn.ReLU(), linear(head)])


NETS = {
    "mlp": mlp,
    "deep_mlp": mlp,
    "lstm": lstm,
    "transformer": transformer,
    "decoder": decoder,
    "resnet": resnet,
    "resnet50": resnet50,
    "alexnet": alexnet,
}

PEERS = [
    Peer(
        "torch",
        "PyTorch as it is, its own modules",
        NETS,
        side,
        leaves,
        torch_loop.absent,
        outside=True,
    ),
    Peer(
        "torch_compiled",
        "the same by torch.compile",
        NETS,
        compiled,
        leaves,
        torch_loop.absent,
        outside=True,
    ),
]
