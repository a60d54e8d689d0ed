"""The nets of Flax NNX's modules, trained in the form that its guide says is fastest.

A "functional training loop" (flax.readthedocs.io, Performance considerations): jax.jit of
a function that merges model and optimizer from their state, so that Python walks through
the modules once, while it traces. The state is donated.
"""

from typing import Any

import numpy as np

from depthbench.benchmarks.peers.case import (
    MOMENTUM,
    RATE,
    Model,
    Peer,
    Problem,
    Side,
    Sizes,
    Weights,
    each,
    held,
    positions,
)
from depthbench.research.lazy import lazily

with lazily():
    import flax.nnx as nnx
    import jax
    import jax.numpy as jnp
    import optax

    from depthbench.benchmarks.peers import in_jax
    from depthbench.research.architectures import attention

EPSILON = 1e-5


def side(model: Model, task: Problem) -> Side:
    """nnx.value_and_grad and nnx.Optimizer, in one program."""
    rule = optax.sgd(RATE, momentum=MOMENTUM)
    optimizer = nnx.Optimizer(model.net, rule, wrt=nnx.Param)
    graph, state = nnx.split((model.net, optimizer))

    def cost(net, x, y):
        outputs = model.forward(net, x)
        losses = optax.softmax_cross_entropy_with_integer_labels(outputs, y)
        return losses.mean(), outputs

    def step(state, x, y):
        net, optimizer = nnx.merge(graph, state)
        results, slope = nnx.value_and_grad(cost, has_aux=True)(net, x, y)
        optimizer.update(net, slope)
        return nnx.state((net, optimizer)), results

    def gradients(state):
        _, optimizer = nnx.merge(graph, state)
        return jax.tree.leaves(optimizer.opt_state[0].trace)

    batch = jax.device_put((task.x, task.y))
    return held(jax.jit(step, donate_argnums=0), state, batch, gradients)


def leaves(model: Model) -> list[np.ndarray]:
    """The parameters, in the order of a side's gradients."""
    return jax.device_get(jax.tree.leaves(nnx.state(model.net, nnx.Param)))


def _filled(module: Any, **values: np.ndarray) -> Any:
    """The module with these values for parameters."""
    for name, value in values.items():
        setattr(module, name, nnx.Param(jnp.array(value)))
    return module


def _linear(dense: Weights) -> Any:
    """nnx.Linear; of stacked weights one as `nnx.vmap` makes it."""
    return _filled(nnx.Linear(*dense["kernel"].shape[-2:], rngs=nnx.Rngs(0)), **dense)


def _norm(kind: Any, norm: Weights, **options: Any) -> Any:
    width = len(norm["scale"])
    module = kind(width, epsilon=EPSILON, rngs=nnx.Rngs(0), **options)
    return _filled(module, scale=norm["scale"], bias=norm["shift"])


def _ends(weights: Weights, **parts: Any) -> Any:
    stem, head = _linear(weights["stem"]), _linear(weights["head"])
    return nnx.Dict(stem=stem, head=head, **parts)


def mlp(weights: Weights, shape: Sizes) -> Model:
    """Layers one after another."""
    layers = nnx.List([_linear(params) for params in each(weights["layers"])])

    def forward(net, x):
        z = net.stem(x)
        for layer in net.layers:
            z = layer(nnx.tanh(z))
        return net.head(nnx.tanh(z))

    return Model(_ends(weights, layers=layers), forward)


def deep_mlp(weights: Weights, shape: Sizes) -> Model:
    """nnx.scan over stacked layers."""

    def forward(net, x):
        @nnx.scan(in_axes=(nnx.Carry, 0), out_axes=nnx.Carry)
        def through(z, layer):
            return layer(nnx.tanh(z))

        return net.head(nnx.tanh(through(net.stem(x), net.layers)))

    return Model(_ends(weights, layers=_linear(weights["layers"])), forward)


def lstm(weights: Weights, shape: Sizes) -> Model:
    """nnx.RNN of nnx.OptimizedLSTMCell."""

    def layer(params):
        width = len(params["recurrent"])
        cell = nnx.OptimizedLSTMCell(width, width, rngs=nnx.Rngs(0))
        _filled(cell.dense_i, kernel=params["kernel"])
        _filled(cell.dense_h, kernel=params["recurrent"], bias=params["bias"])
        return nnx.RNN(cell)

    def forward(net, x):
        h = net.stem(x)
        for rnn in net.layers:
            h = rnn(h)
        return net.head(h[:, -1])

    layers = nnx.List([layer(params) for params in each(weights["layers"])])
    return Model(_ends(weights, layers=layers), forward)


def _attention(params: Weights, heads: int) -> Any:
    width = len(params["query"]["kernel"])
    module = nnx.MultiHeadAttention(
        heads, width, decode=False, rngs=nnx.Rngs(0), keep_rngs=False
    )
    for name in ("query", "key", "value"):
        kernel = params[name]["kernel"].reshape(width, heads, -1)
        bias = params[name]["bias"].reshape(heads, -1)
        _filled(getattr(module, name), kernel=kernel, bias=bias)
    kernel = params["output"]["kernel"].reshape(heads, -1, width)
    _filled(module.out, kernel=kernel, bias=params["output"]["bias"])
    return module


def transformer(weights: Weights, shape: Sizes) -> Model:
    """Blocks of nnx.MultiHeadAttention, nnx.LayerNorm and nnx.Linear."""
    width = len(weights["stem"]["bias"])
    heads, places = attention.heads_of(width), positions(shape[0], width)

    def block(params):
        return nnx.Dict(
            norm_attention=_norm(nnx.LayerNorm, params["norm_attention"]),
            attention=_attention(params, heads),
            norm_feed=_norm(nnx.LayerNorm, params["norm_feed"]),
            wide=_linear(params["wide"]),
            narrow=_linear(params["narrow"]),
        )

    def forward(net, x):
        h = net.stem(x) + places
        for layer in net.layers:
            h = h + layer.attention(layer.norm_attention(h))
            h = h + layer.narrow(nnx.relu(layer.wide(layer.norm_feed(h))))
        return net.head(net.norm(h).mean(1))

    layers = nnx.List([block(params) for params in each(weights["layers"])])
    norm = _norm(nnx.LayerNorm, weights["norm"])
    return Model(_ends(weights, layers=layers, norm=norm), forward)


def _convolution(params: Weights, strides: int, edge: int, groups: int = 1) -> Any:
    rows, columns, inputs, features = params["kernel"].shape
    module = nnx.Conv(
        inputs * groups,
        features,
        (rows, columns),
        strides,
        padding=[(edge, edge)] * 2,
        feature_group_count=groups,
        use_bias="bias" in params,
        rngs=nnx.Rngs(0),
    )
    return _filled(module, **params)


def _normalized(params: Weights, strides: int = 1) -> Any:
    """A convolution without bias, and batch norm."""
    convolution = _convolution({"kernel": params["kernel"]}, strides, 1)
    norm = _norm(nnx.BatchNorm, params, momentum=0.9, use_running_average=False)
    return nnx.Sequential(convolution, norm)


def resnet(weights: Weights, shape: Sizes) -> Model:
    """nnx.Conv and nnx.BatchNorm; blocks one after another."""

    def block(params):
        inputs, features = params["first"]["kernel"].shape[2:]
        first = _normalized(params["first"], features // inputs)
        return nnx.Dict(first=first, second=_normalized(params["second"]))

    def forward(net, x):
        h = nnx.relu(net.stem(x))
        for residual in net.blocks:
            y = residual.second(nnx.relu(residual.first(h)))
            strides, more = h.shape[1] // y.shape[1], y.shape[3] - h.shape[3]
            h = jnp.pad(h[:, ::strides, ::strides], [(0, 0)] * 3 + [(0, more)])
            h = nnx.relu(h + y)
        return net.head(h.mean((1, 2)))

    blocks = nnx.List([block(params) for params in weights["blocks"]])
    stem, head = _normalized(weights["stem"]), _linear(weights["head"])
    return Model(nnx.Dict(stem=stem, blocks=blocks, head=head), forward)


def alexnet(weights: Weights, shape: Sizes) -> Model:
    """nnx.Conv, nnx.max_pool, nnx.Linear; NNX has no local response norm."""
    convolutions, channels = [], 3
    for number, params in enumerate(weights["convolutions"]):
        groups = channels // params["kernel"].shape[2]
        channels = params["kernel"].shape[3]
        edge = params["kernel"].shape[0] // 2 if number else 0
        convolutions.append(_convolution(params, 1 if number else 4, edge, groups))

    def forward(net, x):
        pooled = lambda h: nnx.max_pool(h, (3, 3), (2, 2))
        for number, convolution in enumerate(net.convolutions):
            if number in (1, 2):
                x = pooled(in_jax.local_response(x, 3))
            x = nnx.relu(convolution(x))
        h = pooled(x).reshape(len(x), -1)
        first, second, head = net.dense
        return head(nnx.relu(second(nnx.relu(first(h)))))

    dense = nnx.List([_linear(params) for params in weights["dense"]])
    return Model(nnx.Dict(convolutions=nnx.List(convolutions), dense=dense), forward)


NETS = {
    "mlp": mlp,
    "deep_mlp": deep_mlp,
    "lstm": lstm,
    "transformer": transformer,
    "resnet": resnet,
    "alexnet": alexnet,
}

PEERS = [
    Peer("nnx", "Flax NNX, its guide's functional training loop", NETS, side, leaves),
]
