"""Residual networks' blocks, stems and heads, against their formulas."""

import jax
import numpy as np
import pytest

from depthbench.research.architectures.contract import Variables, call, links
from depthbench.research.signal import probes
from tests.architectures.test_resnet import SMALL, UNNORMALIZED, X, squares

unnormalized = pytest.mark.parametrize("name", UNNORMALIZED)


def convolved(x, kernel, strides=1):
    """A centred convolution of an image [batch, side, side, channels], as a sum."""
    size, side = kernel.shape[0], x.shape[1]
    x = np.pad(x, [(0, 0), *[((size - 1) // 2, size // 2)] * 2, (0, 0)])
    return sum(
        x[:, i : i + side : strides, j : j + side : strides] @ kernel[i, j]
        for i in range(size)
        for j in range(size)
    )


class Noted:
    """ReLU, and what it was applied to."""

    def __init__(self):
        self.seen = []

    def __call__(self, z):
        self.seen.append(z)
        return np.maximum(z, 0)

    def saturated(self):
        """The share of units that are dead for every example, of the mean call."""
        return np.mean([np.mean(np.all(z <= 0, axis=0)) for z in self.seen])


def by_hand(name, layer, p, h, phi):
    """A block without norms, from its formula."""

    def conv(x, number, strides=1):
        params = p[f"Conv_{number}"]
        return convolved(x, params["kernel"], strides) + params.get("bias", 0)

    def skip(x):
        if layer.widen == 1:
            return x
        x = x[:, ::2, ::2]  # every other pixel, and zeros for as many channels again
        return np.concatenate([x, np.zeros_like(x)], axis=-1)

    if name == "plain_cnn":
        return phi(conv(phi(conv(h, 0, layer.widen)), 1))
    if name == "resnet":
        return phi(skip(h) + conv(phi(conv(h, 0, layer.widen)), 1))
    if name == "resnet_v2":
        active = phi(h)
        y = conv(phi(conv(active, 0, layer.widen)), 1)
        return skip(active if layer.opens else h) + y
    if name == "resnet_fixup":
        y = phi(conv(h + p["bias_1"], 0, layer.widen) + p["bias_2"])
        y = p["multiplier"] * conv(y + p["bias_3"], 1) + p["bias_4"]
        return phi(skip(h) + y)
    if name == "resnet_skipinit":
        return skip(h) + p["alpha"] * conv(phi(conv(phi(h), 0, layer.widen)), 1)
    if name == "resnet_rezero":
        return skip(h) + p["alpha"] * conv(phi(conv(h, 0, layer.widen)), 1)
    if name == "basic":
        y = conv(phi(conv(h, 0, layer.strides)), 1)
        return phi((conv(h, 2, layer.strides) if layer.opens else h) + y)
    y = conv(phi(conv(phi(conv(h, 0)), 1, layer.strides)), 2)  # a bottleneck
    return phi((conv(h, 3, layer.strides) if layer.opens else h) + y)


@pytest.mark.parametrize(
    ("name", "depth"),
    (
        *((name, 14) for name in SMALL + UNNORMALIZED),
        ("resnet_imagenet", 18),
        ("resnet_imagenet", 50),
    ),
)
def test_blocks_are_their_formulas_and_note_their_saturation(name, depth, network):
    net = network(name, "relu", depth=depth, width=4)
    form = {18: "basic", 50: "bottleneck"}.get(depth, name)
    # The first blocks: they are equal ones, and ones that open a group.
    blocks = net.stages[: 3 if name == "resnet_v2" or depth == 50 else 2]
    h = np.random.default_rng(2).standard_normal((2, 6, 6, 4)).astype(np.float32)
    for stage in blocks:
        shapes = jax.eval_shape(
            lambda h, layer=stage.layer: layer.init(jax.random.key(0), h), h
        )
        random = np.random.default_rng(3)
        variables = jax.tree.map(
            lambda a, r=random: np.float32(0.3 * r.standard_normal(a.shape)), shapes
        )

        alone = net._replace(stages=(stage._replace(depth=1),))

        @jax.jit
        def run(variables, h, net=alone):
            stacked = jax.tree.map(lambda a: a[None], variables)
            _, link, _ = links(net, Variables({}, (stacked,), {}))
            return probes._with_saturation(link, 0, h, 1e-6)

        after, saturated = run(variables, h)
        noted = Noted()
        expected = by_hand(form, stage.layer, variables["params"], h, noted)
        # Sums of some hundred float32 products.
        np.testing.assert_allclose(after, expected, rtol=1e-5, atol=1e-5)
        assert float(saturated) == pytest.approx(noted.saturated(), abs=1e-6)
        assert 0.05 < noted.saturated() < 0.6
        h = np.asarray(after) / np.std(after)


def test_the_stem_for_large_images_takes_a_maximum(network, filled):
    net = network("resnet_imagenet", "relu", depth=18, width=4)
    variables = filled(net, X)
    h = jax.jit(lambda v, x: call(net.stem, v, x)[0])(variables.stem, X)
    params = variables.stem["params"]["Conv_0"]
    y = np.maximum(convolved(X, params["kernel"], 2) + params["bias"], 0)
    y = np.pad(y, [(0, 0), (1, 1), (1, 1), (0, 0)])  # after ReLU, 0 is no maximum
    shifted = [y[:, i : i + 4 : 2, j : j + 4 : 2] for i in range(3) for j in range(3)]
    np.testing.assert_allclose(h, np.max(shifted, axis=0), rtol=1e-5, atol=1e-5)


@unnormalized
def test_blocks_without_norms_start_as_the_identity_and_learn(name, network):
    net = network(name, "relu", depth=20, width=4, sigma_w=3.0, sigma_b=0.3)
    layer = net.stages[0].layer
    h = np.random.default_rng(2).standard_normal((2, 4, 4, 4)).astype(np.float32)
    h = np.abs(h)  # as after ReLU

    @jax.jit
    def run(key):
        variables = layer.init(key, h)
        after, pull = jax.vjp(lambda v: call(layer, v, h)[0], variables)
        return variables["params"], after, pull(after)[0]["params"]

    params, after, gradient = run(jax.random.key(0))
    np.testing.assert_array_equal(after, h)
    gate = gradient["Conv_1"]["kernel"] if "fixup" in name else gradient["alpha"]
    assert np.any(gate)
    # 144 weights' standard deviation has an error of 6 %; Fixup has 9 branches.
    expected = 3.0 * (9 * 4) ** -0.5 * (9**-0.5 if "fixup" in name else 1)
    assert np.std(params["Conv_0"]["kernel"]) == pytest.approx(expected, rel=0.25)


def test_fixups_head_starts_at_zero_and_learns(network):
    for ntk in (False, True):  # what is multiplied by 0 could not learn
        net = network("resnet_fixup", "relu", depth=8, width=4, ntk=ntk)
        variables = net.head.init(jax.random.key(0), X)
        assert not np.any(net.head.apply(variables, X))
        gradient = jax.grad(lambda v, net=net: squares(net.head.apply(v, X)))(variables)
        assert np.all(gradient["params"]["Dense_0"]["kernel"])
