"""Prompt templates in the database, and answers that are asked for with them."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from support.pipelines import word_pipeline

from rag_pipeline.errors import TemplateError
from rag_pipeline.generation.cost import Price
from rag_pipeline.generation.prompt import SYSTEM, TEMPLATE_SHA256
from rag_pipeline.generation.templates import DEFAULT_TEXT
from rag_pipeline.pipeline import RagPipeline
from storage.engine import Database
from storage.errors import InvalidRecordError, NotFoundError
from storage.prompts.templates import Templates, TemplateText

WHEN = "When was the harbour of Ravenport dredged?"
HARBOUR = {"_id": "harbour", "text": "The harbour of Ravenport was dredged in 1874."}


def text(question: str = "{text} {question}", **parts: str) -> TemplateText:
    return TemplateText(**{"system": "Be brief.", "question": question, **parts})


def filled(home: Path, **settings: Any) -> RagPipeline:
    rag = word_pipeline(home, **settings)
    rag.ingest_records([HARBOUR], source="tests")
    return rag


def test_versions_are_added_and_the_same_text_twice_is_one(database: Database) -> None:
    templates = Templates(database)
    first = templates.add("terse", text())
    assert templates.add("terse", text()) == first
    second = templates.add("terse", text(system="Be kind."))
    back = templates.add("terse", text())
    other = templates.add("other", text())
    assert [first.version, second.version, back.version, other.version] == [1, 2, 3, 1]
    assert templates.find("terse") == back
    assert templates.find("terse", 2) == second
    assert [(one.name, one.version) for one in templates.all()] == [
        ("other", 1), ("terse", 3), ("terse", 2), ("terse", 1)
    ]  # fmt: skip
    for name, version in (("terse", 4), ("Terse", None), ("unknown", None)):
        with pytest.raises(NotFoundError, match="no prompt template"):
            templates.find(name, version)


def test_versions_that_are_added_at_once_are_all_there(database: Database) -> None:
    templates = Templates(database)
    texts = [text(system=f"Be {number}.") for number in range(8)]
    with ThreadPoolExecutor(8) as pool:
        added = list(pool.map(lambda one: templates.add("busy", one), texts))
    assert sorted(one.version for one in templates.all()) == list(range(1, 9))
    assert {one.version: one.text for one in added} == {
        one.version: one.text for one in templates.all()
    }


@pytest.mark.parametrize("part", ["\0", "\ud800", "x" * 1_000_001], ids=["nul", "half", "long"])
def test_a_template_that_cant_be_kept_leaves_nothing_behind(database: Database, part: str) -> None:
    with pytest.raises(InvalidRecordError, match="the template"):
        Templates(database).add("odd", text(lead_in=part))
    assert Templates(database).all() == []


@pytest.mark.parametrize("name", ["", "default", "a b", "a@1", "x" * 101, "a/b", "\0", "ä\n"])
def test_a_name_that_could_not_be_asked_for_is_refused(tmp_path: Path, name: str) -> None:
    with word_pipeline(tmp_path) as rag, pytest.raises(TemplateError, match="can't be called"):
        rag.templates.add(name, text())


def test_an_answer_names_its_template_and_is_asked_for_with_it(tmp_path: Path) -> None:
    with filled(tmp_path, generation={"template": "plain"}) as rag:
        stored = rag.templates.add("plain", text("<{text}> {question} {}", lead_in="So:"))
        rag.templates.add("plain", text("<<{text}>> {question}"))
        asked = {
            None: rag.history.show(rag.ask(WHEN).prompt_id),
            "plain@1": rag.history.show(rag.ask(WHEN, template="plain@1").prompt_id),
            "default": rag.history.show(rag.ask(WHEN, template="default").prompt_id),
        }
    assert asked[None].template_id != asked["plain@1"].template_id == stored.template_id
    assert asked["plain@1"].template_sha256 == stored.sha256
    assert "Be brief." in asked["plain@1"].rendered
    assert "<The harbour" in asked["plain@1"].rendered
    assert f"{WHEN} {{}}" in asked["plain@1"].rendered
    assert "<<The harbour" in asked[None].rendered
    assert (asked["default"].template_id, asked["default"].template_sha256) == (
        None,
        TEMPLATE_SHA256,
    )


def test_a_template_that_is_not_there_is_said_to_be_before_anything_is_recorded(
    tmp_path: Path,
) -> None:
    with filled(tmp_path) as rag:
        for name in ("nope", "nope@1", "default@1"):
            with pytest.raises(NotFoundError, match="template"):
                rag.ask(WHEN, template=name)
        with pytest.raises(TemplateError, match="NAME@VERSION"):
            rag.ask(WHEN, template="nope@one")
        assert rag.history.list() == []


def test_what_was_said_time_and_cost_are_on_record(tmp_path: Path) -> None:
    price = Price(input_per_million=1.5, output_per_million=6)
    with filled(tmp_path, prices={"echo": price}) as rag:
        first = rag.ask(WHEN, instructions="Rhyme.", application="desk", tags=("a",))
        shown = rag.history.show(first.prompt_id)
        said = rag.history.messages(first.prompt_id)
        free = rag.history.show(rag.ask(WHEN, extractive=True).prompt_id)
    read, written = shown.usage["prompt_tokens"], shown.usage["completion_tokens"]
    assert shown.cost == pytest.approx((1.5 * read + 6 * written) / 1e6)
    assert shown.cost > 0
    assert free.cost is None
    assert shown.seconds is not None
    assert shown.seconds >= sum(shown.timings.values()) * 0.99 > 0
    assert (shown.finish_reason, shown.application, shown.tags) == ("stop", "desk", ("a",))
    assert [(one.role, one.content) for one in said] == [
        ("system", f"{SYSTEM} Rhyme."),
        ("user", WHEN),
        ("assistant", first.text),
    ]


def test_the_same_key_gives_the_recorded_answer_and_asks_nobody(tmp_path: Path) -> None:
    with filled(tmp_path) as rag:
        first = rag.ask(WHEN, idempotency_key="k", session="s")
        again = rag.ask(WHEN, idempotency_key="k", session="s")
        assert again == first
        assert len(rag.history.list()) == 1


def test_the_default_can_be_shown_but_not_added(tmp_path: Path) -> None:
    with word_pipeline(tmp_path) as rag:
        assert rag.templates.text("default") == DEFAULT_TEXT
        assert rag.templates.all() == []
