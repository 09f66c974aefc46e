"""Two recorded exchanges side by side."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from rag_pipeline.composition import Composition
from rag_pipeline.history.as_json import listed_prompt
from rag_pipeline.history.comparing import Difference, Outcome, compared
from rag_pipeline.history.wording import Part, word_diff
from storage.reading import CorpusReader
from storage.records import ChunkId, Evidence, Origin, Principal, PromptRecord


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """Two exchanges, and what is different about the second."""

    before: PromptRecord
    after: PromptRecord
    difference: Difference
    sources: Mapping[ChunkId, str]
    """Where the evidence of both stands, as far as it may be read."""

    @property
    def question(self) -> tuple[Part, ...]:
        """From one question to the other."""
        return word_diff(self.before.question, self.after.question)

    def as_json(self) -> dict[str, Any]:
        """Both as a list has them, and what differs."""
        words = [[part.kind, part.text] for part in self.question]
        return {
            "before": listed_prompt(self.before),
            "after": listed_prompt(self.after),
            "question": {"before": self.before.question, "after": self.after.question}
            | {"changed": self.before.question != self.after.question, "words": words},
            **self.difference.as_json(),
        }


def pair(parts: Composition, before: str, after: str, *, principal: Principal) -> Pair:
    """Two exchanges, of whose ids unique beginnings are enough. Raises `NotFoundError`."""
    records = [parts.history.show(key, principal=principal) for key in (before, after)]
    found = [
        sources(parts.reader, one.evidence, principal=principal, generation=one.generation)
        for one in records
    ]
    then, now = records
    return Pair(
        before=then,
        after=now,
        difference=compared(Outcome.of(then), Outcome.of(now)),
        sources=found[0] | found[1],
    )


def sources(
    reader: CorpusReader, evidence: Iterable[Evidence], *, principal: Principal, generation: int
) -> dict[ChunkId, str]:
    """Where each chunk stood; without those that are forgotten or not for the principal."""
    chunks = reader.chunks(
        [shown.chunk_id for shown in evidence],
        principal=principal,
        generation=generation,
        origins=frozenset(Origin),
    )
    return {key: chunk.sources[0].source for key, chunk in chunks.items()}
