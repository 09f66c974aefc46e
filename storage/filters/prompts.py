"""The fields that recorded exchanges can be filtered by.

Conditions are about a row of `prompt_facts`: most are tests of it; the others say that its number
is among those that a table of another kind gives. Names are looked up when a filter is compiled,
so that a million rows are compared with a number.
"""

import difflib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Select,
    SQLColumnExpression,
    false,
    or_,
    select,
    true,
)

from storage.errors import FilterError
from storage.filters.corpus import dialect_of
from storage.filters.expression import Text, Value, quoted
from storage.filters.prompt_kinds import KIND_FIELDS, kind_field, of_kinds
from storage.filters.prompt_words import Numbers, words_numbers
from storage.filters.sql import (
    Dialect,
    Field,
    NumberField,
    Order,
    TextField,
    TimeField,
    TruthField,
    nothing,
    wrong_type,
)
from storage.models.access import SessionRow, UserRow
from storage.models.corpus import SourceRow
from storage.models.prompt_search import (
    CitedDocumentRow,
    PromptFactsRow,
    PromptMeanRow,
    PromptNameRow,
    PromptPostingRow,
)
from storage.models.prompts import PromptRow, ScoreRow

HAS_TAG, SHOWN, CITES = 1, 2, 3
SCORE = "score."
FIELDS = (
    "id",
    "user",
    "session",
    "application",
    "model",
    "collection",
    "category",
    "tag",
    "state",
    "status",
    "template",
    "generation",
    "parent",
    "asked",
    "seconds",
    "tokens",
    "prompt_tokens",
    "completion_tokens",
    "cost",
    "confidence",
    "rating",
    "score.METRIC",
    "cites",
    "shown",
    "words",
    "question",
    "answer",
    "error",
    "commented",
    "corrected",
)
_FEW = 50
"""Keys that are compared with one by one; more are looked up where they are."""


@dataclass(frozen=True, slots=True)
class Narrowed:
    """The exchanges that a condition holds for, as an index gives them."""

    numbers: Numbers


@dataclass(frozen=True, slots=True)
class PromptFields:
    """The catalogue of one connection."""

    connection: Connection
    narrowed: list[Narrowed] = field(default_factory=list)
    """For each condition that was compiled and that an index answers: where it holds."""

    def __call__(self, name: str) -> Field:
        found = self._named(name) or self._measured(name) or self._written(name)
        if found is None:
            raise _unknown(name)
        return found

    @property
    def dialect(self) -> Dialect:
        return dialect_of(self.connection)

    def _named(self, name: str) -> Field | None:
        """What is compared by the key of a name."""
        facts = PromptFactsRow
        match name:
            case "user":
                return self._keyed(name, UserRow.name, UserRow.user_id, facts.user_id)
            case "session":
                return self._keyed(name, SessionRow.name, SessionRow.session_id, facts.session_id)
            case "tag" | "cites" | "shown":
                return self._posted(name)
        return kind_field(name, self.dialect, self._of_kinds) if name in KIND_FIELDS else None

    def _of_kinds(self, condition: ColumnElement[bool]) -> ColumnElement[bool]:
        return of_kinds(self.connection, condition)

    def _measured(self, name: str) -> Field | None:
        """What is a number, a time or a truth."""
        facts = PromptFactsRow
        if name in ("rating", "score.rating"):
            return _ScoreField(name=name, column=facts.rating, within=self._measure)
        if name == "confidence":
            return _ScoreField(name=name, column=facts.confidence, within=_as_it_is)
        if name.startswith(SCORE):
            return self._score(name)
        if name == "asked":
            return TimeField(name=name, column=facts.asked_us, within=self._measure)
        if name in ("commented", "corrected"):
            column = ScoreRow.comment if name == "commented" else ScoreRow.correction
            said = select(PromptRow.number).join(
                ScoreRow, ScoreRow.prompt_id == PromptRow.prompt_id
            )
            return TruthField(
                name=name, condition=PromptFactsRow.number.in_(said.where(column.is_not(None)))
            )
        if name == "seconds":
            return NumberField(name=name, column=facts.seconds, within=self._measure)
        columns: Mapping[str, SQLColumnExpression[Any]] = {
            "generation": facts.generation,
            "tokens": facts.prompt_tokens + facts.completion_tokens,
            "prompt_tokens": facts.prompt_tokens,
            "completion_tokens": facts.completion_tokens,
            "cost": facts.cost,
        }
        if name not in columns:
            return None
        return NumberField(name=name, column=columns[name], within=_as_it_is)

    def _written(self, name: str) -> Field | None:
        """What stands in the exchange itself."""
        if name == "words":
            return _WordsField(self)
        if name in ("id", "parent"):
            column = PromptRow.prompt_id if name == "id" else PromptRow.parent_id

            def among(condition: ColumnElement[bool]) -> ColumnElement[bool]:
                return self._among(select(PromptRow.number).where(condition))

            return TextField(name=name, column=column, dialect=self.dialect, within=among)
        columns: dict[str, SQLColumnExpression[str | None]] = {
            "question": PromptRow.question,
            "answer": PromptRow.answer,
            "error": PromptRow.error,
        }
        if name not in columns:
            return None
        return TextField(
            name=name, column=columns[name], dialect=self.dialect, within=_of_the_same_prompt
        )

    def _keyed(
        self,
        name: str,
        text_column: SQLColumnExpression[Any],
        key_column: SQLColumnExpression[int],
        key: SQLColumnExpression[int],
    ) -> "_KeyedField":
        def within(condition: ColumnElement[bool]) -> ColumnElement[bool]:
            found = _among_keys(self.connection, key, select(key_column).where(condition))
            self.narrowed.append(Narrowed(select(PromptFactsRow.number).where(found)))
            return found

        texts = TextField(name=name, column=text_column, dialect=self.dialect, within=within)
        return _KeyedField(texts=texts, is_there=key != 0)

    def _posted(self, name: str) -> Field:
        """What an exchange can have many of."""
        relation, columns, keys = {
            "tag": (HAS_TAG, [PromptNameRow.name], select(PromptNameRow.name_id)),
            "shown": (
                SHOWN,
                [SourceRow.external_id, SourceRow.uri],
                select(SourceRow.document_id),
            ),
            "cites": (
                CITES,
                [CitedDocumentRow.external_id, CitedDocumentRow.source],
                select(CitedDocumentRow.cited_id),
            ),
        }[name]
        posted = select(PromptPostingRow.number).where(PromptPostingRow.relation == relation)

        def having(condition: ColumnElement[bool]) -> ColumnElement[bool]:
            found = _among_keys(self.connection, PromptPostingRow.key, keys.where(condition))
            return self._posting(posted.where(found))

        names = tuple(
            TextField(name=name, column=column, dialect=self.dialect, within=_as_it_is)
            for column in columns
        )
        return _PostedField(names=names, having=having, anything=lambda: self._posting(posted))

    def _measure(self, condition: ColumnElement[bool]) -> ColumnElement[bool]:
        self.narrowed.append(Narrowed(select(PromptFactsRow.number).where(condition)))
        return condition

    def _score(self, name: str) -> Field:
        metric = name.removeprefix(SCORE)
        keys = self.connection.execute(
            select(PromptNameRow.name_id).where(PromptNameRow.name == metric)
        ).scalars()
        of_metric = PromptMeanRow.metric_id.in_(keys.all())

        def within(condition: ColumnElement[bool]) -> ColumnElement[bool]:
            numbers = select(PromptMeanRow.number).where(of_metric, condition)
            self.narrowed.append(Narrowed(numbers))
            return _of_this(numbers, PromptMeanRow.number)

        return _ScoreField(name=name, column=PromptMeanRow.value, within=within)

    def _among(self, numbers: Numbers) -> ColumnElement[bool]:
        self.narrowed.append(Narrowed(numbers))
        return PromptFactsRow.number.in_(numbers)

    def _posting(self, numbers: Numbers) -> ColumnElement[bool]:
        self.narrowed.append(Narrowed(numbers))
        return _of_this(numbers, PromptPostingRow.number)

    def has_words(self, told: str) -> ColumnElement[bool]:
        """Exchanges in whose question or answer all words of `told` stand."""
        found = words_numbers(told, self.dialect)
        return nothing() if found is None else self._among(found)


@dataclass(frozen=True, slots=True, kw_only=True)
class _KeyedField:
    """A column of keys of names that stand elsewhere; 0 is nobody's."""

    texts: TextField
    is_there: ColumnElement[bool]

    def one_of(self, values: Sequence[Value]) -> ColumnElement[bool]:
        return self.texts.one_of(values)

    def ordered(self, operator: Order, value: Value) -> ColumnElement[bool]:
        return self.texts.ordered(operator, value)

    def between(self, low: Value, high: Value) -> ColumnElement[bool]:
        return self.texts.between(low, high)

    def like(self, pattern: str) -> ColumnElement[bool]:
        return self.texts.like(pattern)

    def present(self) -> ColumnElement[bool]:
        return self.is_there


@dataclass(frozen=True, slots=True, kw_only=True)
class _PostedField:
    """Something that an exchange can have many of, each under one of several kinds of names."""

    names: tuple[TextField, ...]
    having: Callable[[ColumnElement[bool]], ColumnElement[bool]]
    """Exchanges that have one whose names fulfil a condition."""
    anything: Callable[[], ColumnElement[bool]]

    def one_of(self, values: Sequence[Value]) -> ColumnElement[bool]:
        return self.having(or_(*(name.one_of(values) for name in self.names)))

    def ordered(self, operator: Order, value: Value) -> ColumnElement[bool]:
        return self.having(or_(*(name.ordered(operator, value) for name in self.names)))

    def between(self, low: Value, high: Value) -> ColumnElement[bool]:
        return self.having(or_(*(name.between(low, high) for name in self.names)))

    def like(self, pattern: str) -> ColumnElement[bool]:
        return self.having(or_(*(name.like(pattern) for name in self.names)))

    def present(self) -> ColumnElement[bool]:
        return self.anything()


class _ScoreField(NumberField):
    """A number from 0 to 1."""

    __slots__ = ()

    def number(self, value: Value) -> float:
        found = NumberField.number(self, value)
        if not 0 <= found <= 1:
            raise FilterError(
                f"{quoted(self.name)} is from 0 to 1, so it can't be compared with {value};"
                " write a number in that range"
            )
        return found


@dataclass(frozen=True, slots=True)
class _WordsField:
    """The words of question and answer."""

    fields: PromptFields

    def one_of(self, values: Sequence[Value]) -> ColumnElement[bool]:
        return or_(*(self._has(value) for value in values))

    def ordered(self, operator: Order, value: Value) -> ColumnElement[bool]:
        raise _only_equal()

    def between(self, low: Value, high: Value) -> ColumnElement[bool]:
        raise _only_equal()

    def like(self, pattern: str) -> ColumnElement[bool]:
        raise _only_equal()

    def present(self) -> ColumnElement[bool]:
        return true()

    def _has(self, value: Value) -> ColumnElement[bool]:
        if not isinstance(value, Text):
            raise wrong_type("words", "text", f"write {Text(str(value))} in quotes")
        return self.fields.has_words(value.value)


def _only_equal() -> FilterError:
    return FilterError(
        "words are looked for by = alone: words = 'lighthouse keeper'; for parts of a text write"
        " question like '%house%'"
    )


def _as_it_is(condition: ColumnElement[bool]) -> ColumnElement[bool]:
    return condition


def _of_the_same_prompt(condition: ColumnElement[bool]) -> ColumnElement[bool]:
    return _of_this(select(PromptRow.number).where(condition), PromptRow.number)


def _of_this(numbers: Numbers, number: SQLColumnExpression[int]) -> ColumnElement[bool]:
    """Whether the exchange at hand is among `numbers`, which is looked up for it alone."""
    same = numbers.where(number == PromptFactsRow.number)
    return same.correlate(PromptFactsRow).exists()


def _among_keys(
    connection: Connection,
    column: SQLColumnExpression[int],
    keys: Select[int],
) -> ColumnElement[bool]:
    """Whether `column` is one of the `keys`, which are looked up now where they are few."""
    found = connection.execute(keys.distinct().limit(_FEW + 1)).scalars().all()
    if len(found) > _FEW:
        return column.in_(keys)
    if not found:
        return false()
    return column == found[0] if len(found) == 1 else column.in_(found)


def _unknown(name: str) -> FilterError:
    near = difflib.get_close_matches(name, FIELDS, n=3, cutoff=0.6)
    shown = ", ".join(near or FIELDS)
    hint = f"did you mean {shown}?" if near else f"there are {shown}"
    return FilterError(f"an exchange has no field {quoted(name)}; {hint}")
