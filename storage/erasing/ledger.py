"""The record of erasures: begun before anything goes, noted step by step, certified at the end."""

import hashlib
import json
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from importlib.metadata import PackageNotFoundError, version
from typing import Any, Literal

from sqlalchemy import RowMapping, insert, select, update

from storage.clock import now
from storage.engine import Database
from storage.errors import NotFoundError
from storage.models.erasure import ErasureRow

Kind = Literal["user", "session", "document", "source", "prune", "redact", "record"]
_AGAIN = "again"
_PROGRAM = "rag-pipeline-service"
_ROWS = select(ErasureRow.__table__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Erasure:
    """An erasure that was begun."""

    erasure_id: int
    kind: Kind
    subject_sha256: str
    salt: str
    requested_by: str
    started_at: datetime
    completed_at: datetime | None
    plan: Mapping[str, Any]
    done: Mapping[str, Any]
    generation: int | None
    certificate: Mapping[str, Any] | None

    def is_due(self, step: str) -> bool:
        """Whether a step was not done yet, or has to be done again."""
        return step not in self.done or step in self.done.get(_AGAIN, ())


@dataclass(frozen=True, slots=True)
class Ledger:
    """All erasures of a database."""

    database: Database

    def begin(
        self,
        kind: Kind,
        subject: str,
        *,
        requested_by: str,
        plan: Mapping[str, Any],
        salt: str | None = None,
    ) -> Erasure:
        """Put on record that `subject` is to be erased; of it only a salted hash is kept. `salt`
        is a `new_salt`, where the plan holds hashes under it."""
        salt = salt or new_salt()
        with self.database.write() as connection:
            key = connection.execute(
                insert(ErasureRow)
                .values(
                    kind=kind,
                    subject_sha256=subject_sha256(salt, subject),
                    salt=salt,
                    requested_by=requested_by,
                    started_at=now(),
                    plan=dict(plan),
                    done={},
                )
                .returning(ErasureRow.erasure_id)
            ).scalar_one()
        return self.find(key)

    def find(self, erasure_id: int) -> Erasure:
        """Raises `NotFoundError`."""
        with self.database.read() as connection:
            row = connection.execute(_ROWS.filter_by(erasure_id=erasure_id)).mappings().first()
        if row is None:
            raise NotFoundError(f"there is no erasure {erasure_id}; `rag forget list` shows all")
        return _erasure(row)

    def unfinished(self) -> list[Erasure]:
        """Those that were begun and not completed, oldest first."""
        return self._all(ErasureRow.completed_at.is_(None))

    def all(self) -> list[Erasure]:
        """Oldest first."""
        return self._all(ErasureRow.erasure_id > 0)

    def _all(self, condition: Any) -> list[Erasure]:
        statement = _ROWS.where(condition).order_by(ErasureRow.erasure_id)
        with self.database.read() as connection:
            return [_erasure(row) for row in connection.execute(statement).mappings()]

    def note(self, erasure: Erasure, step: str, counts: Mapping[str, Any]) -> Erasure:
        """Put on record that a step is done; what it counts is added to what it did before."""
        again = [name for name in erasure.done.get(_AGAIN, ()) if name != step]
        before = erasure.done.get(step, {})
        done = {**erasure.done, step: _added(before, counts), _AGAIN: again}
        return self._changed(erasure, done=done)

    def repeat(self, erasure: Erasure, steps: Sequence[str]) -> Erasure:
        """Let these of the steps that were done be done again."""
        again = [name for name in steps if name in erasure.done]
        return self._changed(erasure, done={**erasure.done, _AGAIN: again})

    def plan(self, erasure: Erasure, plan: Mapping[str, Any]) -> Erasure:
        """Change what is to be done."""
        return self._changed(erasure, plan=dict(plan))

    def complete(self, erasure: Erasure, more: Mapping[str, Any]) -> Erasure:
        """Put the certificate on record, and drop the plan."""
        at = now()
        certificate = certificate_of(erasure, at, more)
        return self._changed(erasure, completed_at=at, plan=None, certificate=certificate)

    def _changed(self, erasure: Erasure, **values: Any) -> Erasure:
        with self.database.write() as connection:
            connection.execute(
                update(ErasureRow)
                .where(ErasureRow.erasure_id == erasure.erasure_id)
                .values(**values)
            )
        return self.find(erasure.erasure_id)


def new_salt() -> str:
    """Under which to hash what must not be known from a plan."""
    return secrets.token_hex(16)


def _added(before: Mapping[str, Any], counts: Mapping[str, Any]) -> dict[str, Any]:
    """Numbers are summed, and lists joined, in which each stands once."""
    both = {name: _both(before[name], counts[name]) for name in before.keys() & counts.keys()}
    return {**before, **counts, **both}


def _both(before: Any, now: Any) -> Any:
    if isinstance(now, list):
        return [*before, *(one for one in now if one not in before)]
    return now if isinstance(now, Mapping) else before + now


def subject_sha256(salt: str, subject: str) -> str:
    """What stands in a certificate for whoever or whatever was forgotten."""
    return hashlib.sha256(f"{salt}\n{subject}".encode("utf-8", "surrogatepass")).hexdigest()


def certificate_of(erasure: Erasure, at: datetime, more: Mapping[str, Any]) -> dict[str, Any]:
    """What was done, without a word of what it was done to; `sha256` is over all other keys."""
    said = {
        "erasure_id": erasure.erasure_id,
        "kind": erasure.kind,
        "subject_sha256": erasure.subject_sha256,
        "salt": erasure.salt,
        "requested_by": erasure.requested_by,
        "started_at": erasure.started_at.isoformat(),
        "completed_at": at.isoformat(),
        "generation": erasure.generation,
        "program": f"{_PROGRAM} {_version()}",
        **more,
    }
    return {**said, "sha256": certificate_sha256(said)}


def certificate_sha256(certificate: Mapping[str, Any]) -> str:
    """The hash that a certificate has to have: of its other keys, as JSON with sorted keys."""
    said = {key: value for key, value in certificate.items() if key != "sha256"}
    return hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()


def _version() -> str:
    try:
        return version(_PROGRAM)
    except PackageNotFoundError:
        return "unknown"


def _erasure(row: RowMapping) -> Erasure:
    return Erasure(**{**row, "plan": row["plan"] or {}})
