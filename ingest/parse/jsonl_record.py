"""One line of a JSONL file in the BEIR form: {_id, title, text, metadata}."""

import json
import re
from typing import Any

from ingest.errors import RefusedError
from ingest.records import ParsedText

_OWN_FIELDS = frozenset({"_id", "title", "text", "metadata"})
# An id is printed, stored and sent back: what a terminal or a database would change is refused.
_UNSAFE = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")


def parse(data: bytes) -> ParsedText:
    """The record's own text and title; other fields that hold one value, or a list of strings as
    labels and tags are, join its metadata.

    Raises RefusedError for a line that is not an object with a string in `text`.
    """
    record = decode_record(data)
    title = record.get("title")
    return ParsedText(
        text=record["text"],
        title=title if isinstance(title, str) else "",
        metadata=_metadata(record),
    )


def decode_record(line: bytes) -> dict[str, Any]:
    """The object on one line; its `text` is sure to be a string."""
    try:
        record = json.loads(line.decode("utf-8"))
    except UnicodeDecodeError as error:
        raise RefusedError("the line is not valid UTF-8: save the file as UTF-8") from error
    except RecursionError as error:
        raise RefusedError("the line is nested too deeply: flatten it") from error
    except json.JSONDecodeError as error:
        raise RefusedError(
            f"the line is not valid JSON: {error.msg} at column {error.colno}"
        ) from error
    except ValueError as error:
        raise RefusedError(f"the line holds a value that can't be read: {error}") from error
    if not isinstance(record, dict):
        raise RefusedError('the line is not a JSON object: write it as {…} with a "text"')
    if not isinstance(record.get("text"), str):
        raise RefusedError('the record has no string in "text"')
    return record


def record_id(record: dict[str, Any]) -> str | None:
    """The record's `_id` as a string; None where it has none."""
    value = record.get("_id")
    if value is None or value == "":
        return None
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise RefusedError('its "_id" is neither a string nor a number')
    if _UNSAFE.search(str(value)):
        raise RefusedError(f'its "_id" {str(value)!r} holds a control character')
    return str(value)


def _metadata(record: dict[str, Any]) -> dict[str, Any]:
    own = record.get("metadata")
    said = own if isinstance(own, dict) else {"metadata": own} if own not in (None, "") else {}
    others = {key: value for key, value in record.items() if key not in _OWN_FIELDS}
    return {key: value for key, value in others.items() if _is_short(value)} | said


def _is_short(value: object) -> bool:
    """Whether a value says something of the text; a vector, say, is nothing to show with it."""
    if isinstance(value, list):
        return all(isinstance(one, str) for one in value)
    return not isinstance(value, dict)
