"""Takes out of an answer what a reader's program would load, follow or render, unless it is cited.

An answer that reaches a browser may fetch an image, and with it give away what it says. So links,
images and HTML stay only where the very same stands in a cited span; of a link the words stay.
"""

import re
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

from storage.records import Citation

_RENDERED = re.compile(
    r"!?\[(?P<label>[^\[\]]{0,500})\](?:\([^()\n]{0,2000}(?:\([^()\n]{0,500}\)[^()\n]{0,500})?\)|\[[^\]\n]{0,200}\])"
    r"|^[ \t]*\[[^\]\n]{1,200}\]:[ \t]*\S+"
    r"|<(?:https?|ftp|mailto|data|javascript|file):[^<>\s]{1,2000}>"
    r"|<!--.{0,5000}?(?:-->|\Z)|</?[a-zA-Z!?][^<>]{0,2000}>"
    r"|(?:\b(?:https?|ftp|file)://|\bwww\.)[^\s<>\"')\]]+"
    r"|\b(?:javascript|vbscript|data):[^\s<>\"']+",
    re.IGNORECASE | re.MULTILINE | re.DOTALL,
)
_OPEN = re.compile(r"!?\[[^\[\]]*(?:\](?:\([^()\n]*|\[[^\]\n]*)?)?$|!$|<[^<>]*$", re.DOTALL)
"""The end of a growing text that may become something rendered."""
_SCHEMES = ("https://", "http://", "ftp://", "file://", "www.", "javascript:", "vbscript:", "data:")
_LAST_WORD = re.compile(r"[\w:/.]\S*$")
_LONGEST_HELD = 2000

Returned = TypeVar("Returned")


@dataclass(frozen=True, slots=True)
class Filtered:
    """A text of which nothing is rendered but what is cited, and what was taken out of it."""

    text: str
    citations: tuple[Citation, ...]
    """With the places that the text has now."""
    removed: tuple[str, ...]


def filtered(text: str, citations: Sequence[Citation]) -> Filtered:
    """`text` without links, images and HTML that stand in no quote of `citations`."""
    quotes = [citation.quote for citation in citations]
    foreign = [found for found in _RENDERED.finditer(text) if not _is_quoted(found[0], quotes)]
    if not foreign:
        return Filtered(text, tuple(citations), ())
    cuts = [cut for found in foreign for cut in _cuts(found)]
    kept = "".join(text[start:end] for start, end in _between(cuts, len(text)))
    return Filtered(
        kept,
        tuple(
            replace(
                citation,
                answer_start=_moved(citation.answer_start, cuts),
                answer_end=_moved(citation.answer_end, cuts),
            )
            for citation in citations
        ),
        tuple(found[0] for found in foreign),
    )


def safe(
    stream: Generator[str, None, Returned], shown: Sequence[str]
) -> Generator[str, None, Returned]:
    """A draft as it is written, without links, images and HTML that stand in none of `shown`.

    What may yet become one is held back until it is one, or is none. Returns what `stream` returns,
    and closes it.
    """
    held = ""
    try:
        while True:
            held += next(stream)
            ready = _ready(held)
            yield from _without_foreign(held[:ready], shown)
            held = held[ready:]
    except StopIteration as ended:
        yield from _without_foreign(held, shown)
        returned: Returned = ended.value
        return returned
    finally:
        stream.close()


def _ready(text: str) -> int:
    """How much of a growing text can be shown, whatever follows."""
    if len(text) > _LONGEST_HELD:
        return len(text)
    begun = _OPEN.search(text)
    if begun is None:
        begun = _LAST_WORD.search(text)
        if begun is None or not _may_be_address(begun[0].lower()):
            return len(text)
    return begun.start()


def _may_be_address(word: str) -> bool:
    return any(word.startswith(scheme) or scheme.startswith(word) for scheme in _SCHEMES)


def _without_foreign(text: str, shown: Sequence[str]) -> Iterator[str]:
    kept = _RENDERED.sub(
        lambda found: found[0] if _is_quoted(found[0], shown) else found["label"] or "", text
    )
    if kept:
        yield kept


def _is_quoted(rendered: str, quotes: Sequence[str]) -> bool:
    return any(rendered in quote for quote in quotes)


def _cuts(found: re.Match[str]) -> Iterator[tuple[int, int]]:
    """What goes of one link: all of it but the words that it shows."""
    start, end = found.span("label")
    if start < 0 or found[0].startswith("!"):
        yield found.span()
        return
    yield found.start(), start
    yield end, found.end()


def _between(cuts: Sequence[tuple[int, int]], length: int) -> Iterator[tuple[int, int]]:
    at = 0
    for start, end in cuts:
        yield at, start
        at = end
    yield at, length


def _moved(place: int, cuts: Sequence[tuple[int, int]]) -> int:
    """Where `place` is when the cuts are made."""
    return place - sum(min(end, place) - start for start, end in cuts if start < place)
