"""The record of exchanges, on both databases."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest

from storage.engine import Database
from storage.errors import InvalidRecordError, NotFoundError
from storage.history import History
from storage.prompts.listing import PromptListing, PromptsWanted
from storage.records import (
    LOCAL_OWNER,
    ChunkId,
    Citation,
    DocumentId,
    Evidence,
    Principal,
    PromptEnd,
    PromptId,
    PromptRecord,
    PromptStart,
    Score,
)

ANNA = Principal(name="anna")
BERT = Principal(name="bert")


def latest(
    database: Database, *, principal: Principal, limit: int = 20, **wanted: Any
) -> list[PromptRecord]:
    asked_for = PromptsWanted(principal=principal, **wanted)
    return [one.prompt for one in PromptListing(database).page(asked_for, limit=limit)]


def evidence(chunk_id: int, rank: int) -> Evidence:
    return Evidence(
        chunk_id=ChunkId(chunk_id),
        document_id=DocumentId(1),
        rank=rank,
        score=0.5,
        vector_rank=rank,
        keyword_rank=None,
    )


def asked(question: str = "Why?", **values: object) -> PromptStart:
    given = {
        "user": "anna",
        "session": None,
        "parent_id": None,
        "collection": "default",
        "generation": 3,
        "model": "tiny",
        "weights_sha256": "a" * 64,
        "template_sha256": "b" * 64,
        "rendered": f"<user>{question}",
        "sampling": {"temperature": 0.0, "seed": 1},
        "evidence": (evidence(7, 1), evidence(9, 2)),
        **values,
    }
    return PromptStart(question=question, **given)


def answered(text: str = "Because.", chunk_id: int = 9) -> PromptEnd:
    citation = Citation(
        quote="Because",
        source="/docs/a.txt",
        document_id=DocumentId(1),
        external_id="a.txt",
        chunk_id=ChunkId(chunk_id),
        start=4,
        end=11,
        answer_start=0,
        answer_end=8,
        score=0.9,
        page=3,
        headings=("Results", "Costs › “2026” 💶"),
    )
    return PromptEnd(
        answer=text,
        state="grounded",
        citations=(citation,),
        usage={"prompt_tokens": 5, "completion_tokens": 2},
        timings={"generate_s": 0.1},
    )


def test_a_prompt_is_on_record_before_its_answer_and_whole_after(database: Database) -> None:
    history = History(database)
    prompt_id = history.start(asked(session="tea time"), principal=LOCAL_OWNER)
    before = history.show(prompt_id, principal=LOCAL_OWNER)
    assert (before.status, before.answer, before.state) == ("started", None, None)
    assert before.completed_at is None

    history.complete(prompt_id, answered())
    after = history.show(prompt_id, principal=LOCAL_OWNER)
    assert (after.status, after.answer, after.state) == ("completed", "Because.", "grounded")
    assert after.session == "tea time"
    assert after.sampling == {"temperature": 0.0, "seed": 1}
    assert after.usage == {"prompt_tokens": 5, "completion_tokens": 2}
    assert [(e.chunk_id, e.rank, e.cited) for e in after.evidence] == [(7, 1, False), (9, 2, True)]
    assert after.citations == answered().citations
    assert after.completed_at is not None
    assert after.completed_at >= after.created_at
    assert after.created_at.utcoffset() is not None


def test_a_failed_prompt_says_why(database: Database) -> None:
    history = History(database)
    prompt_id = history.start(asked(), principal=LOCAL_OWNER)
    history.fail(prompt_id, error="the model ran out of memory")
    shown = history.show(prompt_id, principal=LOCAL_OWNER)
    assert (shown.status, shown.error) == ("failed", "the model ran out of memory")


def test_what_has_ended_is_never_written_over(database: Database) -> None:
    history = History(database)
    prompt_id = history.start(asked(), principal=LOCAL_OWNER)
    history.complete(prompt_id, answered("First."))
    with pytest.raises(InvalidRecordError, match="not open"):
        history.complete(prompt_id, answered("Second."))
    with pytest.raises(InvalidRecordError):
        history.fail(prompt_id, error="late")
    assert history.show(prompt_id, principal=LOCAL_OWNER).answer == "First."


def test_a_reader_sees_their_own_prompts_and_the_owner_all(database: Database) -> None:
    history = History(database)
    of_anna = history.start(asked("Anna's?"), principal=ANNA)
    of_bert = history.start(asked("Bert's?", user="bert"), principal=BERT)
    assert [p.prompt_id for p in latest(database, principal=ANNA)] == [of_anna]
    assert {p.prompt_id for p in latest(database, principal=LOCAL_OWNER)} == {of_anna, of_bert}


def test_a_foreign_prompt_looks_like_a_missing_one(database: Database) -> None:
    history = History(database)
    of_anna = history.start(asked(), principal=ANNA)
    with pytest.raises(NotFoundError) as foreign:
        history.show(of_anna, principal=BERT)
    with pytest.raises(NotFoundError) as missing:
        history.show("f" * 24, principal=BERT)
    assert str(foreign.value).replace(of_anna, "X") == str(missing.value).replace("f" * 24, "X")
    with pytest.raises(NotFoundError):
        history.start(asked(user="bert", parent_id=of_anna), principal=BERT)


def test_a_follow_up_names_its_parent(database: Database) -> None:
    history = History(database)
    first = history.start(asked(), principal=LOCAL_OWNER)
    second = history.start(asked("And then?", parent_id=first), principal=LOCAL_OWNER)
    assert history.show(second, principal=LOCAL_OWNER).parent_id == first
    with pytest.raises(NotFoundError):
        history.start(asked(parent_id=PromptId("0" * 24)), principal=LOCAL_OWNER)


def test_prompts_are_listed_newest_first_and_filtered(database: Database) -> None:
    history = History(database)
    keys = [history.start(asked(f"Question {n}?"), principal=LOCAL_OWNER) for n in range(5)]
    other = history.start(asked(user="bert", session="s"), principal=LOCAL_OWNER)
    history.complete(keys[1], answered())
    listed = latest(database, principal=LOCAL_OWNER, limit=3)
    assert [p.prompt_id for p in listed] == [other, keys[4], keys[3]]
    assert [p.created_at for p in listed] == sorted((p.created_at for p in listed), reverse=True)
    find = lambda **f: {p.prompt_id for p in latest(database, principal=LOCAL_OWNER, **f)}  # noqa: E731
    assert find(user="bert") == {other} == find(session="s")
    assert find(state="grounded") == {keys[1]} == find(status="completed")
    assert find(user="nobody") == set()


@pytest.mark.parametrize("limit", [0, -1, 10_001])
def test_a_limit_out_of_range_is_refused(database: Database, limit: int) -> None:
    with pytest.raises(InvalidRecordError, match="limit"):
        latest(database, principal=LOCAL_OWNER, limit=limit)


def test_a_unique_beginning_of_an_id_is_enough(database: Database) -> None:
    history = History(database)
    first = history.start(asked(), principal=LOCAL_OWNER)
    assert history.show(first[:14], principal=LOCAL_OWNER).prompt_id == first
    history.start(asked(), principal=LOCAL_OWNER)
    with pytest.raises(NotFoundError, match="more than one"):
        history.show(first[:4], principal=LOCAL_OWNER)
    for wild in ("%", "_" * 24, ""):
        with pytest.raises(NotFoundError, match="no prompt"):
            history.show(wild, principal=LOCAL_OWNER)


@pytest.mark.parametrize("name", ["", " ", "a\x00b", "line\nbreak", "x" * 201])
def test_a_user_or_session_needs_a_printable_name(database: Database, name: str) -> None:
    for values in ({"user": name}, {"session": name}):
        with pytest.raises(InvalidRecordError, match="name a (user|session)"):
            History(database).start(asked(**values), principal=LOCAL_OWNER)


def test_many_at_once_lose_and_double_nothing(database: Database) -> None:
    history = History(database)

    def exchange(number: int) -> PromptId:
        prompt_id = history.start(asked(f"Q{number}?", session="one"), principal=LOCAL_OWNER)
        history.complete(prompt_id, answered(f"A{number}."))
        return prompt_id

    with ThreadPoolExecutor(8) as pool:
        keys = list(pool.map(exchange, range(40)))
    listed = latest(database, principal=LOCAL_OWNER, limit=100)
    assert sorted(p.prompt_id for p in listed) == sorted(keys)
    assert {(p.question, p.answer) for p in listed} == {(f"Q{n}?", f"A{n}.") for n in range(40)}


def test_a_citation_of_a_text_without_pages_and_headings_is_kept_without_them(
    database: Database,
) -> None:
    history = History(database)
    prompt_id = history.start(asked(), principal=LOCAL_OWNER)
    end = answered()
    plain = replace(end.citations[0], page=None, headings=())
    history.complete(prompt_id, replace(end, citations=(plain,)))
    assert history.show(prompt_id, principal=LOCAL_OWNER).citations == (plain,)


def test_what_is_said_of_an_answer_is_kept_in_order_with_who_said_it(database: Database) -> None:
    history = History(database)
    prompt_id = history.start(asked(), principal=LOCAL_OWNER)
    history.complete(prompt_id, answered())
    first = Score(value=0.0, user="anna", comment="No: 🐝", correction="Because of the bees.")
    second = Score(value=0.75, metric="clarity", user="bert")
    for score in (first, second):
        history.rate(prompt_id, score, principal=LOCAL_OWNER)
    found = history.show(prompt_id, principal=LOCAL_OWNER).scores
    assert [replace(score, created_at=None) for score in found] == [first, second]
    assert all(score.created_at is not None for score in found)


@pytest.mark.parametrize("value", [-0.01, 1.01, float("nan"), float("inf")])
def test_a_score_is_from_0_to_1(database: Database, value: float) -> None:
    history = History(database)
    prompt_id = history.start(asked(), principal=LOCAL_OWNER)
    with pytest.raises(InvalidRecordError, match="use 0 to 1"):
        history.rate(prompt_id, Score(value=value, user="anna"), principal=LOCAL_OWNER)
    assert history.show(prompt_id, principal=LOCAL_OWNER).scores == ()


def test_nobody_rates_what_they_may_not_read(database: Database) -> None:
    history = History(database)
    prompt_id = history.start(asked(), principal=LOCAL_OWNER)
    for wrong, who in ((prompt_id, BERT), (PromptId("0" * 24), ANNA)):
        with pytest.raises(NotFoundError, match="there is no prompt"):
            history.rate(wrong, Score(value=1, user=who.name), principal=who)
    assert history.show(prompt_id, principal=LOCAL_OWNER).scores == ()


def test_how_sure_an_answer_is_and_how_it_was_checked_is_on_record(database: Database) -> None:
    history = History(database)
    prompt_id = history.start(asked(standalone="Why bees?"), principal=LOCAL_OWNER)
    checks = {"suspicious": [{"chunk_id": 9, "start": 1, "end": 5, "reason": "orders"}]}
    history.complete(prompt_id, replace(answered(), confidence=0.875, checks=checks))
    found = history.show(prompt_id, principal=LOCAL_OWNER)
    assert (found.standalone, found.confidence, found.checks) == ("Why bees?", 0.875, checks)
