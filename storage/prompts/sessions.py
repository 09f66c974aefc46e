"""Conversations: how long each is, and how it came out."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, cast

from sqlalchemy import Connection, Row, Select, func, select, true

from storage.bulk import rows_where
from storage.engine import Database
from storage.errors import InvalidRecordError
from storage.models.access import SessionRow, UserRow
from storage.models.prompts import PromptRow
from storage.records import AnswerState, Principal, PromptId, PromptStatus
from storage.words import UNSTORABLE

MAX_PAGE = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Conversation:
    """The exchanges of one session."""

    session_id: int
    session: str
    user: str
    prompts: int
    first_at: datetime
    last_at: datetime
    last_prompt_id: PromptId
    last_question: str
    last_status: PromptStatus
    last_state: AnswerState | None


def conversations(
    database: Database,
    *,
    principal: Principal,
    limit: int,
    user: str | None = None,
    before: int | None = None,
) -> list[Conversation]:
    """The conversations that began last and whose key is less than `before`, the newest first.

    Raises `InvalidRecordError` for a limit that is out of range.
    """
    if not 1 <= limit <= MAX_PAGE:
        raise InvalidRecordError(f"a limit of {limit} is out of range; use 1 to {MAX_PAGE}")
    if user is not None and UNSTORABLE.search(user):
        return []
    with database.read() as connection:
        begun = connection.execute(_begun(principal, limit, user, before)).all()
        lengths = _lengths(connection, [row.session_id for row in begun])
        last = _last(connection, [row.prompt_id for row in lengths.values()])
        return [
            _conversation(row, lengths[row.session_id], last[lengths[row.session_id].prompt_id])
            for row in begun
        ]


def _begun(
    principal: Principal, limit: int, user: str | None, before: int | None
) -> Select[*tuple[Any, ...]]:
    has_any = select(PromptRow.prompt_id).where(PromptRow.session_id == SessionRow.session_id)
    statement = (
        select(SessionRow.session_id, SessionRow.name.label("session"), UserRow.name.label("user"))
        .join(UserRow, UserRow.user_id == SessionRow.user_id)
        .where(true() if principal.is_owner else UserRow.name == principal.name, has_any.exists())
        .order_by(SessionRow.session_id.desc())
        .limit(limit)
    )
    if user is not None:
        statement = statement.where(UserRow.name == user)
    if before is not None:
        statement = statement.where(SessionRow.session_id < before)
    return statement


def _lengths(connection: Connection, keys: list[int]) -> dict[int, Row[*tuple[Any, ...]]]:
    """How many exchanges each conversation has, from when to when, and which is the last."""
    later = (
        select(PromptRow.prompt_id)
        .where(PromptRow.session_id == SessionRow.session_id)
        .order_by(PromptRow.created_at.desc(), PromptRow.prompt_id.desc())
        .limit(1)
        .correlate(SessionRow)
        .scalar_subquery()
    )
    statement = (
        select(
            SessionRow.session_id,
            func.count().label("prompts"),
            func.min(PromptRow.created_at).label("first_at"),
            func.max(PromptRow.created_at).label("last_at"),
            later.label("prompt_id"),
        )
        .join(PromptRow, PromptRow.session_id == SessionRow.session_id)
        .group_by(SessionRow.session_id)
    )
    rows = rows_where(connection, statement, SessionRow.session_id, keys)
    return {row.session_id: row for row in rows}


def _last(connection: Connection, keys: list[str]) -> dict[str, Row[*tuple[Any, ...]]]:
    statement = select(PromptRow.prompt_id, PromptRow.question, PromptRow.status, PromptRow.state)
    return {
        row.prompt_id: row for row in rows_where(connection, statement, PromptRow.prompt_id, keys)
    }


def _conversation(
    session: Row[*tuple[Any, ...]], length: Row[*tuple[Any, ...]], last: Row[*tuple[Any, ...]]
) -> Conversation:
    return Conversation(
        session_id=session.session_id,
        session=session.session,
        user=session.user,
        prompts=length.prompts,
        first_at=length.first_at,
        last_at=length.last_at,
        last_prompt_id=PromptId(last.prompt_id),
        last_question=last.question,
        last_status=cast(PromptStatus, last.status),
        last_state=cast("AnswerState | None", last.state),
    )
