"""`finite_width`: moments of log-normal samples, against closed forms and sampling."""

import numpy as np
import pytest

from depthbench.experiments.propagation import finite_width
from depthbench.research.signal.measured import Measured


def test_the_variances_error_is_that_of_repeated_samples():
    """Of a skewed distribution too, where a normal's √(2/n) is half of it: to 5 %."""
    rng = np.random.default_rng(0)
    samples = rng.exponential(size=(4000, 400))
    spread = np.std(samples.var(axis=1, ddof=1))
    errors = [finite_width.variance_error(row) for row in samples[:400]]
    assert np.sqrt(np.mean(np.square(errors))) == pytest.approx(spread, rel=0.05)
    assert spread > 1.8 * np.sqrt(2 / 400)


def test_a_log_normals_mean_is_known_from_its_logs():
    """ln E of exp of N(−2.5, 5) is 0; the error is that of repeated samples, to 10 %."""
    rng = np.random.default_rng(1)
    rows = []
    for _ in range(200):
        logs = rng.normal(-2.5, 5**0.5, 512)
        ends = np.stack([logs / (2 * np.log(10)), np.zeros(512)], axis=1)
        result = Measured("ok", "", {}, {"log10_gradient": ends})
        rows.append(finite_width.finish({"depth": 64, "width": 64}, result).values)
    means = np.array([row["ln_mean_square"] for row in rows])
    error = np.mean([row["ln_mean_square_se"] for row in rows])
    assert abs(means.mean()) < 4 * error / np.sqrt(200)
    assert np.std(means) == pytest.approx(error, rel=0.1)
    assert np.mean([row["mean"] for row in rows]) == pytest.approx(-2.5, abs=0.05)
