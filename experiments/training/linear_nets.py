"""Deep linear nets: their loss on a whole data set, its descent, and how they start."""

from depthbench.research.catalogues.initializers import DRAWS
from depthbench.research.lazy import lazily

with lazily():
    import jax
    import jax.numpy as jnp
    import numpy as np

STARTS = {"orthogonal": "orthogonal", "gaussian": "normal"}  # by name, in DRAWS


def statistics(x, y):
    """All that the squared error of a linear net depends on: (Σ_xx, Σ_xy, |y|²)."""
    count = len(x)
    return x.T @ x / count, x.T @ y / count, np.sum(np.square(y)) / count


def least(sigma_xx, sigma_xy, yy):
    """The mean squared error of the best linear map, which no net can go below."""
    best = np.linalg.lstsq(sigma_xx, sigma_xy, rcond=1e-10)[0]
    return 0.5 * (yy - np.sum(best * sigma_xy))


def product(kernels):
    """W_1 … W_L of (first, others [L − 2, …], last), from the last: its side is short."""
    first, others, last = kernels

    def times(so_far, kernel):
        return kernel @ so_far, None

    return first @ jax.lax.scan(times, last, others, reverse=True)[0]


def loss(kernels, sigma_xx, sigma_xy, yy):
    """½ mean |y − x W|² of the whole data set."""
    w = product(kernels)
    return 0.5 * (yy + jnp.sum(w * (sigma_xx @ w)) - 2 * jnp.sum(w * sigma_xy))


def step(kernels, data, rate):
    """(kernels after a step of gradient descent, the loss before it)."""
    before, gradient = jax.value_and_grad(loss)(kernels, *data)
    return jax.tree.map(lambda w, g: w - rate * g, kernels, gradient), before


def learn(kernels, data, rate, enough, most):
    """Steps until the loss is at most `enough`; inf where `most` steps do not do."""

    def goes_on(carry):
        done, _, value = carry
        return (done < most) & (value > enough) & jnp.isfinite(value)

    def more(carry):
        done, kernels, _ = carry
        kernels, value = step(kernels, data, rate)
        return done + 1, kernels, value

    start = (jnp.int32(0), kernels, jnp.full_like(enough, 1e30))
    done, _, value = jax.lax.while_loop(goes_on, more, start)
    # The loss of a step is known in the next one.
    return jnp.where(value <= enough, (done - 1).astype(value.dtype), jnp.inf)


def draw(key, start, layers, inputs, width, outputs):
    """Kernels [in, out] of variance 1 / fan-in, Gaussian or orthogonal."""
    kernel = DRAWS[STARTS[start]].kernel
    key_first, key_last, key_others = jax.random.split(key, 3)
    square = jax.vmap(lambda one: kernel(one, (width, width), jnp.float32))
    return (
        kernel(key_first, (inputs, width), jnp.float32),
        square(jax.random.split(key_others, layers - 2)),
        kernel(key_last, (width, outputs), jnp.float32),
    )
