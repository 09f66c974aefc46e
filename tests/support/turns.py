"""A conversation of one question, as models take it."""

from rag_pipeline.generation.language_model import Turn


def asking(system: str, user: str) -> list[Turn]:
    return [Turn("system", system), Turn("user", user)]
