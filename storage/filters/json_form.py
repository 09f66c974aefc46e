"""Filters as JSON: what a program sends instead of text.

{"and": [{"field": "year", "op": ">=", "value": 2020},
         {"not": {"field": "tag", "op": "in", "value": ["a", "b"]}}]}
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, get_args

from storage.errors import FilterError
from storage.filters.expression import (
    MAX_DEPTH,
    Absence,
    Comparison,
    Conjunction,
    Disjunction,
    Filter,
    Match,
    Membership,
    Negation,
    Number,
    Operator,
    Range,
    Text,
    Truth,
    Value,
    check_field,
    check_size,
)

_COMPARISONS: tuple[Operator, ...] = get_args(Operator)
_ABSENCES = {"is null": False, "is not null": True}
_NEGATED = "not "
_SHOWN = 60


def from_json(value: object) -> Filter:
    """The filter that a JSON value says; `FilterError` naming the part that says none."""
    return check_size(_filter(value, "the filter", MAX_DEPTH))


def as_json(where: Filter) -> dict[str, Any]:
    """The JSON value that `from_json` reads as `where`."""
    match where:
        case Negation(operand):
            return {"not": as_json(operand)}
        case Conjunction(operands):
            return {"and": [as_json(operand) for operand in operands]}
        case Disjunction(operands):
            return {"or": [as_json(operand) for operand in operands]}
        case Comparison(field, operator, value):
            return {"field": field, "op": operator, "value": value.value}
        case Absence(field, is_negated):
            return {"field": field, "op": "is not null" if is_negated else "is null"}
        case Membership(field, values, is_negated):
            return _said(field, "in", [value.value for value in values], is_negated)
        case Match(field, pattern, is_negated):
            return _said(field, "like", pattern, is_negated)
        case Range(field, low, high, is_negated):
            return _said(field, "between", [low.value, high.value], is_negated)


def _said(field: str, operator: str, value: object, is_negated: bool) -> dict[str, Any]:
    return {"field": field, "op": _NEGATED * is_negated + operator, "value": value}


def _filter(value: object, path: str, depth: int) -> Filter:
    if depth < 1:
        raise FilterError(f"the filter is nested deeper than {MAX_DEPTH} levels; nest it less")
    match value:
        case {"not": operand, **others} if not others:
            return Negation(_filter(operand, f"{path}.not", depth - 1))
        case {"and": operands, **others} if not others:
            return _joined(Conjunction, operands, f"{path}.and", depth - 1)
        case {"or": operands, **others} if not others:
            return _joined(Disjunction, operands, f"{path}.or", depth - 1)
        case {"field": str(field), "op": str(operator), **others} if not others.keys() - {"value"}:
            try:
                return _condition(check_field(field), operator, others)
            except FilterError as error:
                raise FilterError(f"{path}: {error}") from error
    raise FilterError(
        f'{path} is {_shown(value)}; write {{"field": …, "op": …, "value": …}} or an object with'
        ' "and", "or" or "not"'
    )


def _joined(
    kind: Callable[[tuple[Filter, ...]], Filter], operands: object, path: str, depth: int
) -> Filter:
    parts = [
        _filter(operand, f"{path}[{number}]", depth)
        for number, operand in enumerate(_list(operands, path))
    ]
    if not parts:
        raise FilterError(f"{path} is empty; write at least one condition")
    return parts[0] if len(parts) == 1 else kind(tuple(parts))


def _condition(field: str, operator: str, said: Mapping[object, object]) -> Filter:
    if operator in _ABSENCES:
        if said:
            raise FilterError(f'"{operator}" takes no value; leave it out')
        return Absence(field, _ABSENCES[operator])
    if "value" not in said:
        raise FilterError(f'"{operator[:_SHOWN]}" has no value; add "value": …')
    value = said["value"]
    for known in _COMPARISONS:
        if operator == known:
            return Comparison(field, known, _value(value))
    is_negated = operator.startswith(_NEGATED)
    return _other(field, operator.removeprefix(_NEGATED), value, is_negated)


def _other(field: str, operator: str, value: object, is_negated: bool) -> Filter:
    match operator:
        case "in":
            values = tuple(_value(item) for item in _list(value, '"value"'))
            return Membership(field, values, is_negated)
        case "like":
            if not isinstance(value, str):
                raise FilterError(f"a pattern is a text, not {_shown(value)}")
            return Match(field, value, is_negated)
        case "between":
            ends = [_value(item) for item in _list(value, '"value"')]
            if len(ends) != 2:
                raise FilterError('"between" takes a list of two values: the ends')
            return Range(field, ends[0], ends[1], is_negated)
    raise FilterError(
        f'"{operator[:_SHOWN]}" is no operator; use = != < <= > >= in, like, between, "is null",'
        ' "is not null" or "not …"'
    )


def _list(value: object, path: str) -> Sequence[object]:
    if not isinstance(value, list | tuple):
        raise FilterError(f"{path} is {_shown(value)}; write a list")
    return value


def _value(value: object) -> Value:
    match value:
        case bool():
            return Truth(value)
        case int() | float():
            return Number(value)
        case str():
            return Text(value)
    raise FilterError(
        f"{_shown(value)} can't be compared with; write a text, a number, true or false"
        ' ("is null" asks for no value)'
    )


def _shown(value: object) -> str:
    """What kind of value it is."""
    match value:
        case None:
            return "null"
        case bool():
            return str(value).lower()
        case int() | float():
            return "a number"
        case str():
            return "a text"
        case Mapping():
            return "an object of another form"
        case list() | tuple():
            return "a list"
    return f"a {type(value).__name__}"
