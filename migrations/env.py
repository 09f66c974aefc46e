"""Runs migrations on the connection that `storage.schema` hands over, inside its transaction."""

from alembic import context

from storage.models.tables import METADATA


def _is_modelled(name: str | None, kind: str, _parents: object) -> bool:
    """The words of prompts stand in a table of another form on each database, which SQLite keeps
    in more tables of its own."""
    return not (kind == "table" and str(name).startswith("prompt_words"))


context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=METADATA,
    render_as_batch=True,
    compare_type=True,
    include_name=_is_modelled,
)
context.run_migrations()
