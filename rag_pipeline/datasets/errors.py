"""What can go wrong with a data set; the tree stands in `rag_pipeline.errors`."""

from rag_pipeline.errors import RagError


class DatasetError(RagError):
    """A data set can't be made as it was asked for, or can't be written where it was to go."""
