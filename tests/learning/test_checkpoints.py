"""Checkpoints: what is restored is what was saved, or it is said why not."""

import hashlib
import json
import time
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from jax.sharding import AxisType, NamedSharding, PartitionSpec, SingleDeviceSharding

from depthbench.research.learning import checkpoints
from depthbench.research.learning.checkpoints import Mismatch, digest


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
