"""Makes documents of texts: compared with others, cut, embedded, or only confirmed as they are."""

import hashlib
import json
from collections import deque
from collections.abc import Mapping, Sequence, Set
from concurrent.futures import Future
from dataclasses import astuple, dataclass, field
from functools import cached_property
from operator import attrgetter
from threading import Lock

from ingest.audience import Readership
from ingest.boilerplate import Span
from ingest.chunk import CHUNKER_VERSION, Cut, cut
from ingest.embed import Embedder
from ingest.likeness import LIKENESS_VERSION, Compared, Comparison, Text
from ingest.parse.registry import PARSER_VERSION
from ingest.repetition import EdgedText, Repeated, repeated
from ingest.settings import ChunkSettings, DedupSettings
from ingest.suspicion import SUSPICION_VERSION, suspicions_in
from storage.corpus import CorpusWriter, EmbeddedSpan
from storage.records import (
    Confirmed,
    DocumentId,
    KnownDocument,
    NewChunk,
    NewDocument,
    Outline,
    TextKeys,
    Vectors,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """A text that is to be made, for the first time or anew."""

    content_sha256: str
    text: str
    title: str
    outline: Outline
    language: str | None
    stored: KnownDocument | None = None

    @classmethod
    def renewing(cls, stored: KnownDocument, title: str) -> "Draft":
        """A stored text, under `title` from now on."""
        return cls(
            content_sha256=stored.content_sha256,
            text=stored.text,
            title=title,
            outline=stored.outline,
            language=stored.language,
            stored=stored,
        )

    @property
    def is_stored_original(self) -> bool:
        """Whether it is stored as one that is like no other."""
        return self.stored is not None and self.stored.likeness is None

    @property
    def document_id(self) -> DocumentId | None:
        return None if self.stored is None else self.stored.document_id


@dataclass(frozen=True, slots=True)
class _Wording:
    """All that decides how a text is cut."""

    content_sha256: str
    title: str
    outline: Outline
    omitted: tuple[Span, ...]


@dataclass(frozen=True, slots=True)
class Ahead:
    """What was made of texts before their turn: it saves the same work when it comes."""

    cuts: Mapping[_Wording, Sequence[Cut]] = field(default_factory=dict)
    vectors: Mapping[str, Vectors] = field(default_factory=dict)
    """By the hash of what was embedded."""
    embedded: int = 0
    """Texts that went through the model."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """What came of drafts."""

    documents: Mapping[str, NewDocument]
    """By content."""
    confirmed: tuple[Confirmed, ...]
    embedded: int


@dataclass(frozen=True, slots=True, eq=False)
class _Asked:
    """Texts that one thread gives to the model, by their hashes, and what it gets."""

    keys: frozenset[str]
    vectors: "Future[Mapping[str, Vectors]]" = field(default_factory=Future)


def _few() -> deque[_Asked]:
    return deque(maxlen=8)


@dataclass(frozen=True, kw_only=True)
class Maker:
    """Makes the documents of one collection."""

    writer: CorpusWriter
    embedder: Embedder
    chunking: ChunkSettings
    dedup: DedupSettings
    _turn: Lock = field(default_factory=Lock, init=False)
    _recent: deque[_Asked] = field(default_factory=_few, init=False)
    """What was embedded last, or is: it is not committed yet."""

    @cached_property
    def fingerprint(self) -> str:
        """Hash of everything that decides how a text is read, compared, cut and embedded."""
        said = [
            PARSER_VERSION,
            CHUNKER_VERSION,
            LIKENESS_VERSION,
            SUSPICION_VERSION,
            self.chunking.model_dump(),
            self.dedup.model_dump(),
            astuple(self.embedder.space),
        ]
        return hashlib.sha256(json.dumps(said).encode()).hexdigest()

    def cut_ahead(self, drafts: Mapping[str, Draft], readers: Readership) -> Ahead:
        """Cut `drafts` as if nothing else were on its way into the collection."""
        drafts = self._to_be_found(drafts, readers)
        edged = {content: _edged(draft, is_original=True) for content, draft in drafts.items()}
        common = self._repeated(edged, frozenset()).common
        wordings = {
            content: self._wording(drafts[content], edged[content], common) for content in drafts
        }
        return Ahead({w: self._cut(drafts[c], w.omitted) for c, w in wordings.items()})

    def embed_ahead(self, ahead: Ahead) -> Ahead:
        """`ahead` with a vector for each of its cuts."""
        return self._embedded(ahead.cuts, ahead)

    def _to_be_found(self, drafts: Mapping[str, Draft], readers: Readership) -> Mapping[str, Draft]:
        """`drafts` without those that are held back, as far as can be told."""
        if self.dedup.near_duplicates != "skip":
            return drafts
        compared = self._compare(drafts, Comparison(self.writer, self.dedup, frozenset(), readers))
        return {c: draft for c, draft in drafts.items() if not _is_held_back(compared[c])}

    def make(
        self,
        drafts: Mapping[str, Draft],
        *,
        leaving: Set[DocumentId],
        readers: Readership,
        ahead: Ahead,
    ) -> Made:
        """The documents of `drafts`, and of stored texts that these make necessary to renew.

        `leaving` are the stored texts that go at the same time, `readers` those of all others.
        """
        comparison = Comparison(self.writer, self.dedup, leaving, readers)
        drafts, compared = self._compared(drafts, comparison)
        edged = _all_edged(drafts, compared)
        found = self._repeated(edged, leaving)
        if found.newly_in:
            stored = self.writer.documents(found.newly_in).values()
            renewed = {d.content_sha256: Draft.renewing(d, d.title) for d in stored}
            renewed, compared_anew = self._compared(renewed, comparison, settled=drafts.keys())
            drafts, compared = {**drafts, **renewed}, {**compared, **compared_anew}
            edged = _all_edged(drafts, compared)
            found = self._repeated(edged, leaving)
        wordings = {
            content: self._wording(draft, edged[content], found.common)
            for content, draft in drafts.items()
            if not _is_held_back(compared[content])
        }
        cuts = {
            w: ahead.cuts.get(w) or self._cut(drafts[c], w.omitted) for c, w in wordings.items()
        }
        ready = self._embedded(cuts, ahead)
        documents = {
            content: self._document(
                draft, compared[content], edged[content], ready, wordings.get(content)
            )
            for content, draft in drafts.items()
        }
        same = self._unchanged(drafts, documents)
        return Made(
            documents={c: document for c, document in documents.items() if c not in same},
            confirmed=tuple(_confirmed(drafts[c], documents[c]) for c in same),
            embedded=ready.embedded,
        )

    def _compared(
        self,
        drafts: Mapping[str, Draft],
        comparison: Comparison,
        *,
        settled: Set[str] = frozenset(),
    ) -> tuple[dict[str, Draft], dict[str, Compared]]:
        """What each draft is like; what was like one that is no original any more joins them,
        unless it is `settled` already."""
        compared = self._compare(drafts, comparison)
        demoted = [
            content
            for content, draft in drafts.items()
            if draft.is_stored_original and compared[content].likeness is not None
        ]
        orphans = {
            document.content_sha256: Draft.renewing(document, document.title)
            for document in self.writer.documents_near(demoted)
            if document.content_sha256 not in {*drafts, *settled}
        }
        compared |= self._compare(orphans, comparison)
        return {**drafts, **orphans}, compared

    def _compare(self, drafts: Mapping[str, Draft], comparison: Comparison) -> dict[str, Compared]:
        texts = [
            Text(
                content_sha256=content,
                text=draft.text,
                document_id=draft.document_id,
                stays_original=self._stays_original(draft.stored),
            )
            for content, draft in sorted(drafts.items(), key=_seniority)
        ]
        return comparison.compare(texts)

    def _stays_original(self, stored: KnownDocument | None) -> bool:
        """An original remains one under the same settings: others may be like it."""
        return (
            stored is not None
            and stored.likeness is None
            and stored.fingerprint == self.fingerprint
        )

    def _repeated(self, edged: Mapping[str, EdgedText], leaving: Set[DocumentId]) -> Repeated:
        after = self.dedup.boilerplate_after
        return repeated(edged, after=after, writer=self.writer, leaving=leaving)

    def _wording(self, draft: Draft, edged: EdgedText, common: Set[int]) -> _Wording:
        omitted = edged.omitted(common) if self.dedup.boilerplate_after else ()
        return _Wording(draft.content_sha256, draft.title, draft.outline, omitted)

    def _cut(self, draft: Draft, omitted: Sequence[Span]) -> Sequence[Cut]:
        return cut(
            draft.text,
            title=draft.title,
            outline=draft.outline,
            omitted=omitted,
            tokenizer=self.embedder,
            max_tokens=self.embedder.max_tokens,
            settings=self.chunking,
        )

    def _embedded(self, cuts: Mapping[_Wording, Sequence[Cut]], ahead: Ahead) -> Ahead:
        """`cuts` with a vector for each, and how many the model was given, those ahead included.

        The same text is never embedded twice.
        """
        text_of = {sha256(one.embedded): one.embedded for some in cuts.values() for one in some}
        vectors = {key: ahead.vectors[key] for key in text_of if key in ahead.vectors}
        vectors |= self.writer.cached_vectors([key for key in text_of if key not in vectors])
        missing = [key for key in text_of if key not in vectors]
        embedded = 0
        if missing:
            made, embedded = self._given_to_model({key: text_of[key] for key in missing})
            vectors |= made
        return Ahead(cuts, vectors, ahead.embedded + embedded)

    def _given_to_model(self, text_of: Mapping[str, str]) -> tuple[Mapping[str, Vectors], int]:
        """A vector for each text, and how many the model was given: another thread of the pipeline
        may have had the same text a moment ago, or have it now."""
        with self._turn:
            holders = {key: asked for asked in self._recent for key in asked.keys}
            others = {key: holders[key] for key in text_of if key in holders}
            own = _Asked(frozenset(text_of.keys() - others.keys()))
            if own.keys:
                self._recent.append(own)
        made = self._vectors_of([key for key in text_of if key in own.keys], text_of, own)
        found = {key: other.vectors.result()[key] for key, other in others.items()}
        return {**found, **made}, len(made)

    def _vectors_of(
        self, keys: Sequence[str], text_of: Mapping[str, str], asked: _Asked
    ) -> Mapping[str, Vectors]:
        """What the model makes of the texts; whoever waits for them gets it, or its error."""
        try:
            embedded = self.embedder.embed([text_of[key] for key in keys]) if keys else ()
            made = dict(zip(keys, embedded, strict=True))
        except BaseException as error:
            with self._turn:
                if asked in self._recent:
                    self._recent.remove(asked)
            asked.vectors.set_exception(error)
            raise
        asked.vectors.set_result(made)
        return made

    def _document(
        self,
        draft: Draft,
        compared: Compared,
        edged: EdgedText,
        ready: Ahead,
        wording: _Wording | None,
    ) -> NewDocument:
        cuts = () if wording is None else ready.cuts[wording]
        has_edges = edged.is_original and self.dedup.boilerplate_after
        return NewDocument(
            content_sha256=draft.content_sha256,
            fingerprint=self.fingerprint,
            text=draft.text,
            title=draft.title,
            chunks=tuple(_chunk(draft.text, one, ready.vectors) for one in cuts),
            outline=draft.outline,
            language=draft.language,
            suspicions=suspicions_in(draft.text),
            likeness=compared.likeness,
            keys=TextKeys(near=compared.near_keys, edge=edged.keys if has_edges else ()),
            supersedes=draft.document_id,
        )

    def _unchanged(
        self, drafts: Mapping[str, Draft], documents: Mapping[str, NewDocument]
    ) -> list[str]:
        """The stored texts that came out as they are, but for what they were made with."""
        alike = {
            content: draft.stored.document_id
            for content, draft in drafts.items()
            if draft.stored is not None and _is_as_stored(draft.stored, documents[content])
        }
        spans = self.writer.chunks_of([*alike.values()])
        return [c for c, key in alike.items() if spans[key] == _spans(documents[c])]


def sha256(text: str) -> str:
    """The name of a text: equal texts have one."""
    return hashlib.sha256(text.encode()).hexdigest()


def _seniority(named: tuple[str, Draft]) -> int:
    """Orders stored originals before stored copies before what is new."""
    draft = named[1]
    return 0 if draft.is_stored_original else 2 if draft.stored is None else 1


def _edged(draft: Draft, *, is_original: bool) -> EdgedText:
    return EdgedText(
        text=draft.text,
        outline=draft.outline,
        document_id=draft.document_id,
        is_original=is_original,
    )


def _all_edged(
    drafts: Mapping[str, Draft], compared: Mapping[str, Compared]
) -> dict[str, EdgedText]:
    return {c: _edged(d, is_original=compared[c].likeness is None) for c, d in drafts.items()}


def _is_held_back(compared: Compared) -> bool:
    return compared.likeness is not None and compared.likeness.is_held_back


def _chunk(text: str, made: Cut, vectors: Mapping[str, Vectors]) -> NewChunk:
    key = sha256(made.embedded)
    return NewChunk(
        start=made.start,
        end=made.end,
        text=text[made.start : made.end],
        embedded_sha256=key,
        vector=vectors[key],
    )


def _spans(document: NewDocument) -> list[EmbeddedSpan]:
    return sorted((chunk.start, chunk.end, chunk.embedded_sha256) for chunk in document.chunks)


def _confirmed(draft: Draft, document: NewDocument) -> Confirmed:
    assert draft.stored is not None
    return Confirmed(
        document_id=draft.stored.document_id,
        fingerprint=document.fingerprint,
        keys=document.keys,
    )


def _is_as_stored(stored: KnownDocument, document: NewDocument) -> bool:
    """Whether an index would be told the same of both, as long as they are cut alike."""
    told = attrgetter("title", "likeness", "outline", "language", "suspicions")
    return bool(told(stored) == told(document))
