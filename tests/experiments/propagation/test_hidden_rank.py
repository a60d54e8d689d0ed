import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from depthbench.experiments.propagation import hidden_rank
from depthbench.research.catalogues.normalizers import NORMALIZERS
from depthbench.research.cli.main import main


def test_soft_ranks():
    assert hidden_rank.soft_rank(jnp.eye(5)) == pytest.approx(5)
    assert hidden_rank.soft_rank(1e15 * jnp.ones((4, 7))) == pytest.approx(1)
    h = jax.random.normal(jax.random.key(0), (9, 6))
    s = np.linalg.svd(np.asarray(h), compute_uv=False)
    expected = np.sum(s**2) ** 2 / np.sum(s**4)
    assert hidden_rank.soft_rank(h) == pytest.approx(expected, rel=1e-5)
    # Independent numbers: E tr M² is n³ + n³ of n × n ones, and (tr M)² is n⁴.
    h = jax.random.normal(jax.random.key(1), (400, 400))
    assert hidden_rank.soft_rank(h) == pytest.approx(200, rel=0.02)


def test_what_is_normalised_has_mean_zero_and_variance_one():
    h = 3 + 2 * jax.random.normal(jax.random.key(0), (50, 8))
    normal = hidden_rank.normalized(h, NORMALIZERS["batch"])
    assert np.allclose(np.mean(normal, axis=0), 0, atol=1e-5)
    assert np.allclose(np.var(normal, axis=0), 1, rtol=1e-4)
    assert hidden_rank.normalized(h, NORMALIZERS["none"]) is h


@pytest.mark.parametrize("name", ["linear", "relu"])
def test_plain_nets_become_rank_one_and_normalised_ones_do_not(name):
    cell = {"activation": name, "initializer": "critical", "width": 24, "depth": 120}
    cell |= {"seeds": 4}
    plain, normal = (
        hidden_rank.measure([{**cell, "normalizer": n}], {}, 2**30)[0].values
        for n in ("none", "batch")
    )
    assert plain["rank"] < 1.3 < 3 < normal["rank"]
    assert plain["rank_first"] > 5


def test_the_power_of_width_and_its_error():
    def row(width, rank, normalizer="batch"):
        made = {"status": "ok", "activation": "relu", "normalizer": normalizer}
        return made | {"depth": 9, "width": width, "rank": rank, "rank_se": rank / 10}

    rows = [row(16, 4.0), row(64, 8.0), row(16, 1.0, "none"), row(64, 1.0, "none")]
    normal, plain = hidden_rank.powers(rows)
    assert (normal["power"], plain["power"]) == (pytest.approx(0.5), pytest.approx(0.0))
    assert normal["power_se"] == pytest.approx(math.sqrt(0.02) / math.log(4))
    assert hidden_rank.powers(rows[:1]) == []


def test_a_small_run(tmp_path, capsys):
    arguments = "--activation relu --width 16,32 --depth 8 --seeds 3"
    out = tmp_path / "out"
    assert main(["run", "hidden_rank", *arguments.split(), "--out", str(out)]) == 0
    assert "late / √width" in capsys.readouterr().out
    assert (out / "figure.png").stat().st_size > 10_000
