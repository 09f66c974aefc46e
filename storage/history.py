"""The one writer and reader of prompts: what was asked, what was answered, from which evidence.

A prompt is on record before the model is called and completed after, each in a short transaction
of its own: recording is no generation of the corpus and waits for no lease.
"""

import secrets
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar, cast

from sqlalchemy import ColumnElement, Connection, Row, RowMapping, insert, select, true, update
from sqlalchemy.dialects import postgresql, sqlite

from storage.bulk import rows_where
from storage.clock import now
from storage.engine import Database
from storage.errors import InvalidRecordError, NotFoundError
from storage.models.access import SessionRow, UserRow
from storage.models.prompts import CitationRow, EvidenceRow, PromptRow, ScoreRow
from storage.records import (
    AnswerState,
    ChunkId,
    Citation,
    DocumentId,
    Evidence,
    Principal,
    PromptEnd,
    PromptId,
    PromptRecord,
    PromptStart,
    PromptStatus,
    Score,
)

T = TypeVar("T")
MAX_NAME = 200
MAX_LIMIT = 10_000


@dataclass(frozen=True, slots=True)
class History:
    """The record of all exchanges."""

    database: Database

    def start(self, prompt: PromptStart, *, principal: Principal) -> PromptId:
        """Put a prompt on record, as started.

        Raises `NotFoundError` for a parent that the principal may not read.
        """
        prompt_id = _new_prompt_id()
        for name in (prompt.user, prompt.session):
            _check_name(name)
        with self.database.write() as connection:
            if prompt.parent_id is not None:
                _check_exists(connection, prompt.parent_id, principal)
            user_id = _user_id(connection, prompt.user)
            connection.execute(
                insert(PromptRow).values(
                    prompt_id=prompt_id,
                    number=number_of(prompt_id),
                    parent_id=prompt.parent_id,
                    user_id=user_id,
                    session_id=_session_id(connection, user_id, prompt.session),
                    collection=prompt.collection,
                    generation=prompt.generation,
                    question=prompt.question,
                    standalone=prompt.standalone,
                    rendered=prompt.rendered,
                    model=prompt.model,
                    weights_sha256=prompt.weights_sha256,
                    template_sha256=prompt.template_sha256,
                    sampling=dict(prompt.sampling),
                    status="started",
                    created_at=now(),
                )
            )
            _insert_evidence(connection, prompt_id, prompt.evidence)
        return prompt_id

    def complete(self, prompt_id: PromptId, end: PromptEnd) -> None:
        """Add the answer, its citations, and which of the evidence they rest on."""
        cited = sorted({citation.chunk_id for citation in end.citations})
        with self.database.write() as connection:
            _end(
                connection,
                prompt_id,
                status="completed",
                answer=end.answer,
                state=end.state,
                confidence=end.confidence,
                checks=None if end.checks is None else dict(end.checks),
                usage=dict(end.usage),
                timings=dict(end.timings),
            )
            _insert_citations(connection, prompt_id, end.citations)
            connection.execute(
                update(EvidenceRow)
                .where(EvidenceRow.prompt_id == prompt_id, EvidenceRow.chunk_id.in_(cited))
                .values(cited=True)
            )

    def fail(self, prompt_id: PromptId, *, error: str, status: PromptStatus = "failed") -> None:
        """Say on record why there is no answer."""
        with self.database.write() as connection:
            _end(connection, prompt_id, status=status, error=error)

    def latest(
        self,
        *,
        principal: Principal,
        limit: int = 20,
        user: str | None = None,
        session: str | None = None,
        state: AnswerState | None = None,
        status: PromptStatus | None = None,
    ) -> list[PromptRecord]:
        """The newest exchanges that the principal may read, newest first, without evidence."""
        if not 1 <= limit <= MAX_LIMIT:
            raise InvalidRecordError(f"a limit of {limit} is out of range; use 1 to {MAX_LIMIT}")
        wanted = {UserRow.name: user, SessionRow.name: session, PromptRow.state: state}
        wanted[PromptRow.status] = status
        conditions = [column == value for column, value in wanted.items() if value is not None]
        statement = (
            prompts()
            .where(readable_prompts(principal), *conditions)
            .order_by(PromptRow.created_at.desc(), PromptRow.prompt_id.desc())
            .limit(limit)
        )
        with self.database.read() as connection:
            return [prompt_record(row) for row in connection.execute(statement).mappings()]

    def show(self, prompt_id: str, *, principal: Principal) -> PromptRecord:
        """One exchange with its evidence and citations; `prompt_id` may be a unique beginning.

        Raises `NotFoundError`, whether it is missing or not for this principal.
        """
        statement = prompts().where(
            readable_prompts(principal), PromptRow.prompt_id.startswith(prompt_id, autoescape=True)
        )
        with self.database.read() as connection:
            rows = connection.execute(statement.limit(2)).mappings().all()
            if not prompt_id or not rows:
                raise _missing(prompt_id)
            if len(rows) > 1:
                raise NotFoundError(f"more than one prompt begins with {prompt_id!r}; give more")
            key = rows[0]["prompt_id"]
            return replace(
                prompt_record(rows[0]),
                evidence=all_evidence(connection, [key]).get(key, ()),
                citations=all_citations(connection, [key]).get(key, ()),
                scores=all_scores(connection, [key]).get(key, ()),
            )

    def rate(self, prompt_id: str, score: Score, *, principal: Principal) -> None:
        """Put on record what somebody says of an answer.

        Raises `NotFoundError` for a prompt that the principal may not read, `InvalidRecordError`
        for a value that is not from 0 to 1.
        """
        for name in (score.user, score.metric):
            _check_name(name)
        if not 0 <= score.value <= 1:
            raise InvalidRecordError(f"a score of {score.value} is out of range; use 0 to 1")
        with self.database.write() as connection:
            _check_exists(connection, PromptId(prompt_id), principal)
            connection.execute(
                insert(ScoreRow).values(
                    prompt_id=prompt_id,
                    user_id=_user_id(connection, score.user),
                    metric=score.metric,
                    value=score.value,
                    comment=score.comment,
                    correction=score.correction,
                    created_at=score.created_at or now(),
                )
            )


def _new_prompt_id() -> PromptId:
    """Sortable by time: twelve hexadecimal digits of milliseconds, then chance."""
    milliseconds = int(now().timestamp() * 1000)
    return PromptId(f"{milliseconds:012x}{secrets.token_hex(6)}")


def number_of(prompt_id: PromptId) -> int:
    """The id as a whole number of 61 bits, in the same order: milliseconds, then twenty bits of
    chance."""
    return int(prompt_id[:12], 16) << 20 | int(prompt_id[12:17], 16)


def _check_name(name: str | None) -> None:
    if name is not None and (not name.strip() or len(name) > MAX_NAME or not name.isprintable()):
        raise InvalidRecordError(
            f"{name!r} can't name a user or session; use 1 to {MAX_NAME} printable characters"
        )


def _missing(prompt_id: str) -> NotFoundError:
    return NotFoundError(f"there is no prompt {prompt_id!r}; `rag history list` shows what is")


def readable_prompts(principal: Principal) -> ColumnElement[bool]:
    """An owner reads every exchange, others their own."""
    return true() if principal.is_owner else UserRow.name == principal.name


def _check_exists(connection: Connection, prompt_id: PromptId, principal: Principal) -> None:
    statement = (
        select(PromptRow.prompt_id)
        .join(UserRow, UserRow.user_id == PromptRow.user_id)
        .where(PromptRow.prompt_id == prompt_id, readable_prompts(principal))
    )
    if connection.execute(statement).first() is None:
        raise _missing(prompt_id)


def _user_id(connection: Connection, name: str) -> int:
    _insert_once(connection, UserRow, {"name": name, "created_at": now()})
    return connection.execute(select(UserRow.user_id).filter_by(name=name)).scalar_one()


def _session_id(connection: Connection, user_id: int, name: str | None) -> int | None:
    if name is None:
        return None
    _insert_once(connection, SessionRow, {"user_id": user_id, "name": name, "created_at": now()})
    return connection.execute(
        select(SessionRow.session_id).filter_by(user_id=user_id, name=name)
    ).scalar_one()


def _insert_once(
    connection: Connection, table: type[UserRow] | type[SessionRow], values: Mapping[str, Any]
) -> None:
    """Insert unless it is there, also when another process does so at the same time."""
    dialect = sqlite if connection.dialect.name == "sqlite" else postgresql
    connection.execute(dialect.insert(table).values(**values).on_conflict_do_nothing())


def _insert_evidence(
    connection: Connection, prompt_id: PromptId, evidence: Sequence[Evidence]
) -> None:
    rows = [
        {
            "prompt_id": prompt_id,
            "rank": shown.rank,
            "chunk_id": shown.chunk_id,
            "document_id": shown.document_id,
            "score": shown.score,
            "vector_rank": shown.vector_rank,
            "keyword_rank": shown.keyword_rank,
            "cited": shown.cited,
        }
        for shown in evidence
    ]
    if rows:
        connection.execute(insert(EvidenceRow), rows)


def _insert_citations(
    connection: Connection, prompt_id: PromptId, citations: Sequence[Citation]
) -> None:
    rows = [
        {
            "prompt_id": prompt_id,
            "ordinal": ordinal,
            "chunk_id": citation.chunk_id,
            "document_id": citation.document_id,
            "source": citation.source,
            "external_id": citation.external_id,
            "quote": citation.quote,
            "start_offset": citation.start,
            "end_offset": citation.end,
            "answer_start": citation.answer_start,
            "answer_end": citation.answer_end,
            "score": citation.score,
            "page": citation.page,
            "headings": [*citation.headings] or None,
        }
        for ordinal, citation in enumerate(citations)
    ]
    if rows:
        connection.execute(insert(CitationRow), rows)


def _end(connection: Connection, prompt_id: PromptId, **values: Any) -> None:
    """Complete a started prompt. What has ended once is never written over."""
    ended = connection.execute(
        update(PromptRow)
        .where(PromptRow.prompt_id == prompt_id, PromptRow.status == "started")
        .values(completed_at=now(), **values)
    )
    if ended.rowcount != 1:
        raise InvalidRecordError(f"prompt {prompt_id!r} is not open, so it can't be completed")


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
    )


def all_scores(connection: Connection, keys: Sequence[str]) -> dict[str, tuple[Score, ...]]:
    """What was said of each of these prompts' answers, oldest first."""
    statement = (
        select(ScoreRow.__table__, UserRow.name.label("user"))
        .join(UserRow, UserRow.user_id == ScoreRow.user_id)
        .order_by(ScoreRow.score_id)
    )
    rows = rows_where(connection, statement, ScoreRow.prompt_id, keys)
    return _by_prompt((row.prompt_id, _score(row)) for row in rows)


def _score(row: Row[*tuple[Any, ...]]) -> Score:
    return Score(
        value=row.value,
        metric=row.metric,
        user=row.user,
        comment=row.comment,
        correction=row.correction,
        created_at=row.created_at,
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
    )
