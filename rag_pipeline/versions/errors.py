"""What can go wrong between versions and other registries; the tree is in `rag_pipeline.errors`."""

from rag_pipeline.errors import RagError


class RegistryError(RagError):
    """MLflow or DVC is not installed, can't be reached, or refuses what it was asked for."""
