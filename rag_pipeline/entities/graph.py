"""The graph of entities, as far as one principal may know it: what is mentioned, where, and with
what. Two entities are neighbours where one sentence of a document mentions both.

It is derived, and caught up with by whoever reads it, unless another writer is at work or the disk
is read-only: then it is read as it stands, and says where that is.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Literal, TextIO

from rag_pipeline.defaults import DEFAULT_COLLECTION
from rag_pipeline.entities.following import UpdateReport, catch_up, is_behind
from rag_pipeline.entities.graphml import write_graphml, write_json_lines
from rag_pipeline.entities.mention import folded, singular
from rag_pipeline.entities.people import without_honorifics
from rag_pipeline.entities.recognise import EntityRecogniser
from rag_pipeline.errors import QueryError
from storage.engine import Database
from storage.entities import (
    AnswerMention,
    Edge,
    Entity,
    EntityKind,
    EntityReader,
    EntityWriter,
    Mention,
)
from storage.errors import LeaseBusyError, NotFoundError
from storage.lease import NO_FENCE, writer_lease
from storage.reading import REAL_ONLY, CorpusReader
from storage.records import Origin, Principal, SourceRef

ExportFormat = Literal["graphml", "jsonl"]
_MOST_HOPS = 4
_SHOWN_DOCUMENTS = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """Entities, those in the most documents first."""

    generation: int
    stands_at: int
    """The generation up to which all texts were looked through."""
    entities: tuple[Entity, ...]


@dataclass(frozen=True, slots=True)
class Neighbour:
    """An entity, and in how many sentences it stands together with another."""

    entity: Entity
    weight: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """What is known of one entity."""

    generation: int
    stands_at: int
    entity: Entity
    others: tuple[Entity, ...]
    """Which the name may mean too."""
    mentions: tuple[Mention, ...]
    answers: tuple[AnswerMention, ...]
    neighbours: tuple[Neighbour, ...]
    """The heaviest first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Relation:
    """How two entities hang together."""

    generation: int
    stands_at: int
    path: tuple[Neighbour, ...]
    """A shortest path from one to the other, both included, each with the weight of the edge that
    leads to it (0 for the first); empty where there is none."""
    documents: tuple[SourceRef, ...]
    """Some of those that mention both."""


@dataclass(frozen=True, slots=True)
class EntityGraph:
    """Reads the graph as `principal`, and brings it up to date."""

    database: Database
    reader: CorpusReader
    principal: Principal
    recogniser: Callable[[], EntityRecogniser]

    def list(
        self,
        *,
        kind: EntityKind | None = None,
        match: str | None = None,
        limit: int = 20,
        collection: str = DEFAULT_COLLECTION,
        origins: frozenset[Origin] = REAL_ONLY,
    ) -> Listing:
        """The entities in the most documents; `match` is a part of the name, in any case.

        Raises `QueryError` for a limit below 1, `NotFoundError` for a collection that is not there.
        """
        _check_limit(limit)
        view = self._view(collection, origins)
        containing = None if match is None else _without_nul(folded(match))
        found = view.find(kind=kind, containing=containing, limit=limit)
        return Listing(
            generation=view.generation, stands_at=_stands_at(view), entities=tuple(found)
        )

    def show(
        self,
        name: str,
        *,
        kind: EntityKind | None = None,
        limit: int = 10,
        collection: str = DEFAULT_COLLECTION,
        origins: frozenset[Origin] = REAL_ONLY,
    ) -> Shown:
        """One entity by any form of its name, with `limit` mentions, answers and neighbours at
        most. Raises `NotFoundError`, `QueryError`."""
        _check_limit(limit)
        view = self._view(collection, origins)
        entity, *others = _named(view, name, kind)
        edges = view.edges_of([entity.entity_id])[:limit]
        ends = view.entities([edge.second for edge in edges])
        return Shown(
            generation=view.generation,
            stands_at=_stands_at(view),
            entity=entity,
            others=tuple(others),
            mentions=tuple(view.mentions(entity.entity_id, limit=limit)),
            answers=tuple(view.answers(entity.entity_id, limit=limit)),
            neighbours=tuple(Neighbour(ends[edge.second], edge.weight) for edge in edges),
        )

    def related(
        self,
        first: str,
        second: str,
        *,
        collection: str = DEFAULT_COLLECTION,
        origins: frozenset[Origin] = REAL_ONLY,
    ) -> Relation:
        """A shortest path between two entities, at most 4 edges long, and documents with both.

        Raises `NotFoundError`.
        """
        view = self._view(collection, origins)
        begin, end = _named(view, first)[0].entity_id, _named(view, second)[0].entity_id
        path = shortest_path(view.edges_of, begin, end)
        known = view.entities([at for at, _ in path])
        return Relation(
            generation=view.generation,
            stands_at=_stands_at(view),
            path=tuple(Neighbour(known[at], weight) for at, weight in path),
            documents=tuple(view.documents_with_both(begin, end, limit=_SHOWN_DOCUMENTS)),
        )

    def export(
        self,
        out: TextIO,
        format: ExportFormat,  # noqa: A002 - what the command line calls it too
        *,
        collection: str = DEFAULT_COLLECTION,
        origins: frozenset[Origin] = REAL_ONLY,
    ) -> int:
        """Write all entities and edges to `out`; how many entities there are."""
        view = self._view(collection, origins)
        entities = sorted(view.find(), key=lambda entity: entity.entity_id)
        known = {entity.entity_id for entity in entities}
        write = write_graphml if format == "graphml" else write_json_lines
        write(out, entities, _between(view.all_edges(), known))
        return len(entities)

    def update(self, collection: str | None = None, *, wait: bool = True) -> Sequence[UpdateReport]:
        """Look through what is new in one collection, or in all, under the writer's lease.

        Raises `LeaseBusyError` if another writer has it and this is not to `wait`.
        """
        chosen = self.reader.collections(principal=self.principal)
        if collection is not None:
            chosen = [self.reader.collection(collection, principal=self.principal)]
        recogniser = self.recogniser()
        reports = []
        with writer_lease(self.database, wait=wait) as fence:
            for each in chosen:
                writer = EntityWriter(database=self.database, collection=each, fence=fence)
                report = catch_up(writer, recogniser)
                report.dropped = writer.drop_unmentioned()
                reports.append(report)
        return reports

    def _view(self, name: str, origins: frozenset[Origin]) -> EntityReader:
        collection = self.reader.collection(name, principal=self.principal)
        watching = EntityWriter(database=self.database, collection=collection, fence=NO_FENCE)
        if self.database.is_writable and is_behind(watching, self.recogniser()):
            with suppress(LeaseBusyError):
                self.update(name, wait=False)
        return EntityReader(
            database=self.database,
            collection=collection,
            principal=self.principal,
            generation=self.reader.served().generation,
            origins=origins,
        )


def shortest_path(
    edges_of: Callable[[Sequence[int]], Iterable[Edge]], begin: int, end: int
) -> Sequence[tuple[int, int]]:
    """The nodes of a shortest path with the weight of the edge that leads to each; empty if none
    is `_MOST_HOPS` edges long or shorter. Of several the one along the heavier edges, from the
    end backwards; ties go to the lower id."""
    came: dict[int, tuple[int, int]] = {begin: (0, 0)}
    border = [begin]
    for _ in range(_MOST_HOPS):
        if end in came or not border:
            break
        reached: dict[int, tuple[int, int]] = {}
        for edge in edges_of(border):
            best = reached.get(edge.second)
            if edge.second not in came and (best is None or _is_better(edge, best)):
                reached[edge.second] = (edge.first, edge.weight)
        came |= reached
        border = sorted(reached)
    return list(reversed([*_walk_back(came, begin, end)])) if end in came else []


def _is_better(edge: Edge, best: tuple[int, int]) -> bool:
    return (-edge.weight, edge.first) < (-best[1], best[0])


def _walk_back(came: dict[int, tuple[int, int]], begin: int, at: int) -> Iterator[tuple[int, int]]:
    while at != begin:
        before, weight = came[at]
        yield at, weight
        at = before
    yield begin, 0


def _between(edges: Iterable[Edge], known: set[int]) -> Iterator[Edge]:
    """The edges whose ends are both there: a commit may have come between the two reads."""
    return (edge for edge in edges if edge.first in known and edge.second in known)


def _named(view: EntityReader, name: str, kind: EntityKind | None = None) -> Sequence[Entity]:
    plain = _without_nul(" ".join(name.split()))
    words = plain.split(" ")
    plain = " ".join(words[without_honorifics(words) :])
    forms = {plain, plain.lower(), plain.upper(), plain.title(), plain.capitalize()}
    *others, last = folded(plain).split(" ")
    keys = {folded(plain), " ".join((*others, singular(last)))}
    found = [e for e in view.named(sorted(keys), sorted(forms)) if kind in (None, e.kind)]
    if not plain or not found:
        raise NotFoundError(
            f"there is no entity {name!r} in the collection {view.collection.name!r};"
            " `rag entities list --match` shows what there is"
        )
    return found


def _without_nul(text: str) -> str:
    """PostgreSQL takes no NUL, and no name has one."""
    return text.replace("\0", "�")


def _stands_at(view: EntityReader) -> int:
    standing = view.standing()
    return 0 if standing is None else standing.generation


def _check_limit(limit: int) -> None:
    if limit < 1:
        raise QueryError(f"a limit of {limit} is out of range; ask for 1 or more")
