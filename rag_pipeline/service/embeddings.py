"""`/v1/embeddings`: texts to the vectors that documents are found by."""

import base64
from typing import Annotated, Literal

from fastapi import APIRouter, Depends
from pydantic import Field

from rag_pipeline.pipeline import RagPipeline
from rag_pipeline.service.dependencies import Rag, searching
from rag_pipeline.service.errors import (
    ServiceError,
    TooLongError,
    UnknownModelError,
    UnsupportedError,
)
from rag_pipeline.service.shapes import Given, Shape, Text
from storage.records import Vectors
from storage.vectors import VECTOR_DTYPE

router = APIRouter(prefix="/v1/embeddings", tags=["embeddings"])
_MOST_TEXTS = 2048

Texts = Annotated[list[Text], Field(min_length=1, max_length=_MOST_TEXTS)]


class EmbeddingRequest(Given):
    """Texts to embed, by the embedder that this service searches with."""

    model: Text
    input: Text | Texts | list[int] | list[list[int]]
    encoding_format: Literal["float", "base64"] | None = None
    dimensions: int | None = None
    user: Text | None = None

    @property
    def texts(self) -> list[str]:
        """What is to be embedded. Raises `ServiceError` for tokens and for empty texts."""
        given = [self.input] if isinstance(self.input, str) else self.input
        texts = [text for text in given if isinstance(text, str)]
        if len(texts) < len(given):
            raise UnsupportedError("tokens can't be embedded here; send text", param="input")
        if not texts or not all(text.strip() for text in texts):
            raise ServiceError("nothing can't be embedded; send texts with words", param="input")
        return texts


class Embedding(Shape):
    """One vector of unit length: numbers, or little-endian float32 in base64."""

    object: Literal["embedding"] = "embedding"
    index: int
    embedding: list[float] | str


class EmbeddingUsage(Shape):
    """Tokens that were read."""

    prompt_tokens: int
    total_tokens: int


class Embeddings(Shape):
    """A vector for each text, in their order."""

    object: Literal["list"] = "list"
    data: list[Embedding]
    model: str
    usage: EmbeddingUsage


@router.post("", dependencies=[Depends(searching)])
def embed(given: EmbeddingRequest, rag: Rag) -> Embeddings:
    """Embed texts as documents and questions are embedded."""
    _check_model(rag, given)
    texts = given.texts
    tokens = rag.parts.embedder.count(texts)
    for at, count in enumerate(tokens):
        if count > rag.parts.embedder.max_tokens:
            raise TooLongError(
                f"the text has {count} tokens and the model reads"
                f" {rag.parts.embedder.max_tokens}; send it in parts",
                param="input" if isinstance(given.input, str) else f"input[{at}]",
            )
    vectors = rag.embed(texts)
    return Embeddings(
        data=_data(vectors, in_base64=given.encoding_format == "base64"),
        model=given.model,
        usage=EmbeddingUsage(prompt_tokens=sum(tokens), total_tokens=sum(tokens)),
    )


def _check_model(rag: RagPipeline, given: EmbeddingRequest) -> None:
    space = rag.parts.embedder.space
    if given.model not in (space.model, rag.settings.embedder):
        raise UnknownModelError(
            f"The model {given.model!r} does not embed here; {space.model!r} does.", param="model"
        )
    if given.dimensions not in (None, space.dimension):
        raise UnsupportedError(
            f"the vectors of {space.model!r} have {space.dimension} dimensions and can't be cut;"
            " leave 'dimensions' out",
            param="dimensions",
        )


def _data(vectors: Vectors, *, in_base64: bool) -> list[Embedding]:
    rows = vectors.astype(VECTOR_DTYPE)
    if in_base64:
        encoded = (base64.b64encode(row.tobytes()).decode("ascii") for row in rows)
        return [Embedding(index=at, embedding=text) for at, text in enumerate(encoded)]
    return [Embedding(index=at, embedding=row.tolist()) for at, row in enumerate(rows)]
