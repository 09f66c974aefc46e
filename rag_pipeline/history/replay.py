"""Asks again what was asked before, and says what is different about the answers.

Everything that decided an answer is on record: the generation of the documents, who searched, the
turns before, the fence of the prompt, the sampling and its seed. So an answer that is asked for
again at its own generation comes out as it was; where it does not, something else has changed, and
what that may be is said with it. A replay leaves no record unless that is asked for.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from ingest.errors import IngestError
from rag_pipeline.composition import Composition
from rag_pipeline.errors import RagError
from rag_pipeline.generation.answer import Asked, Recorder
from rag_pipeline.generation.circumstances import Circumstances
from rag_pipeline.generation.conversation import LAST_EXCHANGES, said
from rag_pipeline.generation.drafting import EXTRACTIVE
from rag_pipeline.generation.language_model import Sampling, Turn
from rag_pipeline.generation.templates import DEFAULT
from rag_pipeline.history.comparing import Difference, Outcome, compared
from rag_pipeline.history.errors import HistoryError
from rag_pipeline.history.pairing import sources
from rag_pipeline.retrieval.query import AsOf
from storage.bulk import batches
from storage.engine import Database
from storage.errors import StorageError
from storage.prompts.conversations import chain_to
from storage.prompts.export import whole_prompts
from storage.prompts.messages import thread
from storage.prompts.whole import IMPORTED
from storage.records import (
    ChunkId,
    Evidence,
    Principal,
    PromptEnd,
    PromptId,
    PromptRecord,
    PromptStart,
    PromptStatus,
)

At = Literal["recorded", "now"] | AsOf
"""Which documents answer: those of then, those of now, or those of a generation or time."""

KEPT_TAG = "replay"
"""Of the exchanges that a replay puts on record."""
_BATCH = 100
_FENCE = re.compile(r"\[(\d{10})\]")
_NOT_KEPT = PromptId("")


@dataclass(frozen=True, slots=True, kw_only=True)
class Replaying:
    """How past questions are asked again."""

    at: At = "recorded"
    model: str | None = None
    """A generator to ask instead; None: the one that is set, or nobody where nobody was asked."""
    template: str | None = None
    """A prompt template to ask with instead, NAME or NAME@VERSION; None: the one on record."""
    keep: bool = False
    """Put the new exchanges on record, too."""
    jobs: int = 4
    """How many are asked at the same time."""
    baseline: Mapping[str, Outcome] = field(default_factory=dict)
    """By prompt: what to compare with, instead of what is on record."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Replayed:
    """One exchange that was replayed, or why it could not be."""

    record: PromptRecord
    difference: Difference | None = None
    error: str | None = None
    notes: tuple[str, ...] = ()
    """What else differs from then, and what could not be found any more."""
    kept_as: PromptId | None = None
    sources: Mapping[ChunkId, str] = field(default_factory=dict)
    """Where the evidence of then and now stands, as far as it may be read."""

    def as_json(self) -> dict[str, Any]:
        """A line of the file of results."""
        compared = {} if self.difference is None else self.difference.as_json()
        outcome = None if self.difference is None else self.difference.after.as_json()
        return {
            "prompt_id": self.record.prompt_id,
            "question": self.record.question,
            "user": self.record.user,
            "asked_at": self.record.created_at.isoformat(),
            "error": self.error,
            "notes": list(self.notes),
            "kept_as": self.kept_as,
            **compared,
            "outcome": outcome,
        }


def replay(
    parts: Composition,
    prompt_ids: Sequence[str],
    how: Replaying,
    *,
    principal: Principal,
) -> Iterator[Replayed]:
    """Each exchange asked again, in the order of `prompt_ids`, which `principal` may read.

    What goes wrong with one is its result, and the others go on.
    """
    asking = parts if how.model is None else parts.writing_with(how.model)
    replayer = Replayer(parts=asking, how=how, principal=principal)
    with ThreadPoolExecutor(how.jobs, thread_name_prefix="replay") as pool:
        for batch in batches(prompt_ids, _BATCH):
            records = whole_prompts(parts.database, batch)
            try:
                yield from pool.map(replayer.replayed, records)
            except BaseException:
                pool.shutdown(wait=False, cancel_futures=True)
                raise


@dataclass(frozen=True, slots=True, kw_only=True)
class Replayer:
    """Asks single questions again."""

    parts: Composition
    how: Replaying
    principal: Principal

    def replayed(self, record: PromptRecord) -> Replayed:
        """The exchange asked again, or what went wrong."""
        try:
            return self._replayed(record)
        except (RagError, StorageError, IngestError) as error:
            reason = " ".join(str(error).split())
            return Replayed(record=record, error=f"{type(error).__name__}: {reason}")

    def _replayed(self, record: PromptRecord) -> Replayed:
        then = self._circumstances(record)
        asked = self._asked(record, then)
        answerer = self.parts.answerer(
            record.collection,
            principal=then.principal,
            extractive=then.extractive and self.how.model is None,
            template=self.how.template or self._template(record),
        )
        keeper = answerer.history if self.how.keep else None
        attempt = _Attempt(database=self.parts.database, keeper=keeper)
        for _ in replace(answerer, history=attempt).stream(asked):
            pass
        assert attempt.start_of is not None
        assert attempt.end_of is not None
        before = self.how.baseline.get(record.prompt_id) or Outcome.of(record)
        after = Outcome.made(attempt.start_of, attempt.end_of)
        shown = self._sources(record.evidence, record.generation)
        return Replayed(
            record=record,
            difference=compared(before, after),
            notes=tuple(self._notes(record, attempt.start_of, shown)),
            kept_as=attempt.kept_as,
            sources=shown | self._sources(after.evidence, after.generation),
        )

    def _template(self, record: PromptRecord) -> str:
        if record.template_id is None:
            return DEFAULT
        for one in self.parts.templates.all():
            if one.template_id == record.template_id:
                return f"{one.name}@{one.version}"
        raise HistoryError(
            "the prompt template that it was asked with is not on record any more: name another"
        )

    def _circumstances(self, record: PromptRecord) -> Circumstances:
        """As they are on record, or as they must have been."""
        stored = record.circumstances or {}
        then = _read(stored) if "principal" in stored else self._supposed(record)
        if is_from_elsewhere(record):
            # A file can say of anybody that they may read everything.
            return replace(then, principal=Principal(name=record.user))
        # Who reads their own history reads documents as themselves, not as who they were.
        return then if self.principal.is_owner else replace(then, principal=self.principal)

    def _supposed(self, record: PromptRecord) -> Circumstances:
        """Of a record that does not say them."""
        told = (record.circumstances or {}).get("told", 0)
        fences = _FENCE.findall(record.rendered)
        return Circumstances(
            principal=replace(self.principal, name=record.user),
            extractive=record.model == EXTRACTIVE,
            strict=self.parts.settings.generation.strict,
            fence=fences[-1] if fences else "",
            follows=() if told else self._chain_to(record),
            told=told,
            settings={},
            settings_sha256="",
        )

    def _chain_to(self, record: PromptRecord) -> tuple[PromptId, ...]:
        if record.parent_id is None:
            return ()
        before = chain_to(
            self.parts.database, record.parent_id, principal=self.principal, limit=LAST_EXCHANGES
        )
        return tuple(one.prompt_id for one in before)

    def _earlier(self, record: PromptRecord, then: Circumstances) -> tuple[Turn, ...]:
        """What was said before, as it was when the question was asked."""
        database = self.parts.database
        if then.follows:
            before = whole_prompts(database, then.follows)
            if len(before) < len(then.follows):
                raise HistoryError(
                    "an exchange that it follows is not on record any more: it can't be asked again"
                )
            return said(before)
        if not then.told or record.request_sha256 is None:
            return ()
        with database.read() as connection:
            told = thread(connection, record.request_sha256)[:-1]
        turns = [Turn(message.role, message.content) for message in told]
        return tuple(turns[-then.told :])

    def _asked(self, record: PromptRecord, then: Circumstances) -> Asked:
        return Asked(
            question=record.question,
            principal=then.principal,
            user=record.user,
            parent_id=record.parent_id if self.how.keep else None,
            application=record.application,
            category=record.category,
            tags=(KEPT_TAG,),
            earlier=self._earlier(record, then),
            follows=then.follows,
            instructions=then.instructions,
            sampling=_sampling(record.sampling),
            strict=then.strict,
            origins=then.origins,
            as_of=self._as_of(record),
            fence=then.fence or None,
        )

    def _as_of(self, record: PromptRecord) -> AsOf | None:
        match self.how.at:
            case "recorded":
                if is_from_elsewhere(record):
                    raise HistoryError(
                        "the documents of another database have answered it: replay it --at now"
                    )
                return record.generation
            case "now":
                return None
            case other:
                return other

    def _sources(self, evidence: Sequence[Evidence], generation: int) -> dict[ChunkId, str]:
        return sources(self.parts.reader, evidence, principal=self.principal, generation=generation)

    def _notes(
        self, record: PromptRecord, start: PromptStart, shown: Mapping[ChunkId, str]
    ) -> Iterator[str]:
        """What else is not as it was."""
        if self.how.baseline and record.prompt_id not in self.how.baseline:
            yield "not in the file to compare with: compared with what is on record"
        if is_from_elsewhere(record):
            yield "imported: asked as somebody who has no labels"
        if "principal" not in (record.circumstances or {}):
            yield "its record does not say how it was asked: as the settings say now"
        if record.redacted_at is not None:
            yield "something of it was redacted: it can't come out as it was"
        missing = len(record.evidence) - len(shown)
        if missing and not is_from_elsewhere(record):
            yield (
                f"{missing} of the {len(record.evidence)} chunks that were its evidence are"
                " forgotten, or closed to you"
            )
        yield from _conditions(record, start)


def is_from_elsewhere(record: PromptRecord) -> bool:
    """Whether it was imported, and documents of this database did not answer it."""
    return "token" in (record.circumstances or {}).get(IMPORTED, {})


def _read(stored: Mapping[str, Any]) -> Circumstances:
    try:
        return Circumstances.of(stored)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise HistoryError("the record says in no known way how it was asked") from error


def _conditions(record: PromptRecord, start: PromptStart) -> Iterator[str]:
    if start.model != record.model:
        yield f"answered by {start.model}, then by {record.model}"
    elif start.weights_sha256 != record.weights_sha256:
        yield f"the weights of {record.model} are others than then"
    if start.template_sha256 != record.template_sha256:
        yield "the prompt template is another than then"
    then, now = record.circumstances or {}, start.circumstances or {}
    if then.get("settings_sha256") not in (None, now.get("settings_sha256")):
        names = [*_differing(then.get("settings", {}), now.get("settings", {}))]
        what = ", ".join(names) or "the program's own, the calibration or the embedder"
        yield f"settings are others than then: {what}"


def _differing(then: Mapping[str, Any], now: Mapping[str, Any]) -> Iterator[str]:
    """Names of the settings that were set to something else."""
    for section in sorted({*then, *now}):
        before, after = then.get(section, {}), now.get(section, {})
        for name in sorted({*before, *after}):
            if before.get(name) != after.get(name):
                yield f"{section}.{name}"


def _sampling(stored: Mapping[str, Any]) -> Sampling | None:
    """As it is on record; None where nothing is."""
    try:
        return Sampling(**{**stored, "stop": tuple(stored.get("stop", ()))}) if stored else None
    except TypeError as error:
        raise HistoryError("the record says in no known way how words were chosen") from error


@dataclass(slots=True, kw_only=True)
class _Attempt:
    """Keeps what an answer puts on record, and hands it on where it is to be kept for good."""

    database: Database
    keeper: Recorder | None
    start_of: PromptStart | None = None
    end_of: PromptEnd | None = None
    kept_as: PromptId | None = None

    def start(self, prompt: PromptStart, *, principal: Principal) -> PromptId:
        self.start_of = prompt
        if self.keeper is not None:
            self.kept_as = self.keeper.start(prompt, principal=principal)
        return self.kept_as or _NOT_KEPT

    def complete(self, prompt_id: PromptId, end: PromptEnd) -> None:
        self.end_of = end
        if self.keeper is not None:
            self.keeper.complete(prompt_id, end)

    def fail(
        self,
        prompt_id: PromptId,
        *,
        error: str,
        status: PromptStatus = "failed",
        timings: Mapping[str, float] | None = None,
        seconds: float | None = None,
    ) -> None:
        if self.keeper is not None:
            self.keeper.fail(
                prompt_id, error=error, status=status, timings=timings, seconds=seconds
            )
