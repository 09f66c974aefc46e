"""Conversations page by page."""

from dataclasses import dataclass
from typing import Any

from rag_pipeline.history.cursor import cursor_at, number_at
from storage.engine import Database
from storage.filters import Filter
from storage.filters.expression import Comparison, Text
from storage.prompts.sessions import Conversation, conversations
from storage.records import Principal


@dataclass(frozen=True, slots=True)
class ConversationPage:
    """Conversations, those that began last first, and where the next page begins; None: there is
    none."""

    items: tuple[Conversation, ...]
    next_cursor: str | None


def conversation_page(
    database: Database,
    principal: Principal,
    *,
    limit: int,
    user: str | None = None,
    cursor: str | None = None,
) -> ConversationPage:
    """The next `limit` conversations, of one user if one is named.

    Raises `InvalidRecordError`, and `QueryError` for another list's cursor.
    """
    list_of = _list_of(user)
    before = None if cursor is None else number_at(cursor, list_of, principal)
    found = conversations(database, principal=principal, limit=limit, user=user, before=before)
    place = None
    if len(found) == limit:
        place = cursor_at(found[-1].session_id, list_of, principal)
    return ConversationPage(tuple(found), place)


def _list_of(user: str | None) -> Filter:
    """What tells the cursors of this list from those of others."""
    return Comparison("sessions of", "=", Text(user or ""))


def conversation_json(one: Conversation) -> dict[str, Any]:
    """The stable interface; keys may be added, none is changed."""
    return {
        "session": one.session,
        "user": one.user,
        "prompts": one.prompts,
        "first_at": one.first_at.isoformat(),
        "last_at": one.last_at.isoformat(),
        "last_prompt_id": one.last_prompt_id,
        "last_question": one.last_question,
        "last_status": one.last_status,
        "last_state": one.last_state,
    }
