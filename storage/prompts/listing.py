"""Recorded exchanges page by page, what led to each and what followed, as one principal may know
them."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, literal, select

from storage.bulk import rows_where
from storage.engine import Database
from storage.errors import InvalidRecordError
from storage.filters import Filter
from storage.filters.expression import Comparison, Conjunction, Text
from storage.history import History, prompt_record, prompts
from storage.metadata_values import date_span, instant
from storage.models.access import UserRow
from storage.models.prompt_search import PromptFactsRow
from storage.models.prompts import PromptRow
from storage.prompts.access import readable_prompts
from storage.prompts.scores import all_scores
from storage.prompts.search import check_limit, count, fittest, newest, parts_of
from storage.prompts.tags import all_tags
from storage.records import (
    AnswerState,
    EmbeddingSpace,
    Principal,
    PromptRecord,
    PromptStatus,
    Score,
    Vectors,
)

MAX_PAGE = 10_000
MAX_CHAIN = 1_000
RATING = "rating"


@dataclass(frozen=True, slots=True, kw_only=True)
class PromptsWanted:
    """Which exchanges are listed."""

    principal: Principal
    user: str | None = None
    session: str | None = None
    state: AnswerState | None = None
    status: PromptStatus | None = None
    words: str = ""
    """All of them stand in the question or the answer: see `storage.words_query`."""
    since: datetime | None = None
    before: datetime | None = None
    """Only what was asked before this."""
    where: Filter | None = None
    """What else holds of them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedPrompt:
    """An exchange without its evidence, and how it was rated."""

    prompt: PromptRecord
    rating: float | None
    """The mean of what each user said last, from 0 to 1; None where nobody did."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Chain:
    """Exchanges that follow from each other, parents before children."""

    prompts: tuple[ListedPrompt, ...]
    is_cut: bool
    """Whether there are more than are given."""


@dataclass(frozen=True, slots=True)
class PromptListing:
    """Reads the history for people to look at."""

    database: Database

    def page(
        self, wanted: PromptsWanted, *, limit: int, before: int | None = None
    ) -> list[ListedPrompt]:
        """The newest `limit` exchanges whose number is less than `before`, newest first.

        Raises `FilterError`, and `InvalidRecordError` for a limit that is out of range.
        """
        check_limit(limit, MAX_PAGE)
        with self.database.read() as connection:
            parts = parts_of(connection, where_of(wanted), wanted.principal)
            return listed(connection, newest(connection, parts, limit=limit, before=before))

    def count(self, wanted: PromptsWanted) -> int:
        """How many exchanges there are. Raises `FilterError`."""
        with self.database.read() as connection:
            return count(connection, parts_of(connection, where_of(wanted), wanted.principal))

    def fittest(self, words: str, wanted: PromptsWanted, *, limit: int) -> list[ListedPrompt]:
        """The exchanges that all the `words` stand in and fit best, best first: see
        `storage.prompts.search.fittest`. Raises as `page` does.
        """
        check_limit(limit, MAX_PAGE)
        with self.database.read() as connection:
            parts = parts_of(connection, where_of(wanted), wanted.principal)
            return listed(connection, fittest(connection, words, parts, limit=limit))

    def near(
        self, vector: Vectors, space: EmbeddingSpace, wanted: PromptsWanted, *, limit: int
    ) -> list[tuple[ListedPrompt, float]]:
        """The exchanges whose questions are nearest to `vector` (dimension,), with their cosines.

        Raises as `page` does.
        """
        # Imported here: only this needs numpy.
        from storage.prompts.question_vectors import near

        check_limit(limit, MAX_PAGE)
        with self.database.read() as connection:
            parts = parts_of(connection, where_of(wanted), wanted.principal)
            found = near(connection, vector, space, parts, limit=limit)
            prompts = listed(connection, [number for number, _ in found])
            return list(zip(prompts, (cosine for _, cosine in found), strict=True))

    def chain(self, prompt_id: str, *, principal: Principal) -> Chain:
        """All exchanges of the tree that one belongs to, as far as they may be read.

        Raises `NotFoundError`, whether it is missing or not for this principal.
        """
        key = History(self.database).show(prompt_id, principal=principal).prompt_id
        with self.database.read() as connection:
            root = connection.execute(_root_of(key, principal)).scalar_one()
            keys = [*connection.execute(_tree_below(root, principal)).scalars()]
            rows = rows_where(connection, prompts(), PromptRow.prompt_id, keys[:MAX_CHAIN])
            found = {row.prompt_id: prompt_record(row._mapping) for row in rows}
            in_order = [found[key] for key in keys[:MAX_CHAIN]]
            return Chain(prompts=tuple(_rated(connection, in_order)), is_cut=len(keys) > MAX_CHAIN)


def period(since: str | None, until: str | None) -> tuple[datetime | None, datetime | None]:
    """The first instant of `since` and the first one after `until`, dates or times in ISO 8601.

    Raises `InvalidRecordError`.
    """
    begins, ends = _span(since), _span(until)
    return (begins and instant(begins[0])), (ends and instant(ends[1]))


def rating_of(scores: Sequence[Score]) -> float | None:
    """The mean of what each user said last, oldest first in `scores`; None where nobody did."""
    last = {
        score.user: score.value
        for score in scores
        if score.judge == "human" and score.metric == RATING and score.value is not None
    }
    return sum(last.values()) / len(last) if last else None


def _span(text: str | None) -> tuple[float, float] | None:
    if text is None:
        return None
    span = date_span(text)
    if span is None:
        raise InvalidRecordError(
            f"{text[:60]!r} is neither a date nor a time; write 2026-01-31 or 2026-01-31T09:30"
        )
    return span


def where_of(wanted: PromptsWanted) -> Filter | None:
    """All that is wanted, as one filter."""
    equal = {
        "user": wanted.user,
        "session": wanted.session,
        "state": wanted.state,
        "status": wanted.status,
        "words": wanted.words or None,
    }
    said: list[Filter] = [
        Comparison(name, "=", Text(value)) for name, value in equal.items() if value is not None
    ]
    if wanted.since is not None:
        said.append(Comparison("asked", ">=", Text(wanted.since.isoformat())))
    if wanted.before is not None:
        said.append(Comparison("asked", "<", Text(wanted.before.isoformat())))
    where = wanted.where
    if where is not None:
        said.extend(where.operands if isinstance(where, Conjunction) else (where,))
    if len(said) > 1:
        return Conjunction(tuple(said))
    return said[0] if said else None


def conditions(connection: Connection, wanted: PromptsWanted) -> list[ColumnElement[bool]]:
    """What the rows of the exchanges that are wanted fulfil."""
    parts = parts_of(connection, where_of(wanted), wanted.principal)
    if not parts:
        return []
    numbers = select(PromptFactsRow.number).where(*(part.holds for part in parts))
    return [PromptRow.number.in_(numbers)]


def listed(connection: Connection, numbers: Sequence[int]) -> list[ListedPrompt]:
    """The exchanges with these numbers, in this order."""
    rows = rows_where(connection, prompts(), PromptRow.number, numbers)
    found = {row.number: prompt_record(row._mapping) for row in rows}
    return _rated(connection, [found[number] for number in numbers if number in found])


def _root_of(prompt_id: str, principal: Principal) -> Any:
    """The first exchange above one, through those that may be read."""
    readable = select(PromptRow.prompt_id, PromptRow.parent_id).join(
        UserRow, UserRow.user_id == PromptRow.user_id
    )
    above = (
        readable.add_columns(literal(0).label("height"))
        .where(PromptRow.prompt_id == prompt_id)
        .cte("above", recursive=True)
    )
    above = above.union_all(
        readable.add_columns(above.c.height + 1)
        .join(above, above.c.parent_id == PromptRow.prompt_id)
        .where(readable_prompts(principal))
    )
    return select(above.c.prompt_id).order_by(above.c.height.desc()).limit(1)


def _tree_below(root: str, principal: Principal) -> Any:
    """The exchange `root` and all that follow from it, by generation and time."""
    below = (
        select(PromptRow.prompt_id, PromptRow.created_at, literal(0).label("depth"))
        .where(PromptRow.prompt_id == root)
        .cte("below", recursive=True)
    )
    below = below.union_all(
        select(PromptRow.prompt_id, PromptRow.created_at, below.c.depth + 1)
        .join(UserRow, UserRow.user_id == PromptRow.user_id)
        .join(below, below.c.prompt_id == PromptRow.parent_id)
        .where(readable_prompts(principal))
    )
    return (
        select(below.c.prompt_id)
        .order_by(below.c.depth, below.c.created_at, below.c.prompt_id)
        .limit(MAX_CHAIN + 1)
    )


def _rated(connection: Connection, found: Sequence[PromptRecord]) -> list[ListedPrompt]:
    keys = [prompt.prompt_id for prompt in found]
    scores, tags = all_scores(connection, keys), all_tags(connection, keys)
    return [
        ListedPrompt(
            prompt=replace(prompt, tags=tags.get(prompt.prompt_id, ())),
            rating=rating_of(scores.get(prompt.prompt_id, ())),
        )
        for prompt in found
    ]
