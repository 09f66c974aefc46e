"""`/v1/models`: each collection is a model, and the same without a model is another.

`NAME` answers with the configured generator, `NAME:extractive` with the documents' own sentences.
"""

from dataclasses import dataclass
from typing import Literal

from fastapi import APIRouter

from rag_pipeline.generation.drafting import EXTRACTIVE
from rag_pipeline.pipeline import RagPipeline
from rag_pipeline.service.dependencies import Rag
from rag_pipeline.service.errors import UnknownModelError
from rag_pipeline.service.shapes import Shape

router = APIRouter(prefix="/v1/models", tags=["models"])
_SUFFIX = f":{EXTRACTIVE}"
_OWNER = "rag-pipeline-service"


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """What a model's name stands for."""

    name: str
    collection: str
    extractive: bool


class Model(Shape):
    """One model, in OpenAI's shape."""

    id: str
    object: Literal["model"] = "model"
    created: int = 0
    owned_by: str = _OWNER


class Models(Shape):
    """All of them."""

    object: Literal["list"] = "list"
    data: list[Model]


def choices(rag: RagPipeline) -> list[Choice]:
    """What there is for whoever `rag` acts for: collections that something was ingested into."""
    known = [
        collection.name
        for collection in rag.parts.reader.collections(principal=rag.principal)
        if collection.space is not None
    ]
    written = [Choice(name=name, collection=name, extractive=False) for name in known]
    quoted = [Choice(name=name + _SUFFIX, collection=name, extractive=True) for name in known]
    # A collection's own name comes before that of another's sentences.
    return [*written, *(choice for choice in quoted if choice.name not in known)]


def choice_of(rag: RagPipeline, name: str) -> Choice:
    """What answers under that name. Raises `UnknownModelError`."""
    for choice in choices(rag):
        if choice.name == name:
            return choice
    raise UnknownModelError(
        f"The model {name!r} does not exist or you do not have access to it; GET /v1/models lists"
        " those that there are.",
        param="model",
    )


@router.get("")
def list_models(rag: Rag) -> Models:
    """The models that can be asked."""
    embedder = Model(id=rag.parts.embedder.space.model)
    return Models(data=[*(Model(id=choice.name) for choice in choices(rag)), embedder])


@router.get("/{name:path}")
def show_model(name: str, rag: Rag) -> Model:
    """One of them."""
    if name == rag.parts.embedder.space.model:
        return Model(id=name)
    return Model(id=choice_of(rag, name).name)
