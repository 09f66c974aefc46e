"""The questions of some exchanges: their words, and what they mean."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from sqlalchemy import select

from storage.bulk import rows_where
from storage.engine import Database
from storage.models.prompt_search import PromptQuestionRow, QuestionVectorRow
from storage.models.prompts import PromptRow
from storage.prompts.statistics import Counted, counted_exchanges
from storage.records import Vectors

_STORED = np.dtype("<f2")


@dataclass(frozen=True, slots=True)
class Questions:
    """The newest questions of a period."""

    texts: Sequence[str]
    vectors: dict[str, Vectors]
    """Of those that have one, by the embedding space that it is of: (questions, dimension)."""


def newest_questions(
    database: Database, counted: Counted, *, texts: int, vectors: int
) -> Questions:
    """As many of them as are asked for, at most. Raises `FilterError`."""
    with database.read() as connection:
        wanted = counted_exchanges(connection, counted).order_by(PromptRow.number.desc())
        asked = wanted.with_only_columns(PromptRow.question, PromptRow.number).limit(texts)
        found = connection.execute(asked).all()
        statement = select(QuestionVectorRow.space_sha256, QuestionVectorRow.vector).join(
            PromptQuestionRow, PromptQuestionRow.question_id == QuestionVectorRow.question_id
        )
        numbers = [row.number for row in found[:vectors]]
        by_space: dict[str, list[np.ndarray]] = {}
        for row in rows_where(connection, statement, PromptQuestionRow.number, numbers):
            by_space.setdefault(row.space_sha256, []).append(np.frombuffer(row.vector, _STORED))
    stacked = {space: np.stack(rows).astype(np.float32) for space, rows in by_space.items()}
    return Questions([row.question for row in found], stacked)
