"""Constraints, read from short texts: a tokenizer and a parser by recursive descent."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Literal, TypeAlias, cast

from rag_pipeline.synthetic.errors import TableError
from rag_pipeline.synthetic.tables.constraints import (
    Claim,
    Combination,
    Condition,
    Constraint,
    ConstraintError,
    Expression,
    Formula,
    Linear,
    OneHot,
    Operator,
    Rule,
    Unique,
    Value,
    names_in,
)
from rag_pipeline.synthetic.tables.table import Column, Schema, table_of

_TOKEN = re.compile(
    r"""\s*(?:(?P<number>\d+(?:\.\d+)?(?:[eE][+-]?\d{1,2})?)|'(?P<word>(?:[^']|'')*)'|"(?P<quoted>[^"]+)"
    |(?P<name>one-hot\b|[^\W\d][\w.]*)|(?P<sign><=|>=|!=|==|[-+*/()=<>,]))""",
    re.VERBOSE,
)
_SIGNS: Mapping[str, Operator] = {
    "=": "=",
    "==": "=",
    "!=": "!=",
    "<": "<",
    "<=": "<=",
    ">": ">",
    ">=": ">=",
}
_TURNED: Mapping[Operator, Operator] = {"<": ">", "<=": ">=", ">": "<", ">=": "<="}
_LONGEST = 2_000
_DEEPEST = 50

_Token = tuple[Literal["number", "word", "quoted", "name", "sign", "end"], str]


@dataclass(frozen=True, slots=True)
class _Word:
    text: str


_Side: TypeAlias = "Expression | _Word"
"""Of a comparison."""


def constraints_of(texts: Iterable[str], schema: Schema) -> tuple[Constraint, ...]:
    """What the texts declare, each bound to the columns of the schema.

    Raises `ConstraintError` for a text that can't be read, a column that is not there, and a value
    that its column has no room for, quoting the text.
    """
    return tuple(_constraint(text, schema) for text in texts)


def _constraint(text: str, schema: Schema) -> Constraint:
    try:
        return _Reader(text, schema).constraint()
    except (TableError, ConstraintError) as error:
        raise ConstraintError(f"the constraint {text!r} can't be kept: {error}") from error


def _tokens(text: str) -> list[_Token]:
    if len(text) > _LONGEST:
        raise ConstraintError(f"it is longer than {_LONGEST:,} characters")
    found: list[_Token] = []
    at, end = 0, len(text.rstrip())
    while at < end:
        match = _TOKEN.match(text, at)
        if match is None or match.lastgroup is None:
            raise ConstraintError(f"nothing is known to begin with {text[at:].strip()[:12]!r}")
        kind = cast("Literal['number', 'word', 'quoted', 'name', 'sign']", match.lastgroup)
        found.append((kind, match[kind].replace("''", "'") if kind == "word" else match[kind]))
        at = match.end()
    return [*found, ("end", "")]


class _Reader:
    """Reads one constraint."""

    def __init__(self, text: str, schema: Schema) -> None:
        self._text, self._schema = text, schema
        self._tokens, self._at, self._depth = _tokens(text), 0, 0

    def constraint(self) -> Constraint:
        listed = self._listed()
        found = listed or self._rule()
        if self._next[0] != "end":
            raise ConstraintError(f"{self._next[1]!r} is left over")
        return found

    @property
    def _next(self) -> _Token:
        return self._tokens[self._at]

    def _take(self) -> str:
        token = self._next
        self._at += token[0] != "end"
        return token[1]

    def _is(self, *words: str) -> bool:
        kind, text = self._next
        return kind in ("name", "sign") and text.lower() in words

    def _took(self, *words: str) -> bool:
        return self._is(*words) and bool(self._take())

    def _expect(self, word: str) -> None:
        if not self._took(word):
            raise ConstraintError(f"{word!r} is expected before {self._next[1] or 'the end'!r}")

    def _listed(self) -> Unique | Combination | OneHot | None:
        if not self._is("unique", "combination", "one-hot", "one_hot"):
            return None
        if self._tokens[self._at + 1] != ("sign", "("):
            return None
        kind, names = self._take().lower(), self._names()
        if kind == "unique":
            return Unique(text=self._text, columns=names)
        if len(names) < 2:
            raise ConstraintError(f"{kind} needs two columns at least")
        if kind == "combination":
            return Combination(text=self._text, columns=names)
        for name in names:
            if self._schema.column(name).kind not in ("boolean", "integer"):
                raise ConstraintError(f"{name!r} is neither a truth value nor a whole number")
        return OneHot(text=self._text, columns=names)

    def _names(self) -> tuple[str, ...]:
        self._expect("(")
        names = [self._column().name]
        while self._took(","):
            names.append(self._column().name)
        self._expect(")")
        if len(set(names)) < len(names):
            raise ConstraintError("a column stands in it twice")
        return tuple(names)

    def _column(self) -> Column:
        if self._next[0] not in ("name", "quoted"):
            raise ConstraintError(f"a column is expected before {self._next[1] or 'the end'!r}")
        return self._schema.column(self._take())

    def _rule(self) -> Rule:
        premise: list[Condition] = []
        if self._took("if"):
            for claim in self._claims():
                if not isinstance(claim, Condition):
                    raise ConstraintError(
                        "what stands after 'if' compares a column with a value, not with another"
                    )
                premise.append(claim)
            self._expect("then")
        return Rule(text=self._text, premise=tuple(premise), conclusion=tuple(self._claims()))

    def _claims(self) -> list[Claim]:
        found = self._claim()
        while self._took("and"):
            found += self._claim()
        return found

    def _claim(self) -> list[Claim]:
        """One comparison, or those of a chain like 1 <= a <= b."""
        left = self._side()
        if self._is("is", "in", "not"):
            return [self._belongs(left)]
        if self._next[1] not in _SIGNS:
            raise ConstraintError(f"a comparison is expected before {self._next[1] or 'the end'!r}")
        found: list[Claim] = []
        while self._next[0] == "sign" and self._next[1] in _SIGNS:
            operator, right = _SIGNS[self._take()], self._side()
            found.append(self._comparison(left, operator, right))
            left = right
        return found

    def _belongs(self, side: _Side) -> Condition:
        if not isinstance(side, str):
            raise ConstraintError("a column alone stands before 'is' and 'in'")
        if self._took("is"):
            is_not = self._took("not")
            if not self._is("missing", "present"):
                raise ConstraintError("'missing' or 'present' follows 'is'")
            is_missing = (self._take().lower() == "missing") != is_not
            return Condition(column=side, operator="is missing" if is_missing else "is present")
        operator: Operator = "not in" if self._took("not") else "in"
        self._expect("in")
        self._expect("(")
        values = [self._value(side, self._side())]
        while self._took(","):
            values.append(self._value(side, self._side()))
        self._expect(")")
        return Condition(column=side, operator=operator, values=tuple(values))

    def _comparison(self, left: _Side, operator: Operator, right: _Side) -> Claim:
        if not isinstance(left, str) and isinstance(right, str):
            left, operator, right = right, _TURNED.get(operator, operator), left
        if isinstance(left, str) and isinstance(right, Fraction | _Word):
            return self._condition(left, operator, right)
        if isinstance(left, _Word) or isinstance(right, _Word):
            raise ConstraintError("a word is compared with a column alone")
        return self._arithmetic(left, operator, right)

    def _condition(self, name: str, operator: Operator, side: _Side) -> Condition:
        value = self._value(name, side)
        if self._schema.column(name).is_numeric:
            return Condition(column=name, operator=operator, values=(value,))
        if operator not in ("=", "!="):
            raise ConstraintError(f"{name!r} holds names, which have no order")
        named: Operator = "in" if operator == "=" else "not in"
        return Condition(column=name, operator=named, values=(value,))

    def _value(self, name: str, side: _Side) -> Value:
        """A value as the column has it."""
        column = self._schema.column(name)
        if not isinstance(side, Fraction | _Word):
            raise ConstraintError("a number or a word in single quotes is expected")
        if isinstance(side, Fraction) and column.kind in ("number", "integer"):
            return float(side)
        given = side.text if isinstance(side, _Word) else _shown(side)
        if column.kind == "boolean":
            given = {"0": "false", "1": "true"}.get(given, given)
        try:
            value = table_of([{name: given}], Schema(columns=(column,))).values[name][0]
        except TableError as error:
            raise ConstraintError(f"{given!r} is no {column.kind}, as {name!r} is") from error
        if value is None or value != value:
            raise ConstraintError("an empty word is no value: say 'is missing'")
        return float(value) if column.is_numeric else str(value)

    def _arithmetic(self, left: Expression, operator: Operator, right: Expression) -> Claim:
        for name in names_in(("-", left, right)):
            if not self._schema.column(name).is_numeric:
                raise ConstraintError(f"{name!r} holds names, which can't be reckoned with")
        if operator in (">", ">="):
            left, operator, right = right, _TURNED[operator], left
        weights = _linear(("-", left, right))
        formula = _formula(left, right) if operator == "=" else None
        # A share of a column has to be rounded; a sum of columns does not.
        is_sum = weights is not None and {abs(w) for name, w in weights.items() if name} <= {0, 1}
        if formula is not None and not is_sum:
            return formula
        if weights is not None and operator != "!=":
            return _weighed(weights, operator)
        raise ConstraintError(
            "a product and a quotient of columns stand beside one that is not in them, as in"
            " column = a * b, and no sum beside !="
        )

    def _side(self) -> _Side:
        if self._next[0] == "word":
            return _Word(self._take())
        if self._is("true", "false"):
            return _Word(self._take().lower())
        return self._sum()

    def _sum(self) -> Expression:
        left = self._product()
        while self._is("+", "-"):
            left = (self._take(), left, self._product())
        return left

    def _product(self) -> Expression:
        left = self._factor()
        while self._is("*", "/"):
            left = (self._take(), left, self._factor())
            folded = _linear(left)
            left = folded[""] if folded is not None and set(folded) == {""} else left
        return left

    def _factor(self) -> Expression:
        self._depth += 1
        if self._depth > _DEEPEST:
            raise ConstraintError("it has too many parts")
        if self._took("-"):
            inner = self._factor()
            return -inner if isinstance(inner, Fraction) else ("*", Fraction(-1), inner)
        if self._took("("):
            inner = self._sum()
            self._expect(")")
            return inner
        if self._next[0] == "number":
            return Fraction(self._take())
        return self._column().name


def _shown(number: Fraction) -> str:
    return str(number.numerator if number.denominator == 1 else float(number))


def _linear(expression: Expression) -> dict[str, Fraction] | None:
    """The weight of each column, that of '' being the constant; None for what is no such sum."""
    if isinstance(expression, Fraction):
        return {"": expression}
    if isinstance(expression, str):
        return {expression: Fraction(1)}
    sign, left, right = expression[0], _linear(expression[1]), _linear(expression[2])
    if left is None or right is None:
        return None
    if sign in ("+", "-"):
        sum_of = Fraction(1 if sign == "+" else -1)
        return {
            n: left.get(n, Fraction()) + sum_of * right.get(n, Fraction()) for n in left | right
        }
    if set(right) == {""}:
        if sign == "/" and not right[""]:
            raise ConstraintError("it divides by 0")
        by = right[""] if sign == "*" else 1 / right[""]
        return {name: weight * by for name, weight in left.items()}
    if set(left) == {""} and sign == "*":
        return {name: weight * left[""] for name, weight in right.items()}
    return None


def _formula(left: Expression, right: Expression) -> Formula | None:
    """What stands beside a column alone; None where none does."""
    for column, expression in ((left, right), (right, left)):
        if isinstance(column, str) and column not in names_in(expression):
            return Formula(column=column, expression=expression)
    return None


def _weighed(weights: Mapping[str, Fraction], operator: Operator) -> Linear:
    used = tuple((name, weight) for name, weight in weights.items() if name and weight)
    if not used:
        raise ConstraintError("no column is left in it")
    relation = cast("Literal['=', '<=', '<']", operator)
    return Linear(weights=used, relation=relation, constant=-weights.get("", Fraction()))
