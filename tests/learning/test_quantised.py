"""Nets in integers: products of int8, errors as rounding allows, files bit for bit."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from depthbench.experiments.scrutiny import quantised as study
from depthbench.research.learning import fits, quantised
from depthbench.research.learning.recipe import Recipe
from depthbench.research.learning.supervised import Task

RANDOM = np.random.RandomState(0)
X = RANDOM.standard_normal((40, 6)).astype(np.float32)


def fresh(architecture="mlp", depth=3):
    recipe = Recipe(architecture=architecture, depth=depth, width=8)
    return fits.fresh(fits.Net(recipe, Task((6,), 4)))


def made(run, bits=8, channels=True):
    net = run.net.parts.net
    return quantised.quantise(net, run.variables, X, run.states(X), bits, channels)


def primitives(jaxpr):
    """All equations, those inside loops and calls too."""
    for equation in jaxpr.eqns:
        yield equation
        for value in equation.params.values():
            inner = getattr(value, "jaxpr", value)
            if hasattr(inner, "eqns"):
                yield from primitives(inner)


@pytest.mark.parametrize("architecture", ["mlp", "residual_mlp_scaled"])
def test_every_product_is_of_int8_in_int32(architecture):
    run = fresh(architecture)
    forward = quantised.states_of(run.net.parts.net, 8)
    traced = jax.make_jaxpr(forward)(made(run), X)
    products = [
        one for one in primitives(traced.jaxpr) if one.primitive.name == "dot_general"
    ]
    assert len(products) == 3  # the stem's, the loop's, the head's
    for one in products:
        assert [str(v.aval.dtype) for v in one.invars] == ["int8", "int8"]
        assert [str(v.aval.dtype) for v in one.outvars] == ["int32"]


@pytest.mark.parametrize("bits", [2, 4, 8])
def test_what_is_rounded_is_within_half_a_step(bits):
    x = RANDOM.uniform(-1, 1, 1000).astype(np.float32)
    scale = np.float32(1 / quantised.largest(bits))
    whole = np.asarray(quantised.rounded(x, scale, bits))
    assert whole.dtype == np.int8
    assert np.abs(whole).max() == quantised.largest(bits)
    # float32 rounds x / scale, to 2^-24 of at most 127.
    assert np.max(np.abs(whole * scale - x)) <= scale * (0.5 + 1e-5)
    assert quantised.rounded(np.float32([9.0]), scale, bits)[0] == quantised.largest(
        bits
    )


def test_whole_numbers_pass_unchanged():
    """A net of weights and inputs that are whole: no rounding, so no error."""
    kernel = RANDOM.randint(-127, 128, (6, 5)).astype(np.float32)
    kernel[0] = 127  # every output's scale is 1
    x = RANDOM.randint(-127, 128, (9, 6)).astype(np.float32)
    x[0, 0] = 127
    bias = RANDOM.standard_normal(5).astype(np.float32)
    one = quantised._mapped(kernel, bias, x, 8, True)
    assert one.scale.tolist() == [1.0] * 5 and one.reads == 1
    exact = x.astype(np.int64) @ kernel.astype(np.int64)
    given = quantised.applied(one, jnp.asarray(x), 8)
    np.testing.assert_array_equal(given, (exact + bias[None]).astype(np.float32))


@pytest.mark.parametrize("architecture", ["mlp", "residual_mlp_scaled"])
def test_int8_follows_float32_and_two_bits_do_not(architecture):
    run = fresh(architecture)
    true = np.stack(run.states(X))
    errors = []
    for bits in (8, 4, 2):
        states, outputs = quantised.states_of(run.net.parts.net, bits)(
            made(run, bits), X
        )
        errors.append(study.relative(np.asarray(states), true))
        assert outputs.shape == run.outputs(X).shape
    assert errors[0].shape == (4,)
    # A step is 1/127 of the largest, some three deviations: an error of 0.7 % a factor.
    assert errors[0][0] < 0.02 and errors[0][-1] < 0.05
    assert np.all(errors[0] * 5 < errors[1]) and errors[2][-1] > 0.3


def test_a_scale_for_each_channel_spares_small_columns():
    kernel = RANDOM.standard_normal((6, 2)).astype(np.float32) * np.float32([1, 0.001])
    each = quantised._mapped(kernel, np.zeros(2), X, 8, True)
    alike = quantised._mapped(kernel, np.zeros(2), X, 8, False)
    assert np.abs(each.kernel[:, 1]).max() == 127
    assert not alike.kernel[:, 1].any() and alike.scale.shape == (1,)


def test_a_file_holds_the_net_bit_for_bit(tmp_path):
    run = fresh("residual_mlp_scaled")
    one = made(run, 4)
    quantised.save(tmp_path / "net.npz", one)
    again = quantised.load(tmp_path / "net.npz")
    for a, b in zip(jax.tree.leaves(one), jax.tree.leaves(again), strict=True):
        assert a.dtype == b.dtype and np.array_equal(a, b)
    forward = quantised.states_of(run.net.parts.net, 4)
    for a, b in zip(forward(one, X), forward(again, X), strict=True):
        assert np.array_equal(a, b)
    # int8 kernels: a byte a weight, beside float32 scales and biases.
    kernels = sum(np.asarray(part.kernel).nbytes for part in again)
    assert kernels == quantised.weights(again) == 6 * 8 + 3 * 8 * 8 + 8 * 4


@pytest.mark.parametrize("everywhere", [True, False])
def test_pruning_keeps_the_largest_and_as_many_as_it_should(everywhere):
    run = fresh()
    kernels = lambda variables: [
        leaf
        for path, leaf in jax.tree_util.tree_leaves_with_path(variables)
        if path[-1].key == "kernel"
    ]
    before = kernels(jax.device_get(run.variables))
    after = kernels(quantised.pruned(run.variables, 0.25, everywhere))
    count = sum(np.count_nonzero(kernel) for kernel in after)
    assert abs(count - 0.25 * sum(kernel.size for kernel in before)) <= len(before) + 2
    kept = np.concatenate([np.abs(k[k != 0]) for k in after])
    gone = np.concatenate([np.abs(b[a == 0]) for a, b in zip(after, before)])  # noqa: B905
    for a, b in zip(after, before, strict=True):
        np.testing.assert_array_equal(a[a != 0], b[a != 0].astype(np.float16))
    assert (kept.min() >= gone.max()) == everywhere
    if not everywhere:  # of each layer a quarter
        assert [np.count_nonzero(layer) for layer in after[1]] == [16, 16, 16]


def test_a_pruned_net_takes_the_bytes_of_one_in_integers():
    for bits in (2, 4, 8):
        assert 16 * quantised.kept_share(bits) + 1 == bits


def test_a_layer_that_reads_nothing_has_no_error():
    run = fresh()
    none = [np.zeros_like(state) for state in run.states(X)]
    net = run.net.parts.net
    one = quantised.quantise(net, run.variables, np.zeros_like(X), none)
    states, _ = quantised.states_of(net, 8)(one, np.zeros_like(X))
    assert not np.any(study.relative(np.asarray(states), np.stack(none)))
