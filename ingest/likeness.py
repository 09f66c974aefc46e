"""Decides which texts are nearly the same as one that is there already.

Only originals, texts that are like no other, have keys and are compared with: so the number of
candidates does not grow with the number of copies, and no text is a copy of a copy.
"""

from collections.abc import Iterable, Sequence, Set
from dataclasses import dataclass, field, replace

from ingest.audience import Readership, includes
from ingest.near_duplicates import (
    MAX_DOCUMENTS_A_KEY,
    NearIndex,
    Shingled,
    best_candidates,
    shingled,
    similarity,
)
from ingest.settings import DedupSettings
from storage.corpus import CorpusWriter
from storage.records import DocumentId, Likeness

LIKENESS_VERSION = "1"
"""Part of the fingerprint: raise it when the keys of a text change."""

MAX_CHARACTERS = 1_000_000
"""A longer text is not compared: that would cost more than it could save."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Compared:
    """What a text is like, and the keys under which others will find it."""

    likeness: Likeness | None = None
    near_keys: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Text:
    """A text to compare, by the hash of its content."""

    content_sha256: str
    text: str
    document_id: DocumentId | None
    """Under which it is stored, if it is."""
    stays_original: bool


@dataclass(slots=True)
class Comparison:
    """Compares the texts of one batch with what is stored and with one another, in order."""

    writer: CorpusWriter
    settings: DedupSettings
    leaving: Set[DocumentId]
    """Stored texts that go with this batch: nothing is kept like them."""
    readers: Readership
    _shingled: dict[str, Shingled] = field(default_factory=dict)
    _content_of: dict[DocumentId, str] = field(default_factory=dict)
    """Of the stored texts that are ready to be compared with."""
    _in_batch: NearIndex[str] = field(default_factory=NearIndex)
    _stored_under: dict[str, DocumentId | None] = field(default_factory=dict)
    _unsettled: set[DocumentId] = field(default_factory=set)
    """Stored texts that may come out as copies, or did: nothing is like them, either."""
    _originals: set[str] = field(default_factory=set)
    """Contents that some text was found to be like."""

    def compare(self, texts: Sequence[Text]) -> dict[str, Compared]:
        """What each of `texts` is like, by content; the earlier of two is the original.

        Called again, it compares with the texts of the calls before, too.
        """
        if self.settings.near_duplicates == "keep":
            return {text.content_sha256: Compared() for text in texts}
        self._stored_under |= {text.content_sha256: text.document_id for text in texts}
        self._unsettled |= {
            text.document_id
            for text in texts
            if text.document_id is not None and not self._stays_original(text)
        }
        keys = {text.content_sha256: self._keys(text) for text in texts}
        every = sorted({key for some in keys.values() for key in some})
        holders = self.writer.holders_of("near", every, limit=MAX_DOCUMENTS_A_KEY)
        stored = {
            content: [holders[key] for key in some if key in holders]
            for content, some in keys.items()
        }
        # All at once; what is settled on the way may add a few.
        self._fetch([key for some in stored.values() for key in self._candidates(some)])
        return {
            text.content_sha256: self._compared(
                text, keys[text.content_sha256], stored[text.content_sha256]
            )
            for text in texts
        }

    def _keys(self, text: Text) -> Sequence[int]:
        if len(text.text) > MAX_CHARACTERS:
            return ()
        self._shingled[text.content_sha256] = shingled(text.text)
        return self._shingled[text.content_sha256].keys

    def _compared(
        self, text: Text, keys: Sequence[int], stored: Sequence[Sequence[DocumentId]]
    ) -> Compared:
        likeness = None if self._stays_original(text) else self._likeness(text, keys, stored)
        if likeness is not None:
            self._originals.add(likeness.content_sha256)
            return Compared(likeness=likeness)
        self._unsettled -= {text.document_id}
        self._in_batch.add(text.content_sha256, keys)
        return Compared(near_keys=tuple(keys))

    def _stays_original(self, text: Text) -> bool:
        return text.stays_original or text.content_sha256 in self._originals

    def _likeness(
        self, text: Text, keys: Sequence[int], stored: Iterable[Sequence[DocumentId]]
    ) -> Likeness | None:
        """The original that `text` is most like; of equals the stored one, then the first."""
        near = self._candidates(stored)
        self._fetch(near)
        candidates = [
            *(self._content_of[key] for key in near),
            *self._in_batch.candidates(keys),
        ]
        own = self._shingled.get(text.content_sha256)
        best: Likeness | None = None
        for content in candidates:
            share = 0.0 if own is None else similarity(own, self._shingled[content])
            if share >= self.settings.min_similarity and (best is None or share > best.similarity):
                best = Likeness(content_sha256=content, similarity=share, is_held_back=False)
            if share == 1:
                break
        if best is None or not self._is_dispensable(text.content_sha256, best.content_sha256):
            return best
        return replace(best, is_held_back=True)

    def _is_dispensable(self, content: str, original: str) -> bool:
        """Whether the text may be kept out of search: one that is longer than its original has
        something of its own to say, and who may not read the original would find neither."""
        if self.settings.near_duplicates != "skip":
            return False
        if self._shingled[content].length > self._shingled[original].length:
            return False
        audiences = self.readers.of({c: self._stored_under[c] for c in (content, original)})
        return includes(audiences[original], audiences[content])

    def _candidates(self, stored: Iterable[Sequence[DocumentId]]) -> list[DocumentId]:
        """The stored texts to compare with one whose keys the texts in `stored` have."""
        out = self.leaving | self._unsettled
        staying = [[key for key in some if key not in out] for some in stored]
        return best_candidates([some for some in staying if some])

    def _fetch(self, documents: Iterable[DocumentId]) -> None:
        """Make stored texts ready to be compared with."""
        missing = [key for key in dict.fromkeys(documents) if key not in self._content_of]
        for key, document in self.writer.documents(missing).items():
            self._content_of[key] = document.content_sha256
            self._stored_under[document.content_sha256] = key
            if document.content_sha256 not in self._shingled:
                self._shingled[document.content_sha256] = shingled(document.text)
