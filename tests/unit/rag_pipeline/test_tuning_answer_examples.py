"""What a generator is trained on, read from the files that exports write."""

import json
from pathlib import Path
from typing import Any

import pytest

from rag_pipeline.generation.language_model import Turn
from rag_pipeline.history import formats
from rag_pipeline.history.training import Pair, Preference, group_of
from rag_pipeline.tuning.answer_examples import (
    AnswerExample,
    Request,
    read_answers,
    read_preferences,
    sha256_of_examples,
)
from rag_pipeline.tuning.divided import SHARES, divide
from rag_pipeline.tuning.errors import ExamplesError
from rag_pipeline.tuning.subjects import Fitting
from storage.records import PromptId

_PAIR = Pair(
    prompt_id=PromptId("p1"),
    question="How high is it?",
    passages=("The tower is 60 m high.", "It stands by the sea."),
    answer="60 m",
    score=1.0,
    is_corrected=False,
)


def _file(folder: Path, *rows: Any) -> Path:
    path = folder / "rows.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    return path


@pytest.mark.parametrize("form", ["openai", "alpaca", "pairs"])
def test_every_form_of_an_export_asks_the_same(
    form: formats.TrainingFormat, tmp_path: Path
) -> None:
    (found,) = read_answers(_file(tmp_path, formats.FORM_OF[form](_PAIR)))

    assert found.request == Request(question=_PAIR.question, passages=_PAIR.passages)
    assert found.answer == "60 m"
    assert found.group == group_of("how high  is IT?")
    assert found.prompt_id == ("p1" if form == "pairs" else None)


def test_an_exported_preference_asks_the_same_too(tmp_path: Path) -> None:
    row = formats.dpo(
        Preference(
            prompt_id=PromptId("p1"),
            question=_PAIR.question,
            passages=_PAIR.passages,
            chosen="60 m",
            rejected="Very high.",
        )
    )
    (found,) = read_preferences(_file(tmp_path, row))

    assert found.request == Request(question=_PAIR.question, passages=_PAIR.passages)
    assert (found.chosen, found.rejected) == ("60 m", "Very high.")


def test_a_conversation_of_others_stays_as_it_is(tmp_path: Path) -> None:
    said = [("system", "Be brief."), ("user", "Hi"), ("assistant", "Hi."), ("user", "Who?")]
    messages = [{"role": role, "content": text} for role, text in said]
    answer = {"role": "assistant", "content": "Me."}
    (found,) = read_answers(_file(tmp_path, {"messages": [*messages, answer]}))

    assert found.request.turns == tuple(Turn(role, text) for role, text in said)  # type: ignore[arg-type]
    assert (found.request.passages, found.answer) == ((), "Me.")


def test_a_question_without_passages_is_what_the_user_says(tmp_path: Path) -> None:
    (found,) = read_answers(_file(tmp_path, {"instruction": "Who?", "input": "", "output": "Me."}))
    assert found.request == Request(question="Who?", turns=(Turn("user", "Who?"),))


def test_rows_that_name_a_group_are_split_by_it(tmp_path: Path) -> None:
    rows = [{"question": str(n), "answer": "a", "group": "an article"} for n in range(3)]
    assert {one.group for one in read_answers(_file(tmp_path, *rows))} == {"an article"}


@pytest.mark.parametrize(
    "row",
    [
        [],
        "text",
        {},
        {"question": "Who?"},
        {"question": "Who?", "answer": 7},
        {"question": "Who?", "answer": "Me", "passages": "one"},
        {"question": "Who?", "answer": "Me", "passages": [1]},
        {"question": "Who?", "answer": "Me", "group": None},
        {"messages": []},
        {"messages": "all"},
        {"messages": [{"role": "assistant", "content": "Me."}]},
        {"messages": [{"role": "user", "content": "Who?"}]},
        {"messages": [{"role": "tool", "content": ""}, {"role": "assistant", "content": ""}]},
        {"question": "Who?", "answer": "half \ud83d"},
    ],
)
def test_a_row_that_can_not_be_used_is_named_by_its_line(row: Any, tmp_path: Path) -> None:
    good = {"question": "Who?", "answer": "Me"}
    with pytest.raises(ExamplesError, match=r"rows\.jsonl, line 2: "):
        read_answers(_file(tmp_path, good, row, good))


@pytest.mark.parametrize("missing", ["prompt", "chosen", "rejected"])
def test_a_preference_that_lacks_a_part_is_named_by_its_line(missing: str, tmp_path: Path) -> None:
    row = {"prompt": "Who?", "chosen": "Me", "rejected": "You"}
    del row[missing]
    with pytest.raises(ExamplesError, match=f"line 1: its '{missing}' is no text"):
        read_preferences(_file(tmp_path, row))


@pytest.mark.parametrize("content", [b"{", b"\xff\xfe", b'{"question": "a", "answer": "b"} x'])
def test_what_is_no_jsonl_is_refused(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_bytes(content)
    with pytest.raises(ExamplesError, match=r"rows\.jsonl"):
        read_answers(path)


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ExamplesError, match="can't be read"):
        read_answers(tmp_path / "rows.jsonl")


def _example(question: str) -> AnswerExample:
    return AnswerExample(request=Request(question=question), answer="a", group=group_of(question))


def test_an_example_stays_where_it_is_when_others_come() -> None:
    some = [(_example(f"{n}?"), "prompt") for n in range(60)]
    more = [(_example(f"{n}??"), "prompt") for n in range(60)]
    before, after = (divide(Fitting(rows=rows), 3) for rows in (some, some + more))

    for name in SHARES:
        assert [row for row in after.rows[name] if row in some] == before.rows[name]


def test_examples_that_are_all_about_one_thing_can_not_be_divided() -> None:
    with pytest.raises(ExamplesError, match="none is left for"):
        divide(Fitting(rows=[(_example("same?"), "prompt")] * 50), 0)


def test_the_hash_of_examples_tells_every_part_of_them_and_their_order() -> None:
    one, other = _example("a"), _example("b")
    hashes = {sha256_of_examples(some) for some in ([one, other], [other, one], [one], [])}
    assert len(hashes) == 4
