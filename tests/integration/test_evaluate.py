"""Evaluations and fitted settings, over real databases and indexes."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from support.embedding import WordEmbedder
from support.judged import (
    QUERIES,
    TOPICS,
    judge_mirrored,
    judge_notes,
    named_topics,
    write_judgments,
    write_mirrored,
    write_topics,
)
from support.pipelines import parts_of, word_pipeline

from rag_pipeline.evaluation.evaluate import Searching, Wanted, evaluated_at
from rag_pipeline.evaluation.judgments import read_judgments
from rag_pipeline.evaluation.measures import parse_measures
from rag_pipeline.pipeline import RagPipeline
from rag_pipeline.retrieval.errors import TuningError
from storage.collection import retrieval_settings
from storage.records import LOCAL_OWNER, Principal


def stored(rag: RagPipeline) -> object:
    parts = parts_of(rag)
    collection = parts.reader.collection("default", principal=LOCAL_OWNER)
    return retrieval_settings(parts.database, collection)


def test_an_evaluation_stands_at_one_generation_and_can_look_back(
    rag: RagPipeline, docs: Path, tmp_path: Path
) -> None:
    rag.ingest(write_topics(docs))
    judged = write_judgments(tmp_path / "judged")
    first = parts_of(rag).reader.served()
    before = rag.evaluate(judged).evaluation
    assert (before.generation, before.mean("mrr")) == (first.generation, 1.0)
    write_topics(docs, dict.fromkeys(TOPICS, "Nothing of interest."))
    rag.ingest(docs)
    assert rag.evaluate(judged).evaluation.mean("mrr") < 1.0
    _, again = evaluated_at(
        parts_of(rag),
        read_judgments(judged),
        Searching(),
        parse_measures("ndcg@10,map,mrr,recall@10,recall@100,p@10"),
        first,
    )
    assert again == before


def test_what_a_reader_may_not_know_of_and_what_is_synthetic_is_not_there_for_them(
    tmp_path: Path, database_url: str
) -> None:
    judged = write_judgments(tmp_path / "judged")
    topics = [{"_id": f"{name}.txt", "text": text} for name, text in TOPICS.items()]
    home = tmp_path / "kb"
    with word_pipeline(home, database=database_url) as rag:
        rag.ingest_records(topics[:2], source="open")
        rag.ingest_records(topics[2:4], source="closed", read_labels=frozenset({"staff"}))
        rag.ingest_records(topics[4:], source="made", generator_id="gan-1")
        names = list(QUERIES)
        assert [*rag.evaluate(judged).absent] == names[4:]
    reader = Principal(name="ann", labels=frozenset({"other"}))
    with word_pipeline(home, database=database_url, principal=reader) as rag:
        report = rag.evaluate(judged, Searching(), Wanted(measures=parse_measures("recall@10")))
    assert [*report.absent] == names[2:]
    assert report.intervals["recall@10"].mean == 2 / len(names)


@pytest.fixture
def noisy(tmp_path: Path, database_url: str) -> Iterator[RagPipeline]:
    """Vectors of two numbers tell next to nothing; words tell all."""
    embedder = WordEmbedder(dimension=2)
    with word_pipeline(tmp_path / "kb", database=database_url, embedder=embedder) as opened:
        yield opened


def test_settings_are_fitted_and_stored_only_where_they_help_for_sure(
    noisy: RagPipeline, docs: Path, tmp_path: Path
) -> None:
    topics = named_topics(60)
    noisy.ingest(write_topics(docs, topics))
    queries = {name: " ".join(text.split()[:2]) for name, text in topics.items()}
    judged = write_judgments(tmp_path / "judged", queries)
    tried = noisy.tune(judged, dry_run=True)
    assert tried.fitted is not None
    assert (tried.is_stored, stored(noisy)) == (False, None)
    assert tried.fusion.compared.difference.low > 0
    before = noisy.evaluate(judged).evaluation.mean("ndcg@10")
    done = noisy.tune(judged)
    assert (done.is_stored, stored(noisy)) == (True, tried.fitted)
    assert noisy.evaluate(judged).evaluation.mean("ndcg@10") > before
    assert noisy.tune(judged).as_json() == done.as_json()
    assert noisy.reset_tuning() is True
    assert (stored(noisy), noisy.reset_tuning()) == (None, False)
    assert noisy.evaluate(judged).evaluation.mean("ndcg@10") == before


def test_where_nothing_can_be_gained_nothing_is_stored(
    rag: RagPipeline, docs: Path, tmp_path: Path
) -> None:
    topics = {f"t{n}": f"Note {n} is about the word key{n}x." for n in range(30)}
    rag.ingest(write_topics(docs, topics))
    judged = write_judgments(tmp_path / "judged", topics)
    tuning = rag.tune(judged)
    assert (tuning.fitted, tuning.is_stored, stored(rag)) == (None, False, None)
    few = write_judgments(tmp_path / "few", {"t1": topics["t1"]})
    with pytest.raises(TuningError, match="too few"):
        rag.tune(few)


def test_a_reranker_is_fitted_where_reading_tells_what_the_fusion_cant_and_search_goes_by_it(
    rag: RagPipeline, docs: Path, tmp_path: Path
) -> None:
    rag.ingest(write_mirrored(docs))
    judged = judge_mirrored(tmp_path / "judged")
    before = rag.evaluate(judged).evaluation.mean("ndcg@10")
    tuning = rag.tune(judged)
    assert tuning.reranker is not None
    assert tuning.reranker.compared.baseline == pytest.approx(before)
    assert tuning.reranker.compared.difference.low > 0.2
    assert tuning.fusion.fitted is None
    assert stored(rag) == tuning.fitted == tuning.reranker.fitted
    assert rag.evaluate(judged).evaluation.mean("ndcg@10") > before + 0.2
    result = rag.search(read_judgments(judged).texts["t00"], explain=True, limit=2)
    best, other = (result.explanations[hit.chunk.chunk_id].stages[-1] for hit in result.hits)
    assert (best.name, other.name) == ("rerank", "rerank")
    by_order = [{part.signal: part.amount for part in stage.parts} for stage in (best, other)]
    assert by_order[0]["pairs"] > 0
    assert "pairs" not in by_order[1]
    assert rag.tune(judged).as_json() == tuning.as_json()
    assert rag.reset_tuning() is True
    assert rag.evaluate(judged).evaluation.mean("ndcg@10") == before


def test_what_was_fitted_earlier_stays_where_a_later_tuning_gains_nothing(
    rag: RagPipeline, docs: Path, tmp_path: Path
) -> None:
    rag.ingest(write_mirrored(docs))
    done = rag.tune(judge_mirrored(tmp_path / "judged"))
    assert (done.is_stored, done.kept) == (True, None)
    later = rag.tune(judge_notes(tmp_path / "notes"))
    assert (later.fitted, later.is_stored) == (None, False)
    assert later.kept == stored(rag) == done.fitted
    assert later.as_json()["kept"] == done.fitted
    tried = rag.tune(tmp_path / "judged", dry_run=True)
    assert (tried.is_stored, tried.kept) == (False, done.fitted)


@pytest.mark.parametrize(
    ("retrieval", "reason"),
    [
        ({"rerank_depth": 0}, "rerank_depth is 0"),
        ({"cross_encoder": "/nowhere"}, "by a cross-encoder"),
        ({"linear_reranker": {"fusion": 1.0}}, "have linear_reranker"),
    ],
)
def test_no_reranker_is_fitted_that_would_never_be_asked(
    tmp_path: Path, docs: Path, database_url: str, retrieval: dict[str, object], reason: str
) -> None:
    with word_pipeline(tmp_path / "kb", database=database_url, retrieval=retrieval) as rag:
        rag.ingest(write_mirrored(docs))
        tuning = rag.tune(judge_mirrored(tmp_path / "judged"))
        assert tuning.reranker is None
        assert reason in str(tuning.no_reranker)
        assert stored(rag) is None


def test_queries_without_anything_relevant_fit_no_reranker_and_say_so(
    rag: RagPipeline, docs: Path, tmp_path: Path
) -> None:
    rag.ingest(write_mirrored(docs))
    absent = {f"gone{n}": f"key{n}x" for n in range(20)}
    tuning = rag.tune(write_judgments(tmp_path / "judged", absent))
    assert (tuning.fitted, tuning.reranker) == (None, None)
    assert "judge more" in str(tuning.no_reranker)


def test_settings_of_the_user_go_before_what_was_fitted_and_the_report_says_so(
    tmp_path: Path, docs: Path, database_url: str
) -> None:
    topics = named_topics(60)
    queries = {name: " ".join(text.split()[:2]) for name, text in topics.items()}
    judged = write_judgments(tmp_path / "judged", queries)
    own = {"vector_weight": 1.0, "feedback": None}
    with word_pipeline(
        tmp_path / "kb",
        database=database_url,
        embedder=WordEmbedder(dimension=2),
        retrieval=own,
    ) as rag:
        rag.ingest(write_topics(docs, topics))
        before = rag.evaluate(judged).evaluation.mean("ndcg@10")
        tuning = rag.tune(judged)
        assert tuning.fusion.fitted is not None
        assert tuning.overruled[:2] == ("vector_weight", "feedback")
        assert tuning.reranker is not None
        # What the fusion would be is not what it will be, and the reranker reads what it will be.
        assert tuning.reranker.compared.baseline == pytest.approx(before)
