"""One of several processes that save and restore one state; tests run and kill them.

    python shards_loop.py PORT PROCESS COUNT FOLDER ACTION …

ACTION: save=STEP, restore, gather (arrays are no longer of whole blocks), or at=FOLDER;
die=record or die=seal: process 1 dies before it says what it has written, or process 0
before it seals; withhold: process 1 may not read. Prints a JSON line for each restore:
step, digest, damaged; or the error.
"""

import errno
import json
import os
import signal
import sys

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import AxisType, NamedSharding, PartitionSpec

from depthbench.research.learning import (
    arrays_on_disk,
    checkpoints,
    forms,
    seals,
    sharding,
    shards,
)

WIDE = (3, 34, 256)  # 26,112 numbers: what two processes have a half of each


def numbers_at(step):
    """What is saved at a step, in NumPy, keys by their data."""
    draw = np.random.default_rng(step).standard_normal
    return {
        "wide": draw(WIDE).astype(np.float32),
        "tall": draw((34, 7)).astype(jnp.bfloat16),
        "odd": draw((5,)).astype(np.float32),
        "none": np.zeros((0, 2), np.float32),
        "step": np.int32(step),
        "keys": np.asarray(jax.random.key_data(jax.random.split(jax.random.key(9), 2))),
        "log": draw((2, 3)),
    }


def state_at(step, mesh):
    """The same on a mesh, the wide one split at its end, the tall one at its start."""
    axes = {"wide": (None, None, "p"), "tall": ("p",)}

    def one(name, x):
        if name == "log":
            return x
        return sharding.put(x, NamedSharding(mesh, PartitionSpec(*axes.get(name, ()))))

    placed = {name: one(name, x) for name, x in numbers_at(step).items()}
    wrap = jax.jit(jax.random.wrap_key_data, out_shardings=placed["keys"].sharding)
    return {**placed, "keys": wrap(placed["keys"])}


def mesh_of(devices):
    return jax.make_mesh(
        (len(devices),), ("p",), axis_types=(AxisType.Auto,), devices=devices
    )


def digest(state):
    """`forms.digest` of all of a state, which is split."""
    arrays = sharding.whole(state)
    return forms.digest_of(forms.forms_of(forms.named_arrays(state)), arrays)


def save(folder, step, mesh):
    """Gives the arrays away while they are still being written."""
    state = state_at(step, mesh)
    spoilt = jax.jit(lambda x: x * 0 - 1, donate_argnums=0)
    with checkpoints.open(folder) as store:
        store.begin(step, state, {"at": step})
        state["log"] *= 0
        for _ in range(5):
            state["wide"] = spoilt(state["wide"])
        state["wide"].block_until_ready()


def die(where):
    """From now on a process of this run ends by kill -9 in the middle of its save."""

    def end(*_):
        os.kill(os.getpid(), signal.SIGKILL)

    if where == "record" and jax.process_index() == 1:
        shards._record = end
    if where == "seal" and jax.process_index() == 0:
        seals.commit = end


def withhold():
    """From now on process 1 is refused all arrays."""

    def refused(path, named):
        raise PermissionError(errno.EACCES, "Permission denied", str(path))

    if jax.process_index() == 1:
        arrays_on_disk.read_placed = refused


def main(port, process, count, folder, *actions):
    sharding.start(sharding.Processes(f"127.0.0.1:{port}", int(process), int(count)))
    mesh = mesh_of(jax.devices())
    for action in actions:
        name, _, value = action.partition("=")
        if name == "at":
            folder = value
        elif name == "save":
            save(folder, int(value), mesh)
        elif name == "die":
            die(value)
        elif name == "withhold":
            withhold()
        elif name == "gather":
            shards.CUTS = 1
        elif name == "restore":
            store = checkpoints.open(folder)
            like = state_at(0, mesh)
            try:
                restored = store.restore(like)
            except OSError as error:
                print(json.dumps([error.strerror, store.damaged]), flush=True)
                continue
            for array, wanted in zip(
                *map(jax.tree.leaves, (restored.state, like)), strict=True
            ):
                if isinstance(wanted, jax.Array):
                    assert array.sharding == wanted.sharding
            report = [restored.step, digest(restored.state), restored.damaged]
            print(json.dumps(report), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
