import io
import tracemalloc
import zipfile
from contextlib import suppress
from datetime import UTC, datetime

import docx
import pytest
from docx.oxml import parse_xml
from docx.oxml.ns import nsdecls

from ingest.errors import RefusedError
from ingest.normalise import normalise
from ingest.parse.docx import parse

XML = '<?xml version="1.0" encoding="UTF-8"?>'
W = 'xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"'
TYPES = (
    f'{XML}<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types">'
    '<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.'
    'relationships+xml"/>'
    '<Override PartName="/word/document.xml" ContentType="application/vnd.openxmlformats-'
    'officedocument.wordprocessingml.document.main+xml"/></Types>'
)
RELATIONS = (
    f'{XML}<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships">'
    '<Relationship Id="r1" Type="http://schemas.openxmlformats.org/officeDocument/2006/relationships/'
    'officeDocument" Target="word/document.xml"/></Relationships>'
)


def body(inner: str) -> str:
    return f"{XML}<w:document {W}><w:body>{inner}</w:body></w:document>"


def paragraph(text: str) -> str:
    return f"<w:p><w:r><w:t>{text}</w:t></w:r></w:p>"


def package(document: str | bytes, **extra: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("[Content_Types].xml", TYPES)
        archive.writestr("_rels/.rels", RELATIONS)
        archive.writestr("word/document.xml", document)
        for name, content in extra.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def saved(document) -> bytes:
    buffer = io.BytesIO()
    document.save(buffer)
    return buffer.getvalue()


def text_of(inner: str) -> str:
    return normalise(parse(package(body(inner))).text)


def test_paragraphs_tables_lists_and_headings_come_in_reading_order():
    document = docx.Document()
    document.add_heading("The light", 0)
    document.add_paragraph("Before.")
    table = document.add_table(rows=2, cols=2)
    for cell, text in zip(table._cells, ("Year", "Event", "1811", "lit"), strict=True):
        cell.text = text
    document.add_heading("After", 2)
    document.add_paragraph("One").style = "List Bullet"
    assert normalise(parse(saved(document)).text) == (
        "# The light\n\nBefore.\n\nYear | Event\n1811 | lit\n\n## After\n\nOne"
    )


def test_title_and_metadata_come_from_the_properties():
    document = docx.Document()
    document.add_heading("Heading", 0)
    document.core_properties.title = "Own title"
    document.core_properties.author = "A. Keeper"
    document.core_properties.modified = datetime(2025, 1, 2, tzinfo=UTC)
    parsed = parse(saved(document))
    assert parsed.title == "Own title"
    assert parsed.metadata["author"] == "A. Keeper"
    assert parsed.metadata["modified"].startswith("2025-01-02")


def test_without_a_title_property_the_titled_paragraph_is_the_title():
    document = docx.Document()
    document.core_properties.title = ""
    document.add_heading("Heading", 0)
    assert parse(saved(document)).title == "Heading"


def test_a_document_without_properties_gets_none_made_up():
    parsed = parse(package(body(paragraph("words"))))
    assert (parsed.title, parsed.metadata) == ("", {})


def test_tracked_changes_read_as_accepted():
    changed = (
        "<w:p><w:r><w:t xml:space='preserve'>It was </w:t></w:r>"
        "<w:del><w:r><w:delText>never</w:delText></w:r></w:del>"
        "<w:ins><w:r><w:t>always</w:t></w:r></w:ins>"
        "<w:r><w:t xml:space='preserve'> lit.</w:t></w:r></w:p>"
    )
    assert text_of(changed) == "It was always lit."


def test_links_breaks_tabs_and_hyphens_are_part_of_the_text():
    linked = (
        "<w:p><w:hyperlink><w:r><w:t>a</w:t></w:r></w:hyperlink><w:r><w:tab/><w:t>b</w:t><w:br/>"
        "<w:t>c</w:t><w:noBreakHyphen/><w:t>d</w:t></w:r></w:p>"
    )
    assert text_of(linked) == "a\tb\nc-d"


def test_content_controls_hold_text_too():
    control = "<w:sdt><w:sdtContent>{}</w:sdtContent></w:sdt>"
    row = "<w:tbl><w:tr>" + control.format(f"<w:tc>{paragraph('cell')}</w:tc>") + "</w:tr></w:tbl>"
    assert text_of(control.format(paragraph("inside")) + row) == "inside\n\ncell"


def test_hidden_text_is_left_out():
    hidden = "<w:r><w:rPr><w:vanish/></w:rPr><w:t>unseen</w:t></w:r>"
    assert text_of(f"<w:p>{hidden}<w:r><w:t>seen</w:t></w:r></w:p>") == "seen"


def test_text_that_hidden_markup_turns_on_again_is_seen():
    shown = "<w:p><w:r><w:rPr><w:vanish w:val='0'/></w:rPr><w:t>seen</w:t></w:r></w:p>"
    assert text_of(shown) == "seen"


def test_text_boxes_follow_their_paragraph_once():
    document = docx.Document()
    anchor = document.add_paragraph("Anchor")
    box = f"<w:txbxContent>{paragraph('Boxed')}</w:txbxContent>"
    anchor._p.append(
        parse_xml(
            f"<w:r {nsdecls('w')} xmlns:mc='http://schemas.openxmlformats.org/markup-compatibility/2006'>"
            f"<mc:AlternateContent><mc:Choice Requires='wps'>{box}</mc:Choice>"
            f"<mc:Fallback>{box}</mc:Fallback></mc:AlternateContent></w:r>"
        )
    )
    assert normalise(parse(saved(document)).text) == "Anchor\n\nBoxed"


def test_nested_tables_stay_in_their_cell():
    inner = (
        f"<w:tbl><w:tr><w:tc>{paragraph('a')}</w:tc><w:tc>{paragraph('b')}</w:tc></w:tr></w:tbl>"
    )
    outer = f"<w:tbl><w:tr><w:tc>{inner}</w:tc><w:tc>{paragraph('c')}</w:tc></w:tr></w:tbl>"
    assert text_of(outer) == "a | b | c"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_a_document_type_is_refused_in_any_encoding(encoding):
    entity = '<!DOCTYPE z [<!ENTITY x SYSTEM "file:///etc/hostname">]>'
    document = body(paragraph("&amp;")).replace(
        XML, f'<?xml version="1.0" encoding="{encoding}"?>{entity}'
    )
    with pytest.raises(RefusedError, match="document type"):
        parse(package(document.encode(encoding)))


def test_a_zip_bomb_is_refused_by_its_sizes():
    with pytest.raises(RefusedError, match="zip bomb"):
        parse(package(body(paragraph("A" * (20 << 20)))))


def test_a_zip_bomb_that_lies_about_its_size_is_refused():
    bomb = bytearray(package(body(paragraph("A" * (20 << 20)))))
    entry = bomb.rfind(b"PK\x01\x02", 0, bomb.rfind(b"word/document.xml"))
    bomb[entry + 24 : entry + 28] = (512).to_bytes(4, "little")
    tracemalloc.start()
    try:
        with pytest.raises(RefusedError, match="damaged"):
            parse(bytes(bomb))
        assert tracemalloc.get_traced_memory()[1] < 4 << 20  # of the 20 MiB that it hides
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("kept", [0.1, 0.5, 0.9, 0.99])
def test_a_file_cut_short_is_refused(kept):
    whole = saved(docx.Document())
    with pytest.raises(RefusedError, match="damaged or cut short"):
        parse(whole[: int(len(whole) * kept)])


def test_damage_anywhere_is_refused_or_read_and_never_a_crash():
    whole = package(body(paragraph("words " * 50)))
    for position in range(0, len(whole), 3):
        damaged = bytearray(whole)
        damaged[position] ^= 0x55
        with suppress(RefusedError):
            parse(bytes(damaged))


def test_a_directory_that_points_outside_the_file_is_refused():
    whole = package(body(paragraph("words")))
    end = whole.rfind(b"PK\x05\x06")
    damaged = whole[:50] + whole[70:end] + whole[end:]
    with pytest.raises(RefusedError, match="damaged or cut short"):
        parse(damaged)


def test_another_kind_of_zip_is_refused():
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("a.txt", "x")
    with pytest.raises(RefusedError, match="not a Word document"):
        parse(buffer.getvalue())


NOTES = (
    f'{XML}<w:footnotes {W}><w:footnote w:type="separator" w:id="0"><w:p/></w:footnote>'
    '<w:footnote w:id="1"><w:p><w:r><w:footnoteRef/><w:t>By hand.</w:t></w:r></w:p></w:footnote>'
    '<w:footnote w:id="2"><w:p><w:r><w:t>See above.</w:t></w:r></w:p></w:footnote></w:footnotes>'
)


def with_footnotes(inner: str, notes: str = NOTES) -> bytes:
    relations = RELATIONS.replace("officeDocument/2006/relationships/officeDocument", "{}")
    relation = "officeDocument/2006/relationships/footnotes"
    listed = relations.replace("{}", relation).replace("word/document.xml", "footnotes.xml")
    kind = "application/vnd.openxmlformats-officedocument.wordprocessingml.footnotes+xml"
    override = f'<Override PartName="/word/footnotes.xml" ContentType="{kind}"/></Types>'
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("[Content_Types].xml", TYPES.replace("</Types>", override))
        archive.writestr("_rels/.rels", RELATIONS)
        archive.writestr("word/_rels/document.xml.rels", listed)
        archive.writestr("word/document.xml", body(inner))
        archive.writestr("word/footnotes.xml", notes)
    return buffer.getvalue()


def reference(number: int) -> str:
    return f'<w:r><w:footnoteReference w:id="{number}"/></w:r>'


def test_a_footnote_follows_the_paragraph_or_table_that_refers_to_it_once():
    cell = f"<w:p><w:r><w:t>b</w:t></w:r>{reference(2)}</w:p>"
    inner = (
        f"<w:p><w:r><w:t>Lit</w:t></w:r>{reference(1)}<w:r><w:t> daily.</w:t></w:r></w:p>"
        f"<w:tbl><w:tr><w:tc>{paragraph('a')}</w:tc><w:tc>{cell}</w:tc></w:tr></w:tbl>"
        f"<w:p><w:r><w:t>End</w:t></w:r>{reference(1)}{reference(0)}{reference(9)}</w:p>"
    )
    assert normalise(parse(with_footnotes(inner)).text) == (
        "Lit[1] daily.\n\n[1] By hand.\n\na | b[2]\n\n[2] See above.\n\nEnd[1][0][9]"
    )


def test_entities_in_a_part_of_notes_are_refused():
    entity = '<!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/hostname">]>'
    with pytest.raises(RefusedError, match="document type"):
        parse(with_footnotes(paragraph("x"), NOTES.replace(XML, XML + entity)))


def test_headers_and_footers_stand_once_at_the_end_without_page_numbers():
    document = docx.Document()
    document.add_paragraph("Words.")
    for section in (document.sections[0], document.add_section()):
        section.header.is_linked_to_previous = False
        section.header.paragraphs[0].text = "Lighthouse Board"
        section.footer.is_linked_to_previous = False
        section.footer.paragraphs[0].text = "Page 1 of 2"
    assert normalise(parse(saved(document)).text) == "Words.\n\nLighthouse Board"


def test_a_line_that_looks_like_a_heading_does_not_pass_as_one():
    document = docx.Document()
    document.add_heading("Real", 1)
    document.add_paragraph("# not\n## nor this")
    table = document.add_table(rows=1, cols=2)
    table.cell(0, 0).text, table.cell(0, 1).text = "#", "Name"
    parsed = parse(saved(document))
    assert normalise(parsed.text) == "# Real\n\n\\# not\n\\## nor this\n\n\\# | Name"
    assert parsed.has_headings


def test_a_list_ends_where_a_paragraph_begins():
    item = "<w:p><w:pPr><w:numPr/></w:pPr><w:r><w:t>item</w:t></w:r></w:p>"
    assert text_of(item + item + paragraph("After")) == "- item\n- item\n\nAfter"


def test_formulas_keep_their_letters():
    math = 'xmlns:m="http://schemas.openxmlformats.org/officeDocument/2006/math"'
    assert text_of(f"<w:p><m:oMath {math}><m:r><m:t>E=mc</m:t></m:r></m:oMath></w:p>") == "E=mc"


def test_elements_nested_without_end_are_refused():
    deep = "<w:sdt><w:sdtContent>" * 3000
    with pytest.raises(RefusedError, match=r"damaged|nested"):
        parse(package(body(deep + deep.replace("<", "</"))))


@pytest.mark.parametrize("kind", ["document.macroEnabled", "template.macroEnabledTemplate"])
def test_documents_with_macros_are_read_and_the_macros_left_alone(kind: str):
    plain = docx.Document()
    plain.add_paragraph("Text beside a macro.")
    with zipfile.ZipFile(io.BytesIO(saved(plain))) as package:
        parts = {name: package.read(name) for name in package.namelist()}
    types = parts["[Content_Types].xml"].decode()
    main = "application/vnd.openxmlformats-officedocument.wordprocessingml.document.main+xml"
    assert main in types
    changed = types.replace(main, f"application/vnd.ms-word.{kind}.main+xml")
    parts["[Content_Types].xml"] = changed.encode()
    assert parse(zipped(parts)).text.strip() == "Text beside a macro."


def zipped(parts: dict[str, bytes]) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as package:
        for name, data in parts.items():
            package.writestr(name, data)
    return file.getvalue()
