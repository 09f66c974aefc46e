"""What a filter says: its parts, and the text that they are written as.

    year >= 2020 and source like 'reports/%' and (tag in ('a', 'b') or not is_draft = true)

It knows nothing of what is filtered: which fields there are is for `storage.filters.sql`. A filter
is either true or false of a thing, so `not` is the exact opposite: `year != 2020` is also true of
what has no year. A field with several values fulfils a condition if one of them does.
"""

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, TypeAlias

from storage.errors import FilterError

Operator = Literal["=", "!=", "<", "<=", ">", ">="]

MAX_TEXT_CHARACTERS = 10_000
MAX_PATTERN_CHARACTERS = 1_000
MAX_FIELD_CHARACTERS = 200
MAX_VALUES = 1_000
"""In one list."""
MAX_CONDITIONS = 200
MAX_ALL_VALUES = 5_000
"""In all lists of a filter: a statement has room for only so many."""
MAX_DEPTH = 32
PLAIN_NAME = re.compile(r"[^\W\d]\w*(?:\.\w+)*")
"""A field's name that needs no backticks, unless it is a keyword."""
_EXACT_BELOW = 2**53


@dataclass(frozen=True, slots=True)
class Text:
    """A text; one that is a date or a time in ISO 8601 is compared with dates as such."""

    value: str

    def __post_init__(self) -> None:
        _check_text(self.value, "a text", MAX_TEXT_CHARACTERS)

    def __str__(self) -> str:
        return "'" + self.value.replace("'", "''") + "'"


@dataclass(frozen=True, slots=True)
class Number:
    """A finite double. Whole numbers that doubles can't tell from their neighbours are refused."""

    value: float

    def __post_init__(self) -> None:
        if isinstance(self.value, int) and abs(self.value) >= _EXACT_BELOW:
            raise FilterError(
                "a whole number beyond 9007199254740991 can't be compared exactly;"
                " keep such numbers as text, or write one with an exponent"
            )
        if not math.isfinite(self.value):
            raise FilterError(f"{self.value} can't be compared with; write a finite number")

    def __str__(self) -> str:
        is_whole = abs(self.value) < _EXACT_BELOW and self.value == int(self.value)
        return str(int(self.value)) if is_whole else repr(self.value)


@dataclass(frozen=True, slots=True)
class Truth:
    """True or false, which are no numbers."""

    value: bool

    def __str__(self) -> str:
        return "true" if self.value else "false"


Value: TypeAlias = Text | Number | Truth


@dataclass(frozen=True, slots=True)
class Comparison:
    """`year >= 2020`."""

    field: str
    operator: Operator
    value: Value

    def __str__(self) -> str:
        return f"{quoted(self.field)} {self.operator} {self.value}"


@dataclass(frozen=True, slots=True)
class Membership:
    """`tag in ('a', 'b')`."""

    field: str
    values: tuple[Value, ...]
    is_negated: bool = False

    def __post_init__(self) -> None:
        if not 1 <= len(self.values) <= MAX_VALUES:
            raise FilterError(
                f"a list of {len(self.values)} values can't be looked in; give 1 to {MAX_VALUES}"
            )

    def __str__(self) -> str:
        values = ", ".join(map(str, self.values))
        return f"{quoted(self.field)} {_not(self.is_negated)}in ({values})"


@dataclass(frozen=True, slots=True)
class Match:
    """`source like 'reports/%'`: % stands for any text, _ for one character, \\ before either for
    itself. Case counts."""

    field: str
    pattern: str
    is_negated: bool = False

    def __post_init__(self) -> None:
        _check_text(self.pattern, "a pattern", MAX_PATTERN_CHARACTERS)

    def __str__(self) -> str:
        return f"{quoted(self.field)} {_not(self.is_negated)}like {Text(self.pattern)}"


@dataclass(frozen=True, slots=True)
class Absence:
    """`year is null`: the field has no value."""

    field: str
    is_negated: bool = False

    def __str__(self) -> str:
        return f"{quoted(self.field)} is {_not(self.is_negated)}null"


@dataclass(frozen=True, slots=True)
class Range:
    """`year between 2019 and 2021`, both ends included."""

    field: str
    low: Value
    high: Value
    is_negated: bool = False

    def __str__(self) -> str:
        negation = _not(self.is_negated)
        return f"{quoted(self.field)} {negation}between {self.low} and {self.high}"


@dataclass(frozen=True, slots=True)
class Negation:
    """`not (…)`."""

    operand: "Filter"

    def __str__(self) -> str:
        return f"not ({self.operand})"


@dataclass(frozen=True, slots=True)
class Conjunction:
    """`… and …`: two operands or more."""

    operands: tuple["Filter", ...]

    def __post_init__(self) -> None:
        _check_operands(self.operands)

    def __str__(self) -> str:
        return " and ".join(map(_operand, self.operands))


@dataclass(frozen=True, slots=True)
class Disjunction:
    """`… or …`: two operands or more."""

    operands: tuple["Filter", ...]

    def __post_init__(self) -> None:
        _check_operands(self.operands)

    def __str__(self) -> str:
        return " or ".join(map(_operand, self.operands))


Condition: TypeAlias = Comparison | Membership | Match | Absence | Range
"""What is said of one field."""
Filter: TypeAlias = Condition | Negation | Conjunction | Disjunction

KEYWORDS = frozenset({"and", "or", "not", "in", "like", "is", "null", "between", "true", "false"})


def conditions(where: Filter) -> Iterator[Condition]:
    """Every condition in `where`, in the order of its text."""
    match where:
        case Negation(operand):
            yield from conditions(operand)
        case Conjunction(operands) | Disjunction(operands):
            for operand in operands:
                yield from conditions(operand)
        case _:
            yield where


def field_names(where: Filter) -> frozenset[str]:
    """The fields that `where` names."""
    return frozenset(condition.field for condition in conditions(where))


def quoted(field: str) -> str:
    """The name of a field, in backticks unless it is plain."""
    if PLAIN_NAME.fullmatch(field) and field.lower() not in KEYWORDS:
        return field
    return "`" + field.replace("`", "``") + "`"


def check_field(name: str) -> str:
    """`name`, if a field can have it; `FilterError` if not."""
    if not name:
        raise FilterError("a field has no name; write one, such as year or `publication year`")
    return _check_text(name, "a field's name", MAX_FIELD_CHARACTERS)


def check_size(where: Filter) -> Filter:
    """`where`, if it is small enough to be evaluated; `FilterError` if not."""
    level: list[Filter] = [where]
    for _ in range(MAX_DEPTH):
        if len(level) > MAX_CONDITIONS:
            break
        level = [operand for part in level for operand in _operands(part)]
        if not level:
            return _check_count(where)
    raise FilterError(
        f"the filter is nested deeper than {MAX_DEPTH} levels, or has more than {MAX_CONDITIONS}"
        " conditions; use `in` with a list, or fewer parentheses"
    )


def _check_count(where: Filter) -> Filter:
    said = list(conditions(where))
    if len(said) > MAX_CONDITIONS:
        raise FilterError(
            f"the filter has {len(said)} conditions; use at most {MAX_CONDITIONS},"
            " or `in` with a list"
        )
    values = sum(len(part.values) for part in said if isinstance(part, Membership))
    if values > MAX_ALL_VALUES:
        raise FilterError(
            f"the lists of the filter hold {values} values; use at most {MAX_ALL_VALUES}"
        )
    return where


def _operands(where: Filter) -> tuple[Filter, ...]:
    match where:
        case Negation(operand):
            return (operand,)
        case Conjunction(operands) | Disjunction(operands):
            return operands
        case _:
            return ()


def _check_operands(operands: tuple[Filter, ...]) -> None:
    if len(operands) < 2:
        raise FilterError("`and` and `or` join two conditions or more; write what is missing")


def _check_text(text: str, what: str, limit: int) -> str:
    if len(text) > limit:
        raise FilterError(f"{what} of {len(text)} characters is too long; use at most {limit}")
    if "\0" in text:
        raise FilterError(f"{what} holds a NUL character, which no stored text has; leave it out")
    if any("\ud800" <= character <= "\udfff" for character in text):
        raise FilterError(f"{what} holds half of a surrogate pair, which is no character; mend it")
    return text


def _not(is_negated: bool) -> str:
    return "not " if is_negated else ""


def _operand(where: Filter) -> str:
    return f"({where})" if isinstance(where, Conjunction | Disjunction) else str(where)
