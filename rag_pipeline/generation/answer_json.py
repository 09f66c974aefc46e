"""An answer as JSON: what `rag ask --json` prints and the service answers."""

from dataclasses import asdict
from typing import Any

from rag_pipeline.generation.answer import Answer


def answer_json(answer: Answer) -> dict[str, Any]:
    """The stable interface; keys may be added, none is changed or removed."""
    return {
        "prompt_id": answer.prompt_id,
        "answer": answer.text,
        "state": answer.state,
        "confidence": answer.confidence,
        "unsupported": [{"start": start, "end": end} for start, end in answer.unsupported],
        "citations": [asdict(citation) for citation in answer.citations],
        "usage": dict(answer.usage),
        "timings": dict(answer.timings),
        "generation": answer.generation,
        "model": answer.model,
        "note": answer.note,
    }
