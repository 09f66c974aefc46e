"""Recognises what stands around a text rather than in it: headers, footers, signatures.

Two ways lead there. A line at the edge of many documents is found by counting the documents that
have its key; a line at the edge of many pages of one document is found in that document alone. The
text is stored whole either way: only what the embedder is given goes without.
"""

import hashlib
import re
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

MAX_KEYS = 16
HEAD_LINES = 5
"""A letterhead: name, street, town, telephone, address on the web."""
FOOT_LINES = MAX_KEYS - HEAD_LINES
"""A signature and the first page of small print under it."""
PAGE_LINES = 3
"""Lines at the top and at the bottom of each page."""
MIN_LINES = 4
"""A text of fewer lines is all body."""
MAX_LINE = 1_500
"""A longer line is a text of its own, whoever repeats it."""
MIN_PAGES = 3
PAGE_SHARE = 0.4
"""Of the pages; left and right pages may have headers of their own."""
MAX_REPETITION = 1.5
"""A line that stands more often than this on each page is a row of a table, or a refrain."""

Span = tuple[int, int]
"""Where a line begins and ends, in code points, without the white space around it."""

_LINE = re.compile(r"\S(?:[^\n]*\S)?")
_DIGITS = re.compile(r"\d+")
_TOKEN = re.compile(r"\w+")
_WORD = re.compile(r"[^\W\d_]+")
# Numbers that count copies and pages of a text and are no part of it: "3", "- 3 -", "3 / 10",
# "page 3 of 10", "12.03.2024", "2024-03-12", "10:04".
_COUNTING = re.compile(
    r"^\W*\d{1,4}\W*$"
    r"|\b\d{1,4} ?(?:/|of|von|de|sur|di) ?\d{1,4}$"
    r"|\b(?:page|seite|página|pagina|p\.|s\.) ?\d+"
    r"|\b\d{1,4}[./-]\d{1,2}[./-]\d{1,4}\b"
    r"|\b\d{1,2}:\d\d\b"
)


@dataclass(frozen=True, slots=True)
class EdgeLine:
    """A line that is boilerplate if enough documents have one with its key, signed 64-bit."""

    start: int
    end: int
    key: int


def edge_lines(text: str, page_starts: Sequence[int] = ()) -> list[EdgeLine]:
    """The first and last lines of `text` and of its pages, in order, with `MAX_KEYS` keys at most.

    Keys disregard case, white space, and the digits of page numbers, dates and times; other
    numbers are facts. A text of under `MIN_LINES` lines has none. In a text without pages
    neither single words nor numbers alone are any, and a line in the middle is always left.
    """
    lines = _lines(text, 0, len(text))
    if len(lines) < MIN_LINES:
        return []
    if len(page_starts) > 1:
        return _most_common(text, _page_edges(text, page_starts))
    worded = [line for line in _text_edges(lines) if _has_words(text[slice(*line)])]
    return _keyed(text, worded)


def running_lines(text: str, page_starts: Sequence[int]) -> list[Span]:
    """The lines that repeat at the edges of the pages of `text`, but for their numbers, in order.

    They stand on `MIN_PAGES` pages and `PAGE_SHARE` of all, and hardly anywhere else: what is
    also repeated within pages is a table or a refrain.
    """
    pages = _page_edges(text, page_starts)
    edges = Counter(
        wording for page in pages for wording in {_wording(text, line) for line in page}
    )
    enough = max(MIN_PAGES, PAGE_SHARE * len(pages))
    repeated = {wording for wording, count in edges.items() if count >= enough}
    if not repeated:
        return []
    everywhere = Counter(_wording(text, line) for line in _lines(text, 0, len(text)))
    running = {w for w in repeated if everywhere[w] <= MAX_REPETITION * edges[w]}
    return [line for page in pages for line in page if _wording(text, line) in running]


def boilerplate_spans(
    text: str, page_starts: Sequence[int] = (), *, common_keys: Collection[int] = ()
) -> list[Span]:
    """The edge lines of `text` whose key many documents have, and its running lines, in order.

    Empty if no word of the text would be left.
    """
    common = [(e.start, e.end) for e in edge_lines(text, page_starts) if e.key in common_keys]
    spans = sorted({*common, *running_lines(text, page_starts)})
    return spans if _WORD.search(without(text, 0, len(text), spans)) else []


def without(text: str, start: int, end: int, spans: Sequence[Span]) -> str:
    """`text[start:end]` less what stands in `spans`, which are ascending and do not overlap.

    Paragraphs stay apart. Empty if all of it stands in them.
    """
    kept: list[str] = []
    for left, right in spans:
        if right > start and left < end:
            kept.append(text[start : max(start, left)])
            start = right
    kept.append(text[start:end])
    return re.sub(r"\n\s*\n", "\n\n", "".join(kept)).strip()


def _lines(text: str, start: int, end: int) -> list[Span]:
    return [match.span() for match in _LINE.finditer(text, start, end)]


def _text_edges(lines: Sequence[Span]) -> list[Span]:
    """The head and the foot, with at least one line between them."""
    head, foot = min(HEAD_LINES, (len(lines) - 1) // 2), min(FOOT_LINES, len(lines) // 2)
    return [*lines[:head], *lines[len(lines) - foot :]]


def _page_edges(text: str, page_starts: Sequence[int]) -> list[list[Span]]:
    """For each page its first and its last lines, each once; pages without any are left out."""
    pages = (_lines(text, *page) for page in pairwise([*page_starts, len(text)]))
    return [
        [line for place, line in enumerate(lines) if _is_edge(place, len(lines))]
        for lines in pages
        if lines
    ]


def _is_edge(place: int, count: int) -> bool:
    return place < PAGE_LINES or place >= count - PAGE_LINES


def _most_common(text: str, pages: Sequence[Sequence[Span]]) -> list[EdgeLine]:
    """The lines with the keys that most pages have; of those on one page, the first and last."""
    keyed = [_keyed(text, page) for page in pages]
    counts = Counter(key for page in keyed for key in {line.key for line in page})
    outer = {line.key for page in (keyed[0], keyed[-1]) for line in page}
    order = {key: place for place, key in enumerate(_distinct(keyed))}
    best = sorted(order, key=lambda key: (-counts[key], key not in outer, order[key]))
    chosen = set(best[:MAX_KEYS])
    return [line for page in keyed for line in page if line.key in chosen]


def _distinct(pages: Sequence[Sequence[EdgeLine]]) -> Iterator[int]:
    yield from dict.fromkeys(line.key for page in pages for line in page)


def _keyed(text: str, lines: Sequence[Span]) -> list[EdgeLine]:
    return [
        EdgeLine(start, end, _key(text[start:end]))
        for start, end in lines
        if end - start <= MAX_LINE
    ]


def _has_words(line: str) -> bool:
    """Whether it is more than one word or numbers; without spaces, four ideographs are."""
    words = _WORD.findall(line)
    ideographs = any(len(word) > 3 and word > "\u2e80" for word in words)
    return ideographs or (bool(words) and len(_TOKEN.findall(line)) > 1)


def _key(line: str) -> int:
    folded = " ".join(line.casefold().split())
    folded = _COUNTING.sub(lambda found: _DIGITS.sub("0", found[0]), folded)
    return int.from_bytes(hashlib.blake2b(folded.encode(), digest_size=8).digest(), signed=True)


def _wording(text: str, line: Span) -> str:
    """What a line says, whatever its numbers."""
    return _DIGITS.sub("0", " ".join(text[slice(*line)].casefold().split()))
