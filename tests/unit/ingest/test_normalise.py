import time

import pytest

from ingest.normalise import MAX_MARKS, normalise, one_line


@pytest.mark.parametrize(
    ("written", "stored"),
    [
        ("a\r\nb\rc\u2028d\u2029e\x0cf\x85g\x0bh", "a\nb\nc\nd\ne\nf\ng\nh"),
        ("cafe\u0301", "café"),
        ("nul\x00l, bell\x07, C1 \x9bcontrol", "null, bell, C1 control"),
        ("\ufeffmark", "mark"),
        ("light\xadhouse", "lighthouse"),
        ("half \ud83d pair", "half \ufffd pair"),
        ("trailing  \t\nspace", "trailing\nspace"),
        ("one\n\n\n\n\ntwo", "one\n\ntwo"),
        ("one\n \t\n\u3000\n\ntwo", "one\n\ntwo"),
        ("\n\n  words \n\n", "words"),
        ("mild.\U000e0073\U000e0061\U000e0079", "mild."),
        (" \t\r\n\x0b\x0c\xa0\n", ""),
    ],
)
def test_what_is_not_text_goes(written, stored):
    assert normalise(written) == stored


@pytest.mark.parametrize(
    "kept",
    [
        "x²",
        "ﬁn",
        "می\u200cخواهم",
        "👨\u200d👩\u200d👧",
        "a\u202eb\u202c",
        "a\tb",
        "non\xa0breaking",
        "Ω",
    ],
)
def test_what_spells_or_orders_words_stays(kept):
    assert normalise(kept) == kept


def test_a_tower_of_marks_is_cut_and_costs_no_time():
    begun = time.monotonic()
    tower = normalise("Z" + "\u0301\u0316" * 200_000 + " end")
    assert time.monotonic() - begun < 5  # hours, if the marks were ordered first
    assert tower.endswith(" end")
    assert len(tower) <= 1 + MAX_MARKS + 4


def test_a_million_spaces_cost_no_time():
    begun = time.monotonic()
    assert normalise("a" + " " * 2_000_000 + "b").startswith("a  ")
    assert time.monotonic() - begun < 5  # quadratic search would take minutes


def test_one_line_has_no_line_ends_and_single_spaces():
    assert one_line("  The\n\n Bell \t Rock\xa0light ") == "The Bell Rock light"
