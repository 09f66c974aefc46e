"""Questions that are written from stored documents, and the way back that they have to go."""

import json
import re
from collections.abc import Sequence
from pathlib import Path

import pytest
from support.pipelines import parts_of, word_pipeline

from rag_pipeline.errors import SettingsError
from rag_pipeline.evaluation.answers_questions import read_questions
from rag_pipeline.evaluation.judgments import read_judgments
from rag_pipeline.generation.echo_model import EchoModel
from rag_pipeline.generation.language_model import GREEDY, Completion, Sampling, TextStream, Turn
from rag_pipeline.pipeline import RagPipeline
from rag_pipeline.synthetic.errors import SyntheticError
from rag_pipeline.synthetic.texts.questions import (
    QuestionsWanted,
    Tally,
    WrittenQuestion,
    write_judgments,
)
from rag_pipeline.tuning.answer_examples import read_answers

SENTENCE = "The mill of Harrow was built in 1871 by the miller Anna Reed."
_LINES = re.compile(r"^(Passage|Answer|Question): (.*)$", re.MULTILINE)


class Writer(EchoModel):
    """Words its questions and answers as it is told."""

    name = "writer"

    def __init__(self, questions: dict[str, str], answers: dict[str, str]) -> None:
        super().__init__()
        self._questions, self._answers = questions, answers

    def render(self, turns: Sequence[Turn], *, begun: str = "") -> str:
        return json.dumps([turns[-1].text, begun])

    def generate(self, rendered: str, *, sampling: Sampling = GREEDY) -> TextStream:
        text, begun = json.loads(rendered)
        given = dict(_LINES.findall(text))
        if "Question" in given:
            yield self._answers.get(given["Question"], "no idea")
        else:
            written = self._questions.get(given["Answer"], "")
            yield written.removeprefix(begun) if written.startswith(begun) else "is that so"
        return Completion(prompt_tokens=1, completion_tokens=1, finish_reason="stop")


def shelf(tmp_path: Path, *sentences: str, database: str | None = None) -> RagPipeline:
    rag = word_pipeline(tmp_path / "home", database=database)
    for number, text in enumerate(sentences or (SENTENCE,)):
        path = tmp_path / f"{number}.txt"
        path.write_text(text)
        rag.ingest(path)
    return rag


def written(
    rag: RagPipeline, questions: dict[str, str], answers: dict[str, str], count: int = 10
) -> tuple[list[WrittenQuestion], Tally]:
    parts_of(rag).language_model = Writer(questions, answers)
    last: list[Tally] = []
    found = list(rag.synthetic.questions(QuestionsWanted(count=count), tell=last.append))
    return found, last[-1]


def test_a_question_that_goes_the_whole_way_back_is_kept_with_its_span(
    tmp_path: Path, database_url: str
) -> None:
    question = "When was the mill of Harrow built?"
    with shelf(tmp_path, database=database_url) as rag:
        (kept,), tally = written(rag, {"1871": question}, {question: "1871"})
    assert (kept.question, kept.answer, kept.passage) == (question, "1871", SENTENCE)
    assert SENTENCE[kept.start : kept.end] == "1871"
    assert kept.generator == "writer"
    assert tally.kept == 1


@pytest.mark.parametrize(
    ("question", "answer", "why"),
    [
        ("When in 1871 was the mill of Harrow built?", "1871", "says the answer"),
        ("When was the brewery of Harrow built?", "1871", "says more than the passage"),
        ("When was it built?", "1871", "asks too little"),
        ("When was the mill of Harrow built?", "1872", "another answer"),
    ],
)
def test_a_question_that_does_not_hold_is_dropped_and_counted(
    tmp_path: Path, question: str, answer: str, why: str
) -> None:
    kept, tally = written(shelf(tmp_path), {"1871": question}, {question: answer})
    assert kept == []
    assert tally.dropped[why] == 1


def test_a_question_that_another_sentence_answers_is_dropped(tmp_path: Path) -> None:
    rival = "The mill of Harrow was built in 1902."
    question = "When was the mill of Harrow built?"
    rag = shelf(tmp_path, SENTENCE, rival)
    kept, tally = written(rag, {"1871": question}, {question: "1871"})
    assert kept == []
    assert tally.dropped["another sentence answers"] == 1


def test_the_same_question_is_kept_once_and_no_more_than_are_wanted(tmp_path: Path) -> None:
    other = "The mill of Harrow was first painted in 1905 by the painter Ole Berg."
    rag = shelf(tmp_path, SENTENCE, other)
    questions = {
        "1871": "When was the mill of Harrow built?",
        "1905": "When was the mill of Harrow painted?",
        "Anna Reed": "Who built the mill of Harrow?",
    }
    answers = {asked: told for told, asked in questions.items()}
    kept, _ = written(rag, questions, answers)
    assert {one.answer for one in kept} == {"1871", "1905", "Anna Reed"}
    first, _ = written(rag, questions, answers, count=1)
    assert first == kept[:1]
    again, _ = written(rag, questions, answers)
    assert again == kept


def test_synthetic_documents_are_not_asked_about(tmp_path: Path) -> None:
    rag = word_pipeline(tmp_path / "home")
    (tmp_path / "made.txt").write_text(SENTENCE)
    rag.ingest(tmp_path / "made.txt", generator_id="vae-1")
    parts_of(rag).language_model = Writer({"1871": "When was the mill of Harrow built?"}, {})
    assert list(rag.synthetic.questions(QuestionsWanted(count=5))) == []


def test_without_a_generator_or_a_count_it_says_so(tmp_path: Path) -> None:
    rag = word_pipeline(tmp_path / "home", generator="extractive")
    (tmp_path / "a.txt").write_text(SENTENCE)
    rag.ingest(tmp_path / "a.txt")
    with pytest.raises(SettingsError, match="generator"):
        list(rag.synthetic.questions(QuestionsWanted(count=5)))
    with pytest.raises(SyntheticError, match="count is 0"):
        QuestionsWanted(count=0)


def test_what_is_written_is_what_evaluation_and_training_read(tmp_path: Path) -> None:
    question = "When was the mill of Harrow built?"
    found, _ = written(shelf(tmp_path), {"1871": question}, {question: "1871"})
    lines = tmp_path / "questions.jsonl"
    lines.write_text("".join(json.dumps(q.as_json(n)) + "\n" for n, q in enumerate(found, 1)))
    (known,) = read_questions(lines)
    assert (known.text, known.golds) == (question, ("1871",))
    (example,) = read_answers(lines)
    assert (example.request.question, example.request.passages) == (question, (SENTENCE,))
    assert json.loads(lines.read_text())["origin"] == "synthetic"
    write_judgments(found, tmp_path / "judged")
    judged = read_judgments(tmp_path / "judged")
    assert dict(judged.texts) == {"s1": question}
    assert judged.qrels == {"s1": {found[0].external_id: 1}}
    with pytest.raises(SyntheticError, match="can't be written to"):
        write_judgments(found, lines / "below")
