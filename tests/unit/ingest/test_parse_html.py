import time

import pytest

from ingest.errors import RefusedError
from ingest.normalise import normalise
from ingest.parse.html import MAX_OPEN_TAGS, parse


def text_of(markup: str | bytes) -> str:
    return normalise(parse(markup if isinstance(markup, bytes) else markup.encode()).text)


def test_blocks_stand_on_lines_and_headings_keep_their_rank():
    assert text_of("<h1>One</h1><p>First\n  <b>bold</b>words.</p><h3>Two</h3>Second<br>third") == (
        "# One\n\nFirst boldwords.\n\n### Two\n\nSecond\nthird"
    )


def test_lists_keep_their_items_apart():
    assert text_of("<ul><li>one<li><p>two</p><li></ul>") == "- one\n\n- two"


def test_rows_of_tables_stay_on_one_line():
    head = "<tr><th>Name</th><th>Year</th></tr>"
    markup = f"<table>{head}<tr><td><p>Bell</p><p>Rock</p></td><td>1811</td></tr></table>"
    assert text_of(markup) == "Name | Year\nBell Rock | 1811"


def test_an_empty_cell_keeps_the_others_in_their_columns():
    assert (
        text_of("<table><tr><td></td><td>b</td></tr><tr><td></td><td></td></tr></table>") == "| b"
    )


def test_tables_that_only_place_things_are_not_rows():
    inner = "<table><tr><td>a</td><td>b</td></tr></table>"
    markup = f"<table><tr><td><h2>News</h2><p>Today</p></td><td>{inner}</td></tr></table>"
    assert text_of(markup) == "## News\n\nToday\n\na | b"


@pytest.mark.parametrize(
    "unseen",
    [
        "<script>unseen</script>",
        "<style>unseen</style>",
        "<nav>unseen</nav>",
        "<div role=navigation>unseen</div>",
        "<template>unseen</template>",
        "<noscript>unseen</noscript>",
        "<!-- unseen -->",
        "<p hidden>unseen</p>",
        "<p style='color:red; DISPLAY : none'>unseen</p>",
        "<p style='visibility:hidden'>unseen</p>",
        "<span style='font-size:0'>unseen</span>",
        "<span style='font-size: 0.0px'>unseen</span>",
        "<div aria-hidden=true><p>unseen</p></div>",
        "<div hidden><p>unseen <b>unseen</b></p></div>",
        "<img alt='' src=x onerror=unseen>",
        "<svg><text>unseen</text></svg>",
        "<title>unseen</title>",
        "<input type=hidden value=unseen>",
    ],
)
def test_what_a_reader_does_not_see_is_left_out(unseen):
    assert text_of(f"<p>before</p>{unseen}<p>after</p>") == "before\n\nafter"


def test_small_print_is_seen():
    assert text_of("<p style='font-size:0.8em'>small</p>") == "small"


def test_code_keeps_its_lines_and_indents():
    assert text_of("<p>a</p><pre>def f():\n    return 1</pre>") == "a\n\ndef f():\n    return 1"


def test_character_references_are_read():
    assert text_of("<p>1 &lt; 2 &amp; &eacute;&#8211;&nbsp;x</p>") == "1 < 2 & é– x"


@pytest.mark.parametrize(
    ("markup", "title"),
    [
        ("<title> The  light </title><h1>Other</h1>", " The  light "),
        ("<h1>Only <b>heading</b></h1>", "Only heading"),
        ("<title></title><h1>Heading</h1>", "Heading"),
        ("<p>none", ""),
    ],
)
def test_the_title_is_the_page_s_own(markup, title):
    assert parse(markup.encode()).title == title.strip()


def test_descriptions_become_metadata():
    empty = "<meta name=viewport content=x><meta name=description content=''>"
    markup = f"<meta name=Author content='A. Keeper'>{empty}"
    assert parse(markup.encode()).metadata == {"author": "A. Keeper"}


@pytest.mark.parametrize(
    ("declared", "encoding", "words"),
    [
        ('<meta charset="windows-1251">', "cp1251", "маяк"),
        ("<META http-equiv=Content-Type content='text/html; charset=iso-8859-1'>", "cp1252", "“Ö”"),
        ('<?xml version="1.0" encoding="koi8-r"?>', "koi8-r", "маяк"),
        ('<meta charset="utf-16">', "utf-8", "маяк Ö"),
        ('<meta charset="no-such">', "utf-8", "маяк Ö"),
        ('<meta charset="shift_jis">', "utf-8-sig", "маяк Ö"),
        ('<meta charset="shift_jis">', "cp1252", "Größe"),
        ("", "utf-16", "маяк Ö"),
    ],
)
def test_the_encoding_is_the_declared_one_where_it_can_be(declared, encoding, words):
    assert text_of(f"{declared}<p>{words}".encode(encoding)) == words


@pytest.mark.parametrize("tag", ["div", "b", "span", "table", "font"])
def test_bottomless_nesting_is_refused_at_once(tag):
    begun = time.monotonic()
    with pytest.raises(RefusedError, match="nested"):
        parse(f"<{tag}>".encode() * 200_000)
    assert time.monotonic() - begun < 5  # the parser would need minutes


def test_deep_nesting_below_the_limit_is_read():
    depth = MAX_OPEN_TAGS - 1
    assert text_of("<div>" * depth + "deep" + "</div>" * depth) == "deep"


def test_tags_that_are_never_closed_do_not_count_as_nested():
    assert text_of("<p>word<br>" * 5000).count("word") == 5000


def test_tags_in_scripts_and_comments_do_not_count_as_nested():
    junk = "<script>" + "'<div>'" * 5000 + "</script><!--" + "<div>" * 5000 + "-->"
    assert text_of(f"{junk}<p>seen</p>") == "seen"


def test_a_million_openings_of_comments_cost_no_time():
    begun = time.monotonic()
    parse(b"<p>x</p>" + b"<!-- " * 400_000)
    assert time.monotonic() - begun < 5


@pytest.mark.parametrize(
    "markup", ["", "<", "<!--", "<p", "</p></p>", "<table><td><td></table><td>", "\0<\0p>"]
)
def test_broken_markup_is_no_reason_to_fail(markup):
    text_of(markup)


def test_a_line_that_looks_like_a_heading_does_not_pass_as_one():
    markup = "<h1>Real</h1><p># not</p><div>## nor</div><pre>a\n# comment</pre><ul><li># x</ul>"
    assert text_of(markup) == "# Real\n\n\\# not\n\n\\## nor\n\na\n # comment\n\n- # x"
    assert parse(markup.encode()).has_headings


def test_a_heading_stays_on_one_line():
    assert text_of("<h2>One<br>heading</h2><p>two<br>lines") == "## One heading\n\ntwo\nlines"
