"""Windows of what is erased, and texts with something taken out."""

import numpy as np
import pytest

from storage.erasing.editing import covered, rewritten, spans, whole, without
from storage.erasing.haystack import blocks
from storage.erasing.needles import (
    SHORTEST,
    WIDTH,
    Needles,
    window_of_name,
    windows_of_text,
    windows_of_vector,
)

TEXT = "Zebra: the quick “unique” fox jumps over no lazy dog — nowhere else at all."


def needles(text: str = TEXT) -> Needles:
    return Needles.of("salt", windows_of_text(text, "salt"))


def test_a_text_is_found_wherever_it_stands_and_nowhere_else() -> None:
    said = TEXT.encode()
    for around in (b"", b"x", b"y" * 70_000):
        assert needles().found_in(around + said + around).count == len(said) - WIDTH + 1
    assert needles().found_in(said[: WIDTH - 1]).count == 0
    assert needles().found_in(said[::-1] * 3_000).count == 0
    assert needles().found_in(b"").count == 0


def test_it_is_found_in_json_too() -> None:
    tricky = 'He said "Ü" twice\nand then the other words that follow it here'
    found = needles(tricky)
    for form in (tricky, tricky.replace('"', '\\"').replace("\n", "\\n")):
        assert found.found_in(form.encode()).count
    escaped = 'He said \\"\\u00dc\\" twice\\nand then'
    assert found.found_in(escaped.encode()).count


def test_under_another_salt_the_same_words_have_other_hashes() -> None:
    other = Needles.of("pepper", windows_of_text(TEXT, "pepper"))
    assert not np.isin(needles().by_width[WIDTH], other.by_width[WIDTH]).any()


def test_what_stands_elsewhere_is_left_out() -> None:
    stays = TEXT[10:60].encode()
    left = needles().without(needles().found_in(stays))
    assert left.found_in(stays).count == 0
    assert left.found_in(TEXT.encode()).count


def test_stored_and_read_again_they_are_the_same() -> None:
    stored = needles().as_json()
    again = Needles.from_json("salt", stored)
    assert again.found_in(TEXT.encode()).count == needles().found_in(TEXT.encode()).count
    assert "Zebra" not in str(stored)


def test_a_sample_is_the_same_each_time_and_is_still_found() -> None:
    plain = "Zebra: the quick unique fox jumps over no lazy dog, nowhere else at all."
    sampled = needles(plain).sampled(5)
    assert sampled.count == 5
    assert sampled.found_in(plain.encode()).count == 5


def test_a_short_text_is_a_needle_and_a_shorter_one_is_none() -> None:
    assert needles("x" * (SHORTEST - 1)).count == 0
    assert needles("twelve chars").found_in(b"so: twelve chars.").count == 1
    name = Needles.of("s", window_of_name("margaret.h", "s"))
    assert name.found_in(b"by margaret.hamilton").count == 1


def test_a_vector_of_zeros_alone_is_looked_for_whole() -> None:
    rng = np.random.default_rng(1)
    dense = rng.standard_normal(384).astype("<f4").tobytes()
    found = Needles.of("s", windows_of_vector(dense, "s"))
    assert found.found_in(b"a page of \0\0 " + dense).count > 1
    sparse = np.zeros(64, "<f4")
    sparse[3] = 1
    found = Needles.of("s", windows_of_vector(sparse.tobytes(), "s"))
    assert found.found_in(bytes(4096)).count == 0
    assert found.found_in(bytes(100) + sparse.tobytes()).count > 0


@pytest.mark.parametrize("before", [0, 1, 65_535, 65_536, 65_550, 131_000])
def test_a_file_is_read_so_that_nothing_falls_between_two_blocks(before: int, tmp_path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"-" * before + TEXT.encode() + b"-" * 100)
    found = [needles().found_in(block).count for block in blocks(path, needles().overlap)]
    assert sum(found) >= len(TEXT.encode()) - WIDTH + 1


def test_what_is_covered_is_whole_characters() -> None:
    mask = covered(f"“{TEXT}” and more", needles())
    assert (mask.size, mask.sum()) == (len(TEXT) + 11, len(TEXT))
    edited = without(f"“{TEXT}” and more", mask, "[forgotten]")
    assert edited is not None
    assert edited.text == "“[forgotten]” and more"


def test_what_is_left_is_found_at_its_new_place() -> None:
    text = "aaa SECRET bbb SECRET ccc"
    edited = without(text, spans(len(text), [(4, 10), (15, 21)]), "[x]")
    assert edited is not None
    assert edited.text == "aaa [x] bbb [x] ccc"
    for word in ("aaa", "bbb", "ccc"):
        start = text.index(word)
        assert edited.text[edited.place(start) : edited.place(start + 3)] == word
    assert edited.text[edited.place(4) : edited.place(10)] == "[x]"


def test_places_follow_what_somebody_else_rewrote() -> None:
    text, now = "write to a@b.example today", "write to [EMAIL] today"
    edited = rewritten(text, now)
    assert edited is not None
    assert now[edited.place(text.index("today")) : edited.place(len(text))] == "today"
    assert now[edited.place(0) : edited.place(8)] == "write to"
    assert rewritten(text, text) is None


def test_a_text_taken_out_whole_leaves_the_mark_alone() -> None:
    edited = whole("all of it", "[x]")
    assert edited is not None
    assert (edited.text, edited.place(0), edited.place(9)) == ("[x]", 0, 3)
    assert whole("[x]", "[x]") is None
    assert whole("", "[x]") is None
