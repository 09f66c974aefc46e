"""What was asked and answered before a question: along its chain, or in its session."""

from storage.engine import Database
from storage.errors import NotFoundError
from storage.history import prompt_record, prompts, readable_prompts
from storage.models.access import SessionRow, UserRow
from storage.models.prompts import PromptRow
from storage.records import Principal, PromptId, PromptRecord


def chain_to(
    database: Database, prompt_id: PromptId, *, principal: Principal, limit: int
) -> list[PromptRecord]:
    """The exchange `prompt_id` and those that it follows, oldest first, `limit` at most.

    Raises `NotFoundError` for one that is missing or not for `principal`; a chain that goes on in
    what is not for them ends there.
    """
    found: list[PromptRecord] = []
    key: str | None = prompt_id
    with database.read() as connection:
        while key is not None and len(found) < limit:
            statement = prompts().where(readable_prompts(principal), PromptRow.prompt_id == key)
            row = connection.execute(statement).mappings().first()
            if row is None:
                break
            found.append(prompt_record(row))
            key = row["parent_id"]
    if not found:
        raise NotFoundError(f"there is no prompt {prompt_id!r}; `rag history list` shows what is")
    return found[::-1]


def latest_in_session(
    database: Database, session: str, *, user: str, principal: Principal, limit: int
) -> list[PromptRecord]:
    """The last exchanges of a user's session that were answered, oldest first."""
    statement = (
        prompts()
        .where(
            readable_prompts(principal),
            UserRow.name == user,
            SessionRow.name == session,
            PromptRow.status == "completed",
        )
        .order_by(PromptRow.created_at.desc(), PromptRow.prompt_id.desc())
        .limit(limit)
    )
    with database.read() as connection:
        rows = connection.execute(statement).mappings().all()
    return [prompt_record(row) for row in reversed(rows)]
