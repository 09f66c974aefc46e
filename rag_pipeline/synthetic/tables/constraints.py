"""What must hold of every record, declared as data: short texts, bound to the columns of a schema.

    age >= 18                 18 <= age <= 90           trade in ('smith', 'clerk')
    start <= end              2 * a + b <= c            a + b = total
    pay = hours * rate        unique(id)                unique(street, number)
    combination(city, land)   one-hot(red, green)       end is present
    if pensioner = 'yes' and age is present then age >= 65

A name with anything but letters, digits, `_` and `.` stands in double quotes, a word that a column
holds in single ones; times are words in ISO 8601. Both sides of a comparison may be sums; products
and quotients of columns stand beside a column and `=` alone. Its text is a constraint's JSON form.

What is missing fulfils no condition and breaks none, as in SQL's CHECK; `is present` asks for it.
Sums and differences are exact: in whole units of the last decimal of the columns in them. What is
computed otherwise is rounded to the decimals of its column.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Literal, TypeAlias

from rag_pipeline.synthetic.errors import SyntheticError
from rag_pipeline.synthetic.tables.table import Column


class ConstraintError(SyntheticError):
    """A constraint can't be read, contradicts others, or can't be kept."""


Operator = Literal["=", "!=", "<", "<=", ">", ">=", "in", "not in", "is missing", "is present"]
NEGATED: Mapping[Operator, Operator] = {
    "=": "!=",
    "!=": "=",
    "<": ">=",
    ">=": "<",
    ">": "<=",
    "<=": ">",
    "in": "not in",
    "not in": "in",
    "is missing": "is present",
    "is present": "is missing",
}
Value = str | float
"""A name; or a number, a truth value or a time as a table has it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Condition:
    """What a column is compared with."""

    column: str
    operator: Operator
    """Names are compared by `in` and `not in` alone."""
    values: tuple[Value, ...] = ()

    @property
    def columns(self) -> tuple[str, ...]:
        return (self.column,)

    @property
    def negated(self) -> "Condition":
        """True where this is false."""
        return Condition(column=self.column, operator=NEGATED[self.operator], values=self.values)


@dataclass(frozen=True, slots=True, kw_only=True)
class Linear:
    """The sum of weight times column, beside a constant."""

    weights: tuple[tuple[str, Fraction], ...]
    relation: Literal["=", "<=", "<"]
    constant: Fraction

    @property
    def columns(self) -> tuple[str, ...]:
        return tuple(name for name, _ in self.weights)


Expression: TypeAlias = "str | Fraction | tuple[str, Expression, Expression]"
"""A column, a number, or an operator of + - * / with what stands on its sides."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Formula:
    """A column that is what is computed of others, rounded to its decimals."""

    column: str
    expression: Expression

    @property
    def inputs(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(names_in(self.expression)))

    @property
    def columns(self) -> tuple[str, ...]:
        return (self.column, *self.inputs)


Claim = Condition | Linear | Formula
"""What is true or false of one record, or neither where something is missing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """Where each condition of `premise` is true, no claim of `conclusion` is false."""

    text: str
    premise: tuple[Condition, ...] = ()
    conclusion: tuple[Claim, ...]

    @property
    def columns(self) -> tuple[str, ...]:
        parts = (*self.premise, *self.conclusion)
        return tuple(dict.fromkeys(name for part in parts for name in part.columns))


@dataclass(frozen=True, slots=True, kw_only=True)
class Unique:
    """No two records have the same values there; what lacks one of them is like no other."""

    text: str
    columns: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Combination:
    """Only what is together in records that were learnt from is together in others."""

    text: str
    columns: tuple[str, ...]
    known: frozenset[tuple[Value, ...]] | None = None
    """What is together; None before anything was learnt."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OneHot:
    """Exactly one of these is 1, the others are 0."""

    text: str
    columns: tuple[str, ...]

    @property
    def claims(self) -> tuple[Claim, ...]:
        """The same, as claims."""
        ones = tuple((name, Fraction(1)) for name in self.columns)
        digits = (Condition(column=name, operator="in", values=(0.0, 1.0)) for name in self.columns)
        return (*digits, Linear(weights=ones, relation="=", constant=Fraction(1)))


Constraint = Rule | Unique | Combination | OneHot


def names_in(expression: Expression) -> list[str]:
    """The columns of an expression, as often as they stand in it."""
    if isinstance(expression, tuple):
        return [*names_in(expression[1]), *names_in(expression[2])]
    return [expression] if isinstance(expression, str) else []


def places(column: Column) -> int | None:
    """How many decimals its numbers have; None: any number of them."""
    return column.decimals if column.kind == "number" else 0


def claims_of(constraint: Constraint) -> tuple[Claim, ...]:
    """What it says of every record, whatever else is so."""
    if isinstance(constraint, OneHot):
        return constraint.claims
    return constraint.conclusion if isinstance(constraint, Rule) and not constraint.premise else ()
