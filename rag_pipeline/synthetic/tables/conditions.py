"""What records are asked to be, in the language of filters: `age >= 65 and trade = 'clerk'`.

A generator is told of one column at a time, so conditions are joined by `and`; what is said of one
column of names may be as involved as one likes, for it is looked up among the names that there are.
"""

import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal

import numpy as np
import numpy.typing as npt

from rag_pipeline.synthetic.errors import SyntheticError
from rag_pipeline.synthetic.tables.coding import Range, Wanted
from rag_pipeline.synthetic.tables.table import Column, Table, Values
from storage.filters import Filter, field_names, parse
from storage.filters.expression import (
    Absence,
    Comparison,
    Conjunction,
    Disjunction,
    Match,
    Membership,
    Negation,
    Number,
    Text,
    Truth,
    Value,
)
from storage.filters.expression import Range as Between

_SHOWN_NAMES = 8


def wanted_of(where: str, known: Table) -> dict[str, Wanted]:
    """By column, what `where` asks of it; `known` are records that have what may be asked for.

    Raises `FilterError` with its place for what is no filter, `SyntheticError` for what contradicts
    itself, names what is not there, or can't be asked of a generator.
    """
    parts_of: dict[str, list[Filter]] = {}
    for part in _joined(parse(where)):
        names = field_names(part)
        if len(names) > 1:
            raise SyntheticError(
                f"`{part}` speaks of several columns at once: join conditions on them by `and`"
            )
        parts_of.setdefault(next(iter(names)), []).append(part)
    return {
        name: _wanted(known.schema.column(name), parts, known) for name, parts in parts_of.items()
    }


def fulfilling(table: Table, where: Mapping[str, Wanted]) -> npt.NDArray[np.bool_]:
    """(records,): which of them are as wanted."""
    found = np.ones(len(table), np.bool_)
    for name, wanted in where.items():
        found &= _is_wanted(table.values[name], wanted)
    return found


def _joined(where: Filter) -> Iterator[Filter]:
    if isinstance(where, Conjunction):
        for operand in where.operands:
            yield from _joined(operand)
    else:
        yield where


def _wanted(column: Column, parts: Sequence[Filter], known: Table) -> Wanted:
    if not column.is_learnt:
        raise SyntheticError(f"the column {column.name!r} is not learnt: ask for another one")
    if column.is_numeric:
        return _numbers(column, parts)
    said = " and ".join(map(str, parts))
    names = {None if name is None else str(name) for name in known.values[column.name].tolist()}
    found = frozenset(name for name in names if all(_is_so(part, name) for part in parts))
    if not found:
        there = sorted(name for name in names if name is not None)
        more = ", …" if len(there) > _SHOWN_NAMES else ""
        raise SyntheticError(
            f"no record can have `{said}`; there are"
            f" {', '.join(map(repr, there[:_SHOWN_NAMES])) or 'no names'}{more}"
        )
    return found


def _numbers(column: Column, parts: Iterable[Filter]) -> Wanted:
    said = [(part, _number_wanted(column, part)) for part in parts]
    ranges = [wanted for _, wanted in said if isinstance(wanted, Range)]
    if len(ranges) < len(said):
        if ranges:
            raise SyntheticError(f"{column.name!r} can't be missing and have a value at once")
        return frozenset({None})
    low, high = max(one.low for one in ranges), min(one.high for one in ranges)
    if low > high:
        text = " and ".join(str(part) for part, _ in said)
        raise SyntheticError(f"no {column.kind} can be `{text}`: the conditions contradict it")
    return Range(low=low, high=high)


def _number_wanted(column: Column, part: Filter) -> Wanted:
    match part:
        case Absence(_, is_negated):
            return Range() if is_negated else frozenset({None})
        case Between(_, low, high, False):
            return _range(column, part, _up(column, low), _down(column, high))
        case Comparison(_, "=", value):
            return _range(column, part, _up(column, value), _down(column, value))
        case Comparison(_, ">=", value):
            return Range(low=_up(column, value))
        case Comparison(_, "<=", value):
            return Range(high=_down(column, value))
        case Comparison(_, ">", value):
            return Range(low=_next(column, _down(column, value), 1))
        case Comparison(_, "<", value):
            return Range(high=_next(column, _up(column, value), -1))
        case _:
            raise SyntheticError(
                f"`{part}` can't be asked of {column.name!r}, of the kind {column.kind}: use = < <="
                " > >=, between, or is null"
            )


def _range(column: Column, part: Filter, low: float, high: float) -> Range:
    if low > high:
        raise SyntheticError(f"no {column.kind} can be `{part}`")
    return Range(low=low, high=high)


def _up(column: Column, value: Value) -> float:
    """The lowest value of the column that is not below."""
    return _on_grid(column, _number(column, value), ROUND_CEILING)


def _down(column: Column, value: Value) -> float:
    """The highest value of the column that is not above."""
    return _on_grid(column, _number(column, value), ROUND_FLOOR)


def _on_grid(column: Column, value: float, rounding: str) -> float:
    step = _step(column)
    if step is None:
        return value
    return float((Decimal(repr(value)) / step).to_integral_value(rounding) * step)


def _next(column: Column, value: float, towards: int) -> float:
    step = _step(column)
    if step is None:
        return math.nextafter(value, towards * math.inf)
    return float(Decimal(repr(value)) + towards * step)


def _step(column: Column) -> Decimal | None:
    """What lies between a value of the column and the next; None: as little as can be."""
    if column.kind != "number":
        return Decimal(1)
    return None if column.decimals is None else Decimal(1).scaleb(-column.decimals)


def _number(column: Column, value: Value) -> float:
    match column.kind, value:
        case "boolean", Truth(truth):
            return float(truth)
        case "number" | "integer", Number(number):
            return float(number)
        case "datetime", Text(text):
            return _instant(column, text)
        case _:
            examples = {"boolean": "true or false", "datetime": "a text such as '2024-05-01'"}
            raise SyntheticError(
                f"{column.name!r} is of the kind {column.kind}, and {value} is not: write"
                f" {examples.get(column.kind, 'a number')}"
            )


def _instant(column: Column, text: str) -> float:
    try:
        found = datetime.fromisoformat(text)
    except ValueError as error:
        raise SyntheticError(
            f"{column.name!r} holds times, and {text[:60]!r} is none: write '2024-05-01T12:30:00'"
        ) from error
    return (found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp()


def _is_so(part: Filter, name: str | None) -> bool:
    """Whether `part` is true of what is called so."""
    match part:
        case Comparison(_, "=", value):
            return name == _name(value)
        case Comparison(_, "!=", value):
            return name != _name(value)
        case Membership(_, values, is_negated):
            return (name in [_name(one) for one in values]) != is_negated
        case Match(_, pattern, is_negated):
            is_like = name is not None and re.fullmatch(_expression(pattern), name, re.DOTALL)
            return bool(is_like) != is_negated
        case Absence(_, is_negated):
            return (name is None) != is_negated
        case Negation(operand):
            return not _is_so(operand, name)
        case Conjunction(operands):
            return all(_is_so(operand, name) for operand in operands)
        case Disjunction(operands):
            return any(_is_so(operand, name) for operand in operands)
        case _:
            raise SyntheticError(f"`{part}` can't be asked of names, which have no order: use =")


def _name(value: Value) -> str:
    return value.value if isinstance(value, Text) else str(value)


def _expression(pattern: str) -> str:
    """The regular expression for what `like` says."""
    pieces = re.findall(r"\\[%_]|.", pattern, re.DOTALL)
    meant = {"%": ".*", "_": "."}
    return "".join(meant.get(piece) or re.escape(piece[-1]) for piece in pieces)


def _is_wanted(values: Values, wanted: Wanted) -> npt.NDArray[np.bool_]:
    if isinstance(wanted, Range):
        numbers = np.asarray(values, np.float64)
        return (numbers >= wanted.low) & (numbers <= wanted.high)
    if values.dtype != np.object_:
        return np.isnan(np.asarray(values, np.float64)) & (None in wanted)
    return np.array([value in wanted for value in values.tolist()], np.bool_)
