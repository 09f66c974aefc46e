"""Which exchanges are still on record, and which a model has answered."""

from collections.abc import Sequence

from sqlalchemy import func, select

from storage.bulk import rows_where
from storage.engine import Database
from storage.models.prompts import PromptRow


def prompts_there(database: Database, prompt_ids: Sequence[str]) -> frozenset[str]:
    """Those of `prompt_ids` that are on record."""
    with database.read() as connection:
        found = rows_where(connection, select(PromptRow.prompt_id), PromptRow.prompt_id, prompt_ids)
        return frozenset(row.prompt_id for row in found)


def answers_by(database: Database, model: str) -> int:
    """How many exchanges name this model."""
    statement = select(func.count()).select_from(PromptRow).where(PromptRow.model == model)
    with database.read() as connection:
        return connection.execute(statement).scalar_one()
