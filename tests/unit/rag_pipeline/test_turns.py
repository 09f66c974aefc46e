"""No more searches at once than there are places, and nobody keeps one while waiting."""

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from rag_pipeline.retrieval.turns import WHILE_A_SERVER_ANSWERS, Turns

CORES = os.cpu_count() or 1


@contextmanager
def waiting(count: int, work: Callable[[], None]) -> Iterator[list[threading.Thread]]:
    """Threads at work, which have ended at the end."""
    threads = [threading.Thread(target=work) for _ in range(count)]
    for thread in threads:
        thread.start()
    yield threads
    for thread in threads:
        thread.join(30)
        assert not thread.is_alive()


@pytest.mark.parametrize("server", [False, True])
def test_as_many_search_as_there_are_places(*, server: bool) -> None:
    places = CORES * (WHILE_A_SERVER_ANSWERS if server else 1)
    turns = Turns(waits_for_server=server)
    inside, most = 0, 0
    lock, full, go_on = threading.Lock(), threading.Event(), threading.Event()

    def search() -> None:
        nonlocal inside, most
        with turns.searching():
            with lock:
                inside += 1
                most = max(most, inside)
                if inside == places:
                    full.set()
            go_on.wait(30)
            with lock:
                inside -= 1

    with waiting(places + 3, search):
        assert full.wait(30)
        go_on.set()
    assert most == places


def test_a_place_that_a_thread_has_is_enough_for_it() -> None:
    turns = Turns()
    for _ in range(3 * CORES):
        with turns.searching(), turns.searching(), turns.aside(), turns.searching():
            pass
    with turns.searching():
        pass


def test_who_steps_aside_lets_others_search_and_comes_back() -> None:
    turns = Turns()
    searched = threading.Event()

    def search() -> None:
        with turns.searching():
            searched.set()

    all_aside = threading.Barrier(CORES + 1)

    def wait_for_others() -> None:
        with turns.searching():
            with turns.aside():
                all_aside.wait(30)
                assert searched.wait(30)
            assert turns._has_place

    with waiting(CORES, wait_for_others):
        all_aside.wait(30)
        with waiting(1, search):
            pass
    assert searched.is_set()


def test_what_fails_gives_its_place_back() -> None:
    turns = Turns()

    def fail() -> None:
        with turns.searching(), turns.aside(), turns.searching():
            raise KeyError("inside")

    for _ in range(2 * CORES):
        with pytest.raises(KeyError):
            fail()
    with turns.searching():
        pass


def test_one_ranks_at_a_time() -> None:
    turns = Turns()
    inside = 0

    def rank() -> None:
        nonlocal inside
        for _ in range(50):
            with turns.ranking:
                inside += 1
                assert inside == 1
                inside -= 1

    with waiting(4, rank):
        pass
    assert inside == 0
