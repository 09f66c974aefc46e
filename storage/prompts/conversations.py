"""What was asked and answered before a question: along its chain, or in its session."""

from sqlalchemy import CTE, literal, select

from storage.engine import Database
from storage.history import prompt_record, prompts
from storage.models.access import SessionRow, UserRow
from storage.models.prompts import PromptRow
from storage.prompts.access import missing, readable_prompts
from storage.records import Principal, PromptId, PromptRecord
from storage.words import UNSTORABLE


def chain_to(
    database: Database, prompt_id: PromptId, *, principal: Principal, limit: int
) -> list[PromptRecord]:
    """The exchange `prompt_id` and those that it follows, oldest first, `limit` at most.

    Raises `NotFoundError` for one that is missing or not for `principal`; a chain that goes on in
    what is not for them ends there.
    """
    if UNSTORABLE.search(prompt_id):
        raise missing(prompt_id)
    chain = _chain_up(prompt_id, principal, limit)
    statement = prompts().join(chain, chain.c.prompt_id == PromptRow.prompt_id)
    with database.read() as connection:
        rows = connection.execute(statement.order_by(chain.c.height.desc())).mappings().all()
    if not rows:
        raise missing(prompt_id)
    return [prompt_record(row) for row in rows]


def _chain_up(prompt_id: PromptId, principal: Principal, limit: int) -> CTE:
    """The ids of an exchange and of those above it, and how far above; `limit` at most."""
    readable = (
        select(PromptRow.prompt_id, PromptRow.parent_id)
        .join(UserRow, UserRow.user_id == PromptRow.user_id)
        .where(readable_prompts(principal))
    )
    chain = (
        readable.add_columns(literal(0).label("height"))
        .where(PromptRow.prompt_id == prompt_id)
        .cte("chain", recursive=True)
    )
    return chain.union_all(
        readable.add_columns(chain.c.height + 1)
        .join(chain, chain.c.parent_id == PromptRow.prompt_id)
        .where(chain.c.height < limit - 1)
    )


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
