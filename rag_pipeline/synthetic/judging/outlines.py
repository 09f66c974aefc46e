"""A series as one record, so that series can be told apart and measured as records are.

Its columns: how many records there are and when the first is; the values of each column at a few
places on the way from the first to the last; of numbers their mean, their spread, how far they move
from one record to the next, and how much of a value the next one keeps; of names how many there
are, how often they change, and how usual what follows is. What is shaken a little has an outline
that is near, and what is shuffled has one of other moves.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

from rag_pipeline.synthetic.judging.copies import Keys, mixed, row_keys
from rag_pipeline.synthetic.judging.distances import codes_of, finite, is_ordered
from rag_pipeline.synthetic.judging.series import Ordered, Places
from rag_pipeline.synthetic.series.series import Layout
from rag_pipeline.synthetic.tables.table import Column, Numbers, Schema, Table, Values

_PLACES = 5
"""Of the records of a series, first and last among them."""
_STEP = "\0step"
_EXACT = {"integer": 0, "datetime": 3, "number": 6}
"""Digits of a step that are compared: times of today have no more in float64."""


def outlines(sides: Sequence[Ordered], layout: Layout) -> list[Table]:
    """(series,) for each; how usual what follows is, is told by all of them together."""
    columns = [
        column
        for column in sides[0].table.schema.columns
        if column.is_learnt and column.name not in (layout.key, layout.time)
    ]
    return [
        _table({**_whole(side, layout), **_parts(side, columns), **usual})
        for side, usual in zip(sides, _usual(sides, columns), strict=True)
    ]


def series_keys(sides: Sequence[Ordered], layout: Layout) -> list[Keys]:
    """(series,) for each: the same number for series whose records are the same in the same order,
    whatever they are called and whenever they began."""
    tables = [_steps(side, layout) for side in sides]
    names = [column.name for column in tables[0].schema.columns]
    of_records = row_keys(tables, names)
    return [_of_series(side, keys) for side, keys in zip(sides, of_records, strict=True)]


def _steps(side: Ordered, layout: Layout) -> Table:
    """In order: all that is compared of records, with the time since the one before."""
    schema = side.table.schema
    named = (layout.key, layout.time)
    columns = [one for one in schema.columns if one.is_learnt and one.name not in named]
    values = {column.name: side.values(column.name) for column in columns}
    values[_STEP] = np.zeros(len(side.order))
    if layout.time is not None:
        column = schema.column(layout.time)
        decimals = _EXACT[column.kind] if column.decimals is None else column.decimals
        steps = np.diff(np.asarray(side.values(layout.time), np.float64), prepend=0.0)
        steps[side.firsts] = 0.0
        values[_STEP] = np.round(steps, decimals)
    return Table(
        schema=Schema(columns=(*columns, Column(name=_STEP, kind="number"))), values=values
    )


def _of_series(side: Ordered, keys: Keys) -> Keys:
    places = (np.arange(len(side.of)) - side.firsts[side.of]).astype(np.uint64)
    placed = mixed(keys + mixed(places + np.uint64(1)))
    sums = np.concatenate([np.zeros(1, np.uint64), np.cumsum(placed, dtype=np.uint64)])
    ends = np.cumsum(side.lengths)
    return np.asarray(mixed(sums[ends] - sums[ends - side.lengths]), np.uint64)


def _table(found: dict[Column, Values]) -> Table:
    values = {column.name: one for column, one in found.items()}
    return Table(schema=Schema(columns=tuple(found)), values=values)


def _number(name: str) -> Column:
    return Column(name=name, kind="number")


def _whole(side: Ordered, layout: Layout) -> dict[Column, Values]:
    """What is said of a series and not of its columns."""
    found: dict[Column, Values] = {_number("\0records"): side.lengths.astype(np.float64)}
    if layout.time is None:
        return found
    times = np.asarray(side.values(layout.time), np.float64)
    last = side.firsts + side.lengths - 1
    found[_number("\0begins")] = times[side.firsts]
    found[_number("\0lasts")] = times[last] - times[side.firsts]
    return found


def _parts(side: Ordered, columns: Sequence[Column]) -> dict[Column, Values]:
    found: dict[Column, Values] = {}
    for column in columns:
        values = side.values(column.name)
        for place in range(_PLACES):
            at = side.firsts + np.round((side.lengths - 1) * place / (_PLACES - 1)).astype(np.int64)
            name = f"{column.name}\0{place}"
            found[Column(name=name, kind=column.kind, decimals=column.decimals)] = values[at]
        if is_ordered(side.table, column.name):
            of_column = _of_numbers(side, finite(values))
        else:
            of_column = _of_names(side, codes_of(values, {}))
        found |= {_number(f"{column.name}\0{name}"): one for name, one in of_column}
    return found


def _of_numbers(side: Ordered, values: Numbers) -> Iterator[tuple[str, Numbers]]:
    """(series,) each; NaN where a series has too few values."""
    mean = _mean(side.of, values, len(side.lengths))
    apart = values - mean[side.of]
    spread = np.sqrt(_mean(side.of, apart**2, len(side.lengths)))
    before, after = _neighbours(side)
    of = side.of[after]
    kept = _mean(of, apart[before] * apart[after], len(side.lengths))
    yield "mean", mean
    yield "spread", spread
    yield "moves", _mean(of, np.abs(values[after] - values[before]), len(side.lengths))
    yield "keeps", np.where(spread > 0, kept / np.where(spread > 0, spread, 1) ** 2, np.nan)


def _of_names(side: Ordered, codes: Places) -> Iterator[tuple[str, Numbers]]:
    before, after = _neighbours(side)
    changes = (codes[before] != codes[after]).astype(np.float64)
    kinds = np.unique(np.stack([side.of, codes]), axis=1)[0]
    yield "kinds", np.bincount(kinds, minlength=len(side.lengths)).astype(np.float64)
    yield "changes", _mean(side.of[after], changes, len(side.lengths))


def _usual(sides: Sequence[Ordered], columns: Sequence[Column]) -> list[dict[Column, Values]]:
    """Of columns of names: the mean log of how often the next one follows."""
    found: list[dict[Column, Values]] = [{} for _ in sides]
    for column in columns:
        if is_ordered(sides[0].table, column.name):
            continue
        known: dict[object, int] = {}
        codes = [codes_of(side.values(column.name), known) for side in sides]
        met = [
            of_side[_neighbours(side)[0]] * len(known) + of_side[_neighbours(side)[1]]
            for side, of_side in zip(sides, codes, strict=True)
        ]
        # As much of each side, so that none is more usual for being larger.
        pairs, number = np.unique(np.concatenate(met), return_inverse=True)
        ends = np.cumsum([one.size for one in met])[:-1]
        numbers = np.split(number, ends)
        shares = sum(np.bincount(one, minlength=pairs.size) / max(one.size, 1) for one in numbers)
        of_first = np.bincount(pairs // len(known), weights=shares, minlength=len(known))
        likely = np.log(shares / of_first[pairs // len(known)])
        for side, one, into in zip(sides, numbers, found, strict=True):
            of = side.of[_neighbours(side)[1]]
            into[_number(f"{column.name}\0usual")] = _mean(of, likely[one], len(side.lengths))
    return found


def _neighbours(side: Ordered) -> tuple[Places, Places]:
    """Where records stand in the order that have a next one, and where that stands."""
    before = np.flatnonzero(side.of[1:] == side.of[:-1])
    return before, before + 1


def _mean(of: Places, values: Numbers, series: int) -> Numbers:
    """(series,): of what is there; NaN where nothing is."""
    there = ~np.isnan(values)
    counts = np.bincount(of[there], minlength=series)
    sums = np.bincount(of[there], weights=values[there], minlength=series)
    return np.asarray(np.where(counts, sums / np.maximum(counts, 1), np.nan), np.float64)


def with_before(side: Ordered) -> Table:
    """Each record, where it stands, with what the one before it in its series had."""
    names = [column for column in side.table.schema.columns if column.role != "series"]
    values: dict[Column, Values] = {
        replace(column, role=None): side.table.values[column.name] for column in names
    }
    before, after = side.pairs()
    for column in names:
        if column.is_learnt:
            named = replace(column, name=f"{column.name}\0before", role=None)
            values[named] = _moved(side.table.values[column.name], before, after)
    return _table(values)


def _moved(values: Values, before: Places, after: Places) -> Values:
    """What stood before, in the place after; missing elsewhere."""
    if values.dtype == np.object_:
        names = np.full(values.shape, None, np.object_)
        names[after] = values[before]
        return names
    numbers = np.full(values.shape, np.nan)
    numbers[after] = np.asarray(values, np.float64)[before]
    return numbers
