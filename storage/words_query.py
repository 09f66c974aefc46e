"""What somebody types to find words by, as each database's full-text search takes it.

`lighthouse keeper` finds what has both words, `"lighthouse keeper"` the phrase, `light*` what
begins so. Everything else in it is only what stands between words: no text is refused for its form.
"""

import re
import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from storage.errors import InvalidRecordError

MAX_QUERY_CHARACTERS = 10_000
MAX_QUERY_WORDS = 100
_BETWEEN = (
    "\x00-\x2f\x3a-\x40\x5b-\x60\x7b-\xbf\xd7\xf7\u2000-\u206f\u20a0-\u20cf\u2190-\u2bff"
    "\u3000-\u303f\uff00-\uff0f\ud800-\udfff"
)
SEPARATORS = re.compile(f"[{_BETWEEN}]+")
"""What stands between words; migration 0008 says the same to PostgreSQL."""
_TOKEN = re.compile(f"[^{_BETWEEN}]+")
_ACCENTS = re.compile("[\u0300-\u036f]")
_PART = re.compile(r'"([^"]*)"|([^\s"]+)')


@dataclass(frozen=True, slots=True)
class Phrase:
    """Words that follow each other; of a prefix, the last is only a beginning."""

    words: tuple[str, ...]
    is_prefix: bool = False


def phrases(text: str) -> tuple[Phrase, ...]:
    """All that is looked for; none where `text` has no word in it.

    Raises `InvalidRecordError` for more than can be looked for.
    """
    if len(text) > MAX_QUERY_CHARACTERS:
        raise InvalidRecordError(
            f"{len(text)} characters can't be looked for; give at most {MAX_QUERY_CHARACTERS}"
        )
    found = tuple(dict.fromkeys(_phrases(text)))
    words = sum(len(phrase.words) for phrase in found)
    if words > MAX_QUERY_WORDS:
        raise InvalidRecordError(f"{words} words can't be looked for; give {MAX_QUERY_WORDS}")
    return found


def words_of(text: str) -> list[str]:
    """The words of a text, without accents and case."""
    plain = _ACCENTS.sub("", unicodedata.normalize("NFKD", text))
    return SEPARATORS.sub(" ", plain).lower().split()


def fts5(found: tuple[Phrase, ...]) -> str:
    """The query for SQLite."""
    return " AND ".join(
        '"{}"{}'.format(" ".join(phrase.words), " *" if phrase.is_prefix else "")
        for phrase in found
    )


def tsquery(found: tuple[Phrase, ...]) -> str:
    """The query for PostgreSQL's `to_tsquery`."""
    return " & ".join(
        "({}{})".format(
            " <-> ".join(f"'{word}'" for word in phrase.words), ":*" if phrase.is_prefix else ""
        )
        for phrase in found
    )


def _phrases(text: str) -> Iterator[Phrase]:
    for quoted, bare in _PART.findall(text):
        words = tuple(words_of(quoted or bare))
        if words and quoted:
            yield Phrase(words)
        elif words:
            # What is written together, as in an address, stands together.
            yield Phrase(words, is_prefix=bare.endswith("*"))


def spans(text: str, wanted: Iterable[Phrase]) -> list[tuple[int, int]]:
    """Where in `text` the phrases stand, as starts and ends, in order and apart from each other."""
    tokens = [(found.start(), found.end(), words_of(found[0])) for found in _TOKEN.finditer(text)]
    words = [" ".join(token[2]) for token in tokens]
    covered: set[int] = set()
    for phrase in wanted:
        length = len(phrase.words)
        for at in range(len(words) - length + 1):
            if _fits(words[at : at + length], phrase):
                covered.update(range(at, at + length))
    return [tokens[at][:2] for at in sorted(covered)]


def _fits(words: list[str], phrase: Phrase) -> bool:
    *first, last = phrase.words
    ends = words[-1].startswith(last) if phrase.is_prefix else words[-1] == last
    return ends and words[:-1] == first
