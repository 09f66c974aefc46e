"""LangChain's filters as ours.

    {"year": {"$gte": 2020, "$lt": 2024}, "tag": {"$in": ["a", "b"]}}
    {"$or": [{"author": "Ada"}, {"$not": {"is_draft": True}}, {"source": {"$like": "reports/%"}}]}

Conditions beside one another must all hold. A filter is either true or false of a document: one
without a year fulfils `{"year": {"$ne": 2020}}`. Texts are compared in the normal form in which
they are stored.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, time
from typing import Any, TypeAlias

from ingest.normalise import normalise
from storage.errors import FilterError
from storage.filters import Filter, from_json, parse
from storage.filters.expression import MAX_DEPTH

FilterLike: TypeAlias = Mapping[str, Any] | str | Filter
"""A filter of LangChain's, the text of one of ours, or one of ours itself."""

_COMPARISONS = {"$eq": "=", "$ne": "!=", "$lt": "<", "$lte": "<=", "$gt": ">", "$gte": ">="}
_OTHERS = {
    "$in": "in",
    "$nin": "not in",
    "$between": "between",
    "$like": "like",
    "$nlike": "not like",
}
_KNOWN = ", ".join([*_COMPARISONS, *_OTHERS, "$exists", "$not"])


def as_filter(given: FilterLike | None, *, fields_of: str = "") -> Filter | None:
    """The filter that `given` says; None for one that leaves nothing out.

    A dict names fields below `fields_of`: "metadata." says that none of them is a built-in one.
    Raises `FilterError`, also for a function: a filter is evaluated in the database.
    """
    if given is None or isinstance(given, Filter):
        return given
    if isinstance(given, str):
        return parse(given)
    if not isinstance(given, Mapping):
        raise FilterError(
            f"a filter is a dict or a text, not a {type(given).__name__};"
            ' write {"year": {"$gte": 2020}} or "year >= 2020"'
        )
    return from_json(_Translation(fields_of).conjunction(given, MAX_DEPTH)) if given else None


@dataclass(frozen=True, slots=True)
class _Translation:
    """From LangChain's form to our JSON."""

    fields_of: str

    def conjunction(self, said: Mapping[str, Any], depth: int) -> dict[str, Any]:
        """As JSON of ours: all that a mapping says."""
        if depth < 1:
            raise FilterError(f"the filter is nested deeper than {MAX_DEPTH} levels; nest it less")
        if not said:
            raise FilterError("a part of the filter is empty; write a condition or leave it out")
        return _joined("and", [self._part(name, value, depth) for name, value in said.items()])

    def _part(self, name: object, value: Any, depth: int) -> dict[str, Any]:
        match name:
            case "$and" | "$or" | "$nor":
                return self._combined(name, value, depth - 1)
            case "$not" if isinstance(value, Mapping):
                return {"not": self.conjunction(value, depth - 1)}
            case str() if not name.startswith("$"):
                return self._about(f"{self.fields_of}{normalise(name)}", value, depth - 1)
        raise FilterError(
            f"{name!r} is no field and joins no conditions; use $and, $or, $nor or $not"
        )

    def _combined(self, name: str, operands: Any, depth: int) -> dict[str, Any]:
        is_list = isinstance(operands, list | tuple)
        if not is_list or not operands or not all(isinstance(one, Mapping) for one in operands):
            raise FilterError(f"{name} takes a list of conditions, each a dict, and at least one")
        parts = [self.conjunction(one, depth) for one in operands]
        if name == "$nor":
            return {"not": _joined("or", parts)}
        return _joined(name.removeprefix("$"), parts)

    def _about(self, field: str, said: Any, depth: int) -> dict[str, Any]:
        """What a filter says of one field: a value that it equals, or operators with theirs."""
        if isinstance(said, list | tuple | set | frozenset):
            return self._condition(field, "$in", said, depth)
        if not isinstance(said, Mapping):
            return self._condition(field, "$eq", said, depth)
        if not said:
            raise FilterError(f"nothing is said of {field!r}; write {{{field!r}: {{'$eq': …}}}}")
        return _joined(
            "and", [self._condition(field, name, value, depth) for name, value in said.items()]
        )

    def _condition(self, field: str, operator: object, value: Any, depth: int) -> dict[str, Any]:
        match operator:
            case "$eq" | "$ne" if value is None:
                return _absence(field, operator == "$eq")
            case "$exists" if isinstance(value, bool):
                return _absence(field, not value)
            case "$in" | "$nin":
                return _membership(field, value, is_negated=operator == "$nin")
            case "$not" if depth > 0:
                return {"not": self._about(field, value, depth - 1)}
            case str() if ours := (_COMPARISONS | _OTHERS).get(operator):
                return {"field": field, "op": ours, "value": _value(value)}
        raise FilterError(
            f"{operator!r} with {_shown(value)} can't be asked of {field!r}; use {_KNOWN}"
            f' (a field inside another is written "{field}.inner")'
        )


def _absence(field: str, is_absent: bool) -> dict[str, Any]:
    return {"field": field, "op": "is null" if is_absent else "is not null"}


def _membership(field: str, values: Any, *, is_negated: bool) -> dict[str, Any]:
    if not isinstance(values, list | tuple | set | frozenset):
        raise FilterError(f"$in and $nin take a list of values for {field!r}, not {_shown(values)}")
    named = {"field": field, "op": "in", "value": [_value(v) for v in values if v is not None]}
    held = _joined("or", [named, _absence(field, True)]) if None in values else named
    return {"not": held} if is_negated else held


def _joined(name: str, parts: list[dict[str, Any]]) -> dict[str, Any]:
    return parts[0] if len(parts) == 1 else {name: parts}


def _value(value: Any) -> Any:
    match value:
        case datetime() | date() | time():
            return value.isoformat()
        case list() | tuple():
            return [_value(one) for one in value]
        case str():
            return normalise(value)
    return value


def _shown(value: object) -> str:
    """What a value is; of one that holds others only that."""
    is_scalar = value is None or isinstance(value, str | int | float)
    return f"{value!r:.60}" if is_scalar else f"a {type(value).__name__}"
