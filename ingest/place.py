"""Finds each text its place: which stored texts a batch adds to, replaces, renews and ends.

A text is stored once in a collection however many sources have it, under one of their titles: the
title is part of what is embedded and indexed, so it is one that everybody may know who may read
the text. A text is made anew, and supersedes its stored version, when that title is none of its
sources' any more, when it is found again after chunker, embedder or settings have changed, and
when the original that it is nearly the same as goes.
"""

from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, replace
from itertools import chain

from ingest.audience import Audience, Readership, includes
from ingest.make import Ahead, Draft, Maker, sha256
from ingest.records import ReadText
from ingest.report import DocumentCounts
from storage.corpus import CorpusWriter
from storage.places import place_sha256
from storage.records import (
    NO_OUTLINE,
    Confirmed,
    DocumentId,
    KnownDocument,
    NewDocument,
    NewSource,
    Origin,
    Placement,
    SourceId,
    Titling,
)


@dataclass(frozen=True, slots=True)
class Found:
    """A text as it was found now, and where."""

    content: ReadText
    source: NewSource

    @property
    def titling(self) -> Titling:
        """The title that its source gives it."""
        return Titling(self.source.title, self.source.origin, self.source.read_labels)

    def draft(self, content_sha256: str, title: str, stored: KnownDocument | None = None) -> Draft:
        """The text, to be made as it was found now."""
        return Draft(
            content_sha256=content_sha256,
            text=self.content.text,
            title=title,
            outline=self.content.outline,
            language=self.content.language,
            stored=stored,
        )


@dataclass(frozen=True, slots=True)
class Prepared:
    """Texts that were found, with what could be made of them before their turn came."""

    found: Sequence[Found]
    contents: Sequence[str]
    """The hash of each text."""
    ahead: Ahead


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What is to be committed, and how its sources are counted."""

    placements: tuple[Placement, ...] = ()
    renewed: tuple[NewDocument, ...] = ()
    """Texts to be stored anew, although nothing was found that has them."""
    confirmed: tuple[Confirmed, ...] = ()
    new: int = 0
    changed: int = 0
    duplicate: int = 0
    near_duplicate: int = 0
    embedded: int = 0

    @property
    def suspicious(self) -> int:
        """Texts to be stored that speak to a model in a span of theirs, each counted once."""
        placed = (placement.document for placement in self.placements)
        made = [found for found in (*placed, *self.renewed) if isinstance(found, NewDocument)]
        return len({found.content_sha256 for found in made if found.suspicions})


@dataclass(frozen=True, slots=True)
class _Touched:
    """What a batch does to stored texts."""

    drafts: dict[str, Draft]
    """Those that need a new version, by content."""
    leaving: frozenset[DocumentId]
    """Those that lose their last source."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Placer:
    """Plans one batch at a time against what is stored."""

    writer: CorpusWriter
    maker: Maker

    def cut_ahead(self, found: Sequence[Found], coming: Iterable[Sequence[str]]) -> Prepared:
        """Cut what seems to be new, without waiting for the batches that are under way: the
        contents of these are `coming`."""
        contents = [sha256(item.content.text) for item in found]
        present = {*self.writer.documents_with(contents), *chain.from_iterable(coming)}
        gained = _by_content(found, contents)
        drafts = _first_drafts(gained, present)
        readers = Readership(writer=self.writer, gained=_titlings(gained))
        return Prepared(found, contents, self.maker.cut_ahead(drafts, readers))

    def embed_ahead(self, prepared: Prepared) -> Prepared:
        """`prepared` with the vectors of what was cut."""
        return replace(prepared, ahead=self.maker.embed_ahead(prepared.ahead))

    def place(self, prepared: Prepared) -> Plan:
        """Where the texts of one batch go."""
        found, contents = prepared.found, prepared.contents
        known = self.writer.known_sources((f.source.uri, f.source.external_id) for f in found)
        before = [known.get(place_sha256(f.source.uri, f.source.external_id)) for f in found]
        stored = self.writer.documents_with(contents)
        gained = _by_content(found, contents)
        readers = Readership(
            writer=self.writer,
            closed=[source.source_id for source in known.values()],
            gained=_titlings(gained),
        )
        shrunk = [*{source.document_id for source in known.values()}]
        touched = self._touched(shrunk, stored=stored, gained=gained, readers=readers)
        drafts = {**touched.drafts, **_first_drafts(gained, {*stored, *touched.drafts})}
        made = self.maker.make(
            drafts, leaving=touched.leaving, readers=readers, ahead=prepared.ahead
        )
        placements = tuple(
            Placement(
                source=item.source,
                document=made.documents.get(content) or stored[content].document_id,
                replaces=None if source is None else source.source_id,
            )
            for item, content, source in zip(found, contents, before, strict=True)
        )
        first = _first_seen(placements, contents, stored)
        return Plan(
            placements=placements,
            renewed=tuple(d for content, d in made.documents.items() if content not in gained),
            confirmed=made.confirmed,
            new=first.count("new"),
            changed=len(known),
            duplicate=first.count("duplicate"),
            near_duplicate=first.count("near_duplicate"),
            embedded=made.embedded,
        )

    def count(self, found: Sequence[Found], present: set[str], counts: DocumentCounts) -> None:
        """Add to `counts` how `found` would come out, near duplicates aside; `present` are the
        contents that came before, and come to be those of `found` too."""
        contents = [sha256(item.content.text) for item in found]
        present |= self.writer.documents_with(contents).keys()
        known = self.writer.known_sources((f.source.uri, f.source.external_id) for f in found)
        for item, content in zip(found, contents, strict=True):
            if place_sha256(item.source.uri, item.source.external_id) in known:
                counts.changed += 1
            elif content in present:
                counts.duplicate += 1
            else:
                counts.new += 1
            present.add(content)

    def after_removal(self, removals: Sequence[SourceId]) -> Plan:
        """What has to be made anew because `removals` take a title or an original with them."""
        shrunk = self.writer.documents_of(removals)
        readers = Readership(writer=self.writer, closed=removals)
        touched = self._touched(shrunk, stored={}, gained={}, readers=readers)
        made = self.maker.make(
            touched.drafts, leaving=touched.leaving, readers=readers, ahead=Ahead()
        )
        return Plan(
            renewed=tuple(made.documents.values()),
            confirmed=made.confirmed,
            embedded=made.embedded,
        )

    def _touched(
        self,
        shrunk: Sequence[DocumentId],
        *,
        stored: Mapping[str, KnownDocument],
        gained: Mapping[str, Sequence[Found]],
        readers: Readership,
    ) -> _Touched:
        """What becomes of `shrunk` texts, which lose sources, and of `stored` ones, which gain
        some."""
        texts = {**self.writer.documents(shrunk), **{d.document_id: d for d in stored.values()}}
        kept = self.writer.titlings_of([*texts], without=readers.closed)
        drafts: dict[str, Draft] = {}
        gone: dict[str, DocumentId] = {}
        for key, document in sorted(texts.items()):
            content = document.content_sha256
            items = gained.get(content, ())
            titles = open_titles([*kept[key], *(item.titling for item in items)])
            if not titles:
                gone[content] = key
                continue
            title = _choose(document.title, titles)
            if items and self._is_outdated(document, _most_structured(items)):
                drafts[content] = _most_structured(items).draft(content, title, document)
            elif title != document.title:
                drafts[content] = Draft.renewing(document, title)
        orphans = self.writer.documents_near([*gone])
        for document in [*orphans, *self._misplaced([*texts.values()], readers)]:
            content = document.content_sha256
            if content not in gone and content not in drafts:
                drafts[content] = Draft.renewing(document, document.title)
        return _Touched(drafts, frozenset(gone.values()))

    def _misplaced(
        self, texts: Sequence[KnownDocument], readers: Readership
    ) -> list[KnownDocument]:
        """Those of `texts`, and of texts like them, that are held back where a reader may not read
        the original any more, or could be held back now that all may."""
        near = self.writer.documents_near([document.content_sha256 for document in texts])
        like = {d.content_sha256: d for d in [*near, *texts] if d.likeness is not None}
        originals = self.writer.documents_with([_original_of(d) for d in like.values()])
        audiences = readers.of(
            {d.content_sha256: d.document_id for d in [*like.values(), *originals.values()]}
        )
        return [d for d in like.values() if self._is_misplaced(d, audiences)]

    def _is_misplaced(self, document: KnownDocument, audiences: Mapping[str, Audience]) -> bool:
        original = audiences.get(_original_of(document), {})
        is_replaceable = includes(original, audiences[document.content_sha256])
        if document.likeness is not None and document.likeness.is_held_back:
            return not is_replaceable
        return is_replaceable and self.maker.dedup.near_duplicates == "skip"

    def _is_outdated(self, stored: KnownDocument, found: Found) -> bool:
        """Whether the text would be made in another way now, or shows more of its structure."""
        is_structured = found.content.outline != NO_OUTLINE and stored.outline == NO_OUTLINE
        return is_structured or stored.fingerprint != self.maker.fingerprint


def _original_of(document: KnownDocument) -> str:
    assert document.likeness is not None
    return document.likeness.content_sha256


def _by_content(found: Sequence[Found], contents: Sequence[str]) -> dict[str, list[Found]]:
    gained: dict[str, list[Found]] = {}
    for item, content in zip(found, contents, strict=True):
        gained.setdefault(content, []).append(item)
    return gained


def _titlings(gained: Mapping[str, Sequence[Found]]) -> dict[str, list[Titling]]:
    return {content: [item.titling for item in items] for content, items in gained.items()}


def _first_drafts(gained: Mapping[str, Sequence[Found]], present: Set[str]) -> dict[str, Draft]:
    """The texts that are not `present` yet."""
    drafts: dict[str, Draft] = {}
    for content, items in gained.items():
        if content not in present:
            titles = open_titles([item.titling for item in items])
            title = _choose(items[0].source.title, titles)
            drafts[content] = _most_structured(items).draft(content, title)
    return drafts


def _most_structured(items: Sequence[Found]) -> Found:
    """One text may come as plain text and as a page with headings."""
    return next((item for item in items if item.content.outline != NO_OUTLINE), items[0])


def open_titles(titlings: Sequence[Titling]) -> frozenset[str]:
    """The titles that whoever may read the text may know; empty if no source has the text.

    Those of real sources without labels; if there are none, all, as long as all sources are for
    the same readers; else no title at all, for a word of it could be searched for.
    """
    public = {t.title for t in titlings if t.origin is Origin.REAL and not t.read_labels}
    if public:
        return frozenset(public)
    audiences = {(t.origin, t.read_labels) for t in titlings}
    return frozenset({t.title for t in titlings} if len(audiences) <= 1 else {""})


def _choose(wanted: str, titles: Set[str]) -> str:
    return wanted if wanted in titles else min(titles)


def _first_seen(
    placements: Sequence[Placement], contents: Sequence[str], stored: Mapping[str, KnownDocument]
) -> list[str]:
    """How each source that was not known before is counted."""
    present = set(stored)
    counted: list[str] = []
    for placement, content in zip(placements, contents, strict=True):
        document = placement.document
        if placement.replaces is None:
            is_like = isinstance(document, NewDocument) and document.likeness is not None
            new = "near_duplicate" if is_like else "new"
            counted.append("duplicate" if content in present else new)
        present.add(content)
    return counted
