"""Which lines are headings, and which sections they make."""

import pytest
from support.growth import grows_no_faster_than_its_size

from ingest.outline import MAX_HEADINGS, headings, sections
from storage.records import Heading


def found(text: str) -> list[tuple[int, str]]:
    return [(heading.level, heading.title) for heading in headings(text)]


def test_lines_with_one_to_six_hashes_are_headings_of_that_level() -> None:
    text = "# One\ntext\n### Three ###\n   ###### Six\n####### seven\n#hashtag\n    # code"
    assert found(text) == [(1, "One"), (3, "Three"), (6, "Six")]


def test_a_heading_starts_at_its_first_mark() -> None:
    text = "Preface.\n\n  ## Tea\n\nBlack\n---\n"
    assert [text[heading.start :][:5] for heading in headings(text)] == ["## Te", "Black"]


def test_a_line_underlined_is_a_heading() -> None:
    assert found("Tea\n===\n\n Green tea\n---\ntext") == [(1, "Tea"), (2, "Green tea")]
    assert found("Tea\n===\nGreen\n-----\n# A\nB\n==") == [
        (1, "Tea"),
        (2, "Green"),
        (1, "A"),
        (1, "B"),
    ]


@pytest.mark.parametrize(
    "text",
    [
        "---\n",
        "\n---\n",
        "text\n\n---\n",
        "a paragraph\nof two lines\n---",
        "- item\n---",
        "> quote\n===",
        "a | b\n---|---\n1 | 2",
        "| a |\n---",
        "1. item\n---",
        "---\n---",
        "    code\n---",
        "x" * 301 + "\n---",
        "above\n" + "x" * 301 + "\n---",
        "text\n-",
        "text\n- - -",
    ],
)
def test_a_rule_or_a_table_makes_no_heading(text: str) -> None:
    assert found(text) == []


def test_code_has_no_headings() -> None:
    text = (
        "# A\n```sh\n# comment\n~~~\n```` info\n# still\n````\n## B\n"
        "- list:\n\n      ~~~\n# inside\n~~~~\n# C\n```not a fence``` here\n# D\n```\n# to the end"
    )
    assert found(text) == [(1, "A"), (2, "B"), (1, "C"), (1, "D")]


@pytest.mark.parametrize(
    ("marked", "title"),
    [
        ("**Green** _tea_ and *black* ~~one~~", "Green tea and black one"),
        ("`snake_case_name` stays", "snake_case_name stays"),
        ("__init__ and a_b_c and 2*3*4", "init and a_b_c and 2*3*4"),
        ("[Tea](https://a.example/b) and [leaf][1]", "Tea and leaf"),
        ("![badge](b.svg) Tea", "badge Tea"),
        ("[![badge](b.svg)](https://a.example) Tea", "badge Tea"),
        ('<a name="tea"></a>Tea<!-- old -->', "Tea"),
        ("Tea {#tea .big}", "Tea"),
        ("C#", "C#"),
        ("Tea # leaf #", "Tea # leaf"),
        (r"1\. \*not emphasis\*", "1. *not emphasis*"),
        ("Q &amp; A &lt;b&gt;", "Q & A <b>"),
        ("a < b > c", "a < b > c"),
        ("Tea\t and   leaf", "Tea and leaf"),
    ],
)
def test_a_title_is_what_a_reader_sees(marked: str, title: str) -> None:
    assert found(f"# {marked}") == [(1, title)]


@pytest.mark.parametrize("line", ["#", "# ", "# #", "## ##", "# ![](a.png)", "# " + "x" * 301])
def test_a_heading_without_a_title_or_with_one_as_long_as_a_text_is_none(line: str) -> None:
    assert found(f"{line}\n\ntext") == []


def test_more_headings_than_any_book_has_are_lines_like_any_other() -> None:
    assert len(headings("# a\n" * (MAX_HEADINGS + 5))) == MAX_HEADINGS


@pytest.mark.parametrize(
    "hostile",
    [
        "#" * 1_000_000,
        "# " * 500_000,
        "=\n" * 200_000,
        "a\n=\n" * 200_000,
        "`" * 1_000_000,
        "```a\n" * 200_000,
        " " * 1_000_000 + "#",
        "\t" * 1_000_000 + "~~~",
        "x" * 1_000_000 + "\n---",
        "-" * 1_000_000 + "\nx",
        ("# " + "*a_ [" * 50 + "\n") * 2_000,
        ("# " + "<a" * 140 + "\n") * 2_000,
        ("# " + "`" * 140 + "a" + "\n") * 2_000,
    ],
)
def test_no_text_takes_more_than_linear_time(hostile: str) -> None:
    assert grows_no_faster_than_its_size(lambda size: headings(hostile[-size:]), len(hostile))


def test_sections_stand_inside_the_last_heading_above_their_level() -> None:
    shape = sections(
        [Heading(0, 2, "a"), Heading(5, 4, "b"), Heading(9, 3, "c"), Heading(12, 1, "d")]
    )
    assert list(shape.starts) == [0, 0, 5, 9, 12]
    assert list(shape.parents) == [0, 0, 1, 1, 0]
    assert list(shape.after) == [5, 4, 3, 4, 5]


def test_a_text_without_headings_is_one_section() -> None:
    shape = sections([])
    assert (list(shape.parents), list(shape.after)) == ([0], [1])
