"""Convolution in every form is XLA's own, in values and derivatives."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from depthbench.research.architectures import convolution
from depthbench.research.architectures.convolution import convolve

# size, channels, features, groups, stride, padding
CASES = {
    "circular": ((3, 3), 2, 3, 1, 1, "CIRCULAR"),
    "circular_even": ((2, 4), 2, 3, 1, 1, "CIRCULAR"),
    "same": ((3, 3), 2, 3, 1, 1, "SAME"),
    "same_even": ((2, 3), 2, 3, 1, 1, "SAME"),
    "valid": ((3, 2), 2, 3, 1, 1, "VALID"),
    "explicit": ((3, 3), 2, 3, 1, 1, ((2, 0), (1, 3))),
    "pointwise": ((1, 1), 2, 3, 1, 1, "SAME"),
    "strided": ((3, 3), 2, 3, 1, 2, "SAME"),
    "strided_circular": ((3, 3), 2, 3, 1, 2, "CIRCULAR"),
    "large": ((5, 5), 2, 3, 1, 1, "SAME"),
    "groups": ((3, 3), 4, 6, 2, 1, "SAME"),
    "depthwise": ((3, 3), 3, 6, 3, 1, "CIRCULAR"),
    "1d": ((3,), 2, 3, 1, 1, "CIRCULAR"),
    "1d_causal": ((3,), 2, 3, 1, 1, ((2, 0),)),
    "1d_groups": ((5,), 4, 4, 2, 1, "VALID"),
}
cases = pytest.mark.parametrize("case", CASES)


def arrays(case, dtype=np.float32, leading=()):
    """(x, kernel, the two tangents) of a case."""
    size, channels, features, groups, _, _ = CASES[case]
    random = np.random.default_rng(0)
    space = (6, 5)[: len(size)]
    shapes = ((*leading, 2, *space, channels),)
    shapes += ((*leading, *size, channels // groups, features),)
    return tuple(random.standard_normal(s).astype(dtype) for s in 2 * shapes)


def ours(case):
    size, _, _, groups, stride, padding = CASES[case]
    strides = (stride,) * len(size)
    return lambda x, kernel: convolve(x, kernel, strides, padding, groups)


def theirs(case):
    """The same by XLA's convolution, the circular ones by continued images."""
    size, _, _, groups, stride, padding = CASES[case]
    letters = "HW"[: len(size)]
    conv = functools.partial(
        jax.lax.conv_general_dilated,
        window_strides=(stride,) * len(size),
        padding="VALID" if padding == "CIRCULAR" else padding,
        dimension_numbers=(f"N{letters}C", f"{letters}IO", f"N{letters}C"),
        feature_group_count=groups,
    )
    if padding != "CIRCULAR":
        return conv

    def circular(x, kernel):
        for axis, n in enumerate(size, start=1):
            side = x.shape[axis]
            around = np.arange(-((n - 1) // 2), side + n // 2) % side
            x = jnp.take(x, around, axis=axis)
        return conv(x, kernel)

    return circular


def derivatives(conv):
    """Value, both gradients, a tangent, and a Hessian's product with a vector."""

    def loss(x, kernel):
        return jnp.mean(jnp.sin(conv(x, kernel)))

    def run(x, kernel, x_dot, kernel_dot):
        gradient = jax.grad(loss, (0, 1))
        primals, dots = (x, kernel), (x_dot, kernel_dot)
        value, push = jax.linearize(conv, *primals)
        second = jax.jvp(gradient, primals, dots)[1]
        return value, gradient(*primals), push(*dots), second

    return jax.jit(run)


@cases
def test_values_and_derivatives_are_xlas_own(case):
    inputs = arrays(case)
    # Sums of some 50 products of order 1 in another order, in float32.
    compare(derivatives(ours(case))(*inputs), derivatives(theirs(case))(*inputs), 2e-5)


@pytest.mark.parametrize("case", ("circular", "groups", "explicit", "1d_causal"))
def test_values_and_derivatives_are_xlas_own_in_float64(case):
    with jax.enable_x64(True):
        inputs = arrays(case, np.float64)
        results, expected = (derivatives(f(case))(*inputs) for f in (ours, theirs))
    assert all(a.dtype == np.float64 for a in jax.tree.leaves(results))
    compare(results, expected, 1e-13)


def compare(results, expected, tolerance):
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=tolerance, atol=tolerance),
        results,
        expected,
    )


@pytest.mark.parametrize("case", ("circular", "groups", "1d"))
def test_over_seeds_and_in_a_scan(case):
    """Gradients of three nets at once, each of two steps, of as many channels as in."""
    x, kernel, *_ = arrays(case, leading=(3,))
    kernel = np.stack([kernel, -0.5 * kernel], axis=1)

    def loss(conv):
        def total(kernels, x):
            def step(sum_so_far, kernel):
                return sum_so_far + jnp.sum(jnp.sin(conv(x, kernel))), None

            return jax.lax.scan(step, jnp.zeros(()), kernels)[0]

        return jax.jit(jax.vmap(jax.grad(total, (0, 1))))

    # Sums over pixels, twice: values reach 30.
    compare(loss(ours(case))(kernel, x), loss(theirs(case))(kernel, x), 1e-4)


@pytest.mark.parametrize("over", ("x", "kernel"))
def test_over_seeds_of_one_batch_or_one_kernel(over):
    """Gradients where every seed shares the images, or the kernel."""
    x, kernel, *_ = arrays("strided", leading=(3,))
    inputs, axes = (
        ((x, kernel[0]), (0, None)) if over == "x" else ((x[0], kernel), (None, 0))
    )

    def gradients(conv):
        loss = lambda x, kernel: jnp.sum(jnp.sin(conv(x, kernel)))
        return jax.jit(jax.vmap(jax.grad(loss, (0, 1)), axes))

    compare(
        gradients(ours("strided"))(*inputs), gradients(theirs("strided"))(*inputs), 1e-4
    )


def test_no_pixel_is_left_over_or_missing():
    """A stride that leaves pixels unread, and edges wider than the kernel's reach."""
    CASES["left_over"] = ((2, 2), 2, 3, 1, 3, ((0, 0), (3, 1)))
    inputs = arrays("left_over")
    results, expected = (derivatives(f("left_over"))(*inputs) for f in (ours, theirs))
    compare(results, expected, 2e-5)


def gradient_in_a_scan(conv):
    """Program text of the gradients of two layers, for three nets at once."""

    def loss(kernels, x):
        step = lambda h, kernel: (jnp.sin(conv(h, kernel)), None)
        return jnp.sum(jax.lax.scan(step, x, kernels)[0])

    inputs = (jnp.ones((3, 2, 3, 3, 4, 4)), jnp.ones((3, 2, 6, 6, 4)))
    return jax.jit(jax.vmap(jax.grad(loss, (0, 1)))).lower(*inputs).as_text()


def test_gradients_in_a_scan_over_seeds_keep_the_fast_order():
    """XLA's CPU backend runs any other order, and groups, by slow loops."""
    fast = "[b, 0, 1, f]x[0, 1, i, o]->[b, 0, 1, f]"
    orders = {}
    for form in (ours, theirs):
        text = gradient_in_a_scan(form("same"))
        lines = [line for line in text.splitlines() if "stablehlo.convolution" in line]
        orders[form] = [fast in line and "group_count = 1" in line for line in lines]
    assert len(orders[ours]) >= 3 and all(orders[ours])
    assert not all(orders[theirs])


def test_only_the_cpu_takes_another_form(monkeypatch):
    used = []
    monkeypatch.setattr(convolution, "ordered", lambda *a: used.append("ordered"))
    monkeypatch.setattr(convolution, "plain", lambda *a: used.append("plain"))
    x, kernel, *_ = arrays("same")
    for backend in ("cpu", "gpu", "tpu"):
        monkeypatch.setattr(jax, "default_backend", lambda b=backend: b)
        convolve(x, kernel, (1, 1), "SAME")
    assert used == ["ordered", "plain", "plain"]


def test_a_convolution_of_data_works_out_no_gradient_of_them():
    x, kernel, *_ = arrays("same")
    text = str(jax.make_jaxpr(jax.grad(lambda k: jnp.sum(ours("same")(x, k))))(kernel))
    # The output, and the kernel's gradient.
    assert text.count("ordered_convolution") == 2
