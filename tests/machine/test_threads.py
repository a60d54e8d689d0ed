"""Libraries' threads, while cells run side by side."""

import importlib

import numpy as np
import threadpoolctl

from depthbench.research.machine import threads


def counts():
    return [library["num_threads"] for library in threadpoolctl.threadpool_info()]


def test_libraries_have_one_thread_within_and_theirs_again_after():
    assert np.linalg.norm(np.eye(2)) > 0  # BLAS is loaded
    with threadpoolctl.threadpool_limits(2):
        with threads.single():
            assert counts() and set(counts()) == {1}
        assert set(counts()) == {2}


def test_baselines_are_fitted_by_one_thread(monkeypatch):
    importlib.import_module(
        "sklearn.neighbors"
    )  # what is loaded within has no limit yet
    from depthbench.research.learning import baselines

    seen = []
    chosen = baselines._chosen
    monkeypatch.setattr(
        baselines, "_chosen", lambda *given: seen.append(counts()) or chosen(*given)
    )
    with threadpoolctl.threadpool_limits(2):
        baselines.fit("nearest", [[0.0], [0.1], [1.0], [1.1]], [0, 0, 1, 1])
    assert set(seen[0]) == {1}


def test_whoever_is_done_first_leaves_the_others_one_thread():
    with threadpoolctl.threadpool_limits(2):
        first, second = threads.single(), threads.single()
        first.__enter__()
        second.__enter__()
        first.__exit__(None, None, None)
        assert set(counts()) == {1}
        second.__exit__(None, None, None)
        assert set(counts()) == {2}
