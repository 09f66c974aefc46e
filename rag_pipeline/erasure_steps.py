"""The steps of an erasure, in their order. Each may be repeated without harm."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

from rag_pipeline.composition import Composition
from storage.erasing import documents, exports, going, people, quoting
from storage.erasing.compaction import compact
from storage.erasing.going import Going
from storage.erasing.ledger import Erasure, Ledger
from storage.erasing.leftovers import remove_leftovers
from storage.erasing.needles import Needles, window_of_name
from storage.erasing.prompts import remove_prompts
from storage.erasing.quoting import HISTORY, Quoting
from storage.erasing.scan import elsewhere, scan
from storage.errors import ErasureError
from storage.lease import writer_lease
from storage.records import LOCAL_OWNER, SourceId

NEEDLES = 4_096
"""Windows of each width that are kept to look for at the end: the same sample each time."""


@dataclass(frozen=True, slots=True)
class Job:
    """An erasure and what it takes to carry it out."""

    parts: Composition
    ledger: Ledger
    erasure: Erasure

    @property
    def plan(self) -> Mapping[str, Any]:
        return self.erasure.plan

    @property
    def going(self) -> Going:
        return Going.from_json(self.plan["going"])

    @property
    def needles(self) -> Needles:
        return Needles.from_json(self.erasure.salt, self.plan.get("needles", {}))

    def replan(self, **more: Any) -> "Job":
        """The same with a plan that says more."""
        erasure = self.ledger.plan(self.erasure, {**self.plan, **more})
        return Job(self.parts, self.ledger, erasure)


Step: TypeAlias = Callable[[Job], Mapping[str, Any]]


def _survey_person(job: Job) -> Mapping[str, Any]:
    """Learn what to look for at the end, as long as it is there."""
    database, salt = job.parts.database, job.erasure.salt
    who = people.asker_of(job.plan)
    with database.read() as connection:
        found = Needles.of(salt, people.windows(connection, who, salt))
        stays = people.staying(connection, who)
    # Whoever asks for it stands in its certificate.
    asking = Needles.of(salt, window_of_name(job.erasure.requested_by, salt))
    needles = found.without(elsewhere(database, found, stays)).without(asking).sampled(NEEDLES)
    job.replan(needles=needles.as_json())
    return {}


def _export_person(job: Job) -> Mapping[str, Any]:
    with job.parts.database.read() as connection:
        prompts = people.exchange_ids(connection, people.asker_of(job.plan))
    return exports.taint(job.parts.versions, "prompt_id", prompts).as_json()


def _members_person(job: Job) -> Mapping[str, Any]:
    database, who = job.parts.database, people.asker_of(job.plan)
    with database.read() as connection:
        prompts = people.exchange_ids(connection, who)
        names = people.names(connection, who)
    taken = exports.take_out(job.parts.versions, "prompt_id", prompts)
    return {"members": taken, "data_sets": exports.unname(database, names)}


def _exchanges(job: Job) -> Mapping[str, Any]:
    who = people.asker_of(job.plan)
    return remove_prompts(job.parts.database, lambda: people.exchanges_of(who), is_disowned=True)


def _asker(job: Job) -> Mapping[str, Any]:
    who = people.asker_of(job.plan)
    counts: dict[str, int] = {}
    with job.parts.database.write() as connection:
        if who.session_id is None:
            counts |= people.remove_traces(connection, who.user_id)
            counts["prompt_scores"] = people.remove_opinions(connection, who.user_id)
        counts |= people.remove_asker(connection, who)
    return counts


def _withdraw(job: Job) -> Mapping[str, Any]:
    """Take it out of every search, in a generation of its own, as any removal does."""
    from ingest.pipeline import Observer
    from ingest.read import SourceDefaults

    database, removed = job.parts.database, 0
    with database.read() as connection:
        sources = going.all_versions(connection, job.plan["sources"])
        live = going.live_by_collection(connection, sources)
    for name in live:
        with job.parts.ingestion(name, defaults=SourceDefaults(), observer=Observer()) as work:
            with database.read() as connection:
                sources = going.all_versions(connection, sources)
                now = going.live_by_collection(connection, sources).get(name, [])
            work.remove([SourceId(source) for source in now])
            removed += len(now)
    return {"sources_removed": removed}


def _survey_corpus(job: Job) -> Mapping[str, Any]:
    with job.parts.database.read() as connection:
        goes = going.going_with(connection, job.plan["sources"])
    job.replan(going=goes.as_json())
    return {}


def _history(job: Job) -> Mapping[str, Any]:
    """Take its words out of what was asked and answered, as long as it is known what they are."""
    database, salt, goes = job.parts.database, job.erasure.salt, job.going
    with database.read() as connection:
        texts = Needles.of(salt, going.windows(connection, goes, salt))
        names = Needles.of(salt, going.names(connection, goes, salt))
        shown = quoting.shown_in(connection, goes.documents)
        places = going.places_of(connection, goes)
    stays = going.staying(goes)
    texts = texts.without(elsewhere(database, texts, {**stays, **dict.fromkeys(HISTORY)}))
    taking = Quoting(needles=texts, documents=frozenset(goes.documents), places=places, shown=shown)
    counts = quoting.take_out(database, taking)
    names = names.without(elsewhere(database, names, stays))
    job.replan(needles=texts.sampled(NEEDLES).joined(names.sampled(NEEDLES)).as_json())
    return counts


def _export_corpus(job: Job) -> Mapping[str, Any]:
    """Data sets of documents, and of exchanges that had to be redacted."""
    versions = job.parts.versions
    places, quoted = _places_and_quoted(job)
    tainted = exports.taint(versions, "external_id", {external_id for _, external_id in places})
    tainted.add(exports.taint(versions, "prompt_id", quoted))
    return tainted.as_json()


def _members_corpus(job: Job) -> Mapping[str, Any]:
    versions, database = job.parts.versions, job.parts.database
    places, quoted = _places_and_quoted(job)
    taken = exports.take_out(versions, "external_id", {external_id for _, external_id in places})
    taken += exports.take_out(versions, "prompt_id", quoted)
    named = {name for place in places for name in place}
    return {
        "members": taken,
        "data_sets": exports.unname(database, named),
        "reports": documents.names_in_reports(database, named),
    }


def _places_and_quoted(job: Job) -> tuple[frozenset[tuple[str, str]], frozenset[str]]:
    goes = job.going
    with job.parts.database.read() as connection:
        places = going.places_of(connection, goes)
        return places, quoting.touched_by(connection, goes.documents)


def _rows(job: Job) -> Mapping[str, Any]:
    with writer_lease(job.parts.database) as fence:
        return documents.erase(job.parts.database, job.erasure.erasure_id, job.going, fence)


def _late(job: Job) -> Mapping[str, Any]:
    """Answers that were under way while its words were taken out of all others."""
    goes = job.going
    with job.parts.database.read() as connection:
        shown = quoting.shown_in(connection, goes.documents)
    taking = Quoting(
        needles=Needles(job.erasure.salt, {}),
        documents=frozenset(goes.documents),
        places=frozenset(),
        shown=shown,
    )
    return quoting.take_out(job.parts.database, taking)


def _indexes(job: Job) -> Mapping[str, Any]:
    """Write the indexes of this home anew without it; others follow by the generation."""
    chunks = np.array(job.going.chunks, np.int64)
    for collection in job.parts.reader.collections(principal=LOCAL_OWNER):
        if collection.collection_id in job.going.collections and collection.space is not None:
            for follower in job.parts.followers(collection):
                follower.catch_up()
                follower.drop(chunks)
    return {"chunks_dropped": chunks.size}


def _leftovers(job: Job) -> Mapping[str, Any]:
    with job.parts.database.write() as connection:
        return remove_leftovers(connection)


def _compact(job: Job) -> Mapping[str, Any]:
    left = compact(job.parts.database, whole=bool(job.plan.get("compact")))
    return {"not_reached": left}


def _scan(job: Job) -> Mapping[str, Any]:
    chunks = np.array(job.plan.get("going", {}).get("chunks", ()), np.int64)
    found = scan(job.parts.database, job.parts.settings.home, job.needles, chunks)
    if found.findings:
        job.ledger.repeat(job.erasure, _REPEATABLE)
        raise ErasureError(
            f"erasure {job.erasure.erasure_id} is not complete: what should be gone still stands"
            f" in {found.shown()}; remove what is not ours to remove, and run `rag forget resume`"
        )
    return found.as_json()


_REPEATABLE = (
    "exports",
    "members",
    "exchanges",
    "asker",
    "records",
    "late_answers",
    "indexes",
    "leftovers",
    "compact",
)
"""Done again when something was found all the same: it may have come in meanwhile."""
PROOF: tuple[tuple[str, Step], ...] = (
    ("leftovers", _leftovers),
    ("compact", _compact),
    ("scan", _scan),
)
PERSON_STEPS: tuple[tuple[str, Step], ...] = (
    ("survey", _survey_person),
    ("exports", _export_person),
    ("members", _members_person),
    ("exchanges", _exchanges),
    ("asker", _asker),
    *PROOF,
)
DOCUMENT_STEPS: tuple[tuple[str, Step], ...] = (
    ("withdrawal", _withdraw),
    ("survey", _survey_corpus),
    ("history", _history),
    ("exports", _export_corpus),
    ("members", _members_corpus),
    ("corpus", _rows),
    ("late_answers", _late),
    ("indexes", _indexes),
    *PROOF,
)
