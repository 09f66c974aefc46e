"""What can go wrong with recorded exchanges; the tree stands in `rag_pipeline.errors`."""

from rag_pipeline.errors import RagError


class HistoryError(RagError):
    """An exchange can't be asked again, or a file holds none that can be read."""
