"""What can go wrong with a runtime; the tree stands in `ingest.errors`."""

from ingest.errors import EmbeddingError


class UnfitModelError(EmbeddingError):
    """A runtime can't run a model, or not faithfully enough; another runtime may."""
