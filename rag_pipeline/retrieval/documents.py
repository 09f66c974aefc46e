"""Which text a chunk is part of, remembered: it never changes, and every search asks."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from storage.reading import CorpusReader
from storage.records import ChunkId, DocumentId

_MOST_REMEMBERED = 500_000


@dataclass(frozen=True, slots=True)
class ChunkDocuments:
    """Looks up documents by their chunks; safe to be called by many threads."""

    reader: CorpusReader
    _known: dict[ChunkId, DocumentId] = field(default_factory=dict)

    def of(self, chunk_ids: Sequence[ChunkId]) -> Mapping[ChunkId, DocumentId]:
        """The documents of `chunk_ids`; without those that the database has removed for good."""
        known = self._known
        found = {chunk_id: known[chunk_id] for chunk_id in chunk_ids if chunk_id in known}
        missing = [chunk_id for chunk_id in chunk_ids if chunk_id not in found]
        if missing:
            read = self.reader.documents_of(missing)
            if len(known) + len(read) > _MOST_REMEMBERED:
                known.clear()
            known.update(read)
            found.update(read)
        return found
