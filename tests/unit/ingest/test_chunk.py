"""Where texts are cut, by example."""

import itertools
from collections.abc import Sequence

import pytest
from support.embedding import WordEmbedder
from support.minilm import minilm

from ingest.chunk import Cut, cut
from ingest.outline import headings
from ingest.settings import ChunkSettings
from ingest.units import Tokenizer
from storage.records import Outline


def cuts(text: str, *, limit: int, tokenizer: Tokenizer | None = None, **given) -> list[Cut]:
    settings = ChunkSettings(
        overlap_tokens=given.pop("overlap", 0),
        by_structure=given.pop("by_structure", True),
        max_tokens=given.pop("chunk_limit", None),
    )
    return cut(
        text,
        title=given.pop("title", ""),
        outline=Outline(headings(text)),
        omitted=given.pop("omitted", ()),
        tokenizer=tokenizer or WordEmbedder(),
        max_tokens=limit,
        settings=settings,
    )


def chunks(text: str, *, limit: int, **given) -> list[str]:
    return [text[chunk.start : chunk.end] for chunk in cuts(text, limit=limit, **given)]


def embedded(text: str, *, limit: int, **given) -> list[str]:
    return [chunk.embedded for chunk in cuts(text, limit=limit, **given)]


def sentences_of(words: int, *, count: int, mark: str = "w") -> str:
    return " ".join(
        " ".join([f"{mark.title()}{n}", *["x"] * (words - 1)]) + "." for n in range(count)
    )


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


def test_a_chunk_ends_with_a_paragraph_where_it_is_at_least_half_full() -> None:
    text = "One two three. Four.\n\nFive. Six seven. Eight nine ten."
    assert chunks(text, limit=8) == ["One two three. Four.", "Five. Six seven. Eight nine ten."]
    assert chunks(text, limit=9) == ["One two three. Four.\n\nFive. Six seven.", "Eight nine ten."]
    assert chunks(text, limit=8, by_structure=False) == [
        "One two three. Four.\n\nFive. Six seven.",
        "Eight nine ten.",
    ]


def test_a_section_that_does_not_fit_shares_no_chunk_with_its_neighbours() -> None:
    text = f"# A\n\nSmall one.\n\n# B\n\n{sentences_of(4, count=5)}\n\n# C\n\nSmall two."
    assert chunks(text, limit=16) == [
        "# A\n\nSmall one.",
        "# B\n\nW0 x x x. W1 x x x. W2 x x x.",
        "W3 x x x. W4 x x x.",
        "# C\n\nSmall two.",
    ]


def test_small_sections_below_one_heading_share_a_chunk_while_they_fit_whole() -> None:
    text = (
        "# T\n\n## A\n\nOne two.\n\n## B\n\nThree four five.\n\n"
        "## C\n\nSix seven eight.\n\n# U\n\nNine."
    )
    assert chunks(text, limit=8) == [
        "# T\n\n## A\n\nOne two.\n\n## B\n\nThree four five.",
        "## C\n\nSix seven eight.",
        "# U\n\nNine.",
    ]


def test_a_section_that_fits_is_never_cut_to_fill_a_chunk() -> None:
    text = "# A\n\nOne. Two. Three.\n\n# B\n\nFour. Five. Six."
    assert chunks(text, limit=6) == ["# A\n\nOne. Two. Three.", "# B\n\nFour. Five. Six."]


def test_a_chunk_is_embedded_below_its_title_and_the_headings_above_it() -> None:
    text = f"# Tea\n\n## Green\n\n### Sencha\n\n{sentences_of(8, count=4)}\n\n## Black\n\nOne two."
    assert embedded(text, limit=32, title="Drinks") == [
        "Drinks\n# Tea\n\n## Green\n\n### Sencha\n\nW0 x x x x x x x. W1 x x x x x x x. "
        "W2 x x x x x x x.",
        "Drinks\nTea > Green > Sencha\nW3 x x x x x x x.",
        "Drinks\nTea\n## Black\n\nOne two.",
    ]


def test_sections_that_share_a_chunk_are_embedded_below_the_headings_they_share() -> None:
    text = f"# T\n\n{sentences_of(5, count=3)}\n\n## A\n\nOne.\n\n## B\n\nTwo."
    assert embedded(text, limit=17)[-1] == "T\n## A\n\nOne.\n\n## B\n\nTwo."


def test_a_heading_that_repeats_the_title_is_not_embedded_twice_above_a_chunk() -> None:
    text = f"# Green Tea\n\n## Sencha\n\n{sentences_of(8, count=4)}"
    assert embedded(text, limit=32, title="Green tea")[-1].startswith("Green tea\nSencha\nW")


def test_a_long_context_is_shortened_to_a_quarter_and_keeps_the_nearest_heading() -> None:
    text = f"# Some long heading of a chapter\n\n## Sencha\n\n{sentences_of(8, count=12)}"
    found = embedded(text, limit=32, title="A title that says very much, too much")
    assert found[-1].startswith("A title that says\nSencha\nW")
    assert embedded(f"{sentences_of(8, count=4)}", limit=32, title="w " * 9)[0].startswith(
        "w w w w w w w w\nW0"
    )


def test_a_heading_stays_with_what_follows_it_however_long_that_is() -> None:
    text = "# Tea\n\n## Green\n\n" + "word " * 40
    assert chunks(text, limit=16)[0].startswith("# Tea\n\n## Green\n\nword word")


def test_a_preface_that_says_little_stays_with_the_section_below_it() -> None:
    text = f"Home.\n\n# Tea\n\n{sentences_of(4, count=6)}"
    assert chunks(text, limit=17)[0] == "Home.\n\n# Tea\n\nW0 x x x. W1 x x x. W2 x x x."


def test_a_row_or_an_item_is_not_cut_while_it_fits() -> None:
    text = "Intro one.\n\n- One. Two. Three.\n- Four. Five. Six.\n\na. b. | c. d.\ne. f. | g. h."
    assert chunks(text, limit=5) == [
        "Intro one.\n\n- One. Two. Three.",
        "- Four. Five. Six.",
        "a. b. | c. d.",
        "e. f. | g. h.",
    ]


def test_a_row_that_does_not_fit_is_cut_between_its_sentences() -> None:
    assert chunks("- One two. Three four. Five six.", limit=4) == [
        "- One two. Three four.",
        "Five six.",
    ]


def test_a_sentence_that_is_too_long_is_cut_between_lines_before_words() -> None:
    code = "```\n" + "\n".join("call this and that" for _ in range(6)) + "\n```"
    assert chunks(code, limit=10) == [
        "```\ncall this and that\ncall this and that",
        "call this and that\ncall this and that",
        "call this and that\ncall this and that\n```",
    ]


def test_what_is_omitted_stays_in_the_span_and_is_not_embedded() -> None:
    text = "The keeper lit the\n\nACME CORP PAGE SEVEN\n\nlamp at dusk.\n\nSent from my phone"
    omitted = [(text.index("Sent"), len(text)), (text.index("ACME"), text.index("lamp"))]
    assert cuts(text, limit=8, omitted=omitted) == [
        Cut(0, len(text), "The keeper lit the\nlamp at dusk.")
    ]


def test_a_text_that_is_boilerplate_throughout_is_embedded_all_the_same() -> None:
    text = "Page 1"
    assert embedded(text, limit=8, omitted=[(0, 4), (3, 6)]) == ["Page 1"]


def test_a_heading_that_is_omitted_divides_nothing_and_names_nothing() -> None:
    text = f"# Tea\n\n{sentences_of(4, count=2)}\n\n# ACME\n\n{sentences_of(4, count=3)}"
    at = text.index("# ACME")
    assert embedded(text, limit=17, omitted=[(at, at + 6)])[-1].startswith("Tea\nW")


def test_an_overlap_reaches_no_further_back_than_the_section() -> None:
    text = f"# A\n\n{sentences_of(2, count=6)}\n\n# B\n\n{sentences_of(2, count=6, mark='v')}"
    found = chunks(text, limit=8, overlap=4)
    assert [chunk for chunk in found if "W5" in chunk and "V0" in chunk] == []
    assert all(chunk.startswith(("#", "W", "V")) for chunk in found)
    assert "# B\n\nV0 x. V1 x. V2 x." in found


def test_a_chunk_may_be_set_shorter_than_the_embedder_reads() -> None:
    found = cuts(sentences_of(4, count=20), limit=200, chunk_limit=16, title="A long title " * 4)
    assert {WordEmbedder().count([c.embedded])[0] for c in found} == {16 + 12}


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
        "# a\n" * 20_000,
        "#" * 100_000,
    ],
    ids=[
        *("one word", "no full stop", "Chinese", "emoji", "dots", "invisible", "accents"),
        *("headings", "hashes"),
    ],
)
def test_hostile_texts_are_cut_within_the_limit(text: str) -> None:
    found = chunks(text, limit=254, overlap=32, tokenizer=minilm())
    assert max(minilm().count(found)) <= 254
    assert max(map(len, found)) <= 254 * 100
    assert "".join("".join(found).split()) == "".join(text.split())


class CountingTokenizer(WordEmbedder):
    """Knows how many characters it was given."""

    def __init__(self) -> None:
        super().__init__()
        self.read = 0

    def count(self, texts: Sequence[str]) -> list[int]:
        self.read += sum(map(len, texts))
        return super().count(texts)

    def offsets(self, text: str) -> list[tuple[int, int]]:
        self.read += len(text)
        return super().offsets(text)


@pytest.mark.parametrize(
    "piece",
    [
        "One two three. ",
        "word ",
        "a b c\n\n",
        "a | b | c\n",
        "a | ",
        "# a\n",
        "# a\n\n## b\n\nOne two.\n\n",
        "## b\n\n" + "word " * 90 + "\n\n",
        "# a\n## b\n### c\n",
        "x",
    ],
)
def test_a_text_twice_as_long_gives_the_tokenizer_twice_as_much(piece: str) -> None:
    read = []
    for size in (60_000, 120_000):
        tokenizer = CountingTokenizer()
        cuts(piece * (size // len(piece)), limit=64, tokenizer=tokenizer, overlap=16, title="T")
        read.append(tokenizer.read)
    assert read[1] < 2.2 * read[0]
    assert read[1] < 6 * 120_000


def test_every_chunk_of_a_readme_starts_where_a_reader_would_start() -> None:
    text = "\n\n".join(
        f"## Part {n}\n\n{sentences_of(6, count=n)}\n\n- item one.\n- item two." for n in range(9)
    )
    found = cuts(text, limit=24, tokenizer=WordEmbedder(), title="Guide")
    for before, chunk in itertools.pairwise(found):
        assert text[before.end : chunk.start] in ("\n\n", " ", "\n")
        assert text[chunk.start :].startswith(("## Part", "W", "- item"))
