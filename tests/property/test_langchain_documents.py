"""Whatever LangChain hands over comes back as it was, or is refused."""

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from langchain_core.documents import Document

from ingest.normalise import normalise
from ingest.parse.metadata import clean
from rag_pipeline.integrations.langchain.documents import document_of, record_of
from rag_pipeline.integrations.langchain.errors import ArgumentError

letters = st.text(st.characters(), max_size=12) | st.text(
    " \r\n\x00e\u0301\ud800\u2028", max_size=6
)
names = letters | st.sampled_from(["_given", "_passage", "title", "source"])
scalars = st.none() | st.booleans() | st.integers() | st.floats() | letters
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=3),
    max_leaves=6,
)
metadata = st.dictionaries(names, values, max_size=4)


def as_json(value: Any) -> str:
    return json.dumps(value, sort_keys=True)


def from_postgres(value: Any) -> Any:
    """As JSONB gives it back: numbers by their digits, in which whole ones have no point."""
    if isinstance(value, dict):
        return {name: from_postgres(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [from_postgres(inner) for inner in value]
    is_large = isinstance(value, float) and abs(value) >= 1e16
    return int(value) if is_large else value


@given(letters, metadata)
def test_a_document_comes_back_as_it_was_given(text: str, about: dict[str, Any]) -> None:
    try:
        record = record_of(Document(page_content=text, metadata=about), "d")
    except ArgumentError:
        assert normalise(text) == ""
        return
    # What is handed to ingestion is in normal form already, so that it stores it as it is.
    assert normalise(record["text"]) == record["text"]
    assert as_json(clean(record["metadata"])) == as_json(record["metadata"])
    for stored in (record["metadata"], from_postgres(record["metadata"])):
        found = document_of("d", record["text"], stored)
        assert (found.id, found.page_content) == ("d", text)
        assert as_json(found.metadata) == as_json(about)


@given(letters, metadata, metadata)
def test_nothing_in_metadata_passes_another_text_off(
    text: str, about: dict[str, Any], forged: dict[str, Any]
) -> None:
    stored = {**clean(about), "_given": as_json({"page_content": "stolen", "metadata": forged})}
    kept = normalise(f"{text} honest")
    assert document_of("d", kept, stored).page_content == kept
