"""Recorded exchanges as training data: what is written, what is left out, and when nothing is."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text
from support.embedding import WordEmbedder
from support.pipelines import parts_of, word_pipeline

from rag_pipeline.datasets.errors import DatasetError
from rag_pipeline.datasets.splits import SplitPlan
from rag_pipeline.history.export import TrainingData
from rag_pipeline.history.redaction import redact_patterns
from rag_pipeline.pipeline import RagPipeline
from storage.errors import InvalidRecordError
from storage.records import Principal

HARBOUR = "The harbour of Ravenport was dredged in 1874."
MASTER = "The harbour master of Ravenport, Johanna, wrote to jo@ravenport.example."
WHEN = "When was the harbour of Ravenport dredged?"


@pytest.fixture
def rag(database_url: str, tmp_path: Path) -> Iterator[RagPipeline]:
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "harbour.txt").write_text(HARBOUR)
    (tmp_path / "docs" / "master.txt").write_text(MASTER)
    with word_pipeline(
        tmp_path / "home", database=database_url, embedder=WordEmbedder(dimension=256)
    ) as pipeline:
        pipeline.ingest(tmp_path / "docs")
        yield pipeline


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


def asked(rag: RagPipeline, question: str = WHEN, **about: Any) -> str:
    answer = rag.ask(question, extractive=True, **about)
    assert answer.state != "no_evidence"
    return answer.prompt_id


def test_a_well_rated_answer_becomes_messages_with_what_it_stood_on(
    rag: RagPipeline, tmp_path: Path
) -> None:
    good, bad = asked(rag), asked(rag)
    asked(rag)
    rag.history.rate(good, 0.9)
    rag.history.rate(bad, 1.0)
    rag.history.rate(bad, 0.1)
    report = rag.history.export(tmp_path / "a.jsonl", TrainingData(min_score=0.7))
    (only,) = lines(tmp_path / "a.jsonl")
    system, user, assistant = only["messages"]
    assert [system["role"], user["role"], assistant["role"]] == ["system", "user", "assistant"]
    assert assistant["content"] == rag.history.show(good).answer
    assert HARBOUR in user["content"]
    assert user["content"].endswith(f"Question: {WHEN}")
    assert (report.exchanges, report.examples.total()) == (3, 1)


def test_a_correction_is_what_should_have_been_answered(rag: RagPipeline, tmp_path: Path) -> None:
    wrong = asked(rag)
    rag.history.rate(wrong, 0, correction="In 1874.", user="anna")
    rag.history.rate(wrong, 0, correction="It was in 1874.", user="bert")
    rag.history.export(tmp_path / "a.jsonl", TrainingData(form="pairs", min_score=0.5))
    (pair,) = lines(tmp_path / "a.jsonl")
    assert (pair["answer"], pair["is_corrected"]) == ("It was in 1874.", True)
    rag.history.export(tmp_path / "b.jsonl", TrainingData(form="dpo"))
    (preference,) = lines(tmp_path / "b.jsonl")
    assert preference["chosen"] == "It was in 1874."
    assert preference["rejected"] == rag.history.show(wrong).answer


def test_of_two_answers_to_a_question_the_better_rated_is_preferred(
    rag: RagPipeline, tmp_path: Path
) -> None:
    better, worse = asked(rag), asked(rag, f"  {WHEN.upper()} ")
    with parts_of(rag).database.write() as connection:
        connection.execute(
            text("UPDATE prompts SET answer = 'In 1847.' WHERE prompt_id = :key"), {"key": worse}
        )
    for prompt_id, value in ((better, 0.8), (worse, 0.3)):
        rag.history.rate(prompt_id, value)
    rag.history.export(tmp_path / "a.jsonl", TrainingData(form="dpo"))
    (preference,) = lines(tmp_path / "a.jsonl")
    assert preference["chosen"] == rag.history.show(better).answer
    assert preference["rejected"] == "In 1847."


def test_what_was_shown_and_not_cited_is_a_hard_negative(rag: RagPipeline, tmp_path: Path) -> None:
    prompt = rag.history.show(asked(rag))
    shown = {one.chunk_id for one in prompt.evidence}
    cited = {one.chunk_id for one in prompt.citations}
    rag.history.export(tmp_path / "a.jsonl", TrainingData(form="triples"))
    found = lines(tmp_path / "a.jsonl")
    assert len(found) == len(cited) * len(shown - cited) > 0
    assert {one["positive"] for one in found} == {HARBOUR}
    assert {one["negative"] for one in found} == {MASTER}
    assert {one["anchor"] for one in found} == {WHEN}


def test_what_is_gone_from_the_corpus_is_still_what_it_was_answered_from(
    rag: RagPipeline, tmp_path: Path
) -> None:
    asked(rag)
    (tmp_path / "docs" / "harbour.txt").unlink()
    rag.ingest(tmp_path / "docs", prune=True)
    rag.history.export(tmp_path / "a.jsonl", TrainingData(form="pairs"))
    assert HARBOUR in lines(tmp_path / "a.jsonl")[0]["passages"]


def test_a_question_asked_again_is_written_once_and_into_one_split(
    rag: RagPipeline, tmp_path: Path
) -> None:
    for question in (WHEN, WHEN, f" {WHEN}", "Who was the harbour master of Ravenport?"):
        asked(rag, question)
    plan = SplitPlan(shares={"train": 50, "test": 50})
    report = rag.history.export(
        tmp_path / "a.jsonl", TrainingData(form="pairs", dedup=True, plan=plan)
    )
    train, test = lines(tmp_path / "a.train.jsonl"), lines(tmp_path / "a.test.jsonl")
    assert len(train) + len(test) == report.examples.total() == 2
    assert report.duplicates == 2
    assert not (tmp_path / "a.jsonl").exists()


def test_redaction_takes_out_what_reaches_a_person_everywhere(
    rag: RagPipeline, tmp_path: Path
) -> None:
    asked(rag, "Who was the harbour master of Ravenport?")
    rag.history.export(tmp_path / "a.jsonl", TrainingData(redactor=redact_patterns))
    written = (tmp_path / "a.jsonl").read_text()
    assert "jo@ravenport.example" not in written
    assert written.count("[EMAIL]") >= 2


@pytest.mark.parametrize("form", ["openai", "sharegpt", "alpaca", "pairs", "dpo", "triples"])
def test_parquet_holds_what_jsonl_holds(rag: RagPipeline, tmp_path: Path, form: Any) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    wrong = asked(rag)
    if form == "dpo":
        rag.history.rate(wrong, 0, correction="In 1874. 🐝")
    data = TrainingData(form=form, plan=SplitPlan(shares={"train": 1, "none": 1e-9}))
    for name in ("a.jsonl", "a.parquet"):
        rag.history.export(tmp_path / name, data)
    written = lines(tmp_path / "a.train.jsonl")
    assert parquet.read_table(tmp_path / "a.train.parquet").to_pylist() == written
    empty = parquet.read_table(tmp_path / "a.none.parquet")
    assert (empty.num_rows, set(empty.column_names)) == (0, set(written[0]))


def test_nothing_half_written_and_nothing_replaced(rag: RagPipeline, tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    with pytest.raises(DatasetError, match="nothing to export: of 0 exchanges"):
        rag.history.export(out / "a.jsonl")
    asked(rag)
    with pytest.raises(DatasetError, match=r"end in \.jsonl or \.parquet"):
        rag.history.export(out / "a.csv")
    with pytest.raises(DatasetError, match="use 0 to 1"):
        rag.history.export(out / "a.jsonl", TrainingData(min_score=1.5))
    with pytest.raises(InvalidRecordError, match="neither a date nor a time"):
        rag.history.export(out / "a.jsonl", since="yesterday-ish")
    assert list(out.iterdir()) == []
    (out / "a.jsonl").write_text("mine")
    with pytest.raises(DatasetError, match="is there already"):
        rag.history.export(out / "a.jsonl")
    assert (out / "a.jsonl").read_text() == "mine"
    rag.history.export(out / "a.jsonl", overwrite=True)
    assert len(lines(out / "a.jsonl")) == 1
    assert [path.name for path in out.iterdir()] == ["a.jsonl"]


def test_nobody_exports_what_others_asked(rag: RagPipeline, tmp_path: Path) -> None:
    asked(rag, user="anna")
    bert = rag.acting_for(Principal(name="bert"))
    with pytest.raises(DatasetError, match="of 0 exchanges"):
        bert.history.export(tmp_path / "a.jsonl")
    anna = rag.acting_for(Principal(name="anna"))
    anna.history.export(tmp_path / "a.jsonl")
    assert len(lines(tmp_path / "a.jsonl")) == 1
