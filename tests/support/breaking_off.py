"""Work that ends in the middle of it, at one statement after another."""

from collections.abc import Callable, Iterable

from sqlalchemy import Engine, event


class BrokenOffError(Exception):
    """Stands for a program that ends here."""


def broken_off_until_done(work: Callable[[], object], limits: Iterable[int]) -> int:
    """Do `work` again and again, each time up to the next of these statements, until it comes to
    its end; how often it was broken off."""
    left = broken = 0

    def count(*_about: object) -> None:
        nonlocal left
        left -= 1
        if left == 0:
            raise BrokenOffError

    event.listen(Engine, "before_cursor_execute", count)
    try:
        for limit in limits:
            left = limit
            try:
                work()
            except BrokenOffError:
                broken += 1
            else:
                return broken
    finally:
        event.remove(Engine, "before_cursor_execute", count)
    raise AssertionError(f"not done after being broken off {broken} times")
