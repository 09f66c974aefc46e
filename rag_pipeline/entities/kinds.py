"""Decides what capitalised words name, from all places of one name in a text together."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from functools import lru_cache
from typing import NamedTuple

from rag_pipeline.entities.capitals import Name
from rag_pipeline.entities.mention import Span, folded, singular
from rag_pipeline.entities.organisations import HEADS, LEGAL_FORMS, looks_like_an_organisation
from rag_pipeline.entities.people import (
    FIRST_NAMES,
    HONORIFICS,
    ROLES,
    STYLES,
    acts_like_a_person,
    looks_like_a_person,
    without_honorifics,
)
from rag_pipeline.entities.places import (
    HEADS_LAST,
    is_known_place,
    looks_like_a_place,
    stands_where_places_do,
)
from rag_pipeline.entities.words import CALENDAR, FUNCTION_WORDS, NATIONAL
from storage.entities import EntityKind

_CAPITALISED_NOUNS = frozenset({"de", "lb"})
"""Languages in which a capital says nothing of a noun."""
_GENERIC = (
    HEADS | LEGAL_FORMS | HEADS_LAST | HONORIFICS | STYLES | ROLES | CALENDAR | NATIONAL
    | FUNCTION_WORDS
)  # fmt: skip
"""Words that alone name nobody in particular."""
_AFTER_SURNAMES = frozenset({"jr", "sr", "ii", "iii", "iv"})
_ENOUGH = 2
"""Places at which a single unknown word has to be capitalised to be a term."""


class _Placed(NamedTuple):
    """A name without the honorifics before it."""

    name: Name
    start: int
    words: tuple[str, ...]
    key: str
    has_honorific: bool


def decide(
    text: str, names: Iterable[Name], lower: AbstractSet[str], language: str | None
) -> list[Span]:
    """What of `names` is an entity. `lower` are the words of `text` in small letters."""
    groups: dict[str, list[_Placed]] = defaultdict(list)
    for name in names:
        placed = _placed(name)
        groups[placed.key].append(placed)
    is_telling = language not in _CAPITALISED_NOUNS
    kinds = {
        key: kind
        for key, group in groups.items()
        if (kind := _by_form(group, lower) or _by_place(text, group, lower, is_telling))
    }
    whole = _whole_names(groups, kinds, lower)
    spans: list[Span] = []
    for key, group in groups.items():
        kind = "person" if key in whole else kinds.get(key)
        if kind:
            stands_for = whole.get(key, key) if kind == "person" else _key(key, kind)
            spans += [Span(p.start, p.name.end, kind, stands_for) for p in group]
    return spans


def _placed(name: Name) -> _Placed:
    count = _titles(name.words)
    words = name.words[count:]
    return _Placed(name, name.starts[count], words, folded(" ".join(words)), count > 0)


def _key(key: str, kind: EntityKind) -> str:
    if kind != "term":
        return key
    *others, last = key.split(" ")
    return " ".join((*others, singular(last))) if others else key


def _by_form(group: Sequence[_Placed], lower: AbstractSet[str]) -> EntityKind | None:
    """The kind that the words themselves tell, or what stands before one of them."""
    first = group[0]
    words, plain = first.words, first.key
    if any(placed.has_honorific for placed in group) and plain not in _GENERIC:
        return "person"
    if plain in _GENERIC or (len(words) == 1 and plain in lower):
        return None
    return _form_of(words)


@lru_cache(maxsize=65_536)
def _form_of(words: tuple[str, ...]) -> EntityKind | None:
    if looks_like_an_organisation(words):
        return "organisation"
    if is_known_place(" ".join(words)) or looks_like_a_place(words):
        return "place"
    return "person" if looks_like_a_person(words) else None


@lru_cache(maxsize=65_536)
def _titles(words: tuple[str, ...]) -> int:
    """How many of `words` are no part of the name, which an organisation's would be."""
    count = without_honorifics(words)
    return 0 if count and looks_like_an_organisation(words) else count


def _by_place(
    text: str, group: Sequence[_Placed], lower: AbstractSet[str], is_telling: bool
) -> EntityKind | None:
    """The kind of a name that nothing is known of, from where it stands."""
    words, plain = group[0].words, group[0].key
    certain = [placed for placed in group if placed.name.is_certain]
    is_single = len(words) == 1
    if plain in _GENERIC or (is_single and (plain in lower or _is_symbol(words[0]))):
        return None
    if certain and any(acts_like_a_person(text, p.name.start, p.name.end) for p in group):
        return "person"
    if not is_telling or not certain:
        return None
    if is_single and 2 * sum(stands_where_places_do(text, p.start) for p in certain) > len(group):
        return "place"
    return "term" if not is_single or len(certain) >= _ENOUGH else None


def _is_symbol(word: str) -> bool:
    """BRCA1, DNA: these are counted as terms by their form."""
    return word.isupper() or not (word.istitle() or word.isalpha())


def _whole_names(
    groups: Mapping[str, Sequence[_Placed]],
    kinds: Mapping[str, EntityKind],
    lower: AbstractSet[str],
) -> dict[str, str]:
    """For parts of a name (a surname, a first name, initials) the one whole name that has them.

    What several people share is a person's name too, but stands for itself.
    """
    people = {key: groups[key][0].words for key, kind in kinds.items() if kind == "person"}
    shortened = {key for words in people.values() for key in _with_initial(words)} & people.keys()
    whole: dict[str, set[str]] = defaultdict(set)
    for key, words in people.items():
        if key not in shortened:
            for part in (*_short_forms(words), *_with_initial(words)):
                whole[part].add(key)
    return {
        part: next(iter(names)) if len(names) == 1 else part
        for part, names in whole.items()
        if part in groups and part not in lower and part not in _GENERIC
    }


def _with_initial(words: Sequence[str]) -> Iterable[str]:
    first, last = folded(words[0]), folded(words[-1])
    if len(words) > 1 and len(first) > 2 and "of" not in words:
        yield f"{first[0]}. {last}"


def _short_forms(words: Sequence[str]) -> Iterable[str]:
    plain = [folded(word) for word in words]
    while len(plain) > 1 and plain[-1].rstrip(".") in _AFTER_SURNAMES:
        plain.pop()
    if len(plain) == 1 or plain[0].rstrip(".") in STYLES:
        return
    if plain[0] in FIRST_NAMES and not is_known_place(plain[0]):
        yield plain[0]
    if "of" not in plain:
        yield plain[-1]
