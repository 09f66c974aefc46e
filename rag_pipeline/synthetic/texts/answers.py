"""What a passage could be asked for: names, dates and amounts, as they stand in it."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from ingest.sentences import sentences
from rag_pipeline.entities.recognise import EntityRecogniser

AnswerKind = Literal["person", "organisation", "place", "term", "date", "amount"]

_MONTH = "(?:January|February|March|April|May|June|July|August|September|October|November|December)"
_DATE = re.compile(
    rf"\b(?:\d{{1,2}}\s+{_MONTH}(?:\s+\d{{4}})?|{_MONTH}\s+\d{{1,2}},\s+\d{{4}}|{_MONTH}\s+\d{{4}}"
    r"|(?:1[0-9]|20)\d\d)\b"
)
_AMOUNT = re.compile(
    r"(?<![\w.,-])(?P<number>\d{1,3}(?:,\d{3})+|\d+(?:\.\d+)?)(?P<unit>\s?%|\s+[a-z]{3,15})\b(?!-)"
)
_ROW = re.compile(r"\s\|\s|\t|^\W*\w[\w ]*: .*; \w[\w ]*: ", re.DOTALL)
"""A row of a table says too little by itself."""
_LEAST_WORDS = 6
"""A sentence with fewer says nothing of what it names."""
_MOST_CHARACTERS = 400


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """`text[start:end]` of a passage, in the sentence `text[sentence_start:sentence_end]`."""

    kind: AnswerKind
    start: int
    end: int
    sentence_start: int
    sentence_end: int


def answers_in(
    text: str, recogniser: EntityRecogniser, language: str | None = None
) -> Iterator[Answer]:
    """What sentences of `text` could be asked for, in order; none overlaps another."""
    found = sorted({*_named(text, recogniser, language), *_dates(text), *_amounts(text)})
    places = iter(sentences(text))
    start = end = -1
    taken = 0
    for begin, stop, kind in found:
        while end < stop and (place := next(places, None)) is not None:
            start, end = place
        if begin >= max(start, taken) and stop <= end and _tells(text[start:end]):
            taken = stop
            yield Answer(kind=kind, start=begin, end=stop, sentence_start=start, sentence_end=end)


def _named(
    text: str, recogniser: EntityRecogniser, language: str | None
) -> Iterator[tuple[int, int, AnswerKind]]:
    for mention in recogniser.recognise(text, language):
        if "\n" not in mention.surface:
            yield mention.start, mention.end, mention.kind


def _dates(text: str) -> Iterator[tuple[int, int, AnswerKind]]:
    for match in _DATE.finditer(text):
        yield match.start(), match.end(), "date"


def _amounts(text: str) -> Iterator[tuple[int, int, AnswerKind]]:
    for match in _AMOUNT.finditer(text):
        yield match.start(), match.end(), "amount"


def _tells(sentence: str) -> bool:
    """Whether it is a sentence of prose that something can be asked about."""
    is_long_enough = len(sentence.split()) >= _LEAST_WORDS
    return is_long_enough and len(sentence) <= _MOST_CHARACTERS and not _ROW.search(sentence)
