"""Which records break which constraints, told exactly."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, cast

import numpy as np
import numpy.typing as npt

from rag_pipeline.synthetic.tables.coding import FEWEST
from rag_pipeline.synthetic.tables.constraints import (
    Claim,
    Combination,
    Condition,
    Constraint,
    ConstraintError,
    Formula,
    Linear,
    OneHot,
    Unique,
    Value,
    places,
)
from rag_pipeline.synthetic.tables.domains import Mask
from rag_pipeline.synthetic.tables.propagation import computed, scaled
from rag_pipeline.synthetic.tables.table import Numbers, Table, Values

_OFF_UNITS = 1e-6
"""So far from a whole unit is no rounding of the machine."""
_RELATIVE = 1e-8
_NAMED = 5
"""Records that a report names of each constraint."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Violations:
    """What of a table breaks its constraints."""

    mask: Mask
    """(records,): whether it breaks any."""
    places: Mapping[str, npt.NDArray[np.int64]]
    """By the text of each constraint that is broken: by which records, from 0."""

    def __bool__(self) -> bool:
        return bool(self.places)

    def as_json(self) -> dict[str, Any]:
        return {
            "records": int(self.mask.sum()),
            "constraints": {
                text: {"records": int(at.size), "first": at[:_NAMED].tolist()}
                for text, at in self.places.items()
            },
        }

    def __str__(self) -> str:
        """A sentence."""
        each = (
            f"{text!r} by {at.size:,} (record {at[0] + 1}" + (" first)" if at.size > 1 else ")")
            for text, at in self.places.items()
        )
        return f"{int(self.mask.sum()):,} of {self.mask.size:,} records break: " + "; ".join(each)


def violations(table: Table, constraints: Sequence[Constraint]) -> Violations:
    """Which records of the table break which of the constraints.

    Of those that are equal where they must not be, all but the first. A combination breaks nothing
    before it was learnt.
    """
    broken = {one.text: np.flatnonzero(broken_by(table, one)) for one in constraints}
    found = {text: at for text, at in broken.items() if at.size}
    mask = np.zeros(len(table), np.bool_)
    for at in found.values():
        mask[at] = True
    return Violations(mask=mask, places=found)


def broken_by(table: Table, constraint: Constraint) -> Mask:
    """(records,): whether it breaks this one."""
    if isinstance(constraint, Unique):
        return _repeated(table, constraint.columns)
    if isinstance(constraint, Combination):
        return _unknown(table, constraint)
    if isinstance(constraint, OneHot):
        return _any(_is_false(claim, table) for claim in constraint.claims)
    holds = np.ones(len(table), np.bool_)
    for condition in constraint.premise:
        holds &= _is_true(condition, table)
    return holds & _any(_is_false(claim, table) for claim in constraint.conclusion)


def _any(masks: Iterable[Mask]) -> Mask:
    return np.asarray(np.logical_or.reduce([*masks]), np.bool_)


def _keys(table: Table, columns: Sequence[str]) -> list[tuple[Value | None, ...]]:
    """The values of each record there; None where one is missing."""
    lists = (
        [None if one != one else one for one in table.values[name].tolist()] for name in columns
    )
    return [*zip(*lists, strict=True)]


def _repeated(table: Table, columns: Sequence[str]) -> Mask:
    seen: set[tuple[Value | None, ...]] = set()
    found = np.zeros(len(table), np.bool_)
    for at, key in enumerate(_keys(table, columns)):
        if None in key:
            continue
        found[at] = key in seen
        seen.add(key)
    return found


def _unknown(table: Table, constraint: Combination) -> Mask:
    known = constraint.known
    keys = _keys(table, constraint.columns)
    if known is None:
        return np.zeros(len(keys), np.bool_)
    return np.array([None not in key and key not in known for key in keys], np.bool_)


def is_missing(values: Values) -> Mask:
    """(records,)"""
    if values.dtype == np.object_:
        return np.array([value is None for value in values.tolist()], np.bool_)
    return np.isnan(np.asarray(values, np.float64))


def _is_true(condition: Condition, table: Table) -> Mask:
    values = table.values[condition.column]
    missing = is_missing(values)
    match condition.operator:
        case "is missing":
            return missing
        case "is present":
            return np.asarray(~missing, np.bool_)
        case "in" | "=":
            found = np.isin(values, [*condition.values])
        case "not in" | "!=":
            found = np.isin(values, [*condition.values], invert=True)
        case operator:
            compare = {"<": np.less, "<=": np.less_equal, ">": np.greater, ">=": np.greater_equal}
            found = compare[operator](np.asarray(values, np.float64), condition.values[0])
    return np.asarray(found & ~missing, np.bool_)


def _is_false(claim: Claim, table: Table) -> Mask:
    if isinstance(claim, Condition):
        return _is_true(claim.negated, table)
    if isinstance(claim, Linear):
        return _is_false_sum(claim, table)
    return _is_false_formula(claim, table)


def _is_false_sum(linear: Linear, table: Table) -> Mask:
    decimals = {name: places(table.schema.column(name)) for name in linear.columns}
    values = {name: np.asarray(table.values[name], np.float64) for name in linear.columns}
    missing = np.isnan(np.stack([*values.values()])).any(axis=0)
    side = scaled(linear, decimals)
    if side is None:
        return np.asarray(~missing, np.bool_)
    terms = np.stack([side.weights[n] * _units(values[n], decimals[n]) for n in linear.columns])
    over = terms.sum(axis=0) - side.constant
    slack = np.zeros(over.shape)
    if not side.is_whole or any(_is_between(values[n], decimals[n]) for n in linear.columns):
        slack = _RELATIVE * (np.abs(terms).sum(axis=0) + abs(side.constant))
    is_false = np.abs(over) > slack if side.relation == "=" else over > slack
    if linear.relation == "<" and not side.is_whole:
        is_false |= over >= 0
    return np.asarray(is_false & ~missing, np.bool_)


def _is_between(values: Numbers, decimals: int | None) -> bool:
    """Whether any of it has more decimals than its column."""
    if decimals is None:
        return True
    units = values[~np.isnan(values)] * 10.0**decimals
    return bool((np.abs(units - np.rint(units)) > _OFF_UNITS + np.abs(units) * 1e-12).any())


def _units(values: Numbers, decimals: int | None) -> Numbers:
    """In units of its last decimal; whole ones, but for what has more of them."""
    if decimals is None:
        return values
    units = values * 10.0**decimals
    whole = np.rint(units)
    return np.where(np.abs(units - whole) > _OFF_UNITS + np.abs(units) * 1e-12, units, whole)


def _is_false_formula(formula: Formula, table: Table) -> Mask:
    values = {name: np.asarray(table.values[name], np.float64) for name in formula.columns}
    target, decimals = values[formula.column], places(table.schema.column(formula.column))
    expected = computed(formula.expression, values) + np.zeros(target.shape)
    half = 0.0 if decimals is None else 0.5 * 10.0**-decimals
    slack = half + _RELATIVE * (half + np.abs(expected)) * (1.0 if decimals is None else 1e-2)
    return np.asarray(np.abs(target - expected) > slack)


def learnt_from(table: Table, constraints: Sequence[Constraint]) -> tuple[Constraint, ...]:
    """The constraints, combinations with what is together in the table.

    What fewer than `FEWEST` records have together is left out, as rare names are. Raises
    `ConstraintError` where nothing is left, and for columns that are not learnt.
    """
    for one in constraints:
        for column in map(table.schema.column, one.columns):
            if not isinstance(one, Unique) and (column.is_key or column.kind in ("text", "image")):
                raise ConstraintError(
                    f"{one.text!r} is about {column.name!r}, which is not learnt: leave it out"
                )
    return tuple(
        replace(one, known=_known(table, one)) if isinstance(one, Combination) else one
        for one in constraints
    )


def _known(table: Table, combination: Combination) -> frozenset[tuple[Value, ...]]:
    counts = Counter(key for key in _keys(table, combination.columns) if None not in key)
    known = frozenset(cast("tuple[Value, ...]", key) for key, n in counts.items() if n >= FEWEST)
    if not known:
        raise ConstraintError(
            f"no {FEWEST} records have together what {combination.text!r} is about: leave it out"
        )
    return known
