"""How a difference between two answers is shown: in colours on a terminal, else in brackets."""

import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from rag_pipeline.history.comparing import Difference, EvidenceChange
    from rag_pipeline.history.wording import Part
    from storage.records import ChunkId, Citation, Evidence

_NAMES = {
    "weights_sha256": "weights",
    "template_sha256": "template",
    "settings_sha256": "settings",
}
_SHA = 64


def words(parts: "Sequence[Part]") -> str:
    """A text with what is gone and what is new in it."""
    is_terminal = sys.stdout.isatty()
    return "".join(map(_coloured if is_terminal else _bracketed, parts)).strip() or "–"


def _coloured(part: "Part") -> str:
    match part.kind:
        case "gone":
            return click.style(part.text, fg="red", strikethrough=True)
        case "new":
            return click.style(part.text, fg="green", bold=True)
        case _:
            return part.text


def _bracketed(part: "Part") -> str:
    """As wdiff writes it."""
    text = part.text.strip()
    before = part.text[: len(part.text) - len(part.text.lstrip())]
    match part.kind:
        case "gone":
            return f"{before}[-{text}-]" if text else part.text
        case "new":
            return f"{before}{{+{text}+}}" if text else part.text
        case _:
            return part.text


def lines(found: "Difference", sources: "Mapping[ChunkId, str]") -> Iterator[str]:
    """What differs, a line for each thing; `sources` names chunks."""
    if found.answer_changed:
        yield f"answer      {words(found.words)}"
    if found.state_changed:
        yield f"state       {found.before.state or '–'} → {found.after.state or '–'}"
    if found.before.confidence != found.after.confidence:
        yield f"confidence  {_number(found.before.confidence)} → {_number(found.after.confidence)}"
    yield from _evidence(found.evidence, sources)
    yield from (f"cited no more  {_quote(one)}" for one in found.citations_went)
    yield from (f"cited now      {_quote(one)}" for one in found.citations_came)
    for name, (before, after) in found.conditions.items():
        yield f"{_NAMES.get(name, name):<11} {_value(before)} → {_value(after)}"


def _evidence(change: "EvidenceChange", sources: "Mapping[ChunkId, str]") -> Iterator[str]:
    for shown in change.went:
        yield f"evidence    - {_chunk(shown, sources)}"
    for shown in change.came:
        yield f"evidence    + {_chunk(shown, sources)}"
    for moved in change.moved:
        name = _named(moved.chunk_id, moved.document_id, sources)
        yield f"evidence    ~ {name}: rank {moved.before} → {moved.after}"


def _chunk(shown: "Evidence", sources: "Mapping[ChunkId, str]") -> str:
    name = _named(shown.chunk_id, shown.document_id, sources)
    return f"{name}: rank {shown.rank}, score {shown.score:.3f}"


def _named(chunk_id: "ChunkId", document_id: int, sources: "Mapping[ChunkId, str]") -> str:
    source = sources.get(chunk_id)
    return f"chunk {chunk_id} of document {document_id}" + (f" ({source})" if source else "")


def _quote(citation: "Citation") -> str:
    return f"{citation.source}: “{' '.join(citation.quote.split())}”"


def _number(confidence: float | None) -> str:
    return "–" if confidence is None else f"{confidence:.4g}"


def _value(value: Any) -> str:
    if isinstance(value, str) and len(value) == _SHA:
        return f"{value[:12]}…"
    return "–" if value is None else str(value)
