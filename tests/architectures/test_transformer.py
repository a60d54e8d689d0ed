"""Transformers against PyTorch's, and the properties that their papers state."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from depthbench.research.architectures import ARCHITECTURES, attention
from depthbench.research.architectures.contract import call, layer_at
from depthbench.research.architectures.transformer import transformer
from depthbench.research.catalogues.normalizers import EPSILON

KEY = jax.random.key(0)
X = np.random.default_rng(0).standard_normal((3, 5, 4)).astype(np.float32)
WIDTH = 64  # two heads


@pytest.fixture(scope="module")
def small(network):
    """A builder of small Transformers with the normaliser they are defined with."""

    def build(name, activation="tanh", width=8, depth=4, **more):
        kind = ARCHITECTURES[name].normalizers[0]
        return network(name, activation, kind, width=width, depth=depth, **more)

    return build


def squares(outputs):
    return jnp.mean(jnp.square(outputs - 0.5))


def random(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


# PyTorch


def close(ours, theirs):
    """Two libraries' float32: sums of 64 to 256 terms, through two normalisers.

    Rounding is relative to the largest of an array, whose small elements are
    differences of larger terms.
    """
    theirs = theirs.detach().numpy()
    size = float(np.max(np.abs(theirs)))
    np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-5 * size)


def dense_pairs(params, layer):
    """(ours, PyTorch's tensor, whether it is transposed) of a dense layer."""
    return [(params["kernel"], layer.weight), (params["bias"], layer.bias)]


def attention_pairs(params, theirs):
    """(ours, theirs) for every parameter; PyTorch packs q, k and v in one matrix."""
    packed = ("query", "key", "value")
    kernel = np.concatenate([params[n]["kernel"] for n in packed], axis=1)
    bias = np.concatenate([params[n]["bias"] for n in packed])
    return [
        (kernel, theirs.in_proj_weight),
        (bias, theirs.in_proj_bias),
        *dense_pairs(params["output"], theirs.out_proj),
    ]


def block_pairs(params, theirs):
    pairs = attention_pairs(params["attention"], theirs.self_attn)
    for name, layer in (("wide", theirs.linear1), ("narrow", theirs.linear2)):
        pairs += dense_pairs(params[name], layer)
    for name, layer in (
        ("norm_attention", theirs.norm1),
        ("norm_feed", theirs.norm2),
    ):
        pairs.append((params[name]["scale"].ravel(), layer.weight))
        pairs.append((params[name]["shift"].ravel(), layer.bias))
    return pairs


def assert_agree(torch, ours, theirs, variables, pairs, inputs):
    """The same outputs and gradients of the mean square, for the same weights."""
    params = jax.tree.map(np.asarray, variables["params"])
    with torch.no_grad():
        for mine, tensor in pairs(params):
            tensor.copy_(torch.tensor(np.array(mine.T)))

    def loss(v):
        outputs = ours(v)
        return jnp.mean(jnp.square(outputs - 0.5)), outputs

    gradient, outputs = jax.jit(jax.grad(loss, has_aux=True))(variables)
    expected = theirs(*map(torch.tensor, inputs))
    torch.mean((expected - 0.5) ** 2).backward()
    close(outputs, expected)
    for mine, tensor in pairs(jax.tree.map(np.asarray, gradient["params"])):
        close(mine.T, tensor.grad)


def filled_layer(layer, *inputs):
    """Variables in which no bias is 0 and no scale is 1."""
    shapes = jax.eval_shape(lambda: layer.init(KEY, *inputs))
    draws = np.random.default_rng(2)

    def value(path, leaf):
        name = jax.tree_util.keystr(path[-1:])
        size = leaf.shape[0] ** -0.5 if "kernel" in name else 0.3
        centre = 1.0 if "scale" in name else 0.0
        return np.float32(centre + size * draws.standard_normal(leaf.shape))

    return jax.tree_util.tree_map_with_path(value, shapes)


@pytest.mark.parametrize("causal", (False, True))
def test_attention_is_pytorchs(causal, network):
    torch = pytest.importorskip("torch", reason="the [peers] extra is not installed")
    weights = network().stages[0].layer.weights
    layer = attention.Attention(weights, causal=causal)
    h, source = random(3, 5, WIDTH), random(3, 5, WIDTH, seed=1)
    theirs = torch.nn.MultiheadAttention(WIDTH, 2, batch_first=True)
    mask = torch.nn.Transformer.generate_square_subsequent_mask(5) if causal else None

    def run(h, source):
        return theirs(h, source, source, attn_mask=mask, need_weights=False)[0]

    variables = filled_layer(layer, h, source)
    assert_agree(
        torch,
        lambda v: layer.apply(v, h, source),
        run,
        variables,
        lambda params: attention_pairs(params, theirs),
        (h, source),
    )


@pytest.mark.parametrize("name", ("transformer_pre_ln", "transformer_post_ln"))
def test_a_block_is_pytorchs(name, small):
    torch = pytest.importorskip("torch", reason="the [peers] extra is not installed")
    theirs = torch.nn.TransformerEncoderLayer(
        WIDTH,
        2,
        dim_feedforward=4 * WIDTH,
        dropout=0.0,
        activation="relu",
        layer_norm_eps=EPSILON,
        batch_first=True,
        norm_first=name == "transformer_pre_ln",
    )
    layer = small(name, "relu", width=WIDTH, depth=1).stages[0].layer
    h = random(3, 5, WIDTH)
    assert_agree(
        torch,
        lambda v: layer.apply(v, h),
        theirs,
        filled_layer(layer, h),
        lambda params: block_pairs(params, theirs),
        (h,),
    )


# Attention and positions


def test_every_form_of_attention_is_the_same():
    query, key, value = (random(2, 5, 2, 4, seed=s) for s in range(3))
    for causal in (False, True):
        plain = jax.jit(functools.partial(attention.attend, causal=causal))
        with jax.enable_x64(True):
            wide = [np.asarray(a, np.float64) for a in (query, key, value)]
            expected = jax.device_get(plain(*wide))
        assert expected.dtype == np.float64
        # float32 sums of at most five terms, and an exponential.
        np.testing.assert_allclose(plain(query, key, value), expected, atol=2e-6)
        coarse = [jnp.asarray(a, jnp.bfloat16) for a in (query, key, value)]
        with jax.numpy_dtype_promotion("standard"):  # jax's own sums are float32
            attended = np.asarray(plain(*coarse), np.float64)
        # Factors of up to 2.5 and their scores, to 8 bits.
        np.testing.assert_allclose(attended, expected, atol=0.05)


def test_sinusoids_are_the_papers():
    encodings = attention.sinusoids(7, 6, jnp.float32)
    for position in (0, 3, 6):
        for pair in range(3):
            angle = position / 10_000 ** (2 * pair / 6)
            both = encodings[position, 2 * pair : 2 * pair + 2]
            # Angles up to 6, rounded in float32.
            np.testing.assert_allclose(both, [np.sin(angle), np.cos(angle)], atol=1e-6)
    assert attention.sinusoids(7, 5, jnp.float32).shape == (7, 5)


def test_rotary_scores_depend_on_differences_of_positions():
    query, key = random(8, seed=1), random(8, seed=2)
    everywhere = [np.broadcast_to(a, (1, 1, 9, 8)) for a in (query, key)]
    turned = [np.asarray(attention.rotate(a))[0, 0] for a in everywhere]
    scores = turned[0] @ turned[1].T
    # Scores of some units, from angles up to 8 rounded in float32.
    for gap in range(-8, 9):
        diagonal = np.diagonal(scores, gap)
        np.testing.assert_allclose(diagonal, diagonal[0], atol=1e-5)
    assert np.ptp(scores[0]) > 0.5  # and they do depend on them
    np.testing.assert_allclose(scores[0, 0], query @ key, rtol=1e-5)
    with pytest.raises(ValueError, match="pairs of units"):
        attention.rotate(jnp.zeros((1, 1, 2, 3)))


def test_heads_are_32_wide_in_small_nets_and_as_published_in_wide_ones():
    widths = (1, 8, 32, 63, 64, 96, 98, 100, 128)
    heads = [attention.heads_of(width) for width in widths]
    assert heads == [1, 1, 1, 1, 2, 3, 1, 2, 4]
    wide = {512: 64, 768: 64, 1024: 64, 2048: 128, 4096: 128, 12288: 128}
    assert {w: w // attention.heads_of(w) for w in wide} == wide
    for width in range(2, 4097, 2):  # rotary positions turn pairs
        assert width % (2 * attention.heads_of(width)) == 0


def test_a_causal_net_does_not_see_what_comes_after(small, filled):
    net = small("transformer_decoder", width=WIDTH, depth=3)
    variables = filled(net, X)
    others = X.copy()
    others[:, 3:] = random(3, 2, 4, seed=5)

    @jax.jit
    def states(v, x):
        h, _ = call(net.stem, v.stem, x)
        for index in range(3):
            h, _ = call(
                net.stages[0].layer, layer_at(net.stages[0], v.stages[0], index), h
            )
        return h

    before, after = states(variables, X), states(variables, others)
    np.testing.assert_array_equal(before[:, :3], after[:, :3])
    assert np.all(np.max(np.abs(before - after), axis=2)[:, 3:] > 0.01)


def test_order_counts_by_positions_alone(small, filled):
    pre_ln, decoder = (
        small(f"transformer_{kind}", depth=1) for kind in ("pre_ln", "decoder")
    )
    h = random(3, 5, 8)
    layer = layer_at(pre_ln.stages[0], filled(pre_ln, X).stages[0], 0)
    for net, blind in ((pre_ln, True), (decoder, False)):
        run = jax.jit(net.stages[0].layer.apply)
        there, back = run(layer, h), run(layer, h[:, ::-1])[:, ::-1]
        # Sums over time in another order: some ε.
        assert np.allclose(there, back, atol=1e-5) == blind
    same = np.ones((1, 5, 4), np.float32)
    for name, ordered in (("pre_ln", True), ("learned", True), ("decoder", False)):
        net = small(f"transformer_{name}", depth=1)
        h, _ = call(net.stem, filled(net, same).stem, same)
        assert np.allclose(h[:, 1:], h[:, :-1], atol=0.01) != ordered


def test_a_decoder_sees_its_memory_and_its_input_one_step_late(small, filled):
    net = small("encoder_decoder", depth=2)
    variables = filled(net, X)
    state, _ = call(net.stem, variables.stem, X)
    positions = attention.sinusoids(5, 8, jnp.float32)[None]
    late, memory = state["target"] - positions, state["memory"] - positions
    # The positions are subtracted again: some ε of numbers up to 3.
    np.testing.assert_allclose(late[:, 1:], memory[:, :-1], atol=1e-6)
    np.testing.assert_allclose(late[:, 0], 0, atol=1e-6)
    encoder, decoder = (
        jax.jit(lambda h, s=s, v=v: call(s.layer, layer_at(s, v, 0), h)[0])
        for s, v in zip(net.stages, variables.stages, strict=True)
    )
    encoded = encoder(state)
    np.testing.assert_array_equal(encoded["target"], state["target"])
    assert not np.allclose(encoded["memory"], state["memory"], atol=0.1)
    decoded = decoder(encoded)
    np.testing.assert_array_equal(decoded["memory"], encoded["memory"])
    other = decoder({**encoded, "memory": state["memory"]})
    assert not np.allclose(decoded["target"], other["target"], atol=0.01)
    changed = {**encoded, "target": encoded["target"].at[:, 3:].add(1.0)}
    np.testing.assert_array_equal(
        decoder(changed)["target"][:, :3], decoded["target"][:, :3]
    )


# Placements


def test_rezero_starts_as_the_identity_and_has_one_gate(small):
    layer = small("transformer_rezero", sigma_w=3.0, sigma_b=1.0).stages[0].layer
    h = random(3, 5, 8)
    variables = filled_layer(layer, h)
    gate = jax.eval_shape(lambda: layer.init(KEY, h))["params"]["alpha"]
    assert gate.shape == (1, 1, 1)
    start = jax.jit(lambda: layer.init(KEY, h)["params"]["alpha"])()
    np.testing.assert_array_equal(start, 0)
    variables["params"]["alpha"] = start

    def loss(v):
        after = layer.apply(v, h)
        return squares(after), after

    gradient, after = jax.jit(jax.grad(loss, has_aux=True))(variables)
    np.testing.assert_array_equal(after, h)
    assert abs(float(gradient["params"]["alpha"][0, 0, 0])) > 1e-3


def test_deepnorms_constants_are_the_papers():
    alone = transformer.deepnorm(18)
    assert alone[2:4] == pytest.approx((36**0.25, 144**-0.25))
    encoders, decoders = transformer.deepnorm_pair(18, 6)
    power = (18**4 * 6) ** (1 / 16)
    assert encoders[2:4] == pytest.approx((0.81 * power, 0.87 / power))
    assert decoders[2:4] == pytest.approx((18**0.25, 72**-0.25))
    traced = jax.jit(lambda n: transformer.deepnorm(n)[2:4])(np.int32(18))
    np.testing.assert_allclose(traced, alone[2:4], rtol=1e-6)


@pytest.mark.parametrize(
    "ntk", (False, pytest.param(True, marks=pytest.mark.exhaustive))
)
def test_deepnorm_scales_what_carries_values(ntk, small):
    h = random(3, 5, 8)
    ours, plain = (
        jax.jit(lambda n=net: n.stages[0].layer.init(KEY, h)["params"])()
        for net in (
            small(f"transformer_{kind}", ntk=ntk, depth=1, active_depth=8)
            for kind in ("deepnorm", "post_ln")
        )
    )
    beta = 1.0 if ntk else 64**-0.25  # in the parameters, or where they are applied
    parts = {"narrow": beta, "wide": beta}
    for name, expected in parts.items():
        ratio = ours[name]["kernel"] / plain[name]["kernel"]
        np.testing.assert_allclose(ratio, expected, rtol=1e-6)
    parts = {"query": 1.0, "key": 1.0, "value": beta, "output": beta}
    for name, expected in parts.items():
        a, b = (params["attention"][name]["kernel"] for params in (ours, plain))
        np.testing.assert_allclose(a / b, expected, rtol=1e-6)


def test_deepnorm_is_post_ln_of_a_scaled_sum(small, filled):
    net = small("transformer_deepnorm", depth=1, active_depth=8)
    plain = small("transformer_post_ln", depth=1)
    variables = layer_at(net.stages[0], filled(net, X).stages[0], 0)
    # Where branches are multiplied by α too, the normaliser takes the factor out again.
    alpha = 16**0.25
    params = jax.tree.map(lambda a: a, variables["params"])
    for sub in (params["attention"]["output"], params["narrow"]):
        sub |= {name: alpha * a for name, a in sub.items()}
    h = random(3, 5, 8)
    run = [jax.jit(net.stages[0].layer.apply) for net in (net, plain)]
    ours, expected = run[0]({"params": params}, h), run[1](variables, h)
    # But for ε = 1e-5, which counts for less beside a variance α² as large.
    np.testing.assert_allclose(ours, expected, rtol=1e-4, atol=1e-4)


def test_relative_attention_is_that_which_is_written_out():
    """Scores (q·k + q·distance)/√d of steps so far; embeddings run from afar to 0."""
    random = np.random.RandomState(0)
    shape = (2, 3, 5, 4)
    q, k, v = (random.standard_normal(shape).astype(np.float32) for _ in range(3))
    distance = random.standard_normal(shape[1:]).astype(np.float32)
    scores = np.full((2, 3, 5, 5), -np.inf)
    for i in range(5):
        for j in range(i + 1):
            both = k[:, :, j] + distance[None, :, 4 - (i - j)]
            scores[:, :, i, j] = np.sum(q[:, :, i] * both, axis=-1) / 2
    shares = np.exp(scores - scores.max(axis=-1, keepdims=True))
    wanted = shares / shares.sum(axis=-1, keepdims=True) @ v
    found = attention.attend_relative(*map(jnp.asarray, (q, k, v, distance)))
    np.testing.assert_allclose(found, wanted, atol=1e-5)  # float32
