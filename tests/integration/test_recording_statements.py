"""How much of the database's work one recorded answer is: it is done for every question."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Thread
from typing import Any

import numpy as np
import pytest
from sqlalchemy import event, insert, select

from storage.engine import Database
from storage.history import History
from storage.models.prompts import PromptTagRow
from storage.models.rollups import RollupRow
from storage.prompts.rollups import differences, recounted
from storage.records import (
    LOCAL_OWNER,
    ChunkId,
    Citation,
    DocumentId,
    EmbeddingSpace,
    Evidence,
    PromptEnd,
    PromptId,
    PromptStart,
    QuestionVector,
)

SPACE = EmbeddingSpace(model="tiny", weights_sha256="a" * 64, dimension=4, normalised=True)
SHOWN = Evidence(
    chunk_id=ChunkId(7),
    document_id=DocumentId(3),
    rank=1,
    score=0.5,
    vector_rank=1,
    keyword_rank=None,
)
CITED = Citation(
    quote="Nine metres.",
    source="/a.txt",
    document_id=DocumentId(3),
    external_id="a.txt",
    chunk_id=ChunkId(7),
    start=0,
    end=12,
    answer_start=0,
    answer_end=12,
    score=0.9,
)
END = PromptEnd(
    answer="Nine metres.",
    state="grounded",
    citations=(CITED,),
    usage={"prompt_tokens": 9, "completion_tokens": 3},
    timings={"generate_s": 0.1},
    seconds=0.2,
)
A_WHILE_S = 0.3
START, COMPLETE = 5, 8
"""Messages, exchange, evidence, vector, which of them; what was asked, the answer's message, the
exchange, citations, what they mark, the judges' queue, two tables of counts."""


def asked(question: str, **values: Any) -> PromptStart:
    vector = np.array([1, 0, 0, 0], np.float32)
    given = {
        "user": "anna",
        "session": "talk",
        "parent_id": None,
        "collection": "default",
        "generation": 1,
        "model": "tiny",
        "weights_sha256": "a" * 64,
        "template_sha256": "b" * 64,
        "rendered": "",
        "sampling": {},
        "evidence": (SHOWN,),
        "system": "Be brief.",
        "question_vector": QuestionVector(text=question, space=SPACE, vector=vector),
        **values,
    }
    return PromptStart(question=question, **given)


@contextmanager
def statements(database: Database) -> Iterator[list[str]]:
    """What is run, BEGIN and COMMIT left out."""
    seen: list[str] = []

    def saw(_connection: Any, _cursor: Any, statement: str, *_rest: Any) -> None:
        if not statement.startswith("BEGIN"):
            seen.append(statement)

    event.listen(database.engine, "before_cursor_execute", saw)
    try:
        yield seen
    finally:
        event.remove(database.engine, "before_cursor_execute", saw)


def record(database: Database, question: str, **values: Any) -> tuple[int, int, PromptId]:
    """How many statements start and end of an exchange take."""
    history = History(database)
    with statements(database) as before:
        prompt_id = history.start(asked(question, **values), principal=LOCAL_OWNER)
    with statements(database) as after:
        history.complete(prompt_id, END)
    return len(before), len(after), prompt_id


def test_an_answer_is_recorded_in_thirteen_statements(database: Database) -> None:
    record(database, "How deep is it?")

    start, complete, _ = record(database, "How wide is it?")

    held = 0 if database.is_sqlite else 1  # the exchange, for there others write at the same time
    assert (start, complete) == (START, COMPLETE + held)


def test_what_is_new_or_goes_on_takes_a_few_statements_more(database: Database) -> None:
    first, _, parent = record(database, "How deep is it?")
    going_on, _, _ = record(database, "And how wide?", parent_id=parent)
    tagged, counted, _ = record(database, "How deep is it?", tags=("sea",))

    held = 0 if database.is_sqlite else 1
    assert first > START
    assert going_on == START + 2
    assert (tagged, counted) == (START + 1, COMPLETE + held + 1)


@pytest.mark.parametrize("shown", [1, 20])
def test_much_evidence_takes_no_more_statements(database: Database, shown: int) -> None:
    record(database, "How deep is it?")
    evidence = tuple(
        Evidence(
            chunk_id=ChunkId(rank),
            document_id=DocumentId(rank),
            rank=rank,
            score=0.5,
            vector_rank=rank,
            keyword_rank=None,
        )
        for rank in range(1, shown + 1)
    )

    start, _, prompt_id = record(database, "How wide is it?", evidence=evidence)

    assert start == START
    stored = History(database).show(prompt_id, principal=LOCAL_OWNER)
    assert [one.chunk_id for one in stored.evidence if one.cited] == [7] * (shown >= 7)


def test_a_user_and_a_session_are_made_when_they_are_first_heard_of(database: Database) -> None:
    history = History(database)
    keys = [
        history.start(asked("Why?", user=user, session=session), principal=LOCAL_OWNER)
        for user, session in (("anna", None), ("anna", "a"), ("bert", "a"), ("anna", "a"))
    ]

    found = [history.show(key, principal=LOCAL_OWNER) for key in keys]

    assert [(one.user, one.session) for one in found] == [
        ("anna", None),
        ("anna", "a"),
        ("bert", "a"),
        ("anna", "a"),
    ]


def test_a_tag_that_comes_while_an_exchange_is_completed_is_counted(database: Database) -> None:
    history = History(database)
    key = history.start(asked("Why?"), principal=LOCAL_OWNER)
    completing = Thread(target=history.complete, args=(key, END))
    with database.write() as connection, recounted(connection, [key]):
        completing.start()
        time.sleep(A_WHILE_S)
        connection.execute(insert(PromptTagRow), {"prompt_id": key, "tag": "late"})
    completing.join()

    with database.read() as connection:
        assert differences(connection) == []
        counted = select(RollupRow.prompts).where(RollupRow.value == "late")
        assert connection.execute(counted).scalars().all() == [1, 1]
