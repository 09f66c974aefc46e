"""Acronyms and what they stand for (Schwartz & Hearst, Pacific Symposium on Biocomputing 2003)."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from rag_pipeline.entities.words import FUNCTION_WORDS

_SHORT = re.compile(r"[(\[]([A-Za-z0-9][\w.&/-]{1,9})(?=[)\];,])")
_WORD = re.compile(r"\S+")
_BREAK = re.compile(r"[.;:!?]\s(?=[A-Z])|\n\s*\n")
_PLURAL = re.compile(r"(?<=[A-Z])s$")
_LONGEST_WORD = 30


@dataclass(frozen=True, slots=True)
class Definition:
    """An acronym, and the span of the words that it stands for."""

    acronym: str
    start: int
    end: int


def definitions(text: str) -> Iterator[Definition]:
    """Acronyms in brackets after the words that they stand for, in the order of `text`."""
    for match in _SHORT.finditer(text):
        acronym = _PLURAL.sub("", match[1])
        if sum(map(str.isupper, acronym)) * 2 < len(acronym) or len(acronym) < 2:
            continue
        end = match.start()
        while end and text[end - 1].isspace():
            end -= 1
        start = _long_form(text, end, acronym)
        if start is not None and _is_long_enough(text[start:end], acronym):
            yield Definition(acronym, start, end)


def _long_form(text: str, end: int, acronym: str) -> int | None:
    """Where the shortest span before `end` begins that has the letters of `acronym` in order.

    The first letter has to begin a word. At most min(|A| + 5, 2|A|) words are looked at.
    """
    most = min(len(acronym) + 5, len(acronym) * 2)
    lowest = max(0, end - most * _LONGEST_WORD)
    for barrier in _BREAK.finditer(text, lowest, end):
        lowest = barrier.end()
    starts = [match.start() for match in _WORD.finditer(text, lowest, end)]
    lowest = starts[-most] if len(starts) >= most else lowest
    letters = [letter.casefold() for letter in acronym if letter.isalnum()]
    at = end
    for number in range(len(letters) - 1, -1, -1):
        at = _letter_before(text, at, lowest, letters[number], begins_word=number == 0)
        if at < 0:
            return None
    return at


def _letter_before(text: str, at: int, lowest: int, letter: str, *, begins_word: bool) -> int:
    """The last place before `at` that has `letter`; -1 if there is none above `lowest`."""
    at -= 1
    while at >= lowest:
        if text[at].casefold() == letter and not (
            begins_word and at > 0 and text[at - 1].isalnum()
        ):
            return at
        at -= 1
    return -1


def _is_long_enough(long_form: str, acronym: str) -> bool:
    words = long_form.split()
    return (
        len(long_form) > len(acronym)
        and words[0].casefold() not in FUNCTION_WORDS
        and acronym not in words
        and len(words) <= len(acronym) * 2
        and (len(words) > 1 or len(long_form) > 2 * len(acronym))
    )
