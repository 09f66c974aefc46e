"""Signals wait for the end of what must not be broken off, in the order they are needed in."""

import signal
from collections.abc import Iterator
from threading import Thread
from types import FrameType

import pytest

from storage.signals import HeldBack


class EndedError(Exception):
    """What SIGTERM raises here."""


@pytest.fixture(autouse=True)
def handlers() -> Iterator[None]:
    def end(_number: int, _frame: FrameType | None) -> None:
        raise EndedError

    before = signal.signal(signal.SIGTERM, end), signal.getsignal(signal.SIGINT)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGTERM, before[0])
    signal.signal(signal.SIGINT, before[1])


@pytest.mark.parametrize(
    ("number", "raised"), [(signal.SIGINT, KeyboardInterrupt), (signal.SIGTERM, EndedError)]
)
def test_a_signal_takes_effect_after_what_is_inside(
    number: signal.Signals, raised: type[BaseException]
) -> None:
    def work() -> None:
        with HeldBack():
            signal.raise_signal(number)
            done.append(1)
        done.append(2)

    before = signal.getsignal(number)
    done: list[int] = []
    with pytest.raises(raised):
        work()
    assert done == [1]
    assert signal.getsignal(number) is before


def test_the_second_signal_does_not_wait() -> None:
    def work() -> None:
        with HeldBack():
            signal.raise_signal(signal.SIGINT)
            done.append(1)
            signal.raise_signal(signal.SIGTERM)
            done.append(2)

    done: list[int] = []
    with pytest.raises(EndedError):
        work()
    assert done == [1]


def test_what_is_let_through_breaks_off_and_the_end_is_held_back_again() -> None:
    def body() -> None:
        signal.raise_signal(signal.SIGINT)
        done.append(1)

    def work() -> None:
        with HeldBack() as signals:
            try:
                with signals.let_through():
                    body()
            finally:
                signal.raise_signal(signal.SIGTERM)
                done.append(2)

    done: list[int] = []
    with pytest.raises(EndedError) as ended:
        work()
    assert isinstance(ended.value.__context__, KeyboardInterrupt)
    assert done == [2]


def test_what_came_before_the_body_breaks_it_off_before_it_begins() -> None:
    def work() -> None:
        with HeldBack() as signals:
            signal.raise_signal(signal.SIGINT)
            with signals.let_through():
                done.append(1)

    done: list[int] = []
    with pytest.raises(KeyboardInterrupt):
        work()
    assert not done


def test_one_inside_another_ends_with_the_outer() -> None:
    def work() -> None:
        with HeldBack():
            with HeldBack():
                signal.raise_signal(signal.SIGINT)
            done.append(1)
        done.append(2)

    done: list[int] = []
    with pytest.raises(KeyboardInterrupt):
        work()
    assert done == [1]


def test_a_signal_that_ends_the_process_and_one_that_is_ignored_stay_so() -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    with HeldBack():
        assert signal.getsignal(signal.SIGTERM) is signal.SIG_IGN
        signal.raise_signal(signal.SIGTERM)
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_IGN


def test_another_thread_leaves_the_handlers_alone() -> None:
    before = signal.getsignal(signal.SIGINT)
    seen = []

    def look() -> None:
        with HeldBack() as signals, signals.let_through():
            seen.append(signal.getsignal(signal.SIGINT))

    thread = Thread(target=look)
    thread.start()
    thread.join()
    assert seen == [before]
