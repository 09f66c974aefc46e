"""What is told of a candidate by reading it beside the query."""

import pytest

from rag_pipeline.retrieval.rerank.features import FEATURES, features
from rag_pipeline.retrieval.rerank.port import RerankCandidate
from storage.records import ChunkId, DocumentId, StoredChunk


def candidate(text="", *, key=1, title="", headings=(), language="en", **found) -> RerankCandidate:
    chunk = StoredChunk(
        chunk_id=ChunkId(key),
        document_id=DocumentId(key),
        text=text,
        title=title,
        start=0,
        end=len(text),
        sources=(),
        headings=headings,
        language=language,
    )
    return RerankCandidate(chunk=chunk, **{"score": 0.5, **found})


def of(name: str, query: str, *candidates: RerankCandidate) -> list[float]:
    return [row[FEATURES.index(name)] for row in features(query, candidates).tolist()]


def test_scores_and_ranks_of_the_sides_are_passed_on_in_their_units():
    first = candidate(score=0.9, vector_rank=2, vector_score=0.7, keyword_rank=1, keyword_score=8.0)
    second = candidate(key=2, score=0.1, keyword_rank=4, keyword_score=2.0)
    assert of("fusion", "q", first, second) == [0.9, 0.1]
    assert of("vector", "q", first, second) == [0.7, 0]
    assert of("keyword", "q", first, second) == [1, 0.25]
    assert of("vector_rank", "q", first, second) == [0.5, 0]
    assert of("keyword_rank", "q", first, second) == [1, 0.25]


def test_a_rare_term_counts_more_than_a_common_one():
    texts = [candidate("lift drag"), candidate("drag wing", key=2), candidate("drag", key=3)]
    lift, *_ = of("text_terms", "lift wing drag", *texts)
    only_drag = of("text_terms", "lift wing drag", *texts)[2]
    assert 0 < only_drag < lift < 1
    assert only_drag < 1 / 3


def test_terms_match_by_their_stems_and_whatever_their_case():
    assert of("text_terms", "Heated WINGS", candidate("the heating of a wing")) == [1]


def test_title_and_headings_are_read_as_well():
    named = candidate("x", title="Wing lift", headings=("Drag",))
    assert of("title_terms", "lift drag", named, candidate("lift drag", key=2)) == [1, 0]


def test_neighbours_of_the_query_are_looked_for_in_their_order():
    shares = of(
        "pairs",
        "laminar boundary layer",
        candidate("a laminar boundary layer"),
        candidate("a boundary layer, laminar", key=2),
        candidate("layer boundary laminar", key=3),
    )
    assert shares == [1, 0.5, 0]


def test_only_the_whole_query_word_by_word_is_exact():
    query = "boundary layer control"
    texts = ("the boundary layer control of wings", "boundary layer", "control of boundary layer")
    assert of("exact", query, *(candidate(text) for text in texts)) == [1, 0, 0]


def test_what_stands_close_together_is_nearer():
    near, far, single = of(
        "nearness",
        "shock wave",
        candidate("a shock wave"),
        candidate("shock and then, after a very long while full of words, a wave", key=2),
        candidate("shock shock shock", key=3),
    )
    assert near == 1
    assert 0 < far < near
    assert single == 0


def test_a_dense_span_is_found_behind_a_match_that_stands_far_off():
    far_first = candidate("shock " + "word " * 50 + "wave drag")
    assert of("nearness", "shock wave drag", far_first) == [pytest.approx(2 / 3)]


@pytest.mark.parametrize("query", ["", "the of and", "\x00", "😀", '"unbalanced (', "x " * 5000])
def test_any_query_gives_finite_features(query):
    rows = features(query, [candidate(""), candidate("the shock wave", key=2)])
    assert rows.shape == (2, len(FEATURES))
    assert (abs(rows) < 100).all()


def test_a_text_is_read_in_its_own_language():
    german = candidate("Die Häuser am See", language="de")
    assert of("text_terms", "Haus", german) == [1]


def test_no_candidates_give_no_rows():
    assert features("q", []).shape == (0, len(FEATURES))
