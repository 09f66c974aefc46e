"""Chunks of any text, under a tokenizer of words and under the real one."""

import itertools

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from support.embedding import WordEmbedder
from support.minilm import minilm

from ingest.chunk import Cut, cut
from ingest.outline import headings
from ingest.sentences import sentences
from ingest.settings import ChunkSettings
from ingest.units import Tokenizer
from storage.records import NO_OUTLINE, Outline

PIECES = [
    *("One two. ", "Three four five. ", "。中文字", "🙂👩\u200d👩\u200d👧", "é", "naïveté "),
    *("x" * 120, "\u200b", "ا", "internationalisation", "pneumonoultramicroscopicsilicosis "),
    *("\n\n", "- a\n", "a | b\n", "name: Assam\n", "\n\n\f\n", "```\n"),
]
HEADINGS = ["\n# Tea\n", "\n## Green tea\n\n", "\n### Sencha, the long one\n", "\nBlack\n=====\n"]
plain = st.lists(st.sampled_from(PIECES) | st.text(max_size=12), max_size=60).map("".join)
texts = st.lists(st.sampled_from(PIECES + HEADINGS * 2) | st.text(max_size=12), max_size=60).map(
    "".join
)
titles = st.sampled_from(["", "Tea", "The book of tea, and of all that is made of leaves"])
limits = st.integers(16, 48)
overlaps = st.integers(0, 12)
edges = st.lists(st.tuples(st.integers(0, 300), st.integers(0, 40)), max_size=4)
tokenizers = pytest.mark.parametrize(
    "tokenizer", [WordEmbedder(), minilm()], ids=["words", "minilm"]
)
often = settings(max_examples=80)


def chunks(text, tokenizer, *, limit, overlap=0, title="", omitted=(), structure=True) -> list[Cut]:
    return cut(
        text,
        title=title,
        outline=Outline(headings(text)) if structure else NO_OUTLINE,
        omitted=omitted,
        tokenizer=tokenizer,
        max_tokens=limit,
        settings=ChunkSettings(overlap_tokens=overlap, by_structure=structure),
    )


def spans_of(text, places):
    return [(min(at, len(text)), min(at + size, len(text))) for at, size in places]


@tokenizers
@often
@given(text=texts, limit=limits, overlap=overlaps, title=titles, places=edges, structure=...)
def test_chunks_cover_every_letter_in_order_and_are_trimmed(
    tokenizer: Tokenizer,
    text: str,
    limit: int,
    overlap: int,
    title: str,
    places: list[tuple[int, int]],
    structure: bool,
) -> None:
    found = chunks(
        text,
        tokenizer,
        limit=limit,
        overlap=overlap,
        title=title,
        omitted=spans_of(text, places),
        structure=structure,
    )
    covered, last_start = 0, -1
    for chunk in found:
        body = text[chunk.start : chunk.end]
        assert body == body.strip() != ""
        assert text[covered : chunk.start].strip() == ""
        assert chunk.end > covered
        assert chunk.start > last_start
        covered, last_start = chunk.end, chunk.start
    assert text[covered:].strip() == ""


@tokenizers
@often
@given(text=texts, limit=limits, overlap=overlaps, title=titles, places=edges)
def test_no_chunk_is_longer_with_its_context_than_the_embedder_reads(
    tokenizer: Tokenizer, text: str, limit: int, overlap: int, title: str, places
) -> None:
    found = chunks(
        text,
        tokenizer,
        limit=limit,
        overlap=overlap,
        title=title,
        omitted=spans_of(text, places),
    )
    assert all(n <= limit for n in tokenizer.count([chunk.embedded for chunk in found]))


@tokenizers
@often
@given(text=texts, limit=limits, overlap=overlaps)
def test_chunks_share_no_more_than_the_overlap_and_only_within_a_section(
    tokenizer: Tokenizer, text: str, limit: int, overlap: int
) -> None:
    starts = {heading.start for heading in headings(text)}
    found = chunks(text, tokenizer, limit=limit, overlap=overlap)
    for chunk, following in itertools.pairwise(found):
        shared = text[following.start : chunk.end]
        assert tokenizer.count([shared])[0] <= overlap
        assert not starts & set(range(following.start, chunk.end))


@tokenizers
@often
@given(text=plain, limit=limits, overlap=overlaps)
def test_a_sentence_that_fits_is_never_cut(
    tokenizer: Tokenizer, text: str, limit: int, overlap: int
) -> None:
    assume(not headings(text))
    found = chunks(text, tokenizer, limit=limit, overlap=overlap)
    whole = sentences(text)
    for (start, end), tokens in zip(
        whole, tokenizer.count([text[a:b] for a, b in whole]), strict=True
    ):
        if tokens <= limit:
            assert any(chunk.start <= start and end <= chunk.end for chunk in found)


@often
@given(text=texts, limit=limits, overlap=overlaps, title=titles, places=edges)
def test_what_is_omitted_is_not_embedded_unless_nothing_would_be_left(
    text, limit, overlap, title, places
) -> None:
    omitted = spans_of(text, places)
    left_out = {at for start, end in omitted for at in range(start, end)}
    if not "".join(char for at, char in enumerate(text) if at not in left_out).strip():
        left_out = set()
    found = chunks(text, WordEmbedder(), limit=limit, overlap=overlap, title=title, omitted=omitted)
    for chunk in found:
        kept = "".join(text[at] for at in range(chunk.start, chunk.end) if at not in left_out)
        letters = "".join(kept.split())
        assert letters
        assert "".join(chunk.embedded.split()).endswith(letters)
        if not title and not headings(text):
            assert "".join(chunk.embedded.split()) == letters


@tokenizers
@often
@given(text=texts, limit=limits, overlap=overlaps, title=titles)
def test_the_same_text_is_always_cut_the_same(
    tokenizer: Tokenizer, text: str, limit: int, overlap: int, title: str
) -> None:
    once = chunks(text, tokenizer, limit=limit, overlap=overlap, title=title)
    assert chunks(text, tokenizer, limit=limit, overlap=overlap, title=title) == once


bodies = st.lists(
    st.sampled_from(["One two three. ", "Four five. ", "\n\n", "- six\n", "\n### under\n\n"]),
    min_size=1,
    max_size=40,
).map("".join)


@often
@given(before=bodies, old=bodies, new=bodies, after=bodies, overlap=overlaps)
def test_a_change_inside_a_section_too_long_for_a_chunk_changes_no_chunk_outside_it(
    before: str, old: str, new: str, after: str, overlap: int
) -> None:
    filler = "Seven eight nine ten. " * 12

    def embedded(body: str) -> list[str]:
        text = f"# A\n\nZero. {before}\n\n# B\n\n{filler}{body}\n\n# C\n\n{after}"
        begin, end = text.index("# B"), text.index("# C")
        found = chunks(text, WordEmbedder(), limit=24, overlap=overlap, title="Tea")
        assert all(
            c.end <= begin or begin <= c.start < c.end <= end or end <= c.start for c in found
        )
        return [c.embedded for c in found if not begin <= c.start < end]

    assert embedded(old) == embedded(new)
