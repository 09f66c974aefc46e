"""Rows that have some words in their columns, whatever case these are written in."""

import re
from collections.abc import Sequence
from typing import Any

from sqlalchemy import Column, ColumnElement, and_, false, or_

from storage.errors import InvalidRecordError

MAX_WORDS = 20
UNSTORABLE = re.compile(r"[\x00\ud800-\udfff]")
"""What a driver would refuse, even as something to look for."""


def contains_words(words: str, columns: Sequence[Column[Any]]) -> ColumnElement[bool]:
    """Each of the `words` stands in one of `columns`, also inside a longer one.

    SQLite folds the case of ASCII alone; of other words it is asked for their usual spellings.
    Raises `InvalidRecordError` for more than `MAX_WORDS`.
    """
    wanted = [*dict.fromkeys(words.split())]
    if len(wanted) > MAX_WORDS:
        raise InvalidRecordError(f"{len(wanted)} words can't be looked for; give {MAX_WORDS}")
    if UNSTORABLE.search(words):
        return false()
    return and_(True, *(_stands_in(word, columns) for word in wanted))


def _stands_in(word: str, columns: Sequence[Column[Any]]) -> ColumnElement[bool]:
    spellings = sorted({word, word.lower(), word.upper(), word.capitalize()})
    if word.isascii():
        spellings = [word]
    return or_(
        *(
            column.icontains(spelling, autoescape=True)
            for column in columns
            for spelling in spellings
        )
    )
