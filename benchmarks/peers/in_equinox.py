"""The nets of Equinox's modules, trained with `eqx.filter_jit` as its guides do.

Modules read one example each and are mapped over the batch by jax.vmap. Where layers
repeat by the hundred they are scanned over, as Equinox's "Tricks" page advises. Weights,
momentum and statistics are donated.
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
    channels_first,
    each,
    held,
    positions,
)
from depthbench.research.catalogues.packages import missing
from depthbench.research.lazy import lazily

with lazily():
    import equinox as eqx
    import jax
    import jax.lax as lax
    import jax.numpy as jnp
    import optax

    from depthbench.benchmarks.peers import in_jax
    from depthbench.research.architectures import attention

EPSILON = 1e-5


def side(model: Model, task: Problem) -> Side:
    """eqx.filter_value_and_grad, optax and eqx.apply_updates, in one program.

    model.net: (modules, eqx.nn.State); forward(modules, state, x) of one example.
    """
    rule = optax.sgd(RATE, momentum=MOMENTUM)
    forward = jax.vmap(
        model.forward, axis_name="batch", in_axes=(None, None, 0), out_axes=(0, None)
    )

    def cost(net, statistics, x, y):
        outputs, statistics = forward(net, statistics, x)
        losses = optax.softmax_cross_entropy_with_integer_labels(outputs, y)
        return losses.mean(), (outputs, statistics)

    @eqx.filter_jit(donate="all-except-first")
    def program(batch, state):
        net, momentum, statistics = state
        gradient = eqx.filter_value_and_grad(cost, has_aux=True)
        (loss, (outputs, statistics)), slope = gradient(net, statistics, *batch)
        updates, momentum = rule.update(slope, momentum)
        return (eqx.apply_updates(net, updates), momentum, statistics), (loss, outputs)

    net, statistics = model.net
    state = (net, rule.init(eqx.filter(net, eqx.is_inexact_array)), statistics)
    batch = (jax.device_put((model.lay(task.x), task.y)),)
    gradients = lambda state: jax.tree.leaves(state[1][0].trace)
    return held(lambda state, batch: program(batch, state), state, batch, gradients)


def leaves(model: Model) -> list[np.ndarray]:
    """The parameters, in the order of a side's gradients."""
    return jax.device_get(
        jax.tree.leaves(eqx.filter(model.net[0], eqx.is_inexact_array))
    )


def _filled(module: Any, **values: np.ndarray) -> Any:
    """The module with these values for parameters."""
    read = lambda m: [getattr(m, name) for name in values]
    return eqx.tree_at(read, module, [jnp.array(value) for value in values.values()])


def _linear(dense: Weights) -> Any:
    """eqx.nn.Linear; of stacked weights one as eqx.filter_vmap makes it."""
    module = eqx.nn.Linear(*dense["kernel"].shape[-2:], key=jax.random.key(0))
    weight = np.swapaxes(dense["kernel"], -2, -1)
    return _filled(module, weight=weight, bias=dense["bias"])


def _ends(weights: Weights, **parts: Any) -> dict[str, Any]:
    return {"stem": _linear(weights["stem"]), "head": _linear(weights["head"]), **parts}


def mlp(weights: Weights, shape: Sizes) -> Model:
    """Layers one after another."""

    def forward(net, state, x):
        z = net["stem"](x)
        for layer in net["layers"]:
            z = layer(jnp.tanh(z))
        return net["head"](jnp.tanh(z)), state

    layers = [_linear(params) for params in each(weights["layers"])]
    return Model((_ends(weights, layers=layers), None), forward)


def deep_mlp(weights: Weights, shape: Sizes) -> Model:
    """A scan over stacked layers."""

    def forward(net, state, x):
        arrays, static = eqx.partition(net["layers"], eqx.is_array)

        def step(z, arrays):
            return eqx.combine(arrays, static)(jnp.tanh(z)), None

        z, _ = lax.scan(step, net["stem"](x), arrays)
        return net["head"](jnp.tanh(z)), state

    return Model((_ends(weights, layers=_linear(weights["layers"])), None), forward)


def lstm(weights: Weights, shape: Sizes) -> Model:
    """jax.lax.scan of eqx.nn.LSTMCell."""

    def layer(params):
        width = len(params["recurrent"])
        cell = eqx.nn.LSTMCell(width, width, key=jax.random.key(0))
        weight, recurrent = params["kernel"].T, params["recurrent"].T
        return _filled(cell, weight_ih=weight, weight_hh=recurrent, bias=params["bias"])

    def forward(net, state, x):
        h = jax.vmap(net["stem"])(x)
        for cell in net["layers"]:

            def step(carry, now, cell=cell):
                carry = cell(now, carry)
                return carry, carry[0]

            zeros = jnp.zeros(cell.hidden_size)
            _, h = lax.scan(step, (zeros, zeros), h)
        return net["head"](h[-1]), state

    layers = [layer(params) for params in each(weights["layers"])]
    return Model((_ends(weights, layers=layers), None), forward)


def _layer_norm(norm: Weights) -> Any:
    module = eqx.nn.LayerNorm(len(norm["scale"]), EPSILON)
    return _filled(module, weight=norm["scale"], bias=norm["shift"])


def _attention(params: Weights, heads: int) -> Any:
    width = len(params["query"]["kernel"])
    biased = {f"use_{n}_bias": True for n in ("query", "key", "value", "output")}
    module = eqx.nn.MultiheadAttention(heads, width, **biased, key=jax.random.key(0))
    names = ("query", "key", "value", "output")
    read = lambda m: [getattr(m, f"{name}_proj") for name in names]
    return eqx.tree_at(read, module, [_linear(params[name]) for name in names])


def transformer(weights: Weights, shape: Sizes) -> Model:
    """Blocks of eqx.nn.MultiheadAttention, eqx.nn.LayerNorm and eqx.nn.Linear."""
    width = len(weights["stem"]["bias"])
    heads, places = attention.heads_of(width), positions(shape[0], width)

    def block(params):
        return {
            "norm_attention": _layer_norm(params["norm_attention"]),
            "attention": _attention(params, heads),
            "norm_feed": _layer_norm(params["norm_feed"]),
            "wide": _linear(params["wide"]),
            "narrow": _linear(params["narrow"]),
        }

    def forward(net, state, x):
        every = jax.vmap  # over time
        h = every(net["stem"])(x) + places
        for layer in net["layers"]:
            read = every(layer["norm_attention"])(h)
            h = h + layer["attention"](read, read, read)
            wide = every(layer["wide"])(every(layer["norm_feed"])(h))
            h = h + every(layer["narrow"])(jax.nn.relu(wide))
        return net["head"](every(net["norm"])(h).mean(0)), state

    layers = [block(params) for params in each(weights["layers"])]
    norm = _layer_norm(weights["norm"])
    return Model((_ends(weights, layers=layers, norm=norm), None), forward)


def _convolution(params: Weights, strides: int, edge: int, groups: int = 1) -> Any:
    rows, _, inputs, features = params["kernel"].shape
    module = eqx.nn.Conv2d(
        inputs * groups,
        features,
        rows,
        strides,
        edge,
        groups=groups,
        use_bias="bias" in params,
        key=jax.random.key(0),
    )
    values = {"weight": np.transpose(params["kernel"], (3, 2, 0, 1))}
    if "bias" in params:
        values["bias"] = params["bias"][:, None, None]
    return _filled(module, **values)


def _normalized(params: Weights, strides: int = 1) -> tuple[Any, Any]:
    """A convolution without bias, and batch norm."""
    norm = eqx.nn.BatchNorm(
        len(params["scale"]), "batch", EPSILON, momentum=0.9, mode="batch"
    )
    convolution = _convolution({"kernel": params["kernel"]}, strides, 1)
    return convolution, _filled(norm, weight=params["scale"], bias=params["shift"])


def _channel_first(x: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(np.moveaxis(x, -1, 1))


def resnet(weights: Weights, shape: Sizes) -> Model:
    """eqx.nn.Conv2d and eqx.nn.BatchNorm, of images [channel, row, column]."""

    def block(params):
        inputs, features = params["first"]["kernel"].shape[2:]
        first = _normalized(params["first"], features // inputs)
        return first, _normalized(params["second"])

    def build():
        blocks = [block(params) for params in weights["blocks"]]
        stem, head = _normalized(weights["stem"]), _linear(weights["head"])
        return {"stem": stem, "blocks": blocks, "head": head}

    def normalized(layer, x, state):
        convolution, norm = layer
        return norm(convolution(x), state)

    def forward(net, state, x):
        h, state = normalized(net["stem"], x, state)
        h = jax.nn.relu(h)
        for first, second in net["blocks"]:
            y, state = normalized(first, h, state)
            y, state = normalized(second, jax.nn.relu(y), state)
            strides, more = h.shape[1] // y.shape[1], len(y) - len(h)
            h = jnp.pad(h[:, ::strides, ::strides], [(0, more), (0, 0), (0, 0)])
            h = jax.nn.relu(h + y)
        return net["head"](h.mean((1, 2))), state

    return Model(eqx.nn.make_with_state(build)(), forward, _channel_first)


def alexnet(weights: Weights, shape: Sizes) -> Model:
    """eqx.nn.Conv2d, MaxPool2d and Linear; Equinox has no local response norm."""
    convolutions, channels = [], 3
    for number, params in enumerate(weights["convolutions"]):
        groups = channels // params["kernel"].shape[2]
        channels = params["kernel"].shape[3]
        edge = params["kernel"].shape[0] // 2 if number else 0
        convolutions.append(_convolution(params, 1 if number else 4, edge, groups))
    first, *others = weights["dense"]
    turned = {**first, "kernel": channels_first(first["kernel"], channels)}

    def forward(net, state, x):
        for number, convolution in enumerate(net["convolutions"]):
            if number in (1, 2):
                x = net["pool"](in_jax.local_response(x, 0))
            x = jax.nn.relu(convolution(x))
        first, second, head = net["dense"]
        h = jax.nn.relu(first(net["pool"](x).reshape(-1)))
        return head(jax.nn.relu(second(h))), state

    net = {
        "convolutions": convolutions,
        "pool": eqx.nn.MaxPool2d(3, 2),
        "dense": [_linear(params) for params in (turned, *others)],
    }
    return Model((net, None), forward, _channel_first)


NETS = {
    "mlp": mlp,
    "deep_mlp": deep_mlp,
    "lstm": lstm,
    "transformer": transformer,
    "resnet": resnet,
    "alexnet": alexnet,
}

PEERS = [
    Peer(
        "equinox",
        "Equinox, filter_jit",
        NETS,
        side,
        leaves,
        lambda: missing("equinox"),
    ),
]
