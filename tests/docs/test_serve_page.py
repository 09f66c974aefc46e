"""The program on the page about the service does what the page says."""

import re
from pathlib import Path

import pytest
from support.embedding import WordEmbedder
from support.listening import listening
from support.pipelines import word_pipeline

from rag_pipeline.service.app import create_app

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs/howto/serve.md"
ADDRESS = "http://127.0.0.1:8000"


def test_the_program_prints_an_answer_with_its_source(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (program,) = re.findall(r"^```python\n(.*?)^```$", PAGE.read_text("utf-8"), re.M | re.S)
    assert ADDRESS in program
    with word_pipeline(tmp_path / "kb", embedder=WordEmbedder(dimension=256)) as rag:
        rag.ingest(ROOT / "examples/documents")
        with listening(create_app(rag)) as url:
            names: dict[str, object] = {}
            exec(program.replace(ADDRESS, url), names)
            names["client"].close()  # type: ignore[attr-defined]
    printed = capsys.readouterr().out
    assert "1716" in printed
    assert "/documents/" in printed
    assert re.search(r"^(grounded|partial) .*1716", printed, re.M)
