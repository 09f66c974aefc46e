"""Which hits are shown: copies, variety, and what stands around a chunk."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.embedding import WordEmbedder

from rag_pipeline.retrieval.selection import around, by_marginal_relevance, originals

LIGHT = (
    "The tower on the outer reef was lit in 1886 and its lamp was seen from twenty miles away,"
    " until the keepers left it to the birds and to the winter storms"
)


def copies_among(texts: list[str]) -> list[int]:
    return originals(texts, WordEmbedder().embed(texts))


def unit(*rows: tuple[float, ...]) -> np.ndarray:
    given = np.array(rows, np.float32)
    return given / np.linalg.norm(given, axis=1, keepdims=True)


def test_a_copy_belongs_to_the_better_of_both() -> None:
    other = "Rye bread is baked from sourdough for two hours in a hot oven"
    typo = LIGHT.replace("keepers", "keeprs")
    assert copies_among([LIGHT, other, typo, LIGHT.upper(), other]) == [0, 1, 0, 0, 1]


@pytest.mark.parametrize(
    ("said", "instead"), [("1886", "1887"), ("outer", "inner"), ("twenty", "thirty")]
)
def test_texts_that_differ_in_a_fact_are_no_copies(said: str, instead: str) -> None:
    assert copies_among([LIGHT, LIGHT.replace(said, instead)]) == [0, 1]


def test_a_copy_of_a_copy_belongs_to_the_first_of_all() -> None:
    typo = LIGHT.replace("keepers", "keeprs")
    assert copies_among([LIGHT, typo, typo.replace("storms", "strms")]) == [0, 0, 0]


def test_short_texts_are_copies_only_if_they_are_the_same() -> None:
    assert copies_among(["red light", "red lamp", "Red light!", ""]) == [0, 1, 0, 3]


def test_without_diversity_the_order_is_that_of_the_scores() -> None:
    vectors = unit((1, 0), (1, 0.1), (0, 1))
    assert by_marginal_relevance([3, 2, 1], vectors, limit=3, diversity=0) == [0, 1, 2]


def test_what_says_the_same_gives_way_to_what_says_something_else() -> None:
    vectors = unit((1, 0), (1, 0.01), (0, 1))
    assert by_marginal_relevance([3, 2.9, 2], vectors, limit=2, diversity=0.5) == [0, 2]
    assert by_marginal_relevance([3, 2.9, 2], vectors, limit=2, diversity=0.1) == [0, 1]


def test_marginal_relevance_is_that_of_the_paper() -> None:
    """Against the formula, term by term: argmax of (1 - d) rel - d max cos."""
    random = np.random.default_rng(7)
    vectors = unit(*random.normal(size=(12, 4)))
    scores = sorted(random.uniform(0, 1, 12), reverse=True)
    low, high = min(scores), max(scores)
    chosen: list[int] = []
    while len(chosen) < 6:
        gains = {
            place: 0.6 * (scores[place] - low) / (high - low)
            - 0.4 * max((float(vectors[place] @ vectors[one]) for one in chosen), default=0)
            for place in range(12)
            if place not in chosen
        }
        chosen.append(max(gains, key=lambda place: gains[place]))
    assert by_marginal_relevance(scores, vectors, limit=6, diversity=0.4) == chosen


@given(
    st.lists(st.floats(-5, 5), max_size=12),
    st.floats(0, 1),
    st.integers(1, 15),
    st.integers(0, 99),
)
def test_each_place_is_chosen_once_and_the_best_comes_first(scores, diversity, limit, seed):
    scores = sorted(scores, reverse=True)
    vectors = unit(*np.random.default_rng(seed).normal(size=(13, 3)))[: len(scores)]
    chosen = by_marginal_relevance(scores, vectors, limit=limit, diversity=diversity)
    assert len(chosen) == len(set(chosen)) == min(limit, len(scores))
    assert chosen[:1] == [0][: len(scores)]
    fewer = by_marginal_relevance(scores, vectors, limit=max(limit - 1, 1), diversity=diversity)
    assert chosen[: len(fewer)] == fewer


TEXT = "One is here. Two is there. Three is the chunk. Four follows it. Five is last."
CHUNK = (TEXT.index("Three"), TEXT.index(" Four"))


def context(budget: int, section: tuple[int, int] = (0, 0)) -> str:
    start, end = around(TEXT, *CHUNK, section=section, budget=budget)
    return TEXT[start:end]


def test_a_section_that_fits_is_given_whole() -> None:
    assert context(len(TEXT)) == TEXT
    start = TEXT.index("Two")
    assert context(60, (start, TEXT.index(" Five"))) == TEXT[start : TEXT.index(" Five")]


def test_a_context_ends_with_whole_sentences_inside_its_section() -> None:
    assert context(54) == "Two is there. Three is the chunk. Four follows it."
    start = CHUNK[0]
    assert context(40, (start, len(TEXT))) == "Three is the chunk. Four follows it."


def test_a_chunk_that_is_longer_than_the_budget_stays_as_it_is() -> None:
    assert context(5) == context(1) == "Three is the chunk."


words = st.lists(st.sampled_from(["a.", "Bees dance.", "x", "\n\n", "Ünïcode…", "3.14", "😀!"]))


@given(words, st.data(), st.integers(0, 60))
def test_a_context_holds_its_chunk_and_keeps_to_section_and_budget(parts, data, budget):
    text = " ".join(["Begin.", *parts])
    start = data.draw(st.integers(0, len(text) - 1))
    end = data.draw(st.integers(start + 1, len(text)))
    low = data.draw(st.integers(0, start))
    high = data.draw(st.integers(end, len(text)))
    first, last = around(text, start, end, section=(low, high), budget=budget)
    assert low <= first <= start
    assert end <= last <= high
    assert last - first <= max(budget, end - start)
