"""Libraries' threads, while cells run side by side."""

import importlib
import threading

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


def in_a_thread(work):
    thread = threading.Thread(target=work)
    thread.start()
    thread.join()


def test_every_thread_limits_whichever_did_so_before():
    """threadpoolctl heeds the first thread alone, unless it is told that it is done."""
    blas = lambda: {
        library["num_threads"]
        for library in threadpoolctl.threadpool_info()
        if library["user_api"] == "blas"
    }
    seen = []

    def work():
        with threads.single():
            seen.append(blas())
        seen.append(blas())

    with threadpoolctl.threadpool_limits(2):
        work()
        in_a_thread(work)
        first, second = threads.single(), threads.single()
        first.__enter__()
        in_a_thread(second.__enter__)
        first.__exit__(None, None, None)
        seen.append(blas())
        in_a_thread(lambda: second.__exit__(None, None, None))
        seen.append(blas())
    assert seen == [{1}, {2}] * 3
