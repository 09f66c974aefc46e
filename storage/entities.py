"""The one writer and reader of the entities that texts and answers mention.

What is stored follows the texts at the cost of what is new: a text never changes under its key, so
it is looked through once. Reads are by a principal, as of one generation: an entity is known
by the mentions that its reader may read, and its names and counts are theirs alone.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal, TypeAlias, cast

from sqlalchemy import (
    ColumnElement,
    Connection,
    Select,
    and_,
    case,
    delete,
    exists,
    func,
    insert,
    literal,
    null,
    or_,
    select,
    union_all,
    update,
)

from storage.bulk import batches, rows_where
from storage.engine import Database
from storage.generation import hold_fence
from storage.models.access import UserRow
from storage.models.base import aliased
from storage.models.corpus import CorpusStateRow, DocumentRow, SourceRow
from storage.models.entities import (
    EntityAnswerMentionRow,
    EntityAnswerRow,
    EntityMentionRow,
    EntityRow,
    EntityStateRow,
)
from storage.models.prompts import PromptRow
from storage.outline import from_json, heading_path, page_at
from storage.prompts.access import readable_prompts
from storage.reading import REAL_ONLY, readable, sources_of
from storage.records import (
    Collection,
    DocumentId,
    Origin,
    Principal,
    PromptId,
    SourceRef,
)

EntityKind: TypeAlias = Literal["person", "organisation", "place", "term"]

_LATEST_END = timedelta(days=1)
"""How long after its beginning an exchange may still be completed."""
_TEXTS_A_STEP = 500
_TEXTS_AT_ONCE = 20
_CHARACTERS_A_STEP = 2_000_000
"""After so many no further text is taken into the same transaction."""
_EXCERPT_CHARACTERS = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class NewMention:
    """A mention that is about to be stored: `surface` is exactly text[start:end]."""

    start: int
    end: int
    sentence: int
    kind: EntityKind
    key: str
    surface: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """How far the texts of a collection were looked through, and by which recogniser."""

    recogniser: str
    document_id: int = 0
    """The last text that was."""
    generation: int = 0
    """Of which all texts were."""
    answers_until: datetime | None = None


@dataclass(frozen=True, slots=True)
class Text:
    """A text that is to be looked through."""

    document_id: DocumentId
    text: str
    language: str | None


@dataclass(frozen=True, slots=True)
class AnswerText:
    """A recorded answer that is to be looked through."""

    prompt_id: PromptId
    text: str
    asked_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class EntityWriter:
    """Writes the mentions of one collection while its holder has the writer's lease."""

    database: Database
    collection: Collection
    fence: int

    def standing(self) -> Standing | None:
        """How far the texts were looked through; None before the first time."""
        with self.database.read() as connection:
            return _standing(connection, self.collection)

    def committed(self) -> int:
        """The generation that was committed last."""
        with self.database.read() as connection:
            return connection.execute(select(CorpusStateRow.generation)).scalar_one()

    def texts_after(self, document_id: int) -> list[Text]:
        """The next texts, oldest first; none where all were given. Those without chunks are left
        out: they are found under their original."""
        statement = (
            select(DocumentRow.document_id, DocumentRow.text, DocumentRow.language)
            .where(
                DocumentRow.collection_id == self.collection.collection_id,
                DocumentRow.document_id > document_id,
                ~DocumentRow.is_held_back,
            )
            .order_by(DocumentRow.document_id)
            .limit(_TEXTS_A_STEP)
        )
        texts: list[Text] = []
        characters = 0
        with self.database.read() as connection:
            for row in connection.execute(statement.execution_options(yield_per=_TEXTS_AT_ONCE)):
                texts.append(Text(DocumentId(row[0]), row[1], row[2]))
                characters += len(row[1])
                if characters > _CHARACTERS_A_STEP:
                    break
        return texts

    def store(
        self, mentions: Mapping[DocumentId, Sequence[NewMention]], standing: Standing
    ) -> None:
        """In one transaction, put `mentions` in the place of what their texts had, and stand at
        `standing`. Raises `LeaseLostError`."""
        with self.database.write() as connection:
            hold_fence(connection, self.fence)
            for batch in batches(mentions):
                connection.execute(
                    delete(EntityMentionRow).where(EntityMentionRow.document_id.in_(batch))
                )
            key_of = self._entities(connection, [m for found in mentions.values() for m in found])
            rows = [
                {
                    "document_id": document,
                    "sentence": mention.sentence,
                    "start_offset": mention.start,
                    "end_offset": mention.end,
                    "entity_id": key_of[mention.kind, mention.key],
                    "surface": mention.surface,
                }
                for document, found in mentions.items()
                for mention in found
            ]
            if rows:
                connection.execute(insert(EntityMentionRow), rows)
            self._stand_at(connection, standing)

    def answers_after(self, standing: Standing) -> list[AnswerText]:
        """Answers that `standing.recogniser` has not looked through yet, oldest first."""
        looked_through = exists().where(
            EntityAnswerRow.prompt_id == PromptRow.prompt_id,
            EntityAnswerRow.recogniser == standing.recogniser,
        )
        statement = (
            select(PromptRow.prompt_id, PromptRow.answer, PromptRow.created_at)
            .where(
                PromptRow.collection == self.collection.name,
                PromptRow.status == "completed",
                ~looked_through,
            )
            .order_by(PromptRow.created_at, PromptRow.prompt_id)
            .limit(_TEXTS_A_STEP)
        )
        if standing.answers_until is not None:
            statement = statement.where(PromptRow.created_at > standing.answers_until - _LATEST_END)
        with self.database.read() as connection:
            rows = connection.execute(statement)
            return [AnswerText(PromptId(row[0]), row[1] or "", row[2]) for row in rows]

    def store_answers(
        self, mentions: Mapping[PromptId, Sequence[NewMention]], standing: Standing
    ) -> None:
        """As `store`, for answers."""
        with self.database.write() as connection:
            hold_fence(connection, self.fence)
            for batch in batches(mentions):
                for table in (EntityAnswerMentionRow, EntityAnswerRow):
                    connection.execute(delete(table).where(table.prompt_id.in_(batch)))
            key_of = self._entities(connection, [m for found in mentions.values() for m in found])
            connection.execute(
                insert(EntityAnswerRow),
                [{"prompt_id": p, "recogniser": standing.recogniser} for p in mentions],
            )
            rows = [
                {
                    "prompt_id": prompt,
                    "start_offset": mention.start,
                    "end_offset": mention.end,
                    "entity_id": key_of[mention.kind, mention.key],
                    "surface": mention.surface,
                }
                for prompt, found in mentions.items()
                for mention in found
            ]
            if rows:
                connection.execute(insert(EntityAnswerMentionRow), rows)
            self._stand_at(connection, standing)

    def stand_at(self, standing: Standing) -> None:
        """Note how far the texts were looked through."""
        with self.database.write() as connection:
            hold_fence(connection, self.fence)
            self._stand_at(connection, standing)

    def drop_unmentioned(self) -> int:
        """Remove the entities that no text and no answer mentions any more; how many there were."""
        gone = (
            EntityRow.collection_id == self.collection.collection_id,
            ~exists().where(EntityMentionRow.entity_id == EntityRow.entity_id),
            ~exists().where(EntityAnswerMentionRow.entity_id == EntityRow.entity_id),
        )
        with self.database.write() as connection:
            hold_fence(connection, self.fence)
            return connection.execute(delete(EntityRow).where(*gone)).rowcount

    def _entities(
        self, connection: Connection, mentions: Iterable[NewMention]
    ) -> dict[tuple[str, str], int]:
        """The keys of the rows of all that is mentioned, which are made where there are none."""
        wanted = {(mention.kind, mention.key) for mention in mentions}
        statement = select(EntityRow.kind, EntityRow.key, EntityRow.entity_id).where(
            EntityRow.collection_id == self.collection.collection_id
        )
        rows = rows_where(connection, statement, EntityRow.key, sorted({key for _, key in wanted}))
        known: dict[tuple[str, str], int] = {(row[0], row[1]): row[2] for row in rows}
        new = sorted(wanted - known.keys())
        last = connection.execute(select(func.max(EntityRow.entity_id))).scalar() or 0
        added = {named: last + number for number, named in enumerate(new, start=1)}
        if added:
            connection.execute(
                insert(EntityRow),
                [
                    {
                        "entity_id": entity,
                        "collection_id": self.collection.collection_id,
                        "kind": kind,
                        "key": key,
                    }
                    for (kind, key), entity in added.items()
                ],
            )
        return known | added

    def _stand_at(self, connection: Connection, standing: Standing) -> None:
        values = {
            "recogniser": standing.recogniser,
            "document_id": standing.document_id,
            "generation": standing.generation,
            "answers_until": standing.answers_until,
        }
        mine = self.collection.collection_id
        changed = connection.execute(
            update(EntityStateRow).where(EntityStateRow.collection_id == mine).values(**values)
        )
        if not changed.rowcount:
            connection.execute(insert(EntityStateRow).values(collection_id=mine, **values))


def _standing(connection: Connection, collection: Collection) -> Standing | None:
    row = connection.execute(
        select(EntityStateRow.__table__).filter_by(collection_id=collection.collection_id)
    ).first()
    if row is None:
        return None
    return Standing(
        recogniser=row.recogniser,
        document_id=row.document_id,
        generation=row.generation,
        answers_until=row.answers_until,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Entity:
    """Something that has a name, as far as one reader may know of it."""

    entity_id: int
    kind: EntityKind
    key: str
    names: tuple[str, ...]
    """The forms of its name, the one to show first."""
    mentions: int
    """In documents."""
    documents: int
    answers: int
    """Recorded answers that mention it."""

    @property
    def name(self) -> str:
        return self.names[0]


@dataclass(frozen=True, slots=True, kw_only=True)
class Mention:
    """A place in a document that names an entity: `surface` is exactly text[start:end]."""

    document_id: DocumentId
    start: int
    end: int
    surface: str
    excerpt: str
    """What stands there, with some characters around it."""
    page: int | None
    headings: tuple[str, ...]
    sources: tuple[SourceRef, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class AnswerMention:
    """A place in a recorded answer that names an entity."""

    prompt_id: PromptId
    start: int
    end: int
    surface: str


@dataclass(frozen=True, slots=True)
class Edge:
    """Two entities, and in how many sentences of documents both stand."""

    first: int
    second: int
    weight: int


@dataclass(frozen=True, slots=True, kw_only=True)
class EntityReader:
    """What a principal may know of the entities of one collection, as of one generation."""

    database: Database
    collection: Collection
    principal: Principal
    generation: int
    origins: frozenset[Origin] = REAL_ONLY

    def standing(self) -> Standing | None:
        """How far the texts were looked through; None before the first time."""
        with self.database.read() as connection:
            return _standing(connection, self.collection)

    def find(
        self,
        *,
        kind: EntityKind | None = None,
        containing: str | None = None,
        limit: int | None = None,
    ) -> list[Entity]:
        """The entities in the most documents first, then those most often mentioned.

        `containing` is a part of a key, in folded case.
        """
        conditions: list[ColumnElement[bool]] = []
        if kind is not None:
            conditions.append(EntityRow.kind == kind)
        if containing is not None:
            conditions.append(EntityRow.key.contains(containing, autoescape=True))
        return self._entities(conditions, limit)

    def named(self, keys: Sequence[str], forms: Sequence[str]) -> list[Entity]:
        """The entities of one of `keys`, or that are mentioned in one of `forms`."""
        mentioned = select(EntityMentionRow.entity_id).where(
            EntityMentionRow.surface.in_(forms), self._is_readable(EntityMentionRow.document_id)
        )
        is_named = or_(EntityRow.key.in_(keys), EntityRow.entity_id.in_(mentioned))
        return self._entities([is_named], None)

    def entities(self, keys: Sequence[int]) -> dict[int, Entity]:
        """The entities of these ids."""
        found: dict[int, Entity] = {}
        for batch in batches(keys):
            conditions = [EntityRow.entity_id.in_(batch)]
            found |= {e.entity_id: e for e in self._entities(conditions, None)}
        return found

    def mentions(self, entity: int, *, limit: int) -> list[Mention]:
        """Where documents name it, oldest documents first, in the order of their texts."""
        begin = EntityMentionRow.start_offset - _EXCERPT_CHARACTERS
        before = func.substr(DocumentRow.text, _at_least_one(begin + 1), _shown_before(begin))
        after = func.substr(DocumentRow.text, EntityMentionRow.end_offset + 1, _EXCERPT_CHARACTERS)
        statement = (
            select(
                EntityMentionRow.document_id,
                EntityMentionRow.start_offset,
                EntityMentionRow.end_offset,
                EntityMentionRow.surface,
                before.label("before"),
                after.label("after"),
                DocumentRow.outline,
            )
            .join(DocumentRow, DocumentRow.document_id == EntityMentionRow.document_id)
            .where(
                EntityMentionRow.entity_id == entity,
                self._is_readable(EntityMentionRow.document_id),
            )
            .order_by(EntityMentionRow.document_id, EntityMentionRow.start_offset)
            .limit(limit)
        )
        with self.database.read() as connection:
            rows = connection.execute(statement).all()
            is_readable = readable(self.principal, self.generation, self.origins)
            sources = sources_of(connection, {row.document_id for row in rows}, is_readable)
        return [
            Mention(
                document_id=DocumentId(row.document_id),
                start=row.start_offset,
                end=row.end_offset,
                surface=row.surface,
                excerpt=f"{row.before}{row.surface}{row.after}",
                page=page_at(from_json(row.outline), row.start_offset),
                headings=heading_path(from_json(row.outline), row.start_offset),
                sources=tuple(sources[row.document_id]),
            )
            for row in rows
        ]

    def answers(self, entity: int, *, limit: int) -> list[AnswerMention]:
        """Where recorded answers that the principal may read name it, newest first."""
        statement = (
            select(
                EntityAnswerMentionRow.prompt_id,
                EntityAnswerMentionRow.start_offset,
                EntityAnswerMentionRow.end_offset,
                EntityAnswerMentionRow.surface,
            )
            .where(
                EntityAnswerMentionRow.entity_id == entity,
                self._is_own(EntityAnswerMentionRow.prompt_id),
            )
            .order_by(EntityAnswerMentionRow.prompt_id.desc(), EntityAnswerMentionRow.start_offset)
            .limit(limit)
        )
        with self.database.read() as connection:
            return [
                AnswerMention(prompt_id=PromptId(row[0]), start=row[1], end=row[2], surface=row[3])
                for row in connection.execute(statement)
            ]

    def edges_of(self, entities: Sequence[int]) -> list[Edge]:
        """The edges that lead from `entities`, which are their first ends; the heaviest first."""
        found: list[Edge] = []
        with self.database.read() as connection:
            for batch in batches(entities):
                found += _edges(connection, self._together(EntityMentionRow.entity_id.in_(batch)))
        return sorted(found, key=lambda edge: (-edge.weight, edge.first, edge.second))

    def all_edges(self) -> Iterator[Edge]:
        """Every edge once, its first end the lower one, in the order of their ends."""
        with self.database.read() as connection:
            yield from _edges(connection, self._together(None))

    def documents_with_both(self, first: int, second: int, *, limit: int) -> list[SourceRef]:
        """One source of each document that mentions both entities, the oldest documents first."""
        other = aliased(EntityMentionRow)
        statement = (
            select(EntityMentionRow.document_id)
            .join(other, other.document_id == EntityMentionRow.document_id)
            .where(
                EntityMentionRow.entity_id == first,
                other.entity_id == second,
                self._is_readable(EntityMentionRow.document_id),
            )
            .distinct()
            .order_by(EntityMentionRow.document_id)
            .limit(limit)
        )
        with self.database.read() as connection:
            documents = list(connection.execute(statement).scalars())
            is_readable = readable(self.principal, self.generation, self.origins)
            sources = sources_of(connection, documents, is_readable)
        return [sources[document][0] for document in documents]

    def _entities(
        self, conditions: Sequence[ColumnElement[bool]], limit: int | None
    ) -> list[Entity]:
        wanted = and_(
            EntityRow.collection_id == self.collection.collection_id,
            *conditions,
        )
        places = self._places(wanted).subquery()
        documents = func.count(places.c.document_id.distinct()).label("documents")
        mentions = func.count(places.c.document_id).label("mentions")
        answers = func.count(places.c.prompt_id.distinct()).label("answers")
        statement = (
            select(EntityRow.entity_id, EntityRow.kind, EntityRow.key, documents, mentions, answers)
            .join(places, places.c.entity_id == EntityRow.entity_id)
            .group_by(EntityRow.entity_id, EntityRow.kind, EntityRow.key)
            .order_by(documents.desc(), mentions.desc(), answers.desc(), EntityRow.key)
            .order_by(EntityRow.kind)
            .limit(limit)
        )
        with self.database.read() as connection:
            rows = connection.execute(statement).all()
            names = self._names(connection, {row.entity_id: row.key for row in rows})
        return [
            Entity(
                entity_id=row.entity_id,
                kind=cast(EntityKind, row.kind),
                key=row.key,
                names=names[row.entity_id],
                mentions=row.mentions,
                documents=row.documents,
                answers=row.answers,
            )
            for row in rows
        ]

    def _places(self, wanted: ColumnElement[bool]) -> Any:
        """entity_id, document_id and prompt_id of every readable mention of what is wanted."""
        in_documents = (
            select(
                EntityMentionRow.entity_id,
                EntityMentionRow.document_id,
                null().label("prompt_id"),
                EntityMentionRow.surface,
            )
            .join(EntityRow, EntityRow.entity_id == EntityMentionRow.entity_id)
            .where(wanted, self._is_readable(EntityMentionRow.document_id))
        )
        in_answers = (
            select(
                EntityAnswerMentionRow.entity_id,
                null().label("document_id"),
                EntityAnswerMentionRow.prompt_id,
                EntityAnswerMentionRow.surface,
            )
            .join(EntityRow, EntityRow.entity_id == EntityAnswerMentionRow.entity_id)
            .where(wanted, self._is_own(EntityAnswerMentionRow.prompt_id))
        )
        return union_all(in_documents, in_answers)

    def _names(self, connection: Connection, keys: Mapping[int, str]) -> dict[int, tuple[str, ...]]:
        """The forms that each entity stands in, as many words as its key first, then by count."""
        counted: dict[int, list[tuple[bool, int, str]]] = {}
        for batch in batches(keys):
            places = self._places(EntityRow.entity_id.in_(batch)).subquery()
            statement = select(
                places.c.entity_id, places.c.surface, func.count().label("times")
            ).group_by(places.c.entity_id, places.c.surface)
            for row in connection.execute(statement):
                form = " ".join(row.surface.split())
                is_other = form.count(" ") != keys[row.entity_id].count(" ")
                counted.setdefault(row.entity_id, []).append((is_other, -row.times, form))
        return {
            entity: tuple(dict.fromkeys(form for _, _, form in sorted(forms)))
            for entity, forms in counted.items()
        }

    def _together(self, first: ColumnElement[bool] | None) -> Any:
        """Pairs of entities with the sentences that they share: from `first`, or each pair once."""
        other = aliased(EntityMentionRow)
        of_collection = select(EntityRow.entity_id).where(
            EntityRow.collection_id == self.collection.collection_id
        )
        chosen = (
            and_(
                EntityMentionRow.entity_id < other.entity_id,
                EntityMentionRow.entity_id.in_(of_collection),
            )
            if first is None
            else and_(first, EntityMentionRow.entity_id != other.entity_id)
        )
        return (
            select(
                EntityMentionRow.entity_id.label("first"),
                other.entity_id.label("second"),
                EntityMentionRow.document_id,
                EntityMentionRow.sentence,
            )
            .join(
                other,
                and_(
                    other.document_id == EntityMentionRow.document_id,
                    other.sentence == EntityMentionRow.sentence,
                ),
            )
            .where(chosen, self._is_readable(EntityMentionRow.document_id))
            .distinct()
        )

    def _is_readable(self, document: Any) -> ColumnElement[bool]:
        return exists().where(
            SourceRow.document_id == document,
            SourceRow.collection_id == self.collection.collection_id,
            readable(self.principal, self.generation, self.origins),
        )

    def _is_own(self, prompt: Any) -> ColumnElement[bool]:
        return exists().where(
            PromptRow.prompt_id == prompt,
            PromptRow.user_id == UserRow.user_id,
            readable_prompts(self.principal),
        )


def _edges(connection: Connection, together: Select[*tuple[Any, ...]]) -> Iterator[Edge]:
    pairs = together.subquery()
    statement = (
        select(pairs.c.first, pairs.c.second, func.count())
        .group_by(pairs.c.first, pairs.c.second)
        .order_by(pairs.c.first, pairs.c.second)
    )
    for row in connection.execute(statement.execution_options(yield_per=5_000)):
        yield Edge(row[0], row[1], row[2])


def _at_least_one(column: ColumnElement[int]) -> ColumnElement[int]:

    return case((column < 1, literal(1)), else_=column)


def _shown_before(begin: ColumnElement[int]) -> ColumnElement[int]:
    """How many characters stand in front, at most as many as there are."""

    return case((begin < 0, begin + _EXCERPT_CHARACTERS), else_=literal(_EXCERPT_CHARACTERS))
