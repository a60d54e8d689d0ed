"""What cells share is made once, whoever asks for it, and whenever."""

import threading

import pytest

from depthbench.experiments.once import once

PATIENCE = 30  # seconds, of what takes none


def side_by_side(*asks):
    """What each of some functions gave, called by threads at the same time."""
    given = [None] * len(asks)

    def ask(place):
        given[place] = asks[place]()

    threads = [threading.Thread(target=ask, args=(n,)) for n in range(len(asks))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE)
    return given


def test_threads_that_ask_meanwhile_wait_for_the_one_that_makes_it():
    made, both = [], threading.Barrier(2, timeout=PATIENCE)

    @once
    def slow(number):
        made.append(number)
        both.wait()  # until the other thread is about to ask
        return object()

    def second():
        both.wait()
        return slow(3)

    one, other = side_by_side(lambda: slow(3), second)
    assert one is other is slow(3) and made == [3]


def test_what_is_asked_of_other_arguments_does_not_wait():
    meet = threading.Barrier(2, timeout=PATIENCE)

    @once
    def slow(number, *, more=0):
        meet.wait()  # breaks unless both are made at the same time
        return number + more

    assert side_by_side(lambda: slow(1), lambda: slow(1, more=5)) == [1, 6]


def test_it_is_made_while_something_else_is_done():
    go = threading.Event()

    @once
    def slow(number):
        assert go.wait(PATIENCE)
        return threading.get_ident()

    first, second = slow.begin(1), slow.begin(1)  # neither waits
    go.set()
    assert first() == second() == slow(1) != threading.get_ident()


def test_an_error_is_told_to_all_who_wait_and_tried_again_after_them():
    tried = []

    @once
    def fails(number):
        tried.append(number)
        raise ValueError(f"no {number}")

    waiting = fails.begin(2)
    for _ in range(2):
        with pytest.raises(ValueError, match="no 2"):
            waiting()
    with pytest.raises(ValueError, match="no 2"):
        fails(2)
    assert tried == [2, 2]


def test_it_keeps_its_name_and_forgets_when_told():
    made = []

    @once
    def noted(number):
        """What was noted."""
        made.append(number)

    noted(1)
    noted.cache_clear()
    noted(1)
    assert made == [1, 1]
    assert (noted.__name__, noted.__doc__) == ("noted", "What was noted.")
