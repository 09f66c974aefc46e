"""What can go wrong with the ranking; see `rag_pipeline/errors.py` for the root of the tree."""

from rag_pipeline.errors import ModelError, RagError


class TuningError(RagError):
    """There are too few judged queries to fit settings on."""


class RerankerError(ModelError):
    """A reranker's model can't be read or can't rank."""
