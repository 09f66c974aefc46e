"""What can go wrong on the way in, as a tree.

IngestError
├── RefusedError            a document that can't be read; the run goes on
├── SkippedError            a document with nothing to ingest; the run goes on
├── PathError               a path that was named does not exist or can't be opened
├── DeclarationError        `sync.toml` can't be used as it stands              (feeds/errors.py)
├── FeedError               a source as a whole can't be reached or listed      (feeds/errors.py)
└── EmbeddingError          the embedder failed or does not fit
    └── UnfitModelError     a runtime can't run a model, or not faithfully  (embedders/errors.py)
"""


class IngestError(Exception):
    """The root of everything that `ingest` raises on purpose."""


class RefusedError(IngestError):
    """A document can't be read: broken, encrypted, too large, not what its name says."""


class SkippedError(IngestError):
    """A document holds nothing to ingest: empty, or of a format that is not known."""


class PathError(IngestError):
    """A path that the caller named does not exist or can't be opened."""


class EmbeddingError(IngestError):
    """The embedder failed, or its weights are missing or of another kind."""
