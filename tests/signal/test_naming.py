"""States that no scope names are named by the parameters that are read on the way."""

import jax
import jax.numpy as jnp
import numpy as np

from depthbench.research.signal import naming, segments

WIDTH = 4
X = np.random.default_rng(0).standard_normal((3, WIDTH)).astype(np.float32)
W = np.eye(WIDTH, dtype=np.float32)


def names(f, params, but=()):
    network = segments.network(f, params, X, lambda out: jnp.sum(jnp.square(out)))
    return [state.name for state in naming.by_parameters(network, but).states()]


def dense(layer, h):
    return jnp.tanh(h @ layer["w"] + layer["b"][None])


def layers(params, h):
    for layer in params["layers"]:
        h = dense(layer, h)
    return h


def test_a_state_has_the_name_of_its_layer():
    params = {"layers": [{"w": W, "b": W[0]}] * 3}
    assert names(layers, params) == ["input", "layers/0", "layers/1", "layers/2"]


def test_one_that_comes_again_is_numbered():
    params = {"layers": [{"w": W, "b": W[0]}]}

    def twice(params, h):
        return layers(params, layers(params, h))

    assert names(twice, params) == ["input", "layers/0", "layers/0:2"]


def test_casts_and_keys_are_seen_through():
    params = {
        "a": {"w": W.astype(jnp.float16)},
        "key": jax.random.key(0),
        "b": {"w": W},
    }

    def f(params, h):
        mask = jax.random.bernoulli(params["key"], 0.5, h.shape).astype(h.dtype)
        h = jnp.tanh(h @ params["a"]["w"].astype(jnp.float32)) * mask
        return h @ params["b"]["w"]

    assert names(f, params, but={"key"}) == ["input", "a", "b"]


def test_scopes_and_places_without_a_name_stay():
    def f(params, h):
        with jax.named_scope("stem"):
            h = jnp.tanh(h @ params[0])
        with jax.named_scope("head"):
            return h @ params[1]

    assert names(f, [W, W]) == ["input", "stem", "head"]
    plain = lambda params, h: jnp.tanh(h @ params[0]) @ params[1]
    assert names(plain, [W, W]) == ["input", "step_1", "step_2"]
    two = lambda params, h: jnp.tanh(h @ params["up"]) @ params["down"]
    assert names(two, {"up": W, "down": W}) == ["input", "up", "down"]


def test_a_block_of_several_modules_has_the_first_and_the_last():
    def f(params, h):
        for _ in range(3):
            h = h + jnp.tanh(h @ params["up"]) @ params["down"]
        return h

    named = ["up…down", "up…down:2", "up…down:3"]
    assert names(f, {"up": W, "down": W}) == ["input", *named]


def test_what_the_next_layer_chooses_by_is_no_part_of_a_name():
    """A branch, or a mask, that is computed of a layer's end; nor is it a state."""

    def layer(h, w):
        return jax.lax.cond(
            jnp.sum(h) > 0, lambda: jnp.tanh(h @ w), lambda: h @ w
        ), None

    f = lambda params, h: jax.lax.scan(layer, h, params["w"])[0]
    params = {"w": np.stack([W] * 4)}
    assert names(f, params) == ["input", *(f"scan[{i}]" for i in range(4))]
