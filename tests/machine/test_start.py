"""Environments that commands cannot work in: a line and a status, before anything is made.

The suite has one of each kind; `-m exhaustive` has all, by every command that uses jax.
"""

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest

from depthbench.research.cli import main as cli
from depthbench.research.cli.main import main
from depthbench.research.machine import host, limits
from depthbench.research.report import figures
from depthbench.research.store import atomic
from depthbench.research.study.errors import mended_outside
from tests.cli.test_command import SMALL, run_small

GIB = 2**30
UNTAKEN = "jax does not take this value"
VARIABLES = {
    "JAX_PLATFORMS=foo": "no such device here (of cpu",
    "JAX_PLATFORMS=rocm": "no such device here",
    "JAX_PLATFORM_NAME=foo": "no such device here",
    "JAX_NUM_CPU_DEVICES=abc": "must be a whole number of devices, from 1",
    "JAX_NUM_CPU_DEVICES=0": "must be a whole number of devices, from 1",
    "JAX_ENABLE_X64=maybe": f"{UNTAKEN}; unset it, rows are made with False",
    "JAX_DEFAULT_PRNG_IMPL=foo": "rows are made with threefry2x32",
    "JAX_LOG_COMPILES=maybe": "must be 0 or 1",
    "JAX_LOGGING_LEVEL=loud": UNTAKEN,
    "JAX_SERIALIZATION_VERSION=x": UNTAKEN,
    "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES=many": UNTAKEN,
    "XLA_FLAGS=--nonsense": "Unknown flag in XLA_FLAGS: --nonsense",
    "XLA_FLAGS=--xla_cpu_multi_thread_eigen=maybe": "xla_cpu_multi_thread_eigen",
    "XLA_FLAGS=--xla_force_host_platform_device_count=0": "cpu",
    "XLA_FLAGS=/nowhere/flags": "/nowhere/flags",
}
SOME = ("JAX_PLATFORMS=foo", "JAX_ENABLE_X64=maybe", "XLA_FLAGS=--nonsense")
# Every command that uses jax, with what it is given.
COMMANDS = {
    "theory": "theory tanh",
    "run": f"run gradient_flow {' '.join(SMALL)} --out made",
    "probe": "probe depthbench.benchmarks.own_model.example:make --out made",
    "train": "train --depth 2 --width 8 --steps 4 --out made",
    "claims": "claims --run --only he2015 --size smoke --out made",
    "verify": "verify finished",
    "verify training": "verify trained",
    "reproduce": "reproduce gradient_rate --out made",
    "doctor": "doctor",
}
WITHOUT = {
    "list": "list",
    "report": "report finished",
    "status": "status finished",
    "merge": "merge finished --out joined",
    "export": "export finished --tensorboard events",
    "compare": "compare finished finished",
}


@pytest.fixture(scope="module")
def folders(once):
    """A finished run, and a finished training."""

    def make(out):
        assert run_small(out / "finished") == 0
        words = "train --depth 2 --width 8 --steps 4 --report-every 2"
        assert main([*words.split(), "--out", str(out / "trained")]) == 0

    return once("environments", make)


def done(words, folder, environment, limit=""):
    """A command that has ended, of a process with these variables, and that `ulimit`."""
    shell = ["bash", "-c", f'ulimit {limit} && exec "$@"', "bash"] if limit else []
    return subprocess.run(
        [*shell, sys.executable, "-m", "depthbench", *words.split()],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
    )


def refused(result, words, status=2):
    """Fails unless there is one line that begins as ours do, and has the words."""
    assert result.returncode == status, result.stderr
    lines = result.stderr.splitlines()
    lines = [line for line in lines if "cells to run, about" not in line]
    assert len(lines) == 1 and lines[0].startswith("depthbench: "), result.stderr
    assert words in lines[0]


@pytest.mark.slow
@pytest.mark.parametrize(
    "variable",
    [
        pytest.param(v, marks=() if v in SOME else pytest.mark.exhaustive)
        for v in VARIABLES
    ],
)
def test_a_variable_that_jax_cannot_begin_with_is_a_line(
    variable, clean_environment, tmp_path
):
    name, _, value = variable.partition("=")
    environment = {**clean_environment, name: value}
    result = done(COMMANDS["train"], tmp_path, environment)
    refused(result, VARIABLES[variable])
    assert f"{variable}: " in result.stderr
    assert not any(tmp_path.iterdir())


@pytest.mark.exhaustive
@pytest.mark.parametrize("variable", SOME)
@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_that_uses_jax_begins_it_in_one_place(
    command, variable, folders, clean_environment, tmp_path
):
    for folder in ("finished", "trained"):
        (tmp_path / folder).symlink_to(folders / folder)
    name, _, value = variable.partition("=")
    environment = {**clean_environment, name: value}
    result = done(COMMANDS[command], tmp_path, environment)
    refused(result, VARIABLES[variable])
    assert not (tmp_path / "made").exists()


def test_the_table_above_has_every_command():
    table = {words.split()[0] for words in (*COMMANDS.values(), *WITHOUT.values())}
    assert table == {command.name for command in cli.COMMANDS}


@pytest.mark.exhaustive
@pytest.mark.parametrize("command", WITHOUT)
def test_what_uses_no_jax_does_not_ask_for_it(
    command, folders, clean_environment, tmp_path
):
    environment = {**clean_environment, "JAX_PLATFORMS": "foo", "XLA_FLAGS": "--x"}
    result = done(WITHOUT[command], folders, environment)
    assert result.returncode == 0, result.stderr


NEEDLESS = {
    "MPLBACKEND": "nonsense",
    "MPLCONFIGDIR": "/proc/nowhere",
    "HOME": "/nowhere",
    "TMPDIR": "/nowhere",
}
DRAWN = (
    "from depthbench.research.report import figures; "
    "print(len(figures.as_svg(figures.new(2, 1))))"
)


@pytest.mark.slow
def test_figures_ask_for_no_screen_nor_home(clean_environment):
    result = subprocess.run(
        [sys.executable, "-c", DRAWN],
        env={**clean_environment, **NEEDLESS},
        capture_output=True,
        text=True,
    )
    assert (result.returncode, result.stderr) == (0, "")
    assert int(result.stdout) > 100


@pytest.mark.exhaustive
@pytest.mark.parametrize("name", NEEDLESS)
def test_commands_ask_for_no_screen_nor_home(name, clean_environment, tmp_path):
    environment = {**clean_environment, name: NEEDLESS[name]}
    result = done("theory tanh --figure a.svg", tmp_path, environment)
    assert (result.returncode, result.stderr) == (0, "")
    assert [path.name for path in tmp_path.iterdir()] == ["a.svg"]


@pytest.mark.slow
def test_a_cache_that_cannot_be_written_is_a_line(clean_environment, tmp_path):
    environment = {**clean_environment, "JAX_COMPILATION_CACHE_DIR": "/proc/nowhere"}
    result = done("theory tanh", tmp_path, environment)
    refused(result, "JAX_COMPILATION_CACHE_DIR=/proc/nowhere: ", status=0)
    assert "q_star" in result.stdout


SHELL = {  # the limit, by whom it is met, and in which words
    "-v 65536": ("list", "0.5 GiB are needed"),
    "-v 524288": ("train", "only 0.5 GiB of address space"),
    "-v 1048576": ("theory", "only 1 GiB of address space"),
    "-n 20": ("train", "64 are needed (ulimit -n 64)"),
    "-n 12": ("list", "64 are needed (ulimit -n 64)"),
}
MARKED = [
    pytest.param(c, marks=() if c == "-v 1048576" else pytest.mark.exhaustive)
    for c in SHELL
]


@pytest.mark.slow
@pytest.mark.parametrize("limit", MARKED)
def test_too_low_a_limit_of_the_shell_is_a_line(limit, clean_environment, tmp_path):
    command, words = SHELL[limit]
    line = {**COMMANDS, **WITHOUT}[command]
    refused(done(line, tmp_path, clean_environment, limit), words)
    assert not any(tmp_path.iterdir())


@pytest.mark.exhaustive
@pytest.mark.parametrize("command", ["theory", "run", "train"])
def test_the_least_space_is_enough(command, clean_environment, tmp_path):
    """What is compiled is compiled here, too."""
    space = limits.JAX_SPACE + limits.CORE_SPACE * host.cores()
    environment = {**clean_environment, "JAX_ENABLE_COMPILATION_CACHE": "0"}
    result = done(COMMANDS[command], tmp_path, environment, f"-v {space / 1024:.0f}")
    assert result.returncode == 0, result.stderr


@pytest.mark.exhaustive
@pytest.mark.parametrize("kib", [0, 1, 20])
@pytest.mark.parametrize("command", ["theory", "run", "train"])
def test_files_that_may_not_grow_are_a_line(command, kib, clean_environment, tmp_path):
    line = COMMANDS[command] + (" --figure a.svg" if command == "theory" else "")
    environment = {**clean_environment, "JAX_ENABLE_COMPILATION_CACHE": "0"}
    result = done(line, tmp_path, environment, f"-f {kib}")
    if result.returncode:  # a figure may be as small
        refused(result, "File too large", status=74)
    else:
        assert kib == 20


@pytest.fixture
def frozen(tmp_path):
    """A folder that nothing can be written in, to root either: mounted read-only."""
    folder = tmp_path / "frozen"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "ro", "none", str(folder)]
    command = ["unshare", "--mount", "--map-root-user"]
    if os.geteuid() == 0:
        command = command[:2]
    probe = subprocess.run([*command, *mount], capture_output=True)
    if probe.returncode:
        pytest.skip("no mount can be made here")
    return folder, [*command, "sh", "-c", f'{" ".join(mount)} && exec "$@"', "sh"]


@pytest.mark.exhaustive
@pytest.mark.parametrize("command", ["theory", "run", "train", "report"])
def test_a_read_only_mount_is_a_line(
    command, frozen, folders, clean_environment, tmp_path
):
    folder, within = frozen
    words = {
        "theory": f"theory tanh --figure {folder}/a.svg",
        "run": f"run gradient_flow {' '.join(SMALL)} --out {folder}/out",
        "train": f"train --depth 2 --width 8 --steps 4 --out {folder}/out",
        "report": f"report {folder}",
    }[command]
    if command == "report":
        mount = f"mount --bind -o ro {folders}/finished {folder}"
        within = [*within[:-2], f'{mount} && exec "$@"', "sh"]
    result = subprocess.run(
        [*within, sys.executable, "-m", "depthbench", *words.split()],
        env=clean_environment,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert "Read-only file system" in result.stderr and str(folder) in result.stderr
    assert len(result.stderr.splitlines()) == 1 and result.returncode in (2, 74)


@pytest.mark.parametrize(
    "error, status",
    [
        (OSError(errno.ENOSPC, "No space left on device", "/a/b"), 74),
        (OSError(errno.EROFS, "Read-only file system", "/a/b"), 74),
        (OSError(errno.EDQUOT, "Disk quota exceeded", "/a/b"), 74),
        (OSError(errno.EIO, "Input/output error", "/a/b"), 74),
        (PermissionError(errno.EACCES, "Permission denied", "/a/b"), 2),
        (FileNotFoundError(errno.ENOENT, "No such file or directory", "/a/b"), 2),
        (OSError(errno.ENAMETOOLONG, "File name too long", "/a/b"), 2),
        (OSError("something of a library's own\nin two lines"), 2),
        (MemoryError(), 2),
        (MemoryError("Unable to allocate 8 TiB"), 2),
        (RuntimeError("RESOURCE_EXHAUSTED: Out of memory allocating 8 bytes"), 2),
        (RuntimeError("can't start new thread"), 2),
        (ImportError("x.so: failed to map segment from shared object"), 2),
    ],
)
def test_what_the_system_refuses_is_a_line(error, status, monkeypatch, capsys):
    def fail(arguments):
        raise error

    monkeypatch.setattr(cli, "dispatch", fail)
    assert main(["list"]) == status
    stderr = capsys.readouterr().err
    assert stderr.startswith("depthbench: ") and stderr.count("\n") == 1
    assert getattr(error, "filename", None) is None or "/a/b: " in stderr


@pytest.mark.parametrize(
    "error", [RuntimeError("a bug"), ImportError("a bug", name="depthbench.research.x")]
)
def test_a_bug_is_no_line(error):
    with pytest.raises(type(error), match="a bug"):
        mended_outside(error)


@pytest.mark.parametrize("command", ["run", "train", "claims"])
@pytest.mark.parametrize("package", ["orbax", "matplotlib"])
def test_what_is_needed_at_the_end_is_missed_before_anything_is_made(
    package, command, monkeypatch, tmp_path, capsys
):
    for name in [n for n in sys.modules if n.partition(".")[0] == package]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, package, None)
    monkeypatch.chdir(tmp_path)
    assert main(COMMANDS[command].split()) == 2
    stderr = capsys.readouterr().err
    assert f"this needs {package}" in stderr and stderr.count("\n") == 1
    assert not any(tmp_path.iterdir())


def test_memory_is_not_beyond_the_shells_limit(monkeypatch):
    free = host.machine_memory()
    monkeypatch.setattr(limits, "_soft", lambda limit: 3 * GIB)
    base = limits.JAX_SPACE + 2 * limits.CORE_SPACE - limits.WORK_SPACE
    assert limits.space_left(2) == int(3 * GIB - base)
    assert host.machine_memory() < free


TRIED = """
import os
from depthbench.research.machine import start
jax = start.imported()
start._try_flags(jax, "none at all")
jax.devices = lambda: os._exit(3)  # as XLA ends a process
try:
    start._try_flags(jax, "--x")
except ValueError as error:
    print(error)
"""


def test_flags_are_tried_in_a_child(clean_environment):
    """In a process of its own: in this one jax has begun, after which none is forked."""
    done = subprocess.run(
        [sys.executable, "-c", TRIED],
        env=clean_environment,
        capture_output=True,
        text=True,
    )
    assert (
        done.stdout == "XLA_FLAGS=--x: jax does not begin with it: it ends unsaid\n"
    ), done.stderr


def test_a_disk_that_is_read_only_is_74(tmp_path, monkeypatch, capsys):
    """Of a mount, where one can be made, see above."""

    def fail(path, *_):
        raise OSError(errno.EROFS, "Read-only file system", str(path))

    monkeypatch.setattr(figures, "phase_diagram", lambda axes, *_: None)
    monkeypatch.setattr(atomic, "open", fail, raising=False)
    assert main(["theory", "tanh", "--figure", str(tmp_path / "a.svg")]) == 74
    assert "a.svg: Read-only file system" in capsys.readouterr().err
    assert Path(tmp_path).is_dir() and not any(tmp_path.iterdir())
