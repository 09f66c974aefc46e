import io
import zipfile

import pytest

from ingest.errors import RefusedError, SkippedError
from ingest.normalise import normalise
from ingest.parse import lines
from ingest.parse.odt import parse

NAMES = " ".join(
    f'xmlns:{short}="urn:oasis:names:tc:opendocument:xmlns:{name}:1.0"'
    for short, name in {
        "office": "office",
        "text": "text",
        "table": "table",
        "draw": "drawing",
        "meta": "meta",
        "presentation": "presentation",
        "manifest": "manifest",
    }.items()
)
DUBLIN = 'xmlns:dc="http://purl.org/dc/elements/1.1/"'
META = (
    f"<office:document-meta {NAMES} {DUBLIN}><office:meta><dc:title>The light</dc:title>"
    "<meta:initial-creator>A. Keeper</meta:initial-creator><dc:creator>B. Editor</dc:creator>"
    "</office:meta></office:document-meta>"
)


def package(inner: str, kind: str = "text", head: str = "", **parts: str) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("mimetype", f"application/vnd.oasis.opendocument.{kind}")
        archive.writestr(
            "content.xml",
            f'<?xml version="1.0"?>{head}<office:document-content {NAMES}><office:body>'
            f"<office:{kind}>{inner}</office:{kind}></office:body></office:document-content>",
        )
        for name, content in parts.items():
            archive.writestr(name.replace("__", "/").replace("_xml", ".xml"), content)
    return buffer.getvalue()


def text_of(inner: str, kind: str = "text") -> str:
    return normalise(parse(package(inner, kind)).text)


def cell(text: object, attributes: str = "") -> str:
    return f"<table:table-cell {attributes}><text:p>{text}</text:p></table:table-cell>"


def row(*values: object, attributes: str = "") -> str:
    return f"<table:table-row {attributes}>{''.join(map(cell, values))}</table:table-row>"


def test_headings_paragraphs_lists_and_tables_come_in_reading_order():
    header = f"<table:table-header-rows>{row('Name', 'Year')}</table:table-header-rows>"
    inner = (
        '<text:h text:outline-level="2">The  light</text:h><text:p>It\n   was <text:span>lit'
        "</text:span>.</text:p><text:list><text:list-item><text:p>one</text:p><text:list>"
        "<text:list-item><text:p>inner</text:p></text:list-item></text:list></text:list-item>"
        f"</text:list><table:table>{header}{row('Bell Rock', 1811)}</table:table>"
        "<text:section><text:p>a<text:tab/>b<text:line-break/>c<text:s text:c='999999999'/>d"
        "</text:p></text:section>"
    )
    assert text_of(inner) == (
        "## The light\n\nIt was lit.\n\n- one\n- inner\n\nName | Year\nBell Rock | 1811\n\n"
        "a\tb\nc d"
    )


def test_comments_and_deleted_text_are_left_out():
    inner = (
        "<text:tracked-changes><text:changed-region><text:deletion><text:p>unseen</text:p>"
        "</text:deletion></text:changed-region></text:tracked-changes>"
        "<text:p>se<office:annotation><text:p>unseen</text:p></office:annotation>en</text:p>"
    )
    assert text_of(inner) == "seen"


def test_notes_and_text_boxes_follow_their_paragraph_once():
    note = (
        "<text:note><text:note-citation>1</text:note-citation><text:note-body><text:p>By hand."
        "</text:p></text:note-body></text:note>"
    )
    inner_box = "<draw:frame><draw:text-box><text:p>inner</text:p></draw:text-box></draw:frame>"
    box = (
        f"<draw:frame><draw:text-box><text:p>outer{inner_box}</text:p></draw:text-box></draw:frame>"
    )
    assert text_of(f"<text:p>Lit{note} daily.{box}</text:p>") == (
        "Lit[1] daily.\n\n[1] By hand.\n\nouter\n\ninner"
    )


def test_title_and_author_come_from_the_properties():
    parsed = parse(package("<text:p>x</text:p>", meta_xml=META))
    assert (parsed.title, parsed.metadata) == ("The light", {"author": "A. Keeper"})
    assert parsed.has_headings
    assert not parsed.has_pages


def test_slides_are_pages_with_titles_and_notes():
    def frame(text: str, kind: str = "") -> str:
        named = f'presentation:class="{kind}"' if kind else ""
        return (
            f"<draw:frame {named}><draw:text-box><text:p>{text}</text:p></draw:text-box>"
            "</draw:frame>"
        )

    inner = (
        f"<draw:page>{frame('Below')}{frame('The light', 'title')}<draw:g>"
        f"{frame('grouped')}</draw:g>"
        f"<presentation:notes>{frame('Say hello')}</presentation:notes></draw:page><draw:page/>"
        "<draw:page><draw:custom-shape><text:p># drawn</text:p></draw:custom-shape></draw:page>"
    )
    parsed = parse(package(inner, "presentation"))
    assert parsed.has_pages
    assert [normalise(page) for page in parsed.text.split("\f")] == [
        "# The light\n\nBelow\n\ngrouped\n\nNotes: Say hello",
        "",
        "\\# drawn",
        "",
    ]


def test_sheets_read_like_those_of_excel():
    dated = cell("5 March", 'office:date-value="2024-03-05T00:00:00"')
    inner = (
        f'<table:table table:name="Towers">{row("Name", "Lit")}<table:table-row>{cell("Bell")}'
        f'{dated}</table:table-row><table:table-row table:number-rows-repeated="1048573">'
        '<table:table-cell table:number-columns-repeated="16384"/></table:table-row>'
        f"{row('end')}</table:table>"
    )
    assert text_of(inner, "spreadsheet") == "# Towers\n\nName: Bell; Lit: 2024-03-05\n\nend"


def test_cells_repeated_without_end_are_refused(monkeypatch):
    monkeypatch.setattr(lines, "MAX_CHARACTERS", 100_000)
    filled = cell("x", 'table:number-columns-repeated="999999999"')
    again = 'table:number-rows-repeated="999999999"'
    inner = f"<table:table><table:table-row {again}>{filled}</table:table-row></table:table>"
    with pytest.raises(RefusedError, match="more than 100,000 characters"):
        parse(package(inner, "spreadsheet"))


def test_a_line_that_looks_like_a_heading_does_not_pass_as_one():
    table = f"<table:table>{row('#', 'Name')}</table:table>"
    assert text_of(f"<text:p># a</text:p><text:p>b<text:line-break/># c</text:p>{table}") == (
        "\\# a\n\nb\n\\# c\n\n\\# | Name"
    )


def test_a_locked_document_is_refused_for_its_password():
    locked = f"<manifest:manifest {NAMES}><manifest:encryption-data/></manifest:manifest>"
    with pytest.raises(RefusedError, match="password"):
        parse(package("<text:p>x</text:p>", **{"META-INF__manifest_xml": locked}))


def test_entities_are_refused():
    head = '<!DOCTYPE x [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]>'
    with pytest.raises(RefusedError, match="document type or XML entities"):
        parse(package("<text:p>x</text:p>", head=head))


@pytest.mark.parametrize("tag", ["text:span", "text:section", "text:list", "table:table"])
def test_elements_nested_without_end_are_refused(tag):
    with pytest.raises(RefusedError, match=r"damaged|nested"):
        parse(package(f"<text:p>{f'<{tag}>' * 5000}x{f'</{tag}>' * 5000}</text:p>"))


@pytest.mark.parametrize("depth", [50, 120])
def test_text_boxes_in_text_boxes_are_told_once_each(depth):
    opening, closing = "<text:p>x<draw:text-box>", "</draw:text-box></text:p>"
    assert text_of(opening * depth + closing * depth).count("x") == depth


def test_a_document_without_text_is_skipped():
    with pytest.raises(SkippedError, match="no text"):
        parse(package("<text:p/>"))


@pytest.mark.parametrize("kept", [0.1, 0.5, 0.9, 0.99])
def test_a_file_cut_short_is_refused(kept):
    whole = package("<text:p>words</text:p>")
    with pytest.raises(RefusedError, match="damaged or cut short"):
        parse(whole[: int(len(whole) * kept)])
