"""Puts exchanges on record that were asked elsewhere, or that were exported: each once, whole or
not at all.

Keys of chunks and documents mean something in one database only. Those of another are kept as
negative numbers: they name no text here, and an export gives them back as they were. Whether a
record is of this database is told by the token of its generation, which is drawn at random.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from sqlalchemy import Connection, select

from storage.engine import Database
from storage.errors import InvalidRecordError
from storage.inserting import leave_known
from storage.models.corpus import GenerationRow
from storage.models.prompts import PromptRow
from storage.names import check_name, check_text, check_values
from storage.prompts import messages, rollups
from storage.prompts.access import number_of
from storage.prompts.askers import asker
from storage.prompts.scores import add_scores, check_score
from storage.prompts.scoring import enqueue
from storage.prompts.tags import add_tags, checked_tags
from storage.prompts.templates import kept_template
from storage.prompts.whole import IMPORTED, WholeExchange, with_keys_turned
from storage.prompts.writing import as_dict, insert_citations, insert_evidence
from storage.records import PromptId, PromptRecord

_SAME = select(PromptRow.prompt_id).limit(1)
_HEXADECIMAL = frozenset("0123456789abcdef")
_ID_LENGTHS = range(17, 33)
_TOO_LATE = 1 << 62
_FIRST_YEAR, _LAST_YEAR = 1970, 2500
_LARGEST = (1 << 63) - 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Imported:
    """An exchange from elsewhere, as `check_exchange` lets it pass."""

    line: int
    """Where it stands in its file, from 1."""
    exchange: WholeExchange
    is_foreign: bool
    """Not from an export of ours: the same words of the same user are the same exchange, and rules
    have yet to judge the answer."""
    origin: Mapping[str, Any]
    """Of which file, in which form."""


@dataclass(slots=True, kw_only=True)
class Added:
    """What became of some exchanges."""

    added: int = 0
    known: int = 0
    """Here already, under the same id or in the same words."""
    without_parent: int = 0
    """Added, but what they follow is not here."""
    refused: list[tuple[int, str]] = field(default_factory=list)
    """By line: why."""


def check_exchange(one: WholeExchange) -> None:
    """Raise `InvalidRecordError` for what could not be kept as it is."""
    record = one.record
    check_id(record.prompt_id)
    for name, what in (
        (record.user, "a user"),
        (record.session, "a session"),
        (record.collection, "a collection"),
        (record.application, "an application"),
        (record.category, "a category"),
        (record.idempotency_key, "an exchange, as an idempotency key"),
    ):
        check_name(name, what)
    for text in (record.question, record.standalone, record.answer, record.rendered):
        check_text(text, "a text of the exchange")
    for said in one.said:
        check_text(said.content, "what was said")
    for text in (record.note, record.error, record.model):
        check_text(text, "what is said of the answer")
    for value in (record.sampling, record.circumstances, record.checks):
        check_values(value or {}, "what is kept with the exchange")
    check_values([*record.usage, *record.timings], "what the answer took")
    if one.template is not None:
        check_name(one.template.name, "a template")
        check_values(asdict(one.template.text), "the template")
    for cited in record.citations:
        check_values([cited.quote, cited.source, cited.external_id, cited.headings], "a citation")
    if checked_tags(record.tags) != record.tags:
        raise InvalidRecordError("the tags are not each there once and in order")
    for score in record.scores:
        check_score(score)
    _check_is_whole(record)


def check_id(prompt_id: str) -> None:
    """Raise `InvalidRecordError` for what is no id of an exchange: hexadecimal, and by time."""
    if len(prompt_id) not in _ID_LENGTHS or not _HEXADECIMAL.issuperset(prompt_id):
        raise InvalidRecordError(
            f"{prompt_id[:40]!r} is no id of an exchange: it has 24 hexadecimal digits"
        )
    if number_of(PromptId(prompt_id)) >= _TOO_LATE:
        raise InvalidRecordError(f"the id {prompt_id!r} lies too far in the future")


def _check_is_whole(record: PromptRecord) -> None:
    if record.status == "completed" and (record.answer is None or record.state is None):
        raise InvalidRecordError("it is completed and has no answer, or no state")
    ranks = [shown.rank for shown in record.evidence]
    if len(set(ranks)) < len(ranks):
        raise InvalidRecordError("two chunks of its evidence have the same rank")
    for cited in record.citations:
        if not 0 <= cited.start < cited.end or cited.answer_end < cited.answer_start:
            raise InvalidRecordError("a citation ends before it begins")
    for instant in (record.created_at, record.completed_at):
        if instant is not None and not _FIRST_YEAR <= instant.year <= _LAST_YEAR:
            raise InvalidRecordError(f"{instant.isoformat()} is no time that it was asked at")
    for key in (*_keys_of(record), record.generation):
        if abs(key) > _LARGEST:
            raise InvalidRecordError(f"the key {key} is too large to be kept")


def _keys_of(record: PromptRecord) -> Iterator[int]:
    for shown in record.evidence:
        yield from (shown.chunk_id, shown.document_id)
    for cited in record.citations:
        yield from (cited.chunk_id, cited.document_id)


class PromptImporter:
    """Puts exchanges on record, batch by batch."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._instead: dict[str, PromptId] = {}
        """By the id that an exchange would have had: the one under which its words are here."""

    def add(self, batch: Sequence[Imported]) -> Added:
        """Put what is new of `batch` on record, all in one transaction; parents before children."""
        with self._database.write() as connection:
            adding = _Adding(connection, self._instead)
            for one in batch:
                adding.add(one)
            # Last, as whoever counts has to.
            rollups.count(connection, adding.ended)
        return adding.report


class _Adding:
    """One batch, in one transaction."""

    def __init__(self, connection: Connection, instead: dict[str, PromptId]) -> None:
        self.report = Added()
        self.ended: list[PromptId] = []
        self._connection = connection
        self._instead = instead

    def add(self, one: Imported) -> None:
        """Put one exchange on record, unless it is there."""
        record = self._with_parent(one.exchange.record)
        if self._is_known(record.prompt_id):
            self.report.known += 1
            return
        parent = self._last_of(record.parent_id)
        request, response = self._messages(one.exchange, parent)
        same = self._said(record, request, response) if one.is_foreign else None
        if same is not None:
            self._instead[record.prompt_id] = same
            self.report.known += 1
            return
        stored = self._as_kept(one, record, has_parent=parent is not None)
        values = self._values(stored, request, response)
        if self._connection.execute(self._insert(), values).first() is None:
            self.report.refused.append((one.line, _why_refused(record)))
            return
        self._add_rest(stored, is_foreign=one.is_foreign)
        if record.status != "started":
            self.ended.append(record.prompt_id)
        self.report.added += 1
        self.report.without_parent += record.parent_id is not None and parent is None

    def _with_parent(self, record: PromptRecord) -> PromptRecord:
        parent = self._instead.get(record.parent_id or "")
        return record if parent is None else replace(record, parent_id=parent)

    def _insert(self) -> Any:
        new = leave_known(PromptRow, self._connection.dialect.name)
        return new.returning(PromptRow.prompt_id)

    def _is_known(self, prompt_id: str) -> bool:
        found = self._connection.execute(_SAME.where(PromptRow.prompt_id == prompt_id))
        return found.first() is not None

    def _said(
        self, record: PromptRecord, request: str | None, response: str | None
    ) -> PromptId | None:
        """The exchange in which the same user was answered the same after the same words."""
        who = asker(self._connection, record.user)
        statement = _SAME.where(
            PromptRow.response_sha256 == response,
            PromptRow.request_sha256 == request,
            PromptRow.user_id == who.user_id,
        )
        found = None if response is None else self._connection.execute(statement).scalar()
        return None if found is None else PromptId(found)

    def _last_of(self, parent_id: str | None) -> tuple[str | None, str | None] | None:
        """What was said in an exchange, its question and its answer; None: it is not here."""
        if parent_id is None:
            return None
        statement = select(PromptRow.request_sha256, PromptRow.response_sha256)
        row = self._connection.execute(statement.where(PromptRow.prompt_id == parent_id)).first()
        return None if row is None else (row.request_sha256, row.response_sha256)

    def _messages(
        self, one: WholeExchange, parent: tuple[str | None, str | None] | None
    ) -> tuple[str | None, str | None]:
        """The keys of question and answer among the messages."""
        before = (parent[1] or parent[0]) if one.continues and parent is not None else None
        if not one.said:
            return None, None
        is_answered = one.said[-1].role == "assistant"
        asked = one.said[:-1] if is_answered else one.said
        request = messages.append(self._connection, before, asked)
        if not is_answered:
            return request, None
        return request, messages.append(self._connection, request, one.said[-1:])

    def _as_kept(self, one: Imported, record: PromptRecord, *, has_parent: bool) -> PromptRecord:
        """The record as this database keeps it."""
        token = one.exchange.token
        circumstances = dict(record.circumstances or {})
        origin = {**one.origin, **_before(circumstances)}
        if not self._is_ours(record.generation, token):
            origin["token"] = token
            record = with_keys_turned(record)
        if record.parent_id is not None and not has_parent:
            origin["parent_id"] = record.parent_id
            record = replace(record, parent_id=None)
        template_id = None
        if one.exchange.template is not None:
            template_id = kept_template(self._connection, one.exchange.template)
        return replace(
            record,
            circumstances={**circumstances, IMPORTED: origin},
            template_id=template_id,
        )

    def _is_ours(self, generation: int, token: str | None) -> bool:
        """Whether the documents of this database have answered."""
        own = select(GenerationRow.token).filter_by(generation=generation)
        return token is not None and self._connection.execute(own).scalar() == token

    def _values(
        self, record: PromptRecord, request: str | None, response: str | None
    ) -> dict[str, Any]:
        who = asker(self._connection, record.user, record.session)
        taken = {name: getattr(record, name) for name in _AS_IT_IS}
        return {
            **taken,
            "number": number_of(record.prompt_id),
            "user_id": who.user_id,
            "session_id": who.session_id,
            "sampling": dict(record.sampling),
            "circumstances": as_dict(record.circumstances),
            "checks": as_dict(record.checks),
            "usage": dict(record.usage) or None,
            "timings": dict(record.timings) or None,
            "request_sha256": request,
            "response_sha256": response,
        }

    def _add_rest(self, record: PromptRecord, *, is_foreign: bool) -> None:
        connection, key = self._connection, record.prompt_id
        insert_evidence(connection, key, record.evidence)
        insert_citations(connection, key, record.citations)
        add_tags(connection, key, record.tags)
        for score in record.scores:
            user = None if score.user is None else asker(connection, score.user).user_id
            add_scores(connection, key, [score], user_id=user)
        if is_foreign and record.status == "completed":
            enqueue(connection, key)


_AS_IT_IS = (
    "prompt_id",
    "parent_id",
    "collection",
    "generation",
    "question",
    "standalone",
    "rendered",
    "model",
    "weights_sha256",
    "template_sha256",
    "template_id",
    "status",
    "answer",
    "state",
    "confidence",
    "error",
    "created_at",
    "completed_at",
    "application",
    "category",
    "idempotency_key",
    "seconds",
    "cost",
    "finish_reason",
    "note",
    "redacted_at",
)


def _why_refused(record: PromptRecord) -> str:
    if record.idempotency_key is not None:
        return f"the idempotency key {record.idempotency_key!r} is in use by another exchange"
    return "another exchange has its place in the order of time"


def _before(circumstances: Mapping[str, Any]) -> dict[str, Any]:
    """Where it came from when it was imported before."""
    return {"before": circumstances[IMPORTED]} if IMPORTED in circumstances else {}
