"""Chunks of any text, under a tokenizer of words and under the real one."""

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.embedding import WordEmbedder
from support.minilm import minilm

from ingest.chunk import Tokenizer, chunk_spans
from ingest.sentences import sentences

PIECES = [
    *(
        "One two. ",
        "Three four five. ",
        "。中文字",
        "🙂👩\u200d👩\u200d👧",
        "é",
        "naïveté ",
        "x" * 120,
    ),
    *("\u200b", "ا", "internationalisation", "pneumonoultramicroscopicsilicovolcanoconiosis "),
    *("\n\n", "- a\n"),
]
pieces = st.sampled_from(PIECES)
texts = st.lists(pieces | st.text(max_size=12), max_size=60).map("".join)
limits = st.integers(4, 24)
overlaps = st.integers(0, 12)
tokenizers = pytest.mark.parametrize(
    "tokenizer", [WordEmbedder(), minilm()], ids=["words", "minilm"]
)


@tokenizers
@settings(deadline=None, max_examples=60)
@given(text=texts, limit=limits, overlap=overlaps)
def test_chunks_cover_every_letter_in_order_and_are_trimmed(
    tokenizer: Tokenizer, text: str, limit: int, overlap: int
) -> None:
    spans = chunk_spans(text, tokenizer=tokenizer, max_tokens=limit, overlap_tokens=overlap)
    covered = 0
    for number, (start, end) in enumerate(spans):
        assert text[start:end] == text[start:end].strip() != ""
        assert text[covered:start].strip() == ""
        assert end > covered
        assert not number or start > spans[number - 1][0]
        covered = end
    assert text[covered:].strip() == ""


@tokenizers
@settings(deadline=None, max_examples=60)
@given(text=texts, limit=limits, overlap=overlaps)
def test_no_chunk_has_more_tokens_than_allowed_or_shares_more_than_the_overlap(
    tokenizer: Tokenizer, text: str, limit: int, overlap: int
) -> None:
    spans = chunk_spans(text, tokenizer=tokenizer, max_tokens=limit, overlap_tokens=overlap)
    assert all(n <= limit for n in tokenizer.count([text[a:b] for a, b in spans]))
    shared = [text[nxt[0] : end] for (_, end), nxt in itertools.pairwise(spans)]
    assert all(n <= overlap for n in tokenizer.count(shared))


@tokenizers
@settings(deadline=None, max_examples=40)
@given(text=texts, limit=limits, overlap=overlaps)
def test_a_sentence_that_fits_is_never_cut(
    tokenizer: Tokenizer, text: str, limit: int, overlap: int
) -> None:
    spans = chunk_spans(text, tokenizer=tokenizer, max_tokens=limit, overlap_tokens=overlap)
    whole = sentences(text)
    for (start, end), tokens in zip(
        whole, tokenizer.count([text[a:b] for a, b in whole]), strict=True
    ):
        if tokens <= limit:
            assert any(left <= start and end <= right for left, right in spans)
