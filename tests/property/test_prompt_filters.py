"""A filter finds exactly the exchanges that plain Python finds, and pages give each once."""

import itertools
import operator
import re
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import select, update

from storage.engine import Database
from storage.filters.expression import (
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
)
from storage.history import History
from storage.models.prompts import PromptRow
from storage.prompts.access import number_of
from storage.prompts.listing import PromptListing, PromptsWanted
from storage.records import (
    LOCAL_OWNER,
    ChunkId,
    Citation,
    DocumentId,
    Evidence,
    Principal,
    PromptEnd,
    PromptStart,
    Score,
)
from storage.words_query import words_of

NAMES = ("a", "A", "a%", "ä_b", "*", "x'y")
WORDS = ("tin", "mine", "Größe", "lamp", "la*mp", "2026")
DAY = datetime(2026, 1, 31, tzinfo=UTC)
ORDERS: tuple[Operator, ...] = ("<", "<=", ">", ">=")
EACH = {
    "user": 3,
    "session": 5,
    "application": 7,
    "model": 2,
    "collection": 11,
    "category": 4,
}
Traits = Mapping[str, list[Any]]


def recorded(database: Database, at: int) -> Traits:
    """The exchange at a place, put on record; its traits as a filter names them."""
    named = {name: NAMES[at // step % len(NAMES)] for name, step in EACH.items()}
    for name in ("session", "application", "category"):
        named[name] = named[name] if (at + len(name)) % 3 else None
    tags = tuple(name for place, name in enumerate(NAMES) if (at >> place) % 4 == 1)
    question = " ".join(WORDS[(at * step) % len(WORDS)] for step in (1, 2, 3))
    history = History(database)
    key = history.start(
        PromptStart(
            question=question,
            parent_id=None,
            generation=at % 5,
            weights_sha256="w",
            template_sha256="t",
            rendered="r",
            sampling={},
            evidence=(_evidence(at % 4 + 1),),
            tags=tags,
            **named,
        ),
        principal=LOCAL_OWNER,
    )
    found: dict[str, Any] = {**named, "id": key, "tag": tags, "question": question}
    found |= {"generation": at % 5, "status": "started"} | _ended(history, key, at)
    found["asked"] = DAY + timedelta(hours=7 * at, microseconds=at)
    with database.write() as connection:
        connection.execute(
            update(PromptRow).where(PromptRow.prompt_id == key).values(created_at=found["asked"])
        )
    found |= _judged(history, key, at)
    return {
        name: [*value] if isinstance(value, tuple) else [value] * (value is not None)
        for name, value in found.items()
    }


def _ended(history: History, key: Any, at: int) -> dict[str, Any]:
    if at % 6 == 0:
        return {"words": history.show(key, principal=LOCAL_OWNER).question}
    if at % 6 == 1:
        history.fail(key, error=f"lost {at % 2}")
        question = history.show(key, principal=LOCAL_OWNER).question
        return {"status": "failed", "error": f"lost {at % 2}", "words": question}
    state = ("grounded", "partial", "no_evidence")[at % 3]
    answer = f"{WORDS[at % 5]}, {NAMES[at % 4]}"
    seconds, cost = at / 8, (at % 7) / 16 if at % 2 else None
    cited = at % 4 + 1
    history.complete(
        key,
        PromptEnd(
            answer=answer,
            state=state,
            citations=() if state == "no_evidence" else (_citation(cited),),
            usage={"prompt_tokens": at, "completion_tokens": 3} if at % 5 else {},
            timings={},
            confidence=(at % 9) / 8,
            seconds=seconds,
            cost=cost,
        ),
    )
    asked = history.show(key, principal=LOCAL_OWNER).question
    return {
        "status": "completed",
        "state": state,
        "answer": answer,
        "words": f"{asked} and then {answer}",
        "seconds": seconds,
        "cost": cost,
        "confidence": (at % 9) / 8,
        "prompt_tokens": at if at % 5 else None,
        "tokens": at + 3 if at % 5 else None,
        "cites": () if state == "no_evidence" else (f"{cited}.txt", f"/docs/{cited}"),
    }


def _judged(history: History, key: Any, at: int) -> dict[str, Any]:
    said: dict[str, Any] = {"commented": False, "corrected": False}
    for turn in range(at % 4):
        value = (at * 3 + turn) % 9 / 8
        comment = "well" if turn == 1 else None
        user, metric = f"judge {turn % 2}", ("rating", "helpful")[at % 2]
        score = Score(value=value, metric=metric, user=user, comment=comment)
        history.rate(key, score, principal=LOCAL_OWNER)
        said["commented"] |= comment is not None
        said.setdefault(metric, {})[user] = value
    for metric, name in (("rating", "rating"), ("helpful", "score.helpful")):
        values = list(said.pop(metric, {}).values())
        said[name] = sum(values) / len(values) if values else None
    return said


def _evidence(document: int) -> Evidence:
    return Evidence(
        chunk_id=ChunkId(document),
        document_id=DocumentId(document),
        rank=1,
        score=0.5,
        vector_rank=1,
        keyword_rank=None,
    )


def _citation(document: int) -> Citation:
    return Citation(
        quote="q",
        source=f"/docs/{document}",
        document_id=DocumentId(document),
        external_id=f"{document}.txt",
        chunk_id=ChunkId(document),
        start=0,
        end=1,
        answer_start=0,
        answer_end=1,
        score=1.0,
    )


texts = st.sampled_from([*NAMES, *WORDS, "", "B", "grounded", "1.txt", "/docs/2", "lost 1"])
eighths = st.integers(0, 8).map(lambda n: n / 8)
numbers = st.one_of(eighths, st.integers(0, 60))
days = st.sampled_from(
    ["2026-01-31", "2026-02-04", "2026-02-04T05:00", "2026-02-10T00:00:00.000034Z"]
)
TEXTS = (*EACH, "tag", "question", "answer", "error", "cites", "id")
NUMBERS = ("generation", "seconds", "cost", "prompt_tokens", "tokens")
SHARES = ("confidence", "rating", "score.helpful", "score.nobody")


def said_of(names: tuple[str, ...], values: st.SearchStrategy[Value]) -> st.SearchStrategy[Filter]:
    name, negated = st.sampled_from(names), st.booleans()
    operators: st.SearchStrategy[Operator] = st.sampled_from(("=", "!=", *ORDERS))
    return st.one_of(
        st.builds(Comparison, name, operators, values),
        st.builds(Membership, name, st.lists(values, min_size=1, max_size=3).map(tuple), negated),
        st.builds(Range, name, values, values, negated),
        st.builds(Absence, name, negated),
    )


def one_of(name: str, values: st.SearchStrategy[Value]) -> st.SearchStrategy[Filter]:
    equal: st.SearchStrategy[Operator] = st.sampled_from(("=", "!="))
    return st.builds(Comparison, st.just(name), equal, values)


patterns = st.text("aAä%_*\\tinm", max_size=4)
phrases = st.sampled_from(
    ["tin", "TIN mine", '"tin mine"', "groSSe", "GROSSE", "größe", "l*", "la*mp", "2026 -", "tin*"]
)
leaves = st.one_of(
    said_of(TEXTS, texts.map(Text)),
    said_of(NUMBERS, numbers.map(Number)),
    said_of(SHARES, eighths.map(Number)),
    said_of(("asked",), days.map(Text)),
    st.builds(Match, st.sampled_from(TEXTS), patterns, st.booleans()),
    one_of("state", st.sampled_from(["grounded", "partial", "no_evidence"]).map(Text)),
    one_of("status", st.sampled_from(["started", "completed", "failed"]).map(Text)),
    one_of("words", phrases.map(Text)),
    one_of("commented", st.booleans().map(Truth)),
    one_of("corrected", st.booleans().map(Truth)),
)


def joined(inner: st.SearchStrategy[Filter]) -> st.SearchStrategy[Filter]:
    some = st.lists(inner, min_size=2, max_size=3).map(tuple)
    return st.one_of(
        st.builds(Negation, inner), st.builds(Conjunction, some), st.builds(Disjunction, some)
    )


filters = st.recursive(leaves, joined, max_leaves=5)


@pytest.fixture
def exchanges(database: Database) -> list[Traits]:
    return [recorded(database, at) for at in range(40)]


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(wheres=st.lists(filters, min_size=1, max_size=5), limit=st.integers(1, 50))
def test_a_filter_finds_what_python_finds(
    database: Database, exchanges: list[Traits], wheres: list[Filter], limit: int
) -> None:
    listing = PromptListing(database)
    for where in wheres:
        wanted = PromptsWanted(principal=LOCAL_OWNER, where=where)
        expected = [one["id"][0] for one in reversed(exchanges) if holds(one, where)]
        found = [one.prompt.prompt_id for one in listing.page(wanted, limit=limit)]
        assert found == sorted(expected, reverse=True)[:limit], str(where)
        assert listing.count(wanted) == len(expected), str(where)
        own = PromptsWanted(principal=Principal(name="a"), where=where)
        readable = {one["id"][0] for one in exchanges if one["user"] == ["a"]}
        assert {one.prompt.prompt_id for one in listing.page(own, limit=200)} == {
            key for key in expected if key in readable
        }


@settings(max_examples=6, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(where=filters, size=st.integers(1, 9))
def test_pages_give_each_once_while_more_is_recorded(
    database: Database, exchanges: list[Traits], where: Filter, size: int
) -> None:
    listing = PromptListing(database)
    wanted = PromptsWanted(principal=LOCAL_OWNER, where=where)
    before = {one.prompt.prompt_id for one in listing.page(wanted, limit=10_000)}
    fresh = itertools.count(100)
    seen: list[str] = []
    for page in pages(listing, wanted, size):
        seen += page
        recorded(database, next(fresh))
    assert len(seen) == len(set(seen))
    assert set(seen) == before


def pages(listing: PromptListing, wanted: PromptsWanted, size: int) -> Iterator[list[str]]:
    last = None
    while found := listing.page(wanted, limit=size, before=last):
        last = number_of(found[-1].prompt.prompt_id)
        yield [one.prompt.prompt_id for one in found]


def holds(one: Traits, where: Filter) -> bool:
    match where:
        case Negation(operand):
            return not holds(one, operand)
        case Conjunction(operands):
            return all(holds(one, operand) for operand in operands)
        case Disjunction(operands):
            return any(holds(one, operand) for operand in operands)
        case Comparison(name, "!=", value):
            return not any(stands(name, has, "=", value) for has in one.get(name, ()))
        case Comparison(name, compared, value):
            return any(stands(name, has, compared, value) for has in one.get(name, ()))
        case Membership(name, values, is_negated):
            found = any(stands(name, has, "=", v) for has in one.get(name, ()) for v in values)
            return found != is_negated
        case Range(name, low, high, is_negated):
            return is_negated != any(
                stands(name, has, ">=", low) and stands(name, has, "<=", high)
                for has in one.get(name, ())
            )
        case Match(name, pattern, is_negated):
            like = re.compile(as_regex(pattern), re.DOTALL)
            return is_negated != any(like.fullmatch(has) for has in one.get(name, ()))
        case Absence(name, is_negated):
            return is_negated == bool(one.get(name))


COMPARED: Mapping[str, Callable[[Any, Any], bool]] = {
    "=": operator.eq,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


def stands(name: str, has: Any, compared: Operator, value: Value) -> bool:
    if name == "asked":
        start, end = span(str(value.value))
        bound = {"<": start, "<=": end, ">": end, ">=": start}
        if compared == "=":
            return start <= has < end
        is_before = compared in ("<", "<=")
        return (has < bound[compared]) if is_before else (has >= bound[compared])
    if name == "words":
        return has_words(has, str(value.value))
    return COMPARED[compared](has, value.value)


def span(day: str) -> tuple[datetime, datetime]:
    start = datetime.fromisoformat(day)
    start = start if start.tzinfo else start.replace(tzinfo=UTC)
    lasts = {10: timedelta(days=1), 16: timedelta(minutes=1)}.get(len(day))
    return start, start + (lasts or timedelta(microseconds=1))


def has_words(text: str, asked: str) -> bool:
    if asked.startswith('"'):
        return f" {' '.join(words_of(asked))} " in f" {' '.join(words_of(text))} "
    return all(has_word(words_of(text), part) for part in asked.split() if words_of(part))


def has_word(words: list[str], part: str) -> bool:
    wanted = words_of(part)
    ends = [words[at : at + len(wanted)] for at in range(len(words) - len(wanted) + 1)]
    if part.endswith("*"):
        return any(one[:-1] == wanted[:-1] and one[-1].startswith(wanted[-1]) for one in ends)
    return wanted in ends


def as_regex(pattern: str) -> str:
    parts = re.findall(r"\\[%_\\]|.", pattern, re.DOTALL)
    wild = {"%": ".*", "_": "."}
    return "".join(
        wild.get(part) or re.escape(part[1:] if part[0] == "\\" and part[1:] else part)
        for part in parts
    )


def test_the_numbers_of_ids_are_in_order_of_the_listing(
    database: Database, exchanges: list[Traits]
) -> None:
    with database.read() as connection:
        numbers = connection.execute(select(PromptRow.number).order_by(PromptRow.prompt_id))
        assert [*numbers.scalars()] == sorted(number_of(one["id"][0]) for one in exchanges)
