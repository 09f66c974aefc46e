"""What the parameters of several routes have in common."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from fastapi import Depends, Path, Query
from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from rag_pipeline.pipeline import RagPipeline
from rag_pipeline.service.dependencies import Rag, searching
from rag_pipeline.service.errors import ForbiddenError
from storage.errors import FilterError
from storage.filters import Filter, from_json, parse
from storage.records import Origin
from storage.words import UNSTORABLE

MAX_NAME = 200
MAX_TEXT = 10_000
MAX_KEY = 2**63 - 1

Origins = Literal["real", "synthetic", "both"]


def _storable(text: str) -> str:
    if UNSTORABLE.search(text):
        raise ValueError("it holds a NUL character or half of a surrogate pair; leave them out")
    return text


Text = Annotated[str, AfterValidator(_storable)]
Name = Annotated[Text, Field(min_length=1, max_length=MAX_NAME)]
"""Of a collection, a user, a session."""
Key = Annotated[int, Path(ge=1, le=MAX_KEY)]
NameQuery = Annotated[Name | None, Query()]
TextQuery = Annotated[Annotated[Text, Field(max_length=MAX_TEXT)] | None, Query()]
Turn = Depends(searching, scope="function")
"""A turn to work, given back before the answer is sent: a slow client keeps none."""


class Body(BaseModel):
    """A request's body: what it does not name is refused."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


def writer(rag: Rag) -> RagPipeline:
    """The pipeline, for whoever may change what it holds. Raises `ForbiddenError`."""
    if not rag.principal.is_owner:
        raise ForbiddenError("only the owner may change what is stored; ask the one who runs this")
    return rag


Writer = Annotated[RagPipeline, Depends(writer)]


def origins_of(wanted: Origins) -> frozenset[Origin]:
    """What `wanted` stands for."""
    return frozenset(Origin) if wanted == "both" else frozenset({Origin(wanted)})


def filter_of(where: str | Mapping[str, Any] | None) -> Filter | None:
    """The filter that text or JSON says. Raises `FilterError`."""
    if where is None:
        return None
    if isinstance(where, str) and not where.strip():
        raise FilterError("the filter is empty; leave it out to list everything")
    return parse(where) if isinstance(where, str) else from_json(where)
