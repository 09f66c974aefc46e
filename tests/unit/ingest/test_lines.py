import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.errors import RefusedError
from ingest.normalise import normalise
from ingest.parse import lines
from ingest.parse.lines import body, cells, heading, limited

HEADING = re.compile(r"^#{1,6} ", re.M)


@given(st.text(st.sampled_from("# a\\\n\r\t\x0b\x0c\x1c\x00\x85\xad\ufeff\u2028"), max_size=12))
def test_no_text_passes_as_a_heading(text):
    assert not HEADING.search(normalise("x\n" + body(text)))


@given(st.text(st.sampled_from("# a\n\r\x85\xad"), max_size=8), st.integers(-1, 9))
def test_a_heading_is_one_line_or_none(title, level):
    line = heading(level, title)
    assert not line or HEADING.match(line)
    assert "\n" not in normalise(line)


@pytest.mark.parametrize("text", ["#hashtag", "C# is", "####### seven", " # in", "a\n#", ""])
def test_what_is_like_no_heading_is_left_alone(text):
    assert body(text) == text


def test_cells_stand_on_one_line_and_keep_their_columns():
    assert cells(["a\nb", "", " c "]) == "a b |  | c"
    assert cells(["", " "]) == ""
    assert cells(["a", "", ""]) == "a"


def test_texts_too_long_together_are_refused(monkeypatch):
    monkeypatch.setattr(lines, "MAX_CHARACTERS", 5)
    assert list(limited(["ab", "c"])) == ["ab", "c"]
    with pytest.raises(RefusedError, match="split it"):
        list(limited(["ab", "cd"]))
