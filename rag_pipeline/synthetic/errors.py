"""What can go wrong with synthetic data; the tree stands in `rag_pipeline.errors`."""

from rag_pipeline.errors import RagError


class SyntheticError(RagError):
    """A table can't be learnt from, or can't be sampled as it was asked for."""


class TableError(SyntheticError):
    """What was given is no table of records."""


class PictureError(SyntheticError):
    """What was given are no pictures that can be learnt from together."""


class ModelFileError(SyntheticError):
    """A file of a generator is damaged, foreign, or of another form."""
