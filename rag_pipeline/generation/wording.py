"""What a model says that is no claim: lead-ins, politeness, and that it does not know."""

import re
from collections.abc import Sequence
from typing import Literal

_MARKUP = re.compile(r"\[\d{1,2}(?:, ?\d{1,2})*\]|\*\*|__|`|^\s*(?:[-*+•]|\d{1,2}[.)])\s+")
_LEAD_IN = re.compile(
    r"""^(?:\W*(?:
        (?:yes|no|sure|certainly|of\ course|okay)\b\s*[,!.:]?
      | (?:based\ on|according\ to|as\ (?:stated|mentioned|described|given)\ (?:in|by)|in|from)\s
        (?:the\s|these\s|this\s)?(?:provided\s|given\s|above\s|following\s)?
        (?:passages?|contexts?|documents?|texts?|sources?|information|excerpts?)\b
        (?:\s(?:provided|given|above|\d+))*\s*,?
      | (?:the\s)?(?:passages?|contexts?|documents?|texts?|sources?)\s(?:\d+\s)?
        (?:says?|states?|mentions?|explains?|indicates?)\sthat\b
      | here\ (?:is|are)\b[^:]{0,60}:
      | (?:the\s)?answer(?:\sto\s[^:]{0,80})?\s*(?::|\bis\b\s*(?:that\b)?:?)
    ))+""",
    re.IGNORECASE | re.VERBOSE,
)
_POLITE = re.compile(
    r"\W*(?:i hope|let me know|feel free|thank you|thanks|you['’]re welcome)\b", re.IGNORECASE
)
_AUXILIARY = re.compile(
    "is|are|was|were|am|do|does|did|can|could|has|have|had|will|would|should|may|might|must"
)
_YES_OR_NO = re.compile(r"\W*(?P<said>yes|no)\b", re.IGNORECASE)

_SOURCE = r"(?:passage|context|document|text|source|information|excerpt)s?"
_CANNOT = r"(?:do(?:es)?|did|can|could)(?:\ ?not|n['’]t)|can['’]t"
_REFUSAL = re.compile(
    rf"""
      \bi\s(?:(?:{_CANNOT})\s(?:\w+\s)?|am\ (?:not\ able|unable)\ to\s)
        (?:know|find|answer|determine|tell|say|have|provide)\b
    | \b{_SOURCE}\b.{{0,40}}\b(?:{_CANNOT})\s(?:\w+\s){{0,2}}
        (?:say|mention|contain|provide|state|specify|include|answer|give|explain|tell|discuss)
    | \bthere\ is\ no\ (?:information|evidence|answer|mention)\b
    | \bno\ (?:information|evidence|answer|mention)\b.{{0,40}}\b{_SOURCE}\b
    | \bnot\ (?:explicitly\s)?(?:mentioned|stated|specified|provided|given|found)\s(?:in|by)\s
        (?:the|these|this)\s(?:\w+\s)?{_SOURCE}\b
    """,
    re.IGNORECASE | re.VERBOSE,
)


def without_markup(sentence: str) -> str:
    """The sentence without emphasis, list marker and bracketed passage numbers."""
    return _MARKUP.sub(" ", sentence).strip()


def without_lead_in(sentence: str) -> str:
    """What is left without "Based on the passages, …", "The answer is …" and the like."""
    return _LEAD_IN.sub("", sentence, count=1).strip()


def yes_or_no(sentence: str) -> Literal["yes", "no"] | None:
    """With which of the two a sentence begins."""
    found = _YES_OR_NO.match(sentence)
    if found is None:
        return None
    return "yes" if found["said"].lower() == "yes" else "no"


def asks_yes_or_no(words: Sequence[str]) -> bool:
    """Whether a question of these words, lower case, is one that "yes" answers."""
    return any(_AUXILIARY.fullmatch(word) for word in words[:1])


def is_refusal(sentence: str) -> bool:
    """Whether it says that the answer is not known or not in the passages."""
    return _REFUSAL.search(sentence) is not None


def is_filler(sentence: str) -> bool:
    """Whether it says nothing: politeness, or a lead-in with nothing after it."""
    if _POLITE.match(sentence):
        return True
    left = without_lead_in(sentence)
    return yes_or_no(sentence) is None and not any(character.isalnum() for character in left)
