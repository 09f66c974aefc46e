"""The part of a text in which searched words stand, and where in it they do."""

from collections.abc import Sequence
from dataclasses import dataclass

from storage.words_query import Phrase, spans

BEFORE = 40
CHARACTERS = 160


@dataclass(frozen=True, slots=True)
class Snippet:
    """A part of a text on one line, and the spans of it that were looked for."""

    text: str
    matches: tuple[tuple[int, int], ...] = ()

    def marked(self, begin: str, end: str) -> str:
        """The text with marks around what was looked for."""
        parts, at = [], 0
        for start, stop in self.matches:
            parts += [self.text[at:start], begin, self.text[start:stop], end]
            at = stop
        return "".join([*parts, self.text[at:]])


def snippet(texts: Sequence[str], wanted: Sequence[Phrase]) -> Snippet:
    """From the first of `texts` that has one of the phrases; the beginning of the first if none
    has."""
    for text in texts:
        line = " ".join(text.split())
        found = spans(line, wanted)
        if found:
            return _around(line, found)
    return _around(" ".join(texts[0].split()) if texts else "", [])


def _around(line: str, found: Sequence[tuple[int, int]]) -> Snippet:
    start = max(0, found[0][0] - BEFORE) if found else 0
    stop = start + CHARACTERS
    before, after = "…" if start else "", "…" if stop < len(line) else ""
    moved = len(before) - start
    return Snippet(
        f"{before}{line[start:stop]}{after}",
        tuple((a + moved, b + moved) for a, b in found if b <= stop),
    )
