"""Words that are part of no name and no term, and the sentences of a text."""

import re
from bisect import bisect_right
from collections.abc import Sequence

from rag_pipeline.entities.lexicon import lexicon

FUNCTION_WORDS = lexicon("function_words")
VERBS = lexicon("verbs")
"""Words that are seldom part of a term, as verbs are that usually end in no way of their own."""
CALENDAR = lexicon("calendar")
NATIONAL = lexicon("national")
"""Adjectives and peoples, which name nobody in particular."""
ABBREVIATIONS = lexicon("abbreviations")
_BOUNDARY = re.compile(
    r"[.!?…]+[\"”’')\]]*\s+(?=[\"“‘'(\[]*[^\Wa-z_])|\n[ \t]*\n\s*|\n(?=[#>*•|-])|\n[ \t]*\d+[.)]\s+"
)
_OPENING = re.compile(r"[\s\"“‘'(\[#>*•|_-]*")
_LOOK_BACK = 12


def sentence_starts(text: str) -> list[int]:
    """Where sentences begin, ascending, the first at 0. A blank line ends one, a line may not."""
    starts = [0]
    for match in _BOUNDARY.finditer(text):
        if not _is_abbreviation(text, match.start()):
            starts.append(match.end())
    return starts


def first_letters(text: str, starts: Sequence[int]) -> frozenset[int]:
    """Where the first words of sentences begin, behind quotes, brackets and bullets."""
    skip = _OPENING.match
    return frozenset(found.end() for start in starts if (found := skip(text, start)))


def sentence_at(starts: Sequence[int], offset: int) -> int:
    """The number, from 0, of the sentence that `offset` is in."""
    return bisect_right(starts, offset) - 1


def _is_abbreviation(text: str, at: int) -> bool:
    if text[at] != ".":
        return False
    words = text[max(0, at - _LOOK_BACK) : at].split()
    if not words:
        return False
    word = words[-1].lstrip("([\"“'")
    return (len(word) == 1 and word.isupper()) or word.casefold() in ABBREVIATIONS
