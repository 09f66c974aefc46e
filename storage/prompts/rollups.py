"""Counts of exchanges that have ended, kept as these are written: statistics cost what they show.

Whoever changes what is counted does it and the count in one transaction: `count` what has ended,
`recounted` around any other change. Counts are written once in a transaction, after everything
else that waits for others, and in one order, so that those who write at once wait for each other
in line, and never in a ring.

What is under way is not counted here: it is little, and an index of its own leads to it.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date
from functools import cache
from typing import Any, Literal, NamedTuple, TypeAlias

from sqlalchemy import Connection, Insert, Row, delete, select, text

from storage.bulk import batches
from storage.inserting import insert_into
from storage.models.prompts import PromptRow
from storage.models.rollups import LatencyRollupRow, RollupRow, ScoreRollupRow
from storage.prepared import change
from storage.prompts.counting import (
    COUNTS,
    Dimension,
    Facts,
    Totals,
    all_facts,
    facts_in,
    facts_of,
)

Grain = Literal["day", "month"]
Record: TypeAlias = dict[str, Any]
_Table: TypeAlias = type[RollupRow] | type[LatencyRollupRow] | type[ScoreRollupRow]
_TABLES: tuple[_Table, ...] = (RollupRow, LatencyRollupRow, ScoreRollupRow)
_NUMBERS: Mapping[_Table, tuple[str, ...]] = {
    RollupRow: COUNTS,
    LatencyRollupRow: ("prompts",),
    ScoreRollupRow: ("scores", "millionths", "ups", "downs"),
}
_HOW_MANY: Mapping[_Table, str] = {
    RollupRow: "prompts",
    LatencyRollupRow: "prompts",
    ScoreRollupRow: "scores",
}
"""The number without which there is nothing to keep."""
_ENDED = select(PromptRow.prompt_id).where(PromptRow.status != "started")
_KEYS_HELD = 50_000
_SHOWN = 5


class Key(NamedTuple):
    """What is counted together."""

    dimension: Dimension
    grain: Grain
    value: str
    first_day: date


def count(connection: Connection, prompt_ids: Sequence[str]) -> None:
    """Count exchanges that have just ended, or that came here as they ended elsewhere."""
    if prompt_ids:
        _apply(connection, (), facts_of(connection, prompt_ids).values())


def count_ended(connection: Connection, ended: Row[*tuple[Any, ...]]) -> None:
    """Count an exchange that has just ended, by the row that `facts_in` takes."""
    _apply(connection, (), facts_in(connection, [ended]).values())


@contextmanager
def recounted(connection: Connection, prompt_ids: Sequence[str]) -> Iterator[None]:
    """Count anew what is changed within, or deleted: it is counted as it was before no more."""
    before = facts_of(connection, prompt_ids, locked=True)
    yield
    _apply(connection, before.values(), facts_of(connection, prompt_ids).values())


def recount(connection: Connection) -> None:
    """Make all counts from the exchanges themselves; until the end, nobody else writes any."""
    if connection.dialect.name != "sqlite":
        connection.execute(text("LOCK TABLE prompt_rollups IN EXCLUSIVE MODE"))
    for table in _TABLES:
        connection.execute(delete(table))
    tally = Tally()
    for facts in all_facts(connection, _ENDED):
        tally.add(facts)
        if len(tally.totals) > _KEYS_HELD:
            _write(connection, tally)
            tally = Tally()
    _write(connection, tally)


def differences(connection: Connection) -> list[str]:
    """Where the counts are not what the exchanges give."""
    tally = Tally()
    for facts in all_facts(connection, _ENDED):
        tally.add(facts)
    found = []
    for table in _TABLES:
        expected = {_key(table, record): record for record in tally.records(table)}
        stored = {
            _key(table, record): record
            for row in connection.execute(select(table.__table__)).mappings()
            if (record := dict(row))
        }
        wrong = sorted(
            key for key in expected.keys() | stored.keys() if expected.get(key) != stored.get(key)
        )
        if wrong:
            shown = ", ".join("/".join(map(str, key)) for key in wrong[:_SHOWN])
            found.append(
                f"statistics: {len(wrong)} counts of {table.__tablename__} are not what the"
                f" exchanges give, such as {shown}; run `rag history stats --recount`"
            )
    return found


@dataclass(frozen=True, slots=True)
class Tally:
    """What is to be added to the counts."""

    totals: dict[Key, Totals] = field(default_factory=dict)
    _summed: set[Key] = field(default_factory=set)
    """Where there are sums. Elsewhere stands what one exchange adds, the same in all places."""

    def add(self, facts: Facts, sign: int = 1) -> None:
        if not facts.has_ended:
            return
        alone = Totals()
        alone.add(facts, sign)
        days: tuple[tuple[Grain, date], ...] = (
            ("day", facts.day),
            ("month", facts.day.replace(day=1)),
        )
        for dimension, value in facts.places():
            for grain, first_day in days:
                key = Key(dimension, grain, value, first_day)
                self._add(key, alone)

    def _add(self, key: Key, alone: Totals) -> None:
        counted = self.totals.get(key)
        if counted is None:
            self.totals[key] = alone
        elif key in self._summed:
            counted.add_totals(alone)
        else:
            self.totals[key] = counted + alone
            self._summed.add(key)

    def records(self, table: _Table) -> Iterator[Record]:
        """The rows of a table, by their keys; none that would change nothing."""
        records: dict[int, list[Record]] = {}
        for key in sorted(self.totals):
            totals = self.totals[key]
            if id(totals) not in records:
                records[id(totals)] = [*_records(table, totals)]
            for record in records[id(totals)]:
                yield {
                    "dimension": key.dimension,
                    "grain": key.grain,
                    "value": key.value,
                    "first_day": key.first_day,
                    **record,
                }


def _records(table: _Table, totals: Totals) -> Iterator[Record]:
    """What the rows of a table say of `totals`, without those that would change nothing."""
    names = _NUMBERS[table]
    return (record for record in _all_records(table, totals) if any(record[n] for n in names))


def _all_records(table: _Table, totals: Totals) -> Iterator[Record]:
    if table is RollupRow:
        yield dict(zip(COUNTS, totals.amounts, strict=True))
    elif table is LatencyRollupRow:
        for bucket, prompts in sorted(totals.latencies.items()):
            yield {"bucket": bucket, "prompts": prompts}
    else:
        for (judge, metric), said in sorted(totals.opinions.items()):
            yield {
                "judge": judge,
                "metric": metric,
                "scores": said.scores,
                "millionths": said.millionths,
                "ups": said.ups,
                "downs": said.downs,
            }


def _apply(connection: Connection, before: Iterable[Facts], after: Iterable[Facts]) -> None:
    tally = Tally()
    for facts in before:
        tally.add(facts, -1)
    for facts in after:
        tally.add(facts)
    _write(connection, tally)


def _write(connection: Connection, tally: Tally) -> None:
    for table in _TABLES:
        records = [*tally.records(table)]
        for batch in batches(records):
            change(connection, _adding(table, connection.dialect.name), batch)
        emptied = [record for record in records if record[_HOW_MANY[table]] < 0]
        if emptied:
            _delete_empty(connection, table, emptied)


@cache
def _adding(table: _Table, dialect: str) -> Insert:
    """Adds rows; to those that are there, their numbers."""
    new = insert_into(table, dialect)
    added = {name: getattr(table, name) + new.excluded[name] for name in _NUMBERS[table]}
    return new.on_conflict_do_update(index_elements=_key_names(table), set_=added)


def _delete_empty(connection: Connection, table: _Table, records: Sequence[Record]) -> None:
    """What counts nothing any more must not go on naming a tag or a program."""
    for record in records:
        key = {name: record[name] for name in _key_names(table)}
        connection.execute(delete(table).filter_by(**key, **{_HOW_MANY[table]: 0}))


def _key_names(table: _Table) -> list[str]:
    return [column.name for column in table.__table__.primary_key]


def _key(table: _Table, record: Mapping[str, Any]) -> tuple[Any, ...]:
    return tuple(record[name] for name in _key_names(table))
