"""Tables by which past exchanges are found: each says again, in few bytes and under the exchange's
number, what others say in full.

Triggers keep them (`migrations/versions/0008_full_text.py`), so that no writer can forget to. The
words of questions and answers stand in `prompt_words`, which is another thing on each database: a
full-text table on SQLite, a column of `tsvector` on PostgreSQL.
"""

from datetime import datetime

from sqlalchemy import Double, Index, LargeBinary, SmallInteger, String, Text, text

from storage.models.base import BigKey, Column, Microseconds, Table

_RATED = text("rating IS NOT NULL")


class PromptNameRow(Table):
    """A tag or a metric by its number.

    Two writers may name the same at once: a name can have more than one number.
    """

    __tablename__ = "prompt_names"
    __table_args__ = (Index("ix_prompt_names_name", "name", info={"postgresql_using": "hash"}),)

    name_id: Column[int] = Column(BigKey, primary_key=True)
    name: Column[str] = Column(Text)


class PromptKindRow(Table):
    """What many exchanges have in common: there are few such combinations, so that those which
    fulfil a filter are found at once, and none where it never holds.

    Empty texts and 0 stand for what is not there. A combination can have more than one number.
    """

    __tablename__ = "prompt_kinds"
    __table_args__ = (
        Index("ix_prompt_kinds_kind", "category", "application", "state", "status", "template_id"),
    )

    kind_id: Column[int] = Column(BigKey, primary_key=True)
    model: Column[str] = Column(Text)
    collection: Column[str] = Column(String(200))
    application: Column[str] = Column(String(200))
    category: Column[str] = Column(String(200))
    state: Column[str] = Column(String(11))
    status: Column[str] = Column(String(9))
    template_id: Column[int] = Column(BigKey)


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
        Index(
            "ix_prompt_facts_rating",
            "rating",
            sqlite_where=_RATED,
            info={"postgresql_where": _RATED},
        ),
    )

    number: Column[int] = Column(BigKey, primary_key=True, autoincrement=False)
    kind_id: Column[int] = Column(BigKey)
    user_id: Column[int] = Column(BigKey)
    seconds: Column[float | None] = Column(Double)
    confidence: Column[float | None] = Column(Double)
    rating: Column[float | None] = Column(Double)
    """The mean of what each person said last under the metric "rating"."""
    asked_us: Column[datetime] = Column(Microseconds)
    session_id: Column[int] = Column(BigKey)
    generation: Column[int] = Column(BigKey)
    cost: Column[float | None] = Column(Double)
    prompt_tokens: Column[int | None] = Column(BigKey)
    completion_tokens: Column[int | None] = Column(BigKey)


class PromptPostingRow(Table, sqlite_with_rowid=False):
    """That an exchange has a tag, that its model was shown a document, or that it cites one."""

    __tablename__ = "prompt_postings"
    relation: Column[int] = Column(SmallInteger, primary_key=True)
    """1: has the tag of this name; 2: was shown this document; 3: cites one that is called so."""
    key: Column[int] = Column(BigKey, primary_key=True, autoincrement=False)
    number: Column[int] = Column(BigKey, primary_key=True, autoincrement=False)


class CitedDocumentRow(Table):
    """What a cited document was called: it may be gone since."""

    __tablename__ = "cited_documents"
    __table_args__ = (Index("ix_cited_documents_document", "document_id"),)

    cited_id: Column[int] = Column(BigKey, primary_key=True)
    document_id: Column[int] = Column(BigKey)
    source: Column[str] = Column(Text)
    external_id: Column[str] = Column(Text)


class PromptMeanRow(Table, sqlite_with_rowid=False):
    """The mean, from 0 to 1, of what each judge said last of an answer under one metric."""

    __tablename__ = "prompt_means"
    __table_args__ = (Index("ix_prompt_means_value", "metric_id", "value", "number"),)

    metric_id: Column[int] = Column(BigKey, primary_key=True, autoincrement=False)
    number: Column[int] = Column(BigKey, primary_key=True, autoincrement=False)
    value: Column[float] = Column(Double)


class QuestionVectorRow(Table):
    """The vector of a question, once for each text and embedding space."""

    __tablename__ = "question_vectors"
    __table_args__ = (
        Index("uq_question_vectors_text", "text_sha256", "space_sha256", unique=True),
    )

    question_id: Column[int] = Column(BigKey, primary_key=True)
    text_sha256: Column[str] = Column(String(64))
    space_sha256: Column[str] = Column(String(64))
    vector: Column[bytes] = Column(LargeBinary)
    """Little-endian float16, of length one."""


class PromptQuestionRow(Table):
    """Which vector is the one of what was searched for."""

    __tablename__ = "prompt_questions"
    __table_args__ = (Index("ix_prompt_questions_question", "question_id"),)

    number: Column[int] = Column(BigKey, primary_key=True, autoincrement=False)
    question_id: Column[int] = Column(BigKey)
