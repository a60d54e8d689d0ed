"""A loop that saves as fast as it can; tests run and stop it.

    python checkpoint_loop.py FOLDER STEPS

goes on from what is saved to so many steps. Told to stop, it saves where it is.
"""

import sys
import threading

import jax.numpy as jnp
import numpy as np

from depthbench.research.engine.signals import asked_to_stop
from depthbench.research.learning import checkpoints


def state_at(step: int) -> dict[str, np.ndarray]:
    """What the loop holds at a step: 256 kB that tell one step from another."""
    values = np.arange(65536, dtype=np.float32)
    return {"step": np.array(step, np.int32), "values": values + step}


def main(folder: str, steps: int) -> int:
    assert not any(name.startswith("orbax") for name in sys.modules)
    stop, step = threading.Event(), 0
    with (
        asked_to_stop(stop) as signals,
        checkpoints.open(folder, seconds=0, keep=2) as store,
    ):
        state = state_at(0)
        if restored := store.restore(state):
            step, state = restored.step, restored.state
            for name, array in state_at(step).items():
                np.testing.assert_array_equal(state[name], array)
            print(f"from step {step}", *store.damaged, file=sys.stderr)
        while step < steps and not stop.is_set():
            step += 1
            state = {name: jnp.asarray(x) for name, x in state_at(step).items()}
            store.maybe_save(step, state, {})
            if step % 4 == 0:
                store.wait()
        store.save(step, state, {})
    if signals.status:
        print(f"stopped at step {step}", file=sys.stderr)
    return signals.status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], int(sys.argv[2])))
