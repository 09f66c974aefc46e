"""What a sentence claims, as far as its words show it: content, numbers, names and negations.

A small language model copies words well and facts badly. These are the parts of a sentence that
turn a true one into a false one when a single word is changed; comparing them needs no model.
"""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence, Set
from dataclasses import dataclass

from storage.keyword_index.analysis import analyse

_WORD = re.compile(r"\d+(?:[.,:/]\d+)*\w*|\w+(?:['’]\w+)*")
_NUMBER = re.compile(r"[\d.,:/]+(?:(?:st|nd|rd|th|s)\b)?")
_CLAUSE_END = re.compile(
    r"[,;:](?!\d)|[()\[\]—–]|\s-\s|\b(?:and|but|while|whereas|although|because|who|which)\b"
)

_CARDINALS = (
    "two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen "
    "seventeen eighteen nineteen"
)
_TENS = "twenty thirty forty fifty sixty seventy eighty ninety"
_ORDINALS = "fourth fifth sixth seventh eighth ninth tenth eleventh twelfth"
_NUMBER_WORDS = (
    {word: str(value) for value, word in enumerate(_CARDINALS.split(), start=2)}
    | {word: str(value) for value, word in zip(range(20, 100, 10), _TENS.split(), strict=True)}
    | {word: f"{value}th" for value, word in enumerate(_ORDINALS.split(), start=4)}
    | {"first": "1st", "second": "2nd", "third": "3rd"}
)
"""Without "one", which is a pronoun more often than a number."""

_NEGATORS = frozenset(
    {"not", "no", "never", "neither", "nor", "none", "nobody", "nothing", "cannot", "without"}
)
_STRESSES = frozenset({"longer", "yet", "ever", "even", "really", "actually"})
"""Words between a negation and what it denies."""

_SCOPE = 2
"""How many content words after a negation it is taken to deny."""
_WORDS_IN_SCOPE = 8
"""And among how many words they are looked for: this keeps the scan linear."""
_REACH_IN_CLAIM = 1
_REACH_IN_SPAN = 3
"""How many content words on each side are neighbours; more in the span, which may say more."""
_NOTHING = ""
"""What is denied where nothing follows: "It is not."."""

_Place = tuple[frozenset[str], frozenset[str]]

_OPPOSITE_PAIRS = (
    "before/after above/below more/less more/fewer most/least increase/decrease increase/reduce "
    "rise/fall rose/fell larger/smaller largest/smallest higher/lower highest/lowest "
    "longer/shorter longest/shortest older/younger oldest/youngest earlier/later first/last "
    "north/south east/west northern/southern eastern/western northeast/southwest "
    "northwest/southeast left/right upper/lower up/down inside/outside won/lost win/lose "
    "male/female maximum/minimum major/minor majority/minority positive/negative "
    "success/failure allow/forbid allow/prohibit possible/impossible legal/illegal true/false "
    "hot/cold begin/end began/ended start/finish open/close import/export accept/reject "
    "support/oppose gain/lose always/never"
)


_FUNCTION_WORDS = (
    "what when where which who whom whose why how do does did doing done am were been being has "
    "have had having can could should would may might must shall i me my we us our you your he him "
    "his she her hers its them those from than so too very also about any some each both either "
    "neither nor never none nobody nothing cannot without don't doesn't didn't isn't aren't "
    "wasn't weren't hasn't haven't hadn't can't couldn't won't wouldn't shouldn't"
)
"""Words without content that keyword search keeps; negations are weighed by themselves."""


def content(text: str) -> list[str]:
    """Stems of the content words of `text`, in order, with repetitions."""
    return [stem for stem in analyse(text) if stem not in _EMPTY_STEMS]


_EMPTY_STEMS = frozenset(analyse(_FUNCTION_WORDS))


def _pairs_of_opposites() -> dict[str, frozenset[str]]:
    opposites: dict[str, frozenset[str]] = {}
    for pair in _OPPOSITE_PAIRS.split():
        one, other = (frozenset({word, *analyse(word)}) for word in pair.split("/"))
        for words, against in ((one, other), (other, one)):
            opposites |= {word: opposites.get(word, frozenset()) | against for word in words}
    return opposites


_OPPOSITES = _pairs_of_opposites()


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """One sentence, taken apart; stems are those of keyword search."""

    words: tuple[str, ...]
    """All words in order, lower case."""
    order: tuple[str, ...]
    """Stems of the content words in order, with repetitions."""
    stems: frozenset[str]
    clauses: tuple[frozenset[str], ...]
    """The stems again, clause by clause."""
    numbers: Counter[str]
    """Numbers in one spelling ("1,000" is "1000", "third" is "3rd"), with how often they occur."""
    names: frozenset[str]
    """Stems of words that are capitalised inside the sentence."""
    opening: frozenset[str]
    """Stems of the first word: a name, or capitalised because it comes first."""
    denied: tuple[tuple[str, ...], ...]
    """For each negation the next stems, the nearest first."""

    def names_given(self, common: Set[str]) -> frozenset[str]:
        """The names, with the first word unless it is among the `common` stems."""
        return self.names | (self.opening - common)

    def marks(self, common: Set[str]) -> Counter[str]:
        """Names and numbers with how often they occur."""
        names = self.names_given(common)
        occurring = Counter(stem for stem in self.order if stem in names)
        return occurring + self.numbers


def claim_in(sentence: str) -> Claim:
    """Take one sentence apart."""
    words = _WORD.findall(sentence)
    order = content(sentence)
    clauses = [frozenset(content(clause)) for clause in _CLAUSE_END.split(sentence)]
    return Claim(
        words=tuple(word.lower() for word in words),
        order=tuple(order),
        stems=frozenset(order),
        clauses=tuple(clause for clause in clauses if clause),
        numbers=Counter(_numbers(words)),
        names=_stems(word for word in words[1:] if word != word.lower()),
        opening=_opening(sentence, words),
        denied=tuple(_denied(sentence)),
    )


def joined(first: Claim, second: Claim) -> Claim:
    """Two adjacent sentences as one."""
    return Claim(
        words=first.words + second.words,
        order=first.order + second.order,
        stems=first.stems | second.stems,
        clauses=first.clauses + second.clauses,
        numbers=first.numbers + second.numbers,
        names=first.names | second.names,
        opening=first.opening | second.opening,
        denied=first.denied + second.denied,
    )


def lower_case_stems(text: str) -> frozenset[str]:
    """Stems of the words that `text` writes in lower case: these are no names."""
    return _stems(word for word in _WORD.findall(text) if word == word.lower())


def same_polarity(claim: Claim, span: Claim) -> bool:
    """Whether both deny the same things, of the things that both speak of."""
    return (
        len(claim.denied) <= len(span.denied)
        and all(_is_denied(stems, span) for stems in claim.denied)
        and all(_is_denied(stems, claim) for stems in span.denied if stems[0] in claim.stems)
    )


def _is_denied(stems: tuple[str, ...], claim: Claim) -> bool:
    return any(stems[0] in others or others[0] in stems for others in claim.denied)


def same_places(claim: Claim, span: Claim) -> bool:
    """Whether names and numbers have the neighbours in the claim that they have in the span.

    "Charles swore fealty to Rollo" has the words of "Rollo swore fealty to Charles", no more. Where
    the span has a single name there is nothing to confuse it with. Names and numbers that the span
    has not are left to others to judge.
    """
    names = claim.names | claim.opening | span.names | span.opening
    numbers = frozenset(stem for stem in claim.order + span.order if stem[0].isdigit())
    return _are_in_place(claim, span, names) and _are_in_place(claim, span, numbers)


def _are_in_place(claim: Claim, span: Claim, marks: Set[str]) -> bool:
    shown: dict[str, list[_Place]] = {}
    for stem, place in _places(span, marks, reach=_REACH_IN_SPAN):
        shown.setdefault(stem, []).append(place)
    if len({place for places in shown.values() for place in places}) < 2:
        return True
    return all(
        any(_is_near(place, other) for other in shown.get(stem, [place]))
        for stem, place in _places(claim, marks, reach=_REACH_IN_CLAIM)
    )


def _is_near(place: _Place, other: _Place) -> bool:
    """Whether two places share a word on the same side; one without any words fits everywhere."""
    sides = list(zip(place, other, strict=True))
    return not any(place) or any(not one.isdisjoint(two) for one, two in sides)


def _places(claim: Claim, marks: Set[str], *, reach: int) -> Iterator[tuple[str, _Place]]:
    """Each mark with the nearest other content words to its left and right."""
    plain = [stem for stem in claim.order if stem not in marks]
    passed = 0
    for stem in claim.order:
        if stem in marks:
            left, right = plain[max(0, passed - reach) : passed], plain[passed : passed + reach]
            yield stem, (frozenset(left), frozenset(right))
        else:
            passed += 1


def opposed(claim: Claim, span: Claim) -> bool:
    """Whether one says "before" where the other says "after", or the like."""
    said, shown = claim.stems.union(claim.words), span.stems.union(span.words)
    unsaid = shown - said
    return any(not unsaid.isdisjoint(_OPPOSITES.get(word, ())) for word in said - shown)


def _stems(words: Iterable[str]) -> frozenset[str]:
    return frozenset(content(" ".join(words)))


def _opening(sentence: str, words: Sequence[str]) -> frozenset[str]:
    """Stems of a capitalised first word, unless it is an adverb that comments on the sentence."""
    if not words or words[0] == words[0].lower():
        return frozenset()
    comments = words[0].endswith("ly") or sentence.partition(words[0])[2].startswith(",")
    return frozenset() if comments else _stems(words[:1])


def _numbers(words: Iterable[str]) -> Iterator[str]:
    for word in words:
        if number := _NUMBER.match(word.lower()):
            yield number[0].replace(",", "")
        elif spelled := _NUMBER_WORDS.get(word.lower()):
            yield spelled


def _denied(sentence: str) -> Iterator[tuple[str, ...]]:
    for clause in _CLAUSE_END.split(sentence):
        words = [word.lower().replace("’", "'") for word in _WORD.findall(clause)]
        for place, word in enumerate(words):
            following = words[place + 1 : place + 1 + _WORDS_IN_SCOPE]
            if (word in _NEGATORS or word.endswith("n't")) and following[:1] != ["only"]:
                told = " ".join(word for word in following if word not in _STRESSES)
                yield tuple(content(told)[:_SCOPE]) or (_NOTHING,)
