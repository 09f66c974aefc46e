"""Removes exchanges with everything that hangs on them, whatever table that stands in."""

from collections.abc import Callable, Iterator, Sequence

from sqlalchemy import ColumnElement, Connection, Table, delete, select, update

from storage.bulk import batches, rows_where
from storage.engine import Database
from storage.erasing.messages import chain_keys, disown, drop_unreferenced, hold_messages
from storage.models.artifacts import ArtifactRow
from storage.models.prompts import PromptArtifactRow, PromptRow
from storage.models.tables import METADATA
from storage.prompts.rollups import recounted

PROMPTS_A_STEP = 200
_KEYS = select(PromptRow.prompt_id)


def remove_prompts(
    database: Database, wanted: Callable[[], ColumnElement[bool]], *, is_disowned: bool
) -> dict[str, int]:
    """Remove the exchanges that fulfil `wanted`, some at a time; how many rows went, by table.

    Exchanges that follow from them stay, without a parent. If `is_disowned`, what was said in
    those that go is taken out of the conversations that went on from them too. Statistics count
    what is on record, and so no longer them.
    """
    counts: dict[str, int] = {}
    for keys in _batches(database, wanted):
        with database.write() as connection:
            hold_messages(connection)
            going = wanted() if is_disowned else None
            with recounted(connection, keys):
                removed = _remove(connection, keys, going)
            for table, count in removed.items():
                counts[table] = counts.get(table, 0) + count
    return counts


def _batches(
    database: Database, wanted: Callable[[], ColumnElement[bool]]
) -> Iterator[Sequence[str]]:
    """All that there are, the oldest first: who goes on from one is its heir as long as it is
    there."""
    statement = _KEYS.where(wanted()).order_by(PromptRow.number).limit(PROMPTS_A_STEP)
    while True:
        with database.read() as connection:
            keys = connection.execute(statement).scalars().all()
        if not keys:
            return
        yield keys


def _remove(
    connection: Connection, keys: Sequence[str], going: ColumnElement[bool] | None
) -> dict[str, int]:
    counts = {"messages": 0 if going is None else disown(connection, keys, going)}
    said = _messages_of(connection, keys)
    artifacts = _artifacts_of(connection, keys)
    connection.execute(
        update(PromptRow).where(PromptRow.parent_id.in_(keys)).values(parent_id=None)
    )
    for table in _hanging_on_prompts():
        gone = connection.execute(delete(table).where(table.c.prompt_id.in_(keys))).rowcount
        counts[table.name] = gone
    gone = connection.execute(delete(PromptRow).where(PromptRow.prompt_id.in_(keys))).rowcount
    counts["prompts"] = gone
    counts["messages"] += drop_unreferenced(connection, chain_keys(connection, said))
    counts["artifacts"] = _drop_artifacts(connection, artifacts)
    return {table: count for table, count in counts.items() if count}


def _hanging_on_prompts() -> Iterator[Table]:
    """Every table whose rows name the exchange that they belong to."""
    for table in METADATA.sorted_tables:
        column = table.c.get("prompt_id")
        if column is not None and table is not PromptRow.__table__:
            yield table


def _messages_of(connection: Connection, keys: Sequence[str]) -> set[str]:
    statement = select(PromptRow.request_sha256, PromptRow.response_sha256)
    rows = rows_where(connection, statement, PromptRow.prompt_id, keys)
    return {key for row in rows for key in row if key}


def _artifacts_of(connection: Connection, keys: Sequence[str]) -> set[int]:
    statement = select(PromptArtifactRow.artifact_id)
    rows = rows_where(connection, statement, PromptArtifactRow.prompt_id, keys)
    return {row.artifact_id for row in rows}


def _drop_artifacts(connection: Connection, keys: set[int]) -> int:
    """Remove those that no other exchange has."""
    held = select(PromptArtifactRow.artifact_id)
    dropped = 0
    for batch in batches(sorted(keys)):
        gone = delete(ArtifactRow).where(
            ArtifactRow.artifact_id.in_(batch), ArtifactRow.artifact_id.not_in(held)
        )
        dropped += connection.execute(gone).rowcount
    return dropped
