"""What is different about two answers: their evidence, their words, what they are called and cite.

Two kinds of difference are told apart. An answer has *changed* where a reader would see it: other
evidence, other words, another state, other citations. It is *identical* only where nothing at all
differs, neither the last bit of a score nor a sign of the prompt: one changed document moves the
statistics of all, and so scores, and now and then the order, of evidence that stays.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from typing import Any

from rag_pipeline.history.wording import Part, word_diff
from storage.records import (
    AnswerState,
    ChunkId,
    Citation,
    DocumentId,
    Evidence,
    Origin,
    PromptEnd,
    PromptRecord,
    PromptStart,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What came of a question, and of what; two are compared field by field."""

    standalone: str | None
    """The question as it was searched for, where that is not as it was asked."""
    generation: int
    evidence: tuple[Evidence, ...]
    rendered_sha256: str
    """Of the exact prompt."""
    answer: str | None
    state: AnswerState | None
    confidence: float | None
    citations: tuple[Citation, ...]
    model: str
    weights_sha256: str
    template_sha256: str
    sampling: Mapping[str, Any]
    settings_sha256: str | None
    """None: not on record."""

    @classmethod
    def of(cls, record: PromptRecord) -> "Outcome":
        """Of an exchange on record."""
        return cls(
            standalone=record.standalone,
            generation=record.generation,
            evidence=record.evidence,
            rendered_sha256=_sha256(record.rendered),
            answer=record.answer,
            state=record.state,
            confidence=record.confidence,
            citations=record.citations,
            model=record.model,
            weights_sha256=record.weights_sha256,
            template_sha256=record.template_sha256,
            sampling=record.sampling,
            settings_sha256=(record.circumstances or {}).get("settings_sha256"),
        )

    @classmethod
    def made(cls, start: PromptStart, end: PromptEnd) -> "Outcome":
        """Of an exchange that is on no record."""
        cited = {citation.chunk_id for citation in end.citations}
        return cls(
            standalone=start.standalone,
            generation=start.generation,
            evidence=tuple(_cited(shown, cited) for shown in start.evidence),
            rendered_sha256=_sha256(start.rendered),
            answer=end.answer,
            state=end.state,
            confidence=end.confidence,
            citations=end.citations,
            model=start.model,
            weights_sha256=start.weights_sha256,
            template_sha256=start.template_sha256,
            sampling=start.sampling,
            settings_sha256=(start.circumstances or {}).get("settings_sha256"),
        )

    def as_json(self) -> dict[str, Any]:
        """All of it."""
        return asdict(self)

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> "Outcome":
        """What `as_json` gave. Raises `KeyError` or `TypeError` for anything else."""
        given = {field.name: stored[field.name] for field in fields(cls)}
        given["evidence"] = tuple(Evidence(**one) for one in given["evidence"])
        given["citations"] = tuple(
            Citation(
                **{
                    **one,
                    "headings": tuple(one["headings"]),
                    "origin": Origin(one.get("origin", Origin.REAL)),
                }
            )
            for one in given["citations"]
        )
        return cls(**given)


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def _cited(shown: Evidence, cited: set[ChunkId]) -> Evidence:
    return replace(shown, cited=shown.chunk_id in cited)


@dataclass(frozen=True, slots=True)
class Moved:
    """A chunk that was evidence before and after, at another rank."""

    chunk_id: ChunkId
    document_id: DocumentId
    before: int
    after: int


@dataclass(frozen=True, slots=True, kw_only=True)
class EvidenceChange:
    """How the evidence differs, best first in each list."""

    came: tuple[Evidence, ...]
    went: tuple[Evidence, ...]
    moved: tuple[Moved, ...]
    largest_shift: float
    """Of the score of a chunk that stayed."""

    @property
    def is_changed(self) -> bool:
        """Whether other chunks are shown."""
        return bool(self.came or self.went)

    @property
    def is_reordered(self) -> bool:
        """Whether the same chunks are shown in another order."""
        return bool(self.moved) and not self.is_changed


_Spans = frozenset[tuple[DocumentId, int, int, str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """What is different about `after`, compared with `before`."""

    before: Outcome
    after: Outcome
    evidence: EvidenceChange

    @property
    def answer_changed(self) -> bool:
        return self.before.answer != self.after.answer

    @property
    def state_changed(self) -> bool:
        return self.before.state != self.after.state

    @property
    def citations_changed(self) -> bool:
        """Whether other spans are cited, or for other parts of the answer."""
        return _places(self.before) != _places(self.after)

    @property
    def citations_came(self) -> tuple[Citation, ...]:
        return _without(self.after.citations, _spans(self.before))

    @property
    def citations_went(self) -> tuple[Citation, ...]:
        return _without(self.before.citations, _spans(self.after))

    @property
    def is_changed(self) -> bool:
        """Whether a reader would see it."""
        return (
            self.evidence.is_changed
            or self.answer_changed
            or self.state_changed
            or self.citations_changed
        )

    @property
    def is_identical(self) -> bool:
        """Whether nothing differs, the generation and what the answer was made with left aside."""
        return all(getattr(self.before, name) == getattr(self.after, name) for name in _COMPARED)

    @property
    def words(self) -> tuple[Part, ...]:
        """From the answer before to the one after; no answer counts as an empty one."""
        return word_diff(self.before.answer or "", self.after.answer or "")

    @property
    def conditions(self) -> Mapping[str, tuple[Any, Any]]:
        """What the two were made with and is not the same, by name: before and after."""
        pairs = {name: (getattr(self.before, name), getattr(self.after, name)) for name in _MADE_BY}
        return {name: pair for name, pair in pairs.items() if pair[0] != pair[1]}

    def as_json(self) -> dict[str, Any]:
        """What differs, without what both have."""
        before, after = self.before, self.after
        return {
            "identical": self.is_identical,
            "changed": self.is_changed,
            "evidence": {
                "came": [asdict(one) for one in self.evidence.came],
                "went": [asdict(one) for one in self.evidence.went],
                "moved": [asdict(one) for one in self.evidence.moved],
                "largest_score_shift": self.evidence.largest_shift,
            },
            "answer": {
                "changed": self.answer_changed,
                "before": before.answer,
                "after": after.answer,
                "words": [[part.kind, part.text] for part in self.words],
            },
            "state": {"before": before.state, "after": after.state},
            "confidence": {"before": before.confidence, "after": after.confidence},
            "citations": {
                "changed": self.citations_changed,
                "came": [asdict(one) for one in self.citations_came],
                "went": [asdict(one) for one in self.citations_went],
            },
            "same_prompt": before.rendered_sha256 == after.rendered_sha256,
            "generation": {"before": before.generation, "after": after.generation},
            "made_with": {
                name: {"before": then, "after": now}
                for name, (then, now) in self.conditions.items()
            },
        }


_MADE_BY = ("model", "weights_sha256", "template_sha256", "sampling", "settings_sha256")
_COMPARED = (
    "standalone",
    "evidence",
    "rendered_sha256",
    "answer",
    "state",
    "confidence",
    "citations",
)


def compared(before: Outcome, after: Outcome) -> Difference:
    """What is different about `after`."""
    return Difference(before=before, after=after, evidence=_evidence(before, after))


def _evidence(before: Outcome, after: Outcome) -> EvidenceChange:
    then = {shown.chunk_id: shown for shown in before.evidence}
    now = {shown.chunk_id: shown for shown in after.evidence}
    stayed = [(then[key], now[key]) for key in now if key in then]
    return EvidenceChange(
        came=tuple(shown for key, shown in now.items() if key not in then),
        went=tuple(shown for key, shown in then.items() if key not in now),
        moved=tuple(
            Moved(new.chunk_id, new.document_id, old.rank, new.rank)
            for old, new in stayed
            if old.rank != new.rank
        ),
        largest_shift=max((abs(new.score - old.score) for old, new in stayed), default=0.0),
    )


def _places(outcome: Outcome) -> list[tuple[DocumentId, int, int, int, int]]:
    return [
        (one.document_id, one.start, one.end, one.answer_start, one.answer_end)
        for one in outcome.citations
    ]


def _spans(outcome: Outcome) -> _Spans:
    return frozenset(map(_span, outcome.citations))


def _span(citation: Citation) -> tuple[DocumentId, int, int, str]:
    return citation.document_id, citation.start, citation.end, citation.quote


def _without(citations: tuple[Citation, ...], spans: _Spans) -> tuple[Citation, ...]:
    return tuple(one for one in citations if _span(one) not in spans)
