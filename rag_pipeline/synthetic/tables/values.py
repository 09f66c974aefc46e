"""Single values of records: what they say in a column of some kind."""

import math
from collections.abc import Mapping
from datetime import UTC, date, datetime
from typing import Any, Literal, get_args

from storage.record_sets.coding import PNG

Kind = Literal["number", "integer", "boolean", "datetime", "category", "text", "image"]
KINDS: tuple[Kind, ...] = get_args(Kind)

_TRUTHS: Mapping[str, float] = {"true": 1.0, "false": 0.0, "1": 1.0, "0": 0.0}
_LARGEST_WHOLE = 2.0**53


def given(value: object) -> object:
    """A value as it counts: what says nothing is None."""
    if isinstance(value, str):
        return value.strip() or None
    if isinstance(value, float) and math.isnan(value):
        return None
    if isinstance(value, bytearray | memoryview):
        return bytes(value)
    return value.isoformat() if isinstance(value, date) else value


def number_of(value: object, kind: Kind) -> float | None:
    """The number that `value` is in a column of that kind; None where it is none. (SQLite and many
    files say 1 and 0 for what is true and false.)"""
    if kind == "boolean":
        return float(value) if isinstance(value, bool) else _TRUTHS.get(str(value).lower())
    if kind == "datetime":
        return _instant(value)
    said = str(value)
    try:
        number = float(said)
    except ValueError:
        return None
    # Python reads 1_2 as 12; nobody who writes a table does.
    if isinstance(value, bool) or not math.isfinite(number) or "_" in said:
        return None
    is_whole = number == int(number) and abs(number) <= _LARGEST_WHOLE
    return number if kind == "number" or is_whole else None


def is_no_finite_number(value: object) -> bool:
    """Whether it is what programs write for infinite numbers and for what is no number."""
    try:
        return not math.isfinite(float(str(value)))
    except ValueError:
        return False


def name_of(value: object) -> str | None:
    """The name or text that `value` is; None where it is neither."""
    if isinstance(value, bytes | Mapping | list | tuple | set):
        return None
    return str(value)


def image_of(value: object) -> bytes | None:
    """The PNG that `value` is; None where it is none."""
    return value if isinstance(value, bytes) and value.startswith(PNG) else None


def shown(value: Any, kind: Kind) -> Any:
    """A value of a table as JSON has it, times in ISO 8601; of an image, its bytes."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return None
    if kind == "boolean":
        return bool(value)
    if kind == "integer":
        return int(value)
    if kind == "datetime":
        return datetime.fromtimestamp(value, UTC).isoformat()
    return value


def _instant(value: object) -> float | None:
    if not isinstance(value, str):
        return None
    try:
        found = datetime.fromisoformat(value)
        return (found if found.tzinfo else found.replace(tzinfo=UTC)).astimezone(UTC).timestamp()
    except (ValueError, OverflowError):
        return None
