"""What a question is about, and who is named, as far as spelling and word order show it."""

import re
from collections.abc import Sequence
from itertools import zip_longest


def _words(listed: str) -> frozenset[str]:
    return frozenset(listed.split())


_NAME_WORD = r"[A-ZÀ-ÖØ-Þ][\w'’.-]*\w|[A-Z]"
_NAME = re.compile(
    rf"(?:{_NAME_WORD})(?:(?: (?:of|the|de|du|van|von|der|la|le|da|di|and|&))* (?:{_NAME_WORD}|"
    rf"\d+))*"
)
_NO_NAMES = _words(
    "what which who whom whose where when why how is are was were do does did can could will would "
    "should has have had may must the a an in on at to for from by of and or but if it its he she "
    "they there this that these those yes no i my we our you your according tell give name list "
    "explain describe also so then please after before during since until with as not some many "
    "most "
    "all every each both one two three four five six seven eight nine ten per about under over "
    "between "
    "monday tuesday wednesday thursday friday saturday sunday january february march april may "
    "june "
    "july august september october november december documents und oder wer was wie wann wo "
    "warum der "
    "die das ist"
)
_JOINS = _words("of the de du van von der la le da di and &")

_DETERMINED = re.compile(r"\b(?:the|a|an|my|our|your|his|her|their|this|that) ", re.IGNORECASE)
_NO_NOUN = _words(
    "is are was were be been being do does did has have had can could will would should may must "
    "in on at from to by for with without into onto during after before since until when where who "
    "which that what why how and or but if than as about against between through per not "
    "built made found held kept sold written born taken given known set cut open opens close "
    "closes "
    "cost costs weigh weighs stand stands live lives grow grows eat eats work works begin begins "
    "start "
    "starts end ends run runs come comes go goes get gets take takes need needs last lasts measure "
    "contain contains allow allows have become becomes mean means happen happens look looks lie "
    "lies "
    "use uses serve serves offer offers it they he she named called located situated reset put "
    "let hit read led lost met paid sent spent won shut caught "
    "brought bought taught thought told drawn driven grown moved struck"
)
_AUXILIARY = re.compile(
    r"\b(?:is|are|was|were|do|does|did|can|could|will|would|should|has|have|had|may|must) ",
    re.IGNORECASE,
)
_DOES = re.compile(r"\b(?:do|does|did|can|could|will|would|should|may|must) $", re.IGNORECASE)
_LONGEST = 5
"""Words of a noun phrase before its "of"."""


def names_in(text: str) -> list[str]:
    """Runs of capitalised words that are no question words, in order, each once."""
    found: list[str] = []
    for match in _NAME.finditer(text):
        words = match[0].split()
        while words and words[0].lower() in _NO_NAMES:
            words.pop(0)
        while words and words[-1].lower() in _JOINS:
            words.pop()
        name = " ".join(words)
        if name and name not in found and not name.isdecimal():
            found.append(name)
    return found


def person_in(text: str) -> str | None:
    """The last name of two or more words, else the last name."""
    names = [name for name in names_in(text) if " of " not in name]
    full = [name for name in names if 2 <= len(name.split()) <= 4]
    known = full or names
    return known[-1] if known else None


def subject_of(question: str) -> str | None:
    """The noun phrase, or else the name, that the question asks about; None if there is none.

    A phrase with a name in it ("the lighthouse of Ravenport") before a name alone, that before a
    phrase without one, and last what stands after the first auxiliary ("do bees").
    """
    phrases = [phrase for phrase in _phrases(question) if len(phrase.split()) > 1]
    named = [phrase for phrase in phrases if names_in(phrase)]
    if named:
        return named[0]
    names = names_in(question)
    if names:
        return names[0]
    return phrases[0] if phrases else _after_auxiliary(question)


def _phrases(question: str) -> list[str]:
    return [_without_verb(question, at.start()) for at in _DETERMINED.finditer(question)]


def _without_verb(question: str, start: int) -> str:
    """The phrase at `start`; after "does" the last word of the question is its verb."""
    phrase = phrase_at(question[start:])
    is_last = question[start:].rstrip("? ").endswith(phrase)
    words = phrase.split()
    if is_last and _DOES.search(question[:start]) and len(words) > len(("the", "noun")):
        return " ".join(words[:-1])
    return phrase


def phrase_at(text: str) -> str:
    """The noun phrase that `text` begins with: up to a verb, a preposition or a stop."""
    words = re.split(r"[?,.;:!()]", text)[0].split()
    kept = words[:1]
    for word, following in zip_longest(words[1:], words[2:], fillvalue=""):
        leads_on = word == "to" and following[:1].isupper()
        if not leads_on and (_ends(word, kept) or len(kept) > _LONGEST + 3):
            break
        kept.append(word)
    while kept and kept[-1].lower() in _JOINS:
        kept.pop()
    return " ".join(kept)


def _ends(word: str, kept: Sequence[str]) -> bool:
    """Whether a noun phrase of the words that are `kept` ends before `word`: at a verb, or after
    the name of what it belongs to."""
    if word.lower() in _NO_NOUN or _is_participle(word):
        return True
    has_owner = kept[-1][:1].isupper() and not {"of", "to"}.isdisjoint(kept)
    return has_owner and word.islower() and word not in _JOINS


def _is_participle(word: str) -> bool:
    return word.islower() and word.endswith("ed") and len(word) > len("need")


def _after_auxiliary(question: str) -> str | None:
    found = _AUXILIARY.search(question)
    if found is None:
        return None
    kept: list[str] = []
    for word in re.split(r"[?,.;:!()]", question[found.end() :])[0].split()[:3]:
        if word.lower() in _NO_NOUN or word.lower() in _NO_NAMES:
            break
        kept.append(word)
        if word.endswith("s"):
            break
    return " ".join(kept) or None
