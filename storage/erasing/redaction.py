"""Takes words out of exchanges that stay on record: everywhere they stand, for good."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from sqlalchemy import Connection, Row, bindparam, delete, exists, insert, select, update

from storage.bulk import rows_where
from storage.clock import now
from storage.erasing.editing import Edit, Edited, edited_json
from storage.erasing.messages import chain_keys, rewrite
from storage.models.entities import EntityAnswerMentionRow
from storage.models.prompt_search import PromptQuestionRow, QuestionVectorRow
from storage.models.prompts import CitationRow, MessageRow, PromptRow, ScoreRow

_TEXTS = ("question", "standalone", "error", "note")
_OF_VALUES = ("checks", "circumstances")
_PROMPTS = select(
    PromptRow.prompt_id,
    PromptRow.number,
    PromptRow.rendered,
    PromptRow.answer,
    PromptRow.request_sha256,
    PromptRow.response_sha256,
    *(getattr(PromptRow, name) for name in (*_TEXTS, *_OF_VALUES)),
)
AnyRow = Row[*tuple[Any, ...]]


class Redaction(Protocol):
    """What is to be taken out of an exchange."""

    def text(self, text: str) -> Edited | None:
        """Of a text that people or programs wrote."""

    def rendered(self, row: AnyRow) -> Edited | None:
        """Of what the model was shown."""

    def answer(self, row: AnyRow, citations: Sequence[AnyRow]) -> Edited | None:
        """Of the answer, which rests on `citations`."""

    def citation(self, citation: AnyRow) -> Mapping[str, Any]:
        """What of a citation changes: quote, source, external_id, headings."""


@dataclass(frozen=True, slots=True)
class EveryText:
    """The same edit wherever there are words."""

    text: Edit

    def rendered(self, row: AnyRow) -> Edited | None:
        return self.text(row.rendered)

    def answer(self, row: AnyRow, citations: Sequence[AnyRow]) -> Edited | None:
        return self.text(row.answer)

    def citation(self, citation: AnyRow) -> Mapping[str, Any]:
        quote = self.text(citation.quote)
        headings = edited_json(citation.headings, self.text)
        changed: dict[str, Any] = {} if quote is None else {"quote": quote.text}
        return changed if headings == citation.headings else {**changed, "headings": headings}


def redact(connection: Connection, prompt_ids: Sequence[str], redaction: Redaction) -> list[str]:
    """Those of these exchanges that were changed, each marked as redacted.

    The messages that they asked and answered with, and those before them that no exchange has,
    change too; so do the keys of all that was said after.
    """
    messages: dict[str, str] = {}
    changed = []
    citations = _by_prompt(connection, CitationRow, prompt_ids)
    scores = _by_prompt(connection, ScoreRow, prompt_ids)
    rows = list(rows_where(connection, _PROMPTS, PromptRow.prompt_id, sorted(prompt_ids)))
    for row in rows:
        cited = citations.get(row.prompt_id, [])
        is_changed = _redact_row(connection, row, cited, redaction, messages)
        is_changed |= _redact_scores(connection, scores.get(row.prompt_id, []), redaction)
        if is_changed:
            changed.append(row.prompt_id)
    connection.execute(
        update(PromptRow).where(PromptRow.prompt_id.in_(changed)).values(redacted_at=now())
    )
    messages |= _earlier(connection, rows, redaction)
    rewrite(connection, messages)
    return changed


def _redact_row(
    connection: Connection,
    row: AnyRow,
    citations: Sequence[AnyRow],
    redaction: Redaction,
    messages: dict[str, str],
) -> bool:
    answer = None if row.answer is None else redaction.answer(row, citations)
    values = _new_values(row, redaction)
    if answer is not None:
        values["answer"] = answer.text
        _move_mentions(connection, row.prompt_id, answer)
    for key, name in ((row.request_sha256, "question"), (row.response_sha256, "answer")):
        if key is not None and name in values:
            messages[key] = values[name]
    is_cited_otherwise = _redact_citations(connection, citations, answer, redaction)
    if values:
        connection.execute(
            update(PromptRow).where(PromptRow.prompt_id == row.prompt_id).values(values)
        )
    if "question" in values or "standalone" in values:
        drop_question(connection, row.number)
    return bool(values) or is_cited_otherwise


def _new_values(row: AnyRow, redaction: Redaction) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for name in _TEXTS:
        said = getattr(row, name)
        edited = None if said is None else redaction.text(said)
        if edited is not None:
            values[name] = edited.text
    for name in _OF_VALUES:
        said = getattr(row, name)
        edited_value = edited_json(said, redaction.text)
        if edited_value != said:
            values[name] = edited_value
    rendered = redaction.rendered(row)
    return values if rendered is None else {**values, "rendered": rendered.text}


def _redact_citations(
    connection: Connection,
    citations: Sequence[AnyRow],
    answer: Edited | None,
    redaction: Redaction,
) -> bool:
    is_changed = False
    for citation in citations:
        values = dict(redaction.citation(citation))
        is_changed |= bool(values)
        if answer is not None:
            values["answer_start"] = answer.place(citation.answer_start)
            values["answer_end"] = answer.place(citation.answer_end)
        if values:
            connection.execute(
                update(CitationRow)
                .where(
                    CitationRow.prompt_id == citation.prompt_id,
                    CitationRow.ordinal == citation.ordinal,
                )
                .values(values)
            )
    return is_changed


def _redact_scores(connection: Connection, scores: Sequence[AnyRow], redaction: Redaction) -> bool:
    is_changed = False
    for score in scores:
        said = {"comment": score.comment, "correction": score.correction, "label": score.label}
        edits = {name: redaction.text(text) for name, text in said.items() if text}
        values = {name: edited.text for name, edited in edits.items() if edited is not None}
        if values:
            is_changed = True
            connection.execute(
                update(ScoreRow).where(ScoreRow.score_id == score.score_id).values(values)
            )
    return is_changed


def _move_mentions(connection: Connection, prompt_id: str, answer: Edited) -> None:
    """Keep the mentions of entities that still stand in the answer, where they stand now."""
    statement = select(EntityAnswerMentionRow.__table__).filter_by(prompt_id=prompt_id)
    moved = []
    for row in connection.execute(statement).mappings().all():
        start, end = answer.place(row["start_offset"]), answer.place(row["end_offset"])
        if answer.text[start:end] == row["surface"]:
            moved.append({**row, "start_offset": start, "end_offset": end})
    connection.execute(delete(EntityAnswerMentionRow).filter_by(prompt_id=prompt_id))
    if moved:
        connection.execute(insert(EntityAnswerMentionRow), moved)


def drop_question(connection: Connection, number: int) -> None:
    """Forget the vector of what an exchange searched for; it is made anew of what is left."""
    mine = select(PromptQuestionRow.question_id).where(PromptQuestionRow.number == number)
    keys = connection.execute(mine).scalars().all()
    connection.execute(delete(PromptQuestionRow).where(PromptQuestionRow.number == number))
    held = exists().where(PromptQuestionRow.question_id == QuestionVectorRow.question_id)
    connection.execute(
        delete(QuestionVectorRow).where(
            QuestionVectorRow.question_id.in_(bindparam("keys", expanding=True)), ~held
        ),
        {"keys": list(keys)},
    )


def _earlier(
    connection: Connection, rows: Sequence[AnyRow], redaction: Redaction
) -> dict[str, str]:
    """New words of what was said before these exchanges and in none that is on record."""
    keys = chain_keys(connection, [row.request_sha256 for row in rows if row.request_sha256])
    for column in (PromptRow.request_sha256, PromptRow.response_sha256):
        keys -= {row[0] for row in rows_where(connection, select(column), column, sorted(keys))}
    statement = select(MessageRow.message_sha256, MessageRow.content).where(
        MessageRow.role != "system"
    )
    found = rows_where(connection, statement, MessageRow.message_sha256, sorted(keys))
    edits = {row.message_sha256: redaction.text(row.content) for row in found}
    return {key: edited.text for key, edited in edits.items() if edited is not None}


def _by_prompt(
    connection: Connection, table: type[CitationRow] | type[ScoreRow], prompt_ids: Sequence[str]
) -> dict[str, list[AnyRow]]:
    found: dict[str, list[AnyRow]] = {}
    statement = select(table.__table__)
    for row in rows_where(connection, statement, table.prompt_id, sorted(prompt_ids)):
        found.setdefault(row.prompt_id, []).append(row)
    return found
