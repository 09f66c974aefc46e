"""A checked answer as clients are told of it: up to where they want it, with links to its sources.

No text of a draft gets here: the pieces of one are only a sign that the model is at work.
"""

import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field

from rag_pipeline.generation.answer import Answer
from rag_pipeline.generation.stop_strings import before_stop
from rag_pipeline.pipeline import RagPipeline
from rag_pipeline.service.desk import Writing
from rag_pipeline.service.questions import Question
from rag_pipeline.service.shapes import (
    CompletionTokensDetails,
    FinishReason,
    Grounds,
    PromptTokensDetails,
    UrlCitation,
    Usage,
)
from storage.records import Citation


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """An answer, ready to be put into anybody's shape."""

    answer: Answer
    model: str
    """As the client named it."""
    text: str
    links: tuple[UrlCitation, ...]
    created: int = field(default_factory=lambda: int(time.time()))
    """Seconds since 1970."""

    @property
    def finish_reason(self) -> FinishReason:
        """Whether the model was cut off by a limit on tokens."""
        return self.answer.finish_reason

    @property
    def fingerprint(self) -> str:
        """Which state of the documents it was made from."""
        return f"generation-{self.answer.generation}"

    @property
    def urls(self) -> list[str]:
        """Each source once, as some clients read them."""
        return [*dict.fromkeys(link.url for link in self.links)]

    @property
    def usage(self) -> Usage:
        """Tokens, as chat completions count them."""
        used = self.answer.usage
        return Usage(
            prompt_tokens=used["prompt_tokens"],
            completion_tokens=used["completion_tokens"],
            total_tokens=used["total_tokens"],
            prompt_tokens_details=PromptTokensDetails(cached_tokens=used.get("cached_tokens", 0)),
            completion_tokens_details=CompletionTokensDetails(reasoning_tokens=0),
        )

    @property
    def grounds(self) -> Grounds:
        """All that is known of what it stands on."""
        answer = self.answer
        return Grounds(
            prompt_id=answer.prompt_id,
            state=answer.state,
            confidence=answer.confidence,
            generation=answer.generation,
            citations=[asdict(citation) for citation in answer.citations],
            note=answer.note,
        )


def telling(rag: RagPipeline, question: Question) -> Writing[Told]:
    """Ask, and tell. Raises whatever asking raises."""
    answer = yield from rag.ask_stream(
        question.text,
        collection=question.choice.collection,
        extractive=question.choice.extractive,
        earlier=question.earlier,
        instructions=question.instructions,
        sampling=question.sampling,
        user=question.user,
        session=question.session,
        parent_id=question.parent_id,
        strict=question.strict,
        origins=question.origins,
        template=question.template,
        application=question.belongs.application,
        category=question.belongs.category,
        tags=question.belongs.tags,
        idempotency_key=question.belongs.idempotency_key,
    )
    stop = question.sampling.stop if question.sampling else ()
    text, _ = before_stop(answer.text, stop)
    titles = _titles(rag, answer)
    return Told(
        answer=answer,
        model=question.choice.name,
        text=text,
        links=tuple(
            UrlCitation(
                start_index=citation.answer_start,
                end_index=min(citation.answer_end, len(text)),
                title=titles.get(citation.external_id, citation.external_id),
                url=document_url(question.base_url, citation),
            )
            for citation in answer.citations
            if citation.answer_start < len(text)
        ),
    )


def document_url(base_url: str, citation: Citation) -> str:
    """Where a reader sees a citation in its document."""
    return f"{base_url}documents/{citation.document_id}#{citation.start}-{citation.end}"


def _titles(rag: RagPipeline, answer: Answer) -> Mapping[str, str]:
    """What the cited sources are called, by their external ids, where they have a title."""
    chunks = rag.parts.reader.chunks(
        [citation.chunk_id for citation in answer.citations],
        principal=rag.principal,
        generation=answer.generation,
    )
    return {
        source.external_id: source.title
        for chunk in chunks.values()
        for source in chunk.sources
        if source.title
    }
