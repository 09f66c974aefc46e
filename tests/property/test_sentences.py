from hypothesis import given
from hypothesis import strategies as st

from ingest.sentences import sentences

pieces = st.sampled_from(
    [
        "Dr. ",
        "A. ",
        "end. ",
        "The ",
        "。",
        "\n",
        "\n\n",
        "- ",
        "# ",
        " | ",
        "x: ",
        "...",
        "?!",
        '"',
        "é",
        " ",
    ]
)
texts = st.text() | st.lists(pieces, max_size=40).map("".join)


@given(texts)
def test_sentences_and_the_gaps_between_them_rebuild_the_text(text):
    rebuilt, offset = "", 0
    for start, end in sentences(text):
        assert text[offset:start].strip() == ""
        rebuilt += text[offset:start] + text[start:end]
        offset = end
    assert text[offset:].strip() == ""
    assert rebuilt + text[offset:] == text


@given(texts)
def test_sentences_are_in_order_trimmed_and_not_empty(text):
    last = 0
    for start, end in sentences(text):
        assert last <= start < end
        assert text[start:end] == text[start:end].strip()
        last = end


@given(texts, texts)
def test_a_blank_line_separates_texts_as_if_they_stood_alone(one, other):
    shift = len(one) + 2
    expected = sentences(one) + [(start + shift, end + shift) for start, end in sentences(other)]
    assert sentences(f"{one}\n\n{other}") == expected
