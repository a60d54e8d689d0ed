"""The nets of Keras layers on JAX, trained as Keras' own JAX trainer does.

`stateless_call` and the optimizer's `stateless_apply` in one jitted program, its state
donated: what `fit` runs for a batch, without its callbacks.
"""

import os
import sys
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
from depthbench.research.catalogues.packages import missing
from depthbench.research.lazy import lazily

with lazily():
    import jax
    import keras

    from depthbench.research.architectures import attention

EPSILON = 1e-5


def absent() -> str:
    """Why there is no Keras on JAX here; "" where there is.

    Keras reads its backend when it is imported: JAX, unless somebody chose another.
    """
    if why := missing("keras"):
        return why
    backend = os.environ.setdefault("KERAS_BACKEND", "jax")
    if "keras" in sys.modules:
        backend = keras.backend.backend()
    return "" if backend == "jax" else f"Keras runs on {backend} here (KERAS_BACKEND)"


def side(model: Model, task: Problem) -> Side:
    """One program a step: loss, gradient, update of all variables."""
    net = model.net
    measure = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    optimizer = keras.optimizers.SGD(RATE, momentum=MOMENTUM)
    optimizer.build(net.trainable_variables)

    def cost(trained, statistics, x, y):
        outputs, statistics = net.stateless_call(trained, statistics, x, training=True)
        return measure(y, outputs), (outputs, statistics)

    def step(state, x, y):
        trained, statistics, momentum = state
        gradient = jax.value_and_grad(cost, has_aux=True)
        (loss, (outputs, statistics)), slope = gradient(trained, statistics, x, y)
        trained, momentum = optimizer.stateless_apply(momentum, slope, trained)
        return (trained, statistics, momentum), (loss, outputs)

    variables = (
        net.trainable_variables,
        net.non_trainable_variables,
        optimizer.variables,
    )
    # Copies: the program eats its state, and Keras keeps its own arrays.
    state = tuple([jax.numpy.array(v.value) for v in part] for part in variables)

    def gradients(state):
        """Keras' momentum, which starts at zero, is −rate × gradient after one step."""
        iterations_and_rate = 2
        return [np.asarray(m) / -RATE for m in state[2][iterations_and_rate:]]

    batch = jax.device_put((task.x, task.y))
    return held(jax.jit(step, donate_argnums=0), state, batch, gradients)


def leaves(model: Model) -> list[np.ndarray]:
    """The parameters, in the order of a side's gradients."""
    return [np.asarray(v.value) for v in model.net.trainable_variables]


def _filled(layer: Any, h: Any, *values: np.ndarray) -> Any:
    """What a layer makes of h, after it got these weights."""
    out = layer(h)
    layer.set_weights([*values, *layer.get_weights()[len(values) :]])
    return out


def _linear(dense: Weights, h: Any, activation: str | None = None) -> Any:
    features = len(dense["bias"])
    layer = keras.layers.Dense(features, activation, kernel_initializer="zeros")
    return _filled(layer, h, *_pair(dense))


def mlp(weights: Weights, shape: Sizes) -> Model:
    """keras.layers.Dense one after another."""
    x = keras.Input(shape)
    z = _linear(weights["stem"], x)
    for layer in [*each(weights["layers"]), weights["head"]]:
        z = _linear(layer, keras.ops.tanh(z))
    return _model(x, z, len(weights["layers"]["bias"]))


def deep_mlp(weights: Weights, shape: Sizes) -> Model:
    """keras.ops.scan in a layer of one's own: Keras has none that repeats another."""
    depth, width = weights["layers"]["bias"].shape

    class Repeated(keras.layers.Layer):
        def build(self, shape):
            self.kernel = self.add_weight((depth, width, width), "zeros")
            self.bias = self.add_weight((depth, width), "zeros")

        def call(self, z):
            def step(z, layer):
                kernel, bias = layer
                return keras.ops.tanh(z) @ kernel + bias, None

            layers = (self.kernel.value, self.bias.value)
            return keras.ops.scan(step, z, layers)[0]

    x = keras.Input(shape)
    z = _filled(Repeated(), _linear(weights["stem"], x), *_pair(weights["layers"]))
    return _model(x, _linear(weights["head"], keras.ops.tanh(z)))


def _pair(dense: Weights) -> tuple[np.ndarray, np.ndarray]:
    return dense["kernel"], dense["bias"]


def _model(x: Any, outputs: Any, depth: int = 1) -> Model:
    """The net between x and outputs, which Keras looks for by calls in calls."""
    before = sys.getrecursionlimit()
    sys.setrecursionlimit(before + 10 * depth)
    try:
        return Model(keras.Model(x, outputs), None)
    finally:
        sys.setrecursionlimit(before)


def lstm(weights: Weights, shape: Sizes) -> Model:
    """keras.layers.LSTM."""
    x = keras.Input(shape)
    h = _linear(weights["stem"], x)
    layers = each(weights["layers"])
    for number, params in enumerate(layers):
        width, last = len(params["recurrent"]), number == len(layers) - 1
        layer = keras.layers.LSTM(width, return_sequences=not last)
        h = _filled(layer, h, params["kernel"], params["recurrent"], params["bias"])
    return _model(x, _linear(weights["head"], h))


def _layer_norm(norm: Weights, h: Any) -> Any:
    layer = keras.layers.LayerNormalization(epsilon=EPSILON)
    return _filled(layer, h, norm["scale"], norm["shift"])


def _attention(params: Weights, h: Any, heads: int) -> Any:
    width = h.shape[-1]
    layer = keras.layers.MultiHeadAttention(heads, width // heads)
    out, values = layer(h, h), []
    for name in ("query", "key", "value"):
        values.append(params[name]["kernel"].reshape(width, heads, -1))
        values.append(params[name]["bias"].reshape(heads, -1))
    values.append(params["output"]["kernel"].reshape(heads, -1, width))
    layer.set_weights([*values, params["output"]["bias"]])
    return out


def transformer(weights: Weights, shape: Sizes) -> Model:
    """Blocks of keras.layers.MultiHeadAttention, LayerNormalization and Dense."""
    width = len(weights["stem"]["bias"])
    heads = attention.heads_of(width)
    x = keras.Input(shape)
    h = _linear(weights["stem"], x) + positions(shape[0], width)
    for params in each(weights["layers"]):
        h = h + _attention(params, _layer_norm(params["norm_attention"], h), heads)
        wide = _linear(params["wide"], _layer_norm(params["norm_feed"], h), "relu")
        h = h + _linear(params["narrow"], wide)
    h = keras.layers.GlobalAveragePooling1D()(_layer_norm(weights["norm"], h))
    return _model(x, _linear(weights["head"], h))


def _convolution(params: Weights, h: Any, strides: int, edge: int) -> Any:
    rows, _, inputs, features = params["kernel"].shape
    if edge:
        h = keras.layers.ZeroPadding2D(edge)(h)
    bias = [params["bias"]] if "bias" in params else []
    layer = keras.layers.Conv2D(
        features,
        rows,
        strides,
        groups=h.shape[-1] // inputs,
        use_bias=bool(bias),
        kernel_initializer="zeros",
    )
    return _filled(layer, h, params["kernel"], *bias)


def _normalized(params: Weights, h: Any, strides: int = 1) -> Any:
    """A convolution without bias, and batch norm."""
    z = _convolution({"kernel": params["kernel"]}, h, strides, 1)
    layer = keras.layers.BatchNormalization(momentum=0.9, epsilon=EPSILON)
    return _filled(layer, z, params["scale"], params["shift"])


def resnet(weights: Weights, shape: Sizes) -> Model:
    """keras.layers.Conv2D and BatchNormalization; blocks one after another."""
    relu = keras.ops.relu
    x = keras.Input(shape)
    h = relu(_normalized(weights["stem"], x))
    for params in weights["blocks"]:
        inputs, features = params["first"]["kernel"].shape[2:]
        strides = features // inputs
        y = _normalized(
            params["second"], relu(_normalized(params["first"], h, strides))
        )
        if strides > 1:
            edges = [(0, 0)] * 3 + [(0, features - inputs)]
            h = keras.ops.pad(h[:, ::strides, ::strides], edges)
        h = relu(h + y)
    h = keras.layers.GlobalAveragePooling2D()(h)
    return _model(x, _linear(weights["head"], h))


def _local_response(h: Any) -> Any:
    """h / (2 + 10⁻⁴ Σ h²)^0.75, the sum over five neighbouring channels."""
    squares = keras.ops.pad(keras.ops.square(h), [(0, 0)] * 3 + [(2, 2)])
    channels = h.shape[-1]
    total = sum(squares[..., start : start + channels] for start in range(5))
    return h * (2 + 1e-4 * total) ** -0.75


def alexnet(weights: Weights, shape: Sizes) -> Model:
    """keras.layers.Conv2D, MaxPooling2D and Dense; no layer for the response norm."""
    relu, pooled = keras.ops.relu, lambda h: keras.layers.MaxPooling2D(3, 2)(h)
    x = h = keras.Input(shape)
    for number, params in enumerate(weights["convolutions"]):
        if number in (1, 2):
            h = pooled(_local_response(h))
        edge = params["kernel"].shape[0] // 2 if number else 0
        h = relu(_convolution(params, h, 1 if number else 4, edge))
    h = keras.layers.Flatten()(pooled(h))
    first, second, head = weights["dense"]
    h = _linear(second, _linear(first, h, "relu"), "relu")
    return _model(x, _linear(head, h))


NETS = {
    "mlp": mlp,
    "deep_mlp": deep_mlp,
    "lstm": lstm,
    "transformer": transformer,
    "resnet": resnet,
    "alexnet": alexnet,
}

PEERS = [
    Peer("keras", "Keras 3 on JAX, its trainer's step", NETS, side, leaves, absent),
]
