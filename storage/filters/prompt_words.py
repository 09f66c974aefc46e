"""Words in questions and answers, as each database finds them."""

from typing import Any, TypeAlias

from sqlalchemy import (
    BigInteger,
    BindParameter,
    ColumnElement,
    Select,
    SQLColumnExpression,
    bindparam,
    column,
    func,
    literal_column,
    select,
    table,
)

from storage.filters.sql import Dialect
from storage.words_query import fts5, phrases, tsquery

WORDS = table(
    "prompt_words", column("rowid", BigInteger), column("number", BigInteger), column("words")
)
"""The words of questions and answers: see migration 0008."""
Numbers: TypeAlias = Select[int]
"""A statement that gives numbers of exchanges."""


def words_numbers(told: str, dialect: Dialect) -> Numbers | None:
    """The exchanges with all these words; None if there is no word in it."""
    if not phrases(told):
        return None
    return select(words_number(dialect)).where(words_match(told, dialect))


def words_number(dialect: Dialect) -> SQLColumnExpression[int]:
    """The number of an exchange, as a column of `prompt_words`."""
    return WORDS.c.rowid if dialect == "sqlite" else WORDS.c.number


def words_match(told: str, dialect: Dialect) -> ColumnElement[bool]:
    """A condition on a row of `prompt_words`; `told` has a word in it."""
    if dialect == "sqlite":
        query: BindParameter[str] = bindparam(None, fts5(phrases(told)), unique=True)
        return literal_column("prompt_words").op("MATCH", is_comparison=True)(query)
    return WORDS.c.words.op("@@", is_comparison=True)(words_asked(told))


def words_asked(told: str) -> ColumnElement[Any]:
    """The words of `told` as PostgreSQL compares and ranks by them."""
    query: BindParameter[str] = bindparam(None, tsquery(phrases(told)), unique=True)
    return func.to_tsquery(literal_column("'simple'"), query)
