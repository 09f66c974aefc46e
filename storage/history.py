"""The one writer and reader of prompts: what was asked, what was answered, from which evidence.

A prompt is on record before the model is called and completed after, each in a short transaction
of its own: recording is no generation of the corpus and waits for no lease.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar, cast

from sqlalchemy import Boolean, Connection, Row, RowMapping, bindparam, or_, select

from storage.bulk import rows_where
from storage.engine import Database
from storage.models.access import SessionRow, UserRow
from storage.models.prompts import CitationRow, EvidenceRow, PromptRow
from storage.names import check_name, storable
from storage.prompts.access import missing, resolved
from storage.prompts.artifacts import all_artifacts
from storage.prompts.idempotency import (
    LOST,
    already_asked,
    came_to_nothing,
    check_same,
    holder,
    is_lost,
    release,
)
from storage.prompts.messages import thread
from storage.prompts.rollups import count, count_ended
from storage.prompts.scores import all_scores, rate
from storage.prompts.scoring import enqueue
from storage.prompts.tags import add_tags, all_tags, checked_tags
from storage.prompts.writing import (
    answered_message,
    as_dict,
    asked_message,
    check_end,
    check_start,
    end_prompt,
    insert_citations,
    insert_evidence,
    insert_prompt,
    keep_question,
)
from storage.records import (
    AnswerState,
    ChunkId,
    Citation,
    DocumentId,
    Evidence,
    Message,
    Origin,
    Principal,
    PromptEnd,
    PromptId,
    PromptRecord,
    PromptStart,
    PromptStatus,
    Score,
)
from storage.words import UNSTORABLE

T = TypeVar("T")
_PARENT = (
    select(
        PromptRow.question, PromptRow.answer, PromptRow.request_sha256, PromptRow.response_sha256
    )
    .join(UserRow, UserRow.user_id == PromptRow.user_id)
    .where(
        PromptRow.prompt_id == bindparam("of"),
        or_(bindparam("is_owner", type_=Boolean), UserRow.name == bindparam("by")),
    )
)
"""As `readable_prompts` has it, but written once."""
_SAID = select(
    PromptRow.question, PromptRow.answer, PromptRow.request_sha256, PromptRow.response_sha256
).where(PromptRow.prompt_id == bindparam("of"))


@dataclass(frozen=True, slots=True)
class History:
    """The record of all exchanges."""

    database: Database

    def start(self, prompt: PromptStart, *, principal: Principal) -> PromptId:
        """Put a prompt on record, as started.

        Raises `NotFoundError` for a parent that the principal may not read, `AlreadyAskedError`
        and `IdempotencyKeyError` for a key that is in use, `InvalidRecordError`.
        """
        check_start(prompt)
        with self.database.write() as connection:
            parent, lost = None, []
            if prompt.parent_id is not None:
                parent = _parent(connection, prompt.parent_id, principal)
            if prompt.idempotency_key is not None:
                lost = self._free(connection, prompt, key=prompt.idempotency_key)
            request_sha256 = asked_message(connection, prompt, parent)
            prompt_id = insert_prompt(connection, prompt, request_sha256)
            insert_evidence(connection, prompt_id, prompt.evidence)
            keep_question(connection, prompt_id, prompt.question_vector)
            add_tags(connection, prompt_id, checked_tags(prompt.tags))
            count(connection, lost)
        return prompt_id

    def complete(self, prompt_id: PromptId, end: PromptEnd) -> None:
        """Add the answer, its citations, and which of the evidence they rest on.

        Raises `InvalidRecordError`, also for a prompt that is not open.
        """
        check_end(end)
        with self.database.write() as connection:
            response_sha256 = answered_message(connection, prompt_id, end.answer)
            ended = end_prompt(
                connection,
                prompt_id,
                status="completed",
                answer=end.answer,
                response_sha256=response_sha256,
                state=end.state,
                confidence=end.confidence,
                checks=as_dict(end.checks),
                usage=dict(end.usage),
                timings=dict(end.timings),
                seconds=end.seconds,
                cost=end.cost,
                finish_reason=end.finish_reason,
                note=end.note,
            )
            insert_citations(connection, prompt_id, end.citations)
            enqueue(connection, prompt_id)
            count_ended(connection, ended)

    def fail(
        self,
        prompt_id: PromptId,
        *,
        error: str,
        status: PromptStatus = "failed",
        timings: Mapping[str, float] | None = None,
        seconds: float | None = None,
    ) -> None:
        """Say on record why there is no answer."""
        with self.database.write() as connection:
            ended = _fail(connection, prompt_id, error, status, timings=timings, seconds=seconds)
            count_ended(connection, ended)

    def answered_under(
        self, key: str, *, user: str, question: str, collection: str, principal: Principal
    ) -> PromptRecord | None:
        """The exchange that was answered under this idempotency key of a user, whole.

        None: nothing was asked under it, or nothing came of that. Raises `AlreadyAskedError`
        while the answer is under way, `IdempotencyKeyError` for a key of another question.
        """
        check_name(key, "an exchange, as an idempotency key")
        check_name(user, "a user")
        with self.database.read() as connection:
            held = holder(connection, user=user, key=key)
        if held is None or came_to_nothing(held):
            return None
        if not principal.is_owner and user != principal.name:
            raise missing(key)
        check_same(held, key=key, question=question, collection=collection)
        if held.status == "started":
            raise already_asked(key, held.prompt_id)
        return self.show(held.prompt_id, principal=principal)

    def messages(self, prompt_id: str, *, principal: Principal) -> list[Message]:
        """All that was said up to an exchange, with its question and answer, from the first on.

        A unique beginning of its id is enough. Raises `NotFoundError`.
        """
        with self.database.read() as connection:
            key = resolved(connection, prompt_id, principal)
            asked = connection.execute(_SAID, {"of": key}).one()
            last = asked.response_sha256 or asked.request_sha256
            if last is not None:
                return thread(connection, last)
        answered = [] if asked.answer is None else [Message("assistant", asked.answer)]
        return [Message("user", asked.question), *answered]

    def _free(self, connection: Connection, prompt: PromptStart, *, key: str) -> list[str]:
        """Take the key from an exchange that came to nothing. Gives those that end with that."""
        held = holder(connection, user=prompt.user, key=key)
        if held is None:
            return []
        if not came_to_nothing(held):
            check_same(held, key=key, question=prompt.question, collection=prompt.collection)
            raise already_asked(key, held.prompt_id)
        release(connection, PromptId(held.prompt_id))
        if not is_lost(held):
            return []
        _fail(connection, PromptId(held.prompt_id), LOST, "failed")
        return [held.prompt_id]

    def show(self, prompt_id: str, *, principal: Principal) -> PromptRecord:
        """One exchange with its evidence and citations; `prompt_id` may be a unique beginning.

        Raises `NotFoundError`, whether it is missing or not for this principal.
        """
        with self.database.read() as connection:
            key = resolved(connection, prompt_id, principal)
            row = connection.execute(prompts().where(PromptRow.prompt_id == key)).mappings().one()
            return replace(
                prompt_record(row),
                tags=all_tags(connection, [key]).get(key, ()),
                artifacts=all_artifacts(connection, [key]).get(key, ()),
                evidence=all_evidence(connection, [key]).get(key, ()),
                citations=all_citations(connection, [key]).get(key, ()),
                scores=all_scores(connection, [key]).get(key, ()),
            )

    def rate(self, prompt_id: str, score: Score, *, principal: Principal) -> PromptId:
        """Put on record what a person says of an answer: see `storage.prompts.scores.rate`."""
        return rate(self.database, prompt_id, score, principal=principal)


def _parent(
    connection: Connection, prompt_id: PromptId, principal: Principal
) -> Row[*tuple[Any, ...]]:
    wanted = {"of": prompt_id, "by": principal.name, "is_owner": principal.is_owner}
    row = None if UNSTORABLE.search(prompt_id) else connection.execute(_PARENT, wanted).first()
    if row is None:
        raise missing(prompt_id)
    return row


def _fail(
    connection: Connection,
    prompt_id: PromptId,
    error: str,
    status: PromptStatus,
    *,
    timings: Mapping[str, float] | None = None,
    seconds: float | None = None,
) -> Row[*tuple[Any, ...]]:
    return end_prompt(
        connection,
        prompt_id,
        status=status,
        error=storable(error),
        timings=as_dict(timings),
        seconds=seconds,
    )


def prompts() -> Any:
    """All exchanges with the names of who asked and of the conversation: `prompt_record` reads a
    row of it."""
    return (
        select(PromptRow.__table__, UserRow.name.label("user"), SessionRow.name.label("session"))
        .join(UserRow, UserRow.user_id == PromptRow.user_id)
        .outerjoin(SessionRow, SessionRow.session_id == PromptRow.session_id)
    )


def all_evidence(connection: Connection, keys: Sequence[str]) -> dict[str, tuple[Evidence, ...]]:
    """What was shown for each of these prompts, best first."""
    statement = select(EvidenceRow.__table__).order_by(EvidenceRow.prompt_id, EvidenceRow.rank)
    rows = rows_where(connection, statement, EvidenceRow.prompt_id, keys)
    return _by_prompt((row.prompt_id, _shown(row)) for row in rows)


def _shown(row: Row[*tuple[Any, ...]]) -> Evidence:
    return Evidence(
        chunk_id=ChunkId(row.chunk_id),
        document_id=DocumentId(row.document_id),
        rank=row.rank,
        score=row.score,
        vector_rank=row.vector_rank,
        keyword_rank=row.keyword_rank,
        cited=row.cited,
    )


def all_citations(connection: Connection, keys: Sequence[str]) -> dict[str, tuple[Citation, ...]]:
    """What the answer to each of these prompts cites, in the order of the answer."""
    statement = select(CitationRow.__table__).order_by(CitationRow.prompt_id, CitationRow.ordinal)
    rows = rows_where(connection, statement, CitationRow.prompt_id, keys)
    return _by_prompt((row.prompt_id, _citation(row)) for row in rows)


def _citation(row: Row[*tuple[Any, ...]]) -> Citation:
    return Citation(
        quote=row.quote,
        source=row.source,
        document_id=DocumentId(row.document_id),
        external_id=row.external_id,
        chunk_id=ChunkId(row.chunk_id),
        start=row.start_offset,
        end=row.end_offset,
        answer_start=row.answer_start,
        answer_end=row.answer_end,
        score=row.score,
        page=row.page,
        headings=tuple(row.headings or ()),
        origin=Origin(row.origin),
    )


def _by_prompt(found: Iterable[tuple[str, T]]) -> dict[str, tuple[T, ...]]:
    gathered: dict[str, list[T]] = {}
    for key, one in found:
        gathered.setdefault(key, []).append(one)
    return {key: tuple(several) for key, several in gathered.items()}


def prompt_record(row: RowMapping) -> PromptRecord:
    """A row of `prompts`, without its evidence."""
    return PromptRecord(
        prompt_id=PromptId(row["prompt_id"]),
        parent_id=row["parent_id"],
        session=row["session"],
        user=row["user"],
        question=row["question"],
        answer=row["answer"],
        status=cast(PromptStatus, row["status"]),
        state=cast("AnswerState | None", row["state"]),
        error=row["error"],
        created_at=row["created_at"],
        completed_at=row["completed_at"],
        collection=row["collection"],
        generation=row["generation"],
        model=row["model"],
        weights_sha256=row["weights_sha256"],
        template_sha256=row["template_sha256"],
        rendered=row["rendered"],
        sampling=row["sampling"],
        usage=row["usage"] or {},
        timings=row["timings"] or {},
        standalone=row["standalone"],
        confidence=row["confidence"],
        checks=row["checks"],
        circumstances=row["circumstances"],
        application=row["application"],
        category=row["category"],
        idempotency_key=row["idempotency_key"],
        request_sha256=row["request_sha256"],
        response_sha256=row["response_sha256"],
        template_id=row["template_id"],
        seconds=row["seconds"],
        cost=row["cost"],
        finish_reason=row["finish_reason"],
        note=row["note"],
        redacted_at=row["redacted_at"],
    )
