"""A run of several commits, where the first changes what the next ones deal with."""

import json
from pathlib import Path

from support.pipelines import word_pipeline


def write(path: Path, *titles: str) -> None:
    """A text under each of `titles`, and another that stays."""
    records = [{"_id": title, "title": title, "text": "It swims."} for title in titles]
    lines = [json.dumps(record) for record in [*records, {"_id": "x", "text": "Stays."}]]
    path.write_text("\n".join(lines))


def test_a_source_that_moved_to_a_retitled_text_is_pruned_all_the_same(tmp_path: Path) -> None:
    path = tmp_path / "c.jsonl"
    write(path, "Walrus", "Penguin", "Seal")
    with word_pipeline(tmp_path / "kb", batching={"max_documents": 1}) as rag:
        rag.ingest(path)
        write(path)
        assert rag.ingest(path, prune=True).documents.deleted == 3
        found = {ref.external_id for hit in rag.search("swims").hits for ref in hit.chunk.sources}
        assert found == {"x"}
        assert rag.doctor().differences == ()
