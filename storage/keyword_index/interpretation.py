"""What the words of a query stand for: forms to look for, in whatever language a text was read.

A query word is looked for as the stem that it has in each language that the index holds, with and
without its accents.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import accumulate, islice
from typing import Literal

from storage.keyword_index.analysis import STEMS_KEPT, bare, is_pair, is_stop_word, term_of, tokens
from storage.keyword_index.matching import AnyOf, Form, InOrder
from storage.records import KeywordClause

SHORTEST_PREFIX = 2
"""A prefix of fewer characters is read as a word: it would stand for half of the vocabulary."""
MOST_TERMS = 1024
"""The rest of a longer query is left out, as Lucene's BooleanQuery would refuse it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sought:
    """One thing that a query looks for."""

    text: str
    """As the query has it, but for case and width."""
    form: Form
    occurrence: Literal["should", "must", "must_not"] = "should"
    weight: float = 1.0


def interpreted(query: str | Sequence[KeywordClause], languages: tuple[str, ...]) -> list[Sought]:
    """What `query` looks for, in its order; `languages` are those that the index holds."""
    clauses = [KeywordClause(text=query)] if isinstance(query, str) else query
    cut = [(clause, tokens(clause.text)) for clause in clauses]
    spoken = _spoken([token for _, words in cut for token in words], languages)
    everything = (
        Sought(text=text, form=form, occurrence=clause.occurrence, weight=clause.weight)
        for clause, words in cut
        for text, form in _forms(clause, words, languages, spoken)
    )
    return list(islice(everything, MOST_TERMS))


def _spoken(words: Sequence[str], languages: tuple[str, ...]) -> Sequence[str]:
    """The languages that the query may be in: those that most of its words are stop words of."""
    if len(languages) == 1:
        return languages
    known = [sum(is_stop_word(word, language) for word in words) for language in languages]
    return [
        language for language, words in zip(languages, known, strict=True) if words == max(known)
    ]


def _forms(
    clause: KeywordClause, words: Sequence[str], languages: tuple[str, ...], spoken: Sequence[str]
) -> Iterator[tuple[str, Form]]:
    """What a clause looks for, each with the words that stand for it."""
    if len(words) > 1 and _is_one(clause):
        form = InOrder(tuple(_readings(words, languages)))
        if form.readings:
            yield clause.text, form
        return
    *before, last = words or [""]
    is_prefix = clause.kind == "prefix" and len(bare(last)) >= SHORTEST_PREFIX
    for word in before if is_prefix else words:
        is_content = not any(is_stop_word(word, language) for language in spoken)
        if is_content and (stems := variants(word, languages)):
            yield word, AnyOf(stems)
    if is_prefix:
        yield f"{last}*", AnyOf(variants(last, languages), prefix=bare(last).encode())


def _is_one(clause: KeywordClause) -> bool:
    """Whether the parts of a clause must stand together: those of covid-19 need not, to score."""
    return clause.kind == "phrase" or (clause.kind == "word" and clause.occurrence != "should")


@lru_cache(STEMS_KEPT)
def variants(word: str, languages: tuple[str, ...]) -> tuple[bytes, ...]:
    """The terms that a token may stand for, ascending; none if it is a stop word everywhere."""
    spellings = {word, bare(word)}
    terms = {term_of(spelling, language) for language in languages for spelling in spellings}
    return tuple(sorted(term.encode() for term in terms if term))


def _readings(
    words: Sequence[str], languages: tuple[str, ...]
) -> Iterator[tuple[str, tuple[tuple[int, bytes], ...]]]:
    """The words as each language reads them, with their distances from the first; a stop word
    stands for any word."""
    places = list(accumulate(0 if is_pair(word) else 1 for word in words))
    for language in languages:
        terms = [term_of(word, language) for word in words]
        kept = [(place, term.encode()) for place, term in zip(places, terms, strict=True) if term]
        if kept:
            first = kept[0][0]
            yield language, tuple((place - first, term) for place, term in kept)
