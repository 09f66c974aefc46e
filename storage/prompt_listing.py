"""Recorded exchanges page by page, what led to each and what followed, as one principal may know
them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Connection, literal, select, tuple_

from storage.bulk import rows_where
from storage.engine import Database
from storage.errors import InvalidRecordError
from storage.history import History, all_scores, prompt_record, prompts, readable_prompts
from storage.metadata_values import date_span, instant
from storage.models.access import SessionRow, UserRow
from storage.models.prompts import PromptRow
from storage.records import AnswerState, Principal, PromptRecord, PromptStatus, Score
from storage.words import UNSTORABLE, contains_words

MAX_PAGE = 200
MAX_CHAIN = 1_000
RATING = "rating"


class Place(NamedTuple):
    """Where a page ended: the time and id of its last exchange."""

    created_at: datetime
    prompt_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PromptsWanted:
    """Which exchanges are listed."""

    principal: Principal
    user: str | None = None
    session: str | None = None
    state: AnswerState | None = None
    status: PromptStatus | None = None
    words: str = ""
    """All of them stand in the question or the answer."""
    since: datetime | None = None
    before: datetime | None = None
    """Only what was asked before this."""


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
        self, wanted: PromptsWanted, *, limit: int, after: Place | None = None
    ) -> list[ListedPrompt]:
        """The newest `limit` exchanges that are older than `after`, newest first.

        Raises `InvalidRecordError` for a limit that is out of range.
        """
        if not 1 <= limit <= MAX_PAGE:
            raise InvalidRecordError(f"a limit of {limit} is out of range; use 1 to {MAX_PAGE}")
        statement = prompts().where(*conditions(wanted))
        if after is not None:
            since = literal(after.created_at, PromptRow.created_at.type)
            statement = statement.where(
                tuple_(PromptRow.created_at, PromptRow.prompt_id) < tuple_(since, after.prompt_id)
            )
        newest = statement.order_by(PromptRow.created_at.desc(), PromptRow.prompt_id.desc())
        with self.database.read() as connection:
            rows = connection.execute(newest.limit(limit)).mappings().all()
            return _rated(connection, [prompt_record(row) for row in rows])

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
    last = {score.user: score.value for score in scores if score.metric == RATING}
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


def conditions(wanted: PromptsWanted) -> list[ColumnElement[bool]]:
    """What the exchanges that are wanted fulfil."""
    equal: Mapping[Any, object] = {
        UserRow.name: wanted.user,
        SessionRow.name: wanted.session,
        PromptRow.state: wanted.state,
        PromptRow.status: wanted.status,
    }
    found = [column == _storable(value) for column, value in equal.items() if value is not None]
    if wanted.words:
        found.append(contains_words(wanted.words, (PromptRow.question, PromptRow.answer)))
    if wanted.since is not None:
        found.append(PromptRow.created_at >= wanted.since)
    if wanted.before is not None:
        found.append(PromptRow.created_at < wanted.before)
    return [readable_prompts(wanted.principal), *found]


def _storable(value: object) -> object:
    """What no row can be equal to goes as a value that no name has."""
    return "" if isinstance(value, str) and UNSTORABLE.search(value) else value


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
    scores = all_scores(connection, [prompt.prompt_id for prompt in found])
    return [
        ListedPrompt(prompt=prompt, rating=rating_of(scores.get(prompt.prompt_id, ())))
        for prompt in found
    ]
