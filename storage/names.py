"""What may be kept: names that people read, and text that every database takes."""

from collections.abc import Iterable, Mapping
from typing import Any

from storage.errors import InvalidRecordError
from storage.words import UNSTORABLE

MAX_NAME = 200
MAX_TEXT = 1_000_000
"""Characters of one message."""


def check_name(name: str | None, what: str) -> None:
    """Raise `InvalidRecordError` for what can't name `what`."""
    if name is not None and (not name.strip() or len(name) > MAX_NAME or not name.isprintable()):
        shown = repr(name if len(name) <= MAX_NAME else f"{name[:MAX_NAME]}…")
        raise InvalidRecordError(
            f"{shown} can't name {what}; use 1 to {MAX_NAME} printable characters"
        )


def check_text(text: str | None, what: str) -> None:
    """Raise `InvalidRecordError` for a text that is too long or that no database keeps."""
    if text is None:
        return
    if len(text) > MAX_TEXT:
        raise InvalidRecordError(
            f"{what} has {len(text):,} characters; {MAX_TEXT:,} can be kept: shorten it"
        )
    if UNSTORABLE.search(text):
        raise InvalidRecordError(
            f"{what} holds a NUL character or half of a surrogate pair; leave them out"
        )


def check_values(value: Any, what: str) -> None:
    """Raise `InvalidRecordError` if a text anywhere in a JSON value is one that can't be kept."""
    if isinstance(value, str):
        check_text(value, what)
    elif isinstance(value, Mapping):
        for name, one in value.items():
            check_text(name, what)
            check_values(one, what)
    elif isinstance(value, Iterable):
        for one in value:
            check_values(one, what)


def storable(text: str) -> str:
    """`text` with a sign in place of each character that no database keeps."""
    return UNSTORABLE.sub("\N{REPLACEMENT CHARACTER}", text[:MAX_TEXT])
