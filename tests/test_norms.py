"""Normalisers are PyTorch's: outputs, gradients, and the averages that are kept."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from research.architectures.layers import Norm
from research.normalizers import EPSILON, NORMALIZERS

FEATURES = 5
random = np.random.default_rng(0)
SHAPES = {"vectors": (8, FEATURES), "images": (8, 3, 4, FEATURES)}
STATISTICS = ("running_mean", "running_var")


@pytest.fixture
def torch():
    return pytest.importorskip("torch", reason="the [peers] extra is not installed")


def theirs(torch, name):
    layer = {
        "batch": lambda: torch.nn.BatchNorm1d(FEATURES, EPSILON, momentum=0.1),
        "layer": lambda: torch.nn.LayerNorm(FEATURES, EPSILON),
        "rms": lambda: torch.nn.RMSNorm(FEATURES, EPSILON),
    }[name]()
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.copy_(torch.tensor(random.standard_normal(FEATURES)))
        for buffer in STATISTICS if name == "batch" else ():
            getattr(layer, buffer).copy_(torch.tensor(random.uniform(1, 2, FEATURES)))
    return layer


def ours_of(layer, h):
    """The variables of a Norm that has the weights of PyTorch's layer."""
    shape = (1,) * (h.ndim - 1) + (FEATURES,)
    one = lambda parameter: jnp.asarray(parameter.detach().numpy()).reshape(shape)
    shift = getattr(layer, "bias", None)
    shift = jnp.zeros(shape) if shift is None else one(shift)
    variables = {"params": {"scale": one(layer.weight), "shift": shift}}
    if hasattr(layer, "running_mean"):
        kept = tuple(one(getattr(layer, name).clone()) for name in STATISTICS)
        variables["statistics"] = {"kept": kept}
    return variables


def assert_same(ours, theirs):
    """Ten or so float32 roundings, of sums of up to a hundred numbers."""
    theirs = theirs.detach().numpy()
    np.testing.assert_allclose(
        np.asarray(ours).reshape(theirs.shape), theirs, 2e-5, 2e-6
    )


@pytest.mark.parametrize("train", (True, False))
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("name", ("batch", "layer", "rms"))
def test_a_normaliser_is_pytorchs(name, shape, train, torch):
    h = 2 + random.standard_normal(SHAPES[shape]).astype(np.float32)
    layer = theirs(torch, name).train(train)
    variables, norm = ours_of(layer, h), Norm(NORMALIZERS[name])

    def run(params, h):
        outputs, kept = norm.apply(
            {**variables, "params": params}, h, train, mutable=["statistics"]
        )
        return jnp.sum(jnp.sin(outputs)), (outputs, kept)

    (_, (outputs, kept)), gradients = jax.value_and_grad(run, (0, 1), has_aux=True)(
        variables["params"], jnp.asarray(h)
    )
    flat = torch.tensor(h.reshape(-1, FEATURES)).requires_grad_()
    expected = layer(flat)
    torch.sin(expected).sum().backward()
    assert_same(outputs, expected)
    assert_same(gradients[1], flat.grad)
    assert_same(gradients[0]["scale"], layer.weight.grad)
    if getattr(layer, "bias", None) is not None:
        assert_same(gradients[0]["shift"], layer.bias.grad)
    if name == "batch" and train:
        mean, variance = kept["statistics"]["kept"]
        assert_same(mean, layer.running_mean)
        # PyTorch keeps the unbiased variance n/(n − 1), and divides by the other.
        n = len(flat)
        before = variables["statistics"]["kept"][1]
        ours = 0.9 * before + (variance - 0.9 * before) * n / (n - 1)
        assert_same(ours, layer.running_var)
