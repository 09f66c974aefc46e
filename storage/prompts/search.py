"""Which exchanges fulfil a filter, newest first; and which have some words, the fittest first.

A million short rows are read in the time that may be taken, so that no pair of conditions is slow,
however rarely both hold. What holds for few is looked up in an index instead: which condition that
is, is counted before.
"""

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar

from sqlalchemy import (
    ARRAY,
    BigInteger,
    ColumnElement,
    Connection,
    SQLColumnExpression,
    and_,
    bindparam,
    func,
    literal_column,
    select,
    text,
    true,
)
from sqlalchemy.sql.elements import UnaryExpression
from sqlalchemy.sql.operators import custom_op

from storage.errors import InvalidRecordError
from storage.filters.corpus import dialect_of
from storage.filters.expression import (
    Absence,
    Comparison,
    Conjunction,
    Filter,
    Match,
    Membership,
    Range,
    Text,
    check_size,
    field_names,
)
from storage.filters.prompt_kinds import KIND_FIELDS, is_of, kind_field
from storage.filters.prompt_words import (
    WORDS,
    Numbers,
    words_asked,
    words_match,
    words_number,
)
from storage.filters.prompts import PromptFields
from storage.filters.sql import condition
from storage.models.access import UserRow
from storage.models.base import aliased
from storage.models.prompt_search import PromptFactsRow, PromptKindRow
from storage.records import Principal
from storage.words_query import phrases

T = TypeVar("T")
FEW = 50_000
"""Rows that are sooner looked up one by one than found by reading all."""
VERY_FEW = 2_000
"""Rows whose texts are sooner asked one by one for words than found by all that have these."""
LISTED_KINDS = 1_000
"""Kinds that are named one by one in a statement."""
MERGED_KINDS = 5_000
"""Kinds whose newest exchanges are sooner merged than found by reading all."""
RANKED = 10_000
"""Of the exchanges that have all the words, so many of the newest are ranked."""
_STREAMED = ("tag", "cites", "shown")


@dataclass(frozen=True, slots=True)
class Part:
    """One condition of those that must all hold."""

    holds: ColumnElement[bool]
    narrowed: Numbers | None = None
    """The exchanges that it holds for, where an index gives them."""
    is_in_order: bool = False
    """Whether the index gives them from the newest on."""
    words: str | None = None
    """What is looked for, where the condition is that words stand in the exchange."""
    kinds: tuple[int, ...] | None = None
    """Where the condition is that an exchange is of one of these kinds."""


def parts_of(connection: Connection, where: Filter | None, principal: Principal) -> list[Part]:
    """What must hold of the exchanges that are wanted and that the principal may read.

    Raises `FilterError`.
    """
    operands: Sequence[Filter] = ()
    if where is not None:
        check_size(where)
        operands = where.operands if isinstance(where, Conjunction) else (where,)
    if dialect_of(connection) != "sqlite":
        # One plan for all words is a slow one for those that most exchanges have.
        connection.execute(text("SET LOCAL plan_cache_mode = force_custom_plan"))
    of_kind = [one for one in operands if field_names(one) <= KIND_FIELDS]
    return [
        *_readable(connection, principal),
        *_kinds(connection, of_kind),
        *(_part(connection, one) for one in operands if one not in of_kind),
    ]


def _readable(connection: Connection, principal: Principal) -> Iterator[Part]:
    if not principal.is_owner:
        found = connection.execute(select(UserRow.user_id).filter_by(name=principal.name)).scalar()
        own = PromptFactsRow.user_id == (-1 if found is None else found)
        yield Part(own, select(PromptFactsRow.number).where(own))


def _kinds(connection: Connection, operands: Sequence[Filter]) -> Iterator[Part]:
    """What is said of the kinds of exchanges is asked of these, all at once."""
    if not operands:
        return
    dialect = dialect_of(connection)
    said = and_(
        *(condition(one, lambda name: kind_field(name, dialect, lambda it: it)) for one in operands)
    )
    kinds = connection.execute(select(PromptKindRow.kind_id).where(said)).scalars().all()
    some = select(PromptKindRow.kind_id).where(said) if len(kinds) > LISTED_KINDS else kinds
    numbers = select(PromptFactsRow.number).where(PromptFactsRow.kind_id.in_(some))
    yield Part(is_of(connection, kinds), numbers, kinds=tuple(kinds))


def _part(connection: Connection, operand: Filter) -> Part:
    fields = PromptFields(connection)
    holds = condition(operand, fields)
    if len(fields.narrowed) != 1 or not _is_positive(operand):
        return Part(holds)
    is_in_order = isinstance(operand, Comparison) and operand.field in _STREAMED
    return Part(holds, fields.narrowed[0].numbers, is_in_order, _words(operand))


def _is_positive(operand: Filter) -> bool:
    """Whether it says that a field is something, not that it isn't."""
    match operand:
        case Comparison(_, operator, _):
            return operator != "!="
        case Membership(_, _, is_negated) | Match(_, _, is_negated) | Range(_, _, _, is_negated):
            return not is_negated
        case Absence(_, is_negated):
            return is_negated
    return False


def _words(operand: Filter) -> str | None:
    match operand:
        case Comparison("words", "=", Text(told)):
            return told
    return None


def newest(
    connection: Connection, parts: Sequence[Part], *, limit: int, before: int | None = None
) -> list[int]:
    """The numbers of the newest exchanges before the number `before`, newest first."""
    if len(parts) == 1 and parts[0].kinds and len(parts[0].kinds) <= MERGED_KINDS:
        return _merged(connection, parts[0].kinds, limit=limit, before=before)
    statement, number = _found(connection, parts)
    statement = statement.where(*_before(number, before))
    return [*connection.execute(statement.order_by(number.desc()).limit(limit)).scalars()]


def count(connection: Connection, parts: Sequence[Part]) -> int:
    """How many exchanges there are."""
    statement, number = _found(connection, parts)
    return connection.execute(statement.with_only_columns(func.count(number))).scalar_one()


def _found(
    connection: Connection, parts: Sequence[Part]
) -> tuple[Numbers, SQLColumnExpression[int]]:
    """The exchanges that fulfil all parts, and their number in that statement."""
    chosen, fewest = _narrowest(connection, parts)
    if chosen is None:
        frequent = next((part for part in parts if part.words or part.is_in_order), None)
        if frequent is not None and frequent.words:
            return _having_words(connection, frequent.words, _others(parts, frequent))
        if frequent is not None and frequent.narrowed is not None:
            return _streamed(connection, frequent.narrowed, _others(parts, frequent))
    others = _all_hold(connection, _others(parts, chosen), asks_for_few=fewest <= VERY_FEW)
    if chosen is not None and chosen.narrowed is not None:
        return _looked_up(connection, chosen.narrowed, fewest, others)
    return select(PromptFactsRow.number).where(*others), PromptFactsRow.number


def _looked_up(
    connection: Connection, numbers: Numbers, how_many: int, others: Iterable[ColumnElement[bool]]
) -> tuple[Numbers, SQLColumnExpression[int]]:
    """Of `numbers`, of which there are not many, those that fulfil the `others`."""
    if dialect_of(connection) == "sqlite":
        few = PromptFactsRow.number.in_(numbers)
        return select(PromptFactsRow.number).where(few, *others), PromptFactsRow.number
    # PostgreSQL misjudges how many there are, and would rather go through all exchanges.
    (known,) = numbers.limit(how_many).subquery().columns
    listed = select(known).distinct().order_by(known.desc()).cte().prefix_with("MATERIALIZED")
    (number,) = listed.columns
    fulfils = select(true()).where(PromptFactsRow.number == number, *others).limit(1).lateral()
    return select(number).join(fulfils, true()), number


def _all_hold(
    connection: Connection, parts: Sequence[Part], *, asks_for_few: bool = False
) -> Iterator[ColumnElement[bool]]:
    """The conditions of all parts on one row, the cheapest first."""
    is_sqlite = dialect_of(connection) == "sqlite"
    for part in sorted(parts, key=_cost):
        holds = _asked_one_by_one(connection, part) if asks_for_few else part.holds
        # The plus keeps SQLite from looking up in an index what holds for many.
        yield _unindexed(holds) if is_sqlite else holds


def _unindexed(expression: ColumnElement[T]) -> UnaryExpression[T]:
    """The same, as SQLite looks it up in no index."""
    return UnaryExpression(
        expression, operator=custom_op("+"), type_=expression.type, wraps_column_expression=True
    )


def _cost(part: Part) -> int:
    if part.kinds is not None:
        return 1
    return 2 if part.is_in_order or part.words else 0


def _others(parts: Sequence[Part], chosen: Part | None) -> list[Part]:
    return [part for part in parts if part is not chosen]


def _narrowest(connection: Connection, parts: Sequence[Part]) -> tuple[Part | None, int]:
    """The condition that holds for the fewest, if an index gives these and they are few."""
    fewest, chosen = FEW, None
    for part in parts:
        if part.narrowed is not None:
            some = part.narrowed.limit(fewest).subquery()
            found = connection.execute(select(func.count()).select_from(some)).scalar_one()
            if found < fewest:
                fewest, chosen = found, part
    return chosen, fewest


def _asked_one_by_one(connection: Connection, part: Part) -> ColumnElement[bool]:
    if part.words is None or not phrases(part.words):
        return part.holds
    dialect = dialect_of(connection)
    return (
        select(words_number(dialect))
        .where(words_match(part.words, dialect), words_number(dialect) == PromptFactsRow.number)
        .correlate(PromptFactsRow)
        .exists()
    )


def _streamed(
    connection: Connection, numbers: Numbers, others: Sequence[Part]
) -> tuple[Numbers, SQLColumnExpression[int]]:
    """The exchanges that an index gives in order, as far as they fulfil the `others`."""
    (number,) = numbers.selected_columns
    statement = numbers.distinct()
    if others:
        fulfilled = _all_hold(connection, others)
        statement = statement.where(PromptFactsRow.number == number, *fulfilled)
    return statement, number


def _having_words(
    connection: Connection, words: str, others: Sequence[Part]
) -> tuple[Numbers, SQLColumnExpression[int]]:
    """The exchanges that have all the words, and fulfil the others."""
    dialect = dialect_of(connection)
    number = words_number(dialect)
    statement = select(number).where(words_match(words, dialect))
    if others:
        # The plus keeps SQLite from asking the full-text table about one row after another.
        same = _unindexed(WORDS.c.rowid) if dialect == "sqlite" else number
        statement = statement.where(PromptFactsRow.number == same, *_all_hold(connection, others))
    return statement, number


def _merged(
    connection: Connection, kinds: Sequence[int], *, limit: int, before: int | None
) -> list[int]:
    """The newest of all these kinds: an index gives the newest of each."""
    if dialect_of(connection) == "sqlite":
        listed = func.json_each(bindparam(None, json.dumps(kinds))).table_valued("value")
    else:
        given = bindparam(None, [*kinds], ARRAY(BigInteger))
        listed = func.unnest(given).table_valued("value").render_derived(name="kinds")
    number, same = PromptFactsRow.number, aliased(PromptFactsRow)
    last_of_kind = (
        select(same.number)
        .where(same.kind_id == listed.c.value, *_before(same.number, before))
        .order_by(same.number.desc())
        .limit(1)
        .offset(limit - 1)
        .correlate(listed)
        .scalar_subquery()
    )
    statement = (
        select(number)
        .select_from(listed)
        .join(PromptFactsRow, PromptFactsRow.kind_id == listed.c.value)
        .where(number >= func.coalesce(last_of_kind, 0), *_before(number, before))
    )
    return [*connection.execute(statement.order_by(number.desc()).limit(limit)).scalars()]


def _before(
    number: SQLColumnExpression[int], before: int | None
) -> tuple[ColumnElement[bool], ...]:
    return () if before is None else (number < before,)


def fittest(connection: Connection, words: str, parts: Sequence[Part], *, limit: int) -> list[int]:
    """Of the newest `RANKED` exchanges that have all the words, those that they fit best.

    By BM25 on SQLite, by where the words stand and how often on PostgreSQL.
    """
    if not phrases(words):
        return []
    statement, number = _having_words(connection, words, parts)
    fit = (
        func.bm25(literal_column("prompt_words"))
        if dialect_of(connection) == "sqlite"
        else -func.ts_rank(WORDS.c.words, words_asked(words))
    )
    some = (
        statement.with_only_columns(fit.label("fit"), number.label("number"))
        .order_by(number.desc())
        .limit(RANKED)
        .subquery()
    )
    best = select(some.c.number).order_by(some.c.fit, some.c.number.desc()).limit(limit)
    return [*connection.execute(best).scalars()]


def check_limit(limit: int, largest: int) -> None:
    """Raise `InvalidRecordError` for a limit that is out of range."""
    if not 1 <= limit <= largest:
        raise InvalidRecordError(f"a limit of {limit} is out of range; use 1 to {largest}")
