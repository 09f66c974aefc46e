"""Words and categories under which people find an exchange again."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, delete, insert, select, update

from storage.bulk import rows_where
from storage.engine import Database
from storage.errors import InvalidRecordError
from storage.inserting import leave_known
from storage.models.prompts import PromptRow, PromptTagRow
from storage.names import check_name
from storage.prepared import change
from storage.prompts.access import resolved
from storage.prompts.rollups import recounted
from storage.records import Principal

MAX_TAGS = 50
_NEW = insert(PromptTagRow)


def checked_tags(tags: Iterable[str]) -> tuple[str, ...]:
    """Each once, in order. Raises `InvalidRecordError`."""
    distinct = sorted(set(tags))
    for tag in distinct:
        check_name(tag, "a tag")
    if len(distinct) > MAX_TAGS:
        raise InvalidRecordError(f"{len(distinct)} tags are too many; give at most {MAX_TAGS}")
    return tuple(distinct)


def add_tags(connection: Connection, prompt_id: str, tags: Sequence[str]) -> None:
    """Put `tags` on a new exchange."""
    if tags:
        change(connection, _NEW, [{"prompt_id": prompt_id, "tag": tag} for tag in tags])


def all_tags(connection: Connection, keys: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """The tags of each of these exchanges, in order."""
    statement = select(PromptTagRow.prompt_id, PromptTagRow.tag).order_by(PromptTagRow.tag)
    found: dict[str, list[str]] = {}
    for row in rows_where(connection, statement, PromptTagRow.prompt_id, keys):
        found.setdefault(row.prompt_id, []).append(row.tag)
    return {key: tuple(tags) for key, tags in found.items()}


@dataclass(frozen=True, slots=True)
class PromptTags:
    """Changes where exchanges that are on record belong."""

    database: Database

    def change(
        self,
        prompt_id: str,
        *,
        principal: Principal,
        add: Iterable[str] = (),
        remove: Iterable[str] = (),
    ) -> tuple[str, ...]:
        """The tags of the exchange after that, in order; what is there or gone already is fine.

        A unique beginning of the id is enough. Raises `NotFoundError` for one that the principal
        may not read, `InvalidRecordError`.
        """
        added, removed = checked_tags(add), set(remove)
        with self.database.write() as connection:
            key = resolved(connection, prompt_id, principal)
            with recounted(connection, [key]):
                before = all_tags(connection, [key]).get(key, ())
                after = checked_tags({*before, *added} - removed)
                _remove(connection, key, set(before) - set(after))
                _add_once(connection, key, sorted(set(after) - set(before)))
        return after

    def categorise(self, prompt_id: str, category: str | None, *, principal: Principal) -> None:
        """Put an exchange into a category, or None: into none.

        A unique beginning of the id is enough. Raises `NotFoundError` for one that the principal
        may not read, `InvalidRecordError`.
        """
        check_name(category, "a category")
        with self.database.write() as connection:
            key = resolved(connection, prompt_id, principal)
            with recounted(connection, [key]):
                connection.execute(
                    update(PromptRow).where(PromptRow.prompt_id == key).values(category=category)
                )


def _remove(connection: Connection, prompt_id: str, tags: Iterable[str]) -> None:
    gone = sorted(tags)
    if gone:
        connection.execute(
            delete(PromptTagRow).where(
                PromptTagRow.prompt_id == prompt_id, PromptTagRow.tag.in_(gone)
            )
        )


def _add_once(connection: Connection, prompt_id: str, tags: Sequence[str]) -> None:
    """Also when somebody else adds them at the same time."""
    if tags:
        new = leave_known(PromptTagRow, connection.dialect.name)
        change(connection, new, [{"prompt_id": prompt_id, "tag": tag} for tag in tags])
