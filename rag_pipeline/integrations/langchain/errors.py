"""What can go wrong between LangChain and a pipeline; all else is raised as the pipeline does."""

from rag_pipeline.errors import RagError


class ArgumentError(RagError, ValueError):
    """What LangChain handed over can't be used; nothing was changed."""
