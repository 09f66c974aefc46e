"""The first half of ingestion: resources to batches of what is new or has changed.

What has the stamp under which it was last read through is not opened; what has the same bytes is
not parsed. Nothing is written here, so that a batch can be read while the one before is stored.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from ingest.errors import IngestError, SkippedError
from ingest.feed import Feed, Item, ReadThrough, Resource, Unmodified
from ingest.parse.media import MediaReader, described, is_media
from ingest.place import Found
from ingest.records import Part, RawDocument, ReadText, Refusal
from ingest.report import IngestReport
from ingest.sandbox.readers import DocumentReader
from ingest.settings import BatchSettings
from storage.bulk import batches
from storage.corpus import CorpusWriter
from storage.places import place_sha256
from storage.records import KnownSource, Metadata, NewSource, Origin, ReadResource

_RESOURCES_A_LOOKUP = 256
_CONTAINERS = ("email", "outlook", "archive")
_MEDIA = ("image", "audio")
_STEP_IN = "!/"


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceDefaults:
    """What the caller says of all documents of a run."""

    origin: Origin = Origin.REAL
    generator_id: str | None = None
    read_labels: frozenset[str] = frozenset()
    metadata: Metadata = field(default_factory=dict)
    """What a document says of itself goes before it."""

    def as_json(self) -> list[Any]:
        """All of it, in one order."""
        said = asdict(self) | {"read_labels": sorted(self.read_labels)}
        return [said[name] for name in sorted(said)]


@dataclass(frozen=True, slots=True)
class Batch:
    """What is committed together."""

    found: Sequence[Found]
    read: Sequence[ReadResource]
    """Resources that were read through, and of which no later batch holds anything."""

    @property
    def is_empty(self) -> bool:
        return not (self.found or self.read)

    @property
    def characters(self) -> int:
        return sum(len(one.content.text) for one in self.found)

    @property
    def places(self) -> set[tuple[str, str]]:
        return {(one.source.uri, one.source.external_id) for one in self.found}

    def is_full(self, limits: BatchSettings) -> bool:
        return (
            max(len(self.found), len(self.read)) >= limits.max_documents
            or self.characters >= limits.max_bytes
        )

    def has_room_for(self, other: "Batch", limits: BatchSettings) -> bool:
        """Whether both can be committed together; of two texts at one place the later stands."""
        return self.is_empty or (
            len(self.found) + len(other.found) <= limits.max_documents
            and len(self.read) + len(other.read) <= limits.max_documents
            and self.characters + other.characters <= limits.max_bytes
            and self.places.isdisjoint(other.places)
        )

    def with_all_of(self, other: "Batch") -> "Batch":
        return Batch([*self.found, *other.found], [*self.read, *other.read])


@dataclass(slots=True)
class Seen:
    """What was found where, for telling afterwards what was not."""

    keeps_places: bool
    """Whether anybody will ask; a million places take memory."""
    places: set[bytes] = field(default_factory=set)
    unchanged: set[str] = field(default_factory=set)
    """Uris of which all documents still are as they are stored."""
    unread: set[str] = field(default_factory=set)
    """Uris, and folders, that could not be read in whole: nothing there counts as gone."""

    def add(self, uri: str, external_id: str) -> None:
        """A document is at this place."""
        if self.keeps_places:
            self.places.add(bytes.fromhex(place_sha256(uri, external_id)))

    def is_gone(self, source: KnownSource) -> bool:
        """Whether a stored source, where it was looked for, was not found."""
        return not (
            source.uri in self.unchanged
            or _is_under(source.uri, self.unread)
            or bytes.fromhex(place_sha256(source.uri, source.external_id)) in self.places
        )


@dataclass(slots=True)
class _Opened:
    """A resource that is being read."""

    uri: str
    known: ReadResource | None
    """What is remembered of it, if it was made as it would be made now."""
    is_whole: bool = True
    documents: int = 0
    content_sha256: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """Reads one feed."""

    writer: CorpusWriter
    documents: DocumentReader
    lines: DocumentReader
    """Reads what is one line of JSONL."""
    media: MediaReader | None
    batching: BatchSettings
    defaults: SourceDefaults
    fingerprint: str
    """Of everything but a document's bytes that decides what is stored of it."""
    report: IngestReport
    seen: Seen

    def batches(self, feed: Feed) -> Iterator[Batch]:
        """What is new or changed, in the order of the feed.

        What changed here and there in much that did not is committed together: a transaction for
        each group that was read would cost several times what a changed document does.
        """
        waiting = Batch((), ())
        for group in self._grouped(self._items(feed)):
            batch = self._compared(group)
            if not waiting.has_room_for(batch, self.batching):
                yield waiting
                waiting = Batch((), ())
            waiting = waiting.with_all_of(batch)
            if waiting.is_full(self.batching):
                yield waiting
                waiting = Batch((), ())
        if not waiting.is_empty:
            yield waiting

    def _items(self, feed: Feed) -> Iterator[tuple[_Opened, RawDocument | ReadThrough]]:
        for listed in batches(feed.resources(), _RESOURCES_A_LOOKUP):
            uris = [item.uri for item in listed if isinstance(item, Resource)]
            known = self.writer.read_resources(uris)
            for item in listed:
                if isinstance(item, Resource):
                    yield from self._opened(item, known.get(item.uri))
                else:
                    self._refuse(item, item.source)

    def _opened(
        self, resource: Resource, remembered: ReadResource | None
    ) -> Iterator[tuple[_Opened, RawDocument | ReadThrough]]:
        is_current = remembered is not None and remembered.fingerprint == self.fingerprint
        known = remembered if is_current else None
        opened = _Opened(resource.uri, known)
        if known is not None and resource.stamp is not None and known.stamp == resource.stamp:
            self._leave(opened)
            return
        for item in resource.read(None if known is None else known.stamp):
            if isinstance(item, RawDocument | ReadThrough):
                yield opened, item
            else:
                self._note(opened, item)

    def _note(self, opened: _Opened, item: Item) -> None:
        if isinstance(item, Unmodified):
            self._leave(opened)
        elif isinstance(item, Refusal):
            opened.is_whole = False
            self._refuse(item, opened.uri)

    def _leave(self, opened: _Opened) -> None:
        """All documents of the resource are as they were."""
        self.seen.unchanged.add(opened.uri)
        documents = 0 if opened.known is None else opened.known.documents
        opened.documents += documents
        self.report.documents.unchanged += documents

    def _refuse(self, refusal: Refusal, uri: str) -> None:
        self.report.refuse(refusal)
        if refusal.outcome == "refused":
            self.seen.unread.add(uri)

    def _grouped(
        self, items: Iterator[tuple[_Opened, RawDocument | ReadThrough]]
    ) -> Iterator[list[tuple[_Opened, RawDocument | ReadThrough]]]:
        group: list[tuple[_Opened, RawDocument | ReadThrough]] = []
        documents = size = 0
        for opened, item in items:
            group.append((opened, item))
            if isinstance(item, RawDocument):
                documents += 1
                size += len(item.data)
            if documents >= self.batching.max_documents or size >= self.batching.max_bytes:
                yield group
                group, documents, size = [], 0, 0
        if group:
            yield group

    def _compared(self, group: Sequence[tuple[_Opened, RawDocument | ReadThrough]]) -> Batch:
        raws = [item for _, item in group if isinstance(item, RawDocument)]
        known = self.writer.known_sources((raw.uri, raw.external_id) for raw in raws)
        found: dict[tuple[str, str], Found] = {}
        read: dict[str, ReadResource] = {}
        for opened, item in group:
            if isinstance(item, RawDocument):
                for one in self._changed(opened, item, known):
                    self._take(opened, one, found)
            elif opened.is_whole:
                resource = self._read_resource(opened, item)
                if resource != opened.known:
                    read[opened.uri] = resource
        return Batch([*found.values()], [*read.values()])

    def _take(self, opened: _Opened, one: Found, found: dict[tuple[str, str], Found]) -> None:
        """A place has one document; of two in one batch it is the first."""
        place = one.source.uri, one.source.external_id
        if found.setdefault(place, one) is not one:
            reason = f"{place[1]!r} was found there just before: name each source once"
            self._note(opened, Refusal(source=place[0], reason=reason, outcome="skipped"))

    def _read_resource(self, opened: _Opened, end: ReadThrough) -> ReadResource:
        return ReadResource(
            uri=opened.uri,
            stamp=end.stamp,
            content_sha256=opened.content_sha256,
            fingerprint=self.fingerprint,
            documents=opened.documents,
        )

    def _changed(
        self, opened: _Opened, raw: RawDocument, known: Mapping[str, KnownSource]
    ) -> Iterator[Found]:
        """The documents of `raw` that are not stored as they are."""
        record_sha256 = hashlib.sha256(raw.data).hexdigest()
        self.report.bytes_read += len(raw.data)
        if raw.format in _CONTAINERS:
            yield from self._members(opened, raw, record_sha256)
            return
        self.seen.add(raw.uri, raw.external_id)
        if self._is_stored(known.get(place_sha256(raw.uri, raw.external_id)), record_sha256):
            opened.documents += 1
            self.report.documents.unchanged += 1
            return
        for part in self._parts(raw):
            yield from self._part(opened, raw, part, record_sha256)

    def _members(self, opened: _Opened, raw: RawDocument, record_sha256: str) -> Iterator[Found]:
        """The documents of a file with others inside it; it is known by what was read of it."""
        named = f"{record_sha256} {raw.external_id}"
        opened.content_sha256 = hashlib.sha256(named.encode()).hexdigest()
        if opened.known is not None and opened.known.content_sha256 == opened.content_sha256:
            self._leave(opened)
            return
        parts = self._parts(raw)
        known = self.writer.known_sources((raw.uri, _id_of(raw, part)) for part in parts)
        for part in parts:
            external_id = _id_of(raw, part)
            self.seen.add(raw.uri, external_id)
            if self._is_stored(known.get(place_sha256(raw.uri, external_id)), record_sha256):
                opened.documents += 1
                self.report.documents.unchanged += 1
            else:
                yield from self._part(opened, raw, part, record_sha256)

    def _is_stored(self, known: KnownSource | None, record_sha256: str) -> bool:
        return known is not None and (
            (known.record_sha256, known.fingerprint) == (record_sha256, self.fingerprint)
        )

    def _parts(self, raw: RawDocument) -> list[Part]:
        parts = (self.lines if raw.format == "jsonl" else self.documents).parts(raw)
        if self.media is None or raw.format not in _MEDIA or not is_media(parts[0]):
            return parts
        try:
            return [described(parts[0], raw.data, self.media)]
        except IngestError as error:
            refusal = Refusal(
                source=raw.label,
                reason=str(error),
                outcome="skipped" if isinstance(error, SkippedError) else "refused",
            )
            return [Part(path="", media_type=raw.media_type, content=refusal)]

    def _part(
        self, opened: _Opened, raw: RawDocument, part: Part, record_sha256: str
    ) -> Iterator[Found]:
        if isinstance(part.content, Refusal):
            self._note(opened, part.content)
            return
        opened.documents += 1
        yield Found(part.content, self._source(raw, part, part.content, record_sha256))

    def _source(
        self, raw: RawDocument, part: Part, content: ReadText, record_sha256: str
    ) -> NewSource:
        return NewSource(
            uri=raw.uri,
            external_id=_id_of(raw, part),
            title=content.title,
            metadata={**self.defaults.metadata, **content.metadata},
            media_type=part.media_type,
            record_sha256=record_sha256,
            fingerprint=self.fingerprint,
            origin=self.defaults.origin,
            generator_id=self.defaults.generator_id,
            read_labels=self.defaults.read_labels,
        )


def fingerprint_of(maker: str, defaults: SourceDefaults, *, ocr: bool, media: bool) -> str:
    """Hash of how documents are read and made, and of what the caller says of them."""
    said = [maker, defaults.as_json(), ocr, media]
    return hashlib.sha256(json.dumps(said).encode()).hexdigest()


def _id_of(raw: RawDocument, part: Part) -> str:
    return f"{raw.external_id}{_STEP_IN}{part.path}" if part.path else raw.external_id


def _is_under(uri: str, roots: set[str]) -> bool:
    """Whether `uri` or a folder above it is one of `roots`."""
    if not roots:
        return False
    ends = (at for at, character in enumerate(uri) if character == "/")
    return uri in roots or any(uri[:at] in roots for at in ends)
