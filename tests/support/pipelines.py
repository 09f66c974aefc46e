"""Pipelines with real storage and real indexes, and a tiny embedder in the model's place."""

from pathlib import Path
from typing import Any

from support.embedding import WordEmbedder

from ingest.sandbox.readers import InProcessReader
from rag_pipeline.composition import Composition
from rag_pipeline.pipeline import RagPipeline
from storage.records import LOCAL_OWNER, Principal


def word_pipeline(
    home: Path,
    *,
    database: str | None = None,
    embedder: WordEmbedder | None = None,
    principal: Principal = LOCAL_OWNER,
    **settings: Any,
) -> RagPipeline:
    """A pipeline that answers with `EchoModel` and embeds words."""
    given = {"generator": "echo", **settings}
    rag = RagPipeline.open(home, database=database, principal=principal, **given)
    parts_of(rag).embedder = embedder or WordEmbedder()
    # The same parsers, without the time that their process takes to start.
    parts_of(rag).parser = InProcessReader(rag.settings.parsing)
    return rag


def parts_of(rag: RagPipeline) -> Composition:
    return rag._parts
