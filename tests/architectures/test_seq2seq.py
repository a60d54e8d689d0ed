"""Recurrent encoder-decoders against their papers' formulas, step by step in NumPy."""

import jax
import numpy as np
import pytest

from depthbench.research.architectures.contract import call, layer_at
from tests.architectures.test_recurrent import SIGMA

X = np.random.default_rng(0).standard_normal((3, 5, 4)).astype(np.float32)
WIDTH = 8


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


def by_hand(p, context, start, x):
    """A GRU's states over x [batch, time, width], with context(s) read at every step."""
    kernel = p["Recurrent_0"]["kernel"]
    bias = p["Recurrent_0"]["bias"][0]
    into, shift = (p["Projection_0"]["Dense_0"][n] for n in ("kernel", "bias"))
    s, states = start, []
    for now in np.swapaxes(x, 0, 1):
        new = np.concatenate([now, context(s)], axis=1) @ into + shift
        old = s @ kernel
        r, z = (
            sigmoid(old[:, g : g + WIDTH] + new[:, g : g + WIDTH]) for g in (0, WIDTH)
        )
        n = np.tanh(new[:, 2 * WIDTH :] + r * (old[:, 2 * WIDTH :] + bias))
        s = (1 - z) * n + z * s
        states.append(s)
    return np.stack(states, axis=1)


@pytest.mark.parametrize("ntk", (False, True))
@pytest.mark.parametrize("name", ("seq2seq", "seq2seq_attention"))
def test_a_decoder_is_its_papers(name, ntk, network, filled):
    net = network(name, "tanh", width=WIDTH, depth=2, ntk=ntk, **SIGMA)
    variables = filled(net, X)
    encode, decode = (
        (lambda h, s=s, v=v: call(s.layer, layer_at(s, v, 0), h)[0])
        for s, v in zip(net.stages, variables.stages, strict=True)
    )
    before = jax.jit(encode)(call(net.stem, variables.stem, X)[0])
    after = jax.jit(decode)(before)
    memory, x = np.asarray(before["memory"]), np.asarray(before["target"])
    p = jax.tree.map(np.asarray, layer_at(net.stages[1], variables.stages[1], 0))
    p = jax.tree_util.tree_map_with_path(sized, p["params"]) if ntk else p["params"]
    dense = lambda name, h: h @ p[name]["kernel"] + p[name]["bias"]
    if name == "seq2seq":
        end = memory[:, -1]
        expected = by_hand(p, lambda s: end, np.tanh(dense("start", end)), x)
    else:

        def context(s):
            heard = np.tanh((s @ p["query"]["kernel"])[:, None] + dense("key", memory))
            scores = np.exp((heard @ p["score"]["kernel"])[..., 0])
            shares = scores / scores.sum(axis=1, keepdims=True)
            return np.einsum("bs,bsw->bw", shares, memory)

        begun = np.tanh(dense("start", memory[:, 0, WIDTH // 2 :]))
        expected = by_hand(p, context, begun, x)
    # float32 sums in another order, five steps long.
    np.testing.assert_allclose(after["target"], expected, rtol=1e-4, atol=1e-5)
    np.testing.assert_array_equal(after["memory"], memory)


def sized(path, leaf):
    """A parameter of unit size, as large as it is used."""
    kernel = "kernel" in jax.tree_util.keystr(path)
    return leaf * np.float32(SIGMA["sigma_w" if kernel else "sigma_b"])


def test_without_attention_one_vector_is_all_that_is_seen(network, filled):
    """Of the memory the last step alone; with attention, every step."""
    for name, all_of_it in (("seq2seq", False), ("seq2seq_attention", True)):
        net = network(name, "tanh", width=WIDTH, depth=2)
        variables = filled(net, X)
        state = call(net.stem, variables.stem, X)[0]
        layer, own = (
            net.stages[1].layer,
            layer_at(net.stages[1], variables.stages[1], 0),
        )
        run = jax.jit(lambda h, layer=layer, own=own: call(layer, own, h)[0]["target"])
        other = {**state, "memory": state["memory"].at[:, 2].add(1.0)}
        assert np.allclose(run(state), run(other), atol=1e-6) != all_of_it
