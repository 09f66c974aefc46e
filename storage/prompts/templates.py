"""Prompt templates, named and versioned: versions are added, never changed."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, func, select

from storage.clock import now
from storage.engine import Database
from storage.errors import InvalidRecordError, NotFoundError, StorageError
from storage.inserting import leave_known
from storage.models.prompts import TemplateRow
from storage.names import check_name, check_text

_TRIES = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class TemplateText:
    """What a template says; the question has {text} and {question} where those go."""

    system: str
    question: str
    lead_in: str = ""

    @property
    def sha256(self) -> str:
        """The same for the same text, in hexadecimal."""
        parts = json.dumps([self.system, self.question, self.lead_in])
        return hashlib.sha256(parts.encode()).hexdigest()


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredTemplate:
    """One version of a named template."""

    template_id: int
    name: str
    version: int
    text: TemplateText
    sha256: str
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Templates:
    """All templates of a database."""

    database: Database

    def add(self, name: str, text: TemplateText) -> StoredTemplate:
        """The newest version of `name`; no new one if it says just this.

        Raises `InvalidRecordError`.
        """
        check_name(name, "a template")
        for part in (text.system, text.question, text.lead_in):
            check_text(part, "the template")
        with self.database.write() as connection:
            for _ in range(_TRIES):
                newest = _newest(connection, name)
                if newest is not None and newest.sha256 == text.sha256:
                    return _template(newest)
                _insert_once(connection, name, 1 if newest is None else newest.version + 1, text)
        raise StorageError(f"the template {name!r} changes all the time; add it again")

    def find(self, name: str, version: int | None = None) -> StoredTemplate:
        """That version, or the newest. Raises `NotFoundError`."""
        check_name(name, "a template")
        with self.database.read() as connection:
            row = _newest(connection, name, version)
        if row is None:
            shown = name if version is None else f"{name}@{version}"
            raise NotFoundError(
                f"there is no prompt template {shown!r}; `rag prompts list` shows what is"
            )
        return _template(row)

    def all(self) -> Sequence[StoredTemplate]:
        """Every version of every template, by name, the newest first."""
        with self.database.read() as connection:
            return all_templates(connection)


def _newest(
    connection: Connection, name: str, version: int | None = None
) -> Row[*tuple[Any, ...]] | None:
    statement = select(TemplateRow.__table__).filter_by(name=name)
    if version is None:
        latest = select(func.max(TemplateRow.version)).filter_by(name=name).scalar_subquery()
        statement = statement.where(TemplateRow.version == latest)
    else:
        statement = statement.filter_by(version=version)
    return connection.execute(statement).first()


def _insert_once(
    connection: Connection,
    name: str,
    version: int,
    text: TemplateText,
    created_at: datetime | None = None,
) -> None:
    """Unless somebody else has added that version at the same time."""
    new = leave_known(TemplateRow, connection.dialect.name).values(
        name=name,
        version=version,
        system=text.system,
        question=text.question,
        lead_in=text.lead_in,
        sha256=text.sha256,
        created_at=created_at or now(),
    )
    connection.execute(new)


def all_templates(connection: Connection) -> list[StoredTemplate]:
    """Every version of every template, by name, the newest first."""
    statement = select(TemplateRow.__table__).order_by(TemplateRow.name, TemplateRow.version.desc())
    return [_template(row) for row in connection.execute(statement)]


def kept_template(connection: Connection, template: StoredTemplate) -> int:
    """The key of a version that comes from elsewhere, kept if it is not here: under the next
    number where its own says something else."""
    for version in range(template.version, template.version + _TRIES):
        row = _newest(connection, template.name, version)
        if row is None:
            _insert_once(connection, template.name, version, template.text, template.created_at)
            row = _newest(connection, template.name, version)
        if row is not None and row.sha256 == template.sha256:
            key: int = row.template_id
            return key
    raise InvalidRecordError(f"the template {template.name!r} has too many other versions here")


def _template(row: Row[*tuple[Any, ...]]) -> StoredTemplate:
    return StoredTemplate(
        template_id=row.template_id,
        name=row.name,
        version=row.version,
        text=TemplateText(system=row.system, question=row.question, lead_in=row.lead_in),
        sha256=row.sha256,
        created_at=row.created_at,
    )
