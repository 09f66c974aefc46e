"""Search over real indexes: limits, modes, scores, and what a principal may read."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.pipelines import parts_of, word_pipeline

from rag_pipeline.errors import QueryError
from rag_pipeline.pipeline import RagPipeline
from rag_pipeline.retrieval.query import MAX_LIMIT, MAX_QUERY_CHARACTERS
from rag_pipeline.retrieval.search import Retriever
from storage.records import LOCAL_OWNER, Principal

LABELS = ("hr", "board", "staff")
QUERIES = ("bees dance in the harbour", "tea", "harbour walls and tea leaves", "nothing of it")
WORDS = ("bees", "dance", "harbour", "tea", "leaves", "walls", "rain", "stone")
LABELLED = {
    f"d{n}.txt": frozenset(label for bit, label in enumerate(LABELS) if n >> bit & 1)
    for n in range(24)
}
"""Each set of labels on three documents."""

modes = st.sampled_from(["hybrid", "vector", "keyword"])
queries = st.sampled_from(QUERIES)
readers = st.builds(
    Principal, name=st.just("eve"), labels=st.frozensets(st.sampled_from([*LABELS, "other"]))
)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("search")


@pytest.fixture(scope="module")
def rag(home: Path) -> Iterator[RagPipeline]:
    docs = home / "docs"
    docs.mkdir()
    with word_pipeline(home / "kb") as opened:
        for n, (name, labels) in enumerate(LABELLED.items()):
            said = " ".join(WORDS[(n * step) % len(WORDS)] for step in (1, 3, 5))
            (docs / name).write_text(f"Number {n} tells of {said}.")
            opened.ingest(docs / name, read_labels=labels)
        yield opened


@pytest.fixture(scope="module")
def retriever(rag: RagPipeline) -> Retriever:
    return parts_of(rag).retriever("default", principal=LOCAL_OWNER)


def ids(result) -> list[str]:
    return [ref.external_id for hit in result.hits for ref in hit.chunk.sources]


def readable(reader: Principal) -> set[str]:
    return {name for name, labels in LABELLED.items() if not labels or labels & reader.labels}


@settings(max_examples=60)
@given(query=queries, reader=readers, mode=modes, limit=st.integers(1, 30))
def test_what_may_not_be_read_is_never_found_and_costs_no_result(
    retriever: Retriever, query: str, reader: Principal, mode: str, limit: int
) -> None:
    every = retriever.search(query, limit=100, principal=LOCAL_OWNER, mode=mode)
    found = ids(retriever.search(query, limit=limit, principal=reader, mode=mode))
    allowed = [one for one in ids(every) if one in readable(reader)]
    assert len(found) == min(limit, len(allowed))
    assert set(found) <= readable(reader)
    if mode != "hybrid":
        assert found == allowed[:limit]


@settings(max_examples=60)
@given(query=queries, mode=modes, limit=st.integers(1, 30))
def test_fewer_results_are_the_first_of_more_and_ranks_count_from_one(
    retriever: Retriever, query: str, mode: str, limit: int
) -> None:
    every = retriever.search(query, limit=100, principal=LOCAL_OWNER, mode=mode).hits
    hits = retriever.search(query, limit=limit, principal=LOCAL_OWNER, mode=mode).hits
    assert hits == every[:limit]
    assert [hit.rank for hit in hits] == list(range(1, len(hits) + 1))
    scores = [hit.score for hit in hits]
    assert scores == sorted(scores, reverse=True)


@pytest.mark.parametrize("query", QUERIES)
def test_each_hit_says_where_each_side_ranked_it(retriever: Retriever, query: str) -> None:
    for side in ("vector", "keyword"):
        alone = retriever.search(query, limit=100, principal=LOCAL_OWNER, mode=side).hits
        both = retriever.search(query, limit=100, principal=LOCAL_OWNER).hits
        expected = {hit.chunk.chunk_id: (hit.rank, hit.score) for hit in alone}
        for hit in both:
            said = (getattr(hit, f"{side}_rank"), getattr(hit, f"{side}_score"))
            assert said == expected.get(hit.chunk.chunk_id, (None, None))


def test_a_search_of_one_side_leaves_the_other_empty(retriever: Retriever) -> None:
    for side, other in (("vector", "keyword"), ("keyword", "vector")):
        hits = retriever.search("tea", limit=3, principal=LOCAL_OWNER, mode=side).hits
        assert hits
        for hit in hits:
            assert getattr(hit, f"{side}_rank") == hit.rank
            assert getattr(hit, f"{other}_rank") is getattr(hit, f"{other}_score") is None


@pytest.mark.parametrize("query", QUERIES)
def test_a_hit_that_one_side_alone_found_is_scored_by_both(
    rag: RagPipeline, home: Path, query: str
) -> None:
    sides = {
        mode: {hit.chunk.chunk_id: hit.score for hit in rag.search(query, limit=99, mode=mode).hits}
        for mode in ("vector", "keyword")
    }
    with word_pipeline(home / "kb", retrieval={"depth": 1}) as shallow:
        for limit in (1, 2, 5):
            for key, said in shallow.search(query, limit=limit, explain=True).explanations.items():
                assert said.vector_score == sides["vector"][key]
                assert said.keyword_score == sides["keyword"].get(key, 0)


def test_ranks_can_be_fused_instead_of_scores(rag: RagPipeline, home: Path) -> None:
    with word_pipeline(home / "kb", retrieval={"fusion": "rank"}) as other:
        for hit in other.search("bees dance", limit=10).hits:
            ranks = [rank for rank in (hit.vector_rank, hit.keyword_rank) if rank]
            assert hit.score == pytest.approx(sum(1 / (60 + rank) for rank in ranks), abs=1e-6)


def test_a_search_for_documents_goes_as_deep_as_it_must(tmp_path: Path) -> None:
    docs = tmp_path / "docs"
    docs.mkdir()
    (docs / "long.txt").write_text(" ".join(f"The bees dance, number {n}." for n in range(90)))
    for name in ("a", "b"):
        (docs / f"{name}.txt").write_text(f"Many other things, {name}, and a bee.")
    small = {"chunking": {"max_tokens": 16, "overlap_tokens": 0}, "retrieval": {"depth": 1}}
    with word_pipeline(tmp_path / "kb", **small) as rag:
        rag.ingest(docs)
        for limit, expected in ((1, 1), (3, 3), (9, 3)):
            (result,) = rag.search_documents(["bees dance number"], limit=limit)
            assert len({*ids(result)}) >= expected
            hits = [hit.chunk.chunk_id for hit in result.hits]
            assert len(hits) == len(set(hits))
        assert rag.search_documents([], limit=3) == []


@pytest.mark.parametrize(
    ("query", "limit", "said"),
    [
        ("", 5, "empty"),
        (" \n\t", 5, "empty"),
        ("x" * (MAX_QUERY_CHARACTERS + 1), 5, "10001 characters"),
        ("tea", 0, "ask for 1"),
        ("tea", -1, "ask for 1"),
        ("tea", MAX_LIMIT + 1, "ask for 1"),
    ],
)
def test_what_cant_be_searched_for_is_said(
    retriever: Retriever, query: str, limit: int, said: str
) -> None:
    with pytest.raises(QueryError, match=said):
        retriever.search(query, limit=limit, principal=LOCAL_OWNER)
    with pytest.raises(QueryError, match=said):
        retriever.search_documents(["tea", query], limit=limit, principal=LOCAL_OWNER)


@settings(max_examples=60)
@given(query=st.text(min_size=1, max_size=50).filter(str.strip), mode=modes)
def test_any_text_is_a_safe_query(retriever: Retriever, query: str, mode: str) -> None:
    assert len(retriever.search(query, limit=3, principal=LOCAL_OWNER, mode=mode).hits) <= 3
