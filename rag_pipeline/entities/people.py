"""What tells that a name is a person's."""

import re
from collections.abc import Sequence

from rag_pipeline.entities.lexicon import lexicon

HONORIFICS = lexicon("honorifics")
"""What stands before a name and is no part of it."""
STYLES = lexicon("styles")
"""What stands before a first name and makes it one of a person: it is part of the name."""
ROLES = lexicon("roles")
FIRST_NAMES = lexicon("first_names")
_ACTS_LIKE_A_PERSON = re.compile(
    r"(?:,? who\b|['’]s (?:wife|husband|son|daughter|book|paper|novel|theory|death|letters?)\b"
    r"|\s(?:said|says|wrote|writes|was born|was married|married|died|argued|argues|invented"
    r"|discovered|replied|told|believed|thought|drowned|published|resigned|retired|painted|composed"
    r"|graduated)\b|\s\((?:born\s)?\d{4}"
    r")"
)
_TITLES = (HONORIFICS | ROLES) - STYLES
_NUMBERED = lexicon("numbered")
"""What is numbered as kings are."""
_THE = "the "
_PAST_ROLE = re.compile(r"([A-Za-z]+)[,:]?\s+$")
_ROMAN = re.compile(r"[IVX]+")
_INITIAL = re.compile(r"\w\.(?:\w\.)*")
_LOOK_BACK = 24
_LONGEST_NAME = 5


def without_honorifics(words: Sequence[str]) -> int:
    """How many of `words`, at the beginning, only say what the person is whose name follows."""
    plain = [word.rstrip(".").casefold() for word in words]
    count = 0
    while count < len(words) and plain[count] in HONORIFICS:
        count += 1
    for at in range(len(words) - 2, count - 1, -1):
        if plain[at] in _TITLES and looks_like_a_person(words[at + 1 :]):
            return at + 1
    return count if count < len(words) else 0


def looks_like_a_person(words: Sequence[str]) -> bool:
    """Whether several words have the form of a name: a first name or initials, then others."""
    if not 1 < len(words) <= _LONGEST_NAME or words[-1].isupper():
        return _is_styled(words)
    first = words[0].split("-")[0].casefold()
    if first in FIRST_NAMES or _is_styled(words):
        return True
    return any(map(_INITIAL.fullmatch, words[:-1])) and not _INITIAL.fullmatch(words[-1])


def _is_styled(words: Sequence[str]) -> bool:
    """Queen Victoria, Ptolemy II."""
    if len(words) < 2:
        return False
    first = words[0].rstrip(".").casefold()
    is_numbered = len(words) == 2 and _ROMAN.fullmatch(words[1]) and first not in _NUMBERED
    return first in STYLES or bool(is_numbered)


def acts_like_a_person(text: str, start: int, end: int) -> bool:
    """Whether what stands around text[start:end] is said of people alone."""
    if text[max(0, start - len(_THE)) : start].casefold() == _THE:
        return False
    if _ACTS_LIKE_A_PERSON.match(text, end):
        return True
    before = _PAST_ROLE.search(text[max(0, start - _LOOK_BACK) : start])
    return before is not None and before[1].casefold() in ROLES
