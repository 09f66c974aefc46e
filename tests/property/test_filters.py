"""A filter in SQL means what it means in plain Python, whatever the metadata is."""

import itertools
import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.corpora import place, writing

from storage.engine import Database
from storage.errors import FilterError
from storage.filters import Filter, as_json, from_json, parse
from storage.filters.expression import (
    Absence,
    Comparison,
    Condition,
    Conjunction,
    Disjunction,
    Match,
    Membership,
    Negation,
    Number,
    Operator,
    Range,
    Text,
    Truth,
    Value,
    conditions,
)
from storage.reading import CorpusReader
from storage.records import LOCAL_OWNER, ChunkId

_names = itertools.count()
DAY = re.compile(r"\d{4}-\d\d-\d\d")
LONG = "x" * 199
OPERATORS: tuple[Operator, ...] = ("=", "!=", "<", "<=", ">", ">=")

short_texts = st.text("aAbß%_*?[]^\\'\"`-é\u00e9\U0001f600 1.", max_size=4)
long_texts = st.builds(
    lambda a, b: LONG + a + b, st.sampled_from("aby"), st.sampled_from(["", "a", "zz"])
)
dates = st.sampled_from(
    [
        "2020-01-01",
        "2020-01-31",
        "2020-02-01",
        "2020-01-31T23:59:59Z",
        "2020-01-31T23:59",
        "2020-02-01T00:30:00+01:00",
        "2020-01-31 12:00:00.250000",
        "2020-02-30",
        "0001-01-01",
        "9999-12-31",
    ]
)
texts = st.one_of(short_texts, long_texts, dates)
numbers = st.one_of(
    st.integers(-3, 3),
    st.sampled_from([0.5, -0.0, 2.5, 1e300, -1e-300, 2**53 - 1, 1e16]),
)
scalars = st.one_of(texts, numbers, st.booleans(), st.none())
values = st.one_of(scalars, st.lists(scalars, max_size=3), st.just([[1, ["a"]], 2]))
FIELDS = ("year", "tag", "a.b", "odd `name", "ünï")
metadata = st.one_of(
    st.dictionaries(
        st.sampled_from(["year", "tag", "odd `name", "ünï", "a.b"]), values, max_size=4
    ),
    st.fixed_dictionaries({"a": st.one_of(scalars, st.dictionaries(st.just("b"), values))}),
    st.fixed_dictionaries({"a": st.lists(st.dictionaries(st.just("b"), values), max_size=2)}),
)

literals: st.SearchStrategy[Value] = st.one_of(
    st.builds(Text, texts), st.builds(Number, numbers), st.builds(Truth, st.booleans())
)
names = st.sampled_from([*FIELDS, "metadata.tag", "title", "external_id"])
patterns = st.one_of(
    st.text("aAbß%_*?[]^\\x1-2", max_size=5),
    st.sampled_from(["%", "2020-01%", LONG + "%", "%zz", "\\%", "%%a", "a\\", "\\_\\\\%"]),
)
leaves: st.SearchStrategy[Filter] = st.one_of(
    st.builds(Comparison, names, st.sampled_from(OPERATORS), literals),
    st.builds(
        Membership, names, st.lists(literals, min_size=1, max_size=3).map(tuple), st.booleans()
    ),
    st.builds(Match, names, patterns, st.booleans()),
    st.builds(Absence, names, st.booleans()),
    st.builds(Range, names, literals, literals, st.booleans()),
)


def joined(inner: st.SearchStrategy[Filter]) -> st.SearchStrategy[Filter]:
    some = st.lists(inner, min_size=2, max_size=3).map(tuple)
    return st.one_of(
        st.builds(Negation, inner), st.builds(Conjunction, some), st.builds(Disjunction, some)
    )


filters = st.recursive(leaves, joined, max_leaves=5)


@given(filters)
def test_a_filter_is_read_back_from_its_text_and_its_json(where: Filter) -> None:
    assert parse(str(where)) == where
    assert from_json(as_json(where)) == where


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    sources=st.lists(metadata, min_size=1, max_size=6),
    wheres=st.lists(filters, min_size=1, max_size=4),
)
def test_sql_finds_what_python_finds_on_sqlite(
    database: Database, sources: list[dict[str, Any]], wheres: list[Filter]
) -> None:
    check(database, sources, wheres)


@pytest.mark.parametrize("database_url", ["postgres"], indirect=True)
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    sources=st.lists(metadata, min_size=1, max_size=6),
    wheres=st.lists(filters, min_size=1, max_size=4),
)
def test_sql_finds_what_python_finds_on_postgresql(
    database: Database, sources: list[dict[str, Any]], wheres: list[Filter]
) -> None:
    check(database, sources, wheres)


def check(database: Database, sources: list[dict[str, Any]], wheres: list[Filter]) -> None:
    """Every source has a text of its own, so that its chunk stands for it."""
    name = f"c{next(_names)}"
    titles = [("", "a", "A%", "2020-01-31")[number % 4] for number in range(len(sources))]
    with writing(database, name) as writer:
        writer.commit(
            [
                place(f"s{number}", f"{name} {number}", title=title, metadata=given)
                for number, (title, given) in enumerate(zip(titles, sources, strict=True))
            ]
        )
    things = [
        Thing(given, {"title": title, "external_id": f"s{number}"})
        for number, (title, given) in enumerate(zip(titles, sources, strict=True))
    ]
    for where in wheres:
        assert found_by_sql(database, name, where) == found_by_python(things, where), str(where)


def found_by_sql(database: Database, name: str, where: Filter) -> list[str] | None:
    """External ids; None if the filter is refused."""
    reader = CorpusReader(database)
    collection = reader.collection(name, principal=LOCAL_OWNER)
    about: Any = {"principal": LOCAL_OWNER, "generation": reader.served().generation}
    try:
        ids = reader.candidates(collection.collection_id, where=where, **about)
    except FilterError:
        return None
    assert ids is not None
    assert (np.diff(ids) > 0).all()
    everything = reader.candidates(
        collection.collection_id, where=parse("source is not null"), **about
    )
    assert everything is not None
    keys = [ChunkId(int(key)) for key in everything]
    shown = reader.chunks(keys, where=where, **about)
    assert sorted(shown) == ids.tolist()
    return sorted(ref.external_id for chunk in shown.values() for ref in chunk.sources)


class Thing:
    """One source, as Python sees it."""

    def __init__(self, metadata: Mapping[str, Any], built_in: Mapping[str, str]) -> None:
        self.metadata, self.built_in = metadata, built_in

    def values(self, field: str) -> list[Any]:
        if field in self.built_in:
            return [self.built_in[field]]
        return list(_flat(self.metadata, field.removeprefix("metadata.")))


def _flat(value: Any, field: str, path: str = "") -> Iterator[Any]:
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _flat(inner, field, f"{path}.{key}" if path else key)
    elif isinstance(value, list):
        for inner in value:
            yield from _flat(inner, field, path)
    elif path == field and value is not None:
        yield value


def found_by_python(things: list[Thing], where: Filter) -> list[str] | None:
    if any(is_refused(things, said) for said in conditions(where)):
        return None
    return sorted(thing.built_in["external_id"] for thing in things if holds(thing, where))


def is_refused(things: list[Thing], said: Condition) -> bool:
    is_text_only = said.field in ("title", "external_id")
    kinds = {kind(value) for thing in things for value in thing.values(said.field)}
    has_dates = not is_text_only and any(
        is_date(value) for thing in things for value in thing.values(said.field)
    )
    if not kinds:
        return True
    match said:
        case Absence():
            return False
        case Match():
            return Text not in kinds
        case Comparison(_, operator, value):
            asked, is_order = [value], operator not in ("=", "!=")
        case Membership(_, values):
            asked, is_order = list(values), False
        case Range(_, low, high):
            asked, is_order = [low, high], True
            if type(low) is not type(high):
                return True
    is_vain = is_order and not is_text_only and not has_dates
    return any(
        type(value) not in kinds
        or (isinstance(value, Truth) and is_order)
        or (is_vain and is_date(value.value))
        for value in asked
    )


def kind(value: Any) -> type[Value]:
    return Truth if isinstance(value, bool) else Text if isinstance(value, str) else Number


def holds(thing: Thing, where: Filter) -> bool:
    match where:
        case Negation(operand):
            return not holds(thing, operand)
        case Conjunction(operands):
            return all(holds(thing, operand) for operand in operands)
        case Disjunction(operands):
            return any(holds(thing, operand) for operand in operands)
        case _:
            return said_of(thing, where)


def said_of(thing: Thing, said: Condition) -> bool:
    values = thing.values(said.field)
    plain = said.field in ("title", "external_id")
    match said:
        case Absence(_, is_negated):
            return bool(values) == is_negated
        case Match(_, pattern, is_negated):
            like = re.compile(as_regex(pattern), re.DOTALL)
            return is_negated != any(
                isinstance(value, str) and bool(like.fullmatch(value)) for value in values
            )
        case Comparison(_, "!=", value):
            return not any(stands(item, "=", value, plain) for item in values)
        case Comparison(_, operator, value):
            return any(stands(item, operator, value, plain) for item in values)
        case Membership(_, listed, is_negated):
            found = any(stands(item, "=", value, plain) for item in values for value in listed)
            return is_negated != found
        case Range(_, low, high, is_negated):
            if not (is_date(low.value) and is_date(high.value)):
                plain = True
            found = any(
                stands(item, ">=", low, plain) and stands(item, "<=", high, plain)
                for item in values
            )
            return is_negated != found


def stands(item: Any, operator: Operator, value: Value, plain: bool) -> bool:
    if kind(item) is not type(value):
        return False
    if plain or not is_date(value.value):
        return compare(item, operator, value.value)
    if not is_date(item):
        return False
    (at, _), (start, end) = span(item), span(str(value.value))
    return {
        "=": start <= at < end,
        "<": at < start,
        "<=": at < end,
        ">": at >= end,
        ">=": at >= start,
    }[operator]


def compare(item: Any, operator: Operator, value: Any) -> bool:
    return bool(
        {
            "=": item == value,
            "<": item < value,
            "<=": item <= value,
            ">": item > value,
            ">=": item >= value,
        }[operator]
    )


def is_date(value: Any) -> bool:
    if not isinstance(value, str) or not DAY.match(value):
        return False
    try:
        datetime.fromisoformat(value)
    except ValueError:
        return False
    return True


def span(text: str) -> tuple[float, float]:
    start = datetime.fromisoformat(text)
    start = start if start.tzinfo else start.replace(tzinfo=UTC)
    lasts = {10: timedelta(days=1), 16: timedelta(minutes=1)}.get(len(text), timedelta(seconds=1))
    lasts = timedelta(microseconds=1) if "." in text else lasts
    epoch = datetime(1970, 1, 1, tzinfo=UTC)
    seconds = (start - epoch) / timedelta(seconds=1)
    return seconds, seconds + lasts / timedelta(seconds=1)


def as_regex(pattern: str) -> str:
    """By another way than the code: one regular expression, read from left to right."""

    def part(found: re.Match[str]) -> str:
        text = found[0]
        if text in "%_":
            return ".*" if text == "%" else "."
        return re.escape(text[1:] if len(text) == 2 else text)

    return re.sub(r"\\[%_\\]|.", part, pattern, flags=re.DOTALL)
