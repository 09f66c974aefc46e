"""Makes a question that follows others stand alone, by rules.

What is searched, and what an answer is held against, is one question by itself: what was said
before is no evidence. The rules look for what points back (pronouns, ellipses, a definite noun
without a name) and put the subject of the exchange before in its place. They know English, and the
ellipses of German. In doubt a question stays as it is.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from rag_pipeline.generation.language_model import Turn
from rag_pipeline.generation.subjects import names_in, person_in, subject_of
from storage.records import PromptRecord

LAST_EXCHANGES = 6
"""What was asked longer ago is rarely meant."""
_LONGEST_REWRITTEN = 300
"""Characters. A longer question says what it is about."""

Rewrite = Callable[[str, "Sequence[Exchange]"], str]
"""A question and the exchanges before it, oldest first, to the question by itself."""

_PERSONAL = re.compile(r"\b(?:he|she|him)\b|\bher(?!\s*[?.!]?$)(?=\s)|\bher\b", re.IGNORECASE)
_HIS = re.compile(r"\b(?:his|her(?= \w))\b", re.IGNORECASE)
_ITS = re.compile(r"\b(?:its|their)\b", re.IGNORECASE)
_IT = re.compile(
    r"\b(?:it|they|them|this one|that one)\b(?! (?:takes?|possible|necessary|allowed|worth)\b)"
    r"|\b(?:this|that|these|those)\b(?=\s*(?:\?|$|is\b|was\b|are\b|were\b|cost|work|happen|mean))",
    re.IGNORECASE,
)
_THERE = re.compile(
    r"(?<!is )(?<!are )(?<!was )(?<!were )\bthere\b(?! (?:is|are|was|were|an?)\b)", re.I
)
_DUMMY = re.compile(
    r"\b(?:is|does|was|did|will|would) it (?=take|possible|necessary|allowed|worth)"
)
_POINTING = re.compile(r"\b(?:this|that|these|those|such|the same) [a-z]", re.IGNORECASE)
_DEFINITE = re.compile(r"\b(?:the|one|ones)\b", re.IGNORECASE)
_ABOUT = re.compile(
    r"^(?:and |but |ok(?:ay)?,? |so |und )*(?:(?:what|how) about|what of|was ist mit|"
    r"wie (?:sieht es|ist es) mit)\s+(?P<rest>.+?)(?: aus)?\s*\?*$",
    re.IGNORECASE,
)
_AND = re.compile(r"^(?:and|but|or|also|und|aber|oder)\b[, ]*(?P<rest>.*?)\s*\?*$", re.IGNORECASE)
_BARE = re.compile(
    r"^(?:and |but |so )*(?P<bare>why(?: not)?|when|where|who|how(?: (?:much|many|long|far|often|"
    r"high|big|old|"
    r"so|come|fast|deep|heavy|tall|wide|late|early))?|which(?: ones?)?|what (?:time|year|day)|"
    r"since when|"
    r"until when|by whom|for whom|what for|wann|wo|warum|wie (?:viel|lange|oft))\s*\?*$",
    re.IGNORECASE,
)
_ASKING = re.compile(
    r"^(?:(?:and|but|so|ok) )?(?:how(?: (?:much|many|long|far|often|high|big|old|fast|deep|heavy|"
    r"tall|wide|"
    r"late|early))?|wh(?:y|en|ere|om|ose)|who|what(?: (?:time|year|day|date))?|which|is|are|was|"
    r"were|"
    r"do|does|did|can|could|will|would|should|has|have|had|may|must|in|on|at|to|for|from|by|"
    r"since|until|"
    r"wer|was|wie|wann|wo|warum|welche\w*|tell|give|name|list|explain|describe)\b",
    re.IGNORECASE,
)
_WH = re.compile(
    r"^(?:(?:in|at|on|by|to|for|from|since|until) )?(?:how (?:\w+)(?= (?:is|are|was|were|do|does|"
    r"did|can|will))|"
    r"how|when|where|why|who|whom|what(?: \w+)?(?= (?:is|are|was|were|do|does|did|can|will))|what|"
    r"which \w+|which|whose)\s+",
    re.IGNORECASE,
)


_FEW_WORDS = 5
_CIRCUMSTANCE = re.compile(
    r"^(?:in|on|at|to|for|from|by|since|until|during|after|before|with|without|im|am|an|bei|mit|"
    r"ohne|nach)\b",
    re.IGNORECASE,
)
_CONDITION = re.compile(r"^(?:if|unless|when|wenn|falls)\b", re.IGNORECASE)
_ASKS = re.compile(
    r"\b(?:what|which|whom|how|is|are|was|were|do|does|did|can|will)\b", re.IGNORECASE
)
_OF = re.compile(r"^(?:that |those |the one |the ones )?(?:of|from) (?P<owner>.+)$", re.IGNORECASE)
_QUALITY = re.compile(
    r"^(?:the |its |their |his |her )?(?P<quality>price|cost|age|height|length|width|depth|"
    r"weight|size|"
    r"name|address|reason|colour|color|date|duration|distance|speed|number|author|owner|result|"
    r"purpose)$",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Exchange:
    """A question that was asked, as it stands alone, and what was answered."""

    question: str
    answer: str


def exchanges(turns: Sequence[Turn]) -> list[Exchange]:
    """The questions among `turns`, each with the answer after it, if there was one."""
    found: list[Exchange] = []
    for turn in turns:
        if turn.role == "user":
            found.append(Exchange(turn.text, ""))
        elif turn.role == "assistant" and found and not found[-1].answer:
            found[-1] = Exchange(found[-1].question, turn.text)
    return found


def said(records: Sequence[PromptRecord]) -> tuple[Turn, ...]:
    """What was said in exchanges on record, each question as it stands alone."""
    return tuple(
        turn
        for record in records
        for turn in (
            Turn("user", record.standalone or record.question),
            Turn("assistant", record.answer or ""),
        )
    )


def as_asked(question: str, _: Sequence[Exchange]) -> str:
    """The question as it is, whatever it points back to."""
    return question


def standalone(question: str, earlier: Sequence[Exchange]) -> str:
    """`question` so that it can be understood without the `earlier` exchanges, oldest first."""
    if len(question) > _LONGEST_REWRITTEN:
        return question
    before: list[Exchange] = []
    for exchange in earlier[-LAST_EXCHANGES:]:
        if len(exchange.question) > _LONGEST_REWRITTEN:
            continue
        before.append(Exchange(_rewritten(exchange.question, before), exchange.answer))
    return _rewritten(question, before)


def fitting(turns: Sequence[Turn], count_tokens: Callable[[str], int], budget: int) -> list[Turn]:
    """The last of `turns` that have `budget` tokens at most, oldest first; whole exchanges, so that
    the first is a question."""
    kept: list[Turn] = []
    for turn in reversed(turns):
        budget -= count_tokens(turn.text)
        if budget < 0:
            break
        kept.append(turn)
    while kept and kept[-1].role != "user":
        kept.pop()
    return kept[::-1]


def _rewritten(question: str, before: Sequence[Exchange]) -> str:
    text = question.strip()
    if not before or not text:
        return question
    last = before[-1]
    if found := _BARE.match(text):
        return _asked_anew(found["bare"], last)
    if found := _ABOUT.match(text):
        return _with_other(found["rest"], before)
    found = _AND.match(text)
    rest = found["rest"] if found else text.rstrip("? ")
    if _is_incomplete(rest, is_joined=found is not None):
        return _with_other(rest, before)
    return _with_subject(f"{rest[:1].upper()}{rest[1:]}?" if found else text, before)


def _is_incomplete(text: str, *, is_joined: bool) -> bool:
    """Whether it asks nothing by itself, and lives on the question before it."""
    if _is_circumstance(text) or (is_joined and _CONDITION.match(text)):
        return True
    return not _ASKING.match(text) and (is_joined or len(text.split()) <= _FEW_WORDS)


def _is_circumstance(text: str) -> bool:
    """ "In winter", "for children"; no question with a preposition before it."""
    is_short = len(text.split()) <= _FEW_WORDS
    return is_short and bool(_CIRCUMSTANCE.match(text)) and not _ASKS.search(text)


def _asked_anew(bare: str, last: Exchange) -> str:
    """The words of the last question after a new question word: "Why is the tower?" is no English,
    but it finds what says why."""
    asked = last.question.rstrip("? ")
    rest = _WH.sub("", asked, count=1)
    if rest == asked:
        rest = f": {asked[:1].lower()}{asked[1:]}"
    return f"{bare[:1].upper()}{bare[1:]} {rest}?".replace(" : ", ": ")


def _with_other(other: str, before: Sequence[Exchange]) -> str:
    """The last question, asked of something else, or in other circumstances."""
    asked = before[-1].question.rstrip("? ")
    subject = subject_of(asked)
    if _is_circumstance(other):
        other = f"{other[:1].lower()}{other[1:]}"
        return f"{_without_like(other, asked)} {other}?"
    if _CONDITION.match(other):
        return f"{asked} {_with_subject(other, before).rstrip('?')}?"
    if found := _QUALITY.match(other):
        of = _latest_subject(before)
        return f"What is the {found['quality']} of {of}?" if of else f"{asked}: {other}?"
    if found := _OF.match(other):
        return f"{_of_another(asked, subject, found['owner'])}?"
    return f"{_of_other(asked, subject, _HIS.sub('the', _ITS.sub('the', other)))}?"


def _without_like(circumstance: str, asked: str) -> str:
    """`asked` without a circumstance at its end that this one stands in the place of."""
    word = re.escape(circumstance.split()[0])
    own = re.search(rf" {word} (?:the |a |an )?[\w'-]+(?: [\w'-]+)?$", asked, re.IGNORECASE)
    if own and (not names_in(own[0]) or " the " in circumstance or names_in(circumstance)):
        return asked[: own.start()]
    return asked


def _of_another(asked: str, subject: str | None, owner: str) -> str:
    if subject is None:
        return f"{asked} of {owner}"
    _, of, own = subject.partition(" of ")
    return _replaced(asked, own if of else subject, _bare(owner) if of and names_in(own) else owner)


def _of_other(asked: str, subject: str | None, other: str) -> str:
    names = names_in(asked)
    if other[:1].isupper() and names and len(other.split()) <= _FEW_WORDS:
        return _replaced(asked, names[-1], _bare(other))
    if subject is None:
        return f"{asked}: {other}"
    head, of, _ = subject.partition(" of ")
    return _replaced(asked, head if of and not names_in(other) else subject, other)


def _bare(other: str) -> str:
    return re.sub(r"^the ", "", other, flags=re.IGNORECASE)


def _replaced(asked: str, old: str, new: str) -> str:
    at = asked.rfind(old)
    return asked[:at] + new + asked[at + len(old) :]


def _with_subject(question: str, before: Sequence[Exchange]) -> str:
    """The question with what it points back to written out."""
    if (named := _completed(question, before[-1])) != question:
        return named
    person = _latest_person(before)
    subject = _latest_subject(before)
    told = question
    if person:
        told = _put(_HIS, f"{person}'s", told)
        told = _put(_PERSONAL, person, told)
    if subject and told == question:
        told = _put(_ITS, f"{subject}'s", told)
        told = told if _DUMMY.search(told) else _put(_IT, subject, told)
        told = _put(_THERE, _at(subject), told)
    if told == question and subject and _lacks_subject(question):
        told = f"{question.rstrip('? ')} ({subject})?"
    return told


def _completed(question: str, last: Exchange) -> str:
    """ "The flood" as the exchange before has it: "the flood of 1924"."""
    for found in re.finditer(r"\b[Tt]he ([a-z-]+)\b(?! of\b)", question):
        for told in (last.answer, last.question):
            whole = re.search(
                rf"\bthe (?:[\w-]+ )?{re.escape(found[1])} of (?:the )?(?:\d+|[A-Z]\w*(?: "
                rf"[A-Z]\w*)*)",
                told,
                re.IGNORECASE,
            )
            if whole:
                return question[: found.start()] + whole[0] + question[found.end() :]
    return question


def _put(pattern: re.Pattern[str], words: str, text: str) -> str:
    """`words` for the first that `pattern` finds, also at the beginning of the sentence."""
    return pattern.sub(lambda _: words, text, count=1)


def _at(subject: str) -> str:
    return f"at {subject}"


def _lacks_subject(question: str) -> bool:
    """Whether it speaks of something definite and names nothing."""
    points = _POINTING.search(question) or _DEFINITE.search(question) or _DUMMY.search(question)
    return bool(points) and not names_in(question)


def _latest_person(before: Sequence[Exchange]) -> str | None:
    for exchange in reversed(before):
        if person := person_in(exchange.answer) or person_in(exchange.question):
            return person
    return None


def _latest_subject(before: Sequence[Exchange]) -> str | None:
    """What the last exchange with a subject is about: of "which" and "who" the answer's name."""
    for exchange in reversed(before):
        if re.match(r"(?:which|what|who)\b", exchange.question, re.IGNORECASE):
            known = exchange.question.lower()
            new = [name for name in names_in(exchange.answer) if name.lower() not in known]
            asks_what_is = re.match(
                r"(?:which|who|what (?:is|was) the (?:name|largest|oldest))",
                exchange.question,
                re.I,
            )
            if new and asks_what_is:
                return new[-1]
        if subject := subject_of(exchange.question):
            return subject
    return None
