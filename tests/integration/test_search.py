"""Search as a whole, on both databases: filters, looking back, explanations, selection, order."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.cli import PACKAGES
from support.embedding import WordEmbedder
from support.pipelines import parts_of, word_pipeline

from rag_pipeline.errors import QueryError
from rag_pipeline.pipeline import RagPipeline
from rag_pipeline.retrieval.search import SearchResult
from storage.collection import set_retrieval_settings
from storage.errors import AsOfError, FilterError, NotFoundError, SpaceMismatchError
from storage.records import LOCAL_OWNER, Principal

SUBJECTS = ("harbour", "bees", "bread", "lamps", "storms", "keepers", "granite", "fog")
VERBS = ("guard", "carry", "follow", "measure")
RECORDS = [
    {
        "_id": f"r{n}",
        "title": f"On {SUBJECTS[n % 8]}",
        "text": f"Report {n}: the {SUBJECTS[n % 8]} {VERBS[n % 4]} the {SUBJECTS[(3 * n + 1) % 8]}"
        f" in the year {1900 + n}, and entry number {n * 7} of the log says so.",
        "metadata": {"year": 1900 + n, "tags": ["even" if n % 2 == 0 else "odd", "log"]},
    }
    for n in range(40)
]
QUERIES = ("bees guard the harbour", "fog", "year 1917 granite", "nothing of the kind")
MODES = ("hybrid", "vector", "keyword")


@pytest.fixture
def filled(rag: RagPipeline) -> RagPipeline:
    rag.ingest_records(RECORDS, source="log")
    return rag


def ids(result: SearchResult) -> list[str]:
    return [hit.chunk.sources[0].external_id for hit in result.hits]


def listed(result: SearchResult) -> list[tuple[int, float]]:
    return [(hit.chunk.chunk_id, hit.score) for hit in result.hits]


# Filters


@pytest.mark.parametrize("mode", MODES)
def test_a_filter_never_costs_results(filled: RagPipeline, mode: Any) -> None:
    found = filled.search("harbour", mode="vector", limit=10, where="year >= 1930")
    assert len(found.hits) == 10
    for hit in filled.search("harbour log", mode=mode, limit=40, where="tags in ('odd')").hits:
        assert "odd" in hit.chunk.sources[0].metadata["tags"]
    narrow = filled.search("harbour log", mode=mode, where="year = 1907 and tags = 'log'")
    assert ids(narrow) == ["r7"]


def test_a_filter_is_the_same_as_text_as_json_and_parsed(filled: RagPipeline) -> None:
    from storage.filters import as_json, parse

    parsed = parse("year between 1905 and 1909")
    expected = ids(filled.search("log", where=parsed))
    assert sorted(expected) == ["r5", "r6", "r7", "r8", "r9"]
    assert ids(filled.search("log", where=str(parsed))) == expected
    assert ids(filled.search("log", where=json.loads(json.dumps(as_json(parsed))))) == expected


@pytest.mark.parametrize(
    "where",
    [
        "",
        "yaer = 3",
        "year = 'x",
        "year =",
        "1; DROP TABLE chunks",
        "' OR '1'='1",
        "year = 1 --",
        "(((((",
        '{"year": 1}',
        "year like 5",
        "year = 1 union select 1",
        "😀 = 1",
        "year = 1\x00",
        "year >= 'soon'",
    ],
)
def test_a_filter_that_says_nothing_clear_is_refused(filled: RagPipeline, where: str) -> None:
    with pytest.raises(FilterError):
        filled.search("log", where=where)
    assert len(filled.search("log", limit=40).hits) == 40


@pytest.mark.parametrize("where", [{"$where": "1"}, {"year": {"$gt": []}}, {"and": 3}, {"a": {}}])
def test_json_that_is_no_filter_is_refused(filled: RagPipeline, where: dict[str, Any]) -> None:
    with pytest.raises(FilterError):
        filled.search("log", where=where)


# Looking back


def test_as_of_gives_what_was_found_then(filled: RagPipeline) -> None:
    first = filled.search("x", mode="vector").generation
    before = {
        (query, mode): listed(filled.search(query, mode=mode))
        for query in QUERIES
        for mode in MODES
    }
    changed = [{**RECORDS[n], "text": f"Now {n} says something else of fog."} for n in range(30)]
    filled.ingest_records(changed, source="log", prune=True)
    now = {key: listed(filled.search(key[0], mode=key[1])) for key in before}
    assert now != before
    for (query, mode), expected in before.items():
        assert listed(filled.search(query, mode=mode, as_of=first)) == expected
        assert listed(filled.search(query, mode=mode)) == now[query, mode]
    then = filled.search("Report 35 fog", as_of=str(first), expand=500, explain=True)
    assert then.generation == first
    assert then.hits[0].context is not None
    assert "r35" in ids(then)


@pytest.mark.parametrize(
    "as_of", [0, -1, 10**9, "0", "1700-01-01", "2999-01-01", "soon", "", "1; DROP", "9" * 30]
)
def test_a_time_that_cant_be_looked_back_to_is_refused(filled: RagPipeline, as_of: Any) -> None:
    with pytest.raises(AsOfError):
        filled.search("log", as_of=as_of)


# Explanations


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(
    "retrieval",
    [
        {},
        {"fusion": "rank"},
        {"feedback": None},
        {"depth": 3, "vector_weight": 0},
        {"linear_reranker": {"fusion": 2.0, "exact": -0.5, "length": -0.3}, "rerank_depth": 4},
        {"linear_reranker": {"nearness": 1.0}, "fusion": "rank"},
    ],
)
def test_contributions_add_up_to_the_score(
    filled: RagPipeline, tmp_path: Path, database_url: str, retrieval: dict[str, Any], mode: Any
) -> None:
    with word_pipeline(tmp_path / "kb", database=database_url, retrieval=retrieval) as rag:
        for query in QUERIES:
            result = rag.search(query, mode=mode, explain=True, limit=15)
            assert listed(result) == listed(rag.search(query, mode=mode, limit=15))
            assert [hit.score for hit in result.hits] == sorted(
                (hit.score for hit in result.hits), reverse=True
            )
            for hit in result.hits:
                said = result.explanations[hit.chunk.chunk_id]
                assert said.stages[-1].score == pytest.approx(hit.score, abs=2e-6)
                for stage in said.stages:
                    amounts = [part.amount for part in stage.parts]
                    assert sum(amounts) == pytest.approx(stage.score, abs=2e-6)
                    for part in stage.parts:
                        if part.value is not None:
                            assert part.value * part.weight == pytest.approx(part.amount)


def test_the_terms_that_matched_add_up_to_the_keyword_score(filled: RagPipeline) -> None:
    result = filled.search("bees guard the fog 1917", explain=True, limit=40)
    for hit in result.hits:
        said = result.explanations[hit.chunk.chunk_id]
        assert sum(term.score for term in said.terms) == pytest.approx(said.keyword_score, abs=1e-5)
        if hit.keyword_score is not None:
            assert hit.keyword_score == pytest.approx(said.keyword_score)
        if hit.vector_score is not None:
            assert hit.vector_score == pytest.approx(said.vector_score)
    best = result.explanations[result.hits[0].chunk.chunk_id]
    assert {"bees", "fog"} & {term.term for term in best.terms}
    assert all(sum(term.counts.values()) > 0 for term in best.terms)


def test_a_search_of_one_side_explains_that_side_alone(filled: RagPipeline) -> None:
    for mode, other in (("vector", "keyword_score"), ("keyword", "vector_score")):
        result = filled.search("fog", mode=mode, explain=True)
        for said in result.explanations.values():
            assert getattr(said, other) is None
            assert [stage.name for stage in said.stages] == [mode]


# Operators


def test_operators_are_text_unless_asked_for(filled: RagPipeline) -> None:
    query = '+fog -bees "the granite" har*'
    assert filled.search(query).hits
    found = filled.search("+harbour -bees", operators=True, limit=40)
    for hit in found.hits:
        said = f"{hit.chunk.title} {hit.chunk.text}".lower()
        assert "harbour" in said
        assert "bees" not in said
    assert found.hits
    plain = filled.search("+harbour -bees", limit=40)
    assert any("bees" in hit.chunk.text for hit in plain.hits)


@pytest.mark.parametrize(
    "query",
    [
        '"',
        '"""',
        "+",
        "-",
        "*",
        '+"',
        "- -",
        "a OR b",
        "NEAR(a b)",
        "title:fog",
        "fog^3",
        "(fog",
        "^",
    ],
)
def test_stray_operators_are_plain_text(filled: RagPipeline, query: str) -> None:
    for mode in MODES:
        filled.search(query, mode=mode)
    if any(character.isalnum() for character in query):
        filled.search(query, operators=True)


def test_a_query_that_only_forbids_is_refused(filled: RagPipeline) -> None:
    with pytest.raises(QueryError, match="add what is"):
        filled.search("-fog", operators=True)


# Selection


LONG = (
    "The tower on the outer reef was lit in 1886 and its lamp was seen from twenty miles away"
    " until the keepers left"
)


def test_copies_of_a_better_hit_are_left_out_and_named(rag: RagPipeline) -> None:
    texts = [LONG, LONG.replace("keepers", "keeprs"), LONG.replace("1886", "1887")]
    rag.ingest_records([{"_id": str(n), "text": text} for n, text in enumerate(texts)], source="a")
    every = rag.search("tower reef lamp")
    assert len(every.hits) == 3
    found = rag.search("tower reef lamp", collapse=True)
    assert len(found.hits) == 2
    shown = {hit.chunk.chunk_id for hit in found.hits}
    left_out = {copy for hit in found.hits for copy in hit.copies}
    assert shown | left_out == {hit.chunk.chunk_id for hit in every.hits}
    (result,) = rag.search_documents(["tower reef lamp"], limit=3)
    assert len(ids(result)) == 3


def test_what_copies_free_is_filled_up(rag: RagPipeline) -> None:
    same = [LONG.replace("keepers", f"keep{'e' * n}rs") for n in range(1, 6)]
    other = [f"Another lamp, number {n}, on another reef." for n in range(5)]
    rag.ingest_records(
        [{"_id": str(n), "text": text} for n, text in enumerate([*same, *other])], source="a"
    )
    assert len(rag.search("tower reef lamp keepers", limit=5, collapse=True).hits) == 5


def test_diversity_brings_other_texts_forward(filled: RagPipeline) -> None:
    plain = filled.search("bees guard the harbour", limit=5)
    varied = filled.search("bees guard the harbour", limit=5, diversity=0.9)
    assert varied.hits[0].chunk == plain.hits[0].chunk
    assert ids(varied) != ids(plain)
    assert [hit.rank for hit in varied.hits] == [1, 2, 3, 4, 5]
    assert listed(filled.search("bees guard the harbour", limit=5, diversity=0)) == listed(plain)


def test_context_stands_verbatim_around_the_hit(rag: RagPipeline, docs: Path) -> None:
    text = "# One\n\n" + " ".join(f"Sentence {n} speaks of lamp {n}." for n in range(60))
    (docs / "a.md").write_text(text + "\n\n# Two\n\nAnother section on fog.\n")
    rag.ingest(docs)
    whole = next(iter(rag.search("fog lamp", expand=1_000_000).hits)).chunk
    stored = (
        parts_of(rag)
        .reader.document_texts({whole.document_id}, principal=LOCAL_OWNER, generation=1)[
            whole.document_id
        ]
        .text
    )
    for budget in (1, 50, 400, 100_000):
        for hit in rag.search("lamp 33", expand=budget).hits:
            context = hit.context
            assert context is not None
            assert stored[context.start : context.end] == context.text
            assert hit.chunk.text in context.text
            assert len(context.text) <= max(budget, len(hit.chunk.text))
    assert rag.search("lamp 33").hits[0].context is None


# Collections, permissions, settings


def test_several_collections_are_searched_together(rag: RagPipeline) -> None:
    rag.ingest_records(RECORDS[:20], source="a", collection="old")
    rag.ingest_records(RECORDS[20:], source="b", collection="new")
    both = rag.search("fog log", collection=["old", "new"], limit=40, explain=True)
    assert sorted(ids(both)) == sorted(record["_id"] for record in RECORDS)
    alone = rag.search("fog log", collection=["new"], limit=40)
    assert {*ids(alone)} == {record["_id"] for record in RECORDS[20:]}
    assert listed(rag.search("fog", collection=["old", "old"])) == listed(
        rag.search("fog", collection="old")
    )
    rag.search("fog log", collection=["old", "new"], diversity=0.5, expand=100)
    for wrong in (["old", "none"], [], "none"):
        with pytest.raises(NotFoundError):
            rag.search("fog", collection=wrong)


def test_what_may_not_be_read_is_in_no_part_of_a_result(
    filled: RagPipeline, tmp_path: Path, database_url: str
) -> None:
    secret = [{"_id": "s", "text": LONG.replace("keepers", "keeprs") + " Zanzibar."}]
    open_ = [{"_id": "o", "text": LONG}]
    filled.ingest_records(secret, source="s", read_labels=frozenset({"board"}))
    filled.ingest_records(open_, source="o")
    eve = Principal(name="eve")
    with word_pipeline(tmp_path / "kb", database=database_url, principal=eve) as rag:
        for options in (
            {},
            {"collapse": True},
            {"explain": True},
            {"diversity": 0.5},
            {"expand": 900},
        ):
            for mode in MODES:
                found = rag.search("tower Zanzibar keeprs", mode=mode, limit=50, **options)
                assert "o" in ids(found)
                assert "s" not in ids(found)
                assert "Zanzibar" not in str(found.hits)
                assert all(not hit.copies for hit in found.hits)


def test_settings_fitted_to_a_collection_are_used_unless_the_user_sets_others(
    filled: RagPipeline, tmp_path: Path, database_url: str
) -> None:
    parts = parts_of(filled)
    collection = parts.reader.collection("default", principal=LOCAL_OWNER)
    set_retrieval_settings(parts.database, collection, {"vector_weight": 1.0, "feedback": None})
    by_vector = ids(filled.search("granite fog bees", mode="vector", limit=5))
    assert ids(filled.search("granite fog bees", limit=5)) == by_vector
    own = {"vector_weight": 0.0}
    with word_pipeline(tmp_path / "kb", database=database_url, retrieval=own) as rag:
        by_keyword = ids(rag.search("granite fog bees", mode="keyword", limit=3))
        assert ids(rag.search("granite fog bees", limit=3)) == by_keyword


# Bad input


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(
    "query",
    ["😀", "\x00", "a\x00b", "\ud800", "'; DROP TABLE chunks; --", "x" * 10_000, "\u202e", "%_"],
)
def test_any_text_is_searched_for_as_text(filled: RagPipeline, query: str, mode: Any) -> None:
    assert len(filled.search(query, mode=mode, limit=100).hits) <= 40
    assert len(filled.search("log", limit=100).hits) == 40


@pytest.mark.parametrize(
    ("options", "error", "said"),
    [
        ({"diversity": 1.5}, QueryError, "0 to 1"),
        ({"diversity": float("nan")}, QueryError, "0 to 1"),
        ({"expand": -1}, QueryError, "characters"),
        ({"limit": 0}, QueryError, "ask for 1"),
        ({"vector": [float("nan")] * 64}, SpaceMismatchError, "64 finite"),
        ({"vector": [float("inf")] * 64}, SpaceMismatchError, "64 finite"),
        ({"vector": [1.0] * 3}, SpaceMismatchError, "embed it"),
        ({"vector": [[1.0] * 64]}, SpaceMismatchError, "embed it"),
        ({"vector": ["a"] * 64}, QueryError, "list of numbers"),
    ],
)
def test_what_cant_be_given_is_said(
    filled: RagPipeline, options: dict[str, Any], error: type[Exception], said: str
) -> None:
    for mode in ("hybrid", "vector"):
        with pytest.raises(error, match=said):
            filled.search("log", mode=mode, **options)


def test_a_vector_stands_for_the_query(filled: RagPipeline) -> None:
    query = "bees guard the harbour"
    (vector,) = WordEmbedder().embed([query])
    expected = listed(filled.search(query, mode="vector"))
    assert listed(filled.search("", mode="vector", vector=vector)) == expected
    assert listed(filled.search("", mode="vector", vector=(2 * vector).tolist())) == expected
    assert listed(filled.search(query, vector=vector)) == listed(filled.search(query))
    assert len(filled.search("fog", vector=np.zeros(64)).hits) == 10


def test_more_results_than_there_are_gives_all_there_are(filled: RagPipeline) -> None:
    assert len(filled.search("log", limit=10_000).hits) == 40
    (result,) = filled.search_documents(["log"], limit=10_000)
    assert sorted(ids(result)) == sorted(record["_id"] for record in RECORDS)


# The same list everywhere


LISTED = """
import json, sys
from support.pipelines import word_pipeline
from pathlib import Path
with word_pipeline(Path(sys.argv[1]), database=sys.argv[2]) as rag:
    print(json.dumps([
        [(hit.chunk.chunk_id, hit.score) for hit in rag.search(query, mode=mode, limit=20).hits]
        for query in json.loads(sys.argv[3]) for mode in ("hybrid", "vector", "keyword")
    ]))
"""


def in_another_process(home: Path, database_url: str) -> Any:
    run = subprocess.run(
        [sys.executable, "-c", LISTED, str(home), database_url, json.dumps(QUERIES)],
        env={"PYTHONPATH": f"{PACKAGES}:{PACKAGES / 'tests'}", "PYTHONHASHSEED": "random"},
        capture_output=True,
        text=True,
    )
    assert run.returncode == 0, run.stderr
    return json.loads(run.stdout)


def test_the_same_query_gives_the_same_list_in_every_process_and_after_a_rebuild(
    filled: RagPipeline, tmp_path: Path, database_url: str
) -> None:
    filled.ingest_records(RECORDS[5:9], source="log", prune=True)
    filled.ingest_records(RECORDS[:30], source="log", prune=True)
    here = [
        [[key, score] for key, score in listed(filled.search(query, mode=mode, limit=20))]
        for query in QUERIES
        for mode in MODES
    ]
    assert in_another_process(tmp_path / "kb", database_url) == here
    assert in_another_process(tmp_path / "fresh", database_url) == here
    collection = parts_of(filled).reader.collection("default", principal=LOCAL_OWNER)
    for follower in parts_of(filled).followers(collection):
        follower.rebuild()
    again = [
        [[key, score] for key, score in listed(filled.search(query, mode=mode, limit=20))]
        for query in QUERIES
        for mode in MODES
    ]
    assert again == here


HEAVY = """
import sys
from rag_pipeline.pipeline import RagPipeline
with RagPipeline.open(sys.argv[1]) as rag:
    assert rag.search("bees dance", explain=True, diversity=0.3, expand=200).hits
print(*sorted({name.partition(".")[0] for name in sys.modules}))
"""


@pytest.mark.models
def test_a_search_loads_no_framework(tmp_path: Path) -> None:
    with RagPipeline.open(tmp_path / "kb") as rag:
        rag.ingest_records(RECORDS[:3], source="log")
    run = subprocess.run(
        [sys.executable, "-c", HEAVY, str(tmp_path / "kb")],
        env={"PYTHONPATH": str(PACKAGES), "PATH": "", "HOME": str(Path.home())},
        capture_output=True,
        text=True,
    )
    assert run.returncode == 0, run.stderr
    loaded = {*run.stdout.split()}
    assert not loaded & {"torch", "transformers", "sentence_transformers", "langchain_core"}
