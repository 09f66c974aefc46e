import pytest

from ingest.errors import RefusedError, SkippedError
from ingest.normalise import normalise
from ingest.parse.rtf import MAX_DEPTH, parse

STYLES = rb"{\stylesheet{\s0 Normal;}{\s1\b heading 1;}{\s2 Heading 2;}}"


def rtf(inner: bytes, head: bytes = b"") -> bytes:
    return b"{\\rtf1\\ansi\\ansicpg1252" + head + inner + b"}"


def text_of(inner: bytes, head: bytes = b"") -> str:
    return normalise(parse(rtf(inner, head)).text)


def test_paragraphs_headings_and_lists_come_in_order():
    assert (
        text_of(
            rb"\pard\s1 The light\par\pard\s0 It was lit.\par"
            rb"\pard{\listtext\u8226 ?\tab}one\par\pard{\pntext 2.\tab}two\par"
            rb"\pard\outlinelevel2 Deeper\par\pard After\line it",
            STYLES,
        )
        == "# The light\n\nIt was lit.\n\n- one\n- two\n\n### Deeper\n\nAfter\nit"
    )


def test_rows_of_tables_stay_on_one_line():
    row = rb"\pard\intbl %s\cell %s\cell\row "
    assert (
        text_of(
            rb"Before\par"
            + row % (b"Name", b"Year")
            + row % (rb"Bell\par Rock", b"1811")
            + rb"\pard x"
        )
        == "Before\n\nName | Year\nBell Rock | 1811\n\nx"
    )


@pytest.mark.parametrize(
    ("written", "read"),
    [
        (rb"caf\'e9", "café"),
        (rb"\u1090?\u1077?", "те"),
        (rb"{\uc2\u233\'3f\'3f t\'e9}", "é té"),
        (rb"{\uc0\u233}x", "éx"),
        (rb"\u-10179?\u-8704?", "😀"),
        (rb"\u-10179?.", "\ufffd."),
        (rb"\ldblquote a\rdblquote  \endash  b\~c\_d\-e", "“a” – b\xa0c-de"),
        (rb"\\ \{ \}", "\\ { }"),
        (rb"{\f1\'e6\'e5}", "же"),
        (rb"{\f2\'93\'fa\'96\'7b}", "日本"),
        (rb"{\f2\'93\'fa\'96\{}", "日\ufffd{"),
    ],
)
def test_letters_of_any_encoding_are_read(written, read):
    fonts = (
        rb"{\fonttbl{\f0\fcharset0 Arial;}{\f1\fcharset204 Arial Cyr;}{\f2\fcharset128 Mincho;}}"
    )
    assert text_of(written, fonts) == read


@pytest.mark.parametrize(
    "unseen",
    [
        rb"{\*\generator unseen;}",
        rb"{\pict\pngblip 756e7365656e}",
        rb"{\object{\*\objdata unseen}}",
        rb"{\v unseen}",
        rb"{\deleted unseen}",
        rb"{\header unseen\par}",
        rb"{\*\annotation unseen}",
        rb"{\field{\*\fldinst HYPERLINK unseen}}",
        rb"{\*\unknown {unseen} {\b unseen}}",
        rb"{\info{\operator unseen}}",
        rb"\bin6 unseen",
    ],
)
def test_what_a_reader_does_not_see_is_left_out(unseen):
    assert text_of(rb"seen " + unseen + rb"too") == "seen too"


def test_what_a_field_shows_and_a_shape_holds_is_kept():
    link = rb'{\field{\*\fldinst HYPERLINK "http://x"}{\fldrslt link}}'
    shape = rb"{\shp{\*\shpinst\shpleft0{\sp{\sn x}{\sv 1}}{\shptxt boxed\par}}}"
    assert text_of(link + shape) == "linkboxed"


def test_a_footnote_follows_its_paragraph():
    assert (
        text_of(rb"Lit{\super\chftn}{\footnote\pard\plain {\super\chftn} By hand.} daily.\par Next")
        == "Lit[1] daily.\n\n[1] By hand.\n\nNext"
    )


def test_title_and_author_come_from_the_properties():
    parsed = parse(rtf(b"words", rb"{\info{\title The \'e9toile}{\author A. Keeper}}"))
    assert (parsed.title, parsed.metadata) == ("The étoile", {"author": "A. Keeper"})


def test_a_line_that_looks_like_a_heading_does_not_pass_as_one():
    assert text_of(rb"# not a heading\line ## nor this") == "\\# not a heading\n\\## nor this"


def test_groups_without_end_are_refused():
    with pytest.raises(RefusedError, match="nested"):
        parse(rtf(b"{" * (MAX_DEPTH + 1)))


@pytest.mark.parametrize("data", [b"", b"plain words", b"{\\html}"])
def test_what_is_no_rtf_is_refused(data):
    with pytest.raises(RefusedError, match="not an RTF"):
        parse(data)


def test_a_document_without_text_is_skipped():
    with pytest.raises(SkippedError, match="no text"):
        parse(rtf(rb"\pard\par\par"))


def test_cut_short_anywhere_it_is_read_or_refused_and_never_a_crash():
    whole = rtf(rb"\pard\s1 Caf\'e9\par {\footnote note}\intbl a\cell\row\u8226 ?\bin3 xyz", STYLES)
    for end in range(6, len(whole)):
        try:
            assert parse(whole[:end]).has_headings
        except SkippedError:
            continue
