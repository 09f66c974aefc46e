"""Finds what has a name: the port, and the recogniser that works by rules.

The rules look at a whole text before they decide on one place in it: a word at the beginning of
a sentence is a name if it is one elsewhere, `Lovelace` is `Ada Lovelace` where only one person of
that name is there, and an acronym is what it was introduced as.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from rag_pipeline.entities import terms
from rag_pipeline.entities.acronyms import definitions
from rag_pipeline.entities.capitals import names
from rag_pipeline.entities.kinds import decide
from rag_pipeline.entities.mention import Span, folded, singular
from rag_pipeline.entities.organisations import HEADS
from rag_pipeline.entities.words import first_letters, sentence_at, sentence_starts
from storage.entities import EntityKind, NewMention
from storage.models.entities import MAX_NAME

PART_CHARACTERS = 200_000
"""What is looked at together of a long text: it is cut at the line that ends before."""


class EntityRecogniser(Protocol):
    """Finds entities in texts."""

    @property
    def version(self) -> str:
        """Names the recogniser and its rules, in 64 characters: another one finds otherwise."""

    def recognise(self, text: str, language: str | None = None) -> list[NewMention]:
        """The mentions of `text`, in its order; none overlaps another. The same for the same text.

        `language` is an ISO 639-1 code, None where it is not known.
        """


@dataclass(frozen=True, slots=True)
class RuleRecogniser:
    """Finds entities by the form of names and by the words around them."""

    version: str = "rules-1"

    def recognise(self, text: str, language: str | None = None) -> list[NewMention]:
        found: list[NewMention] = []
        sentences = 0
        for start, end in parts(text):
            part = text[start:end]
            starts = sentence_starts(part)
            for span in _recognised(part, starts, language):
                found.append(_mention(text, start, sentences, starts, span))
            sentences += len(starts)
        return found


def parts(text: str) -> Iterator[tuple[int, int]]:
    """Spans of `text` of at most `PART_CHARACTERS`, cut behind a line if there is one."""
    start = 0
    while len(text) - start > PART_CHARACTERS:
        limit = start + PART_CHARACTERS
        end = text.rfind("\n", start, limit) + 1 or text.rfind(" ", start, limit) + 1 or limit
        yield start, end
        start = end
    yield start, len(text)


def _mention(
    text: str, offset: int, sentences: int, starts: Sequence[int], span: Span
) -> NewMention:
    start, end = offset + span.start, offset + span.end
    return NewMention(
        start=start,
        end=end,
        sentence=sentences + sentence_at(starts, span.start),
        kind=span.kind,
        key=span.key,
        surface=text[start:end],
    )


def _recognised(text: str, starts: Sequence[int], language: str | None) -> list[Span]:
    counted = terms.count(text, language)
    found = list(names(text, first_letters(text, starts), counted.lower))
    decided = decide(text, found, counted.lower, language)
    return _without_overlaps(
        len(text),
        [
            _introduced(text, decided),
            [span for span in decided if not _is_single_term(span)],
            list(terms.terms(counted)),
            [span for span in decided if _is_single_term(span)],
            list(terms.symbols(counted)),
        ],
    )


def _is_single_term(span: Span) -> bool:
    """Hessian, which may be part of what is repeated as a whole: Hessian matrix."""
    return span.kind == "term" and " " not in span.key


def _introduced(text: str, decided: Sequence[Span]) -> list[Span]:
    """Acronyms that `text` introduces, at all their places, with what they stand for."""
    known = {(span.start, span.end): span for span in decided}
    found: dict[str, Span] = {}
    for definition in definitions(text):
        place = (definition.start, definition.end)
        whole = known.get(place) or _long_form(text, *place)
        found.setdefault(definition.acronym, whole)
    spans = list(found.values())
    for acronym, whole in found.items():
        spans += [Span(*place, whole.kind, whole.key) for place in _places(text, acronym)]
    return spans


def _places(text: str, acronym: str) -> Iterator[tuple[int, int]]:
    """Where `acronym` stands as a word, or as one in the plural."""
    at = text.find(acronym)
    while at >= 0:
        end = at + len(acronym)
        end += text[end : end + 1] == "s"
        if not text[at - 1 : at].isalnum() and not text[end : end + 1].isalnum():
            yield at, end
        at = text.find(acronym, end)


def _long_form(text: str, start: int, end: int) -> Span:
    long_form = text[start:end]
    words = folded(long_form).split(" ")
    is_named = words[-1] in HEADS and long_form.split()[-1].istitle()
    kind: EntityKind = "organisation" if is_named else "term"
    return Span(start, end, kind, " ".join((*words[:-1], singular(words[-1]))))


def _without_overlaps(length: int, ranked: Iterable[Sequence[Span]]) -> list[Span]:
    """The spans of which none overlaps another: earlier lists first, then longer ones."""
    taken = bytearray(length)
    kept: list[Span] = []
    for spans in ranked:
        for span in sorted(spans, key=_longest_first):
            start, end = span.start, span.end
            is_short = end - start <= MAX_NAME and len(span.key) <= MAX_NAME
            if is_short and taken.find(1, start, end) < 0:
                taken[start:end] = b"\1" * (end - start)
                kept.append(span)
    kept.sort()
    return kept


def _longest_first(span: Span) -> tuple[int, int]:
    return span.start - span.end, span.start
