"""Nets whose states are sequences, images or trees: shapes, and probes."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from depthbench.research.architectures import ARCHITECTURES
from depthbench.research.architectures.contract import apply, call, init, layer_at
from depthbench.research.signal import probes

KEY = jax.random.key(0)
SEQUENCE = np.random.default_rng(0).standard_normal((3, 4, 3)).astype(np.float32)
IMAGES = np.random.default_rng(1).standard_normal((2, 8, 8, 2)).astype(np.float32)


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


@pytest.mark.exhaustive  # of dense nets by default
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
