"""What a column may be before anything is drawn: what records that were learnt from have."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from rag_pipeline.synthetic.tables.checking import is_missing
from rag_pipeline.synthetic.tables.coding import CATEGORIES, FEWEST, TAIL, Range, Wanted
from rag_pipeline.synthetic.tables.constraints import Condition
from rag_pipeline.synthetic.tables.domains import Domains, Mask, NameDomain, NumberDomain
from rag_pipeline.synthetic.tables.table import Schema, Table


@dataclass(frozen=True, slots=True, kw_only=True)
class Possible:
    """Of each column that a constraint is about."""

    schema: Schema
    names: Mapping[str, Mapping[str, float]]
    """By column of names, how frequent each name is."""
    ends: Mapping[str, tuple[float, float]]
    """By column of numbers, between which all but the tails lie."""
    lacking: frozenset[str]
    """Columns in which some values are missing."""

    @classmethod
    def learnt(cls, table: Table, columns: Sequence[str]) -> Self:
        """From the records that a generator learns from."""
        is_numeric = {name: table.schema.column(name).is_numeric for name in columns}
        return cls(
            schema=table.schema,
            names={name: _names(table, name) for name in columns if not is_numeric[name]},
            ends={name: _ends(table, name) for name in columns if is_numeric[name]},
            lacking=frozenset(name for name in columns if is_missing(table.values[name]).any()),
        )

    def domains(self, count: int, asked: Mapping[str, Wanted]) -> Domains:
        """Of so many records that are as asked."""
        domains: dict[str, NumberDomain | NameDomain] = {
            name: NameDomain.free(names, count, may_lack=name in self.lacking)
            for name, names in self.names.items()
        }
        everywhere = np.ones(count, np.bool_)
        for name, ends in self.ends.items():
            column = self.schema.column(name)
            domain = NumberDomain.free(column, count, may_lack=name in self.lacking)
            low, high = domain.units(np.array(ends, np.float64))
            domain.narrow(np.full(count, low), np.full(count, high), everywhere)
            domains[name] = domain
        for name, wanted in asked.items():
            for condition in _conditions(name, wanted) if name in domains else ():
                domains[name].keep(condition, everywhere)
        return domains

    def lacks(self, table: Table) -> Mask:
        """(records,): which lack a value that none of those that were learnt from lacks. A
        constraint is not to be kept by leaving out what it is about."""
        found = np.zeros(len(table), np.bool_)
        for name in {*self.names, *self.ends} - self.lacking:
            found |= is_missing(table.values[name])
        return found

    def as_json(self) -> dict[str, Any]:
        return {
            "names": {name: dict(names) for name, names in self.names.items()},
            "ends": {name: list(ends) for name, ends in self.ends.items()},
            "lacking": sorted(self.lacking),
        }

    @classmethod
    def from_json(cls, given: Mapping[str, Any], schema: Schema) -> Self:
        """What `as_json` gave. Raises `LookupError`, `TypeError` or `ValueError`."""
        return cls(
            schema=schema,
            names={name: dict(names) for name, names in given["names"].items()},
            ends={name: (float(low), float(high)) for name, (low, high) in given["ends"].items()},
            lacking=frozenset(given["lacking"]),
        )


def _names(table: Table, name: str) -> dict[str, float]:
    """Those that may be drawn, as `NameCodec` has it, by how frequent they are."""
    present = [value for value in table.values[name].tolist() if value is not None]
    names, counts = np.unique(np.array(present, np.str_), return_counts=True)
    kept = np.lexsort((names, -counts))[:CATEGORIES]
    fewest = min(FEWEST, int(counts.max(initial=0)))
    return {str(names[at]): float(counts[at]) for at in kept if counts[at] >= fewest}


def _ends(table: Table, name: str) -> tuple[float, float]:
    """Between which its values lie, but for those of the tails, which are never drawn."""
    values = np.asarray(table.values[name], np.float64)
    present = values[~np.isnan(values)]
    if not present.size:
        return 0.0, 0.0
    low, high = np.quantile(present, [TAIL, 1 - TAIL], method="nearest")
    return float(low), float(high)


def _conditions(name: str, wanted: Wanted) -> Iterator[Condition]:
    """What is wanted, as conditions that are all to be true."""
    if isinstance(wanted, Range):
        yield Condition(column=name, operator="is present")
        if np.isfinite(wanted.low):
            yield Condition(column=name, operator=">=", values=(float(wanted.low),))
        if np.isfinite(wanted.high):
            yield Condition(column=name, operator="<=", values=(float(wanted.high),))
        return
    names = tuple(value for value in wanted if value is not None)
    if None not in wanted:
        yield Condition(column=name, operator="is present")
    if names:
        yield Condition(column=name, operator="in", values=names)
    else:
        yield Condition(column=name, operator="is missing")


def wanted_of_one(domain: NumberDomain | NameDomain) -> Wanted | None:
    """What is left of the domain of one record, as a generator is asked for it; None where it
    can't be asked so."""
    if isinstance(domain, NumberDomain):
        low, high = float(domain.values(domain.low)[0]), float(domain.values(domain.high)[0])
        is_present = bool(domain.may_have[0]) and not domain.may_lack[0]
        return Range(low=low, high=high) if is_present else None
    left = {name for name, may in zip(domain.names, domain.allowed[0], strict=True) if may}
    return frozenset({*left, None} if domain.may_lack[0] else left) or None
