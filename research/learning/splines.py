"""The smoothing spline of one input.

Wahba 1990, Spline Models for Observational Data, SIAM; Woltring 1986, Adv. Eng. Softw.
8:104 (how it is computed).
"""

from typing import Any

from depthbench.research.lazy import lazily

with lazily():
    import numpy as np
    import scipy.interpolate as interpolate

LEAST = 5  # points of which SciPy makes a spline


class Spline:
    """The f of least mean (f(x) − y)² + penalty ∫ f″².

    Beyond the points it goes on as a straight line. Of fewer than 5 different points it
    is one throughout, which is what a large penalty gives.
    """

    def __init__(self, penalty: float):
        self.penalty = penalty

    def fit(self, x: Any, y: Any) -> "Spline":
        """Itself, fitted to x [examples, 1] and y [examples] or [examples, outputs].

        >>> line = Spline(1.0).fit([[0.0], [1.0], [2.0]], [0.0, 2.0, 4.0])
        >>> round(float(line.predict([[5.0]])[0, 0]), 6)
        10.0
        """
        points, place, counts = np.unique(
            np.asarray(x)[:, 0], return_inverse=True, return_counts=True
        )
        y = np.asarray(y).reshape(len(place), -1)
        sums = np.zeros((len(points), y.shape[1]))
        np.add.at(sums, place.reshape(-1), y)
        means = sums / counts[:, None]  # equal points count by how many they are
        self.low, self.high = points[0], points[-1]
        self.curves = [self._curve(points, column, counts) for column in means.T]
        return self

    def _curve(self, points: Any, values: Any, counts: Any) -> Any:
        if len(points) >= LEAST:
            penalty = self.penalty * counts.sum()
            return interpolate.make_smoothing_spline(points, values, counts, penalty)
        degree = min(1, len(points) - 1)
        return np.polynomial.Polynomial.fit(
            points, values, degree, w=np.sqrt(counts), domain=[-1, 1]
        )

    def predict(self, x: Any) -> Any:
        """Numbers [examples, outputs] at x [examples, 1].

        >>> Spline(1.0).fit([[0.0], [1.0]], [3.0, 3.0]).predict([[9.0]]).round(6).tolist()
        [[3.0]]
        """
        x = np.asarray(x)[:, 0]
        near = np.clip(x, self.low, self.high)
        columns = []
        for curve in self.curves:
            slope = (
                curve.derivative() if hasattr(curve, "derivative") else curve.deriv()
            )
            columns.append(curve(near) + slope(near) * (x - near))
        return np.stack(columns, axis=1)
