"""Where the next page of a list begins, as text that only its own list takes back."""

import hashlib
import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from binascii import Error as Base64Error
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated, Any

from fastapi import Query

from rag_pipeline.service.errors import ServiceError

MAX_CURSOR = 500
_MARK_DIGITS = 16
_LARGEST_KEY = 2**63 - 1

CursorText = Annotated[
    str | None,
    Query(max_length=MAX_CURSOR, description="`next_cursor` of the page before, unchanged."),
]


def cursor_at(asked: Mapping[str, Any], place: list[int] | list[str]) -> str:
    """Names the `place` where a list of what is `asked` goes on."""
    told = json.dumps([_mark(asked), *place]).encode()
    return urlsafe_b64encode(told).decode().rstrip("=")


def key_place(text: str, asked: Mapping[str, Any], length: int) -> list[int]:
    """The `length` keys that `cursor_at` named. Raises `ServiceError` for what it did not make."""
    place = _place(text, asked, length)
    for key in place:
        if type(key) is not int or not 0 <= key <= _LARGEST_KEY:
            raise _garbled()
    return place


def time_place(text: str, asked: Mapping[str, Any]) -> tuple[datetime, str]:
    """The time and id that `cursor_at` named. Raises `ServiceError` for what it did not make."""
    time, key = _place(text, asked, 2)
    if not isinstance(time, str) or not isinstance(key, str) or not key.isalnum():
        raise _garbled()
    try:
        moment = datetime.fromisoformat(time)
        if moment.tzinfo is None or not key.isascii():
            raise _garbled()
        return moment.astimezone(UTC), key
    except (ValueError, OverflowError):
        raise _garbled() from None


def _place(text: str, asked: Mapping[str, Any], length: int) -> list[Any]:
    try:
        told = json.loads(urlsafe_b64decode(text + "=" * (-len(text) % 4)))
    except (Base64Error, ValueError, RecursionError):
        raise _garbled() from None
    if not isinstance(told, list) or len(told) != length + 1:
        raise _garbled()
    if told[0] != _mark(asked):
        raise ServiceError(
            "the cursor belongs to another list; give it with the parameters of its own",
            param="cursor",
        )
    return told[1:]


def _mark(asked: Mapping[str, Any]) -> str:
    text = json.dumps(asked, sort_keys=True, default=str)
    return hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()[:_MARK_DIGITS]


def _garbled() -> ServiceError:
    return ServiceError("the cursor can't be read; leave it out to begin anew", param="cursor")
