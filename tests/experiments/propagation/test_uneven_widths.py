import math

import numpy as np
import pytest

from depthbench.experiments.propagation import uneven_widths
from depthbench.research.cli.main import main


@pytest.mark.parametrize("shape", uneven_widths.SHAPES)
def test_widths_have_the_sum_that_was_asked_for(shape):
    for beta, depth in ((0.125, 8), (0.25, 16), (0.5, 16)):
        sizes = uneven_widths.widths(shape, depth, beta)
        assert len(sizes) == depth
        assert np.sum(1 / sizes) == pytest.approx(beta, rel=0.02)
    sizes = uneven_widths.widths(shape, 16, 0.25)
    assert (len(set(sizes)) == 1) == (shape == "constant")
    assert max(sizes) / min(sizes) == pytest.approx(
        {"constant": 1, "alternating": 4, "taper": 4, "bottleneck": 5}[shape], rel=0.03
    )


def test_a_layers_variance_is_what_sampling_gives():
    random = np.random.default_rng(0)
    for width in (8, 32):
        squares = np.maximum(random.standard_normal((200_000, width)), 0) ** 2
        logs = np.log(np.sum(squares, axis=1)[np.any(squares > 0, axis=1)])
        expected = uneven_widths.layer_variance(width)
        assert np.var(logs) == pytest.approx(expected, rel=0.03)
    assert uneven_widths.layer_variance(1000) == pytest.approx(5 / 1000, rel=0.01)


def test_nets_vary_as_the_product_of_their_layers():
    """4,096 nets: the variance is known to 2.5 %, were the logarithms normal."""
    for sizes in ((12, 40, 9, 17), (8, 64, 64)):
        logs = uneven_widths.log_squares(np.array(sizes), 4096)
        alive = logs[np.isfinite(logs)]
        expected = sum(map(uneven_widths.layer_variance, sizes))
        assert np.var(alive) == pytest.approx(expected, rel=0.12)
        dead = 1 - math.prod(1 - 2.0**-n for n in sizes)
        assert 1 - len(alive) / 4096 == pytest.approx(dead, abs=0.005)


def test_the_gradient_is_that_of_the_net():
    """Against differences of the readout, on nets drawn with the same generator."""
    sizes = (5, 7, 4)
    block = uneven_widths._block(np.random.default_rng(3), sizes)
    random = np.random.default_rng(3)

    def normal(*shape):
        drawn = random.standard_normal((uneven_widths.SIDE_BY_SIDE, *shape), np.float32)
        return drawn.astype(np.float64)

    h = normal(1, 5)
    first, second = normal(5, 7) * math.sqrt(2 / 5), normal(7, 4) * math.sqrt(2 / 7)
    readout = normal(1, 4) * math.sqrt(2 / 4)

    def out(h):
        return np.sum(
            np.maximum(np.maximum(np.maximum(h, 0) @ first, 0) @ second, 0) * readout,
            axis=(1, 2),
        )

    step = 1e-7 * np.eye(5)[:, None, None, :]
    slopes = np.stack([(out(h + s) - out(h - s)) / 2e-7 for s in step])
    assert np.sum(slopes**2, axis=0) == pytest.approx(block, rel=1e-3, abs=1e-9)


def test_nets_are_compared_with_the_constant_one_of_their_sum():
    def row(shape, depth, variance, beta=0.25):
        made = {"status": "ok", "shape": shape, "depth": depth, "beta": beta}
        return made | {
            "variance": variance,
            "variance_se": 0.1 * variance,
            "beta_used": beta,
            "seeds": 100,
        }

    rows = [row("constant", 16, 1.0), row("constant", 8, 2.0), row("taper", 8, 3.0)]
    compared = uneven_widths.against_reference([*rows, row("taper", 8, 1.0, beta=0.5)])
    ratios = [uneven_widths.ratio(row) for row in compared]
    assert [r.value for r in ratios] == [0.5, 1.5]
    assert ratios[1].error == pytest.approx(1.5 * math.sqrt(0.02))


def test_a_small_run(tmp_path, capsys):
    arguments = "--beta 0.5 --depth 6 --seeds 128"
    out = tmp_path / "out"
    assert main(["run", "uneven_widths", *arguments.split(), "--out", str(out)]) == 0
    assert "bottleneck" in capsys.readouterr().out
    assert (out / "figure.png").stat().st_size > 10_000
