"""What can go wrong with an evaluation; see `rag_pipeline/errors.py` for the root of the tree."""

from rag_pipeline.errors import RagError


class EvaluationError(RagError):
    """Judgments, a run, a baseline or a criterion can't be used as they stand."""
