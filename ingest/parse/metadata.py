"""What a document says of itself, as values that JSON and PostgreSQL can keep."""

import math
from collections.abc import Mapping
from typing import Any

from ingest.errors import RefusedError
from ingest.normalise import normalise

MAX_DEPTH = 32
"""Objects and lists inside one another."""


def clean(metadata: Mapping[str, Any]) -> dict[str, Any]:
    """`metadata` as strict JSON values: no NaN or infinity (null), NUL or lone surrogate.

    Raises RefusedError where it is nested more than `MAX_DEPTH` deep.
    """
    return {normalise(str(key)): _value(value, 1) for key, value in metadata.items()}


def _value(value: Any, depth: int) -> Any:
    if depth > MAX_DEPTH:
        raise RefusedError(f"its metadata is nested more than {MAX_DEPTH} deep: flatten it")
    if isinstance(value, str):
        return normalise(value)
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {normalise(str(key)): _value(inner, depth + 1) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_value(inner, depth + 1) for inner in value]
    return value if value is None or isinstance(value, bool | int) else normalise(str(value))
