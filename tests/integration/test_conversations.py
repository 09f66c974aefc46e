"""Questions of one session: what they follow, what is searched for, and who may know."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.embedding import WordEmbedder
from support.pipelines import parts_of, word_pipeline

from rag_pipeline.generation.conversation import Exchange, standalone
from rag_pipeline.generation.language_model import Turn
from rag_pipeline.pipeline import RagPipeline
from storage.errors import NotFoundError
from storage.prompts.conversations import chain_to, latest_in_session
from storage.records import LOCAL_OWNER, Principal, PromptId

SUPPORT = Path(__file__).parents[1] / "support"
FIRST = "How high is the lighthouse of Ravenport?"
HIGH = "The lighthouse of Ravenport is 42 metres high."
BUILT = "The lighthouse of Ravenport was built by Johan Lindqvist."
OTHER = "The lighthouse of Skagen is 46 metres high."


def opened(home: Path, database: str | None = None, **given: object) -> RagPipeline:
    return word_pipeline(home, database=database, embedder=WordEmbedder(dimension=256), **given)


def ingest(rag: RagPipeline) -> RagPipeline:
    texts = (HIGH, BUILT, OTHER)
    records = [{"_id": str(at), "title": "", "text": text} for at, text in enumerate(texts)]
    rag.ingest_records(records, source="test")
    return rag


@pytest.fixture
def rag(tmp_path: Path) -> Iterator[RagPipeline]:
    with opened(tmp_path / "home") as pipeline:
        yield ingest(pipeline)


@pytest.fixture
def any_rag(database_url: str, tmp_path: Path) -> Iterator[RagPipeline]:
    """On each database that there is."""
    with opened(tmp_path / "home", database_url) as pipeline:
        yield ingest(pipeline)


def test_a_question_of_a_session_follows_the_last_one(any_rag: RagPipeline) -> None:
    first = any_rag.ask(FIRST, session="tour", user="eve")
    second = any_rag.ask("Who built it?", session="tour", user="eve")
    third = any_rag.ask("And that of Skagen?", session="tour", user="eve")
    records = [any_rag.history.show(one.prompt_id) for one in (first, second, third)]
    assert [r.parent_id for r in records] == [None, first.prompt_id, second.prompt_id]
    assert [r.question for r in records] == [FIRST, "Who built it?", "And that of Skagen?"]
    assert records[0].standalone is None
    assert records[1].standalone == "Who built the lighthouse of Ravenport?"
    assert "Johan Lindqvist" in second.text


def test_sessions_of_other_names_and_other_users_are_other_conversations(rag: RagPipeline) -> None:
    rag.ask(FIRST, session="tour", user="eve")
    for about in ({"session": "other", "user": "eve"}, {"session": "tour", "user": "adam"}):
        record = rag.history.show(rag.ask("Who built it?", **about).prompt_id)
        assert (record.parent_id, record.standalone) == (None, None)


def test_a_question_follows_the_exchange_that_it_names_and_not_the_last(rag: RagPipeline) -> None:
    first = rag.ask(FIRST, session="tour")
    rag.ask("How high is the lighthouse of Skagen?", session="tour")
    record = rag.history.show(
        rag.ask("Who built it?", session="tour", parent_id=first.prompt_id).prompt_id
    )
    assert record.parent_id == first.prompt_id
    assert record.standalone == "Who built the lighthouse of Ravenport?"


def test_what_a_program_says_was_said_comes_before_what_is_on_record(rag: RagPipeline) -> None:
    last = rag.ask(FIRST, session="tour")
    earlier = [Turn("user", "How high is the lighthouse of Skagen?"), Turn("assistant", OTHER)]
    answer = rag.ask("Who built it?", session="tour", earlier=earlier)
    record = rag.history.show(answer.prompt_id)
    assert record.standalone == "Who built the lighthouse of Skagen?"
    assert record.parent_id == last.prompt_id


def test_an_earlier_answer_is_no_evidence(rag: RagPipeline) -> None:
    lie = "The lighthouse of Ravenport is 999 metres high and was built by Nobody Known."
    earlier = [Turn("user", FIRST), Turn("assistant", lie)]
    for question in (FIRST, "Who built it?", "Are you sure it is 999 metres high?"):
        answer = rag.ask(question, earlier=earlier)
        assert "999" not in answer.text
        assert "Nobody" not in answer.text


def test_with_rewriting_off_a_question_is_searched_for_as_it_is(
    tmp_path: Path, rag: RagPipeline
) -> None:
    with opened(tmp_path / "home", generation={"rewrite": "off"}) as plain:
        earlier = [Turn("user", FIRST), Turn("assistant", HIGH)]
        record = plain.history.show(plain.ask("Who built it?", earlier=earlier).prompt_id)
    assert record.standalone is None


def test_with_rewriting_by_the_model_the_model_is_asked_and_extraction_asks_nobody(
    tmp_path: Path, rag: RagPipeline
) -> None:
    with opened(tmp_path / "home", generation={"rewrite": "model"}) as written:
        model = parts_of(written).language_model
        read: list[str] = []
        generate = model.generate
        model.generate = lambda rendered, **given: (
            read.append(rendered),
            generate(rendered, **given),
        )[1]  # type: ignore[method-assign]
        earlier = [Turn("user", FIRST)]
        written.ask("Who built it?", earlier=earlier)
        assert "Rewrite the last question" in read[0]
        read.clear()
        answer = written.ask("Who built it?", earlier=earlier, extractive=True)
        assert read == []
        assert written.history.show(answer.prompt_id).standalone is not None


def test_as_much_of_what_was_said_is_shown_as_the_budget_allows(
    tmp_path: Path, rag: RagPipeline
) -> None:
    earlier = [
        Turn("user", "What is the oldest question of all?"),
        Turn("assistant", "Nobody knows."),
        Turn("user", FIRST),
        Turn("assistant", HIGH),
    ]
    shown = {}
    for budget in (0, 20, 100):
        with opened(tmp_path / "home", generation={"history_tokens": budget}) as pipeline:
            answer = pipeline.ask("Who built it?", earlier=earlier)
            shown[budget] = pipeline.history.show(answer.prompt_id).rendered
    assert FIRST not in shown[0]
    assert FIRST in shown[20]
    assert "oldest" not in shown[20]
    assert "oldest" in shown[100]


def test_nobody_follows_what_they_may_not_read(
    rag: RagPipeline,
) -> None:
    secret = rag.ask(FIRST, session="tour", user="owner")
    eve = rag.acting_for(Principal(name="eve"))
    with pytest.raises(NotFoundError):
        eve.ask("Who built it?", parent_id=secret.prompt_id)
    with pytest.raises(NotFoundError):
        eve.ask("Who built it?", parent_id="nothing")
    record = eve.history.show(eve.ask("Who built it?", session="tour").prompt_id)
    assert (record.parent_id, record.standalone, record.user) == (None, None, "eve")


def test_a_chain_is_read_from_its_beginning_and_only_so_far(any_rag: RagPipeline) -> None:
    ids: list[PromptId] = []
    for _ in range(4):
        ids.append(any_rag.ask(FIRST, parent_id=ids[-1] if ids else None).prompt_id)
    database = parts_of(any_rag).database
    chain = chain_to(database, ids[-1], principal=LOCAL_OWNER, limit=3)
    assert [record.prompt_id for record in chain] == ids[1:]


def test_a_question_without_an_answer_is_not_followed(rag: RagPipeline) -> None:
    first = rag.ask(FIRST, session="tour", user="eve")
    stream = rag.ask_stream("Who built it?", session="tour", user="eve")
    next(stream)
    stream.close()
    found = latest_in_session(
        parts_of(rag).database, "tour", user="eve", principal=LOCAL_OWNER, limit=9
    )
    assert [record.prompt_id for record in found] == [first.prompt_id]


def test_most_of_our_conversations_find_their_passage_and_more_than_as_they_are(
    tmp_path: Path,
) -> None:
    rows = [
        json.loads(line)
        for line in (SUPPORT / "conversations.jsonl").read_text("utf-8").splitlines()
    ]
    with opened(tmp_path / "home") as rag:
        rag.ingest(SUPPORT / "conversation_documents.jsonl")
        found = {"off": 0, "rules": 0}
        for row in rows:
            before = [Exchange(one["question"], one["answer"]) for one in row["before"]]
            for way, question in (
                ("off", row["question"]),
                ("rules", standalone(row["question"], before)),
            ):
                hits = rag.search(question, limit=1, mode="keyword").hits
                found[way] += [h.chunk.sources[0].external_id for h in hits] == [row["document"]]
    assert found["rules"] >= 0.85 * len(rows)
    assert found["rules"] > found["off"] + 5
