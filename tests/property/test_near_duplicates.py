"""Laws of near duplicates, and the sketch against the theory of it."""

import random
import re
import string
from math import comb

from hypothesis import given
from hypothesis import strategies as st

from ingest.near_duplicates import (
    KEYS,
    MIN_SHARED_KEYS,
    MIN_SIMILARITY,
    band_keys,
    jaccard,
    shingled,
    similarity,
)

words = st.sampled_from(
    [
        "the",
        "a",
        "pump",
        "12",
        "basin",
        "ran",
        "dry",
        "of",
        "47",
        "ta",
        "tb",
        "x1",
        "y1",
        "水",
        "泵",
    ]
)
texts = st.one_of(st.text(max_size=80), st.lists(words, max_size=60).map(" ".join))


@given(texts)
def test_a_text_is_a_near_duplicate_of_itself(text):
    assert similarity(shingled(text), shingled(text)) >= MIN_SIMILARITY


@given(texts, texts)
def test_similarity_is_symmetric_and_a_share(one, other):
    first, second = shingled(one), shingled(other)
    assert similarity(first, second) == similarity(second, first)
    assert 0 <= similarity(first, second) <= 1
    assert jaccard(first, second) == jaccard(second, first)


@given(texts, st.sampled_from(["  ", "\n", "\t", " \u00a0", "\r\n"]))
def test_white_space_and_case_never_matter(text, gap):
    edited = gap.join(f" {text.casefold()} ".split(" "))
    assert shingled(edited).tokens == shingled(text).tokens
    assert band_keys(edited) == band_keys(text)


@given(st.text(alphabet=string.printable, max_size=200))
def test_plain_text_has_the_tokens_of_any_text(text):
    assert list(shingled(text).tokens) == re.findall(r"\w+", text.lower())
    assert shingled(text + " é").tokens == (*shingled(text).tokens, "é")


@given(texts)
def test_keys_are_few_distinct_and_signed(text):
    keys = band_keys(text)
    assert len(keys) == len(set(keys)) <= KEYS
    assert all(-(2**63) <= key < 2**63 for key in keys)


def test_pairs_share_keys_as_often_as_theory_says():
    """A bottom-k sketch draws k of the union's shingles, each shared with probability J: enough
    are, at least as often as the binomial distribution says. The draws are fixed."""
    rng = random.Random(5)
    for kept in (0.3, 0.45, 0.6, 0.8):
        pairs = [_pair(rng, kept) for _ in range(300)]
        similar = sum(jaccard(shingled(a), shingled(b)) for a, b in pairs) / len(pairs)
        found = sum(len({*band_keys(a)} & {*band_keys(b)}) >= MIN_SHARED_KEYS for a, b in pairs)
        missed = sum(
            comb(KEYS, n) * similar**n * (1 - similar) ** (KEYS - n) for n in range(MIN_SHARED_KEYS)
        )
        deviation = (missed * (1 - missed) / len(pairs)) ** 0.5
        assert found / len(pairs) >= 1 - missed - 4 * deviation - 0.01


def _pair(rng: random.Random, kept: float) -> tuple[str, str]:
    """Two texts of 150 words, in blocks of ten, of which they share this part."""
    blocks = [[_word(rng) for _ in range(10)] for _ in range(15)]
    other = [b if rng.random() < kept else [_word(rng) for _ in range(10)] for b in blocks]
    return tuple(" ".join(word for block in text for word in block) for text in (blocks, other))


def _word(rng: random.Random) -> str:
    return "".join(rng.choices(string.ascii_lowercase, k=6))


@given(st.text(alphabet=st.characters(exclude_categories=("Cs",))))
def test_a_text_has_as_many_tokens_as_pieces_of_it_are_hashed(text: str) -> None:
    found = shingled(text)
    assert found.length == len(found.tokens)
    assert found.spaced.encode().split() == [token.encode() for token in found.tokens]


@given(st.text(alphabet=st.characters(codec="ascii")))
def test_plain_ascii_is_read_as_any_other_text(text: str) -> None:
    assert shingled(text).tokens == shingled(f"{text} \u00e9").tokens[:-1]
