"""The fields that sources can be filtered by: what is known of every source, and its metadata.

All conditions are about one source, so that filter, permission and origin hold for the same one.
A metadata field that has the name of a built-in one is written `metadata.title`.
"""

import difflib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, TypeAlias

from sqlalchemy import Column, ColumnElement, Connection, and_, exists, or_, select, union_all

from storage.errors import FilterError
from storage.filters.expression import Text, Truth, Value, quoted
from storage.filters.sql import (
    Catalogue,
    Dialect,
    Field,
    Order,
    TextField,
    TimeField,
    after_prefix,
    compared,
    fits,
    nothing,
    prefix_of,
    within,
    wrong_type,
)
from storage.metadata_values import KEY_CHARACTERS, Kind, date_span
from storage.models.corpus import (
    CollectionRow,
    DocumentRow,
    GenerationRow,
    SourceRow,
    SourceValueRow,
)
from storage.records import CollectionId

BUILT_IN = (
    "source",
    "external_id",
    "title",
    "language",
    "media_type",
    "origin",
    "collection",
    "ingested_at",
)
MAX_DATES = 200
"""In one list: each is a span of its own, and SQLite nests them."""
KINDS: tuple[Kind, ...] = ("text", "long", "number", "truth", "date")
_METADATA = "metadata."
_SHOWN = 10
_CALLED = {
    "text": "text",
    "long": "text",
    "number": "numbers",
    "truth": "true or false",
    "date": "dates",
}
Test: TypeAlias = tuple[Kind, ColumnElement[bool]]
"""A condition on the row of one value of that kind."""


def source_fields(
    connection: Connection, collection_id: CollectionId, readable: ColumnElement[bool]
) -> Catalogue:
    """The fields of a collection's sources, to find all that fit.

    Metadata fields that none of the sources has that are `readable` are unknown, so that nothing
    is said of others. They are looked up in an index, which costs what is found.
    """
    dialect, sources = dialect_of(connection), _AllSources(collection_id)

    def field(name: str) -> Field:
        built_in = _built_in(name, sources, dialect)
        if built_in is not None:
            return built_in
        metadata_name = name.removeprefix(_METADATA)
        kinds = _kinds(connection, collection_id, metadata_name, readable)
        if not kinds:
            raise _unknown(connection, collection_id, name, readable)
        return _MetadataField(metadata_name, kinds, sources, dialect)

    return field


def fields_of_each_source(dialect: Dialect) -> Catalogue:
    """The same fields, to tell of a few sources which of them fit.

    A field that is unknown has no value here: whether it is one was for the search to say.
    """
    sources = _EachSource()

    def field(name: str) -> Field:
        return _built_in(name, sources, dialect) or _MetadataField(
            name.removeprefix(_METADATA), frozenset(KINDS), sources, dialect
        )

    return field


def dialect_of(connection: Connection) -> Dialect:
    """Which of the two databases it is a connection to."""
    return "sqlite" if connection.dialect.name == "sqlite" else "postgresql"


class _Sources(Protocol):
    """How a condition on another table is asked of sources."""

    def having(self, name: str, tests: Sequence[Test]) -> ColumnElement[bool]:
        """Sources that have a value of the field `name` that passes one of `tests`."""

    def of_document(self, condition: ColumnElement[bool]) -> ColumnElement[bool]:
        """Sources whose document fulfils `condition`."""


@dataclass(frozen=True, slots=True)
class _AllSources:
    """Sources of a collection by their values: a list that is made once, from the index."""

    collection_id: CollectionId

    def having(self, name: str, tests: Sequence[Test]) -> ColumnElement[bool]:
        if not tests:
            return nothing()
        # A statement for each kind: each is a range of the index.
        found = [
            select(SourceValueRow.source_id).where(
                SourceValueRow.collection_id == self.collection_id,
                SourceValueRow.field == name,
                SourceValueRow.kind == kind,
                test,
            )
            for kind, test in tests
        ]
        return SourceRow.source_id.in_(found[0] if len(found) == 1 else union_all(*found))

    def of_document(self, condition: ColumnElement[bool]) -> ColumnElement[bool]:
        found = select(DocumentRow.document_id).where(
            DocumentRow.collection_id == self.collection_id, condition
        )
        return SourceRow.document_id.in_(found)


@dataclass(frozen=True, slots=True)
class _EachSource:
    """A source by its values: all of them are looked at, however many other sources have."""

    def having(self, name: str, tests: Sequence[Test]) -> ColumnElement[bool]:
        fitting = or_(*(and_(SourceValueRow.kind == kind, test) for kind, test in tests))
        return exists().where(
            SourceValueRow.source_id == SourceRow.source_id,
            SourceValueRow.field == name,
            fitting,
        )

    def of_document(self, condition: ColumnElement[bool]) -> ColumnElement[bool]:
        return exists().where(DocumentRow.document_id == SourceRow.document_id, condition)


@dataclass(frozen=True, slots=True)
class _MetadataField:
    """A field of metadata, whose values may be of several kinds; each is compared with its own."""

    name: str
    kinds: frozenset[Kind]
    sources: _Sources
    dialect: Dialect

    def one_of(self, values: Sequence[Value]) -> ColumnElement[bool]:
        self._check(*values)
        texts = [v.value for v in values if isinstance(v, Text) and not date_span(v.value)]
        short = [text for text in texts if len(text) < KEY_CHARACTERS]
        long = [text for text in texts if len(text) >= KEY_CHARACTERS]
        days = [span for v in values if isinstance(v, Text) and (span := date_span(v.value))]
        if len(days) > MAX_DATES:
            raise FilterError(
                f"{quoted(self.name)} is compared with {len(days)} dates; use at most {MAX_DATES}"
                " in a list, or between"
            )
        numbers = [v.value for v in values if not isinstance(v, Text | Truth)]
        truths = [float(v.value) for v in values if isinstance(v, Truth)]
        number = SourceValueRow.number
        tests: list[Test] = [
            ("text", _key(SourceValueRow.text_key.in_(short))),
            ("long", _long_among(long)),
            ("number", number.in_(numbers)),
            ("truth", number.in_(truths)),
            ("date", or_(nothing(), *(_in_span(*span) for span in days))),
        ]
        asked = (short, long, numbers, truths, days)
        return self._having([test for test, some in zip(tests, asked, strict=True) if some])

    def ordered(self, operator: Order, value: Value) -> ColumnElement[bool]:
        self._check(value, is_order=True)
        number = SourceValueRow.number
        if not isinstance(value, Text):
            return self._having([("number", compared(number, operator, value.value))])
        if span := date_span(value.value):
            start, end = span
            # Before the end of a day is before the next day's start.
            plain: Order = "<" if operator in ("<", "<=") else ">="
            bound = end if operator in ("<=", ">") else start
            return self._having([("date", compared(number, plain, bound))])
        return self._having(
            [
                ("text", _key(compared(SourceValueRow.text_key, operator, value.value))),
                ("long", compared(_long_column(value.value), operator, value.value)),
            ]
        )

    def between(self, low: Value, high: Value) -> ColumnElement[bool]:
        if type(low) is not type(high):
            raise FilterError(
                f"{quoted(self.name)} can't lie between {low} and {high}; give two ends of one kind"
            )
        self._check(low, high, is_order=True)
        number = SourceValueRow.number
        if not (isinstance(low, Text) and isinstance(high, Text)):
            return self._having([("number", number.between(low.value, high.value))])
        first, last = date_span(low.value), date_span(high.value)
        if first and last:
            return self._having([("date", _in_span(first[0], last[1]))])
        return self._having(
            [
                ("text", _key(within(SourceValueRow.text_key, low.value, high.value))),
                (
                    "long",
                    and_(
                        compared(_long_column(low.value), ">=", low.value),
                        compared(_long_column(high.value), "<=", high.value),
                    ),
                ),
            ]
        )

    def like(self, pattern: str) -> ColumnElement[bool]:
        self._check(Text(""))
        prefix = prefix_of(pattern)
        key, upper = SourceValueRow.text_key, after_prefix(prefix)
        in_range = key >= prefix if upper is None else and_(key >= prefix, key < upper)
        return self._having(
            [
                ("text", _key(and_(in_range, fits(key, pattern, self.dialect)))),
                ("long", fits(SourceValueRow.long_text, pattern, self.dialect)),
            ]
        )

    def present(self) -> ColumnElement[bool]:
        return self._having([(kind, SourceValueRow.source_id.is_not(None)) for kind in KINDS])

    def _having(self, tests: Sequence[Test]) -> ColumnElement[bool]:
        return self.sources.having(self.name, [test for test in tests if test[0] in self.kinds])

    def _check(self, *values: Value, is_order: bool = False) -> None:
        for value in values:
            if isinstance(value, Truth) and is_order:
                raise FilterError(
                    f"{value} has no order; write {quoted(self.name)} = {value} or != {value}"
                )
            if not self.kinds & _comparable(value, is_order=is_order):
                raise self._wrong_type(value)

    def _wrong_type(self, value: Value) -> FilterError:
        held = " and ".join(dict.fromkeys(_CALLED[kind] for kind in KINDS if kind in self.kinds))
        return wrong_type(
            self.name, held, f"{value} is none of that kind: write a value that can be in it"
        )


def _comparable(value: Value, *, is_order: bool) -> frozenset[Kind]:
    """The kinds of values that may stand to `value` in some relation."""
    if isinstance(value, Truth):
        return frozenset({"truth"})
    if not isinstance(value, Text):
        return frozenset({"number"})
    is_date = date_span(value.value) is not None
    return frozenset({"date"}) if is_date and is_order else frozenset({"text", "long"})


def _key(test: ColumnElement[bool]) -> ColumnElement[bool]:
    """A test of `text_key`, for texts that have no number: they lie together in the index."""
    return and_(SourceValueRow.number.is_(None), test)


def _in_span(start: float, end: float) -> ColumnElement[bool]:
    return and_(SourceValueRow.number >= start, SourceValueRow.number < end)


def _long_among(texts: Sequence[str]) -> ColumnElement[bool]:
    keys = [text[:KEY_CHARACTERS] for text in texts]
    return _key(and_(SourceValueRow.text_key.in_(keys), SourceValueRow.long_text.in_(texts)))


def _long_column(other: str) -> Column[str | None]:
    """The column of a long text that decides its order to `other`: of a short one, the key does."""
    is_short = len(other) < KEY_CHARACTERS
    return SourceValueRow.text_key if is_short else SourceValueRow.long_text


def _built_in(name: str, sources: _Sources, dialect: Dialect) -> Field | None:
    columns = {
        "source": SourceRow.uri,
        "external_id": SourceRow.external_id,
        "title": SourceRow.title,
        "media_type": SourceRow.media_type,
        "origin": SourceRow.origin,
    }
    if name in columns:
        return TextField(name=name, column=columns[name], dialect=dialect, within=_as_it_is)
    if name == "language":
        return TextField(
            name=name, column=DocumentRow.language, dialect=dialect, within=sources.of_document
        )
    if name == "collection":
        return TextField(
            name=name, column=CollectionRow.name, dialect=dialect, within=_of_collection
        )
    if name == "ingested_at":
        return TimeField(name=name, column=GenerationRow.committed_at, within=_of_generation)
    return None


def _as_it_is(condition: ColumnElement[bool]) -> ColumnElement[bool]:
    return condition


def _of_collection(condition: ColumnElement[bool]) -> ColumnElement[bool]:
    return SourceRow.collection_id.in_(select(CollectionRow.collection_id).where(condition))


def _of_generation(condition: ColumnElement[bool]) -> ColumnElement[bool]:
    return SourceRow.from_generation.in_(select(GenerationRow.generation).where(condition))


def _kinds(
    connection: Connection,
    collection_id: CollectionId,
    name: str,
    readable: ColumnElement[bool],
) -> frozenset[Kind]:
    """The kinds of values that readable sources have of a field."""
    asked = [
        exists()
        .where(
            SourceValueRow.collection_id == collection_id,
            SourceValueRow.field == name,
            SourceValueRow.kind == kind,
            SourceRow.source_id == SourceValueRow.source_id,
            readable,
        )
        .label(kind)
        for kind in KINDS
    ]
    row = connection.execute(select(*asked)).one()
    return frozenset(kind for kind, is_there in zip(KINDS, row, strict=True) if is_there)


def _unknown(
    connection: Connection,
    collection_id: CollectionId,
    name: str,
    readable: ColumnElement[bool],
) -> FilterError:
    statement = (
        select(SourceValueRow.field)
        .join(SourceRow, SourceRow.source_id == SourceValueRow.source_id)
        .where(SourceValueRow.collection_id == collection_id, readable)
        .distinct()
    )
    known = sorted({*connection.execute(statement).scalars(), *BUILT_IN})
    near = difflib.get_close_matches(name, known, n=3, cutoff=0.6)
    shown = ", ".join(quoted(other) for other in near or known[:_SHOWN])
    more = "" if near or len(known) <= _SHOWN else f" and {len(known) - _SHOWN} more"
    hint = f"did you mean {shown}?" if near else f"there are {shown}{more}"
    return FilterError(f"no source has a field {quoted(name)}; {hint}")
