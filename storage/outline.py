"""Names a span of a text by its headings and its page, and keeps an outline as JSON."""

from bisect import bisect_right
from collections.abc import Sequence
from operator import attrgetter
from typing import Any

from storage.records import NO_OUTLINE, Heading, Outline

_START = attrgetter("start")


def heading_path(outline: Outline, offset: int) -> tuple[str, ...]:
    """The titles above `offset`, from the highest level down; empty before the first heading.

    A heading belongs to its own section. Takes time logarithmic in the number of headings, and
    a step for each that stands between `offset` and the highest of those it returns.
    """
    return _path(outline.headings, _sections_begun(outline, offset), below=None)


def common_path(outline: Outline, start: int, end: int) -> tuple[str, ...]:
    """The titles that hold for all of `[start, end)`, of which some may stand inside it."""
    begun = _sections_begun(outline, start)
    inside = outline.headings[begun : _sections_begun(outline, end - 1)]
    return _path(outline.headings, begun, below=min((h.level for h in inside), default=None))


def page_at(outline: Outline, offset: int) -> int | None:
    """The page, from 1, that `offset` is on; None for a text without pages."""
    return bisect_right(outline.page_starts, offset) or None


def section_at(outline: Outline, offset: int, length: int) -> tuple[int, int]:
    """The span around `offset` from its heading to the next one of any level.

    `length` is that of the text. What stands before the first heading is a section too.
    """
    begun = _sections_begun(outline, offset)
    start = outline.headings[begun - 1].start if begun else 0
    is_last = begun == len(outline.headings)
    return start, length if is_last else outline.headings[begun].start


def as_json(outline: Outline) -> list[Any] | None:
    """`outline` as `[[[start, level, title], …], [page start, …]]`; None if it is empty."""
    if outline == NO_OUTLINE:
        return None
    headings = [[heading.start, heading.level, heading.title] for heading in outline.headings]
    return [headings, list(outline.page_starts)]


def from_json(value: list[Any] | None) -> Outline:
    """The outline that `as_json` made `value` of."""
    if value is None:
        return NO_OUTLINE
    headings, page_starts = value
    return Outline(tuple(Heading(*heading) for heading in headings), tuple(page_starts))


def _sections_begun(outline: Outline, offset: int) -> int:
    """How many headings stand at `offset` or before it."""
    return bisect_right(outline.headings, offset, key=_START)


def _path(headings: Sequence[Heading], begun: int, *, below: int | None) -> tuple[str, ...]:
    """Titles of the section begun last and those around it that are of a level above `below`."""
    titles: list[str] = []
    for number in range(begun - 1, -1, -1):
        heading = headings[number]
        if below is None or heading.level < below:
            titles.append(heading.title)
            below = heading.level
        if below == 1:
            break
    return tuple(reversed(titles))
