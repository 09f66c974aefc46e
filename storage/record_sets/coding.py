"""Rows as they are stored: a JSON array in the order of the columns, the same for the same row.

What a column can't hold is refused, by name: numbers are finite, times have a place in UTC, an
image is a PNG, and each key is there.
"""

import hashlib
import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, TypeAlias

from storage.errors import InvalidRecordError
from storage.record_sets.values import DRAWERS
from storage.versions.values import checked_json
from storage.words import UNSTORABLE

TAGS = ("_origin", "_generator", "_batch")
"""What an export adds to each record, and so no column can be called."""
MAX_COLUMNS = 2_000
MAX_NAME = 200
MAX_TEXT = 8 << 20
"""Characters of one value."""
MAX_IMAGE = 8 << 20
"""Bytes of one image."""
PNG, PNG_END = b"\x89PNG\r\n\x1a\n", b"IEND\xaeB`\x82"
"""How the bytes of an image begin and end."""
_LARGEST_WHOLE = 2**53
_SHOWN = 60

Images: TypeAlias = dict[str, bytes]
"""PNG by its SHA-256."""
Columns: TypeAlias = Sequence[Mapping[str, Any]]


@dataclass(frozen=True, slots=True, kw_only=True)
class CodedRow:
    """A row as it is stored."""

    content: str
    drawer: int
    key_sha256: str | None
    images: Images


class RowCoding:
    """Between rows by column and what is stored of them."""

    def __init__(self, columns: Columns) -> None:
        self.columns = columns
        self._names = frozenset(column["name"] for column in columns)
        self._keys = [at for at, column in enumerate(columns) if column.get("is_key")]
        self._series = [at for at, column in enumerate(columns) if column.get("role") == "series"]
        self._of_series = [at for at, column in enumerate(columns) if column.get("role")]
        self._images = [at for at, column in enumerate(columns) if column["kind"] == "image"]

    @property
    def has_images(self) -> bool:
        """Whether any column holds images."""
        return bool(self._images)

    def coded(self, row: Mapping[str, Any], number: int) -> CodedRow:
        """`number` is that of the row in its batch. Where no key tells equal rows apart, each is a
        record of its own, found on both sides of a split as it would be if that were drawn by lot:
        were all of them on one side, what is held out would look strange to whoever has learnt.
        Records of one series are on one side, whatever else they have.

        Raises `InvalidRecordError` for a value that its column has no room for, and for a column
        that is not in the schema. What is not given is missing.
        """
        if unknown := row.keys() - self._names:
            raise InvalidRecordError(
                f"the schema has no column {min(unknown, key=str)!r}; leave it out, or make a set"
                " that has it"
            )
        images: Images = {}
        values = [_stored(row.get(column["name"]), column, images) for column in self.columns]
        content = written(values)
        key_sha256 = self._key_of(values)
        hashed = self._series_of(values) or key_sha256 or f"{content}\n{number}"
        digest = hashlib.sha256(hashed.encode()).digest()
        return CodedRow(
            content=content,
            drawer=int.from_bytes(digest[:8]) % DRAWERS,
            key_sha256=key_sha256,
            images=images,
        )

    def values(self, content: str, images: Mapping[str, bytes]) -> dict[str, Any]:
        """The row of a content; `images` has at least those that it shows."""
        values = json.loads(content)
        for place in self._images:
            values[place] = values[place] and images[values[place]]
        return {column["name"]: value for column, value in zip(self.columns, values, strict=True)}

    def images_of(self, content: str) -> list[str]:
        """The SHA-256 of each image that a content shows."""
        values = json.loads(content)
        return [values[place] for place in self._images if values[place]]

    def _series_of(self, values: Sequence[object]) -> str | None:
        """The name of the series that a row belongs to; None where there are none."""
        for place in self._of_series:
            if values[place] is None:
                name = self.columns[place]["name"]
                raise InvalidRecordError(
                    f"there is no {name!r}, which each record of a series needs: correct it, or"
                    " leave the record out"
                )
        return written([values[place] for place in self._series]) if self._series else None

    def _key_of(self, values: Sequence[object]) -> str | None:
        for place in self._keys:
            if values[place] is None:
                name = self.columns[place]["name"]
                raise InvalidRecordError(
                    f"there is no {name!r}, which is a key: each record needs one"
                )
        if not self._keys:
            return None
        key = written([values[place] for place in self._keys])
        return hashlib.sha256(key.encode()).hexdigest()


def checked_columns(schema: Columns) -> list[dict[str, Any]]:
    """A schema that sets can have. Raises `InvalidRecordError`."""
    if isinstance(schema, str | Mapping) or not schema:
        raise InvalidRecordError("a schema is a list with at least one column; none is there")
    if len(schema) > MAX_COLUMNS:
        raise InvalidRecordError(f"{len(schema):,} columns are too many; give {MAX_COLUMNS:,}")
    columns = [checked_json("columns", column) for column in schema]
    for column in columns:
        _check_name(column.get("name"))
        if column.get("kind") not in _STORED:
            raise InvalidRecordError(
                f"the column {column['name']!r} is of the kind {column.get('kind')!r}; there are"
                f" {', '.join(_STORED)}"
            )
    names = [column["name"] for column in columns]
    for name in names:
        if names.count(name) > 1:
            raise InvalidRecordError(
                f"{names.count(name)} columns are called {name!r}; rename them"
            )
    return columns


def schema_sha256(columns: Columns) -> str:
    """The same for the same columns, in whatever order a database gives back what is said of
    them."""
    said = json.dumps([*columns], sort_keys=True)
    return hashlib.sha256(said.encode()).hexdigest()


def written(value: object) -> str:
    """JSON that is the same for the same value."""
    return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))


def _check_name(name: object) -> None:
    if not isinstance(name, str) or not 0 < len(name) <= MAX_NAME or UNSTORABLE.search(name):
        raise InvalidRecordError(
            f"{str(name)[:_SHOWN]!r} can't name a column; use 1 to {MAX_NAME} characters"
        )
    if name in TAGS:
        raise InvalidRecordError(f"no column can be called {name!r}: exports say so where from")


def _stored(value: object, column: Mapping[str, Any], images: Images) -> object:
    if value is None:
        return None
    if column["kind"] == "image":
        return _image(value, column, images)
    stored = _STORED[column["kind"]](value)
    if stored is None:
        raise _unfit(value, column)
    return stored


def _unfit(value: object, column: Mapping[str, Any]) -> InvalidRecordError:
    shown = repr(value)
    shown = shown if len(shown) <= _SHOWN else f"{shown[:_SHOWN]}…"
    return InvalidRecordError(
        f"{shown} in {column['name']!r} is no {column['kind']} that can be stored; correct it, or"
        " declare the column otherwise"
    )


def _number(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        number = float(value)
    except OverflowError:
        return None
    return number if math.isfinite(number) else None


def _integer(value: object) -> int | None:
    number = _number(value)
    is_whole = number is not None and number == int(number) and abs(number) <= _LARGEST_WHOLE
    return int(number) if is_whole and number is not None else None


def _boolean(value: object) -> bool | None:
    return value if isinstance(value, bool) else None


def _datetime(value: object) -> str | None:
    try:
        found = datetime.fromisoformat(value) if isinstance(value, str) else value
        if not isinstance(found, datetime):
            return None
        aware = found if found.tzinfo else found.replace(tzinfo=UTC)
        return aware.astimezone(UTC).isoformat()
    except (ValueError, OverflowError):
        return None


def _text(value: object) -> str | None:
    is_text = isinstance(value, str) and len(value) <= MAX_TEXT and not UNSTORABLE.search(value)
    return value if is_text and isinstance(value, str) else None


def _image(value: object, column: Mapping[str, Any], images: Images) -> str:
    if not isinstance(value, bytes) or not value.startswith(PNG) or not value.endswith(PNG_END):
        raise InvalidRecordError(
            f"{column['name']!r} holds no whole PNG: give the bytes of one, or leave it out"
        )
    if len(value) > MAX_IMAGE:
        raise InvalidRecordError(
            f"an image in {column['name']!r} has {len(value):,} bytes; {MAX_IMAGE:,} can be kept:"
            " make it smaller"
        )
    sha256 = hashlib.sha256(value).hexdigest()
    images[sha256] = value
    return sha256


_STORED: Mapping[str, Callable[[object], object]] = {
    "number": _number,
    "integer": _integer,
    "boolean": _boolean,
    "datetime": _datetime,
    "category": _text,
    "text": _text,
    "image": lambda value: value,
}
