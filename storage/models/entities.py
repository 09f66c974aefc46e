"""Tables of the entities that texts and answers mention. Derived: made again from both at any time.

What is forgotten takes its mentions along; what holds no more keeps them, as it keeps its chunks,
and readers join the sources that hold.
"""

from datetime import datetime

from sqlalchemy import CheckConstraint, ForeignKey, Index, String, UniqueConstraint

from storage.models.base import BigKey, Column, Table, UtcDateTime

MAX_NAME = 200
_IS_SPAN = "start_offset >= 0 AND end_offset > start_offset"


class EntityRow(Table):
    """Something that has a name. A row alone says nothing: it is known by its mentions."""

    __tablename__ = "entities"
    __table_args__ = (
        UniqueConstraint("collection_id", "key", "kind"),
        CheckConstraint("kind IN ('person', 'organisation', 'place', 'term')", name="kind"),
    )

    entity_id: Column[int] = Column(BigKey, primary_key=True, autoincrement=False)
    collection_id: Column[int] = Column(BigKey, ForeignKey("collections.collection_id"))
    kind: Column[str] = Column(String(12))
    key: Column[str] = Column(String(MAX_NAME))
    """What all forms of its name have in common: folded case, singular, the long form."""


class EntityMentionRow(Table, sqlite_with_rowid=False):
    """A place in a text that names an entity: `surface` is exactly text[start:end]."""

    __tablename__ = "entity_mentions"
    __table_args__ = (
        Index("ix_entity_mentions_entity", "entity_id", "document_id", "sentence"),
        CheckConstraint(_IS_SPAN, name="span"),
    )

    document_id: Column[int] = Column(
        BigKey, ForeignKey("documents.document_id", ondelete="CASCADE"), primary_key=True
    )
    sentence: Column[int] = Column(primary_key=True, autoincrement=False)
    """Its number in the text: entities of one sentence are neighbours."""
    start_offset: Column[int] = Column(primary_key=True, autoincrement=False)
    end_offset: Column[int]
    entity_id: Column[int] = Column(BigKey, ForeignKey("entities.entity_id"))
    surface: Column[str] = Column(String(MAX_NAME))


class EntityAnswerRow(Table):
    """An answer that was looked through."""

    __tablename__ = "entity_answers"

    prompt_id: Column[str] = Column(
        String(32), ForeignKey("prompts.prompt_id", ondelete="CASCADE"), primary_key=True
    )
    recogniser: Column[str] = Column(String(64))


class EntityAnswerMentionRow(Table, sqlite_with_rowid=False):
    """A place in a recorded answer that names an entity."""

    __tablename__ = "entity_answer_mentions"
    __table_args__ = (
        Index("ix_entity_answer_mentions_entity", "entity_id"),
        CheckConstraint(_IS_SPAN, name="span"),
    )

    prompt_id: Column[str] = Column(
        String(32), ForeignKey("prompts.prompt_id", ondelete="CASCADE"), primary_key=True
    )
    start_offset: Column[int] = Column(primary_key=True, autoincrement=False)
    end_offset: Column[int]
    entity_id: Column[int] = Column(BigKey, ForeignKey("entities.entity_id"))
    surface: Column[str] = Column(String(MAX_NAME))


class EntityStateRow(Table):
    """How far the texts of a collection were looked through, and by which recogniser.

    Keys of documents are handed out in order, so that the last one says it for all before it.
    """

    __tablename__ = "entity_states"

    collection_id: Column[int] = Column(
        BigKey, ForeignKey("collections.collection_id"), primary_key=True
    )
    recogniser: Column[str] = Column(String(64))
    document_id: Column[int] = Column(BigKey)
    generation: Column[int] = Column(BigKey)
    """Of which all texts were looked through."""
    answers_until: Column[datetime | None] = Column(UtcDateTime)
    """When the newest exchange began whose answer was looked through."""
