"""The scripts of docs/examples/, run in small form: their answers, and their pictures."""

import importlib.util

import jax
import numpy as np
import pytest

from tests.conftest import ROOT

FOLDER = ROOT / "docs" / "examples"
SCRIPTS = sorted(path.stem for path in FOLDER.glob("*.py"))
LONGEST = 80  # lines: a listing of a paper


@pytest.fixture(autouse=True)
def as_users_have_it(monkeypatch):
    """A user's session is not as strict as the tests', and has a screen or has none."""
    monkeypatch.setenv("MPLBACKEND", "agg")
    with jax.numpy_rank_promotion("allow"), jax.numpy_dtype_promotion("standard"):
        yield


def script(name):
    spec = importlib.util.spec_from_file_location(
        f"example_{name}", FOLDER / f"{name}.py"
    )
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def run(name, tmp_path, capsys, **more):
    """(what a script's main returns, the lines that it prints)."""
    result = script(name).main(small=True, picture=tmp_path / f"{name}.png", **more)
    lines = capsys.readouterr().out.splitlines()
    if more.get("probed", True):
        assert (tmp_path / f"{name}.png").read_bytes().startswith(b"\x89PNG")
    return result, lines


def test_a_convnext_that_vanishes_is_mended(tmp_path, capsys):
    reports, lines = run("convnext", tmp_path, capsys)
    first, mended = reports.values()
    assert (first.verdict, mended.verdict) == ("vanishes", "survives")
    gradient = {row["state"]: row["log10_gradient"] for row in first.rows}
    block = gradient["stage_0_block_0"] - gradient["stage_0_block_1"]
    assert block == pytest.approx(-6, abs=0.1)  # the layer scale, and so the remedy
    assert len(first.rows) == len(mended.rows)
    assert "vanishes" in lines[0] and f"{block:+.2f} decades" in lines[0]
    assert "survives" in lines[1] and len(lines) == 2


def test_layer_norms_places_are_told_apart(tmp_path, capsys):
    """At 2 and 4 layers the law is not reached: what is tested is what the text says."""
    results, lines = run("transformer", tmp_path, capsys)
    assert list(results) == ["post", "pre"] and len(lines) == 2
    for (kind, (exponent, report)), line in zip(results.items(), lines, strict=True):
        assert line.startswith(f"{kind}-LN: L^{exponent:+.2f} ")
        assert report.answer in line
        gradients = [row["log10_gradient"] for row in report.rows]
        assert np.isfinite(gradients).all() and len(gradients) >= 2 * 4
    # Pre-LN's last matrix has the smaller gradient, the more so the deeper the net.
    assert results["pre"][0] < results["post"][0]


def test_probes_change_nothing_of_a_training(tmp_path, capsys):
    (probed, history), lines = run("training", tmp_path, capsys)
    (plain, without), _ = run("training", tmp_path, capsys, probed=False)
    assert history.steps == (0, 20, 40, 60) and without.steps == ()
    assert history.log10_gradient.shape == (4, len(history.names))
    assert len(set(history.log10_gradient[:, 0])) == 4  # of other parameters each time
    for ours, theirs in zip(
        jax.tree.leaves(probed), jax.tree.leaves(plain), strict=True
    ):
        assert np.asarray(ours).tobytes() == np.asarray(theirs).tobytes()
    assert lines[0].startswith("60 steps: ") and "at step 60" in lines[0]


@pytest.mark.parametrize("name", SCRIPTS)
def test_a_script_is_a_listing_with_a_picture(name):
    text = (FOLDER / f"{name}.py").read_text()
    assert len(text.splitlines()) <= LONGEST
    assert (FOLDER / f"{name}.png").stat().st_size < 150_000
    page = (FOLDER / "README.md").read_text()
    assert f"({name}.py)" in page and f"({name}.png)" in page
    assert "research" not in text  # a user knows of depthbench alone
