"""Checkpoints of several processes: each writes its shards, and one seals them all."""

import itertools
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time

import jax
import numpy as np
import pytest

from depthbench.research.learning import checkpoints, forms, seals, shards
from depthbench.research.learning.shards import Part
from tests import shards_loop


def wanted(step):
    """The digest of the state that is saved at a step."""
    return shards_loop.digest(shards_loop.state_at(step, one_device()))


def one_device():
    return shards_loop.mesh_of(jax.devices()[:1])


def started(environment, folder, *actions, count=2):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    environment = {
        **environment,
        "JAX_NUM_CPU_DEVICES": "1",
        "XLA_FLAGS": os.environ["XLA_FLAGS"],
    }
    return [
        subprocess.Popen(
            [sys.executable, shards_loop.__file__, str(port), str(number), str(count)]
            + [str(folder), *actions],
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for number in range(count)
    ]


def ran(environment, folder, *actions, count=2):
    """[what each process prints of each restore: (step, digest, damaged)]"""
    processes = started(environment, folder, *actions, count=count)
    try:
        outputs = [process.communicate(timeout=120) for process in processes]
    finally:
        for process in processes:
            process.kill()
    for process, (_, complaints) in zip(processes, outputs, strict=True):
        assert process.returncode == 0, complaints
    return [
        [json.loads(line) for line in out.splitlines() if not line.startswith("[Gloo]")]
        for out, _ in outputs
    ]


def shard_files(checkpoint, process):
    """The data that a process wrote."""
    files = checkpoint.glob(f"arrays/**/ocdbt.process_{process}/d/*")
    return sorted(files, key=lambda path: path.stat().st_size)


def restored_here(folder):
    """What one process finds there, on one device."""
    return checkpoints.open(folder).restore(shards_loop.state_at(0, one_device()))


def seal_of_another_state(checkpoint):
    """All files stay what they are said to be, but they are another state's."""
    seal = seals.read(checkpoint)
    (checkpoint / "seal.json").unlink()
    part = checkpoint.rename(checkpoint.with_name(f"{seals.PART}2"))
    seals.commit(part, seal._replace(digest=64 * "0"))


@pytest.fixture(scope="module")
def saved(tmp_path_factory, clean_environment):
    """Checkpoints 1 and 2, by two processes, which then read them."""
    folder = tmp_path_factory.mktemp("saved") / "checkpoints"
    restored = ran(clean_environment, folder, "save=1", "save=2", "restore")
    return folder, restored


@pytest.mark.slow
def test_each_of_two_processes_writes_its_half_and_reads_it(saved):
    folder, restored = saved
    assert restored == 2 * [[[2, wanted(2), []]]]
    assert sorted(path.name for path in folder.iterdir()) == ["1", "2"]
    whole = 4 * int(np.prod(shards_loop.WIDE))
    for process in range(2):
        sizes = [path.stat().st_size for path in shard_files(folder / "2", process)]
        assert whole / 2 <= sum(sizes) < 0.6 * whole
    seal = json.loads((folder / "2" / "seal.json").read_text())
    files = [path for path in (folder / "2").rglob("*") if path.is_file()]
    assert len(seal["files"]) == len(files) - 1  # all but itself


@pytest.mark.slow
def test_what_two_processes_wrote_one_reads_and_the_other_way_about(
    saved, clean_environment, tmp_path
):
    folder = shutil.copytree(saved[0], tmp_path / "run")
    for devices in (1, 2):
        mesh = shards_loop.mesh_of(jax.devices()[:devices])
        restored = checkpoints.open(folder).restore(shards_loop.state_at(0, mesh))
        assert (restored.step, restored.metadata) == (2, {"at": 2})
        assert shards_loop.digest(restored.state) == wanted(2)
        assert isinstance(restored.state["log"], np.ndarray)
    with checkpoints.open(folder) as store:
        store.save(5, shards_loop.state_at(5, mesh), {})
    printed = ran(clean_environment, folder, "restore", "gather", "save=6", "restore")
    assert printed == 2 * [[[5, wanted(5), []], [6, wanted(6), []]]]


@pytest.mark.slow
def test_a_flipped_byte_in_either_half_is_seen_and_the_one_before_is_used(
    saved, clean_environment, tmp_path
):
    folders = [shutil.copytree(saved[0], tmp_path / str(n)) for n in range(2)]
    for process, folder in enumerate(folders):
        path = shard_files(folder / "2", process)[-1]
        content = bytearray(path.read_bytes())
        content[len(content) // 2] ^= 1
        path.write_bytes(content)
    alone = shutil.copytree(folders[1], tmp_path / "alone")
    other = shutil.copytree(saved[0], tmp_path / "other")
    seal_of_another_state(other / "2")
    actions = ["restore", f"at={folders[1]}", "restore", f"at={other}", "restore"]
    printed = ran(clean_environment, folders[0], *actions)
    for number in range(2):
        (step, digest, damaged), (other, same, _) = (each[number] for each in printed)
        assert (step, digest) == (other, same) == (1, wanted(1))
        assert len(damaged) == 1 and damaged[0].startswith("checkpoint 2 is damaged: ")
        every = " ".join(line for each in printed for line in each[number][2])
        assert f"ocdbt.process_{number}/d/" in every and "its checksum" in every
        assert (folders[number] / "quarantine" / "2").is_dir()
    restored = restored_here(alone)
    assert restored.step == 1 and "process_1/d/" in restored.damaged[0]
    line = "checkpoint 2 is damaged: its state does not match its SHA-256"
    assert [each[2] for each in printed] == [[1, wanted(1), [line]], [1, wanted(1), []]]


@pytest.mark.slow
def test_what_one_process_is_not_let_read_no_other_puts_aside(
    saved, clean_environment, tmp_path
):
    folder = shutil.copytree(saved[0], tmp_path / "run")
    told, own = ran(clean_environment, folder, "withhold", "restore")
    assert told == [["process 1 was not let read it, and says why", []]]
    assert own == [["Permission denied", []]]
    assert sorted(path.name for path in folder.iterdir()) == ["1", "2"]


@pytest.mark.slow
@pytest.mark.parametrize("where", ["record", "seal"])
def test_a_process_killed_between_the_writes_leaves_no_half(
    where, saved, clean_environment, tmp_path
):
    folder = shutil.copytree(saved[0], tmp_path / "run")
    processes = started(clean_environment, folder, f"die={where}", "save=3")
    dead = processes[where == "record"]
    try:
        dead.communicate(timeout=60)
        time.sleep(2)  # for the other to seal what it must not
        names = [path.name for path in folder.iterdir()]
    finally:
        for process in processes:
            process.kill()
            process.communicate(timeout=30)
    assert dead.returncode == -signal.SIGKILL
    assert "3" not in names
    assert all(shard_files(folder / ".part-3", number) for number in range(2))
    restored = restored_here(folder)
    assert (restored.step, restored.damaged) == (2, [])
    assert sorted(path.name for path in folder.iterdir()) == ["1", "2"]


def test_a_digest_does_not_depend_on_how_a_state_is_split():
    arrays = shards_loop.numbers_at(3)
    of = [forms.Form(n, str(x.dtype), x.shape) for n, x in arrays.items()]
    whole = shards.digest_of(of, arrays)
    for rows, columns in itertools.product((1, 2), (1, 2, 4, 8, 16)):
        x = arrays["wide"]
        parts = [
            Part("wide", (0, 34 // rows * i, 256 // columns * j), x.shape, piece)
            for i, row in enumerate(np.split(x, rows, axis=1))
            for j, piece in enumerate(np.split(row, columns, axis=2))
        ]
        others = [
            Part(n, (0,) * a.ndim, a.shape, a) for n, a in arrays.items() if n != "wide"
        ]
        added = shards.total(parts) + shards.total(others)
        assert shards.digest(of, added % shards.SUMS) == whole


def test_a_digest_tells_numbers_names_and_places_apart():
    x = np.arange(32, dtype=np.float32).reshape(2, 16)
    moved = x[::-1].copy()  # the same blocks elsewhere
    states = [{"a": x}, {"b": x}, {"a": moved}, {"a": x.T.copy()}, {"a": x.view("i4")}]
    states += [{"a": np.where(x == n, -1, x).astype("f4")} for n in (0, 17, 31)]
    digests = {
        shards.digest_of(forms.forms_of(forms.named_arrays(state)), state)
        for state in states
    }
    assert len(digests) == len(states)


def test_checkpoints_of_before_are_read(tmp_path):
    """Of several processes: all arrays in one arrays.npz, sealed with `forms.digest`."""
    state = shards_loop.state_at(4, one_device())
    with checkpoints.open(tmp_path) as store:
        store.save(4, state, {})
    checkpoint = tmp_path / "4"
    shutil.rmtree(checkpoint / "arrays")
    arrays = shards_loop.numbers_at(4)
    np.savez(checkpoint / "arrays.npz", *(arrays[name] for name in sorted(arrays)))
    seal = seals.read(checkpoint)
    sums = seals.file_sums(checkpoint, ["arrays.npz"])
    shutil.copytree(checkpoint, tmp_path / ".part-4")
    seals.commit(tmp_path / ".part-4", seal._replace(files=sums))
    restored = restored_here(tmp_path)
    assert restored.step == 4 and restored.damaged == []
    assert shards_loop.digest(restored.state) == wanted(4)
