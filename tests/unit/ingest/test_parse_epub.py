import io
import zipfile

import pytest

from ingest.errors import RefusedError, SkippedError
from ingest.normalise import normalise
from ingest.parse.epub import parse

CONTAINER = (
    '<container xmlns="urn:oasis:names:tc:opendocument:xmlns:container"><rootfiles>'
    '<rootfile full-path="OEBPS/book.opf"/></rootfiles></container>'
)
XHTML = '<?xml version="1.0"?><!DOCTYPE html><html xmlns="http://www.w3.org/1999/xhtml">'
DRM = (
    '<encryption xmlns="urn:oasis:names:tc:opendocument:xmlns:container" '
    'xmlns:enc="http://www.w3.org/2001/04/xmlenc#"><enc:EncryptedData><enc:CipherData>'
    '<enc:CipherReference URI="{}"/></enc:CipherData></enc:EncryptedData></encryption>'
)


def page(inner: str, head: str = "<title/>") -> str:
    return f"{XHTML}<head>{head}</head><body>{inner}</body></html>"


def opf(spine: list[str], items: dict[str, str], head: str = "") -> str:
    manifest = "".join(
        f'<item id="{key}" href="{href}" media-type="application/xhtml+xml"'
        f"{' properties=' + chr(34) + 'nav' + chr(34) if key == 'nav' else ''}/>"
        for key, href in items.items()
    )
    listed = "".join(f'<itemref idref="{key}"/>' for key in spine)
    return (
        f'{head}<package xmlns="http://www.idpf.org/2007/opf"><metadata '
        'xmlns:dc="http://purl.org/dc/elements/1.1/"><dc:title>The light</dc:title>'
        "<dc:creator>A. Keeper</dc:creator><dc:creator>B. Second</dc:creator></metadata>"
        f"<manifest>{manifest}</manifest><spine>{listed}</spine></package>"
    )


def book(listing: str, **pages: str) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("mimetype", "application/epub+zip")
        archive.writestr("META-INF/container.xml", CONTAINER)
        archive.writestr("OEBPS/book.opf", listing)
        for name, content in pages.items():
            folder = "META-INF" if name == "encryption" else "OEBPS"
            archive.writestr(
                f"{folder}/{name}.{'xml' if name == 'encryption' else 'xhtml'}", content
            )
    return buffer.getvalue()


TWO = {"a": "a.xhtml", "b": "text%20b.xhtml", "nav": "nav.xhtml"}


def two_chapters(**more: str) -> bytes:
    return book(
        opf(["nav", "b", "missing", "a", "b"], TWO),
        a=page("<h2>Second</h2><p># not a heading</p>"),
        **{"text b": page("<h1>First</h1><p>words</p>"), "nav": page("Contents")},
        **more,
    )


def test_chapters_come_in_the_order_of_the_spine_each_once():
    parsed = parse(two_chapters())
    assert normalise(parsed.text) == "# First\n\nwords\n\n## Second\n\n\\# not a heading"
    assert (parsed.title, parsed.metadata) == ("The light", {"author": "A. Keeper"})
    assert parsed.has_headings


def test_elements_that_xml_ends_at_once_do_not_swallow_the_chapter():
    head = '<title/><script src="x.js"/><style type="text/css" />'
    assert parse(book(opf(["a"], TWO), a=page("words", head))).text == "words"


def test_a_book_whose_chapters_are_locked_is_refused():
    with pytest.raises(RefusedError, match="DRM"):
        parse(two_chapters(encryption=DRM.format("OEBPS/text%20b.xhtml")))


def test_a_book_whose_fonts_are_scrambled_is_read():
    assert "words" in parse(two_chapters(encryption=DRM.format("OEBPS/font.otf"))).text


def test_entities_of_its_own_are_refused_and_a_plain_document_type_is_not():
    entity = '<!DOCTYPE package [<!ENTITY e SYSTEM "file:///etc/hostname">]>'
    with pytest.raises(RefusedError, match="XML entities"):
        parse(book(opf(["a"], TWO, entity), a=page("words")))
    plain = '<!DOCTYPE package PUBLIC "+//ISBN 0-9673008-1-9//DTD OEB 1.2 Package//EN" "oeb12.dtd">'
    assert parse(book(opf(["a"], TWO, plain), a=page("words"))).text == "words"


def test_a_chapter_outside_of_the_book_is_not_looked_for():
    items = {"a": "../../../../etc/passwd", "b": "file:///etc/passwd"}
    with pytest.raises(SkippedError, match="no text"):
        parse(book(opf(["a", "b"], items)))


def test_a_zip_bomb_is_refused_by_its_sizes():
    with pytest.raises(RefusedError, match="zip bomb"):
        parse(book(opf(["a"], TWO), a=page("A" * (20 << 20))))


def test_another_kind_of_zip_is_refused():
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("a.txt", "x")
    with pytest.raises(RefusedError, match="not an EPUB book"):
        parse(buffer.getvalue())


@pytest.mark.parametrize("kept", [0.1, 0.5, 0.9, 0.99])
def test_a_file_cut_short_is_refused(kept):
    whole = two_chapters()
    with pytest.raises(RefusedError, match="damaged or cut short"):
        parse(whole[: int(len(whole) * kept)])
