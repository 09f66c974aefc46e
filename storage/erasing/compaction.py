"""Makes what was deleted unreadable: a deleted row's bytes stand in its page until that is used
again."""

import sqlite3
from typing import cast

from sqlalchemy import inspect, text

from storage.engine import Database
from storage.errors import StorageError
from storage.models.tables import METADATA

_WORDS = "prompt_words"
_MERGE_WORDS = text("INSERT INTO prompt_words (prompt_words) VALUES ('optimize')")
_BUSY = (
    "another program reads or writes {url}, so what was erased can't be cleared out of its file"
    " yet; stop it or wait, then run `rag forget resume`"
)


def compact(database: Database, *, whole: bool = False) -> list[str]:
    """Clear deleted rows out of the database's files; what that can't reach, in plain words.

    An SQLite file is written anew and its log emptied. A server is asked to clear its tables;
    with `whole` it writes them anew, which locks each as long as that takes. Raises
    `StorageError` while others are in the way, and where the disk is full.
    """
    if database.is_sqlite:
        _compact_sqlite(database)
        return ["copies and backups of the database file", "blocks that the file system has freed"]
    _compact_server(database, whole=whole)
    left = ["the server's write-ahead log, replicas and backups"]
    return left if whole else ["free space inside the server's table files", *left]


def _compact_sqlite(database: Database) -> None:
    with database.write() as connection:
        if inspect(connection).has_table(_WORDS):
            # Words of deleted rows stay in its pages until these are merged.
            connection.execute(_MERGE_WORDS)
    with database.own_connection() as connection:
        plain = cast(sqlite3.Connection, connection.connection.driver_connection)
        try:
            plain.execute("VACUUM")
            (busy, _, _) = plain.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        except sqlite3.OperationalError as error:
            raise StorageError(_reason(error, database)) from error
    if busy:
        raise StorageError(_BUSY.format(url=database.shown_url))


def _reason(error: sqlite3.OperationalError, database: Database) -> str:
    if "locked" in str(error):
        return _BUSY.format(url=database.shown_url)
    return (
        f"what was erased can't be cleared out of the file of {database.shown_url}: {error}; there"
        " has to be room for a copy of it; then run `rag forget resume`"
    )


def _compact_server(database: Database, *, whole: bool) -> None:
    with database.own_connection() as connection:
        quote = connection.dialect.identifier_preparer.quote
        ours = {*METADATA.tables, _WORDS} & {*inspect(connection).get_table_names()}
        tables = ", ".join(quote(name) for name in sorted(ours))
        connection.execute(text(f"VACUUM {'(FULL) ' if whole else ''}{tables}"))
