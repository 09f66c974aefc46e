"""Where texts are cut, by example."""

import pytest
from support.embedding import WordEmbedder
from support.minilm import minilm

from ingest.chunk import chunk_spans


def chunks(text: str, *, limit: int, overlap: int = 0, tokenizer=None) -> list[str]:
    spans = chunk_spans(
        text,
        tokenizer=tokenizer or WordEmbedder(),
        max_tokens=limit,
        overlap_tokens=overlap,
    )
    return [text[start:end] for start, end in spans]


@pytest.mark.parametrize("text", ["", " ", "\n\n\t\n"])
def test_a_text_without_sentences_has_no_chunks(text: str) -> None:
    assert chunks(text, limit=10) == []


def test_a_short_text_is_one_chunk() -> None:
    assert chunks("One two. Three four.", limit=4) == ["One two. Three four."]


def test_sentences_are_kept_together_while_they_fit() -> None:
    text = "One two. Three four. Five six. Seven."
    assert chunks(text, limit=4) == ["One two. Three four.", "Five six. Seven."]


def test_a_chunk_begins_with_the_last_sentences_of_the_one_before() -> None:
    text = "One two. Three four. Five six. Seven eight."
    assert chunks(text, limit=4, overlap=2) == [
        "One two. Three four.",
        "Three four. Five six.",
        "Five six. Seven eight.",
    ]


def test_an_overlap_as_large_as_the_chunk_still_comes_to_an_end() -> None:
    text = " ".join(f"Word{n}." for n in range(200))
    assert chunks(text, limit=4, overlap=400)[-1].endswith("Word199.")


def test_a_sentence_that_is_too_long_is_cut_between_words() -> None:
    words = " ".join(f"incomprehensibly{n}" for n in range(400))
    found = chunks(words, limit=32, tokenizer=minilm())
    assert " ".join(found) == words


def test_a_cut_word_does_not_make_a_piece_longer_than_the_model_reads() -> None:
    text = "/".join(f"unquestionableness{n}zyx" for n in range(300)).replace("/", "")
    spaced = " ".join(text[at : at + 97] for at in range(0, len(text), 97))
    found = chunks(spaced, limit=16, tokenizer=minilm())
    assert max(minilm().count(found)) <= 16
    assert "".join(found).replace(" ", "") == spaced.replace(" ", "")


@pytest.mark.parametrize(
    "text",
    [
        "x" * 200_000,
        "x " * 50_000,
        "中" * 50_000,
        "🙂" * 50_000,
        "a." * 50_000,
        "\u200b" * 50_000 + "end",
        "e\u0301" * 50_000,
    ],
    ids=["one word", "no full stop", "Chinese", "emoji", "dots", "invisible", "accents"],
)
def test_hostile_texts_are_cut_within_the_limit(text: str) -> None:
    found = chunks(text, limit=254, overlap=32, tokenizer=minilm())
    assert max(minilm().count(found)) <= 254
    assert "".join(found).replace(" ", "") == text.replace(" ", "")
