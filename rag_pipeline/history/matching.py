"""Which exchanges are meant: what is asked for by name, as one filter."""

from collections.abc import Iterator, Mapping
from typing import Any, TypedDict

from storage.errors import InvalidRecordError
from storage.filters import Filter, from_json, parse
from storage.filters.expression import Comparison, Conjunction, Number, Operator, Text, check_size
from storage.prompts.listing import period
from storage.records import AnswerState, PromptStatus

RATING = "rating"


class Filters(TypedDict, total=False):
    """Which exchanges are meant; nothing of it has to be given, and all that is must hold."""

    where: "str | Mapping[str, Any] | Filter | None"
    """A filter, as text, as JSON or as what these are read as."""
    user: str | None
    session: str | None
    application: str | None
    model: str | None
    collection: str | None
    category: str | None
    tag: str | None
    state: AnswerState | None
    status: PromptStatus | None
    min_score: float | None
    """From 0 to 1, of `metric`."""
    max_score: float | None
    metric: str | None
    """What is scored; else the rating by people."""
    since: str | None
    """A date or time in ISO 8601."""
    until: str | None
    """The same; a day counts to its end."""
    cites: str | None
    """The external id or the source of a document."""
    ungrounded: bool
    """Only answers that don't stand on evidence from end to end."""
    slower_than: float | None
    """Seconds."""


class Matching(Filters, total=False):
    """The same, and what words stand in them."""

    words: str
    """All of them stand in the question or the answer; "a phrase", and begin* of a word."""


_EQUAL = (
    "user",
    "session",
    "application",
    "model",
    "collection",
    "category",
    "tag",
    "state",
    "status",
    "cites",
)


def filter_of(given: Matching) -> Filter | None:
    """What `given` says; None where it says nothing.

    Raises `FilterError`, `InvalidRecordError`.
    """
    operands = tuple(_operands(given))
    if len(operands) > 1:
        return check_size(Conjunction(operands))
    return operands[0] if operands else None


def _operands(given: Matching) -> Iterator[Filter]:
    for name in _EQUAL:
        value: Any = given.get(name)
        if value is not None:
            yield Comparison(name, "=", Text(value))
    yield from _scores(given)
    yield from _times(given)
    if given.get("ungrounded"):
        yield Comparison("status", "=", Text("completed"))
        yield Comparison("state", "!=", Text("grounded"))
    slower_than = given.get("slower_than")
    if slower_than is not None:
        yield Comparison("seconds", ">", Number(slower_than))
    words = given.get("words", "")
    if words.strip():
        yield Comparison("words", "=", Text(words))
    yield from _written(given.get("where"))


def _scores(given: Matching) -> Iterator[Filter]:
    metric = given.get("metric")
    field = RATING if metric is None else f"score.{metric}"
    ends: tuple[tuple[float | None, Operator], ...] = (
        (given.get("min_score"), ">="),
        (given.get("max_score"), "<="),
    )
    for end, operator in ends:
        if end is not None and not 0 <= end <= 1:
            raise InvalidRecordError(f"a score of {end} is out of range; use 0 to 1")
        if end is not None:
            yield Comparison(field, operator, Number(end))


def _times(given: Matching) -> Iterator[Filter]:
    since, until = given.get("since"), given.get("until")
    period(since, until)
    if since is not None:
        yield Comparison("asked", ">=", Text(since))
    if until is not None:
        yield Comparison("asked", "<=", Text(until))


def _written(where: "str | Mapping[str, Any] | Filter | None") -> Iterator[Filter]:
    """The parts of a filter that somebody wrote."""
    if where is None or (isinstance(where, str) and not where.strip()):
        return
    if isinstance(where, str):
        where = parse(where)
    elif isinstance(where, Mapping):
        where = from_json(where)
    yield from where.operands if isinstance(where, Conjunction) else (where,)
