"""Checkpoints that are damaged, another's or cut short: which are used, what is said."""

import contextlib
import errno
import os
import random
import resource
import shutil
import time
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from depthbench.research.learning import arrays_on_disk, checkpoint_reading, checkpoints
from depthbench.research.learning.checkpoints import NotSaved
from tests.learning.test_checkpoints import same, state_of

# What a file system says of files that are whole, as far as is known.
MACHINE = (errno.EIO, errno.ESTALE, errno.EACCES, errno.EMFILE)


@pytest.fixture
def store(tmp_path):
    with checkpoints.open(tmp_path / "run") as store:
        yield store


def flip(path, draw):
    content = bytearray(path.read_bytes())
    place = draw.randrange(8 * len(content))
    content[place // 8] ^= 1 << place % 8
    path.write_bytes(content)


def truncate(path, draw):
    path.write_bytes(path.read_bytes()[: draw.randrange(path.stat().st_size)])


def empty(path, draw):
    path.write_bytes(b"")


def delete(path, draw):
    path.unlink()


def damage_everywhere(folder, flips):
    """Harms every file of the newest of two checkpoints in every way, one at a time.

    -> how often it was recognised, and how often nothing had changed
    """
    states = [state_of(1), state_of(2)]
    whole = folder / "whole"
    with checkpoints.open(whole) as store:
        for step, state in enumerate(states, 1):
            store.save(step, state, {"at": step})
    files = [
        p.relative_to(whole / "2") for p in (whole / "2").rglob("*") if p.is_file()
    ]
    harms = [*[flip] * flips, truncate, empty, delete]
    counts = {"recognised": 0, "harmless": 0}
    for file in sorted(files):
        for number, harm in enumerate(harms):
            run = folder / "run"
            shutil.copytree(whole, run)
            draw = random.Random(f"{file.name[:8]} {number}")
            if (run / "2" / file).stat().st_size or harm is delete:
                harm(run / "2" / file, draw)
            with checkpoints.open(run) as store:
                restored = store.restore(states[0])
            assert same(restored.state, states[restored.step - 1]), (file, harm, number)
            assert restored.metadata == {"at": restored.step}
            if restored.step == 1:
                (line,) = restored.damaged
                assert line.startswith("checkpoint 2 is damaged: ") and "\n" not in line
                assert (run / "quarantine" / "2").is_dir()
            counts["recognised" if restored.step == 1 else "harmless"] += 1
            shutil.rmtree(run)
    return counts


def test_damage_is_recognised_and_the_one_before_is_used(tmp_path):
    counts = damage_everywhere(tmp_path, flips=1)
    # Only Orbax's one empty file has nothing to flip, truncate or empty.
    assert counts["recognised"] >= 30 and counts["harmless"] == 1 + 2


def test_when_all_are_damaged_there_is_none(store):
    for step in (1, 2):
        store.save(step, state_of(step), {})
        (store.folder / str(step) / "seal.json").write_bytes(b"{}")
    assert store.restore(state_of(0)) is None
    assert store.damaged == [
        f"checkpoint {step} is damaged: seal.json: has no checksum" for step in (2, 1)
    ]
    store.save(1, state_of(5), {})
    assert same(store.restore(state_of(0)).state, state_of(5))


def test_a_checkpoint_of_another_run_is_put_aside(store):
    store.save(1, state_of(1), {"run": "a"})
    store.save(2, state_of(2), {"run": "b"})
    restored = store.restore(state_of(0), metadata={"run": "a"})
    assert restored.step == 1
    assert restored.damaged == ["checkpoint 2 is damaged: it is of another run"]
    assert (store.folder / "quarantine" / "2").is_dir()


@pytest.mark.parametrize(
    "error",
    [
        jax.errors.JaxRuntimeError(
            "RESOURCE_EXHAUSTED: Out of memory allocating 1 byte"
        ),
        jax.errors.JaxRuntimeError("INTERNAL: uncorrectable ECC error"),
        MemoryError(),
        *(OSError(number, os.strerror(number), "x") for number in MACHINE),
    ],
    ids=lambda error: getattr(error, "strerror", None) or type(error).__name__,
)
def test_what_the_machine_does_not_give_is_no_damage(error, store, monkeypatch):
    """Nothing is put aside, and the next command reads what is there."""
    for step in (1, 2):
        store.save(step, state_of(step), {})

    def refused(*_):
        raise error

    with monkeypatch.context() as patched:
        patched.setattr(checkpoint_reading, "placed", refused)
        with pytest.raises(type(error)):
            store.restore(state_of(0))
    assert store.damaged == [] and not (store.folder / "quarantine").exists()
    assert store.restore(state_of(0)).step == 2


def test_two_damaged_checkpoints_of_one_step_are_both_kept(store):
    for turn in range(2):
        store.save(1, state_of(turn), {})
        (store.folder / "1" / "seal.json").unlink()
        assert store.restore(state_of(0)) is None
    kept = {path.name for path in (store.folder / "quarantine").iterdir()}
    assert kept == {"1", "1.1"}


def test_a_seal_of_another_step_is_not_believed(store):
    store.save(1, state_of(1), {})
    shutil.copytree(store.folder / "1", store.folder / "3")
    assert store.restore(state_of(0)).damaged == [
        "checkpoint 3 is damaged: it is the checkpoint of step 1"
    ]


def test_metadata_that_has_changed_is_not_believed(store):
    store.save(1, state_of(1), {"loss": 1})
    seal = store.folder / "1" / "seal.json"
    seal.write_text(seal.read_text().replace('"loss": 1', '"loss": 3'))
    assert store.restore(state_of(0)) is None
    (line,) = store.damaged
    assert line == "checkpoint 1 is damaged: seal.json: checksum does not match"


def test_planted_objects_are_not_run(store, tmp_path):
    import pickle

    class Bomb:
        def __reduce__(self):
            return Path.touch, (tmp_path / "harmed",)

    store.save(1, state_of(1), {})
    store.save(2, state_of(2), {})
    newest = store.folder / "2"
    (newest / "state.pkl").write_bytes(pickle.dumps(Bomb()))
    np.save(newest / "arrays" / "x.npy", np.array([Bomb()]), allow_pickle=True)
    (newest / "seal.json").write_bytes(pickle.dumps(Bomb()))
    assert store.restore(state_of(0)).step == 1
    assert not (tmp_path / "harmed").exists()


@contextlib.contextmanager
def largest_file(size):
    """A limit that stands for a full disk, and needs no rights to be set."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_full_disk_keeps_what_was_saved(tmp_path, caplog):
    like = np.zeros(10**6, np.uint8)
    with checkpoints.open(tmp_path, seconds=0, keep=2) as store:
        store.save(1, like, {})
        with largest_file(10**5):
            with pytest.raises(NotSaved) as caught:
                store.save(2, like, {})
            assert store.maybe_save(3, like, {})  # fails later: the next one tells
            while not store._pending.done():
                time.sleep(0.01)
            with pytest.raises(NotSaved, match="checkpoint 3 was not written"):
                store.maybe_save(4, like, {})
        message = str(caught.value)
        assert message.startswith(f"{tmp_path}: checkpoint 2 was not written: ")
        assert "\n" not in message and isinstance(caught.value, OSError)
        assert [path.name for path in tmp_path.iterdir()] == ["1"]  # no half of one
        store.save(5, like + np.uint8(5), {})
        assert (store.restore(like).state == 5).all()
    assert caplog.records == []  # one line is enough: Orbax logs dozens of tracebacks


def test_a_failed_save_is_told_at_the_end(tmp_path):
    with (
        pytest.raises(NotSaved),
        largest_file(10**5),
        checkpoints.open(tmp_path, 0) as store,
    ):
        store.maybe_save(1, np.zeros(10**6, np.uint8), {})
    with (  # but not in the place of a worse one
        pytest.raises(KeyboardInterrupt),
        largest_file(10**5),
        checkpoints.open(tmp_path, 0) as store,
    ):
        store.maybe_save(1, np.zeros(10**6, np.uint8), {})
        raise KeyboardInterrupt


def test_the_full_disk_is_called_by_its_name(store, monkeypatch):
    def full(*_):
        raise ValueError(
            "RESOURCE_EXHAUSTED: [OS error 28: ENOSPC No space left on device]"
        )

    monkeypatch.setattr(arrays_on_disk, "write", full)
    with pytest.raises(NotSaved, match=r"was not written: no space left on the disk$"):
        store.save(1, jnp.zeros(1), {})
