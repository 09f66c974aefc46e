"""Scores of texts that are in no collection."""

import math
from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from rag_pipeline.retrieval.rerank.port import RerankCandidate, Reranked, best_first
from rag_pipeline.retrieval.rerank.texts import CrossEncoderScorer, overlaps


class ByLength:
    """Longer texts fit better, beyond all measure."""

    def rerank(self, query: str, candidates: Sequence[RerankCandidate]) -> list[Reranked]:
        scores = {one.chunk.chunk_id: len(one.chunk.text) - 1000.0 for one in candidates}
        return best_first(
            [Reranked(chunk_id=key, score=score, contributions={}) for key, score in scores.items()]
        )


def test_a_rare_word_counts_more_than_one_that_all_texts_have() -> None:
    rare, common, none = overlaps("oak tree", ["an oak", "a tree", "the tree, a tree"])
    assert rare > common > 0
    assert none > 0


def test_all_words_of_the_query_are_the_most_that_a_text_can_have() -> None:
    assert overlaps("tea", ["stone", "tea"])[0] == 0
    assert overlaps("the of", ["the of", "of"]) == [0, 0]
    assert overlaps("tea", []) == []
    assert overlaps("tea", ["", ""]) == [0, 0]


@given(st.text(max_size=40), st.lists(st.text(max_size=60), min_size=1, max_size=6))
def test_shares_lie_between_0_and_1_whatever_the_texts(query: str, texts: list[str]) -> None:
    assert all(0 <= share <= 1 and math.isfinite(share) for share in overlaps(query, texts))


def test_scores_of_a_cross_encoder_stand_in_the_order_of_the_texts() -> None:
    scorer = CrossEncoderScorer("by-length", ByLength())
    scores = scorer.scores("x", ["a" * 1001, "", "a" * 990])
    assert scores[0] > scores[2] > scores[1] == 0.0
