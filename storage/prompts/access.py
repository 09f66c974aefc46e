"""Which exchanges a principal may read; foreign and missing look the same."""

import re

from sqlalchemy import ColumnElement, Connection, select, true

from storage.errors import NotFoundError
from storage.models.access import UserRow
from storage.models.prompts import PromptRow
from storage.records import Principal, PromptId
from storage.words import UNSTORABLE

_BEGINNING = re.compile(r"[0-9a-f]{1,32}")
_NUMBERED = 17
"""Digits of an id that its number holds."""
_LARGEST = 2**63 - 1


def number_of(prompt_id: str) -> int:
    """The id as a whole number of 61 bits, in the same order: milliseconds, then twenty bits
    of what follows them."""
    return int(prompt_id[:12], 16) << 20 | int(prompt_id[12:_NUMBERED], 16)


def readable_prompts(principal: Principal) -> ColumnElement[bool]:
    """An owner reads every exchange, others their own."""
    return true() if principal.is_owner else UserRow.name == principal.name


def require_readable(connection: Connection, prompt_id: str, principal: Principal) -> None:
    """Raise `NotFoundError` for an exchange that the principal may not read."""
    statement = (
        select(PromptRow.prompt_id)
        .join(UserRow, UserRow.user_id == PromptRow.user_id)
        .where(PromptRow.prompt_id == prompt_id, readable_prompts(principal))
    )
    if UNSTORABLE.search(prompt_id) or connection.execute(statement).first() is None:
        raise missing(prompt_id)


def resolved(connection: Connection, beginning: str, principal: Principal) -> PromptId:
    """The id of the one exchange whose id begins so.

    Raises `NotFoundError` where the principal may read none, or more than one.
    """
    if not _BEGINNING.fullmatch(beginning):
        raise missing(beginning)
    lowest, highest = (
        min(number_of(beginning.ljust(_NUMBERED, digit)), _LARGEST) for digit in "0f"
    )
    statement = (
        select(PromptRow.prompt_id)
        .join(UserRow, UserRow.user_id == PromptRow.user_id)
        .where(
            readable_prompts(principal),
            # An index has the numbers in order; none helps to find how an id begins.
            PromptRow.number.between(lowest, highest),
            PromptRow.prompt_id.startswith(beginning),
        )
        .limit(2)
    )
    found = connection.execute(statement).scalars().all()
    if not found:
        raise missing(beginning)
    if len(found) > 1:
        raise NotFoundError(f"more than one prompt begins with {beginning!r}; give more")
    return PromptId(found[0])


def missing(prompt_id: str) -> NotFoundError:
    """What is said of an exchange that is not there, or not for whoever asks."""
    return NotFoundError(f"there is no prompt {prompt_id!r}; `rag history list` shows what is")
