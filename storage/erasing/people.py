"""What goes when a user or a conversation is forgotten, besides the exchanges."""

from collections.abc import Iterator, Mapping
from typing import Any

from sqlalchemy import ColumnElement, Connection, delete, func, select, update

from storage.erasing.haystack import WORDS
from storage.erasing.marks import FORGOTTEN
from storage.erasing.messages import chain_keys
from storage.erasing.needles import Hashes, window_of_name, windows_of_text, windows_of_vector
from storage.models.access import SessionRow, UserRow
from storage.models.artifacts import ArtifactRow
from storage.models.corpus import CollectionLabelRow, SourceLabelRow
from storage.models.prompt_search import PromptQuestionRow, QuestionVectorRow
from storage.models.prompts import (
    CitationRow,
    EvidenceRow,
    MessageRow,
    PromptArtifactRow,
    PromptRow,
    PromptTagRow,
    ScoreRow,
)
from storage.models.record_sets import RecordBatchRow
from storage.models.versions import ModelActivationRow
from storage.prompts.askers import Asker
from storage.prompts.rollups import recounted
from storage.uploads import owner_prefixes

_TEXTS = (PromptRow.question, PromptRow.standalone, PromptRow.answer)


def find_user(connection: Connection, name: str) -> Asker | None:
    """The key of that user; None: nobody of that name ever asked or rated."""
    found = connection.execute(select(UserRow.user_id).where(UserRow.name == name)).scalar()
    return None if found is None else Asker(found, None)


def find_session(connection: Connection, user: str, session: str) -> Asker | None:
    """The keys of a user's conversation; None if there is none."""
    row = connection.execute(
        select(SessionRow.user_id, SessionRow.session_id)
        .join(UserRow, UserRow.user_id == SessionRow.user_id)
        .where(UserRow.name == user, SessionRow.name == session)
    ).first()
    return None if row is None else Asker(row.user_id, row.session_id)


def asker_of(plan: Mapping[str, Any]) -> Asker:
    """Of a plan of an erasure."""
    return Asker(plan["user_id"], plan["session_id"])


def exchange_ids(connection: Connection, who: Asker) -> list[str]:
    """The exchanges that there are now."""
    return [*connection.execute(select(PromptRow.prompt_id).where(exchanges_of(who))).scalars()]


def counted(connection: Connection, who: Asker) -> dict[str, int]:
    """How much would go."""
    keys = select(PromptRow.prompt_id).where(exchanges_of(who))
    sessions: ColumnElement[bool] = SessionRow.user_id == who.user_id
    opinions: ColumnElement[bool] = ScoreRow.prompt_id.in_(keys)
    if who.session_id is None:
        opinions |= ScoreRow.user_id == who.user_id
    else:
        sessions &= SessionRow.session_id == who.session_id
    wanted = {
        "exchanges": PromptRow.prompt_id.in_(keys),
        "sessions": sessions,
        "scores": opinions,
        "citations": CitationRow.prompt_id.in_(keys),
        "attachments": PromptArtifactRow.prompt_id.in_(keys),
    }
    return {
        name: connection.execute(select(func.count()).where(condition)).scalar_one()
        for name, condition in wanted.items()
    }


def exchanges_of(who: Asker) -> ColumnElement[bool]:
    """Those of the conversation, or else of the user."""
    if who.session_id is not None:
        return PromptRow.session_id == who.session_id
    return PromptRow.user_id == who.user_id


def windows(connection: Connection, who: Asker, salt: str) -> Iterator[tuple[int, Hashes]]:
    """All that they said and were told, and what they are called."""
    own = exchanges_of(who)
    for row in connection.execute(select(*_TEXTS).where(own)):
        for text in row:
            yield from windows_of_text(text or "", salt)
    said = (
        ScoreRow.prompt_id.in_(select(PromptRow.prompt_id).where(own))
        if who.session_id is not None
        else ScoreRow.user_id == who.user_id
    )
    opinions = select(ScoreRow.comment, ScoreRow.correction).where(said)
    for opinion in connection.execute(opinions):
        for text in opinion:
            yield from windows_of_text(text or "", salt)
    numbers = select(PromptRow.number).where(own)
    mine = select(PromptQuestionRow.question_id).where(PromptQuestionRow.number.in_(numbers))
    vectors = select(QuestionVectorRow.vector).where(QuestionVectorRow.question_id.in_(mine))
    for vector in connection.execute(vectors).scalars():
        yield from windows_of_vector(vector, salt)
    for name in names(connection, who):
        yield from window_of_name(name, salt)
    attached = select(PromptArtifactRow.artifact_id).where(
        PromptArtifactRow.prompt_id.in_(select(PromptRow.prompt_id).where(own))
    )
    for content in _contents(connection, ArtifactRow.artifact_id.in_(attached)):
        yield from windows_of_vector(content, salt)


def _contents(connection: Connection, wanted: ColumnElement[bool]) -> Iterator[bytes]:
    statement = select(ArtifactRow.content).where(wanted, ArtifactRow.content.is_not(None))
    for content in connection.execute(statement).scalars():
        if content is not None:
            yield content


def names(connection: Connection, who: Asker) -> list[str]:
    """What the user and all conversations, or the one conversation, are called."""
    sessions = select(SessionRow.name).where(SessionRow.user_id == who.user_id)
    if who.session_id is not None:
        sessions = sessions.where(SessionRow.session_id == who.session_id)
        return [*connection.execute(sessions).scalars()]
    user = select(UserRow.name).where(UserRow.user_id == who.user_id)
    return [*connection.execute(user).scalars(), *connection.execute(sessions).scalars()]


def staying(connection: Connection, who: Asker) -> dict[str, ColumnElement[bool] | None]:
    """The rows of the history's tables that stay."""
    own = exchanges_of(who)
    keys = select(PromptRow.prompt_id).where(own)
    chain = chain_keys(connection, _message_keys(connection, own))
    asked = select(PromptQuestionRow.question_id).where(
        PromptQuestionRow.number.not_in(select(PromptRow.number).where(own))
    )
    stays: dict[str, ColumnElement[bool] | None] = {
        table.__tablename__: table.prompt_id.not_in(keys)
        for table in (CitationRow, EvidenceRow, PromptArtifactRow, PromptTagRow)
    }
    scores: ColumnElement[bool] = ScoreRow.prompt_id.not_in(keys)
    if who.session_id is None:
        scores &= func.coalesce(ScoreRow.user_id, -1) != who.user_id
        stays["users"] = UserRow.user_id != who.user_id
        own_name = select(UserRow.name).where(UserRow.user_id == who.user_id)
        stays["record_batches"] = RecordBatchRow.created_by.not_in(own_name)
        stays["sessions"] = SessionRow.user_id != who.user_id
    else:
        stays["sessions"] = SessionRow.session_id != who.session_id
    return {**stays, **dict.fromkeys(WORDS)} | {
        "prompts": PromptRow.prompt_id.not_in(keys),
        "prompt_scores": scores,
        "messages": MessageRow.message_sha256.not_in(chain),
        "artifacts": None,
        "prompt_questions": None,
        "question_vectors": QuestionVectorRow.question_id.in_(asked),
        "prompt_names": None,
        "prompt_kinds": None,
        "entities": None,
        "entity_answer_mentions": None,
        "source_labels": None,
        "collection_labels": None,
        "model_activations": None,
        "dataset_versions": None,
        "cited_documents": None,
        "erasures": None,
    }


def _message_keys(connection: Connection, own: ColumnElement[bool]) -> set[str]:
    rows = connection.execute(
        select(PromptRow.request_sha256, PromptRow.response_sha256).where(own)
    )
    return {key for row in rows for key in row if key}


def remove_opinions(connection: Connection, user_id: int) -> int:
    """Remove what they said of others' answers."""
    statement = select(ScoreRow.prompt_id).where(ScoreRow.user_id == user_id)
    prompts = sorted({*connection.execute(statement).scalars()})
    with recounted(connection, prompts):
        return connection.execute(delete(ScoreRow).where(ScoreRow.user_id == user_id)).rowcount


def remove_traces(connection: Connection, user_id: int) -> dict[str, int]:
    """Remove their uploads, and their name wherever it stands beside something that stays.

    What only they may read stays closed: a label that nobody carries takes the place of theirs.
    """
    name = connection.execute(select(UserRow.name).where(UserRow.user_id == user_id)).scalar()
    if name is None:
        return {}
    counts = {"artifacts": 0}
    for prefix in owner_prefixes(name):
        gone = delete(ArtifactRow).where(ArtifactRow.name.startswith(prefix, autoescape=True))
        counts["artifacts"] += connection.execute(gone).rowcount
    nobody = f"user:{FORGOTTEN}:{user_id}"
    for table in (SourceLabelRow, CollectionLabelRow):
        changed = update(table).where(table.label == f"user:{name}").values(label=nobody)
        counts[table.__tablename__] = connection.execute(changed).rowcount
    counts["model_activations"] = connection.execute(
        update(ModelActivationRow)
        .where(ModelActivationRow.user_name == name)
        .values(user_name=FORGOTTEN)
    ).rowcount
    counts["record_batches"] = connection.execute(
        update(RecordBatchRow)
        .where(RecordBatchRow.created_by == name)
        .values(created_by=FORGOTTEN, source=func.replace(RecordBatchRow.source, name, FORGOTTEN))
    ).rowcount
    return {table: count for table, count in counts.items() if count}


def remove_asker(connection: Connection, who: Asker) -> dict[str, int]:
    """Remove the row of the conversation, or of the user and all conversations; neither while
    there is an exchange, which may have come in since."""
    if connection.execute(select(PromptRow.prompt_id).where(exchanges_of(who)).limit(1)).first():
        return {}
    sessions = (
        SessionRow.user_id == who.user_id
        if who.session_id is None
        else SessionRow.session_id == who.session_id
    )
    counts = {"sessions": connection.execute(delete(SessionRow).where(sessions)).rowcount}
    if who.session_id is None:
        user = UserRow.user_id == who.user_id
        counts["users"] = connection.execute(delete(UserRow).where(user)).rowcount
    return {table: count for table, count in counts.items() if count}
