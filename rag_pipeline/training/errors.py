"""What can go wrong while a model is trained; the tree stands in `rag_pipeline.errors`."""

from rag_pipeline.errors import ModelError


class TrainingError(ModelError):
    """A model can't be trained with these settings, or its training broke off."""
