"""Takes messages out of the record: those that nobody needs any more, and words of others.

A message's key is a hash of what it says and of all before it. One whose words change gets another
key, and with it all that was said after it, so that a key never gives away what once stood there.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy import (
    Column,
    ColumnElement,
    Connection,
    Row,
    Select,
    bindparam,
    delete,
    exists,
    false,
    func,
    not_,
    or_,
    select,
    text,
    update,
)

from storage.bulk import batches, rows_where
from storage.erasing.marks import FORGOTTEN
from storage.models.base import aliased
from storage.models.prompts import MessageRow, PromptRow
from storage.prompts.messages import append
from storage.records import Message

_MESSAGE = select(
    MessageRow.message_sha256, MessageRow.parent_sha256, MessageRow.role, MessageRow.content
)
_HOLDS = (PromptRow.request_sha256, PromptRow.response_sha256)


def hold_messages(connection: Connection) -> None:
    """Until the transaction ends nobody else adds a message: none is taken away that another is
    about to be said after. To be called before anything else in the transaction."""
    if connection.dialect.name != "sqlite":
        connection.execute(text("LOCK TABLE messages IN SHARE ROW EXCLUSIVE MODE"))


def chain_keys(connection: Connection, keys: Iterable[str]) -> set[str]:
    """`keys` and those of all that was said before them."""
    found: set[str] = set()
    frontier = {key for key in keys if key}
    while frontier:
        found |= frontier
        rows = rows_where(connection, _MESSAGE, MessageRow.message_sha256, sorted(frontier))
        frontier = {row.parent_sha256 for row in rows if row.parent_sha256} - found
    return found


def drop_unreferenced(connection: Connection, keys: Iterable[str]) -> int:
    """Remove those of `keys` that no exchange asks or answers with and that nothing was said
    after, and then those before them; how many it was."""
    dropped = 0
    frontier = {key for key in keys if key}
    while frontier:
        rows = rows_where(connection, _unreferenced(), MessageRow.message_sha256, sorted(frontier))
        gone = {row.message_sha256: row.parent_sha256 for row in rows}
        for batch in batches(gone):
            connection.execute(delete(MessageRow).where(MessageRow.message_sha256.in_(batch)))
        dropped += len(gone)
        frontier = {parent for parent in gone.values() if parent}
    return dropped


def rewrite(connection: Connection, changed: Mapping[str, str]) -> int:
    """Let the messages of these keys say something else; how many were written anew because of
    it."""
    rows = _with_all_after(connection, changed)
    new_key: dict[str, str] = {}
    for row in rows:
        parent = new_key.get(row.parent_sha256, row.parent_sha256)
        said = Message(row.role, changed.get(row.message_sha256, row.content))
        key = append(connection, parent, [said])
        assert key is not None
        new_key[row.message_sha256] = key
    moved = [{"old": old, "new": new} for old, new in new_key.items() if old != new]
    if not moved:
        return 0
    for column in _HOLDS:
        connection.execute(
            update(PromptRow).where(column == bindparam("old")).values({column: bindparam("new")}),
            moved,
        )
    for batch in batches([move["old"] for move in moved]):
        connection.execute(delete(MessageRow).where(MessageRow.message_sha256.in_(batch)))
    return len(moved)


def disown(connection: Connection, prompt_ids: Sequence[str], going: ColumnElement[bool]) -> int:
    """Take what was said in these exchanges out of the conversations that others went on with from
    there; how many messages that changed. All exchanges that are `going` are about to.

    What others have said word by word the same, after the same beginning, is theirs and stays.
    """
    staying = not_(func.coalesce(going, false()))
    heirs = _staying(connection, _heirs(connection, prompt_ids), staying)
    if not heirs:
        return 0
    own = chain_keys(connection, _said_in(connection, prompt_ids))
    inherited = chain_keys(connection, _said_in(connection, heirs)) & own
    theirs = _held(connection, inherited, staying)
    rows = rows_where(connection, _MESSAGE, MessageRow.message_sha256, sorted(inherited - theirs))
    return rewrite(
        connection, {row.message_sha256: FORGOTTEN for row in rows if row.role != "system"}
    )


def _with_all_after(connection: Connection, keys: Iterable[str]) -> list[Row[*tuple[Any, ...]]]:
    """The messages of `keys` and all that was said after them, each after the one before it."""
    found: dict[str, Row[*tuple[Any, ...]]] = {}
    column: Column[Any] = MessageRow.message_sha256
    frontier = sorted(keys)
    while frontier:
        rows = rows_where(connection, _MESSAGE, column, frontier)
        new = {row.message_sha256: row for row in rows if row.message_sha256 not in found}
        found |= new
        column, frontier = MessageRow.parent_sha256, [*new]
    depths: dict[str, int] = {}
    return sorted(found.values(), key=lambda row: _depth(row.message_sha256, found, depths))


def _depth(key: str, found: Mapping[str, Row[*tuple[Any, ...]]], depths: dict[str, int]) -> int:
    """How many of `found` stand before the message."""
    path = []
    while key in found and key not in depths:
        path.append(key)
        key = found[key].parent_sha256
    depth = depths.get(key, -1)
    for key in reversed(path):
        depth += 1
        depths[key] = depth
    return depth if not path else depths[path[0]]


def _unreferenced() -> Select[*tuple[Any, ...]]:
    after = aliased(MessageRow)
    said_after = exists().where(after.parent_sha256 == MessageRow.message_sha256)
    held = or_(*(exists().where(column == MessageRow.message_sha256) for column in _HOLDS))
    return select(MessageRow.message_sha256, MessageRow.parent_sha256).where(~said_after, ~held)


def _heirs(connection: Connection, prompt_ids: Sequence[str]) -> list[str]:
    """The exchanges that follow from these, at whatever distance, without them."""
    own, found, frontier = set(prompt_ids), set[str](), [*prompt_ids]
    statement = select(PromptRow.prompt_id)
    while frontier:
        rows = rows_where(connection, statement, PromptRow.parent_id, frontier)
        frontier = sorted({row.prompt_id for row in rows} - found)
        found |= {*frontier}
    return sorted(found - own)


def _said_in(connection: Connection, prompt_ids: Sequence[str]) -> set[str]:
    rows = rows_where(connection, select(*_HOLDS), PromptRow.prompt_id, prompt_ids)
    return {key for row in rows for key in row if key}


def _staying(
    connection: Connection, prompt_ids: Sequence[str], staying: ColumnElement[bool]
) -> list[str]:
    statement = select(PromptRow.prompt_id).where(staying)
    rows = rows_where(connection, statement, PromptRow.prompt_id, prompt_ids)
    return [row.prompt_id for row in rows]


def _held(connection: Connection, keys: Iterable[str], staying: ColumnElement[bool]) -> set[str]:
    """Those of `keys` that exchanges which are `staying` ask or answer with."""
    wanted = sorted(keys)
    return {
        row[0]
        for column in _HOLDS
        for row in rows_where(connection, select(column).where(staying), column, wanted)
    }
