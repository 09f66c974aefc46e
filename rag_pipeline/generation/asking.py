"""What kind of thing a question asks for, and whether a sentence has one."""

import re

from rag_pipeline.generation.claims import Claim

ASKS_NUMBER = re.compile(
    r"\bhow (?:many|much|far|tall|high|long|old|deep|wide|big|large|heavy|fast|often|late|early)\b"
    r"|\bwhen\b|\b(?:what|which) (?:year|date|day|month|century|decade|percent|number|height|age)",
    re.IGNORECASE,
)
_ASKS_NAME = re.compile(r"\b(?:who|whom|whose|where)\b", re.IGNORECASE)

DATE = (
    r"\b(?:1\d{3}|20\d\d|(?:\d{1,2}(?:st|nd|rd|th)|first|second|third|fourth|fifth|sixth|seventh"
    r"|eighth|ninth|tenth|eleventh|twelfth|\w{3,8}teenth|twentieth|twenty-first)[ -]centur(?:y|ies)"
    r"|(?<!\d[,.])\d{3,4}s?(?![,.]\d)|january|february|march|april|may|june|july|august|september|october|november"
    r"|december)\b"
)
"""As a pattern without regard to case."""
_AMOUNT = (
    r"(?:\d[\d,./]{0,12}|an?|one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|dozen"
    r"|half|third|quarter|twenty|thirty|forty|fifty|several|hundreds?|thousands?|[mb]illions?)"
)
_LENGTH = (
    r"(?:(?:kilo|centi|milli)?met(?:re|er)s?|[kcm]?m|feet|foot|ft|miles?|inch(?:es)?|yards?|fathoms?"
    r"|stor(?:ey|y|ies)|light-years?)"
)
_TIME = r"(?:years?|months?|weeks?|days?|hours?|minutes?|seconds?|centur(?:y|ies)|decades?)"
_WEIGHT = r"(?:(?:kilo|milli)?gram(?:me)?s?|k?g|tons?|tonnes?|pounds?|lbs?|ounces?)"


def _amount_of(unit: str) -> str:
    """Of "31 metres" and "two million years", and of "height in metres: 31"."""
    return rf"\b{_AMOUNT}(?:[\s-]\w{{1,12}})?[\s-]?{unit}\b|\b{unit}\b[^.]{{0,12}}\d"


def _kind(asks: str, *answers: str) -> tuple[re.Pattern[str], re.Pattern[str]]:
    return re.compile(asks, re.IGNORECASE), re.compile("|".join(answers), re.IGNORECASE)


_KINDS = (
    _kind(r"^\W*(?:\w+ )?when\b|\b(?:what|which) (?:year|date|day|month|century|decade)", DATE),
    _kind(
        r"\bhow (?:far|tall|high|deep|wide)\b"
        r"|\bwhat (?:(?:is|was|are|were) the )?(?:height|depth|width|length|altitude|elevation)\b",
        _amount_of(_LENGTH),
    ),
    _kind(r"\bhow old\b|\bwhat age\b", _amount_of(_TIME), r"\baged?\b"),
    _kind(r"\bhow long\b", _amount_of(_LENGTH), _amount_of(_TIME), DATE),
    _kind(r"\bhow heavy\b|\bhow much (?:\w+ ){1,8}weigh\b", _amount_of(_WEIGHT)),
    _kind(
        r"\b(?:what|which) (?:percent|proportion|fraction)",
        r"%|\bper ?cent|\b(?:half|third|quarter|majority)\b",
    ),
)


def has_what_is_asked(question: str, asked: Claim, claim: Claim) -> bool:
    """False for a sentence without a number where one is asked for, or without a name.

    Those that the question itself has do not count; a question for anything else is met by all.
    """
    if ASKS_NUMBER.search(question):
        return bool(claim.numbers - asked.numbers)
    if _ASKS_NAME.search(question):
        return bool((claim.names | claim.opening) - asked.stems)
    return True


def is_of_kind(question: str, sentence: str) -> bool:
    """Whether a sentence has a date, length, age, weight or share where one is asked for.

    Those that the question itself has do not count; a question for anything else is met by all.
    """
    known = question.lower()
    for asks, answer in _KINDS:
        if asks.search(question):
            return any(found[0].lower() not in known for found in answer.finditer(sentence))
    return True
