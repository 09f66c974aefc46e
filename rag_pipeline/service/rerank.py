"""`/v1/rerank`: which of some texts fit a query best, in the shape of Cohere and Jina."""

import secrets
from typing import Annotated

from fastapi import APIRouter
from pydantic import BaseModel, Field

from rag_pipeline.service.api.asking import Body, Text, Turn
from rag_pipeline.service.dependencies import Rag
from rag_pipeline.service.errors import UnknownModelError

MAX_DOCUMENTS = 1_000
MAX_CHARACTERS = 100_000
_ANY = ("default", "rerank")

router = APIRouter(prefix="/v1", tags=["openai"])
Document = Annotated[Text, Field(max_length=MAX_CHARACTERS)]


class TextDocument(Body):
    text: Document


class RerankRequest(Body):
    """Texts, and what they are compared with."""

    model: Annotated[Text, Field(max_length=500)] = "default"
    """What scores here, by its name; `default` and `rerank` stand for it too."""
    query: Annotated[Text, Field(min_length=1, max_length=10_000)]
    documents: Annotated[
        list[Document | TextDocument], Field(min_length=1, max_length=MAX_DOCUMENTS)
    ]
    top_n: Annotated[int, Field(ge=1)] | None = None
    return_documents: bool = False


class RankedText(BaseModel):
    text: str


class RerankResult(BaseModel):
    index: int
    """Of the text among those that were sent, from 0."""
    relevance_score: float
    """From 0 to 1."""
    document: RankedText | None = None


class RerankUsage(BaseModel):
    total_tokens: int


class RerankAnswer(BaseModel):
    """The texts, best first; `model` names what scored them."""

    id: str
    model: str
    results: list[RerankResult]
    usage: RerankUsage


@router.post("/rerank", dependencies=[Turn], response_model_exclude_none=True)
def rerank(asked: RerankRequest, rag: Rag) -> RerankAnswer:
    """Order texts by how well they fit a query; ties keep the order that they were sent in."""
    scorer = rag.text_scorer()
    if asked.model not in (*_ANY, scorer.name):
        raise UnknownModelError(
            f"there is no model {asked.model!r} to rerank with; leave it out, or name"
            f" {scorer.name!r}",
            param="model",
        )
    texts = [one if isinstance(one, str) else one.text for one in asked.documents]
    scores = scorer.scores(asked.query, texts)
    order = sorted(range(len(texts)), key=lambda place: (-scores[place], place))
    results = [
        RerankResult(
            index=place,
            relevance_score=scores[place],
            document=RankedText(text=texts[place]) if asked.return_documents else None,
        )
        for place in order[: asked.top_n]
    ]
    return RerankAnswer(
        id=f"rerank-{secrets.token_hex(12)}",
        model=scorer.name,
        results=results,
        usage=RerankUsage(total_tokens=sum(rag.parts.embedder.count([asked.query, *texts]))),
    )
