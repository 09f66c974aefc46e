"""`rag.forget`: takes a user, a conversation, a document, a source or records of a set out of
everything, and proves it.

An erasure is a list of steps. Each may be repeated without harm and is noted when it is done, so
that one that was broken off is completed by running it again; nothing is forgotten of it before
the proof. `docs/decisions/0023-an-erasure-is-a-list-of-steps-and-a-scan.md` says what it can't
reach.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from rag_pipeline.composition import Composition
from rag_pipeline.erasure_steps import DOCUMENT_STEPS, PERSON_STEPS, Job, Step
from rag_pipeline.record_erasure import RECORD_STEPS, Concerned, concerned
from storage.erasing import going, people
from storage.erasing.ledger import Erasure, Ledger, new_salt
from storage.errors import ErasureError, NotFoundError
from storage.locks import ERASING
from storage.records import Principal
from storage.words import UNSTORABLE

Kind = Literal["user", "session", "document", "source"]
Watch = Callable[[str], None]
_STEPS = {
    "user": PERSON_STEPS,
    "session": PERSON_STEPS,
    "document": DOCUMENT_STEPS,
    "source": DOCUMENT_STEPS,
    "record": RECORD_STEPS,
}
_CERTIFICATES = "certificates"


@dataclass(frozen=True, slots=True, kw_only=True)
class Forgotten:
    """An erasure that is complete."""

    certificate: Mapping[str, Any]
    """Without a word of what was erased; `sha256` is over all its other keys."""
    path: Path | None
    """Where it is kept too; None where the disk refused."""


def ignore(_step: str) -> None:
    """For who does not watch."""


@dataclass(frozen=True, slots=True)
class Forgetting:
    """Forgets what an owner names. Raises `ErasureError` for anybody else, and for an erasure that
    can't be completed now: `resume` goes on with it."""

    parts: Composition
    principal: Principal
    watch: Watch = ignore
    """Is told of each step before it begins."""

    def user(self, name: str, *, compact: bool = False) -> Forgotten:
        """All that somebody asked, was told, said of answers and uploaded. Raises
        `NotFoundError`."""
        return self._begun("user", name, self._person(name, None), compact=compact)

    def session(self, user: str, name: str, *, compact: bool = False) -> Forgotten:
        """One conversation of a user. Raises `NotFoundError`."""
        subject = f"{user}\n{name}"
        return self._begun("session", subject, self._person(user, name), compact=compact)

    def document(
        self,
        external_id: str,
        *,
        collection: str | None = None,
        everywhere: bool = False,
        compact: bool = False,
    ) -> Forgotten:
        """The document that its sources give this id, or that has this key, in all its versions.

        A text that another source has too stays with that one; `everywhere` takes it from all.
        Raises `NotFoundError`, and `LeaseBusyError` never: it waits for other writers.
        """
        plan = self._corpus("document", external_id, collection, everywhere=everywhere)
        return self._begun("document", external_id, plan, compact=compact)

    def source(
        self, uri: str, *, collection: str | None = None, compact: bool = False
    ) -> Forgotten:
        """All that was found at one place, as `document` forgets it. Raises `NotFoundError`."""
        plan = self._corpus("source", uri, collection, everywhere=False)
        return self._begun("source", uri, plan, compact=compact)

    def records(
        self, name: str, where: str, *, with_models: bool = False, compact: bool = False
    ) -> Forgotten:
        """The real records of the set `name` that fulfil `where`, a filter on its columns.

        A version that learnt from them stays, but draws no more; `with_models` removes it, with
        all that it drew. Raises `FilterError`, `NotFoundError`, and `InvalidRecordError` where it
        is true of all records.
        """
        self.resume()
        salt = new_salt()
        found = self.parts.record_sets.matching(name, where, salt=salt)
        plan = {
            "set": name,
            "records": found.records,
            "marks": sorted(found.marks),
            "datasets": [*found.datasets],
            "with_models": with_models,
        }
        return self._begun("record", f"{name}\n{where}", plan, compact=compact, salt=salt)

    def preview_records(self, name: str, where: str) -> Concerned:
        """What `records` would take out, and who has learnt it; nothing is changed. Raises as
        `records` does."""
        self._check_owner()
        return concerned(self.parts, name, where)

    def preview(
        self,
        kind: Kind,
        *subject: str,
        collection: str | None = None,
        everywhere: bool = False,
    ) -> Mapping[str, int]:
        """How much would go, by what it is; nothing is changed. Raises `NotFoundError`."""
        self._check_owner()
        database = self.parts.database
        if kind in ("user", "session"):
            plan = self._person(subject[0], subject[1] if kind == "session" else None)
            with database.read() as connection:
                return people.counted(connection, people.asker_of(plan))
        plan = self._corpus(kind, subject[0], collection, everywhere=everywhere)
        with database.read() as connection:
            return going.counted(connection, plan["sources"])

    def resume(self) -> list[Forgotten]:
        """Complete what was begun and broken off, oldest first; waits for erasures under way."""
        self._check_owner()
        with ERASING.held(self.parts.database):
            return self._resumed()

    def _resumed(self) -> list[Forgotten]:
        ledger = Ledger(self.parts.database)
        return [self._completed(ledger, erasure) for erasure in ledger.unfinished()]

    def erasures(self) -> Sequence[Erasure]:
        """All that there were, oldest first, finished or not."""
        self._check_owner()
        return Ledger(self.parts.database).all()

    def _person(self, user: str, session: str | None) -> dict[str, Any]:
        self._check_owner()
        with self.parts.database.read() as connection:
            if UNSTORABLE.search(f"{user}{session}"):
                found = None
            elif session is None:
                found = people.find_user(connection, user)
            else:
                found = people.find_session(connection, user, session)
        if found is None:
            shown = f"user {user!r}" if session is None else f"session {session!r} of {user!r}"
            raise NotFoundError(f"there is no {shown}; `rag history list` shows who asked")
        return {"user_id": found.user_id, "session_id": found.session_id}

    def _corpus(
        self, kind: str, name: str, collection: str | None, *, everywhere: bool
    ) -> dict[str, Any]:
        self._check_owner()
        key = None
        if collection is not None:
            found = self.parts.reader.collection(collection, principal=self.principal)
            key = found.collection_id
        sources: list[int] = []
        with self.parts.database.read() as connection:
            if UNSTORABLE.search(name):
                pass
            elif kind == "source":
                sources = going.sources_at(connection, name, key)
            else:
                sources = going.sources_of_document(connection, name, key, everywhere=everywhere)
        if not sources:
            raise NotFoundError(f"there is no {kind} {name!r}; `rag search` shows the ids of hits")
        return {"sources": sources}

    def _check_owner(self) -> None:
        if not self.principal.is_owner:
            raise ErasureError("only an owner may erase what is on record; ask one to")

    def _begun(
        self,
        kind: Kind | Literal["record"],
        subject: str,
        plan: Mapping[str, Any],
        *,
        compact: bool,
        salt: str | None = None,
    ) -> Forgotten:
        with ERASING.held(self.parts.database):
            self._resumed()
            ledger = Ledger(self.parts.database)
            erasure = ledger.begin(
                kind,
                subject,
                requested_by=self.principal.name,
                plan={**plan, "compact": compact},
                salt=salt,
            )
            return self._completed(ledger, erasure)

    def _completed(self, ledger: Ledger, erasure: Erasure) -> Forgotten:
        for name, step in _STEPS.get(erasure.kind, ()):
            if erasure.is_due(name):
                self.watch(name)
                erasure = _done(ledger, Job(self.parts, ledger, erasure), name, step)
        erasure = ledger.complete(erasure, _said(erasure))
        assert erasure.certificate is not None
        return Forgotten(
            certificate=erasure.certificate, path=_kept(self.parts.settings.home, erasure)
        )


def _done(ledger: Ledger, job: Job, name: str, step: Step) -> Erasure:
    counts = step(job)
    return ledger.note(ledger.find(job.erasure.erasure_id), name, counts)


def _said(erasure: Erasure) -> dict[str, Any]:
    """What the certificate says of what was done. (What has no steps, a pruning, was done before
    it was put on record.)"""
    if erasure.kind not in _STEPS:
        return {"counts": {}}
    done = dict(erasure.done)
    proof, compacted = done.pop("scan"), done.pop("compact")
    exports = {**done.pop("exports", {}), **done.pop("learners", {})}
    done.pop("again", None)
    counts = {step: counted for step, counted in done.items() if counted}
    return {"counts": counts, "scan": proof, **exports, "not_reached": compacted["not_reached"]}


def _kept(home: Path, erasure: Erasure) -> Path | None:
    """The certificate as a file of the home; the database has it in any case."""
    path = home / _CERTIFICATES / f"erasure-{erasure.erasure_id}.json"
    try:
        path.parent.mkdir(exist_ok=True)
        path.write_text(f"{json.dumps(erasure.certificate, indent=2)}\n", encoding="utf-8")
    except OSError:
        return None
    return path
