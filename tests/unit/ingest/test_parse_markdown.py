import pytest

from ingest.parse.markdown import parse


def test_the_text_is_kept_as_it_was_written():
    text = "# Title\n\nSome *text* with `code`.\n\n| a | b |\n|---|---|\n"
    assert parse(text.encode()).text == text


def test_front_matter_becomes_metadata_and_leaves_the_text():
    parsed = parse(
        b'---\ntitle: "The Pharos"\ntags:\n  - old\n  - tall\nyear: 280\nempty:\n---\n'
        b"# Heading\nBody"
    )
    assert parsed.text == "# Heading\nBody"
    assert parsed.title == "The Pharos"
    assert parsed.metadata == {
        "title": "The Pharos",
        "tags": "old, tall",
        "year": "280",
        "empty": "",
    }


def test_front_matter_is_never_evaluated():
    parsed = parse(b"---\ntitle: !!python/object/apply:os.getcwd []\nref: *anchor\n---\nBody")
    assert parsed.metadata == {"title": "!!python/object/apply:os.getcwd []", "ref": "*anchor"}


@pytest.mark.parametrize(
    "text",
    ["---\nnever: closed\n", "Text\n\n---\na: b\n---\n", "----\na: b\n----\n", "--- a: b ---\n"],
)
def test_rules_and_unclosed_blocks_are_no_front_matter(text):
    parsed = parse(text.encode())
    assert (parsed.text, parsed.metadata) == (text, {})


@pytest.mark.parametrize(
    ("text", "title"),
    [
        ("intro\n\n## Second level ##\n", "Second level"),
        ("```sh\n# comment\n```\n# Real", "Real"),
        ("~~~~\n# a\n~~~\n# b\n~~~~\n# Real", "Real"),
        ("Underlined\n==========\n", "Underlined"),
        ("Also underlined\n---\n", "Also underlined"),
        ("text\n\n---\n\n# After a rule", "After a rule"),
        ("# **Bold** and `code` [link](http://x/y)", "Bold and code link"),
        ("#hashtag\n\ntext", ""),
        ("no heading at all", ""),
        ("\ufeff# With a mark", "With a mark"),
        ("# Dos\r\n\r\ntext", "Dos"),
    ],
)
def test_the_title_is_the_first_heading(text, title):
    assert parse(text.encode()).title == title


@pytest.mark.parametrize(
    ("written", "kept"),
    [
        ("Title\n=====\ntext\n\nPart\n---\n", "# Title\ntext\n\n## Part\n"),
        ("  ## Moved in ##\n#\ttab", "## Moved in\n# tab"),
        ("two lines\nof text\n---\n", "two lines\nof text\n---\n"),
        ("- item\n---\n> quote\n---\n", "- item\n---\n> quote\n---\n"),
        ("a | b\n---\n", "## a | b\n"),
        ("```\ncode\n```\n", "```\ncode\n```\n"),
        ("```\nx\n# c\n```\n# Real", " ```\n x\n # c\n ```\n# Real"),
        ("```\n# c\n```\n~~~\nx\n~~~", " ```\n # c\n ```\n~~~\nx\n~~~"),
        ("```\n# never closed\n", " ```\n # never closed\n "),
    ],
)
def test_a_mark_begins_a_line_if_and_only_if_it_is_a_heading(written, kept):
    parsed = parse(written.encode())
    assert parsed.text == kept
    assert parsed.has_headings
