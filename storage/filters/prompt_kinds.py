"""Fields of what many exchanges have in common: they are asked of the few kinds that there are."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import get_args

from sqlalchemy import (
    ARRAY,
    BigInteger,
    ColumnElement,
    Connection,
    LargeBinary,
    SQLColumnExpression,
    and_,
    any_,
    bindparam,
    false,
    func,
    literal_column,
    or_,
    select,
)

from storage.errors import FilterError
from storage.filters.corpus import dialect_of
from storage.filters.expression import Text, Value
from storage.filters.sql import Dialect, Field, Order, TextField, nothing
from storage.models.prompt_search import PromptFactsRow, PromptKindRow
from storage.models.prompts import TemplateRow
from storage.records import AnswerState, PromptStatus

STATES: tuple[str, ...] = get_args(AnswerState)
STATUSES: tuple[str, ...] = get_args(PromptStatus)
KIND_FIELDS = frozenset(
    {"model", "collection", "application", "category", "state", "status", "template"}
)
"""Fields of what many exchanges have in common."""
_VERSIONED = re.compile(r"(.+)@(\d{1,9})", re.DOTALL)


def kind_field(
    name: str, dialect: Dialect, within: Callable[[ColumnElement[bool]], ColumnElement[bool]]
) -> Field:
    """One of `KIND_FIELDS`, as conditions on a row of `prompt_kinds` that `within` leads to."""
    kinds = PromptKindRow
    if name == "template":
        return _TemplateField(
            TextField(
                name=name,
                column=TemplateRow.name,
                dialect=dialect,
                within=lambda condition: within(_of_template(condition)),
            ),
            within,
        )
    if name == "state":
        return _WordField(name=name, column=kinds.state, words=STATES, within=within)
    if name == "status":
        return _WordField(name=name, column=kinds.status, words=STATUSES, within=within)
    column = {
        "model": kinds.model,
        "collection": kinds.collection,
        "application": kinds.application,
        "category": kinds.category,
    }[name]
    return TextField(name=name, column=func.nullif(column, ""), dialect=dialect, within=within)


def of_kinds(connection: Connection, condition: ColumnElement[bool]) -> ColumnElement[bool]:
    """Exchanges whose kind fulfils `condition`."""
    keys = select(PromptKindRow.kind_id).where(condition)
    return is_of(connection, connection.execute(keys).scalars().all())


def is_of(connection: Connection, kinds: Sequence[int]) -> ColumnElement[bool]:
    """Exchanges of one of these kinds: a test that costs the same for any number of them."""
    if not kinds:
        return false()
    if dialect_of(connection) == "postgresql":
        return PromptFactsRow.kind_id == any_(bindparam(None, [*kinds], ARRAY(BigInteger)))
    # SQLite would look each up in a list; the byte of a kind in a blob is there at once.
    mask = bytearray(max(kinds))
    for kind in kinds:
        mask[kind - 1] = 1
    return func.substr(bindparam(None, bytes(mask), LargeBinary), PromptFactsRow.kind_id, 1) == (
        literal_column("x'01'")
    )


def _of_template(condition: ColumnElement[bool]) -> ColumnElement[bool]:
    return PromptKindRow.template_id.in_(select(TemplateRow.template_id).where(condition))


@dataclass(frozen=True, slots=True, kw_only=True)
class _WordField:
    """A column that holds one of a few words, or nothing."""

    name: str
    column: SQLColumnExpression[str]
    words: Sequence[str]
    within: Callable[[ColumnElement[bool]], ColumnElement[bool]]

    def one_of(self, values: Sequence[Value]) -> ColumnElement[bool]:
        return self.within(self.column.in_([self._word(value) for value in values]))

    def ordered(self, operator: Order, value: Value) -> ColumnElement[bool]:
        raise self._has_no_order()

    def between(self, low: Value, high: Value) -> ColumnElement[bool]:
        raise self._has_no_order()

    def like(self, pattern: str) -> ColumnElement[bool]:
        raise self._has_no_order()

    def present(self) -> ColumnElement[bool]:
        return self.within(self.column != "")

    def _word(self, value: Value) -> str:
        if isinstance(value, Text) and value.value in self.words:
            return value.value
        raise FilterError(f"{value} is no {self.name}; use {self._choice()}")

    def _has_no_order(self) -> FilterError:
        return FilterError(f"{self.name} is compared by = != and in alone; use {self._choice()}")

    def _choice(self) -> str:
        *words, last = (f"'{word}'" for word in self.words)
        return f"{', '.join(words)} or {last}"


@dataclass(frozen=True, slots=True)
class _TemplateField:
    """A named template, in any version, or in one: `name@2`."""

    names: TextField
    within: Callable[[ColumnElement[bool]], ColumnElement[bool]]

    def one_of(self, values: Sequence[Value]) -> ColumnElement[bool]:
        return or_(self.names.one_of(values), *map(self._of_version, values))

    def ordered(self, operator: Order, value: Value) -> ColumnElement[bool]:
        return self.names.ordered(operator, value)

    def between(self, low: Value, high: Value) -> ColumnElement[bool]:
        return self.names.between(low, high)

    def like(self, pattern: str) -> ColumnElement[bool]:
        return self.names.like(pattern)

    def present(self) -> ColumnElement[bool]:
        return self.names.present()

    def _of_version(self, value: Value) -> ColumnElement[bool]:
        named = _VERSIONED.fullmatch(value.value) if isinstance(value, Text) else None
        if named is None:
            return nothing()
        return self.within(
            _of_template(and_(TemplateRow.name == named[1], TemplateRow.version == int(named[2])))
        )
