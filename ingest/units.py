"""The smallest parts of a text that a chunk is put together from, each with its tokens.

A unit is a heading, a list item or table row, or a sentence. What is too long for any chunk is
divided: a row into sentences, a sentence between lines, else words, else tokens.
"""

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from ingest.outline import Sections
from ingest.sentences import blocks, is_row, sentences_within

Span = tuple[int, int]

_LONGEST_SPAN = 10_000
"""Characters; a longer sentence or row is divided before its tokens are counted."""
_CHARS_A_TOKEN = 64
"""A unit counts as a token for each so many characters, or more. The embedder may take a word of
any length, such as a file in base64, for one token it does not know; no prompt has room for it."""
_MOST_HEADS = 8
"""Headings with nothing between them that are held together with what follows."""
_DEEPEST_INDENT = 80
"""Characters before the first of a line."""


class Tokenizer(Protocol):
    """Counts as the embedder does."""

    def count(self, texts: Sequence[str]) -> list[int]:
        """Tokens of each text, without the marks that the model adds."""

    def offsets(self, text: str) -> list[Span]:
        """Where each token of `text` begins and ends, in code points."""


@dataclass(frozen=True, slots=True)
class Unit:
    """A span, trimmed, of one section's own text; a heading with its underline is one unit."""

    start: int
    end: int
    section: int
    tokens: int = 0
    is_heading: bool = False
    is_row: bool = False


def units(
    text: str,
    sections: Sections,
    *,
    omitted: Sequence[Span],
    tokenizer: Tokenizer,
    rooms: Sequence[int],
) -> list[Unit]:
    """The units of `text`, in order, of all that does not stand in `omitted`.

    `omitted` is in order and disjoint. `rooms` has for each section the tokens that one of its
    units may have at most; and whatever is divided below a heading is divided with it, so that no
    heading stands alone because what follows was too long.
    """
    kept = list(_outside(text, _whole_units(text, sections), omitted))
    counted = list(_fitting_rows(text, _counted(text, kept, tokenizer), tokenizer, rooms))
    fitting: list[Unit] = []
    heads: list[Unit] = []
    for unit in counted:
        room = rooms[unit.section]
        if heads and not _belongs(text, sections, heads, unit, room):
            fitting += heads
            heads = []
        if unit.is_heading and unit.tokens <= room:
            heads.append(unit)
        else:
            fitting += _below_heads(text, heads, unit, tokenizer, room)
            heads = []
    return fitting + heads


def _belongs(text: str, sections: Sections, heads: Sequence[Unit], unit: Unit, room: int) -> bool:
    """Whether `unit` is to stand with the headings right above it, which have no text so far."""
    return (
        unit.section < sections.after[sections.parents[heads[0].section]]
        and text[heads[-1].end : unit.start].isspace()
        and len(heads) < _MOST_HEADS
        and _tokens(heads) < room
    )


def _tokens(found: Sequence[Unit]) -> int:
    return sum(unit.tokens for unit in found)


def _below_heads(
    text: str, heads: Sequence[Unit], unit: Unit, tokenizer: Tokenizer, room: int
) -> list[Unit]:
    """`heads` and what follows them, divided together if it does not fit with them."""
    if _tokens(heads) + unit.tokens <= room:
        return [*heads, unit]
    if not heads:
        return _divided(text, unit, tokenizer, room)
    joined = replace(unit, start=heads[0].start, tokens=room + 1)
    pieces = _divided(text, joined, tokenizer, room)
    return [
        replace(piece, section=heads[0].section) if piece.start < unit.start else piece
        for piece in pieces
    ]


def _whole_units(text: str, sections: Sections) -> Iterator[Unit]:
    """Headings, rows and sentences, whatever their length."""
    ends = [*sections.starts[1:], len(text)]
    for section, (start, end) in enumerate(zip(sections.starts, ends, strict=True)):
        if section:
            heading = Unit(start, _heading_end(text, start, end), section, is_heading=True)
            yield heading
            yield from _body(text, heading.end, end, section)
        else:
            yield from _body(text, start, end, section)


def _body(text: str, start: int, end: int, section: int) -> Iterator[Unit]:
    body = text[start:end]
    for left, right in blocks(body):
        if is_row(body, left, right):
            yield Unit(start + left, start + right, section, is_row=True)
        else:
            for first, last in sentences_within(body, left, right):
                yield Unit(start + first, start + last, section)


def _heading_end(text: str, start: int, end: int) -> int:
    """Where the heading's line ends, or the line that underlines it."""
    title, _, rest = text[start:end].partition("\n")
    underline = rest.partition("\n")[0].strip()
    if title.startswith("#") or not underline or underline.strip(underline[0]):
        return start + len(title.rstrip())
    return start + len(title) + 1 + len(rest.partition("\n")[0].rstrip())


def _outside(text: str, whole: Iterable[Unit], omitted: Sequence[Span]) -> Iterator[Unit]:
    """What is left of each unit outside `omitted`, and no part of it too long to count at once."""
    passed = 0
    for unit in whole:
        while passed < len(omitted) and omitted[passed][1] <= unit.start:
            passed += 1
        start, number = unit.start, passed
        while number < len(omitted) and omitted[number][0] < unit.end:
            yield from _parts(text, unit, start, omitted[number][0])
            start = max(start, omitted[number][1])
            number += 1
        yield from _parts(text, unit, start, unit.end)


def _parts(text: str, unit: Unit, start: int, end: int) -> Iterator[Unit]:
    while start < end:
        stop = end
        if end - start > _LONGEST_SPAN:
            stop = max(
                text.rfind(" ", start, start + _LONGEST_SPAN),
                text.rfind("\n", start, start + _LONGEST_SPAN),
            )
            stop = stop if stop > start else start + _LONGEST_SPAN
        if trimmed := _trimmed(text, start, stop):
            yield replace(unit, start=trimmed[0], end=trimmed[1])
        start = stop


def _counted(text: str, found: Sequence[Unit], tokenizer: Tokenizer) -> Iterator[Unit]:
    counts = tokenizer.count([text[unit.start : unit.end] for unit in found])
    for unit, tokens in zip(found, counts, strict=True):
        yield replace(unit, tokens=_weight(tokens, unit.start, unit.end))


def _weight(tokens: int, start: int, end: int) -> int:
    return max(tokens, (end - start) // _CHARS_A_TOKEN)


def _fitting_rows(
    text: str, counted: Iterable[Unit], tokenizer: Tokenizer, rooms: Sequence[int]
) -> Iterator[Unit]:
    """Each row that fits as it is; of a row that is too long, its sentences."""
    for unit in counted:
        if not unit.is_row or unit.tokens <= rooms[unit.section]:
            yield unit
        else:
            spans = sentences_within(text, unit.start, unit.end)
            yield from _counted(text, [Unit(*span, unit.section) for span in spans], tokenizer)


def _divided(text: str, unit: Unit, tokenizer: Tokenizer, room: int) -> list[Unit]:
    """The unit, in pieces that fit if it is too long itself."""
    if unit.tokens <= room:
        return [unit]
    start, end = unit.start, unit.end
    token_starts = [start + left for left, _ in tokenizer.offsets(text[start:end])]
    pieces: list[Unit] = []
    while start < end:
        cut, tokens = _longest_piece(text, start, end, token_starts, tokenizer, room)
        if span := _trimmed(text, start, cut):
            pieces.append(Unit(*span, unit.section, _weight(tokens, *span)))
        start = cut
    return pieces


def _longest_piece(
    text: str, start: int, end: int, starts: Sequence[int], tokenizer: Tokenizer, room: int
) -> tuple[int, int]:
    """Where the piece that begins at `start` has to end, and its tokens.

    The pieces of a word that is cut may have more tokens than the word had there, so they are
    counted on their own.
    """
    tokens = 0
    for cut in _cuts(text, start, end, starts, room):
        (tokens,) = tokenizer.count([text[start:cut]])
        if tokens <= room:
            return cut, tokens
    return cut, tokens  # one character alone may be too much


def _cuts(text: str, start: int, end: int, starts: Sequence[int], room: int) -> Iterator[int]:
    """Where a piece may end, best first: it is to be at least half full where possible."""
    first = bisect_right(starts, start)
    last = first + room - 1
    if last >= len(starts):
        yield end
        last = len(starts) - 1
    at_least_half = range(last, first + room // 2, -1)
    yield from (starts[at] for at in at_least_half if _opens_line(text, starts[at]))
    yield from (starts[at] for at in at_least_half if _opens_word(text, starts[at]))
    yield from (starts[at] for at in range(last, first - 1, -1))


def _opens_line(text: str, offset: int) -> bool:
    """Whether only white space stands between `offset` and the line break before it."""
    line_start = text.rfind("\n", max(0, offset - _DEEPEST_INDENT), offset)
    return line_start >= 0 and not text[line_start:offset].strip()


def _opens_word(text: str, offset: int) -> bool:
    return text[offset - 1].isspace()


def _trimmed(text: str, start: int, end: int) -> Span | None:
    piece = text[start:end]
    left = len(piece) - len(piece.lstrip())
    right = len(piece.rstrip())
    return (start + left, start + right) if left < right else None
