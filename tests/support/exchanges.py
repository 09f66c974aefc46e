"""Exchanges to put on record, without a model."""

from typing import Any

from storage.records import ChunkId, Citation, DocumentId, Evidence, PromptEnd, PromptStart


def asked(question: str = "Why?", **about: Any) -> PromptStart:
    """A question of Anna's, with one passage shown."""
    shown = Evidence(
        chunk_id=ChunkId(9),
        document_id=DocumentId(1),
        rank=1,
        score=0.5,
        vector_rank=1,
        keyword_rank=None,
    )
    given: dict[str, Any] = {
        "user": "anna",
        "session": None,
        "parent_id": None,
        "collection": "default",
        "generation": 3,
        "model": "tiny",
        "weights_sha256": "a" * 64,
        "template_sha256": "b" * 64,
        "rendered": f"<user>{question}",
        "sampling": {},
        "evidence": (shown,),
        **about,
    }
    return PromptStart(question=question, **given)


def answered(text: str = "Because.", **about: Any) -> PromptEnd:
    """An answer whose one sentence is cited."""
    citation = Citation(
        quote="Because",
        source="/docs/a.txt",
        document_id=DocumentId(1),
        external_id="a.txt",
        chunk_id=ChunkId(9),
        start=4,
        end=11,
        answer_start=0,
        answer_end=len(text),
        score=0.9,
    )
    given: dict[str, Any] = {
        "state": "grounded",
        "citations": (citation,),
        "usage": {"prompt_tokens": 5, "completion_tokens": 2},
        "timings": {},
        **about,
    }
    return PromptEnd(answer=text, **given)
