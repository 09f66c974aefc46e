"""Series of records in a table: those of one key belong together, in the order of their times.

Times are learnt as a beginning and the steps from one to the next. What never changes within a
series belongs to it as a whole.

Shapes: S series, T records of the longest and one more, D columns; the first of them says whether a
series ends there, the second is its time where there is one.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self, cast

import numpy as np
import numpy.typing as npt

from rag_pipeline.synthetic.errors import SyntheticError
from rag_pipeline.synthetic.tables.coding import (
    Arrays,
    Codec,
    Codes,
    Wanted,
    arrays_of,
    kinds_of,
    learnt,
    restored,
)
from rag_pipeline.synthetic.tables.table import Column, Numbers, Schema, Table, Values

FEWEST_SERIES = 20
LONGEST = 10_000
"""Records of a series that is learnt."""
ENDS, TIME = "\0ends", "\0time"
"""Columns of the codes that are none of the table."""
_BEGINS = "\0begins"


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """Which columns make series of the records of a table."""

    key: str
    """Which series a record belongs to."""
    time: str | None = None
    """What its records are ordered by; None: as they stand in the table."""

    def check(self, table: Table) -> None:
        """Raise `SyntheticError` for a column that is not there or can't be that, and for records
        without a key or a time."""
        column = None if self.time is None else table.schema.column(self.time)
        if column is not None and column.kind not in ("integer", "number", "datetime"):
            raise SyntheticError(f"{column.name!r} holds no numbers or times to order records by")
        table.schema.column(self.key)
        if self.time == self.key:
            raise SyntheticError(f"{self.key!r} can't be the key of a series and its time at once")
        for name in (self.key, self.time):
            if name is None:
                continue
            missing = np.flatnonzero([one is None or one != one for one in table.values[name]])
            if missing.size:
                raise SyntheticError(
                    f"record {missing[0] + 1} has no {name!r}, and {missing.size} lack it in all:"
                    " correct them, or leave them out"
                )

    def groups(self, table: Table) -> list[npt.NDArray[np.int64]]:
        """The places of each series' records, in order; series as they first appear."""
        self.check(table)
        keys = table.values[self.key].tolist()
        number = {key: at for at, key in enumerate(dict.fromkeys(keys))}
        of_record = np.array([number[key] for key in keys], np.int64)
        times = np.zeros(len(keys)) if self.time is None else table.values[self.time]
        order = np.lexsort((np.asarray(times, np.float64), of_record))
        ends = np.cumsum(np.bincount(of_record))[:-1]
        return list(np.split(order, ends))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SeriesCodec:
    """Series as whole numbers, and back."""

    schema: Schema
    layout: Layout
    codecs: Mapping[str, Codec]
    """Of each column that is learnt; of times, the beginning and the steps."""
    fixed: tuple[str, ...]
    """Columns that never change within a series."""
    longest: int
    """Records of the longest series."""

    @classmethod
    def learnt(cls, table: Table, layout: Layout) -> Self:
        """Raises `SyntheticError` for too few series, and what can't be ordered."""
        groups = layout.groups(table)
        if len(groups) < FEWEST_SERIES:
            raise SyntheticError(
                f"{len(groups)} series are too few to learn from without learning them by heart:"
                f" give at least {FEWEST_SERIES}"
            )
        _check_lengths(table, layout, groups)
        columns = [column for column in table.schema.columns if _is_learnt(column, layout)]
        codecs = {column.name: learnt(column, table.values[column.name]) for column in columns}
        if layout.time is not None:
            first, steps = _times(table, layout.time, groups)
            as_time = _of_times(table.schema.column(layout.time))
            codecs = {_BEGINS: learnt(as_time, first), TIME: learnt(as_time, steps), **codecs}
        if not codecs:
            raise SyntheticError("only keys and texts are there, of which nothing can be learnt")
        is_long = any(len(group) > 1 for group in groups)
        fixed = [c.name for c in columns if is_long and _never_changes(table, c.name, groups)]
        return cls(
            schema=table.schema,
            layout=layout,
            codecs=codecs,
            fixed=tuple(fixed),
            longest=max(map(len, groups)),
        )

    @property
    def names(self) -> tuple[str, ...]:
        """The columns of the codes, D of them."""
        times = () if self.layout.time is None else (TIME,)
        return (ENDS, *times, *(name for name in self.codecs if name not in (_BEGINS, TIME)))

    @property
    def sizes(self) -> tuple[int, ...]:
        """How many codes each of them has: those of a time are of a beginning, then of a step."""
        return tuple(
            2 if name == ENDS else self.codecs[name].size + (name == TIME) * self.beginnings
            for name in self.names
        )

    @property
    def beginnings(self) -> int:
        """Codes of a time that stand for a beginning."""
        return self.codecs[_BEGINS].size if _BEGINS in self.codecs else 0

    def drawable(self, name: str, *, is_first: bool) -> npt.NDArray[np.bool_]:
        """Which codes of a column may be drawn, in the first record of a series or later."""
        if name == ENDS:
            return np.array([True, not is_first])
        if name != TIME:
            return self.codecs[name].drawable
        begins, steps = self.codecs[_BEGINS].drawable, self.codecs[TIME].drawable
        begins, steps = _without_missing(begins), _without_missing(steps)
        return np.concatenate([begins & is_first, steps & (not is_first)])

    def positions(self) -> list[Numbers]:
        """Of each column, where each code stands in its order; 0 where there is none."""
        found = []
        for name, size in zip(self.names, self.sizes, strict=True):
            if name == ENDS:
                found.append(np.zeros(size))
            elif name == TIME:
                both = (self.codecs[_BEGINS].positions, self.codecs[TIME].positions)
                found.append(np.nan_to_num(np.concatenate(both)))
            else:
                found.append(np.nan_to_num(self.codecs[name].positions))
        return found

    def encoded(self, table: Table) -> list[Codes]:
        """Of each series, (records, D). Raises `SyntheticError` for a table of other columns."""
        for name in (self.layout.key, *(n for n in self.codecs if not n.startswith("\0"))):
            if name not in table.values:
                raise SyntheticError(f"the table has no column {name!r}, which was learnt from")
        groups = self.layout.groups(table)
        columns = []
        for name in self.names:
            if name == ENDS:
                columns.append(np.zeros(len(table), np.int64))
            elif name == TIME:
                columns.append(self._times(table, groups))
            else:
                columns.append(self.codecs[name].encode(table.values[name]))
        codes = np.stack(columns, axis=1)
        return [codes[group] for group in groups]

    def _times(self, table: Table, groups: Sequence[npt.NDArray[np.int64]]) -> Codes:
        codes = np.zeros(len(table), np.int64)
        times = np.asarray(table.values[str(self.layout.time)], np.float64)
        for group in groups:
            codes[group[:1]] = self.codecs[_BEGINS].encode(times[group[:1]])
            steps = self.codecs[TIME].encode(np.diff(times[group]))
            codes[group[1:]] = steps + self.beginnings
        return codes

    def decoded(
        self,
        codes: Sequence[Codes],
        keys: Values,
        chance: np.random.Generator,
        where: Mapping[str, Wanted] | None = None,
    ) -> Table:
        """The records of series, (records, D) each; `keys` has one of each."""
        lengths = np.array([len(one) for one in codes], np.int64)
        together = np.concatenate([*codes, np.zeros((0, len(self.names)), np.int64)])
        values = self._values(together, lengths, chance, where or {})
        values[self.layout.key] = _repeated(keys, lengths)
        if self.layout.time is not None:
            at = self.names.index(TIME)
            moved = self._moved(together[:, at], chance)
            values[self.layout.time] = self._summed(moved, lengths)
        return self._table(values, len(together))

    def joined(self, begun: Table, codes: Sequence[Codes], chance: np.random.Generator) -> Table:
        """Each series of `begun` and then what was drawn after it."""
        groups = self.layout.groups(begun)
        lengths = np.array([len(one) for one in codes], np.int64)
        together = np.concatenate([*codes, np.zeros((0, len(self.names)), np.int64)])
        drawn = self._values(together, lengths, chance, {})
        last = np.array([group[-1] for group in groups], np.int64)
        named = [self.layout.key, *self.fixed]  # what never changes stays as it was given
        drawn |= {name: _repeated(begun.values[name][last], lengths) for name in named}
        if self.layout.time is not None:
            moved = self._moved(together[:, self.names.index(TIME)], chance)
            since = np.repeat(np.asarray(begun.values[self.layout.time], float)[last], lengths)
            drawn[self.layout.time] = self._rounded(since + self._summed(moved, lengths))
        ends = np.cumsum(lengths)
        order = np.concatenate(
            [
                np.concatenate([group, len(begun) + np.arange(end - length, end)])
                for group, end, length in zip(groups, ends, lengths, strict=True)
            ]
        ).astype(np.int64)
        both = {n: np.concatenate([begun.values[n], drawn[n]])[order] for n in drawn}
        return self._table(both, len(order))

    def _values(
        self,
        codes: Codes,
        lengths: npt.NDArray[np.int64],
        chance: np.random.Generator,
        where: Mapping[str, Wanted],
    ) -> dict[str, Values]:
        """By column, of the codes of all series (records, D), but for keys and times."""
        first = (np.cumsum(lengths) - lengths)[lengths > 0]
        values: dict[str, Values] = {}
        for at, name in enumerate(self.names):
            if name in self.fixed:
                one = self.codecs[name].decode(codes[first, at], chance, where.get(name))
                values[name] = _repeated(one, lengths[lengths > 0])
            elif name not in (ENDS, TIME):
                values[name] = self.codecs[name].decode(codes[:, at], chance, where.get(name))
        return values

    def _moved(self, codes: Codes, chance: np.random.Generator) -> Numbers:
        """When each series begins, and then the step to each of its records."""
        begins = self.codecs[_BEGINS].decode(codes.clip(0, self.beginnings - 1), chance, None)
        steps = self.codecs[TIME].decode((codes - self.beginnings).clip(0), chance, None)
        return np.where(codes < self.beginnings, begins, steps).astype(np.float64)

    def _summed(self, moved: Numbers, lengths: npt.NDArray[np.int64]) -> Numbers:
        parts = np.split(moved, np.cumsum(lengths)[:-1]) if lengths.size else []
        return self._rounded(np.concatenate([*map(np.cumsum, parts), np.zeros(0)]))

    def _rounded(self, times: Numbers) -> Numbers:
        decimals = _of_times(self.schema.column(str(self.layout.time))).decimals
        return np.round(times, decimals) if decimals is not None else times

    def _table(self, values: Mapping[str, Values], count: int) -> Table:
        texts = np.full(count, None, np.object_)
        columns = {column.name: values.get(column.name, texts) for column in self.schema.columns}
        return Table(schema=self.schema, values=columns)

    def about(self) -> dict[str, Any]:
        return {
            "schema": self.schema.as_json(),
            "key": self.layout.key,
            "time": self.layout.time,
            "codecs": kinds_of(self.codecs),
            "fixed": list(self.fixed),
            "longest": self.longest,
        }

    def arrays(self) -> Arrays:
        return arrays_of(self.codecs)

    @classmethod
    def restored(cls, about: Mapping[str, Any], arrays: Arrays) -> Self:
        """What `about` and `arrays` gave. Raises `LookupError`, `TypeError`, `SyntheticError`."""
        return cls(
            schema=Schema.from_json(about["schema"]),
            layout=Layout(key=about["key"], time=about["time"]),
            codecs=restored(about["codecs"], arrays),
            fixed=tuple(about["fixed"]),
            longest=int(about["longest"]),
        )


def _repeated(values: Values, counts: npt.NDArray[np.int64]) -> Values:
    return cast("Values", np.repeat(values, counts))


def _is_learnt(column: Column, layout: Layout) -> bool:
    is_named = column.name in (layout.key, layout.time)
    return not (is_named or column.is_key or column.kind in ("text", "image"))


def _of_times(column: Column) -> Column:
    """Times and steps alike as numbers with the decimals of the column."""
    decimals = column.decimals if column.kind == "number" else 0
    return Column(name=column.name, kind="number", decimals=decimals)


def _check_lengths(table: Table, layout: Layout, groups: Sequence[npt.NDArray[np.int64]]) -> None:
    """Raise `SyntheticError` for a series of which no network would learn how it goes."""
    longest = max(groups, key=len)
    if len(longest) > LONGEST:
        name = table.values[layout.key][longest[0]]
        raise SyntheticError(
            f"the series {str(name)!r} has {len(longest):,} records, and {LONGEST:,} can be learnt:"
            f" divide it, such as by day, with a {layout.key!r} for each part, or leave it out"
        )


def _times(
    table: Table, name: str, groups: Sequence[npt.NDArray[np.int64]]
) -> tuple[Numbers, Numbers]:
    """When each series begins, and the steps of all."""
    times = np.asarray(table.values[name], np.float64)
    first = np.array([times[group[0]] for group in groups])
    return first, np.concatenate([np.diff(times[group]) for group in groups])


def _never_changes(table: Table, name: str, groups: Sequence[npt.NDArray[np.int64]]) -> bool:
    values = table.values[name]
    if values.dtype != np.object_:
        values = np.nan_to_num(np.asarray(values, np.float64), nan=np.inf)
    return all(len(set(values[group].tolist())) == 1 for group in groups)


def _without_missing(drawable: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    """The last code, that of what is missing, is drawn only where there is no other."""
    found = drawable.copy()
    found[-1] = drawable.size == 1
    return found
