"""What is known, page by page, as one principal may know it: for people to look through."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from rag_pipeline.composition import Composition
from storage.errors import NotFoundError
from storage.filters import Filter
from storage.listing import ALL_ORIGINS, CollectionCounts, ListedDocument, Wanted, WholeDocument
from storage.prompts.listing import Chain, ListedPrompt, PromptsWanted
from storage.records import (
    ChunkId,
    Collection,
    DocumentId,
    Origin,
    Principal,
    PromptRecord,
    StoredChunk,
)
from storage.runs import RunRecord, Runs


@dataclass(frozen=True, slots=True)
class Browsing:
    """Lists and single things. Foreign and missing look the same: `NotFoundError`."""

    parts: Composition
    principal: Principal

    def generation(self) -> int:
        """The one that is served."""
        return self.parts.reader.served().generation

    def known(self) -> list[Collection]:
        """All collections, by name."""
        return self.parts.reader.collections(principal=self.principal)

    def collections(self) -> list[tuple[Collection, CollectionCounts]]:
        """All collections, by name, and how much of each may be read."""
        return [(one, self.counts(one)) for one in self.known()]

    def collection(self, name: str) -> Collection:
        """The collection of that name."""
        return self.parts.reader.collection(name, principal=self.principal)

    def counts(self, collection: Collection) -> CollectionCounts:
        """How much of it may be read."""
        return self.parts.documents.counts(collection, principal=self.principal)

    def documents(
        self,
        collection: str,
        *,
        limit: int,
        generation: int,
        before: int | None = None,
        origins: frozenset[Origin] = ALL_ORIGINS,
        where: Filter | None = None,
        source: str = "",
        words: str = "",
    ) -> list[ListedDocument]:
        """The newest documents as of `generation` whose key is less than `before`.

        Raises `FilterError`, `AsOfError`.
        """
        wanted = Wanted(
            collection_id=self.collection(collection).collection_id,
            principal=self.principal,
            origins=origins,
            where=where,
            source=source,
            words=words,
        )
        return self.parts.documents.page(
            wanted, generation=self._served(generation), limit=limit, before=before
        )

    def document(self, document_id: int, *, generation: int | None = None) -> WholeDocument:
        """One document as it is served, or as it was at `generation`. Raises `AsOfError`."""
        at = self.generation() if generation is None else self._served(generation)
        return self.parts.documents.document(
            DocumentId(document_id), principal=self.principal, generation=at
        )

    def prompts(
        self, wanted: PromptsWanted, *, limit: int, before: int | None = None
    ) -> list[ListedPrompt]:
        """The newest exchanges whose number is less than `before`, newest first."""
        return self.parts.prompts.page(wanted, limit=limit, before=before)

    def chain(self, prompt_id: str) -> Chain:
        """The exchanges that one belongs to."""
        return self.parts.prompts.chain(prompt_id, principal=self.principal)

    def evidence(self, prompt: PromptRecord) -> Mapping[ChunkId, StoredChunk]:
        """What is still there of the chunks that the model was shown, and may be read today."""
        return self.parts.reader.chunks(
            [shown.chunk_id for shown in prompt.evidence],
            principal=self.principal,
            generation=prompt.generation,
            origins=ALL_ORIGINS,
        )

    def runs(
        self,
        *,
        limit: int,
        source: str | None = None,
        collection: str | None = None,
        before: tuple[datetime, str] | None = None,
    ) -> Sequence[RunRecord]:
        """The newest runs, newest first. They name every source, so only owners see any."""
        if not self.principal.is_owner:
            return []
        found = Runs(self.parts.database)
        return found.latest(limit=limit, source=source, collection=collection, before=before)

    def run(self, run_id: str) -> RunRecord:
        """One run; a unique beginning of its id is enough."""
        if not self.principal.is_owner:
            raise NotFoundError(f"there is no run {run_id!r}")
        return Runs(self.parts.database).show(run_id)

    def _served(self, generation: int) -> int:
        if generation == 0 == self.generation():
            return 0
        return self.parts.reader.position_as_of(generation).generation
