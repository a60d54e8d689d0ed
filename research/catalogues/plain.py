"""Plain functions of a user's as entries of catalogues: what they are is looked at."""

from collections.abc import Callable
from typing import Any

import numpy as np

from depthbench.research.catalogues.mistakes import Mistake
from depthbench.research.catalogues.modules import guarded
from depthbench.research.lazy import lazily
from depthbench.research.theory.activation import Activation

with lazily():
    import jax
    import jax.numpy as jnp

    from depthbench.research.theory import kinks

Sample = Callable[[Any, tuple[int, ...], Any], Any]  # (key, shape, dtype) -> array
SIDE = 512  # of the kernels that an initialiser's variance is measured on
AGREES = 0.02  # relative: ten standard errors of the variance of 512 × 1,024 normals


def activation(name: str, phi: Callable[[Any], Any]) -> Activation:
    """A function of arrays as an activation; its kinks are found by looking.

    Raises Mistake where it is not elementwise, or not finite on [-8, 8].

    >>> activation("jax.nn:relu6", lambda x: jax.nn.relu6(x)).kinks
    (0.0, 6.0)
    """
    try_activation(name, phi)
    with guarded(name):
        found = kinks.kinks(phi)
    return Activation(name, phi, name.partition(":")[0], found)


def try_activation(name: str, phi: Callable[[Any], Any]) -> None:
    """Calls it on a few numbers. Raises Mistake where it is not elementwise, or not finite
    on [-8, 8].

    >>> try_activation("my:sine", lambda x: jnp.sin(x))
    """
    x = np.random.RandomState(0).uniform(-8, 8, (4, 16)).astype(np.float32)
    some = np.random.RandomState(1).permutation(x.size)[:40]
    with guarded(name):
        y, fewer = (np.asarray(phi(jnp.asarray(a))) for a in (x, x.ravel()[some]))
    if y.dtype != np.float32 or y.shape != x.shape:
        raise Mistake(
            f"{name}: gives {y.dtype} {list(y.shape)} of float32 {list(x.shape)}; an "
            "activation keeps dtype and shape"
        )
    if not np.all(np.isfinite(y)):
        worst = float(x.ravel()[np.argmin(np.isfinite(y))])
        raise Mistake(f"{name}: is {y.ravel()[np.argmin(np.isfinite(y))]} at {worst:g}")
    if fewer.shape != some.shape or not np.allclose(
        y.ravel()[some], fewer, rtol=1e-4, atol=1e-5
    ):
        raise Mistake(
            f"{name}: is not elementwise: what it makes of a number depends on others"
        )


def sigma_w2(name: str, sample: Sample) -> tuple[float, bool]:
    """(σ_w², whether fans are averaged) of an initialiser: measured on three kernels.

    Its variance is σ_w²/fan_in, or σ_w² 2/(fan_in + fan_out). Raises Mistake where it is
    neither: no rule here has that size.

    >>> from jax.nn import initializers
    >>> round(sigma_w2("jax.nn.initializers:he_normal", initializers.he_normal())[0], 1)
    2.0
    """
    shapes = (SIDE, SIDE), (SIDE, 2 * SIDE), (2 * SIDE, SIDE)
    drawn = [kernel(name, sample, shape) for shape in shapes]
    variances = np.array([np.mean(np.square(k, dtype=np.float64)) for k in drawn])
    fan_in, fan_out = np.array(shapes).T
    for averaged, fans in ((False, fan_in), (True, (fan_in + fan_out) / 2)):
        each = variances * fans
        if 0 < np.max(each) < (1 + AGREES) * np.min(each):
            return float(np.mean(each)), averaged
    listed = ", ".join(
        f"{variance:.2g} for {shape}"
        for variance, shape in zip(variances, shapes, strict=True)
    )
    raise Mistake(
        f"{name}: its weights' variance is {listed} (inputs, outputs): neither "
        "σ_w²/fan_in nor 2σ_w²/(fan_in + fan_out), of which an Initializer's rule is made"
    )


def kernel(name: str, sample: Sample, shape: tuple[int, ...]) -> np.ndarray:
    """A kernel of this shape that an initialiser draws, on the host. Raises Mistake.

    >>> from jax.nn import initializers
    >>> kernel("jax.nn.initializers:ones", initializers.ones, (1, 2))
    array([[1., 1.]], dtype=float32)
    """
    with guarded(name), jax.ensure_compile_time_eval():
        drawn = np.asarray(sample(jax.random.key(0), shape, jnp.float32))
    if drawn.shape != shape or drawn.dtype != np.float32:
        raise Mistake(
            f"{name}: gives {drawn.dtype} {list(drawn.shape)}, asked for a kernel of "
            f"float32 {list(shape)}; must be (key, shape, dtype) -> array"
        )
    return drawn


def initializer(name: str, thing: Any) -> Sample:
    """(key, shape, dtype) -> kernel, of such a function, or of one that makes it.

    >>> made = initializer("jax.nn.initializers:he_normal", jax.nn.initializers.he_normal)
    >>> made(jax.random.key(0), (4, 8), jnp.float32).shape
    (4, 8)
    """
    made = thing
    for _ in range(2):
        with guarded(name), jax.ensure_compile_time_eval():
            drawn = _tried(made)
        if not callable(drawn):
            return made
        made = drawn
    raise Mistake(f"{name}: must be a function (key, shape, dtype) -> array")


def _tried(thing: Any) -> Any:
    """What it draws; or, of a function that makes initialisers, the one of its defaults."""
    try:
        drawn = thing(jax.random.key(0), (4, 8), jnp.float32)
    except TypeError:
        return thing()
    return thing() if callable(drawn) else drawn
