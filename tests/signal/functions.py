"""Functions of all kinds, written to be measured: by name, in FUNCTIONS."""

import jax
import jax.numpy as jnp
import numpy as np

from tests.signal.chains import loss
from tests.signal.test_states import WIDTH, X, matrices

DEPTH = 6
W = list(matrices(DEPTH, 0.9))
FUNCTIONS = {}


def function(params, x=X, least=3, x64=True, within=1e-5, loss=loss):
    """Adds one to the list. least: how many states there are at least."""

    def add(f):
        FUNCTIONS[f.__name__] = (f, params, x, loss, least, x64, within)
        return f

    return add


@function(W[:2], least=7)
def shared_weights(p, h):
    for _ in range(3):
        h = jnp.tanh(jnp.tanh(h @ p[0]) @ p[1])
    return h


@function(W[:1])
def transposed_weights(p, h):
    """An autoencoder with tied weights."""
    return jnp.tanh(h @ p[0]) @ p[0].T


@function(W, least=5)
def unet(p, h):
    a = jnp.tanh(h @ p[0])
    b = jnp.tanh(a @ p[1])
    c = jnp.tanh(b @ p[2])
    b = jnp.tanh(c @ p[3]) + b
    return jnp.tanh(jnp.concatenate([b @ p[4], a], 1) @ jnp.concatenate([p[5], p[0]]))


@function(W, least=3)
def cross_attention(p, h):
    """A decoder that reads its encoder's output in every layer."""
    memory = jnp.tanh(h @ p[0])
    y = jnp.ones_like(h)
    for w in p[1:]:
        weights = jax.nn.softmax((y @ w) @ memory.T)
        y = y + weights @ memory
    return y


@function(W)
def conditional_blocks(p, h):
    """A branch that the values choose."""
    for w in p:
        h = jax.lax.cond(
            jnp.sum(h) > 0, lambda h, w=w: jnp.tanh(h @ w), lambda h, w=w: h @ w.T, h
        )
    return h


@function(W)
def switched_blocks(p, h):
    for number, w in enumerate(p):
        branches = [jnp.tanh, jnp.sin, lambda h: 0.5 * h]
        h = jax.lax.switch(jnp.int32(number % 3), branches, h @ w)
    return h


@function(np.stack(W), least=DEPTH + 1)
def fori_loop(p, h):
    return jax.lax.fori_loop(0, DEPTH, lambda i, h: jnp.tanh(h @ p[i]), h)


@function(W[0], least=2)
def while_loop_of_a_mask(p, h):
    """It is no part of the gradient's way: forward alone can go through one."""
    steps = jax.lax.while_loop(lambda n: n < 5, lambda n: n + 2, jnp.int32(0))
    return jnp.tanh(h @ p) * steps


@jax.custom_vjp
def _scaled_back(h):
    return h


_scaled_back.defvjp(lambda h: (h, None), lambda _, g: (0.25 * g,))


@function(W)
def gradient_scaling(p, h):
    for w in p:
        h = h + _scaled_back(jnp.tanh(h @ w))
    return h


@jax.custom_vjp
def _reversed_back(h):
    return h


_reversed_back.defvjp(lambda h: (h, None), lambda _, g: (-g,))


@function(W)
def gradient_reversal(p, h):
    """An adversarial branch, whose gradient goes against the rest."""
    for w in p[:3]:
        h = jnp.tanh(h @ w)
    return (
        jnp.tanh(h @ p[3]) + 0.5 * jnp.tanh(_reversed_back(h) @ p[4]) + 0 * p[5][0, 0]
    )


@jax.custom_vjp
def _clipped_back(h):
    return h


_clipped_back.defvjp(lambda h: (h, None), lambda _, g: (jnp.clip(g, -1e-3, 1e-3),))


@function(W)
def gradient_clipping(p, h):
    for w in p:
        h = _clipped_back(jnp.tanh(h @ w))
    return h


@function(W)
def straight_through(p, h):
    """Signs forward, the identity back."""
    for w in p:
        z = h @ w
        h = z + jax.lax.stop_gradient(jnp.sign(z) - z)
    return h


@function(W)
def stopped_halves(p, h):
    for w in p:
        h = jnp.tanh(h @ w) + 0.5 * jax.lax.stop_gradient(h)
    return h


TOKENS = np.random.default_rng(1).integers(0, 5, (4, 7))


@function({"table": matrices(1)[0], "w": W}, TOKENS)
def embedding(p, tokens):
    h = p["table"][tokens % WIDTH]
    for w in p["w"]:
        h = h + jnp.tanh(jnp.mean(h, 1, keepdims=True) @ w)
    return h


@function(W)
def fourier_layers(p, h):
    """FNet's mixing: complex numbers inside of a layer."""
    for w in p:
        h = jnp.tanh(jnp.real(jnp.fft.fft2(h)) @ w)
    return h


@function(W[:1])
def one_fourier_layer(p, h):
    """Of which what is complex is half."""
    return jnp.real(jnp.fft.fft2(jnp.tanh(h @ p[0])))


@function(W[:2])
def filters_of_real_weights(p, h):
    h = jnp.fft.rfft(jnp.tanh(h @ p[0])) * jnp.fft.rfft(p[1])[:1]
    return jnp.tanh(jnp.fft.irfft(h, WIDTH))


@function(W)
def complex_filters(p, h):
    for w in p:
        filtered = jnp.fft.rfft(h) * (1 + 1j * jnp.arange(WIDTH // 2 + 1))[None]
        h = jnp.fft.irfft(filtered, WIDTH) @ w
        h = h / jnp.sqrt(1 + jnp.mean(jnp.square(h)))
    return h


@function(
    [w.astype(jnp.bfloat16) for w in W], X.astype(jnp.bfloat16), x64=False, within=3e-2
)
def in_bfloat16(p, h):
    for w in p:
        h = jnp.tanh(h @ w)
    return h.astype(jnp.float32)


@function([w.astype(jnp.float16) for w in W], X, x64=False, within=3e-3)
def mixed_float16(p, h):
    for w in p:
        h = jnp.tanh(h.astype(jnp.float16) @ w).astype(jnp.float32) + 0.1 * h
    return h


@function(W)
def gathered_and_scattered(p, h):
    rows = jnp.array([2, 0, 3, 1])
    for w in p:
        h = jnp.zeros_like(h).at[rows].add(jnp.tanh(h[rows[::-1]] @ w)) + h
    return h


@function(W)
def sorted_examples(p, h):
    for w in p:
        h = jnp.sort(jnp.tanh(h @ w), axis=0) + 0.1 * h
    return h


@function(W, x64=False)
def dropout(p, h):
    for key, w in zip(jax.random.split(jax.random.key(3), DEPTH), p, strict=True):
        kept = jax.random.bernoulli(key, 0.8, h.shape)
        h = h + jnp.where(kept, jnp.tanh(h @ w) / 0.8, 0.0)
    return h


IMAGES = np.random.default_rng(2).standard_normal((2, 5, 5, WIDTH)).astype(np.float32)


@function(W, IMAGES)
def einsum(p, h):
    for w in p:
        h = h + jnp.tanh(jnp.einsum("bijc,cd,bkjd->bikd", h, w, h) / 25)[:, :5]
    return h


SEQUENCE = np.random.default_rng(3).standard_normal((4, 7, WIDTH)).astype(np.float32)
LSTM = {"w": matrices(1, 0.7, width=4 * WIDTH)[0][: 2 * WIDTH], "b": np.ones(4 * WIDTH)}
LSTM["b"] = LSTM["b"].astype(np.float32)


@function(LSTM, SEQUENCE, least=7)
def lstm(p, x):
    def step(carry, now):
        h, c = carry
        z = jnp.concatenate([h, now], 1) @ p["w"] + p["b"][None]
        i, f, g, o = jnp.split(z, 4, 1)
        c = jax.nn.sigmoid(f) * c + jax.nn.sigmoid(i) * jnp.tanh(g)
        h = jax.nn.sigmoid(o) * jnp.tanh(c)
        return (h, c), h

    start = jnp.zeros((4, WIDTH), x.dtype)
    return jax.lax.scan(step, (start, start), jnp.swapaxes(x, 0, 1))[1]


@function({"w": 0.5 * W[0], "u": W[1]}, least=20)
def equilibrium(p, x):
    """The same layer until nothing changes, as a DEQ without its implicit rule."""
    z = jnp.zeros_like(x)
    for _ in range(25):
        z = jnp.tanh(z @ p["w"] + x @ p["u"])
    return z


EXPERTS = {"route": W[0][:, :3], "w": np.stack(W[:3]), "out": W[4]}


@function(EXPERTS, least=2)
def mixture_of_experts(p, h):
    for _ in range(3):
        gates, chosen = jax.lax.top_k(jax.nn.softmax(h @ p["route"]), 2)
        outputs = jnp.tanh(
            jnp.einsum("bkc,bkcd->bkd", h[:, None] * gates[..., None], p["w"][chosen])
        )
        h = h + jnp.sum(outputs, 1) @ p["out"]
    return h


@function({"w": W, "g": [np.ones((1, WIDTH), np.float32)] * DEPTH})
def batch_norm(p, h):
    for w, g in zip(p["w"], p["g"], strict=True):
        z = h @ w
        z = (z - jnp.mean(z, 0, keepdims=True)) * jax.lax.rsqrt(
            jnp.var(z, 0, keepdims=True) + 1e-3
        )
        h = jax.nn.relu(z * g) + 0.3 * h
    return h


@function(W[:4], IMAGES)
def pooled_convolutions(p, h):
    for w in p[:3]:
        h = jax.nn.relu(
            jax.lax.conv_general_dilated(
                h,
                w[None, None],
                (1, 1),
                "SAME",
                dimension_numbers=("NHWC", "HWIO", "NHWC"),
            )
        )
        h = jax.lax.reduce_window(
            h, -jnp.inf, jax.lax.max, (1, 2, 2, 1), (1, 1, 1, 1), "SAME"
        )
    return jnp.mean(h, (1, 2)) @ p[3]


def both(outputs):
    return loss(outputs["a"]) + 2 * loss(outputs["b"][0])


@function(W, loss=both)
def several_outputs(p, h):
    for w in p[:4]:
        h = jnp.tanh(h @ w)
    return {"a": h @ p[4], "b": (h @ p[5], jnp.int32(3))}


@function(W, {"left": X, "right": (X[:, ::-1].copy(), np.float32(0.5))})
def several_inputs(p, x):
    right, share = x["right"]
    h = jnp.tanh(x["left"] @ p[0]) + share * jnp.tanh(right @ p[1])
    for w in p[2:]:
        h = jnp.tanh(h @ w)
    return h


@function(W, loss=jnp.sum)
def an_energy(p, h):
    """A function that contains a gradient of its own."""

    def energy(h):
        for w in p:
            h = jnp.tanh(h @ w)
        return jnp.sum(jnp.square(h))

    return h - 0.1 * jax.grad(energy)(h)


@function(W, least=2)
def mapped_over_examples(p, h):
    one = lambda h: jnp.tanh(sum(h[i] * p[0][i] for i in range(WIDTH)))
    for _ in range(3):
        h = jax.vmap(one)(h)
    return h @ p[1] + 0 * sum(jnp.sum(w) for w in p[2:])


@function(np.stack(W), least=DEPTH + 1)
def a_scan_in_a_scan(p, h):
    inner = lambda h, w: (jnp.tanh(h @ w), None)
    outer = lambda h, ws: (jax.lax.scan(inner, h, ws)[0] + h, None)
    return jax.lax.scan(outer, h, p.reshape(2, 3, WIDTH, WIDTH))[0]


@function(np.stack(W))
def a_scan_that_is_bypassed(p, h):
    inner = jax.lax.scan(lambda h, w: (jnp.tanh(h @ w), None), h, p)[0]
    return inner + jnp.sin(h @ p[0])


@function(np.stack(W))
def an_associative_scan(p, h):
    product = jax.lax.associative_scan(jnp.matmul, p)
    return jnp.tanh(h @ product[-1]) @ product[2]


@function(W)
def solved_systems(p, h):
    for w in p[:3]:
        h = jnp.linalg.solve(jnp.eye(WIDTH, dtype=w.dtype) * 4 + w, h.T).T @ w
    return h + 0 * sum(jnp.sum(w) for w in p[3:])


@function({"w": W, "rate": np.float32(0.3), "steps": np.int32(2)})
def an_unrolled_optimizer(p, h):
    for w in p["w"]:
        slope = jax.grad(lambda v, w=w: jnp.sum(jnp.square(v @ w - 1)))(h)
        h = h - p["rate"] * jnp.tanh(slope) * p["steps"]
    return h
