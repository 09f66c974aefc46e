"""Which generation is served: the newest, unless a quality gate holds it back.

Only a writer may move the gate, under its lease: a run that lost the lease can neither publish
what it was to judge nor hold back what another has committed since.
"""

from sqlalchemy import select, update

from storage.engine import Database
from storage.errors import NotFoundError
from storage.generation import hold_fence
from storage.models.corpus import CorpusStateRow


def held_at(database: Database) -> int | None:
    """The generation that is served while later ones are held back; None while none is."""
    with database.read() as connection:
        return connection.execute(select(CorpusStateRow.held_at)).scalar_one()


def hold(database: Database, generation: int, *, fence: int) -> None:
    """Serve `generation`, whatever is committed, until it is released; 0 serves nothing.

    Raises `LeaseLostError` if another writer took over, `NotFoundError` for a generation that is
    not there.
    """
    with database.write() as connection:
        hold_fence(connection, fence)
        newest = connection.execute(select(CorpusStateRow.generation)).scalar_one()
        if not 0 <= generation <= newest:
            raise NotFoundError(
                f"generation {generation} can't be held: there are 0 to {newest}; name one of them"
            )
        connection.execute(update(CorpusStateRow).values(held_at=generation))


def release(database: Database, *, fence: int) -> None:
    """Serve the newest generation. Raises `LeaseLostError` if another writer took over."""
    with database.write() as connection:
        hold_fence(connection, fence)
        connection.execute(update(CorpusStateRow).values(held_at=None))
