"""One exchange for one key of one user, however often a request is sent."""

from datetime import timedelta
from typing import Any

from sqlalchemy import Connection, Row, bindparam, select, update

from storage.clock import now
from storage.errors import AlreadyAskedError, IdempotencyKeyError
from storage.models.access import UserRow
from storage.models.prompts import PromptRow
from storage.records import PromptId

LOST_AFTER = timedelta(minutes=15)
"""An exchange that has not ended by then is taken for what a crash left behind."""
LOST = "given up: it had not ended when it was asked again under its idempotency key"

Holder = Row[*tuple[Any, ...]]

_HOLDER = (
    select(
        PromptRow.prompt_id,
        PromptRow.question,
        PromptRow.collection,
        PromptRow.status,
        PromptRow.created_at,
        UserRow.name.label("user"),
    )
    .join(UserRow, UserRow.user_id == PromptRow.user_id)
    .where(UserRow.name == bindparam("user"), PromptRow.idempotency_key == bindparam("key"))
)
_RELEASE = (
    update(PromptRow).where(PromptRow.prompt_id == bindparam("of")).values(idempotency_key=None)
)


def holder(connection: Connection, *, user: str, key: str) -> Holder | None:
    """The exchange that has this key of this user."""
    return connection.execute(_HOLDER, {"user": user, "key": key}).first()


def check_same(held: Holder, *, key: str, question: str, collection: str) -> None:
    """Raise `IdempotencyKeyError` for a key that something else was asked under."""
    if (held.question, held.collection) != (question, collection):
        raise IdempotencyKeyError(
            f"the idempotency key {key!r} was used for another question; use a key once"
        )


def is_lost(held: Holder) -> bool:
    """Whether nothing can be expected of an exchange that is on record as under way."""
    return bool(held.status == "started" and held.created_at < now() - LOST_AFTER)


def came_to_nothing(held: Holder) -> bool:
    """Whether its key may be used once more."""
    return held.status in ("failed", "cancelled") or is_lost(held)


def already_asked(key: str, prompt_id: str) -> AlreadyAskedError:
    """What is said while the answer is not there."""
    return AlreadyAskedError(
        f"what was asked with the idempotency key {key!r} is still being answered, as prompt"
        f" {prompt_id!r}; ask again later with the same key for its answer"
    )


def release(connection: Connection, prompt_id: PromptId) -> None:
    """Take its key from an exchange."""
    connection.execute(_RELEASE, {"of": prompt_id})
