"""The operators of keyword queries, for users who ask for them; any text is a query.

    word      adds to the score              +word    must stand in what is found
    "a b c"   the words one after another    -word    must not stand there
    begin*    all words that begin so        + and - go before quotes and stars as well

What is no complete operator (a quote without its pair, a sign before a blank) is plain text.
"""

import re
from typing import Literal

from storage.records import KeywordClause

_CLAUSE = re.compile(
    r"""
    (?<!\S) (?P<sign>[+-](?=[^\s+-]))?
    (?: ["“„«] (?P<phrase>[^"“”„«»]*) ["”“»] (?=[^\w\s]*(?:\s|$))
      | (?P<prefix>[^\s"*]+) \* (?!\S)
      | (?P<word>\S+)
    )
    """,
    re.VERBOSE,
)
_OCCURRENCES: dict[str | None, Literal["should", "must", "must_not"]] = {
    None: "should",
    "+": "must",
    "-": "must_not",
}


def parse(text: str) -> tuple[KeywordClause, ...]:
    """The clauses of a query with operators, in their order; never fails."""
    return tuple(_clause(found) for found in _CLAUSE.finditer(text))


def _clause(found: re.Match[str]) -> KeywordClause:
    occurrence = _OCCURRENCES[found["sign"]]
    if found["phrase"] is not None:
        return KeywordClause(text=found["phrase"], kind="phrase", occurrence=occurrence)
    if found["prefix"] is not None:
        return KeywordClause(text=found["prefix"], kind="prefix", occurrence=occurrence)
    return KeywordClause(text=found["word"], occurrence=occurrence)
