"""The rows of a query, each of them a document; the database is reached by who wires this."""

import hashlib
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from typing import Any

from ingest.feed import Item, ReadThrough, Resource
from ingest.feeds.errors import FeedError
from ingest.feeds.records import record_documents
from storage.errors import StorageError

Rows = Callable[[Sequence[str] | None], Generator[Mapping[str, Any], None, None]]
"""The rows of the query, by column; with names: only these columns. Raises StorageError."""

_PARAGRAPH = "\n\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class Columns:
    """What the columns of a query mean; those that are not named here are metadata."""

    id: str
    text: tuple[str, ...]
    title: str | None = None
    updated: str | None = None
    """Changes whenever anything of its row does."""

    @property
    def named(self) -> tuple[str, ...]:
        others = (self.title, self.updated)
        return (self.id, *self.text, *(name for name in others if name is not None))


@dataclass(frozen=True, slots=True, kw_only=True)
class SqlFeed:
    """One query: one resource, whose documents are its rows."""

    uri: str
    columns: Columns
    rows: Rows

    def resources(self) -> Iterator[Resource]:
        """The query; where rows say when they changed, these times and the ids are its stamp."""
        stamp = self._stamp()
        yield Resource(uri=self.uri, stamp=stamp, read=partial(self._read, stamp))

    def covers(self, uri: str) -> bool:
        return uri == self.uri

    def _stamp(self) -> str | None:
        """A sum over the rows, so that their order does not matter."""
        if self.columns.updated is None:
            return None
        count, total = 0, 0
        for row in self._checked((self.columns.id, self.columns.updated)):
            pair = f"{row[self.columns.id]!r} {row[self.columns.updated]!r}"
            total += int.from_bytes(hashlib.sha256(pair.encode("utf-8", "replace")).digest())
            count += 1
        return f"{count} rows {total % 2**256:064x}"

    def _read(self, stamp: str | None, _known: str | None) -> Iterator[Item]:
        # The stamp was taken before: what changes while this reads is read again at the next run.
        yield from record_documents(map(self._record, self._checked(None)), self.uri)
        yield ReadThrough(stamp)

    def _checked(self, names: Sequence[str] | None) -> Iterator[Mapping[str, Any]]:
        wanted = names or self.columns.named
        try:
            with closing(self.rows(names)) as rows:
                for row in rows:
                    self._check(row, wanted)
                    yield row
        except StorageError as error:
            raise FeedError(f"{self.uri} can't be read: {error}") from error

    def _check(self, row: Mapping[str, Any], wanted: Sequence[str]) -> None:
        if missing := [name for name in wanted if name not in row]:
            raise FeedError(
                f"the query of {self.uri} gives no column {missing[0]!r},"
                f" only {', '.join(row)}: correct the query or the column's name"
            )

    def _record(self, row: Mapping[str, Any]) -> dict[str, Any]:
        texts = [str(row[name]) for name in self.columns.text if row[name] is not None]
        others = {
            name: value
            for name, value in row.items()
            if name not in self.columns.named and not isinstance(value, bytes | memoryview)
        }
        title = row[self.columns.title] if self.columns.title else None
        return {
            "_id": None if (key := row[self.columns.id]) is None else str(key),
            "title": "" if title is None else str(title),
            "text": _PARAGRAPH.join(texts),
            "metadata": others,
        }
