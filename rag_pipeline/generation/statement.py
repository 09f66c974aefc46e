"""Whether a sentence says word for word what a question asks, and something at the place of it.

"When was the harbour dredged?", taken as a statement, is "the harbour … dredged", and "The harbour
was dredged in 1874" says just that, with a date behind it. Of what can be told without
understanding, this is the surest sign that a sentence answers; word order, prepositions and
whatever stands between are part of it. Only English question words are known: other questions have
no statement.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Literal

from rag_pipeline.generation.asking import DATE, is_of_kind
from rag_pipeline.generation.claims import content
from storage.keyword_index.languages import stemmer

Kind = Literal["when", "number", "who", "where", "why", "how", "what"]
Fit = Literal["wholly", "nearly", "no"]

_TOKEN = re.compile(r"\d+(?:[.,:/]\d+)*\w*|\w+(?:['’]\w+)*|[;:()—–,]")
_BREAKS = frozenset(";:()—–")
_ENGLISH = stemmer("en")
_QUESTION_WORDS = frozenset(
    {"what", "which", "who", "whom", "whose", "when", "where", "why", "how"}
)
_AUXILIARY_WORDS = (
    "is are was were be been being do does did has have had can could will would may might must "
    "should shall"
)
_AUXILIARIES = frozenset(_AUXILIARY_WORDS.split())
_ARTICLES = frozenset({"a", "an", "the", ","})
_SKIPPED = _AUXILIARIES | _ARTICLES
_ROLES = frozenset({"to", "from", "by", "with", "for", "against"})
"""Words before a noun that say what part it has."""
_BEING = frozenset({"is", "are", "was", "were"})
_DENIALS = re.compile(r"\b(?:not|never|no|without|least)\b|n['’]t\b", re.IGNORECASE)
_PREFIXES = frozenset({"non", "anti", "un"})
_PRONOUNS = frozenset({"it", "they", "he", "she", "this"})
_DATE = re.compile(DATE, re.IGNORECASE)
_NUMBER = re.compile(
    r"\b\d[\d,.]*\b|\b(?:two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|dozen|hundred"
    r"|thousand|million|billion|half|third|quarter|twenty|thirty|forty|fifty)\b",
    re.IGNORECASE,
)
_KINDS: tuple[tuple[Kind, re.Pattern[str]], ...] = (
    ("when", re.compile(r"\bwhen\b|\b(?:what|which) (?:year|date|day|month|century|decade)")),
    (
        "number",
        re.compile(
            r"\bhow (?:many|much|far|tall|high|long|old|deep|large|often|big)"
            r"|what (?:percent|number|age|height|depth|length)"
        ),
    ),
    ("who", re.compile(r"\bwho(?:m|se)?\b")),
    ("where", re.compile(r"\bwhere\b")),
    ("why", re.compile(r"\bwhy\b")),
    ("how", re.compile(r"\bhow\b")),
)
_HEAD_WORDS = 5
"""So many words between the question word and the verb may say what kind of thing is asked for."""
_SHORTEST = 2
_LONG = 4
"""A statement of fewer words stands in many sentences by chance."""
_INSERTED, _INSERTED_NEARLY = 2, 8
"""Words that a sentence may have between those of the statement."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Statement:
    """A question without its question word and auxiliaries, stemmed."""

    kind: Kind
    head: tuple[str, ...]
    """Stems of the kind of thing that is asked for: "many workers"."""
    front: tuple[str, ...]
    """What stands before the question word."""
    words: tuple[str, ...]
    articles: int
    """How many "a", "an" and "the" it has beside them."""
    last: str
    """The last of them as it is written."""
    is_subject: bool
    """Whether the subject is asked for: it stands before the statement, else behind."""
    is_active: bool
    """Whether it is asked with "do"."""
    is_copula: bool
    """Whether a form of "be" links what is asked for to the statement."""


def denies(question: str) -> bool:
    """Whether a question asks for what is not, or for the least."""
    return _DENIALS.search(question) is not None


def kind_of(question: str) -> Kind:
    """What kind of thing is asked for."""
    lower = question.lower()
    return next((kind for kind, pattern in _KINDS if pattern.search(lower)), "what")


def statement_of(question: str) -> Statement | None:
    """The statement that an answer would make; None for what has no such form."""
    words = _TOKEN.findall(question)
    lower = [word.lower() for word in words]
    at = next((place for place, word in enumerate(lower) if word in _QUESTION_WORDS), None)
    if at is None or (at > 1 and "," not in words[max(0, at - 2) : at]):
        return None
    verb = _verb(lower, at)
    if verb >= len(words):
        return None
    front = _stems(word for word in words[:at] if word != ",")
    return Statement(
        kind=kind_of(question),
        head=tuple(stem for word in lower[at + 1 : verb] for stem in content(word)),
        front=front if len(front) > 1 else (),
        words=_stems(word for word in words[verb:] if word != ","),
        articles=sum(word in {"a", "an", "the"} for word in lower[verb:]),
        last=lower[-1],
        is_subject=lower[verb] not in _AUXILIARIES,
        is_active=lower[verb] in {"do", "does", "did"},
        is_copula=lower[verb] in _BEING and kind_of(question) in ("what", "who"),
    )


def _verb(words: Sequence[str], at: int) -> int:
    """Where what follows the question word, and the kind of thing it asks for, begins."""
    if words[at] in {"what", "which", "whose", "how"}:
        for place in range(at + 1, min(len(words), at + 2 + _HEAD_WORDS)):
            if words[place] in _AUXILIARIES:
                return place
    return at + 1


def _stems(words: Iterable[str]) -> tuple[str, ...]:
    return tuple(_stem(word) for word in words if word.lower() not in _SKIPPED | _BREAKS)


def _stem(word: str) -> str:
    plain = word.lower().replace("’", "'").removesuffix("'s")
    return _ENGLISH(plain)


def fit(question: str, sentence: str) -> Fit:
    """How far `sentence` makes the statement that answers `question`."""
    asked = statement_of(question)
    if asked is None or len(asked.words) < _SHORTEST or asked.kind == "why" or denies(question):
        return "no"
    if not is_of_kind(question, sentence):
        return "no"
    words = [w for w in _TOKEN.findall(sentence) if w.lower() not in _SKIPPED]
    if asked.is_copula and not _is_linked(asked.words, sentence):
        return "no"
    if asked.is_active and _is_passive(asked.words, sentence):
        return "no"
    found = _fit(asked, words)
    return found if found != "no" or asked.kind != "who" else _fit(_passive(asked), words)


def _is_linked(wanted: Sequence[str], sentence: str) -> bool:
    """Whether a form of "be" stands in, before or behind the words of the statement."""
    return not _BEING.isdisjoint(_part_with(wanted, sentence, beside=1))


def _is_passive(wanted: Sequence[str], sentence: str) -> bool:
    """Whether the statement's words stand with a form of "be" between them."""
    return not _BEING.isdisjoint(_part_with(wanted, sentence, beside=0))


def _part_with(wanted: Sequence[str], sentence: str, *, beside: int) -> list[str]:
    """The words of the statement and those between, in lower case, with some on each side."""
    words = [word for word in _TOKEN.findall(sentence.lower()) if word not in _ARTICLES]
    place = _window(wanted, [_stem(word) for word in words])
    if place is None:
        return []
    return words[max(0, place[0] - beside) : place[1] + beside]


def _passive(asked: Statement) -> Statement:
    """For "Who built the tower?", which "The tower was built by …" answers, too."""
    if not asked.is_subject:
        return asked
    verb, *rest = asked.words
    return replace(asked, words=(*rest, verb, "by"), is_subject=False)


def _fit(asked: Statement, words: Sequence[str]) -> Fit:
    stems = [_stem(word) for word in words]
    place = _window(asked.words, stems)
    if place is None or not _agrees(asked, words, stems, place):
        return "no"
    inserted = place[1] - place[0] - len(asked.words)
    if inserted > _INSERTED_NEARLY:
        return "no"
    is_whole = inserted <= _INSERTED and len(asked.words) + asked.articles >= _LONG
    return "wholly" if is_whole and not _is_participle(asked, words[place[1] - 1]) else "nearly"


def _is_participle(asked: Statement, last: str) -> bool:
    """Whether a sentence has "an age beginning" where a question has "did the age begin"."""
    return last.endswith("ing") and not asked.last.endswith("ing")


def _window(wanted: Sequence[str], stems: Sequence[str]) -> tuple[int, int] | None:
    """The shortest part of `stems` found that has all of `wanted` in order; start and end."""
    best: tuple[int, int] | None = None
    for start in [place for place, stem in enumerate(stems) if stem == wanted[0]]:
        end = start + 1
        for stem in wanted[1:]:
            end = next((at + 1 for at in range(end, len(stems)) if stems[at] == stem), 0)
            if not end:
                return best
        if best is None or end - start < best[1] - best[0]:
            best = start, end
    return best


def _agrees(
    asked: Statement, words: Sequence[str], stems: Sequence[str], place: tuple[int, int]
) -> bool:
    """Whether nothing turns the statement round and what is asked for stands beside it."""
    start, end = place
    if not _PREFIXES.isdisjoint(stems[max(0, start - 1) : end]):
        return False
    if asked.is_subject and start and words[start - 1].lower() == "to":
        return False
    if _moves(asked.words, stems[start:end]):
        return False
    wanted = [*asked.front, *_wanted_head(asked)]
    return all(stem in stems for stem in wanted) and _has_answer(asked, words, place)


def _moves(wanted: Sequence[str], window: Sequence[str]) -> bool:
    """Whether a word between those of the statement gives the next of them another part."""
    places: list[int] = []
    for stem in wanted:
        places.append(window.index(stem, places[-1] + 1 if places else 0))
    gaps = (window[one + 1 : other] for one, other in pairwise(places))
    return any(gap and gap[-1] in _ROLES for gap in gaps)


def _wanted_head(asked: Statement) -> Sequence[str]:
    if asked.kind == "when":
        return ()
    return asked.head[1:] if asked.kind == "number" else asked.head


def _has_answer(asked: Statement, words: Sequence[str], place: tuple[int, int]) -> bool:
    start, end = place
    before, behind = _until_break(words[:start][::-1])[:4], _until_break(words[end:])[:5]
    if asked.kind in ("when", "number"):
        pattern = _DATE if asked.kind == "when" else _NUMBER
        beside = [*before[::-1], *words[start:end], *behind]
        return pattern.search(" ".join(_new(asked, beside))) is not None
    if asked.kind == "where":
        return any(map(_is_name, _new(asked, behind[:4])))
    near = before[:2] if asked.is_subject else behind[:3]
    if asked.kind == "who" and not asked.is_subject and asked.words[-1] != "by":
        near = [*before[:2], *near]
    is_answer = _is_name if asked.kind == "who" else content
    return any(map(is_answer, _new(asked, near)))


def _new(asked: Statement, words: Sequence[str]) -> list[str]:
    """Those that the question does not have itself."""
    known = {*asked.words, *asked.front}
    return [word for word in words if _stem(word) not in known]


def _is_name(word: str) -> bool:
    return word[:1].isupper() and bool(content(word)) and word.lower() not in _PRONOUNS


def _until_break(words: Sequence[str]) -> list[str]:
    broken = next((at for at, word in enumerate(words) if word in _BREAKS), len(words))
    return list(words[:broken])
