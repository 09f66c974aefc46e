"""What was said, message by message, under hashes that hold all that was said before.

A message's key is the hash of its parent's key, its role and its content. So what many
conversations begin with (a system prompt, the exchanges before a fork) is stored once, and the key
of a message names the whole conversation up to it.
"""

import hashlib
from collections.abc import Sequence
from typing import cast

from sqlalchemy import Connection, bindparam, literal, select

from storage.inserting import leave_known
from storage.models.prompts import MessageRow
from storage.prepared import change
from storage.records import Message, MessageRole

_KEY, _PARENT = MessageRow.message_sha256, MessageRow.parent_sha256
_LAST = (
    select(_KEY.label("key"), _PARENT.label("parent"), literal(0).label("depth"))
    .where(bindparam("last") == _KEY)
    .cte("thread", recursive=True)
)
_THREAD = _LAST.union_all(
    select(_KEY, _PARENT, _LAST.c.depth + 1).join(_LAST, _LAST.c.parent == _KEY)
)
_MESSAGES = (
    select(MessageRow.role, MessageRow.content)
    .join(_THREAD, _THREAD.c.key == _KEY)
    .order_by(_THREAD.c.depth.desc())
)
_FIRST = (
    select(_KEY, MessageRow.role)
    .join(_THREAD, _THREAD.c.key == _KEY)
    .where(_THREAD.c.parent.is_(None))
)


def message_sha256(parent: str | None, message: Message) -> str:
    """The key of `message` after `parent`, in hexadecimal; None: it is the first."""
    said = f"{parent or ''}\n{message.role}\n{message.content}"
    return hashlib.sha256(said.encode()).hexdigest()


def append(connection: Connection, parent: str | None, messages: Sequence[Message]) -> str | None:
    """The key of the last of `messages`, said one after the other after `parent`.

    Whatever of them is stored already stays as it is, also when others store the same now: they
    all come to a shared message by the same way, so that nobody waits for each other.
    """
    rows = []
    for message in messages:
        key = message_sha256(parent, message)
        rows.append(
            {
                "message_sha256": key,
                "parent_sha256": parent,
                "role": message.role,
                "content": message.content,
            }
        )
        parent = key
    if rows:
        change(connection, leave_known(MessageRow, connection.dialect.name), rows)
    return parent


def thread(connection: Connection, last: str) -> list[Message]:
    """All that was said up to the message with this key, and it, from the first on."""
    rows = connection.execute(_MESSAGES, {"last": last})
    return [Message(cast(MessageRole, row.role), row.content) for row in rows]


def begins_with(connection: Connection, last: str, system: Sequence[Message]) -> bool:
    """Whether the conversation up to `last` begins with this system prompt, or with none."""
    first = connection.execute(_FIRST, {"last": last}).first()
    if first is None:
        return False
    if not system:
        return bool(first.role != "system")
    return bool(first.message_sha256 == message_sha256(None, system[0]))
