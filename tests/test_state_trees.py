"""Nets whose states are sequences, images or trees: shapes, and probes."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from research import probes
from research.architectures import ARCHITECTURES
from research.architectures.contract import apply, call, init, layer_at

KEY = jax.random.key(0)
SEQUENCE = np.random.default_rng(0).standard_normal((3, 4, 3)).astype(np.float32)
IMAGES = np.random.default_rng(1).standard_normal((2, 8, 8, 2)).astype(np.float32)
# Each block and each kind of state once: learned positions are in vit too, and the pair
# of DeepNorm differs from the pair of Post-LN by two numbers.
TRANSFORMERS = [
    name
    for name in ARCHITECTURES
    if name.startswith("transformer") and name != "transformer_learned"
]
OTHERS = ["encoder_decoder", "vit", "autoencoder", "conv_autoencoder", "unet"]
every = pytest.mark.parametrize("name", [*TRANSFORMERS, *OTHERS])


def input_of(name):
    return IMAGES if ARCHITECTURES[name].takes == "image" else SEQUENCE


@pytest.fixture(scope="module")
def small(network):
    """A net of a few units, with a normaliser that it takes."""

    def build(name, width=4, depth=None, **more):
        family = ARCHITECTURES[name]
        normalizer = (family.normalizers or ("none",))[0]
        if depth is None:
            depth = 2 if family.depths.allows(2) else family.depths.examples[0]
        return network(name, "tanh", normalizer, width=width, depth=depth, **more)

    return build


def loss(outputs):
    return jnp.mean(jnp.square(outputs - 0.3))


def layers_of(net, variables):
    return [
        (stage.layer, layer_at(stage, stacked, index))
        for stage, stacked in zip(net.stages, variables.stages, strict=True)
        for index in range(stage.depth)
    ]


def norm(tree):
    return jnp.sqrt(sum(jnp.sum(jnp.square(a)) for a in jax.tree.leaves(tree)))


def by_autodiff(net, variables, x):
    """log10 norms of ∂loss/∂h [states] and ∂loss/∂θ [layers], layer after layer.

    A perturbation is added to every state; its gradient is the state's.
    """
    layers = layers_of(net, variables)

    def run(nudges, params):
        h, _ = call(net.stem, variables.stem, x)
        states = [h]
        for number, (layer, own) in enumerate(layers):
            h = nudged(h, nudges, number)
            h, _ = call(layer, {**own, "params": params[number]}, h)
            states.append(h)
        h = nudged(h, nudges, len(layers))
        return loss(call(net.head, variables.head, h)[0]), states

    def nudged(h, nudges, number):
        return h if nudges is None else jax.tree.map(jnp.add, h, nudges[number])

    params = [own["params"] for _, own in layers]
    states = jax.eval_shape(lambda: run(None, params)[1])
    zeros = jax.tree.map(lambda s: jnp.zeros(s.shape, s.dtype), states)
    of_states, of_params = jax.grad(lambda n, p: run(n, p)[0], (0, 1))(zeros, params)
    return tuple(
        jnp.log10(jnp.stack([norm(tree) for tree in trees]))
        for trees in (of_states, of_params)
    )


@every
def test_gradients_are_those_of_float64_autodiff(name, small, filled):
    net, x = small(name), input_of(name)
    variables = filled(net, x)
    seen = jax.jit(lambda v: probes.log_gradients(net, v, x, loss))(variables)
    with jax.enable_x64(True):
        wide = jax.tree.map(lambda a: np.asarray(a, np.float64), variables)
        run = jax.jit(lambda v: by_autodiff(net, v, x.astype(np.float64)))
        expected = jax.device_get(run(wide))
    # A log10 is off by 0.43 of the relative error, some tens of float32's 1.2e-7; and
    # normalisers divide differences of four units by their spread.
    for ours, theirs in zip(seen, expected, strict=True):
        assert theirs.dtype == np.float64
        np.testing.assert_allclose(ours, theirs, rtol=0, atol=2e-5)


@every
def test_outputs_keep_their_shape_dtype_and_name(name, small):
    x = input_of(name)
    pixels = name in ("conv_autoencoder", "unet")
    shape = (*x.shape[:3], 3) if pixels else (len(x), 3)
    for dtype in ("float32", "float64"):
        with jax.enable_x64(dtype == "float64"):
            net = small(name)
            assert net.name == name
            outputs = jax.eval_shape(
                lambda x, net=net: apply(net, init(KEY, net, x), x)[0], x.astype(dtype)
            )
            assert (outputs.shape, outputs.dtype) == (shape, dtype)


def test_both_parametrisations_are_the_same_network(small):
    outputs = []
    for ntk in (False, True):
        net = small("transformer_deepnorm", ntk=ntk, sigma_w=1.7, sigma_b=0.4, depth=1)
        run = jax.jit(lambda net=net: apply(net, init(KEY, net, SEQUENCE), SEQUENCE)[0])
        outputs.append(run())
    # The order of products: some tens of ε after a few layers.
    np.testing.assert_allclose(outputs[0], outputs[1], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", ("transformer_post_ln", "transformer_deepnorm"))
def test_a_thousand_layers_have_finite_profiles(name, small, filled):
    net = small(name, depth=1000)
    variables = filled(net, SEQUENCE)
    run = jax.jit(lambda v: probes.signal(net, v, SEQUENCE, loss, threshold=0.1))
    signal = jax.device_get(run(variables))
    assert signal.log10_gradient.shape == (1001,)
    for profile in signal:
        assert np.all(np.isfinite(profile))


def test_the_saturation_probe_reads_the_feed_forward_net(small, filled):
    net = small("encoder_decoder")
    run = jax.jit(lambda v: probes.signal(net, v, SEQUENCE, loss, threshold=2.0))
    saturated = run(filled(net, SEQUENCE)).saturated
    np.testing.assert_array_equal(saturated, 1.0)  # no slope of tanh is above 1


# Shapes


def test_patches_are_sized_for_the_image(network):
    net = network("vit", normalizer="layer", width=8, depth=1)

    def tokens(side):
        x = jnp.zeros((1, side, side, 3))
        return jax.eval_shape(lambda: net.stem.init_with_output(KEY, x)[0]).shape[1]

    assert [tokens(side) for side in (1, 8, 32, 224)] == [2, 17, 17, 197]


def test_a_dense_autoencoder_narrows_to_its_code(small):
    shapes = jax.eval_shape(
        lambda: init(KEY, small("autoencoder", width=40, depth=6), SEQUENCE)
    )
    widths = [s["params"]["Dense_0"]["kernel"].shape[-1] for s in shapes.stages]
    assert widths == [20, 10, 5, 10, 20, 40]


def test_an_image_that_cannot_be_restored_is_refused(small):
    net = small("conv_autoencoder", depth=4)
    with pytest.raises(ValueError, match="cannot be halved"):
        jax.eval_shape(lambda: init(KEY, net, jnp.zeros((1, 10, 10, 1))))


def test_the_unet_has_its_papers_convolutions_and_skips(small):
    net = small("unet", width=64, depth=23)
    shapes = jax.eval_shape(lambda: init(KEY, net, jnp.zeros((1, 24, 20, 1))))
    kernels = [
        leaf.shape
        for path, leaf in jax.tree_util.tree_leaves_with_path(shapes)
        if "kernel" in jax.tree_util.keystr(path)
    ]
    assert len(kernels) == 23
    assert max(kernel[-1] for kernel in kernels) == 1024
    # As in the paper's figure 1: kernels of 3 × 3, of 2 × 2 on the way up, and of 1 × 1.
    sizes = [kernel[-4:-2] for kernel in kernels]
    assert [sizes.count((n, n)) for n in (3, 2, 1)] == [18, 4, 1]


def test_skips_cross_the_unet(small, filled):
    net, x = small("unet"), IMAGES
    variables = filled(net, x)
    state, _ = call(net.stem, variables.stem, x)
    layers = layers_of(net, variables)
    state, _ = call(*layers[0], state)
    assert state["h"].shape == (2, 4, 4, 4) and state["skips"][0].shape == (2, 8, 8, 4)
    np.testing.assert_array_equal(
        state["h"], state["skips"][0].reshape(2, 4, 2, 4, 2, 4).max((2, 4))
    )
    state, _ = call(*layers[1], state)
    assert state["h"].shape == (2, 4, 4, 8)
    with_skip, _ = call(*layers[2], state)
    without, _ = call(*layers[2], {**state, "skips": (0 * state["skips"][0],)})
    assert with_skip["h"].shape == (2, 8, 8, 4) and with_skip["skips"] == ()
    assert not np.allclose(with_skip["h"], without["h"], atol=0.01)
