"""Reads the log of the command-line program `llm`: an SQLite file, opened for reading alone.

Up to version 0.35 it kept a row for each response; since then it keeps messages under their hashes,
and a row for each turn. A log that has lived through both has both.
"""

import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from storage.errors import InvalidRecordError

_NEEDED = frozenset({"id", "model", "prompt", "response", "datetime_utc"})
_TAKEN = (
    "id",
    "model",
    "prompt",
    "system",
    "response",
    "conversation_id",
    "duration_ms",
    "datetime_utc",
    "input_tokens",
    "output_tokens",
)
# ids are ULIDs, which sort by time; those of the first versions are numbers
_RESPONSES = "SELECT * FROM responses ORDER BY datetime_utc, id"
_OLDER_RESPONSES = (
    "SELECT * FROM responses WHERE id NOT IN (SELECT id FROM turns) ORDER BY datetime_utc, id"
)
_TURNS = """
    WITH RECURSIVE above (turn_id, hash, parent_hash, role) AS (
        SELECT turns.id, messages.hash, messages.parent_hash, messages.role
        FROM turns JOIN messages ON messages.hash = turns.parent_message_hash
        UNION ALL
        SELECT above.turn_id, messages.hash, messages.parent_hash, messages.role
        FROM above JOIN messages ON messages.hash = above.parent_hash
    ), instructions (turn_id, text) AS (
        SELECT above.turn_id, group_concat(parts.text, char(10))
        FROM above JOIN parts ON parts.message_hash = above.hash
        WHERE above.role = 'system' AND parts.type = 'text'
        GROUP BY above.turn_id
    )
    SELECT turns.*, turns.thread_id AS conversation_id, turn_search.prompt, turn_search.response,
        instructions.text AS system
    FROM turns JOIN turn_search ON turn_search.turn_id = turns.id
    LEFT JOIN instructions ON instructions.turn_id = turns.id
    ORDER BY turns.datetime_utc, turns.id
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class LoggedResponse:
    """A prompt and what a model said to it, as they are logged."""

    row: int
    """Its number in the file, from 1."""
    values: Mapping[str, Any]
    """By column; None for those that the version of the program did not write."""

    @property
    def asked_at(self) -> datetime:
        """Raises `InvalidRecordError` where it is no time."""
        try:
            found = datetime.fromisoformat(str(self.values["datetime_utc"]))
        except ValueError as error:
            shown = str(self.values["datetime_utc"])[:40]
            raise InvalidRecordError(f"{shown!r} is no time that it was asked at") from error
        return found if found.tzinfo else found.replace(tzinfo=UTC)


def logged_responses(path: Path) -> Iterator[LoggedResponse]:
    """All that is logged, oldest first. Raises `InvalidRecordError` for a file of another kind."""
    try:
        with closing(sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)) as log:
            log.row_factory = sqlite3.Row
            log.text_factory = lambda raw: raw.decode("utf-8", "replace")
            for number, row in enumerate(_rows(log, path), start=1):
                columns = row.keys()
                values = {name: row[name] if name in columns else None for name in _TAKEN}
                yield LoggedResponse(row=number, values=values)
    except sqlite3.Error as error:
        raise InvalidRecordError(f"{path} can't be read as an SQLite file: {error}") from error


def _rows(log: sqlite3.Connection, path: Path) -> Iterator[sqlite3.Row]:
    if not _columns(log, "responses") >= _NEEDED:
        raise InvalidRecordError(
            f"{path} is an SQLite file, but no log of the program `llm`: it has no such table of"
            " responses"
        )
    if not _columns(log, "turns"):
        yield from log.execute(_RESPONSES)
        return
    yield from log.execute(_OLDER_RESPONSES)
    yield from log.execute(_TURNS)


def _columns(log: sqlite3.Connection, table: str) -> set[str]:
    found = log.execute("SELECT name FROM pragma_table_info(?)", (table,))
    return {row["name"] for row in found}
