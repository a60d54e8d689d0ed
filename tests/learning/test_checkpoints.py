"""Checkpoints: what is restored is what was saved, or it is said why not."""

import contextlib
import errno
import hashlib
import json
import os
import random
import resource
import shutil
import time
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from jax.sharding import AxisType, NamedSharding, PartitionSpec, SingleDeviceSharding

from depthbench.research.learning import arrays_on_disk, checkpoint_reading, checkpoints
from depthbench.research.learning.checkpoints import Mismatch, NotSaved, digest

# What a file system says of files that are whole, as far as is known.
MACHINE = (errno.EIO, errno.ESTALE, errno.EACCES, errno.EMFILE)


class State(NamedTuple):
    step: Any
    params: Any
    opt: Any
    key: Any


def state_of(step, width=4):
    """A small state with what states have: half precision, typed keys, nothing at all."""
    draw = np.random.default_rng(step).standard_normal
    kernel = jnp.asarray(draw((3, width, width)), jnp.float32)
    head = {"a/b": jnp.asarray(draw(width), jnp.bfloat16), "none": jnp.zeros((0, 2))}
    params = {"stages": [{"kernel": kernel}], "head": head, "on": jnp.array(True)}
    keys = jax.random.split(jax.random.key(step), 2)
    opt = optax.adam(0.1).init({"kernel": kernel, "scale": jnp.full((3,), -0.0)})
    return State(jnp.int32(step), params, opt, keys)


def same(a, b):
    """Whether two states have equal structure, types and bits."""
    forms = [jax.tree.map(lambda x: (x.dtype, x.shape), tree) for tree in (a, b)]
    return forms[0] == forms[1] and digest(a) == digest(b)


@pytest.fixture
def store(tmp_path):
    with checkpoints.open(tmp_path / "run") as store:
        yield store


@pytest.mark.parametrize("abstract", [False, True])
def test_what_is_restored_is_what_was_saved(store, abstract):
    state = state_of(3)
    store.save(7, state, {"loss": 0.5, "names": ["é"]})
    like = jax.eval_shape(lambda: state) if abstract else state_of(4)
    restored = store.restore(like)
    assert restored[0] == 7 and restored[2:] == ({"loss": 0.5, "names": ["é"]}, [])
    assert jax.tree.structure(restored.state) == jax.tree.structure(state)
    assert same(restored.state, state)
    # Uncommitted, as a fresh state is: the step compiled for that one serves this one.
    assert not any(x.committed for x in jax.tree.leaves(restored.state))
    draws = [jax.vmap(jax.random.normal)(s.key) for s in (restored.state, state)]
    np.testing.assert_array_equal(*draws)


def test_arrays_of_numpy_stay_so(store):
    state = {"x": np.arange(3.0), "y": np.asfortranarray(np.ones((2, 3), np.int8))}
    store.save(0, state, {})
    restored = store.restore(state).state
    assert all(type(x) is np.ndarray for x in restored.values())
    assert same(restored, state)


def test_other_keys_and_small_types(store):
    state = {
        "rbg": jax.random.key(1, impl="rbg"),
        "int4": jnp.array([-8, 7], jnp.int4),
        "float8": jnp.array([0.5], jnp.float8_e4m3fn),
        "complex": jnp.array(1 + 2j, jnp.complex64),
    }
    store.save(0, state, {})
    assert same(store.restore(jax.eval_shape(lambda: state)).state, state)


def test_an_empty_folder_has_nothing(store):
    assert store.restore(state_of(0)) is None and store.damaged == []


def test_only_arrays_and_json_are_taken(store):
    with pytest.raises(TypeError, match=r"^opt\[1\] is float, not an array$"):
        store.save(0, {"opt": [jnp.zeros(1), 1.0]}, {})
    with pytest.raises(ValueError, match="JSON"):
        store.save(0, jnp.zeros(1), {"loss": float("nan")})
    with pytest.raises(ValueError, match="keep"):
        checkpoints.open(store.folder, keep=0)
    assert store.restore(jnp.zeros(1)) is None


def test_saving_needs_a_with_block(tmp_path):
    """Else the process could end in the middle of a save."""
    store = checkpoints.open(tmp_path)
    assert store.restore(jnp.zeros(1)) is None
    with pytest.raises(RuntimeError, match="with"):
        store.save(0, jnp.zeros(1), {})


def test_a_digest_tells_states_apart():
    x = np.arange(4, dtype=np.float32)
    key = jax.random.key(0)
    states = [
        {"a": x},
        {"b": x},
        {"a": [x]},
        {"a": x, "b": x},
        {"a": x.reshape(2, 2)},
        {"a": x.view(np.int32)},
        {"a": x + np.float32(0.0) * -1},
        {"a": np.array([-0.0, 1, 2, 3], np.float32)},
        {"a": key},
        {"a": jax.random.key(1)},
        {"a": jax.random.key_data(key)},
        {"a.b": x},
        {"a": {"b": x}},
        {0: x},
        {"0": x},
    ]
    sums = [digest(state) for state in states]
    assert sums[6] == sums[0]  # the same bits: not a seventh state
    assert len(set(sums)) == len(states) - 1
    assert digest({"a": jnp.asarray(x)}) == sums[0]
    assert digest({"a": jnp.asarray(x.reshape(2, 2).T)}) == digest(
        {"a": x.reshape(2, 2).T}
    )
    # Checkpoints outlive the version that wrote them: the definition may not change.
    head = json.dumps([["a", "float32", [4]]]).encode()
    assert sums[0] == hashlib.sha256(head + x.tobytes()).hexdigest()


def test_saves_by_time_and_keeps_the_newest(tmp_path, monkeypatch):
    clock = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: clock[0])
    monkeypatch.setattr(time, "time", lambda: -1e9)  # the wall clock does not count
    saved = []
    with checkpoints.open(tmp_path, seconds=10, keep=2) as store:
        for step in range(10):
            if store.maybe_save(step, state_of(step), {}):
                store.wait()
                saved.append(step)
            clock[0] += 4
    assert saved == [3, 6, 9]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["6", "9"]


def test_a_save_holds_the_state_of_its_moment(tmp_path):
    """The loop gives its arrays away at once, while the save is still under way."""
    onward = jax.jit(lambda x: x * 1.5 + 1, donate_argnums=0)
    x = onward(jnp.arange(2**20, dtype=jnp.float32))
    expected = np.array(x)
    with checkpoints.open(tmp_path, seconds=0) as store:
        there = np.ones(2**20)
        assert store.maybe_save(1, [x, there], {})
        there += 1
        for _ in range(20):
            x = onward(x)
        x.block_until_ready()
        store.wait()
        restored = store.restore([x, there]).state
        np.testing.assert_array_equal(restored[0], expected)
        np.testing.assert_array_equal(restored[1], 1)


def test_a_resumed_run_ends_as_an_unbroken_one(store):
    """The restored arrays may be given away as the run's own are."""
    optimizer = optax.sgd(0.1, momentum=0.9)

    @partial(jax.jit, donate_argnums=0)
    def step(state):
        draw = jax.random.normal(jax.random.fold_in(state.key, state.step), (4,))
        gradient = jnp.tanh(state.params) - draw
        updates, opt = optimizer.update(gradient, state.opt)
        return State(state.step + 1, state.params + updates, opt, state.key)

    def start():
        params = jnp.ones(4)
        return State(jnp.int32(0), params, optimizer.init(params), jax.random.key(0))

    def run(state, steps):
        for _ in range(steps):
            state = step(state)
        return state

    store.save(5, run(start(), 5), {})
    restored = store.restore(start()).state
    assert digest(run(restored, 5)) == digest(run(start(), 10))
    assert digest(run(start(), 9)) != digest(run(start(), 10))


def test_a_step_saved_again_replaces_the_first(store):
    for step in (1, 2, 3):
        store.save(step, state_of(step), {})
    store.save(2, state_of(9), {})  # the run was begun again before step 3
    restored = store.restore(state_of(0))
    assert restored.step == 2 and same(restored.state, state_of(9))
    assert (store.folder / "quarantine" / "3" / "seal.json").exists()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda s: state_of(0, 8), "params.head['a/b'] is [4], not [8]"),
        (
            lambda s: s._replace(step=jnp.float32(0)),
            "step is int32 [], not float32 []",
        ),
        (
            lambda s: s._replace(key=jax.random.key_data(s.key)),
            "key is key<fry> [2], not uint32 [2, 2]",
        ),
        (
            lambda s: s._replace(params={**s.params, "new": s.step}),
            "params.new is missing; it should be int32 []",
        ),
        (
            lambda s: s._replace(params={"stages": [], "head": s.params["head"]}),
            "params.on is bool [], and has no place here",
        ),
    ],
)
def test_another_state_is_refused(store, change, words):
    store.save(5, state_of(0), {})
    with pytest.raises(Mismatch) as caught:
        store.restore(change(state_of(0)))
    assert str(caught.value) == f"{store.folder}/5: {words}"
    assert store.restore(state_of(1)).step == 5  # and it is still there


def test_restores_on_other_devices(store):
    """Saved on two devices, restored on one, and the other way about."""
    mesh = jax.make_mesh((2,), ("data",), axis_types=(AxisType.Auto,))
    over_two = NamedSharding(mesh, PartitionSpec("data"))
    one = SingleDeviceSharding(jax.devices()[1])
    x = jnp.arange(8.0).reshape(4, 2)
    state = {"x": x, "key": jax.random.split(jax.random.key(0), 4)}
    for step, (saved_on, wanted_on) in enumerate([(over_two, one), (one, over_two)]):
        store.save(step, jax.device_put(state, saved_on), {})
        like = jax.tree.map(
            lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=wanted_on),  # noqa: B023
            state,
        )
        restored = store.restore(like)
        assert restored.step == step and same(restored.state, state)
        assert all(x.sharding == wanted_on for x in restored.state.values())


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
