"""The nets in plain JAX, as fast as a good engineer writes them; no library of nets.

Parameters are dictionaries of arrays. `forward(params, statistics, x)` returns outputs
and the batch norms' new running statistics, None where there are none.
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
    program_of,
)
from depthbench.research.lazy import lazily

with lazily():
    import jax
    import jax.lax as lax
    import jax.numpy as jnp

    from depthbench.research.architectures import attention

EPSILON = 1e-5
KEPT = 0.9  # of a batch norm's running statistics


def side(model: Model, task: Problem) -> Side:
    """SGD with momentum in two lines, one program, its state donated."""

    coarse = lambda tree: jax.tree.map(lambda a: a.astype(task.dtype), tree)

    def cost(params, statistics, x, y):
        outputs, statistics = model.forward(coarse(params), statistics, coarse(x))
        outputs = outputs.astype(jnp.float32)
        picked = jnp.take_along_axis(outputs, y[:, None], 1)[:, 0]
        loss = jnp.mean(jax.nn.logsumexp(outputs, 1) - picked)
        return loss, (outputs, statistics)

    def step(state, x, y):
        params, momentum, statistics = state
        gradient = jax.value_and_grad(cost, has_aux=True)
        (loss, (outputs, statistics)), slope = gradient(params, statistics, x, y)
        momentum = jax.tree.map(lambda m, g: MOMENTUM * m + g, momentum, slope)
        params = jax.tree.map(lambda p, m: p - RATE * m, params, momentum)
        return (params, momentum, statistics), (loss, outputs)

    params, statistics = jax.tree.map(jnp.array, model.net)
    state = (params, jax.tree.map(jnp.zeros_like, params), statistics)
    batch = jax.device_put((task.x, task.y))
    program = program_of(task, jax.jit(step, donate_argnums=0))
    return held(program, state, batch, lambda state: jax.tree.leaves(state[1]))


def leaves(model: Model) -> list[np.ndarray]:
    """The parameters, in the order of a side's gradients."""
    return jax.tree.leaves(model.net[0])


def _linear(dense: Weights, h: Any) -> Any:
    """h W + b; rows in one matrix, as XLA transposes both factors of batches of them."""
    rows = h.reshape(-1, h.shape[-1]) @ dense["kernel"]
    return rows.reshape(*h.shape[:-1], -1) + dense["bias"]


def mlp(weights: Weights, shape: Sizes) -> Model:
    """Layers one after another in the program."""
    layers = each(weights["layers"])

    def forward(params, statistics, x):
        z = _linear(params["stem"], x)
        for layer in params["layers"]:
            z = _linear(layer, jnp.tanh(z))
        return _linear(params["head"], jnp.tanh(z)), statistics

    return Model(({**weights, "layers": layers}, None), forward)


def deep_mlp(weights: Weights, shape: Sizes) -> Model:
    """A scan over stacked layers, which compiles as fast at any depth."""

    def forward(params, statistics, x):
        step = lambda z, layer: (_linear(layer, jnp.tanh(z)), None)
        z, _ = lax.scan(step, _linear(params["stem"], x), params["layers"])
        return _linear(params["head"], jnp.tanh(z)), statistics

    return Model((weights, None), forward)


def lstm(weights: Weights, shape: Sizes) -> Model:
    """The products with the input are one for all steps; those with the state, a scan."""

    def layer(params, h):
        def step(carry, now):
            h, c = carry
            i, f, g, o = jnp.split(now + h @ params["recurrent"], 4, axis=-1)
            c = jax.nn.sigmoid(f) * c + jax.nn.sigmoid(i) * jnp.tanh(g)
            h = jax.nn.sigmoid(o) * jnp.tanh(c)
            return (h, c), h

        zeros = jnp.zeros(h.shape[1:], h.dtype)
        return lax.scan(step, (zeros, zeros), _linear(params, h))[1]

    layers = each(weights["layers"])

    def forward(params, statistics, x):
        h = _linear(params["stem"], jnp.swapaxes(x, 0, 1))
        for cell in params["layers"]:
            h = layer(cell, h)
        return _linear(params["head"], h[-1]), statistics

    return Model(({**weights, "layers": layers}, None), forward)


def _layer_norm(norm: Weights, h: Any) -> Any:
    wide = h.astype(jnp.float32)
    mean = jnp.mean(wide, -1, keepdims=True)
    variance = jnp.mean(jnp.square(wide - mean), -1, keepdims=True)
    h = (wide - mean) * lax.rsqrt(variance + EPSILON) * norm["scale"] + norm["shift"]
    return h.astype(norm["scale"].dtype)


def _mixed(params: Weights, h: Any, heads: int, decodes: bool) -> Any:
    """Attention; queries, keys and values are made by one product, divided last."""
    batch, time, width = h.shape
    parts = _linear(params["mixed"], h).reshape(batch, time, 3, heads, width // heads)
    query, key, value = jnp.transpose(parts, (2, 0, 3, 1, 4))
    if decodes:
        query, key = attention.rotate(query), attention.rotate(key)
        return _linear(params["output"], _causal(query, key, value).reshape(h.shape))
    scores = (query * (width // heads) ** -0.5) @ jnp.swapaxes(key, 2, 3)
    shares = jnp.exp(scores - lax.stop_gradient(jnp.max(scores, -1, keepdims=True)))
    attended = (shares @ value) / jnp.sum(shares, -1, keepdims=True)
    return _linear(params["output"], jnp.swapaxes(attended, 1, 2).reshape(h.shape))


def _causal(*parts: Any) -> Any:
    """[batch, time, heads, d] of queries, keys and values [batch, heads, time, d].

    cuDNN's fused kernel where jax has it: on a GPU, in half precision, from 64 steps on.
    """
    fused = parts[0].dtype == jnp.bfloat16 and parts[0].shape[2] >= 64
    on_gpu = fused and jax.default_backend() == "gpu"
    time_first = (jnp.swapaxes(a, 1, 2) for a in parts)
    form = "cudnn" if on_gpu else "xla"
    return jax.nn.dot_product_attention(
        *time_first, is_causal=True, implementation=form
    )


def transformer(weights: Weights, shape: Sizes, decodes: bool = False) -> Model:
    """A scan over blocks that keeps nothing but products for the way back.

    On two cores written out it took 1.2 times longer.
    """
    layers = dict(weights["layers"])
    three = [layers.pop(name) for name in ("query", "key", "value")]
    layers["mixed"] = jax.tree.map(lambda *a: np.concatenate(a, axis=-1), *three)
    width = len(weights["stem"]["bias"])
    heads = attention.heads_of(width)
    places = 0 if decodes else positions(shape[0], width)

    def block(h, params):
        h = h + _mixed(params, _layer_norm(params["norm_attention"], h), heads, decodes)
        wide = _linear(params["wide"], _layer_norm(params["norm_feed"], h))
        return h + _linear(params["narrow"], jax.nn.relu(wide)), None

    products = jax.checkpoint_policies.dots_with_no_batch_dims_saveable
    frugal = jax.checkpoint(block, policy=products, prevent_cse=False)

    def forward(params, statistics, x):
        h, _ = lax.scan(frugal, _linear(params["stem"], x) + places, params["layers"])
        h = _layer_norm(params["norm"], h)
        read = h[:, -1] if decodes else jnp.mean(h, axis=1)
        return _linear(params["head"], read), statistics

    return Model(({**weights, "layers": layers}, None), forward)


def decoder(weights: Weights, shape: Sizes) -> Model:
    """The same, causal and with rotary positions."""
    return transformer(weights, shape, decodes=True)


def _convolution(kernel: Any, x: Any, strides: int, edge: int) -> Any:
    """Of images [batch, rows, columns, channels]; groups as the kernel has them.

    Groups are convolutions of their own: XLA's gradients of grouped ones are slow on CPUs.
    """
    groups = x.shape[3] // kernel.shape[2]
    names = ("NHWC", "HWIO", "NHWC")
    steps, edges = (strides, strides), [(edge, edge)] * 2
    parts = zip(jnp.split(x, groups, 3), jnp.split(kernel, groups, 3), strict=True)
    done = [
        lax.conv_general_dilated(*part, steps, edges, dimension_numbers=names)
        for part in parts
    ]
    return jnp.concatenate(done, 3)


def _normalized(params: Weights, running: Any, x: Any, strides: int = 1):
    """(a convolution after batch norm, the norm's new running statistics)."""
    z = _convolution(params["kernel"], x, strides, len(params["kernel"]) // 2)
    coarse, z = z.dtype, z.astype(jnp.float32)
    mean = jnp.mean(z, (0, 1, 2))
    variance = jnp.mean(jnp.square(z - mean), (0, 1, 2))
    running = jax.tree.map(
        lambda old, new: KEPT * old + (1 - KEPT) * new, running, (mean, variance)
    )
    z = (z - mean) * lax.rsqrt(variance + EPSILON) * params["scale"] + params["shift"]
    return z.astype(coarse), running


def _residual(weights: Weights, block: Any, pooled: int = 0) -> Model:
    """A net of blocks. pooled: its stem's stride, and a maximum behind it; 0: neither."""

    def fresh(params):
        width = len(params["scale"])
        return (np.zeros(width, np.float32), np.ones(width, np.float32))

    def forward(params, statistics, x):
        h, stem = _normalized(params["stem"], statistics["stem"], x, pooled or 1)
        h, running = jax.nn.relu(h), []
        if pooled:
            h = _pooled(h, [(0, 0), (1, 1), (1, 1), (0, 0)])
        pairs = zip(params["blocks"], statistics["blocks"], strict=True)
        for block_params, old in pairs:
            h, new = block(block_params, old, h)
            running.append(new)
        outputs = _linear(params["head"], jnp.mean(h, (1, 2)))
        return outputs, {"stem": stem, "blocks": running}

    blocks = [
        {name: fresh(params) for name, params in one.items()}
        for one in weights["blocks"]
    ]
    return Model((weights, {"stem": fresh(weights["stem"]), "blocks": blocks}), forward)


def resnet(weights: Weights, shape: Sizes) -> Model:
    """Blocks one after another: XLA's convolutions are slow within a loop on CPUs."""

    def block(params, running, x):
        strides = len(params["first"]["scale"]) // x.shape[3]
        y, first = _normalized(params["first"], running["first"], x, strides)
        y, second = _normalized(params["second"], running["second"], jax.nn.relu(y))
        if strides > 1:
            more = y.shape[3] - x.shape[3]
            x = jnp.pad(x[:, ::strides, ::strides], [(0, 0)] * 3 + [(0, more)])
        return jax.nn.relu(x + y), {"first": first, "second": second}

    return _residual(weights, block)


def resnet50(weights: Weights, shape: Sizes) -> Model:
    """Bottlenecks one after another; strides are in their 3 × 3 convolutions."""

    def block(params, running, x):
        strides = 2 if len(params["third"]["scale"]) == 2 * x.shape[3] else 1
        new, y = {}, x
        for name, step in (("first", 1), ("second", strides), ("third", 1)):
            y, new[name] = _normalized(params[name], running[name], y, step)
            y = y if name == "third" else jax.nn.relu(y)
        if "shortcut" in params:
            last = (params["shortcut"], running["shortcut"])
            x, new["shortcut"] = _normalized(*last, x, strides)
        return jax.nn.relu(x + y), new

    return _residual(weights, block, pooled=2)


def local_response(h: Any, axis: int) -> Any:
    """h / (2 + 10⁻⁴ Σ h²)^0.75, the sum over five neighbouring channels."""
    window = [1] * h.ndim
    window[axis] = 5
    total = lax.reduce_window(
        jnp.square(h), np.zeros((), h.dtype), lax.add, window, [1] * h.ndim, "SAME"
    )
    return h * (2 + 1e-4 * total) ** -0.75


def _pooled(h: Any, around: Any = "VALID") -> Any:
    """The largest of windows of 3 × 3, two pixels apart."""
    window, strides, least = (1, 3, 3, 1), (1, 2, 2, 1), np.array(-np.inf, h.dtype)
    return lax.reduce_window(h, least, lax.max, window, strides, around)


def alexnet(weights: Weights, shape: Sizes) -> Model:
    """Five convolutions, three linear maps."""

    def forward(params, statistics, x):
        def layer(number, h, strides=1):
            convolution = params["convolutions"][number]
            edge = 0 if number == 0 else convolution["kernel"].shape[0] // 2
            z = _convolution(convolution["kernel"], h, strides, edge)
            return jax.nn.relu(z + convolution["bias"])

        h = layer(0, x, 4)
        h = layer(1, _pooled(local_response(h, 3)))
        h = layer(2, _pooled(local_response(h, 3)))
        h = _pooled(layer(4, layer(3, h)))
        h = h.reshape(len(h), -1)
        first, second, head = params["dense"]
        h = jax.nn.relu(_linear(second, jax.nn.relu(_linear(first, h))))
        return _linear(head, h), statistics

    return Model((weights, None), forward)


NETS = {
    "mlp": mlp,
    "deep_mlp": deep_mlp,
    "lstm": lstm,
    "transformer": transformer,
    "decoder": decoder,
    "resnet": resnet,
    "resnet50": resnet50,
    "alexnet": alexnet,
}

PEERS = [
    Peer("jax", "JAX alone, written by hand as fast as we can", NETS, side, leaves),
]
