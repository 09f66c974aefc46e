"""The prompts that a generator is trained and measured on: those that `rag ask` would show it."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from rag_pipeline.generation.drafting import Writing
from rag_pipeline.generation.evidence import Embed
from rag_pipeline.generation.extraction import nearest
from rag_pipeline.generation.fencing import FENCE_DIGITS
from rag_pipeline.generation.language_model import LanguageModel, complete
from rag_pipeline.generation.prompt import DEFAULT_TEMPLATE, Framing, Template
from rag_pipeline.generation.settings import GenerationSettings
from rag_pipeline.tuning.answer_examples import Request
from storage.records import ChunkId, DocumentId, StoredChunk


@dataclass(frozen=True, slots=True, kw_only=True)
class Prompting:
    """Asks one model."""

    model: LanguageModel
    embed: Embed
    settings: GenerationSettings
    template: Template = DEFAULT_TEMPLATE

    def rendered(self, request: Request) -> str:
        """The exact prompt; empty where the passages have no sentence that could be shown.

        Raises `ContextLengthError` for turns that the model can't read.
        """
        if request.turns:
            return self.model.render(request.turns)
        near = nearest(request.question, _chunks(request.passages), embed=self.embed)
        return self._writing.rendered(
            request.question,
            near,
            framing=Framing(
                template=self.template, fence=_fence(request) if self.settings.guard else ""
            ),
            max_new_tokens=self.settings.max_new_tokens,
        )

    def answer(self, request: Request, rendered: str) -> str:
        """What the model writes; to a question about passages, what `rag ask` would take of it."""
        sampling = self.settings.sampling
        if request.turns:
            return complete(self.model.generate(rendered, sampling=sampling))[0].strip()
        stream = self._writing.draft(rendered, sampling)
        while True:
            try:
                next(stream)
            except StopIteration as ended:
                return str(ended.value.text)

    @property
    def _writing(self) -> Writing:
        return Writing(
            model=self.model,
            sentences=self.settings.sentences,
            shown_tokens=self.settings.shown_tokens,
            answer_sentences=self.settings.answer_sentences,
        )


def _chunks(passages: Sequence[str]) -> list[StoredChunk]:
    return [
        StoredChunk(
            chunk_id=ChunkId(at),
            document_id=DocumentId(at),
            text=text,
            title="",
            start=0,
            end=len(text),
            sources=(),
        )
        for at, text in enumerate(passages, 1)
    ]


def _fence(request: Request) -> str:
    """Digits as they are drawn for each prompt, but the same for the same request each time."""
    digest = hashlib.sha256("\n".join((request.question, *request.passages)).encode()).digest()
    return f"{int.from_bytes(digest[:8], 'big') % 10**FENCE_DIGITS:0{FENCE_DIGITS}}"
