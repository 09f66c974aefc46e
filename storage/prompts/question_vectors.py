"""The meaning of past questions: the vectors that they were searched for by, once for each text.

They are kept as float16: the cosines are off by a thousandth at most, and a million take less than
a gigabyte. All are compared, block by block.
"""

import hashlib
import json
from collections.abc import Iterator, Sequence
from functools import cache

import numpy as np
from sqlalchemy import Connection, bindparam, insert, select

from storage.bulk import rows_where
from storage.inserting import leave_known
from storage.models.base import BigKey
from storage.models.prompt_search import PromptFactsRow, PromptQuestionRow, QuestionVectorRow
from storage.prepared import change
from storage.prompts.search import Part
from storage.records import EmbeddingSpace, QuestionVector, Vectors

_STORED = np.dtype("<f2")
_BLOCK = 8_192
_AT_ONCE = 500
_NEW_QUESTION = insert(PromptQuestionRow).from_select(
    ["number", "question_id"],
    select(bindparam("of", type_=BigKey), QuestionVectorRow.question_id).where(
        QuestionVectorRow.text_sha256 == bindparam("text"),
        QuestionVectorRow.space_sha256 == bindparam("space"),
    ),
)


def keep(connection: Connection, number: int, question: QuestionVector) -> None:
    """Put on record by which vector the exchange with that number was searched for."""
    text = hashlib.sha256(question.text.encode("utf-8", "replace")).hexdigest()
    space = space_sha256(question.space)
    vector = np.asarray(question.vector, _STORED).tobytes()
    new = {"text_sha256": text, "space_sha256": space, "vector": vector}
    change(connection, leave_known(QuestionVectorRow, connection.dialect.name), [new])
    change(connection, _NEW_QUESTION, [{"of": number, "text": text, "space": space}])


def near(
    connection: Connection,
    vector: Vectors,
    space: EmbeddingSpace,
    parts: Sequence[Part],
    *,
    limit: int,
) -> list[tuple[int, float]]:
    """The numbers of the exchanges that fulfil all `parts` and whose questions have the highest
    cosines to `vector` (dimension,), with these; of the same question, the newest first."""
    found: list[tuple[int, float]] = []
    keys, cosines = _cosines(connection, vector, space)
    order = np.argsort(-cosines, kind="stable")
    for start in range(0, len(order), _AT_ONCE):
        some = order[start : start + _AT_ONCE]
        near_by = dict(zip(keys[some].tolist(), cosines[some].tolist(), strict=True))
        asked = _asking(connection, list(near_by), parts)
        in_order = sorted(asked, key=lambda one: (-near_by[one[1]], -one[0]))
        found += [(number, near_by[question]) for number, question in in_order]
        if len(found) >= limit:
            break
    return found[:limit]


@cache
def space_sha256(space: EmbeddingSpace) -> str:
    """The name of a space among the stored vectors."""
    told = [space.model, space.weights_sha256, space.dimension, space.normalised]
    return hashlib.sha256(json.dumps(told).encode()).hexdigest()


def _cosines(
    connection: Connection, vector: Vectors, space: EmbeddingSpace
) -> tuple[np.ndarray, np.ndarray]:
    keys, cosines = [np.zeros(0, np.int64)], [np.zeros(0, np.float32)]
    for some, block in _blocks(connection, space):
        keys.append(some)
        cosines.append(block @ vector)
    return np.concatenate(keys), np.concatenate(cosines)


def _blocks(connection: Connection, space: EmbeddingSpace) -> Iterator[tuple[np.ndarray, Vectors]]:
    statement = (
        select(QuestionVectorRow.question_id, QuestionVectorRow.vector)
        .where(QuestionVectorRow.space_sha256 == space_sha256(space))
        .order_by(QuestionVectorRow.question_id)
    )
    last = 0
    while rows := connection.execute(
        statement.where(QuestionVectorRow.question_id > last).limit(_BLOCK)
    ).all():
        stored = np.frombuffer(b"".join(row.vector for row in rows), _STORED)
        yield (
            np.array([row.question_id for row in rows], np.int64),
            stored.reshape(len(rows), space.dimension).astype(np.float32),
        )
        last = rows[-1].question_id


def _asking(
    connection: Connection, questions: Sequence[int], parts: Sequence[Part]
) -> list[tuple[int, int]]:
    """The exchanges with these questions, as numbers, with the question of each."""
    statement = (
        select(PromptQuestionRow.number, PromptQuestionRow.question_id)
        .join(PromptFactsRow, PromptFactsRow.number == PromptQuestionRow.number)
        .where(*(part.holds for part in parts))
    )
    rows = rows_where(connection, statement, PromptQuestionRow.question_id, questions)
    return [(row.number, row.question_id) for row in rows]
