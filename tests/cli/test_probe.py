"""`depthbench probe` as a user types it: in a folder of their own, with their own file."""

import json
import subprocess
import sys

import pytest

NET = '''
"""A user's net."""
import jax
import jax.numpy as jnp
from parts import layer


def make(depth, key):
    params = list(jax.random.normal(key, (depth, 6, 6)))

    def f(params, x):
        for weight in params:
            x = layer(weight, x)
        return x

    return f, params
'''
PARTS = "import jax.numpy as jnp\n\n\ndef layer(w, x):\n    return jnp.tanh(x @ w)\n"
OTHER = "import pathlib\npathlib.Path(__file__).with_name('imported').touch()\n"


@pytest.mark.slow
def test_a_file_of_ones_own_is_probed_and_resumed(tmp_path, clean_environment):
    files = {"nets.py": NET, "parts.py": PARTS, "other.py": OTHER, "numpy.py": OTHER}
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    words = "probe nets:make --input 4,6 --depth 1,3 --seeds 2 --format json"

    def depthbench():
        return subprocess.run(
            [sys.executable, "-m", "depthbench", *words.split()],
            cwd=tmp_path,
            env=clean_environment,
            capture_output=True,
            text=True,
            timeout=120,
        )

    done = depthbench()
    assert done.returncode == 0, done.stderr
    rows = json.loads(done.stdout)
    assert [(row["depth"], row["status"]) for row in rows] == [(1, "ok"), (3, "ok")]
    folder = tmp_path / "runs" / "probe" / "nets.make"
    for name in ("report.html", "figure.png", "states.png", "rows.csv", "run.json"):
        assert (folder / name).stat().st_size > 100
    assert not (tmp_path / "imported").exists()
    cells = {path: path.read_bytes() for path in (folder / "cells").iterdir()}
    next(iter(sorted(cells))).unlink()  # as of a run that was killed in the midst of it
    assert depthbench().stdout == done.stdout
    assert {path: path.read_bytes() for path in cells} == cells
