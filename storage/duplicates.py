"""Reads about texts that came more than once: always by a principal, always as of one generation.

What a principal may not read is neither shown nor counted: a text of which only hidden sources
are left is not there for it, and an original that it may not read is no original.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from sqlalchemy import (
    ColumnElement,
    Connection,
    Row,
    RowMapping,
    Select,
    and_,
    case,
    exists,
    func,
    select,
)

from storage.bulk import rows_where
from storage.engine import Database
from storage.errors import NotFoundError
from storage.models.base import aliased
from storage.models.corpus import ChunkRow, DocumentRow, SourceRow, TextKeyRow
from storage.outline import from_json
from storage.reading import holds_at, readable, sources_of
from storage.records import (
    Collection,
    DocumentId,
    Likeness,
    Origin,
    Outline,
    Principal,
    SourceRef,
)

_LARGEST_KEY = 2**63 - 1
_SHOWN_SOURCES = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class SourcedText:
    """A text with its sources, as far as they may be read, oldest first."""

    document_id: DocumentId
    content_sha256: str
    text: str
    outline: Outline
    likeness: Likeness | None
    sources: tuple[SourceRef, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class DuplicateCounts:
    """How often texts come again in one collection."""

    sources: int
    texts: int
    linked: int
    """Near duplicates that are found like any other text."""
    held_back: int
    """Near duplicates that are kept out of search."""
    chunks: int
    shared_chunks: int
    """Of texts that have several sources, counted for each source beyond the first."""

    @property
    def exact_duplicates(self) -> int:
        """Sources beyond the first of each text."""
        return self.sources - self.texts

    @property
    def embeddings_saved(self) -> int:
        """At least so many: a text that is held back would have had one chunk or more."""
        return self.shared_chunks + self.held_back


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """Sources that share one text, or a text with the texts that are nearly the same."""

    document_id: DocumentId
    size: int
    """Sources, or texts with the original."""
    sources: tuple[SourceRef, ...]
    """Of the text they share, or of the original; the first few."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SharedLine:
    """A key that lines at the edges of several texts have, and one text that has it."""

    key: int
    texts: int
    text: str
    outline: Outline


@dataclass(frozen=True, slots=True, kw_only=True)
class DuplicatesReader:
    """What may be known of duplicates in one collection."""

    database: Database
    collection: Collection
    principal: Principal
    generation: int

    def named(self, name: str) -> SourcedText:
        """The text that `name` means: a document id, an external id, a uri, or the end of one.

        The first of these that fits decides. Raises `NotFoundError`, also where it means several.
        """
        # No name has a NUL: PostgreSQL refuses it, and for SQLite's LIKE the rest is not there.
        meanings = [] if "\0" in name else _meanings(name)
        with self.database.read() as connection:
            for condition in meanings:
                keys = self._documents_where(connection, condition)
                if len(keys) > 1:
                    raise NotFoundError(
                        f"{name!r} is the name of more than one text; give the whole uri, or one"
                        f" of the document ids {', '.join(map(str, keys))}"
                    )
                if keys:
                    return self._texts(connection, DocumentRow.document_id == keys[0])[0]
        raise NotFoundError(
            f"there is no document {name!r} in the collection {self.collection.name!r};"
            " `rag search --json` shows ids and sources"
        )

    def original_of(self, text: SourcedText) -> SourcedText | None:
        """The text that `text` is nearly the same as."""
        if text.likeness is None:
            return None
        with self.database.read() as connection:
            wanted = DocumentRow.content_sha256 == text.likeness.content_sha256
            return next(iter(self._texts(connection, wanted)), None)

    def near(self, text: SourcedText, *, limit: int) -> list[SourcedText]:
        """The texts that are nearly the same as `text`, most similar first."""
        with self.database.read() as connection:
            wanted = DocumentRow.near_sha256 == text.content_sha256
            return self._texts(connection, wanted, limit=limit)

    def count_with(self, keys: Sequence[int]) -> dict[int, int]:
        """For each of the `keys` of lines, how many texts have it."""
        statement = self._lines()
        with self.database.read() as connection:
            rows = rows_where(connection, statement, TextKeyRow.key, keys)
            return {row.key: row.texts for row in rows}

    def counts(self) -> DuplicateCounts:
        """How often texts come again."""
        sources = self._source_counts().subquery()
        chunks = self._chunk_counts().subquery()
        is_near = self._has_original()
        statement = (
            select(
                func.coalesce(func.sum(sources.c.size), 0),
                func.count(),
                func.count(case((and_(is_near, ~DocumentRow.is_held_back), 1))),
                func.count(case((and_(is_near, DocumentRow.is_held_back), 1))),
                func.coalesce(func.sum(chunks.c.size), 0),
                func.coalesce(func.sum(chunks.c.size * (sources.c.size - 1)), 0),
            )
            .select_from(DocumentRow)
            .join(sources, sources.c.document_id == DocumentRow.document_id)
            .outerjoin(chunks, chunks.c.document_id == DocumentRow.document_id)
        )
        with self.database.read() as connection:
            row = connection.execute(statement).one()
        return DuplicateCounts(
            sources=int(row[0]),
            texts=int(row[1]),
            linked=int(row[2]),
            held_back=int(row[3]),
            chunks=int(row[4]),
            shared_chunks=int(row[5]),
        )

    def largest_exact(self, *, limit: int) -> list[Group]:
        """The texts with most sources, at least two."""
        counted = self._source_counts().having(func.count() > 1)
        largest = counted.order_by(func.count().desc(), SourceRow.document_id).limit(limit)
        with self.database.read() as connection:
            return self._groups(connection, connection.execute(largest).all())

    def largest_near(self, *, limit: int) -> list[Group]:
        """The originals with most near duplicates."""
        original = aliased(DocumentRow)
        copies = (
            select(original.document_id, (func.count() + 1).label("size"))
            .join(DocumentRow, DocumentRow.near_sha256 == original.content_sha256)
            .where(
                *self._conditions(original),
                *self._conditions(),
            )
            .group_by(original.document_id)
            .order_by(func.count().desc(), original.document_id)
        )
        with self.database.read() as connection:
            return self._groups(connection, connection.execute(copies.limit(limit)).all())

    def shared_lines(self, *, at_least: int, limit: int) -> list[SharedLine]:
        """The lines that most texts have, `at_least` of them."""
        statement = (
            self._lines()
            .having(func.count() >= at_least)
            .order_by(func.count().desc(), TextKeyRow.key)
            .limit(limit)
        )
        with self.database.read() as connection:
            rows = connection.execute(statement).all()
            examples = {
                text.document_id: text
                for text in self._texts_of(connection, {row.example for row in rows})
            }
        return [
            SharedLine(
                key=row.key,
                texts=row.texts,
                text=examples[row.example].text,
                outline=examples[row.example].outline,
            )
            for row in rows
        ]

    def count_lines(self, *, at_least: int) -> int:
        """How many lines stand in `at_least` texts."""
        shared = self._lines().having(func.count() >= at_least).subquery()
        with self.database.read() as connection:
            return connection.execute(select(func.count()).select_from(shared)).scalar_one()

    def _is_readable(self) -> ColumnElement[bool]:
        return readable(self.principal, self.generation, frozenset(Origin))

    def _conditions(self, document: type[DocumentRow] = DocumentRow) -> list[ColumnElement[bool]]:
        """What holds for each document that may be known."""
        return [
            document.collection_id == self.collection.collection_id,
            holds_at(document, self.generation),
            exists().where(SourceRow.document_id == document.document_id, self._is_readable()),
        ]

    def _has_original(self) -> ColumnElement[bool]:
        original = aliased(DocumentRow)
        return exists().where(
            original.content_sha256 == DocumentRow.near_sha256, *self._conditions(original)
        )

    def _source_counts(self) -> Select[int, int]:
        return (
            select(SourceRow.document_id, func.count().label("size"))
            .where(
                SourceRow.collection_id == self.collection.collection_id,
                self._is_readable(),
            )
            .group_by(SourceRow.document_id)
        )

    def _chunk_counts(self) -> Select[int, int]:
        return (
            select(ChunkRow.document_id, func.count().label("size"))
            .where(
                ChunkRow.collection_id == self.collection.collection_id,
                holds_at(ChunkRow, self.generation),
            )
            .group_by(ChunkRow.document_id)
        )

    def _lines(self) -> Select[int, int, int]:
        return (
            select(
                TextKeyRow.key,
                func.count().label("texts"),
                func.min(TextKeyRow.document_id).label("example"),
            )
            .join(DocumentRow, DocumentRow.document_id == TextKeyRow.document_id)
            .where(
                TextKeyRow.collection_id == self.collection.collection_id,
                TextKeyRow.kind == "edge",
                *self._conditions(),
            )
            .group_by(TextKeyRow.key)
        )

    def _documents_where(
        self, connection: Connection, condition: ColumnElement[bool]
    ) -> list[DocumentId]:
        statement = (
            select(SourceRow.document_id)
            .where(
                SourceRow.collection_id == self.collection.collection_id,
                self._is_readable(),
                condition,
            )
            .distinct()
            .order_by(SourceRow.document_id)
            .limit(5)
        )
        return [DocumentId(key) for key in connection.execute(statement).scalars()]

    def _texts(
        self, connection: Connection, condition: ColumnElement[bool], *, limit: int = 1
    ) -> list[SourcedText]:
        statement = (
            select(DocumentRow.__table__)
            .where(condition, *self._conditions())
            .order_by(DocumentRow.similarity.desc(), DocumentRow.document_id)
        )
        return self._sourced(connection, connection.execute(statement.limit(limit)).all())

    def _texts_of(self, connection: Connection, documents: Iterable[int]) -> list[SourcedText]:
        statement = select(DocumentRow.__table__)
        rows = rows_where(connection, statement, DocumentRow.document_id, [*documents])
        return self._sourced(connection, list(rows))

    def _sourced(
        self, connection: Connection, rows: Sequence[Row[*tuple[object, ...]]]
    ) -> list[SourcedText]:
        found = [row._mapping for row in rows]
        documents = {row["document_id"] for row in found}
        sources = sources_of(connection, documents, self._is_readable())
        return [
            SourcedText(
                document_id=DocumentId(row["document_id"]),
                content_sha256=row["content_sha256"],
                text=row["text"],
                outline=from_json(row["outline"]),
                likeness=_likeness(row),
                sources=tuple(sources[row["document_id"]]),
            )
            for row in found
        ]

    def _groups(self, connection: Connection, rows: Sequence[Row[int, int]]) -> list[Group]:
        sources = sources_of(connection, {row[0] for row in rows}, self._is_readable())
        return [
            Group(
                document_id=DocumentId(row[0]),
                size=row[1],
                sources=tuple(sources[row[0]][:_SHOWN_SOURCES]),
            )
            for row in rows
        ]


def _meanings(name: str) -> list[ColumnElement[bool]]:
    is_key = name.isascii() and name.isdigit() and int(name) <= _LARGEST_KEY
    ends = SourceRow.uri.endswith(name, autoescape=True)
    return [
        *([SourceRow.document_id == int(name)] if is_key else []),
        SourceRow.external_id == name,
        SourceRow.uri == name,
        *([ends] if name else []),
    ]


def _likeness(row: RowMapping) -> Likeness | None:
    if row["near_sha256"] is None:
        return None
    return Likeness(
        content_sha256=row["near_sha256"],
        similarity=row["similarity"],
        is_held_back=row["is_held_back"],
    )
