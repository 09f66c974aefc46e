"""What examples can be refused for; the tree stands in `rag_pipeline.errors`."""

from rag_pipeline.errors import RagError


class ExamplesError(RagError):
    """There is nothing to train on, too little, or what there is can't be used."""
