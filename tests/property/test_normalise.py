import unicodedata

from hypothesis import given
from hypothesis import strategies as st

from ingest.normalise import normalise

# Surrogates included, and what the rules speak of more often than chance would have it.
any_text = st.text(
    st.one_of(
        st.characters(codec=None, categories=None),
        st.sampled_from(
            "\r\n\t \x00\x85\xa0\xad\u0301\u0316\u0344\u0958\u2028\u200d\ufeff\ud800\udfffé한ᄒ"
        ),
    )
)
marks = st.text(st.sampled_from("a \n\u0301\u0316\u0344\u093c\u0958\u0345\u1161ᄀ"), min_size=20)


@given(any_text | marks)
def test_once_is_enough(text):
    assert normalise(normalise(text)) == normalise(text)


@given(any_text | marks)
def test_the_result_can_be_stored_anywhere(text):
    stored = normalise(text)
    assert stored.encode("utf-8").decode("utf-8") == stored
    assert unicodedata.is_normalized("NFC", stored)
    assert not [c for c in stored if unicodedata.category(c) == "Cc" and c not in "\n\t"]


@given(any_text)
def test_blank_space_is_bounded(text):
    stored = normalise(text)
    assert stored == stored.strip()
    assert "\n\n\n" not in stored
    assert all(line == line.rstrip() for line in stored.split("\n"))


@given(st.text(st.characters(categories=["L", "N", "P"]), min_size=1))
def test_no_letter_is_lost(text):
    assert normalise(text) == unicodedata.normalize("NFC", text)
