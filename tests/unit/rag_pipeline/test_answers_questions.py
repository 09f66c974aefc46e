"""Questions whose answers are known, as they are read and drawn."""

import json
from pathlib import Path

import pytest

from rag_pipeline.evaluation.answers_questions import (
    KnownQuestion,
    fingerprint,
    read_questions,
    sample,
)
from rag_pipeline.evaluation.errors import EvaluationError


def squad(*qas: object) -> str:
    paragraph = {"context": "Bees dance.", "qas": list(qas)}
    return json.dumps({"version": "2", "data": [{"title": "Bees", "paragraphs": [paragraph]}]})


def written(folder: Path, text: str) -> Path:
    path = folder / "known.json"
    path.write_text(text, "utf-8")
    return path


def test_both_forms_say_the_same(tmp_path: Path) -> None:
    given = squad(
        {"id": "a", "question": "Who?", "answers": [{"text": "Bees", "answer_start": 0}] * 2,
         "is_impossible": False},
        {"id": "b", "question": "What?", "answers": [], "is_impossible": True},
    )  # fmt: skip
    from_squad = read_questions(written(tmp_path, given))
    lines = [
        {"_id": "a", "question": "Who?", "answers": ["Bees"], "title": "Bees"},
        {"_id": "b", "text": "What?", "answers": ["no"], "is_impossible": True, "title": "Bees"},
    ]
    from_lines = read_questions(written(tmp_path, "\n".join(map(json.dumps, lines))))
    assert from_squad == from_lines
    assert [one.golds for one in from_squad] == [("Bees",), ()]
    assert fingerprint(from_squad) == fingerprint(from_lines[::-1])


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "asks nothing"),
        ('{"data": []}', "asks nothing"),
        ('{"data": [{"paragraphs": [{"qas": [{"id": 1}]}]}]}', "SQuAD's form: data.0"),
        ('{"_id": "a", "question": "Who?"}\nnonsense', ":2 is no question"),
        ('{"question": "Who?"}', ":1 is no question: _id"),
        ('{"_id": "a", "question": ["?"]}\n[]', ":1 is no question"),
        ('{"_id": "a", "question": "Who?"}\n{"_id": "a", "question": "Why?"}', "two questions 'a'"),
        ('{"_id": "a", "question": " "}', "can't be asked"),
    ],
)
def test_what_cant_be_used_is_named(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(EvaluationError) as caught:
        read_questions(written(tmp_path, text))
    assert said in str(caught.value)
    assert "known.json" in str(caught.value)


def test_a_file_that_is_not_there_or_no_text_is_named(tmp_path: Path) -> None:
    with pytest.raises(EvaluationError, match="nowhere.json can't be read"):
        read_questions(tmp_path / "nowhere.json")
    (tmp_path / "known.json").write_bytes(b"\xff\xfe\xff")
    with pytest.raises(EvaluationError, match="can't be read"):
        read_questions(tmp_path / "known.json")


def known(count: int, *, answerable: bool) -> list[KnownQuestion]:
    kind = "a" if answerable else "u"
    golds = ("gold",) if answerable else ()
    return [
        KnownQuestion(question_id=f"{kind}{n}", text="?", golds=golds, group="g")
        for n in range(count)
    ]


def test_a_sample_is_half_answerable_and_the_same_for_a_seed() -> None:
    questions = known(30, answerable=True) + known(50, answerable=False)
    drawn = sample(questions, 20, 0)
    assert sum(bool(one.golds) for one in drawn) == 10
    assert {one.question_id for one in sample(questions[::-1], 20, 0)} == {
        one.question_id for one in drawn
    }
    assert sample(questions, 20, 1) != drawn
    assert drawn == [one for one in questions if one in drawn]


@pytest.mark.parametrize(
    ("answerable", "rest", "size", "drawn"), [(3, 50, 20, 20), (50, 3, 20, 20), (3, 3, 20, 6)]
)
def test_what_one_half_lacks_the_other_makes_up_for(answerable, rest, size, drawn) -> None:
    questions = known(answerable, answerable=True) + known(rest, answerable=False)
    assert len(sample(questions, size, 0)) == drawn


def test_a_sample_of_nothing_is_refused() -> None:
    with pytest.raises(EvaluationError, match="ask 1 or more"):
        sample(known(3, answerable=True), 0, 0)
