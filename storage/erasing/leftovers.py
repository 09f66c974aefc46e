"""What is kept under a number as long as something has it, once nothing has it any more."""

from sqlalchemy import Connection, delete, exists, select

from storage.erasing.messages import hold_messages
from storage.models.entities import EntityAnswerMentionRow, EntityMentionRow, EntityRow
from storage.models.prompt_search import (
    CitedDocumentRow,
    PromptFactsRow,
    PromptKindRow,
    PromptMeanRow,
    PromptNameRow,
    PromptPostingRow,
    PromptQuestionRow,
    QuestionVectorRow,
)
from storage.models.prompts import CitationRow, PromptRow

_TAGGED = 1


def remove_leftovers(connection: Connection) -> dict[str, int]:
    """Remove names, entities, vectors and titles that nothing refers to; how many, by table."""
    # Whoever records an exchange names things by what stands here.
    hold_messages(connection)
    gone = {
        "prompt_names": _unused_names(connection),
        "prompt_kinds": _kinds_of_nobody(connection),
        "entities": _unmentioned(connection),
        "prompt_questions": _questions_of_nobody(connection),
        "cited_documents": _uncited(connection),
    }
    return {table: count for table, count in gone.items() if count}


def _unused_names(connection: Connection) -> int:
    key = PromptNameRow.name_id
    tagged = exists().where(PromptPostingRow.relation == _TAGGED, PromptPostingRow.key == key)
    measured = exists().where(PromptMeanRow.metric_id == key)
    return connection.execute(delete(PromptNameRow).where(~tagged, ~measured)).rowcount


def _kinds_of_nobody(connection: Connection) -> int:
    used = exists().where(PromptFactsRow.kind_id == PromptKindRow.kind_id)
    return connection.execute(delete(PromptKindRow).where(~used)).rowcount


def _unmentioned(connection: Connection) -> int:
    statement = delete(EntityRow).where(
        ~exists().where(EntityMentionRow.entity_id == EntityRow.entity_id),
        ~exists().where(EntityAnswerMentionRow.entity_id == EntityRow.entity_id),
    )
    return connection.execute(statement).rowcount


def _questions_of_nobody(connection: Connection) -> int:
    numbers = select(PromptRow.number)
    gone = connection.execute(
        delete(PromptQuestionRow).where(PromptQuestionRow.number.not_in(numbers))
    ).rowcount
    used = exists().where(PromptQuestionRow.question_id == QuestionVectorRow.question_id)
    return gone + connection.execute(delete(QuestionVectorRow).where(~used)).rowcount


def _uncited(connection: Connection) -> int:
    cited = exists().where(
        CitationRow.document_id == CitedDocumentRow.document_id,
        CitationRow.source == CitedDocumentRow.source,
        CitationRow.external_id == CitedDocumentRow.external_id,
    )
    return connection.execute(delete(CitedDocumentRow).where(~cited)).rowcount
