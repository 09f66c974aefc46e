"""Finds each text its place: exact dedup, then cutting and embedding of what is new.

A text is stored once in a collection however many sources have it, under one of their titles: the
title is part of what is embedded and indexed, so it is one that everybody may know who may read
the text. When that title is none of its sources' any more, or the chunker or embedder has changed,
the text is cut and embedded again and supersedes its old version; chunks that come out the same
keep their vectors.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence, Set
from dataclasses import astuple, dataclass

from ingest.chunk import CHUNKER_VERSION, Span, chunk_spans
from ingest.embed import Embedder
from ingest.settings import ChunkSettings
from storage.corpus import CorpusWriter
from storage.records import (
    DocumentId,
    KnownDocument,
    KnownSource,
    NewChunk,
    NewDocument,
    NewSource,
    Origin,
    Placement,
    SourceId,
    Titling,
    Vectors,
)

_TITLE_SHARE = 4
"""A title may take a quarter of what the embedder reads."""


@dataclass(frozen=True, slots=True)
class Found:
    """A text as it was found now, and the source as it was stored before, if it was."""

    text: str
    source: NewSource
    stored: KnownSource | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What is to be committed, and how its sources are counted."""

    placements: tuple[Placement, ...] = ()
    renewed: tuple[NewDocument, ...] = ()
    """Texts to be cut and embedded again, although nothing was found that has them."""
    new: int = 0
    changed: int = 0
    duplicate: int = 0
    embedded: int = 0


@dataclass(frozen=True, slots=True)
class _Draft:
    """A text that has to be cut and embedded."""

    content_sha256: str
    text: str
    title: str
    supersedes: DocumentId | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Placer:
    """Plans one batch at a time against what is stored."""

    writer: CorpusWriter
    embedder: Embedder
    chunking: ChunkSettings

    @property
    def fingerprint(self) -> str:
        """Hash of everything that decides how a text is cut and embedded."""
        said = [CHUNKER_VERSION, self.chunking.model_dump(), astuple(self.embedder.space)]
        return hashlib.sha256(json.dumps(said).encode()).hexdigest()

    def place(self, found: Sequence[Found]) -> Plan:
        """Where the texts of one batch go."""
        contents = [_sha256(item.text) for item in found]
        stored = self.writer.documents_with(contents)
        replaced = [item.stored for item in found if item.stored is not None]
        gained: dict[str, list[Titling]] = {}
        for item, content in zip(found, contents, strict=True):
            gained.setdefault(content, []).append(_titling(item.source))
        shrunk = self.writer.documents(sorted({source.document_id for source in replaced}))
        drafts = self._drafts(
            {**{d.content_sha256: d for d in shrunk.values()}, **stored},
            gained,
            leaving=[source.source_id for source in replaced],
        )
        for item, content in zip(found, contents, strict=True):
            if content not in stored and content not in drafts:
                title = _choose(item.source.title, open_titles(gained[content]))
                drafts[content] = _Draft(content, item.text, title, None)
        documents, embedded = self._embedded(list(drafts.values()))
        placements = tuple(
            Placement(
                source=item.source,
                document=documents.get(content) or stored[content].document_id,
                replaces=None if item.stored is None else item.stored.source_id,
            )
            for item, content in zip(found, contents, strict=True)
        )
        duplicates = _count_duplicates(found, contents, stored)
        return Plan(
            placements=placements,
            renewed=tuple(documents[c] for c in documents if c not in gained),
            new=len(found) - len(replaced) - duplicates,
            changed=len(replaced),
            duplicate=duplicates,
            embedded=embedded,
        )

    def after_removal(self, removals: Sequence[SourceId]) -> Plan:
        """What has to be embedded again because `removals` take a text's title with them."""
        shrunk = self.writer.documents(self.writer.documents_of(removals))
        stored = {document.content_sha256: document for document in shrunk.values()}
        documents, embedded = self._embedded(list(self._drafts(stored, {}, removals).values()))
        return Plan(renewed=tuple(documents.values()), embedded=embedded)

    def _drafts(
        self,
        stored: Mapping[str, KnownDocument],
        gained: Mapping[str, Sequence[Titling]],
        leaving: Sequence[SourceId],
    ) -> dict[str, _Draft]:
        """The stored texts that need a new version, by content.

        `gained` are the titles that this batch gives them, `leaving` the sources that it closes.
        """
        kept = self.writer.titlings_of([d.document_id for d in stored.values()], without=leaving)
        drafts: dict[str, _Draft] = {}
        for content, document in stored.items():
            titles = open_titles([*kept[document.document_id], *gained.get(content, ())])
            is_titled = document.title in titles
            is_outdated = content in gained and document.fingerprint != self.fingerprint
            if not titles or (is_titled and not is_outdated):
                continue
            title = _choose(document.title, titles)
            drafts[content] = _Draft(content, document.text, title, document.document_id)
        return drafts

    def _embedded(self, drafts: Sequence[_Draft]) -> tuple[dict[str, NewDocument], int]:
        """The drafts as documents, by content, and how many texts the model was given."""
        cut = [self._cut(draft) for draft in drafts]
        inputs = [text for _, texts in cut for text in texts]
        vectors, embedded = self._vectors(inputs)
        documents: dict[str, NewDocument] = {}
        for draft, (spans, texts) in zip(drafts, cut, strict=True):
            chunks = tuple(
                NewChunk(
                    start=start,
                    end=end,
                    text=draft.text[start:end],
                    embedded_sha256=_sha256(text),
                    vector=vectors[_sha256(text)],
                )
                for (start, end), text in zip(spans, texts, strict=True)
            )
            documents[draft.content_sha256] = NewDocument(
                content_sha256=draft.content_sha256,
                fingerprint=self.fingerprint,
                text=draft.text,
                title=draft.title,
                chunks=chunks,
                supersedes=draft.supersedes,
            )
        return documents, embedded

    def _cut(self, draft: _Draft) -> tuple[list[Span], list[str]]:
        """The spans of a text, and what the embedder is given for each: title, then span."""
        limit = self.embedder.max_tokens
        context = self._context(draft.title, limit // _TITLE_SHARE)
        room = limit - sum(self.embedder.count([context])) if context else limit
        spans = chunk_spans(
            draft.text,
            tokenizer=self.embedder,
            max_tokens=min(room, self.chunking.max_tokens or room),
            overlap_tokens=self.chunking.overlap_tokens,
        )
        texts = [draft.text[start:end] for start, end in spans]
        return spans, [f"{context}\n{text}" if context else text for text in texts]

    def _context(self, title: str, max_tokens: int) -> str:
        offsets = self.embedder.offsets(title)
        return title if len(offsets) <= max_tokens else title[: offsets[max_tokens][0]].rstrip()

    def _vectors(self, texts: Sequence[str]) -> tuple[Mapping[str, Vectors], int]:
        """A vector for each text, by its hash; the same text is never embedded twice."""
        text_of = {_sha256(text): text for text in texts}
        known = dict(self.writer.cached_vectors(list(text_of)))
        missing = [key for key in text_of if key not in known]
        embedded = self.embedder.embed([text_of[key] for key in missing])
        known.update(zip(missing, embedded, strict=True))
        return known, len(missing)


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


def _titling(source: NewSource) -> Titling:
    return Titling(source.title, source.origin, source.read_labels)


def _count_duplicates(
    found: Sequence[Found], contents: Sequence[str], stored: Mapping[str, KnownDocument]
) -> int:
    """Sources seen for the first time, of a text that is stored or came earlier in the batch."""
    present = set(stored)
    duplicates = 0
    for item, content in zip(found, contents, strict=True):
        duplicates += item.stored is None and content in present
        present.add(content)
    return duplicates


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
