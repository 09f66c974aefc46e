"""Sequences of capitalised words: what may be a name, cut where one name ends.

A capital says nothing at the beginning of a sentence or in a line that is all capitalised: what
stands there is given too, but as uncertain.
"""

import re
import sys
from collections.abc import Iterator, Sequence
from collections.abc import Set as AbstractSet
from typing import NamedTuple

from rag_pipeline.entities.lexicon import lexicon
from rag_pipeline.entities.organisations import HEADS, LEGAL_FORMS, has_head
from rag_pipeline.entities.people import (
    FIRST_NAMES,
    HONORIFICS,
    ROLES,
    looks_like_a_person,
    without_honorifics,
)
from rag_pipeline.entities.places import HEADS_LAST, is_known_place
from rag_pipeline.entities.words import ABBREVIATIONS, CALENDAR, FUNCTION_WORDS

_LAST_WITH_CASE = 0x0587
"""The Armenian small ligature: alphabets with case that come later are rare in names here."""


def _upper_class() -> str:
    upper = [chr(c) for c in range(sys.maxunicode) if c <= _LAST_WITH_CASE and chr(c).isupper()]
    return "".join(upper)


_UPPER = f"[{_upper_class()}]"
_SHORTENED = "|".join(sorted(word.capitalize() for word in ABBREVIATIONS if word.isalpha()))
_WORD = rf"{_UPPER}\w*(?:['’](?!s\b)\w+|[-‑&/]\w+)*"
_TOKEN = rf"(?:(?:{_SHORTENED})\.|(?:{_UPPER}\.){{2,}}|{_UPPER}\.(?=\s?{_UPPER})|{_WORD}|&)"
_LINK = (
    r"(?:of(?:\sthe)?|for(?:\sthe)?|and|de(?:\sla|\slos|\slas)?|du|des|di|da|del|della|van"
    r"(?:\sde[rn]?)?|von(?:\sder)?|zu|bin|ibn|la|le|el|für)"
)
_MOST_WORDS = 30
"""After the first, of what is looked at together; a longer one is a list or a title."""
_GAP = r"(?:[ \t]+|\n[ \t]*)"
_SEQUENCE = re.compile(
    rf"(?<!\w)(?!&){_TOKEN}(?:{_GAP}(?:{_LINK}{_GAP})?{_TOKEN}){{0,{_MOST_WORDS}}}"
)
_PART = re.compile(r"\S+")
_LINKS = lexicon("links")
_NAMED_BY_OF = frozenset(["of", "for", "für"])
_NO_NAME_BEFORE_OF = ROLES | HONORIFICS | CALENDAR
_HEADS = HEADS | HEADS_LAST
_SHORT_LINE = 45
"""A line that ends sooner was not wrapped: what comes below it is something else."""
_TITLE_LINE = 160
_MANY = 3
_CAPITALS = re.compile(rf"(?<!\w){_UPPER}")
_LONG_WORD = re.compile(r"(?<!\w)[^\W\d_]{4,}")

Token = tuple[int, int, str]
"""Start, end, and the word."""


class Name(NamedTuple):
    """Capitalised words, with what links them, at text[start:end]."""

    start: int
    end: int
    words: tuple[str, ...]
    starts: tuple[int, ...]
    """Where each of the words begins."""
    is_certain: bool
    """Whether the capital letter of its first word says something."""


def names(text: str, firsts: AbstractSet[int], lower: AbstractSet[str]) -> Iterator[Name]:
    """What may be names, in the order of `text`.

    `firsts` are where sentences begin, `lower` the words that stand somewhere in small letters.
    """
    lines: dict[int, bool] = {}
    for match in _SEQUENCE.finditer(text):
        if match[0].casefold() in FUNCTION_WORDS and match[0].istitle():
            continue
        for segment in _segments(text, match, firsts):
            name = _name(segment, firsts, lower)
            if name is not None:
                is_doubted = name.is_certain and _is_title(text, name, lines)
                yield _doubted(name) if is_doubted else name


def _segments(text: str, match: re.Match[str], firsts: AbstractSet[int]) -> Iterator[list[Token]]:
    """The words of `match`, cut between names."""
    if match[0].isalnum():
        yield [(match.start(), match.end(), match[0])]
        return
    tokens = [(at.start(), at.end(), at[0]) for at in _PART.finditer(text, *match.span())]
    begun = 0
    for number in range(1, len(tokens)):
        is_link = tokens[number][2] in _LINKS
        if is_link and number > begun and tokens[number - 1][2] not in _LINKS:
            cut = not _joins(tokens[begun:number], tokens[number][2], tokens[number + 1 :], firsts)
        else:
            cut = _is_new_line(text, tokens[number - 1][1], tokens[number][0])
        if cut:
            yield tokens[begun:number]
            begun = number
    yield tokens[begun:]


def _joins(
    left: Sequence[Token], link: str, right: Sequence[Token], firsts: AbstractSet[int]
) -> bool:
    """Whether `link` stands inside one name."""
    words = [word.rstrip(".").casefold() for _, _, word in left]
    if link in _NAMED_BY_OF:
        is_chance = len(words) == 1 and left[0][0] in firsts and words[0] not in _HEADS
        return not is_chance and words[-1] not in _NO_NAME_BEFORE_OF and not _is_person(left)
    if link != "and":
        return True
    if has_head(words):
        return True
    last = right[-1][2].rstrip(".").casefold() if right else ""
    is_one = len(words) == 1 and words[0] not in FIRST_NAMES and not is_known_place(left[0][2])
    return is_one and (last in HEADS or last in LEGAL_FORMS) and len(right) > 1


def _is_person(tokens: Sequence[Token]) -> bool:
    words = [word for _, _, word in tokens]
    return looks_like_a_person(words) or without_honorifics(words) > 0


def _is_new_line(text: str, end: int, start: int) -> bool:
    if "\n" not in text[end:start]:
        return False
    return end - (text.rfind("\n", 0, end) + 1) < _SHORT_LINE


def _name(tokens: list[Token], firsts: AbstractSet[int], lower: AbstractSet[str]) -> Name | None:
    """One name of `tokens`, without the words around it that only happen to be capitalised."""
    begun = 0
    while begun < len(tokens) and _is_no_name(tokens[begun], firsts, lower, len(tokens) - begun):
        begun += 1
    while len(tokens) > begun and (tokens[-1][2] in _LINKS or tokens[-1][2] == "&"):
        tokens = tokens[:-1]
    kept = tokens[begun:]
    if not kept:
        return None
    starts, ends, words = zip(*kept, strict=True)
    return Name(starts[0], ends[-1], words, starts, is_certain=starts[0] not in firsts)


def _is_no_name(token: Token, firsts: AbstractSet[int], lower: AbstractSet[str], left: int) -> bool:
    """Whether the first of `left` tokens belongs to the sentence and not to a name."""
    start, _, word = token
    plain = word.casefold()
    if word in _LINKS or plain in FUNCTION_WORDS:
        return not (word.isupper() and len(word) > 1)
    if word.isupper() and len(word) > 1:
        return False
    return left > 1 and start in firsts and plain in lower and plain not in HEADS


def _doubted(name: Name) -> Name:
    return name._replace(is_certain=False)


def _is_title(text: str, name: Name, lines: dict[int, bool]) -> bool:
    """Whether `name` stands in a line whose words are all capitalised."""
    start = text.rfind("\n", 0, name.start) + 1
    if start not in lines:
        end = text.find("\n", name.start)
        line = text[start : len(text) if end < 0 else end]
        lines[start] = len(line) <= _TITLE_LINE and _is_capitalised(line)
    return lines[start]


def _is_capitalised(line: str) -> bool:
    words = _LONG_WORD.findall(line)
    return (
        len(words) >= _MANY
        and not line.rstrip().endswith((".", "!", "?"))
        and sum(word[0].isupper() for word in words) >= 0.8 * len(words)
    )
