import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from depthbench.experiments.propagation import trajectory_length
from depthbench.research.architectures import contract, walk
from depthbench.research.catalogues.activations import ACTIVATIONS
from depthbench.research.catalogues.initializers import Rule
from depthbench.research.cli.main import main
from depthbench.research.signal import ensembles


def net(name, width, depth, sigma_w2):
    program = ensembles.Program("mlp", "none", (name,), width, depth, 8, "noise")
    member = ensembles.Member(Rule(1.0), Rule(sigma_w2, 0.05))
    built = ensembles.build(program, ACTIVATIONS[name].phi, "normal", member, depth)
    x, tangent = trajectory_length.circle(4000, width)
    variables = contract.init(jax.random.key(0), built, x)
    return contract.links(built, variables), x, tangent


def test_the_circle():
    x, tangent = trajectory_length.circle(500, 16)
    assert np.allclose(np.mean(np.square(x), axis=1), 1, rtol=1e-5)
    assert np.allclose(np.sum(x * tangent, axis=1), 0, atol=1e-5)
    length = math.exp(trajectory_length.ln_length(tangent))
    assert length == pytest.approx(2 * math.pi * 4, rel=1e-5)
    polygon = np.sum(np.linalg.norm(np.roll(x, -1, axis=0) - x, axis=1))
    assert length == pytest.approx(polygon, rel=1e-4)


@pytest.mark.parametrize(("name", "sigma_w2"), [("tanh", 3.0), ("relu", 2.0)])
def test_lengths_are_those_of_fine_polygons(name, sigma_w2):
    links, x, tangent = net(name, 32, 4, sigma_w2)
    measured = trajectory_length.ln_lengths(links, x, tangent)
    stem, (layers,), _ = walk.parts(links)
    start = walk.fold(stem, x)[0]
    _, states = walk.scan(layers, lambda h, layer: (layer(h), layer(h)), start)
    for ln_length, h in zip(
        measured, jnp.concatenate([start[None], states]), strict=True
    ):
        sides = np.linalg.norm(np.roll(h, -1, axis=0) - h, axis=1)
        assert math.exp(ln_length) == pytest.approx(np.sum(sides), rel=2e-3)


def test_a_linear_net_scales_a_curve_by_its_weights():
    """Wide nets: σ_w a layer; of 200 units and 3 layers, to about 3 %."""
    cell = {"activation": "linear", "sigma_w2": 2.25, "sigma_b2": 0.1}
    cell |= {"depth": 4, "width": 200, "seeds": 8}
    (measured,) = trajectory_length.measure([cell], {}, 2**30)
    assert measured.values["rate_theory"] == pytest.approx(math.log(1.5))
    error = measured.values["rate_se"]
    assert abs(measured.values["rate"] - math.log(1.5)) < 4 * error + 0.005


def test_a_small_run(tmp_path, capsys):
    arguments = "--activation relu --sigma-w2 1,8 --depth 4 --width 32 --seeds 3"
    out = tmp_path / "out"
    assert (
        main(["run", "trajectory_length", *arguments.split(), "--out", str(out)]) == 0
    )
    assert "½ ln χ₁" in capsys.readouterr().out
    assert (out / "figure.png").stat().st_size > 10_000
