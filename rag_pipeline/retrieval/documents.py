"""Which text a chunk is part of, remembered: it never changes, and every search asks."""

from dataclasses import dataclass, field

import numpy as np

from storage.reading import CorpusReader
from storage.records import ChunkId, DocumentId, Ids

_MOST_REMEMBERED = 500_000


@dataclass(frozen=True, slots=True)
class ChunkDocuments:
    """Looks up documents by their chunks; safe to be called by many threads."""

    reader: CorpusReader
    _known: dict[ChunkId, DocumentId] = field(default_factory=dict)

    def of(self, ids: Ids) -> Ids:
        """The document of each of `ids`; for a chunk that the database has removed for good, a
        number below 0 that no other has."""
        keys: list[ChunkId] = ids.tolist()
        found = [*map(self._known.get, keys)]
        if None in found:
            missing = [key for key, document in zip(keys, found, strict=True) if document is None]
            read = self.reader.documents_of(missing)
            if len(self._known) + len(read) > _MOST_REMEMBERED:
                self._known.clear()
            self._known.update(read)
            known = zip(keys, found, strict=True)
            found = [
                read.get(ChunkId(key), DocumentId(-key)) if document is None else document
                for key, document in known
            ]
        return np.array(found, np.int64)
