"""Where the next page of exchanges begins, as text that only its own list takes back."""

import hashlib
import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from binascii import Error as Base64Error

from rag_pipeline.errors import QueryError
from storage.filters import Filter, as_json
from storage.records import Principal

MAX_CURSOR = 500
_LARGEST = 2**63 - 1
_MARK_DIGITS = 16


def cursor_at(number: int, where: Filter | None, principal: Principal) -> str:
    """Names the place after the exchange with that number."""
    told = json.dumps([_mark(where, principal), number]).encode()
    return urlsafe_b64encode(told).decode().rstrip("=")


def number_at(cursor: str, where: Filter | None, principal: Principal) -> int:
    """The number that `cursor_at` named. Raises `QueryError` for what it did not make."""
    told = _told(cursor)
    if not isinstance(told, list) or len(told) != 2:
        raise _garbled()
    if told[0] != _mark(where, principal):
        raise QueryError(
            "the cursor belongs to another list; give it with the filters of its own list"
        )
    if type(told[1]) is not int or not 0 <= told[1] <= _LARGEST:
        raise _garbled()
    return told[1]


def _told(cursor: str) -> object:
    if len(cursor) > MAX_CURSOR:
        raise _garbled()
    try:
        return json.loads(urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
    except (Base64Error, ValueError, RecursionError):
        raise _garbled() from None


def _mark(where: Filter | None, principal: Principal) -> str:
    asked = [None if where is None else as_json(where), principal.name, principal.is_owner]
    text = json.dumps(asked, sort_keys=True)
    return hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()[:_MARK_DIGITS]


def _garbled() -> QueryError:
    return QueryError("the cursor can't be read; leave it out to begin anew")
