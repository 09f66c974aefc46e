"""Reads a filter from the text that a person writes."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeGuard

from storage.errors import FilterError
from storage.filters.expression import (
    KEYWORDS,
    MAX_DEPTH,
    PLAIN_NAME,
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

MAX_CHARACTERS = 20_000
_MAX_DIGITS = 400
_MAX_OPEN = 2 * MAX_DEPTH + 2
_TOKEN = re.compile(
    r"\s*(?:"
    r"(?P<text>'(?:[^']|'')*'|\"(?:[^\"]|\"\")*\")"
    r"|(?P<name>`(?:[^`]|``)*`)"
    r"|(?P<number>[+-]?(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?(?![\w.]))"
    rf"|(?P<word>{PLAIN_NAME.pattern})"
    r"|(?P<operator><=|>=|<>|!=|==|[=<>])"
    r"|(?P<mark>[(),])"
    r"|(?P<end>\Z))",
    re.IGNORECASE,
)
_SYNONYMS = {"==": "=", "<>": "!="}


@dataclass(frozen=True, slots=True)
class _Token:
    kind: str
    text: str
    position: int

    @property
    def keyword(self) -> str | None:
        """The keyword or mark that it is."""
        if self.kind == "mark":
            return self.text
        lowered = self.text.lower()
        return lowered if self.kind == "word" and lowered in KEYWORDS else None

    def __str__(self) -> str:
        return "the end" if self.kind == "end" else self.text[:60]


def parse(text: str) -> Filter:
    """The filter that `text` says; `FilterError` with the place and the remedy if it says none."""
    if len(text) > MAX_CHARACTERS:
        raise FilterError(
            f"the filter has {len(text)} characters; write it in at most {MAX_CHARACTERS}"
        )
    parser = _Parser(list(_tokens(text)))
    if parser.next.kind == "end":
        raise FilterError("the filter is empty; write a condition such as year >= 2020")
    where = parser.disjunction()
    if parser.next.kind != "end":
        raise _expected(parser.next, "`and`, `or` or the end")
    return check_size(where)


def _tokens(text: str) -> Iterator[_Token]:
    at = 0
    while True:
        found = _TOKEN.match(text, at)
        if found is None or found.lastgroup is None:
            raise _unreadable(text, at)
        kind = found.lastgroup
        yield _Token(kind, found[kind], found.start(kind))
        if kind == "end":
            return
        at = found.end()


def _unreadable(text: str, at: int) -> FilterError:
    at += len(text[at:]) - len(text[at:].lstrip())
    character = text[at]
    if character in "'\"`":
        return FilterError(
            f"the quote {character} is never closed; close it, and write a quote inside as two", at
        )
    return FilterError(
        f"{text[at : at + 10]!r} can't be read; write texts in 'quotes', odd names in `backticks`,"
        " and numbers like 12 or 0.5",
        at,
    )


def _expected(found: _Token, what: str) -> FilterError:
    return FilterError(f"{what} is expected where {found} stands", found.position)


def _is_operator(text: str) -> TypeGuard[Operator]:
    return text in ("=", "!=", "<", "<=", ">", ">=")


class _Parser:
    """Reads tokens from left to right, one function for each rule of the language."""

    def __init__(self, tokens: list[_Token]) -> None:
        self._tokens = tokens
        self._at = 0
        self._open = 0

    @property
    def next(self) -> _Token:
        return self._tokens[self._at]

    def disjunction(self) -> Filter:
        operands = [self._conjunction()]
        while self._took("or"):
            operands.append(self._conjunction())
        return operands[0] if len(operands) == 1 else Disjunction(tuple(operands))

    def _conjunction(self) -> Filter:
        operands = [self._negation()]
        while self._took("and"):
            operands.append(self._negation())
        return operands[0] if len(operands) == 1 else Conjunction(tuple(operands))

    def _negation(self) -> Filter:
        start = self.next
        if self._took("not"):
            self._enter(start)
            where: Filter = Negation(self._negation())
            self._open -= 1
            return where
        if self._took("("):
            self._enter(start)
            where = self.disjunction()
            self._take(")", "a closing parenthesis")
            self._open -= 1
            return where
        return self._condition()

    def _enter(self, token: _Token) -> None:
        self._open += 1
        if self._open > _MAX_OPEN:
            raise FilterError(
                f"the filter is nested deeper than {MAX_DEPTH} levels; use fewer parentheses",
                token.position,
            )

    def _condition(self) -> Filter:
        start = self.next
        field = self._field()
        try:
            return self._said_of(field)
        except FilterError as error:
            # What a part refuses is told its place here.
            if error.position is not None:
                raise
            raise FilterError(str(error), start.position) from error

    def _field(self) -> str:
        token = self._advance()
        if token.kind == "name":
            return _checked(token.text[1:-1].replace("``", "`"), token)
        if token.kind == "word" and token.keyword is None:
            return _checked(token.text, token)
        if token.keyword in KEYWORDS:
            raise FilterError(
                f"a field's name is expected where the keyword {token} stands;"
                f" a field of that name is written `{token}`",
                token.position,
            )
        raise _expected(token, "a field's name (without quotes, or in `backticks`)")

    def _said_of(self, field: str) -> Filter:
        token = self._advance()
        operator = _SYNONYMS.get(token.text, token.text)
        if token.kind == "operator" and _is_operator(operator):
            return Comparison(field, operator, self._value())
        if token.keyword == "is":
            is_negated = self._took("not")
            self._take("null", "`null` (compare with values by =)")
            return Absence(field, is_negated)
        is_negated = token.keyword == "not"
        return self._in_like_or_between(field, self._advance() if is_negated else token, is_negated)

    def _in_like_or_between(self, field: str, token: _Token, is_negated: bool) -> Filter:
        if token.keyword == "in":
            return Membership(field, self._values(), is_negated)
        if token.keyword == "like":
            return Match(field, self._pattern(), is_negated)
        if token.keyword == "between":
            low = self._value()
            self._take("and", "`and` and the upper end")
            return Range(field, low, self._value(), is_negated)
        raise _expected(token, "an operator: = != < <= > >= in, like, between, is null")

    def _values(self) -> tuple[Value, ...]:
        self._take("(", "a list in parentheses")
        values = [self._value()]
        while self._took(","):
            values.append(self._value())
        self._take(")", "a comma or a closing parenthesis")
        return tuple(values)

    def _pattern(self) -> str:
        token = self.next
        value = self._value()
        if not isinstance(value, Text):
            raise _expected(token, "a pattern in quotes")
        return value.value

    def _value(self) -> Value:
        token = self._advance()
        try:
            value = _value_of(token)
        except FilterError as error:
            raise FilterError(str(error), token.position) from error
        if value is not None:
            return value
        if token.keyword == "null":
            raise FilterError(
                "nothing equals null; write `is null` or `is not null`", token.position
            )
        if token.kind == "word":
            raise FilterError(
                f"{token} is no value; write a text in quotes: '{token}'", token.position
            )
        raise _expected(token, "a value (a number, a 'text', true or false)")

    def _advance(self) -> _Token:
        token = self.next
        self._at = min(self._at + 1, len(self._tokens) - 1)
        return token

    def _took(self, keyword: str) -> bool:
        if self.next.keyword != keyword:
            return False
        self._advance()
        return True

    def _take(self, keyword: str, what: str) -> None:
        if not self._took(keyword):
            raise _expected(self.next, what)


def _checked(name: str, token: _Token) -> str:
    try:
        return check_field(name)
    except FilterError as error:
        raise FilterError(str(error), token.position) from error


def _value_of(token: _Token) -> Value | None:
    if token.kind == "text":
        quote = token.text[0]
        return Text(token.text[1:-1].replace(quote * 2, quote))
    if token.kind == "number":
        return Number(_number(token.text))
    if token.keyword in ("true", "false"):
        return Truth(token.keyword == "true")
    return None


def _number(text: str) -> float:
    # Python reads no whole number of thousands of digits; far fewer are more than a double has.
    if len(text) > _MAX_DIGITS:
        raise FilterError(f"a number of {len(text)} digits is too long; use at most {_MAX_DIGITS}")
    return int(text) if text.lstrip("+-").isdecimal() else float(text)
