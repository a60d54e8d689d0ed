import math

import pytest

from depthbench.experiments.propagation.batchnorm_explosion import (
    STUDY,
    spread,
    trainable_depth,
)
from depthbench.research.catalogues.activations import ACTIVATIONS
from depthbench.research.cli.main import main


@pytest.mark.parametrize(
    ("name", "factor"),
    [
        # Where φ scales with its argument, a length that differs goes on differing.
        ("linear", 1.0),
        ("relu", 1.0),
        # E[φ²] = 3q²/2 and E[φ] = q/2: the centred length 3q²/2 − q/2 + 1/4, over 5/4.
        ("relu_squared", 2.0),
    ],
)
def test_spread_of_activations_that_are_powers(name, factor):
    # The difference quotient of step 1e-4 errs by about its square.
    assert spread(ACTIVATIONS[name]) == pytest.approx(factor, rel=1e-7)


def test_bounded_activations_make_examples_alike():
    assert spread(ACTIVATIONS["tanh"]) < 1 < spread(ACTIVATIONS["silu"])


def test_trainable_depth():
    assert trainable_depth(math.e) == 16
    assert trainable_depth(1.0) is None


def test_a_small_run(tmp_path, capsys):
    arguments = "--activation linear --batch 8 --depth 12 --width 8 --seeds 3"
    command = ["run", STUDY.name, *arguments.split(), "--out", str(tmp_path / "out")]
    assert main(command) == 0
    assert "16 / ln(rate)" in capsys.readouterr().out
    text = (tmp_path / "out" / "rows.csv").read_text()
    header, values = (line.split(",") for line in text.splitlines())
    row = dict(zip(header, values, strict=True))
    assert float(row["rate"]) > 0
    # (B − 2) / (B − 3), by a quadrature of 48 radii and 4,096 angles.
    assert float(row["rate_theory"]) == pytest.approx(6 / 5, rel=1e-9)
    assert (tmp_path / "out" / "figure.png").stat().st_size > 10_000
