"""Where a run's time goes: each second is counted once."""

import threading
import time

import jax
import numpy as np

from depthbench.research.machine import shares


def test_what_others_contain_is_counted_once(compiled_anew):
    with shares.counted() as seconds:
        began = time.perf_counter()
        inner = jax.jit(lambda x: x * np.float32(2) + np.float32(1))
        jax.jit(lambda x: inner(inner(x)) - np.float32(3))(np.float32(1))
        passed = time.perf_counter() - began
    assert set(seconds) == {"tracing", "compiling or reading"}
    assert 0 < sum(seconds.values()) <= passed


def test_a_span_within_another_is_of_its_own_kind():
    with shares.counted() as seconds, shares.spent("outer"):
        time.sleep(0.02)
        for _ in range(2):
            with shares.spent("inner"):
                time.sleep(0.05)
    assert 0.1 <= seconds["inner"] < 0.2 and 0.02 <= seconds["outer"] < 0.09


def test_threads_are_added_up():
    def work():
        with shares.spent("waiting"):
            time.sleep(0.05)

    with shares.counted() as seconds:
        threads = [threading.Thread(target=work) for _ in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert seconds["waiting"] >= 0.15
    with shares.spent("waiting"):
        pass
    assert not shares._counters, "nothing is counted outside"
