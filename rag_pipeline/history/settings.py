"""How long exchanges are kept."""

import re
from datetime import timedelta
from typing import Self

from pydantic import BaseModel, ConfigDict, field_validator, model_validator

from storage.errors import InvalidRecordError

EVERY_OTHER = "*"
"""In place of an application's name: the exchanges of all that have no policy of their own."""
_AGE = re.compile(r"(\d{1,5})\s*([hdwy])", re.ASCII)
_UNITS = {
    "h": timedelta(hours=1),
    "d": timedelta(days=1),
    "w": timedelta(weeks=1),
    "y": timedelta(days=365),
}
_OLDEST = timedelta(days=365 * 1000)


def age(text: str) -> timedelta:
    """How long `90d`, `12h`, `8w` or `2y` is. Raises `InvalidRecordError` for anything else."""
    found = _AGE.fullmatch(text.strip())
    meant = int(found[1]) * _UNITS[found[2]] if found else timedelta()
    if not timedelta() < meant <= _OLDEST:
        raise InvalidRecordError(
            f"{text[:40]!r} is no age; write hours, days, weeks or years like 12h, 90d, 8w or 2y"
        )
    return meant


class RetentionPolicy(BaseModel):
    """What becomes of the exchanges of one application."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    older_than: str | None = None
    """Pruned when they are older: 12h, 90d, 8w, 2y."""
    keep_rated: bool = False
    """Those that somebody scored, commented on or corrected stay."""
    keep: bool = False
    """All of them stay, whatever is said of every other application."""

    @field_validator("older_than")
    @classmethod
    def _is_age(cls, given: str | None) -> str | None:
        try:
            return given if given is None or age(given) else None
        except InvalidRecordError as error:
            raise ValueError(str(error)) from error

    @model_validator(mode="after")
    def _says_one_thing(self) -> Self:
        if self.keep == (self.older_than is not None):
            raise ValueError("it needs either older_than, or keep = true, and not both")
        if self.keep and self.keep_rated:
            raise ValueError("it keeps everything, so keep_rated says nothing; leave one out")
        return self
