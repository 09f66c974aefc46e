"""Takes a forgotten text out of what was asked and answered: quotes, answers, prompts, messages."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from sqlalchemy import Connection, select

from storage.bulk import batches, rows_where
from storage.engine import Database
from storage.erasing.editing import Edited, covered, spans, whole, without
from storage.erasing.haystack import WORDS, as_bytes
from storage.erasing.marks import FORGOTTEN
from storage.erasing.messages import hold_messages, rewrite
from storage.erasing.needles import Needles
from storage.erasing.redaction import AnyRow, redact
from storage.models.prompts import CitationRow, EvidenceRow, MessageRow, PromptRow, ScoreRow

HISTORY = (
    "prompts",
    "prompt_scores",
    "citations",
    "messages",
    "entity_answer_mentions",
    "cited_documents",
    "question_vectors",
    "erasures",
    *WORDS,
)
"""Tables of which the words of a forgotten document are taken out."""
_PROMPTS_A_STEP = 100
_ROWS_AT_ONCE = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Quoting:
    """A `Redaction` of all that was taken from some documents or names their sources."""

    needles: Needles
    documents: frozenset[int]
    places: frozenset[tuple[str, str]]
    """Uri and external id of the sources that are forgotten."""
    shown: frozenset[str]
    """Exchanges whose model was shown one of the documents."""

    def text(self, text: str) -> Edited | None:
        return without(text, covered(text, self.needles), FORGOTTEN)

    def rendered(self, row: AnyRow) -> Edited | None:
        if row.prompt_id in self.shown:
            return whole(row.rendered, FORGOTTEN)
        return self.text(row.rendered)

    def answer(self, row: AnyRow, citations: Sequence[AnyRow]) -> Edited | None:
        """What rests on nothing else goes whole."""
        ours = [c for c in citations if c.document_id in self.documents and c.quote != FORGOTTEN]
        if ours and all(c.document_id in self.documents for c in citations):
            return whole(row.answer, FORGOTTEN)
        taken = covered(row.answer, self.needles)
        cited = spans(len(row.answer), [(c.answer_start, c.answer_end) for c in ours])
        return without(row.answer, np.logical_or(taken, cited), FORGOTTEN)

    def citation(self, citation: AnyRow) -> Mapping[str, Any]:
        changed: dict[str, Any] = {}
        if citation.document_id in self.documents and citation.quote != FORGOTTEN:
            changed = {"quote": FORGOTTEN, "headings": None}
        elif (quote := self.text(citation.quote)) is not None:
            changed = {"quote": quote.text}
        if (citation.source, citation.external_id) in self.places:
            changed |= {"source": FORGOTTEN, "external_id": FORGOTTEN}
        return changed


def take_out(database: Database, quoting: Quoting) -> dict[str, int]:
    """Take it out of every exchange; how many of them and of other messages were changed."""
    with database.read() as connection:
        wanted = sorted(_touched(connection, quoting))
    changed = 0
    for batch in batches(wanted, _PROMPTS_A_STEP):
        with database.write() as connection:
            hold_messages(connection)
            changed += len(redact(connection, batch, quoting))
    with database.write() as connection:
        hold_messages(connection)
        messages = rewrite(connection, dict(_said(connection, quoting)))
    return {"prompts_redacted": changed, "messages_redacted": messages}


def shown_in(connection: Connection, documents: Sequence[int]) -> frozenset[str]:
    """The exchanges whose model was shown one of `documents`."""
    rows = rows_where(connection, select(EvidenceRow.prompt_id), EvidenceRow.document_id, documents)
    return frozenset(row.prompt_id for row in rows)


def touched_by(connection: Connection, documents: Sequence[int]) -> frozenset[str]:
    """The exchanges that cite or were shown one of `documents`."""
    statement = select(CitationRow.prompt_id)
    cited = rows_where(connection, statement, CitationRow.document_id, documents)
    return frozenset(row.prompt_id for row in cited) | shown_in(connection, documents)


def _touched(connection: Connection, quoting: Quoting) -> set[str]:
    """The exchanges that cite or were shown a document, name a source, or hold its words."""
    found = {*touched_by(connection, sorted(quoting.documents)), *quoting.shown}
    ids = sorted({external_id for _, external_id in quoting.places})
    naming = select(CitationRow.prompt_id, CitationRow.source, CitationRow.external_id)
    for row in rows_where(connection, naming, CitationRow.external_id, ids):
        if (row.source, row.external_id) in quoting.places:
            found.add(row.prompt_id)
    for table in (PromptRow, ScoreRow, CitationRow):
        found |= {row.prompt_id for row in _holding(connection, table, quoting.needles)}
    return found


def _said(connection: Connection, quoting: Quoting) -> Iterator[tuple[str, str]]:
    for row in _holding(connection, MessageRow, quoting.needles):
        edited = quoting.text(row.content)
        if edited is not None:
            yield row.message_sha256, edited.text


def _holding(
    connection: Connection,
    table: type[PromptRow] | type[ScoreRow] | type[CitationRow] | type[MessageRow],
    needles: Needles,
) -> Iterator[AnyRow]:
    """The rows of a table that hold a window that is looked for."""
    rows = connection.execute(select(table.__table__).execution_options(yield_per=_ROWS_AT_ONCE))
    for some in rows.partitions(_ROWS_AT_ONCE):
        said = [b"\0".join(map(as_bytes, row)) for row in some]
        if needles.found_in(b"\0".join(said)).count:
            yield from (
                row for row, words in zip(some, said, strict=True) if needles.found_in(words).count
            )
