"""The keys of those who ask and of their conversations, made when they are first heard of."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from sqlalchemy import Connection, and_, bindparam, select

from storage.clock import now
from storage.inserting import insert_into
from storage.models.access import SessionRow, UserRow

KNOWN = (
    select(UserRow.user_id, SessionRow.session_id)
    .outerjoin(
        SessionRow,
        and_(SessionRow.user_id == UserRow.user_id, SessionRow.name == bindparam("session")),
    )
    .where(UserRow.name == bindparam("user"))
)
"""The keys of a `user` and a `session`, by their names; no row without the user."""


class Asker(NamedTuple):
    """Keys of a user and, if there is one, of the conversation."""

    user_id: int
    session_id: int | None


def asker(connection: Connection, user: str, session: str | None = None) -> Asker:
    """The keys of both names, also when somebody else makes them at the same time."""
    names = {"user": user, "session": session}
    known = connection.execute(KNOWN, names).first()
    if known is None:
        _insert_once(connection, UserRow, ["name"], {"name": user, "created_at": now()})
        known = connection.execute(KNOWN, names).one()
    if session is not None and known.session_id is None:
        about = {"user_id": known.user_id, "name": session, "created_at": now()}
        _insert_once(connection, SessionRow, ["user_id", "name"], about)
        known = connection.execute(KNOWN, names).one()
    return Asker(known.user_id, known.session_id)


def _insert_once(
    connection: Connection,
    table: type[UserRow] | type[SessionRow],
    key: Sequence[str],
    values: Mapping[str, Any],
) -> None:
    new = insert_into(table, connection.dialect.name).values(**values)
    connection.execute(new.on_conflict_do_nothing(index_elements=key))
