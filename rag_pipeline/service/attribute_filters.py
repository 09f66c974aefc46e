"""OpenAI's filters on attributes, in the filter language of the library."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal, TypeAlias, Union

from pydantic import Field

from rag_pipeline.service.api.asking import Body, Text

_OPERATORS: Mapping[str, str] = {
    "eq": "=",
    "ne": "!=",
    "gt": ">",
    "gte": ">=",
    "lt": "<",
    "lte": "<=",
    "in": "in",
    "nin": "not in",
}
_ATTRIBUTE = "metadata."
"""Before the name of a field: it is of the metadata, whatever other fields there are."""

Scalar = bool | float | Text


class ComparisonFilter(Body):
    """An attribute, compared with a value."""

    type: Literal["eq", "ne", "gt", "gte", "lt", "lte", "in", "nin"]
    key: Annotated[Text, Field(min_length=1, max_length=190)]
    value: Scalar | list[Scalar]


class CompoundFilter(Body):
    """Filters of which all hold, or one does."""

    type: Literal["and", "or"]
    filters: Annotated[list["AttributeFilter"], Field(min_length=1, max_length=100)]


AttributeFilter: TypeAlias = Annotated[
    Union[ComparisonFilter, CompoundFilter], Field(discriminator="type")  # noqa: UP007
]


def filter_json(given: ComparisonFilter | CompoundFilter) -> dict[str, Any]:
    """What `given` says, in the JSON form of the library's filters."""
    if isinstance(given, CompoundFilter):
        return {given.type: [filter_json(part) for part in given.filters]}
    return {"field": _ATTRIBUTE + given.key, "op": _OPERATORS[given.type], "value": given.value}
