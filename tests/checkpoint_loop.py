"""A loop that saves at every step until it is stopped; tests run and kill it.

    python checkpoint_loop.py FOLDER

prints the steps that are on the disk. At SIGTERM it saves its step and exits with 143.
"""

import signal
import sys
import time

import jax.numpy as jnp
import numpy as np

from research.learning import checkpoints


def state_at(step: int) -> dict[str, np.ndarray]:
    """What the loop holds at a step: 256 kB that tell one step from another."""
    values = np.arange(65536, dtype=np.float32)
    return {"step": np.array(step, np.int32), "values": values + step}


def main(folder: str) -> None:
    asked = []
    signal.signal(signal.SIGTERM, lambda *_: asked.append(True))
    assert not any(name.startswith("orbax") for name in sys.modules)
    with checkpoints.open(folder, seconds=0, keep=2) as store:
        found = store.restore(state_at(0))
        step = int(found.state["step"]) if found else 0
        while not asked:
            step += 1
            state = {name: jnp.asarray(x) for name, x in state_at(step).items()}
            if not store.maybe_save(step, state, {}):
                time.sleep(0.002)
            elif step % 4 == 0:
                store.wait()
                print(step, flush=True)
        store.save(step, state, {"stopped": True})
        print(step, flush=True)
    sys.exit(143)


if __name__ == "__main__":
    main(sys.argv[1])
