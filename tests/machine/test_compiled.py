"""Compiled programs are kept, for this machine alone, and a kept one has the same bits."""

import os
import re
from pathlib import Path
from types import SimpleNamespace

import jax
import numpy as np
import pytest
from jax.experimental.compilation_cache import compilation_cache

from depthbench.research.cli import caching
from depthbench.research.cli.main import COMMANDS, main
from depthbench.research.engine import runner
from depthbench.research.learning import fits, supervised, sweeps
from depthbench.research.learning.recipe import Recipe
from depthbench.research.machine import compiled, host, lapack
from depthbench.research.study.studies import studies

RUN = (
    "run gradient_flow --size smoke --architecture mlp --activation tanh --depth 4 "
    "--initializer orthogonal,he_normal --format csv --out"
).split()


@pytest.fixture
def homely(tmp_path, monkeypatch):
    """A user who has set nothing: the folder of their caches."""
    for name in [name for name in os.environ if name.startswith("JAX_PERSISTENT")]:
        monkeypatch.delenv(name)
    monkeypatch.delenv(compiled.VARIABLE)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "caches"))
    usual = jax.config.jax_compilation_cache_dir
    jax.config.update("jax_compilation_cache_dir", None)
    compilation_cache.reset_cache()
    yield tmp_path / "caches"
    assert jax.config.jax_compilation_cache_dir is None, "a command leaves none behind"
    assert jax.config.jax_enable_compilation_cache
    jax.config.update("jax_compilation_cache_dir", usual)
    compilation_cache.reset_cache()


def entries(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.rglob("*-cache")}


def rows(out: Path) -> dict[str, bytes]:
    """Every row and profile; the row's checksum is of all its bits."""
    return {path.name: path.read_bytes() for path in (out / "cells").iterdir()}


def read_or_compiled() -> tuple[list[str], object]:
    """What jax's monitoring hears of kept programs from now on."""
    heard: list[str] = []

    def note(event: str, **_) -> None:
        if event.startswith("/jax/compilation_cache/cache_"):
            heard.append(event.rpartition("_")[2])

    jax.monitoring.register_event_listener(note)
    return heard, note


def test_rows_have_the_same_bits_whether_programs_were_kept(homely, tmp_path, capsys):
    heard, note = read_or_compiled()
    made = {}
    try:
        for name, flags in {"cold": [], "warm": [], "anew": ["--no-cache"]}.items():
            jax.clear_caches()
            heard.clear()
            assert main([*RUN, str(tmp_path / name), *flags]) == 0
            made[name] = set(heard)
            before = entries(homely)
    finally:
        jax.monitoring.unregister_event_listener(note)
    assert "misses" in made["cold"] and made["warm"] == {"hits"} and not made["anew"]
    assert len(before) > 20 and entries(homely) == before
    assert rows(tmp_path / "cold") == rows(tmp_path / "warm") == rows(tmp_path / "anew")
    assert len(rows(tmp_path / "cold")) >= 2
    capsys.readouterr()
    assert main(["doctor"]) == 0
    (line,) = [
        line for line in capsys.readouterr().out.splitlines() if "programs" in line
    ]
    assert f"{len(before)}, " in line and str(homely) in line and "1.0 GiB" in line


def device(kind="cpu", platform="cpu", version="1") -> SimpleNamespace:
    client = SimpleNamespace(platform_version=version)
    return SimpleNamespace(device_kind=kind, platform=platform, client=client)


def test_another_machine_has_another_folder(monkeypatch):
    names = {compiled.name(device())}
    assert compiled.name(device()) in names
    names.add(compiled.name(device("NVIDIA H100 80GB HBM3", "gpu")))
    names.add(compiled.name(device("NVIDIA H200", "gpu")))
    names.add(compiled.name(device("NVIDIA H200", "gpu", "cuda 13")))
    monkeypatch.setenv("NVIDIA_TF32_OVERRIDE", "0")
    names.add(compiled.name(device()))
    monkeypatch.delenv("NVIDIA_TF32_OVERRIDE")
    flags = host.instructions()
    monkeypatch.setattr(host, "instructions", lambda: flags.replace("avx2", ""))
    names.add(compiled.name(device()))
    monkeypatch.undo()
    monkeypatch.setattr("jaxlib.version.__version__", "9.9.9")
    names.add(compiled.name(device()))
    assert len(names) == 7


def test_what_the_processor_can_do_is_read_whole():
    text = host.instructions()
    if Path("/proc/cpuinfo").exists():
        assert "flags" in text or "Features" in text
    assert "MHz" not in text, "which is another at every moment"


def test_xla_flags_name_other_entries(homely, monkeypatch):
    """jax has them in an entry's name, so that the folder need not."""
    double = lambda: jax.jit(lambda x: x * np.float32(2))(np.float32(3))
    with compiled.kept(True):
        compiled.begin(jax)
        double()
        first = set(entries(homely))
        jax.clear_caches()
        monkeypatch.setenv("XLA_FLAGS", "--xla_cpu_prefer_vector_width=128")
        double()
    assert len(set(entries(homely)) - first) == 1


def test_a_folder_that_cannot_be_written_is_a_line(homely, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", "/proc/nowhere")
    with compiled.kept(True):
        (line,) = compiled.begin(jax)
        assert line.startswith("/proc/nowhere/depthbench/") and "not kept" in line
        assert jax.config.jax_compilation_cache_dir is None
        assert float(jax.jit(lambda x: x + np.float32(1))(np.float32(1))) == 2


def test_the_doctor_says_that_nothing_can_be_kept(homely, monkeypatch, capsys):
    homely.write_text("a file")
    assert main(["doctor"]) == 0
    (line,) = [
        line for line in capsys.readouterr().out.splitlines() if "programs" in line
    ]
    assert "not kept: " in line and str(homely) in line and "0 B" not in line


def test_a_relative_home_is_no_place_for_programs(homely, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", "relative")
    with compiled.kept(True):
        (line,) = compiled.begin(jax)
    assert "HOME=relative" in line and not Path("relative").exists()


def test_a_folder_of_another_user_is_not_trusted(homely, monkeypatch):
    homely.mkdir()
    monkeypatch.setattr(os, "getuid", lambda: homely.stat().st_uid + 1)
    with compiled.kept(True):
        (line,) = compiled.begin(jax)
    assert "belongs to another user" in line


def test_a_folder_that_the_user_names_is_theirs(homely, tmp_path):
    jax.config.update("jax_compilation_cache_dir", str(tmp_path / "theirs"))
    with compiled.kept(True):
        assert compiled.begin(jax) == []
        assert jax.config.jax_compilation_cache_dir == str(tmp_path / "theirs")
    jax.config.update("jax_compilation_cache_dir", None)
    assert not homely.exists()


def test_outside_of_a_command_nothing_is_kept(homely):
    assert compiled.begin(jax) == []
    assert jax.config.jax_compilation_cache_dir is None and not homely.exists()


def test_what_was_used_longest_ago_is_removed(tmp_path):
    for age, name in enumerate(["a/new-cache", "b/middle-cache", "a/x/old-cache"]):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(bytes(100))
        os.utime(path, (10**9 - age, 10**9 - age))
    os.utime(tmp_path / "a/x/old-cache", (10**9 + 5, 0))  # read since
    compiled.trim(tmp_path, bound=300)
    assert compiled.size(tmp_path) == (3, 300)
    compiled.trim(tmp_path, bound=299)
    assert not (tmp_path / "b/middle-cache").exists()
    compiled.trim(tmp_path, bound=100)
    assert [p.name for p in tmp_path.rglob("*-cache")] == ["old-cache"]


def test_what_a_full_disk_left_is_written_again(homely):
    """jax writes no entry that is there, be it empty."""
    halve = lambda: jax.jit(lambda x: x / np.float32(2))(np.float32(3))
    with compiled.kept(True):
        compiled.begin(jax)
        halve()
        before = entries(homely)
        for path in homely.rglob("*-cache"):
            path.write_bytes(b"")
        jax.clear_caches()
        assert float(halve()) == 1.5 and not any(entries(homely).values())
    jax.clear_caches()
    with compiled.kept(True):
        compiled.begin(jax)
        halve()
    assert entries(homely).keys() == before.keys() and all(entries(homely).values())


def test_every_command_that_runs_nets_keeps_programs_and_has_the_flag():
    """But for `verify`, which compiles what it compares."""
    folder = Path(caching.__file__).parent
    running = {
        path.stem
        for path in folder.glob("*.py")
        if re.search(r"runs\.completed|run\.main|trainer\.main", path.read_text())
    }
    assert running & {c.name for c in COMMANDS} - {"verify"} == set(caching.KEEPING)


TIMED = sorted(name for name, study in studies().items() if study.timings)


def test_studies_that_read_clocks_compile_everything(homely, tmp_path, monkeypatch):
    kept: dict[str, bool] = {}

    def execute(job, *_):
        kept[job.study.name] = jax.config.jax_enable_compilation_cache
        return runner.RunSummary(0, 1, 0.0, 130)

    monkeypatch.setattr(runner, "execute", execute)
    for name in [*TIMED, "gradient_flow"]:
        assert (
            main(["run", name, "--size", "smoke", "--out", str(tmp_path / name)]) == 130
        )
    assert {"compile_time", "throughput", "peers", "million_layers"} < set(TIMED)
    assert kept == {**dict.fromkeys(TIMED, False), "gradient_flow": True}


@pytest.mark.skipif(lapack.named() is None, reason="this SciPy has another LAPACK")
@pytest.mark.slow
def test_the_kernels_of_an_orthogonal_draw_are_recorded(clean_environment):
    import subprocess
    import sys

    program = (
        "import hashlib, jax; from depthbench.research.machine import host;"
        "from depthbench.research.catalogues.initializers import DRAWS;"
        "w = DRAWS['orthogonal'].kernel(jax.random.key(0), (64, 64), 'float32');"
        "print(host.environment()['lapack'], hashlib.sha256(bytes(w)).hexdigest())"
    )
    seen = set()
    for core in ("Haswell", "Sandybridge"):
        environment = {**clean_environment, "OPENBLAS_CORETYPE": core}
        command = [sys.executable, "-c", program]
        text = subprocess.check_output(command, env=environment, text=True, timeout=100)
        *name, bits = text.split()
        seen.add((" ".join(name), bits))
    names, bits = zip(*seen, strict=True)
    assert len(set(bits)) == len(set(names))


@pytest.mark.parametrize(
    "net",
    [
        {"architecture": "residual_mlp"},
        {"architecture": "cnn", "initializer": "delta_orthogonal"},
        {"architecture": "lstm", "initializer": "orthogonal"},
        {"architecture": "vit", "initializer": "glorot_truncated"},
    ],
    ids=lambda net: net["architecture"],
)
@pytest.mark.parametrize("several", [False, True])
def test_a_lightly_compiled_start_has_the_same_bits(net, several):
    """Rows do not know how much a program that draws weights was optimised."""
    recipe = Recipe(depth=2, width=16, batch=8, **net)
    programs = sweeps.of_recipe(recipe, 1, several)
    task = supervised.Task((8, 8, 1), 10)
    numbers = fits.numbers(fits.Net(recipe, task), 1e-3, 1)
    runs = [sweeps.Run(seed, numbers) for seed in range(3 if several else 1)]
    lowered = jax.jit(programs.init).trace(*sweeps.arguments(runs)).lower()
    usual, light = (
        lowered.compile(
            {compiled.LEVEL: level, "xla_llvm_disable_expensive_passes": False}
        )(*sweeps.arguments(runs))
        for level in (3, 1)
    )
    for one, other in zip(jax.tree.leaves(usual), jax.tree.leaves(light), strict=True):
        assert one.dtype == other.dtype and bits(one) == bits(other)


def bits(array):
    keys = jax.dtypes.issubdtype(array.dtype, jax.dtypes.prng_key)
    return np.asarray(jax.random.key_data(array) if keys else array).tobytes()


def test_programs_are_compiled_lightly_on_a_cpu_unless_xlas_flags_say_how(monkeypatch):
    monkeypatch.setenv("XLA_FLAGS", "--xla_cpu_enable_fast_math=false")
    assert compiled.lightly() == {compiled.LEVEL: 1}
    monkeypatch.setenv("XLA_FLAGS", "--xla_backend_optimization_level=2")
    assert compiled.lightly() is None
    monkeypatch.setenv("XLA_FLAGS", "")
    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
    assert compiled.lightly() is None
