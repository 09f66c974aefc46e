"""Steps that run ahead: in order, bounded, and gone when nobody takes their results."""

import gc
import random
import threading
import time
import weakref
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, TypeVar

import pytest

from ingest.overlap import overlapped

A = TypeVar("A")
UNDER_WAY = 7
"""One with whoever takes the results, one a queue, and one with each thread."""


class Item:
    """Something whose end can be watched."""


@pytest.fixture(autouse=True)
def no_thread_is_left() -> Iterator[None]:
    before = set(threading.enumerate())
    yield
    assert set(threading.enumerate()) <= before


def same(item: A) -> A:
    return item


def doubled(number: int) -> int:
    return 2 * number


def failing_after(count: int, error: BaseException) -> Iterator[int]:
    yield from range(count)
    raise error


def taken(ready: Iterator[int]) -> tuple[list[int], BaseException | None]:
    """What came, and what was raised then."""
    came: list[int] = []
    try:
        came.extend(ready)
    except BaseException as error:  # noqa: BLE001 - it is what the test asks for
        return came, error
    return came, None


def test_results_come_in_the_order_of_the_items() -> None:
    with overlapped(range(500), doubled, str) as ready:
        assert list(ready) == [str(number) for number in range(0, 1000, 2)]


def test_no_items_give_no_results() -> None:
    with overlapped([], same, doubled) as ready:
        assert list(ready) == []


def test_what_comes_after_the_last_result_is_the_end_again() -> None:
    with overlapped([1], same, doubled) as ready:
        assert list(ready) == [2]
        assert next(ready, None) is None


@pytest.mark.parametrize("error", [ValueError("torn"), KeyboardInterrupt(), SystemExit(3)])
@pytest.mark.parametrize("count", [0, 1, 7])
def test_an_error_of_the_items_comes_after_the_results_before_it(
    count: int, error: BaseException
) -> None:
    with overlapped(failing_after(count, error), same, doubled) as ready:
        assert taken(ready) == ([2 * number for number in range(count)], error)


@pytest.mark.parametrize("count", [0, 1, 7])
@pytest.mark.parametrize("fails_at", ["cut", "embed"])
def test_an_error_of_a_step_comes_after_the_results_before_it(count: int, fails_at: str) -> None:
    error = ValueError("no vector")

    def step(number: int) -> int:
        if number == count:
            raise error
        return number

    cut, embed = (step, same) if fails_at == "cut" else (same, step)
    with overlapped(range(20), cut, embed) as ready:
        assert taken(ready) == (list(range(count)), error)


def test_a_step_that_runs_into_the_end_of_something_does_not_end_the_run_quietly() -> None:
    with overlapped([[1], [], [3]], same, lambda some: next(iter(some))) as ready:
        came, error = taken(ready)
    assert came == [1]
    assert isinstance(error, RuntimeError)


def test_nothing_is_made_after_a_step_failed_but_what_was_begun_beside_it() -> None:
    asked: list[int] = []
    both = threading.Barrier(2, timeout=20)

    def step(number: int) -> int:
        asked.append(number)
        both.wait()
        raise ValueError

    with pytest.raises(ValueError), overlapped(range(1000), same, step) as ready:  # noqa: PT011
        next(ready)
    assert sorted(asked) == [0, 1]


def test_a_result_does_not_wait_for_the_next_item() -> None:
    taken = threading.Event()

    def items() -> Iterator[int]:
        yield 1
        assert taken.wait(timeout=20)
        yield 2

    with overlapped(items(), same, doubled) as ready:
        assert next(ready) == 2
        taken.set()
        assert list(ready) == [4]


def test_one_item_is_cut_while_the_one_before_it_is_embedded() -> None:
    both = threading.Barrier(2, timeout=20)

    def step(number: int) -> int:
        both.wait()
        return number

    # The first has no other beside it while it is cut, nor the last while it is embedded.
    def cut(number: int) -> int:
        return number if number == 0 else step(number)

    def embed(number: int) -> int:
        return number if number == 9 else step(number)

    with overlapped(range(10), cut, embed) as ready:
        assert list(ready) == list(range(10))


def test_whoever_stops_early_stops_all_steps() -> None:
    made: list[int] = []
    stepped: list[int] = []

    def endless() -> Iterator[int]:
        while True:
            made.append(len(made))
            yield made[-1]

    def step(number: int) -> int:
        stepped.append(number)
        return number

    with overlapped(endless(), same, step) as ready:
        assert [next(ready) for _ in range(3)] == [0, 1, 2]
    counted = len(made), len(stepped)
    time.sleep(0.05)
    assert (len(made), len(stepped)) == counted
    assert len(made) <= 3 + UNDER_WAY


@pytest.mark.parametrize("error", [KeyboardInterrupt, GeneratorExit, ValueError])
def test_an_error_of_whoever_takes_the_results_stops_all_steps_and_is_passed_on(
    error: type[BaseException],
) -> None:
    with pytest.raises(error), overlapped(failing_after(50, OSError()), same, doubled) as ready:  # noqa: PT012
        next(ready)
        raise error


def test_what_hangs_is_hurried_when_nobody_takes_it_any_more() -> None:
    hurried = threading.Event()

    def items() -> Iterator[int]:
        yield 1
        assert hurried.wait(60)
        yield 2

    ahead = overlapped(items(), same, doubled, hurry=hurried.set)
    with pytest.raises(KeyboardInterrupt), ahead as ready:  # noqa: PT012
        next(ready)
        raise KeyboardInterrupt
    assert hurried.is_set()


def test_what_ends_by_itself_is_not_hurried() -> None:
    hurried = threading.Event()
    with overlapped(range(5), same, doubled, hurry=hurried.set) as ready:
        assert len(list(ready)) == 5
    assert not hurried.is_set()


def test_a_generator_around_it_that_is_closed_closes_it() -> None:
    def results() -> Iterator[int]:
        with overlapped(range(1000), same, doubled) as ready:
            yield from ready

    around = results()
    next(around)
    around.close()  # type: ignore[attr-defined]


def test_a_few_items_are_alive_at_a_time_however_many_there_are() -> None:
    alive: weakref.WeakSet[Item] = weakref.WeakSet()
    most = 0

    def made() -> Iterator[Item]:
        for _ in range(300):
            item = Item()
            alive.add(item)
            yield item
            del item

    with overlapped(made(), same, same) as ready:
        for count, _ in enumerate(ready):
            if count % 30 == 0:
                time.sleep(0.01)
            most = max(most, len(alive))
    # The generator's and the loops' own names may hold on to one more each.
    assert most <= UNDER_WAY + 3
    gc.collect()


def opened_file(path: Path, files: list[BinaryIO]) -> Iterator[bytes]:
    with path.open("rb") as file:
        files.append(file)
        yield from file


def nested(path: Path, files: list[BinaryIO]) -> Iterator[bytes]:
    for _ in range(100):
        yield from (line.strip() for line in opened_file(path, files))


@pytest.fixture
def lines(tmp_path: Path) -> Path:
    path = tmp_path / "lines"
    path.write_bytes(b"line\n" * 1000)
    return path


def test_files_that_the_items_come_from_are_closed_after_an_early_stop(lines: Path) -> None:
    files: list[BinaryIO] = []
    with overlapped(nested(lines, files), same, len) as ready:
        next(ready)
    assert [file.closed for file in files] == [True]


def test_files_are_closed_while_the_error_that_stopped_it_is_still_looked_at(lines: Path) -> None:
    files: list[BinaryIO] = []
    items = nested(lines, files)
    with pytest.raises(KeyboardInterrupt) as raised, overlapped(items, same, len) as ready:  # noqa: PT012
        next(ready)
        raise KeyboardInterrupt
    assert raised.traceback
    assert [file.closed for file in files] == [True]


def test_files_are_closed_after_a_step_failed(lines: Path) -> None:
    files: list[BinaryIO] = []

    def step(_line: bytes) -> int:
        raise ValueError("no vector")

    items = nested(lines, files)
    with overlapped(items, same, step) as ready:
        assert str(taken(ready)[1]) == "no vector"
    assert [file.closed for file in files] == [True]


def test_what_the_items_leave_behind_runs_in_the_thread_that_made_them(lines: Path) -> None:
    threads: list[str] = []

    def items() -> Iterator[int]:
        try:
            yield from range(1000)
        finally:
            threads.append(threading.current_thread().name)

    with overlapped(items(), same, doubled) as ready:
        next(ready)
    assert threads == ["ingest-read"]


def test_an_error_while_the_items_are_closed_is_not_lost() -> None:
    def items() -> Iterator[int]:
        try:
            yield from range(3)
        finally:
            raise OSError("the disk is gone")

    with overlapped(items(), same, doubled) as ready:
        came, error = taken(ready)
    assert (came, str(error)) == ([0, 2, 4], "the disk is gone")


def random_run(seed: int) -> None:
    """A run with random pauses that ends in a random way."""
    luck = random.Random(seed)
    count, stops_at = luck.randrange(30), luck.randrange(40)
    fails_at = luck.choice([None, luck.randrange(30)])
    fails_early = luck.random() < 0.5

    def pause() -> None:
        if luck.random() < 0.2:
            time.sleep(luck.random() / 2000)

    def items() -> Iterator[int]:
        for number in range(count):
            pause()
            yield number

    def step(number: int) -> int:
        pause()
        if number == fails_at:
            raise ValueError(number)
        return number

    def results(ready: Iterator[int]) -> Iterator[int]:
        for number in ready:
            yield number
            pause()
            if number == stops_at:
                return

    cut, embed = (step, same) if fails_early else (same, step)
    with overlapped(items(), cut, embed) as ready:
        came, error = taken(results(ready))
    end = min(count, stops_at + 1)
    fails = fails_at is not None and fails_at < end
    assert came == list(range(fails_at if fails and fails_at is not None else end))
    assert (error is not None and error.args == (fails_at,)) if fails else error is None


def test_hundreds_of_runs_with_random_pauses_end_as_they_should() -> None:
    runs = [threading.Thread(target=random_run, args=[seed]) for seed in range(8)]
    failures: list[object] = []
    hook, threading.excepthook = threading.excepthook, failures.append
    try:
        for seed in range(8, 200):
            random_run(seed)
        for run in runs:
            run.start()
        for run in runs:
            run.join()
    finally:
        threading.excepthook = hook
    assert failures == []
