import io
import zipfile

import pytest

from ingest.errors import RefusedError, SkippedError
from ingest.parse.formats import FORMATS, HEAD, MEDIA_TYPES, detect

PDF = b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n"
PNG = b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR"
OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\0" * 512
BINARY = bytes(range(256)) * 4


def zipped(*names: str) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name in names:
            archive.writestr(name, "x")
    return buffer.getvalue()[:HEAD]


DOCX = zipped("[Content_Types].xml", "word/document.xml")


@pytest.mark.parametrize(("extension", "named"), FORMATS.items())
def test_text_formats_go_by_their_names(extension, named):
    if named not in ("pdf", "docx"):
        assert detect(f"a{extension.upper()}", b"plain words") == named


@pytest.mark.parametrize("name", ["README", "notes.2nd draft", "v1. of the plan", "Makefile"])
def test_text_without_an_extension_is_text(name):
    assert detect(name, "größer".encode()) == "text"


def test_markup_without_an_extension_is_html():
    assert detect("index", b"\n<!-- saved -->\n<!DOCTYPE html><p>x") == "html"


@pytest.mark.parametrize("name", ["a.pdf", "a.txt", "a.html", "a", "a.xyz", "a.docx"])
def test_a_pdf_is_a_pdf_under_any_name(name):
    assert detect(name, PDF) == "pdf"


def test_text_that_speaks_of_pdf_is_text():
    assert detect("a.txt", b"A file begins with %PDF-1.7") == "text"


def test_a_pdf_may_have_some_bytes_before_its_header():
    assert detect("a.pdf", b"junk\r\n" * 50 + PDF) == "pdf"


@pytest.mark.parametrize("name", ["a.docx", "a.txt", "a", "a.bin"])
def test_a_word_document_is_one_under_any_name(name):
    assert detect(name, DOCX) == "docx"


@pytest.mark.parametrize(("name", "kind"), [("a.pdf", "PDF"), ("a.docx", "Word")])
def test_what_is_not_what_its_name_says_is_refused(name, kind):
    with pytest.raises(RefusedError, match=f"named .* but is not a {kind} document"):
        detect(name, b"plain words")


@pytest.mark.parametrize(
    ("name", "head", "kind"),
    [
        ("a.png", PNG, "an image"),
        ("a.txt", PNG, "a PNG image, though it is named .txt"),
        ("a", PNG, "a PNG image"),
        ("a.doc", OLE, "an old Word document"),
        ("a.xlsx", zipped("[Content_Types].xml", "xl/workbook.xml"), "an Excel workbook"),
        (
            "a.csv",
            zipped("[Content_Types].xml", "xl/workbook.xml"),
            "an Excel workbook, though it is named .csv",
        ),
        ("a", zipped("ppt/presentation.xml"), "a PowerPoint presentation"),
        ("a.zip", zipped("word/letters.txt"), "an archive"),
        ("a.jar", zipped("META-INF/x"), "a zip archive"),
        ("a.eml", b"From: a@example.org\r\n\r\nx", "an e-mail"),
        ("a.xyz", b"plain words", "the format '.xyz'"),
        ("a.xyz", BINARY, "the format '.xyz'"),
        ("a.bin", b"{\\rtf1 words}", "an RTF document"),
        ("a", BINARY, "binary data of an unknown format"),
    ],
)
def test_what_is_not_supported_is_skipped_by_its_name(name, head, kind):
    with pytest.raises(SkippedError) as caught:
        detect(name, head)
    assert kind in str(caught.value)
    assert "supported are .txt .md" in str(caught.value)


@pytest.mark.parametrize("name", ["a.txt", "a.md", "a.json", "a.jsonl", "a.csv", "a.html"])
def test_binary_data_under_the_name_of_text_is_refused(name):
    with pytest.raises(RefusedError, match="binary data, not text"):
        detect(name, BINARY)


@pytest.mark.parametrize(
    "encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-32", "cp1252"]
)
def test_text_in_any_encoding_is_not_taken_for_binary(encoding):
    assert detect("a", "Größe und Maß\n".encode(encoding)) == "text"


def test_text_that_begins_like_an_archive_or_an_image_is_text():
    assert detect("a.txt", b"BZh is the magic of bzip2; GIF8 that of GIF") == "text"


def test_a_locked_word_document_is_refused_with_the_remedy():
    with pytest.raises(RefusedError, match="password"):
        detect("a.docx", OLE)


def test_every_format_has_a_media_type():
    assert set(FORMATS.values()) == set(MEDIA_TYPES)
