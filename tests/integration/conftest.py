"""What most tests of ingestion start from: a folder, an embedder of words, a pipeline."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from support.embedding import WordEmbedder
from support.pipelines import word_pipeline

from rag_pipeline.pipeline import RagPipeline


@pytest.fixture
def docs(tmp_path: Path) -> Path:
    folder = tmp_path / "docs"
    folder.mkdir()
    return folder


@pytest.fixture
def embedder() -> WordEmbedder:
    return WordEmbedder()


@pytest.fixture
def rag(tmp_path: Path, database_url: str, embedder: WordEmbedder) -> Iterator[RagPipeline]:
    with word_pipeline(tmp_path / "kb", database=database_url, embedder=embedder) as opened:
        yield opened
