"""Codes without a net: principal components, and those of a kernel, with the way back."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from depthbench.research.lazy import lazily
from depthbench.research.machine import threads

with lazily():
    import sklearn.decomposition as decomposition
    import sklearn.kernel_ridge as kernel_ridge

WIDTHS = (0.1, 0.3, 1.0, 3.0)  # of the kernel: γ × the sum of the inputs' variances
PAIRED = 4000  # examples at most, whose pairs a kernel is of
PENALTIES = (0.01, 0.1, 1.0)  # of the ridge regression that is the way back


class CodeMap(NamedTuple):
    """encode: x [examples, inputs] -> codes [examples, code]. decode: back."""

    encode: Callable[[np.ndarray], np.ndarray]
    decode: Callable[[np.ndarray], np.ndarray]

    def errors(self, x: np.ndarray) -> np.ndarray:
        """The squared error of each example, summed over its inputs, [examples]."""
        return np.sum((self.decode(self.encode(x)) - x) ** 2, axis=1)


def pca(x: Any, code: int) -> CodeMap:
    """The first principal components of x [examples, inputs].

    Pearson 1901; Hotelling 1933. Of all linear codes none has a smaller squared error.

    >>> x = np.array([[0.0, 0.0], [1.0, 2.0], [2.0, 4.0]])
    >>> float(pca(x, 1).errors(x).max()) < 1e-12
    True
    """
    x = np.asarray(x, np.float64)
    middle = x.mean(axis=0)
    axes = np.linalg.svd(x - middle, full_matrices=False)[2][:code]
    return CodeMap(lambda x: (x - middle) @ axes.T, lambda h: h @ axes + middle)


@threads.single()
def kernel_pca(x: Any, valid: Any, code: int) -> CodeMap:
    """The same of a Gaussian kernel, whose width and way back are best on `valid`.

    Schölkopf, Smola & Müller 1998, Neural Computation 10:1299; the way back is kernel
    ridge regression from codes to inputs: Bakır, Weston & Schölkopf 2004, NIPS 16.
    """
    x, valid = np.asarray(x, np.float64), np.asarray(valid, np.float64)
    return best([one for width in WIDTHS for one in _kernel(x, code, width)], valid)


def best(fitted: Sequence[CodeMap], valid: np.ndarray) -> CodeMap:
    """The one with the smallest error on held-out examples."""
    return min(fitted, key=lambda one: float(one.errors(valid).mean()))


def _kernel(x: np.ndarray, code: int, width: float) -> list[CodeMap]:
    """The components of a kernel so wide, with the way back of each penalty."""
    model = decomposition.KernelPCA(
        code,
        kernel="rbf",
        gamma=width / _spread(x),
        eigen_solver="arpack",
        random_state=0,
    )
    codes = model.fit_transform(x)
    middle, gamma = x.mean(axis=0), 1 / _spread(codes)
    numbers: list[Any] = [{"gamma": gamma, "alpha": one} for one in PENALTIES]
    back: list[Any] = [
        kernel_ridge.KernelRidge(kernel="rbf", **each) for each in numbers
    ]
    return [
        CodeMap(model.transform, lambda h, one=one: one.predict(h) + middle)
        for one in (one.fit(codes, x - middle) for one in back)
    ]


def _spread(x: np.ndarray) -> float:
    """The sum of the variances of x [examples, …]."""
    return float(x.var(axis=0).sum())
