"""Technical terms: several words that a text repeats, and symbols such as BRCA1 or mTOR.

Terms are weighed by C-value (Frantzi, Ananiadou & Mima, IJDL 2000): log2(words) times how often a
candidate stands there by itself, and not within longer ones. Without a tagger, a candidate is
a run of words between function words, verbs and punctuation.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache, lru_cache
from itertools import accumulate, pairwise
from math import log2
from typing import Literal

from rag_pipeline.entities.lexicon import function_words, lexicon
from rag_pipeline.entities.mention import Span, singular
from rag_pipeline.entities.words import CALENDAR, FUNCTION_WORDS, VERBS

_RUN = re.compile(r"[^\W\d_][\w-]*(?:[ \n][^\W_][\w-]*)*")
_NO_PART = FUNCTION_WORDS | VERBS | CALENDAR
_ROMAN = re.compile(r"[IVXLCM]+")
_SHORTEST = 2
_MOST_WORDS = 4
_LEAST_VALUE = 2.0
_WORDS_A_TERM = 100
_FEWEST = 5
_NOT_FIRST = ("ly",)
_NOT_LAST = ("ly", "ed", "ous", "ful", "able", "ible")
_VAGUE = lexicon("vague")
"""What neither begins nor ends a term."""
_NO_SYMBOL = lexicon("no_symbols")
_LONGEST_SYMBOL = 16
_USUAL_LENGTHS = (3, 4, 5)
"""Of acronyms."""


Place = tuple[int, int]


@dataclass(frozen=True, slots=True)
class _Words:
    """The words of a text in their order; an empty one stands where something parts them."""

    written: list[str]
    plain: list[str]
    """In small letters."""
    starts: list[int]
    """Where each begins in the text."""


@dataclass(slots=True)
class Counted:
    """What one text has of candidates; terms by their words, the last in the singular."""

    words: int = 0
    lower: frozenset[str] = frozenset()
    """Words of the text as they stand there, so those in small letters too."""
    terms: dict[tuple[str, ...], list[Place]] = field(default_factory=lambda: defaultdict(list))
    symbols: dict[str, list[int]] = field(default_factory=lambda: defaultdict(list))


def count(text: str, language: str | None = None) -> Counted:
    """All candidates of `text`; of terms those whose pairs of words are repeated."""
    words = _words(text)
    counted = Counted(words=len(words.written), lower=frozenset(words.written))
    for number, word in enumerate(words.written):
        if word and not word.islower() and not (word.istitle() and word.isalpha()):
            counted.symbols[word].append(words.starts[number])
    no_part = _no_part(language)
    if no_part is not None:
        for first, last in _repeated(words.plain, no_part):
            _add(counted, words, first, last)
    return counted


def _words(text: str) -> _Words:
    words = _Words([], [], [])
    for match in _RUN.finditer(text):
        written = match[0].split()
        words.written.extend((*written, ""))
        words.plain.extend((*match[0].lower().split(), ""))
        lengths = [len(word) + 1 for word in written]
        words.starts.extend(accumulate(lengths, initial=match.start()))
    return words


def _repeated(plain: list[str], no_part: frozenset[str]) -> Iterator[tuple[int, int]]:
    """Spans of words, at least two of them, in which every pair of words is repeated."""
    singulars = {word: singular(word) for word in set(plain)}
    pairs = [*pairwise([singulars[word] for word in plain])]
    repeated = {pair for pair, times in Counter(pairs).items() if times > 1}
    parting = {
        word for pair in repeated for word in pair if len(word) < _SHORTEST or word in no_part
    }
    chosen = [
        number
        for number, pair in enumerate(pairs)
        if pair in repeated
        and parting.isdisjoint(pair)
        and no_part.isdisjoint(plain[number : number + 2])
    ]
    first = last = 0
    for number in chosen:
        if number > last:
            if last > first:
                yield first, last + 1
            first = number
        last = number + 1
    if last > first:
        yield first, last + 1


@cache
def _no_part(language: str | None) -> frozenset[str] | None:
    """What parts terms; None where nothing is known of the words of `language`."""
    if language is None or language == "en":
        return _NO_PART
    words = function_words(language)
    return None if words is None else words | _NO_PART


def _add(counted: Counted, words: _Words, first: int, last: int) -> None:
    """Every part of words[first:last] that may be a term."""
    written, plain = words.written[first:last], words.plain[first:last]
    starts = words.starts[first : last + 1]
    for begin in range(len(written) - 1):
        if plain[begin] in _VAGUE or plain[begin].endswith(_NOT_FIRST):
            continue
        for end in range(begin + 1, min(begin + _MOST_WORDS, len(written))):
            if plain[end] not in _VAGUE and not plain[end].endswith(_NOT_LAST):
                key = (*plain[begin:end], singular(plain[end]))
                counted.terms[key].append((starts[begin], starts[end + 1] - 1))


def terms(counted: Counted) -> Iterator[Span]:
    """The terms among what was counted, at all their places."""
    repeated = {key: places for key, places in counted.terms.items() if len(places) > 1}
    if not repeated:
        return
    within: dict[tuple[str, ...], list[int]] = defaultdict(list)
    for key, places in repeated.items():
        for part in _parts(key):
            within[part].append(len(places))
    values = {key: _c_value(key, len(repeated[key]), within[key]) for key in repeated}
    best = sorted((k for k in values if values[k] >= _LEAST_VALUE), key=lambda k: (-values[k], k))
    for key in best[: _FEWEST + counted.words // _WORDS_A_TERM]:
        for start, end in repeated[key]:
            yield Span(start, end, "term", " ".join(key))


def _c_value(key: tuple[str, ...], frequency: int, longer: list[int]) -> float:
    own = frequency - sum(longer) / len(longer) if longer else float(frequency)
    return log2(len(key)) * own


def _parts(key: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    """The candidates within `key`, each in the form that it is counted by."""
    size = len(key)
    for length in range(2, size):
        for first in range(size - length + 1):
            part = key[first : first + length]
            yield (*part[:-1], singular(part[-1]))


def symbols(counted: Counted) -> Iterator[Span]:
    """Names of capitals and digits: those of capitals alone, others where they are repeated."""
    for word, places in counted.symbols.items():
        if _is_symbol(word, len(places)):
            for start in places:
                yield Span(start, start + len(word), "term", word.casefold())


def _is_symbol(word: str, times: int) -> bool:
    form = _form_of_symbol(word)
    return form == "capitals" or (form is not None and times > 1)


@lru_cache(maxsize=65_536)
def _form_of_symbol(word: str) -> Literal["capitals", "mixed"] | None:
    """capitals: it needs no second place. mixed: it does."""
    if not 2 <= len(word) <= _LONGEST_SYMBOL or word in _NO_SYMBOL or _ROMAN.fullmatch(word):
        return None
    if word.isalpha() and word.isupper():
        return "capitals" if len(word) in _USUAL_LENGTHS else "mixed"
    head = word.split("-")[0]
    has_form = any(c.isdigit() for c in head) or any(c.isupper() for c in head[1:])
    return "mixed" if has_form and "_" not in word else None
