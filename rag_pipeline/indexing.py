"""Brings the indexes along while a long run of ingestion goes on.

They would catch up at the next search in any case. But then that search waits for all of it, on one
core, while during the run the committing thread mostly waits for the embedder.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from storage.following import Follower
from storage.records import Committed

CHUNKS_BEHIND = 2_500
"""A short run leaves the few chunks that it changed to the next search, and opens no index."""


@dataclass(slots=True)
class Indexing:
    """Follows the commits of one run."""

    followers: Callable[[], Iterable[Follower[Any]]]
    behind: int = 0
    """Chunks that have come and gone since the indexes were brought along."""

    def committed(self, committed: Committed) -> None:
        """Count what a COMMIT changed, and catch up where that is enough. Raises `StorageError`."""
        self.behind += committed.chunks_added + committed.chunks_removed
        if self.behind >= CHUNKS_BEHIND:
            self.behind = 0
            for follower in self.followers():
                follower.catch_up()
