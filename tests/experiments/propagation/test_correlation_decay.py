import numpy as np
import pytest

from depthbench.experiments.propagation.correlation_decay import power, sampled
from depthbench.research.cli.main import main


def test_the_power_is_that_of_the_last_layers():
    layer = np.arange(2001.0)
    assert power(3 / (layer + 1e-9) ** 2) == pytest.approx(2)
    assert power(1 / (1 + layer)) == pytest.approx(1, abs=2e-3)
    layers, values = sampled(layer)
    assert layers[0] == 1 and layers[-1] == 2000
    assert np.array_equal(layers, values)


def test_a_small_run(tmp_path, capsys):
    arguments = (
        "--activation relu,softplus --iterates 400 --depth 4 --width 64 --seeds 8"
    )
    out = tmp_path / "out"
    assert (
        main(["run", "correlation_decay", *arguments.split(), "--out", str(out)]) == 0
    )
    assert "9π²/2" in capsys.readouterr().out
    header, *lines = (out / "rows.csv").read_text().splitlines()
    rows = [
        dict(zip(header.split(","), line.split(","), strict=False)) for line in lines
    ]
    assert rows[0]["status"] == "ok" and rows[1]["status"] == "no_fixed_point"
    assert float(rows[0]["power"]) == pytest.approx(1.95, abs=0.05)
    ratio, error = float(rows[0]["net_ratio"]), float(rows[0]["net_ratio_se"])
    assert abs(ratio - 1) < 4 * error + 0.1
