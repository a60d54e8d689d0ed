"""jax's settings: each is pinned, harmless, or recorded and refused; none moves a row."""

import json
import subprocess
import sys

import jax
import numpy as np
import pytest

from depthbench.research.cli.main import main
from depthbench.research.machine import settings
from depthbench.research.report import figures
from tests.cli.test_command import SMALL

# Another value than the pinned one, for each.
OTHERS = {
    "jax_allow_f16_reductions": False,
    "jax_default_matmul_precision": "BF16_BF16_F32",
    "jax_default_prng_impl": "rbg",
    "jax_enable_custom_prng": True,
    "jax_enable_x64": True,
    "jax_high_dynamic_range_gumbel": True,
    "jax_random_seed_offset": 7,
    "jax_threefry_partitionable": False,
}
RUN = ["run", "gradient_flow", *SMALL]
TRAIN = (
    "train --depth 2 --width 16 --steps 4 --batch 8 --report-every 2 --dtype bfloat16"
).split()
RECORDED = sorted(set(jax.config.values) - set(settings.PINNED) - settings.HARMLESS)


@pytest.fixture
def no_pictures(monkeypatch):
    monkeypatch.setattr(figures, "lay_out", lambda drawn: None)
    monkeypatch.setattr(figures, "as_png", lambda drawn: b"")
    monkeypatch.setattr(figures, "as_svg", lambda drawn: b"")


def results(folder):
    """The bytes of a run's rows and profiles, or of a training's reports."""
    inside = [*folder.glob("cells/*"), *folder.glob("reports/*")]
    assert inside
    return {path.name: path.read_bytes() for path in inside}


@pytest.fixture
def plain(once):
    """The results of a run and of a training without any variable."""

    def make(out):
        assert main([*RUN, "--out", str(out / "run")]) == 0
        assert main([*TRAIN, "--out", str(out / "train")]) == 0

    return once("settings", make)


@pytest.mark.parametrize("name", settings.PINNED)
@pytest.mark.slow
def test_a_pinned_setting_moves_no_bit(name, plain, tmp_path, capsys, no_pictures):
    before = jax.config.values[name]
    try:
        for command in (RUN, TRAIN):
            jax.config.update(name, OTHERS[name])
            capsys.readouterr()
            assert main([*command, "--out", str(tmp_path / command[0])]) == 0
            stderr = capsys.readouterr().err
            assert f"{name.upper()}={OTHERS[name]} is not followed" in stderr
            assert results(tmp_path / command[0]) == results(plain / command[0])
    finally:
        jax.config.update(name, before)


@pytest.mark.slow
def test_the_generators_of_the_environment_are_not_followed(
    clean_environment, tmp_path
):
    """As users set them: before jax is imported."""
    variables = {
        "JAX_DEFAULT_PRNG_IMPL": "rbg",
        "JAX_THREEFRY_PARTITIONABLE": "0",
        "JAX_ENABLE_X64": "1",
        "JAX_RANDOM_SEED_OFFSET": "3",
    }
    for name, more in (("plain", {}), ("set", variables)):
        command = [sys.executable, "-m", "depthbench", *RUN]
        subprocess.run(
            [*command, "--out", str(tmp_path / name)],
            env={**clean_environment, **more},
            check=True,
            capture_output=True,
        )
    assert results(tmp_path / "plain") == results(tmp_path / "set")


def test_the_settings_would_move_bits_if_they_were_not_pinned():
    """Else the tests above could not fail."""

    def drawn():
        return np.asarray(jax.random.normal(jax.random.key(0), (3, 3))).tobytes()

    before = drawn()
    for name in (
        "jax_default_prng_impl",
        "jax_threefry_partitionable",
        "jax_random_seed_offset",
        "jax_enable_x64",
    ):
        value = jax.config.values[name]
        try:
            jax.config.update(name, OTHERS[name])
            assert drawn() != before, name
        finally:
            jax.config.update(name, value)
    assert drawn() == before


@pytest.mark.parametrize("of_the_user", [None, "0"])
def test_random_numbers_are_one_kernel_on_a_gpu(of_the_user, monkeypatch):
    """Unless the environment says otherwise; and there alone."""
    (name,) = settings.CHOSEN
    before = jax.config.values[name]
    if of_the_user is not None:
        monkeypatch.setenv(name.upper(), of_the_user)
    try:
        jax.config.update(name, False)
        settings.pin()
        draw = jax.jit(lambda key: jax.random.normal(key, (3, 4)))
        traced = draw.trace(jax.random.key(0))
        kernels = {
            platform: "threefry2x32_ffi"
            in traced.lower(lowering_platforms=(platform,)).as_text()
            for platform in ("cuda", "tpu", "cpu")
        }
    finally:
        jax.config.update(name, before)
    assert kernels == {"cuda": of_the_user is None, "tpu": False, "cpu": False}


@pytest.mark.parametrize("name", [*RECORDED, *settings.BELOW, "JAX_OF_THE_FUTURE"])
def test_every_other_variable_is_recorded(name, monkeypatch):
    assert settings.recorded() is None
    monkeypatch.setenv(name.upper(), "1")
    assert settings.recorded() == f"{name.upper()}=1"


@pytest.mark.parametrize("name", [*settings.PINNED, *sorted(settings.HARMLESS)])
def test_what_is_pinned_or_harmless_is_not_recorded(name, monkeypatch):
    monkeypatch.setenv(name.upper(), "1")
    assert settings.recorded() is None


@pytest.mark.slow
@pytest.mark.parametrize("command", [RUN, TRAIN], ids=["run", "train"])
def test_a_run_is_not_resumed_with_other_settings(
    command, plain, tmp_path, monkeypatch, capsys, no_pictures
):
    import shutil

    out = shutil.copytree(plain / command[0], tmp_path / "run")
    monkeypatch.setenv("JAX_DISABLE_MOST_OPTIMIZATIONS", "1")
    before = results(out)
    capsys.readouterr()
    assert main([*command, "--out", str(out)]) == 2
    stderr = capsys.readouterr().err
    assert "settings was None, is JAX_DISABLE_MOST_OPTIMIZATIONS=1" in stderr
    assert len(stderr.splitlines()) == 1 and results(out) == before
    assert main([*command, "--out", str(out), "--accept-changes"]) == 0
    manifest = json.loads((out / "run.json").read_text())
    assert manifest["environment"]["settings"] == "JAX_DISABLE_MOST_OPTIMIZATIONS=1"
