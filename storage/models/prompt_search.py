"""Tables by which past exchanges are found: each says again, in few bytes and under the exchange's
number, what others say in full.

Triggers keep them (`migrations/versions/0008_full_text.py`), so that no writer can forget to. The
words of questions and answers stand in `prompt_words`, which is another thing on each database: a
full-text table on SQLite, a column of `tsvector` on PostgreSQL.
"""

from datetime import datetime

from sqlalchemy import Double, Index, LargeBinary, SmallInteger, String, Text, text
from sqlalchemy.orm import Mapped, mapped_column

from storage.models.base import BigKey, Microseconds, Table

_RATED = text("rating IS NOT NULL")


class PromptNameRow(Table):
    """A tag or a metric by its number.

    Two writers may name the same at once: a name can have more than one number.
    """

    __tablename__ = "prompt_names"
    __table_args__ = (Index("ix_prompt_names_name", "name", postgresql_using="hash"),)

    name_id: Mapped[int] = mapped_column(BigKey, primary_key=True)
    name: Mapped[str] = mapped_column(Text)


class PromptKindRow(Table):
    """What many exchanges have in common: there are few such combinations, so that those which
    fulfil a filter are found at once, and none where it never holds.

    Empty texts and 0 stand for what is not there. A combination can have more than one number.
    """

    __tablename__ = "prompt_kinds"
    __table_args__ = (
        Index("ix_prompt_kinds_kind", "category", "application", "state", "status", "template_id"),
    )

    kind_id: Mapped[int] = mapped_column(BigKey, primary_key=True)
    model: Mapped[str] = mapped_column(Text)
    collection: Mapped[str] = mapped_column(String(200))
    application: Mapped[str] = mapped_column(String(200))
    category: Mapped[str] = mapped_column(String(200))
    state: Mapped[str] = mapped_column(String(11))
    status: Mapped[str] = mapped_column(String(9))
    template_id: Mapped[int] = mapped_column(BigKey)


class PromptFactsRow(Table):
    """What can be said of an exchange in one short row: a million of them are read in the time of
    a blink. 0 stands for a session where there is none."""

    __tablename__ = "prompt_facts"
    __table_args__ = (
        Index("ix_prompt_facts_kind", "kind_id", "number"),
        Index("ix_prompt_facts_user", "user_id", "number"),
        Index("ix_prompt_facts_session", "session_id", "number"),
        Index("ix_prompt_facts_seconds", "seconds"),
        Index("ix_prompt_facts_asked", "asked_us"),
        Index("ix_prompt_facts_rating", "rating", sqlite_where=_RATED, postgresql_where=_RATED),
    )

    number: Mapped[int] = mapped_column(BigKey, primary_key=True, autoincrement=False)
    kind_id: Mapped[int] = mapped_column(BigKey)
    user_id: Mapped[int] = mapped_column(BigKey)
    seconds: Mapped[float | None] = mapped_column(Double)
    confidence: Mapped[float | None] = mapped_column(Double)
    rating: Mapped[float | None] = mapped_column(Double)
    """The mean of what each person said last under the metric "rating"."""
    asked_us: Mapped[datetime] = mapped_column(Microseconds)
    session_id: Mapped[int] = mapped_column(BigKey)
    generation: Mapped[int] = mapped_column(BigKey)
    cost: Mapped[float | None] = mapped_column(Double)
    prompt_tokens: Mapped[int | None] = mapped_column(BigKey)
    completion_tokens: Mapped[int | None] = mapped_column(BigKey)


class PromptPostingRow(Table):
    """That an exchange has a tag, that its model was shown a document, or that it cites one."""

    __tablename__ = "prompt_postings"
    __table_args__ = ({"sqlite_with_rowid": False},)

    relation: Mapped[int] = mapped_column(SmallInteger, primary_key=True)
    """1: has the tag of this name; 2: was shown this document; 3: cites one that is called so."""
    key: Mapped[int] = mapped_column(BigKey, primary_key=True, autoincrement=False)
    number: Mapped[int] = mapped_column(BigKey, primary_key=True, autoincrement=False)


class CitedDocumentRow(Table):
    """What a cited document was called: it may be gone since."""

    __tablename__ = "cited_documents"
    __table_args__ = (Index("ix_cited_documents_document", "document_id"),)

    cited_id: Mapped[int] = mapped_column(BigKey, primary_key=True)
    document_id: Mapped[int] = mapped_column(BigKey)
    source: Mapped[str] = mapped_column(Text)
    external_id: Mapped[str] = mapped_column(Text)


class PromptMeanRow(Table):
    """The mean, from 0 to 1, of what each judge said last of an answer under one metric."""

    __tablename__ = "prompt_means"
    __table_args__ = (
        Index("ix_prompt_means_value", "metric_id", "value", "number"),
        {"sqlite_with_rowid": False},
    )

    metric_id: Mapped[int] = mapped_column(BigKey, primary_key=True, autoincrement=False)
    number: Mapped[int] = mapped_column(BigKey, primary_key=True, autoincrement=False)
    value: Mapped[float] = mapped_column(Double)


class QuestionVectorRow(Table):
    """The vector of a question, once for each text and embedding space."""

    __tablename__ = "question_vectors"
    __table_args__ = (
        Index("uq_question_vectors_text", "text_sha256", "space_sha256", unique=True),
    )

    question_id: Mapped[int] = mapped_column(BigKey, primary_key=True)
    text_sha256: Mapped[str] = mapped_column(String(64))
    space_sha256: Mapped[str] = mapped_column(String(64))
    vector: Mapped[bytes] = mapped_column(LargeBinary)
    """Little-endian float16, of length one."""


class PromptQuestionRow(Table):
    """Which vector is the one of what was searched for."""

    __tablename__ = "prompt_questions"
    __table_args__ = (Index("ix_prompt_questions_question", "question_id"),)

    number: Mapped[int] = mapped_column(BigKey, primary_key=True, autoincrement=False)
    question_id: Mapped[int] = mapped_column(BigKey)
