import io
import zipfile
from typing import get_args

import pytest

from ingest.errors import RefusedError, SkippedError
from ingest.parse.formats import FORMATS, HEAD, MEDIA_TYPES, detect, media_type
from ingest.records import Format

PROVEN = {"pdf", "docx", "pptx", "xlsx", "odt", "epub", "rtf", "outlook"} | {
    "archive",
    "image",
    "audio",
}

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


def of_type(media_type: str) -> bytes:
    """An archive that begins with its media type, as OpenDocument files and EPUB books do."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("mimetype", media_type)
    return buffer.getvalue()[:HEAD]


SHEET = of_type("application/vnd.oasis.opendocument.spreadsheet")


DOCX = zipped("[Content_Types].xml", "word/document.xml")


@pytest.mark.parametrize(("extension", "named"), FORMATS.items())
def test_text_formats_go_by_their_names(extension, named):
    if named not in PROVEN:
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


@pytest.mark.parametrize("extension", sorted(e for e, f in FORMATS.items() if f in PROVEN))
def test_what_is_not_what_its_name_says_is_refused(extension):
    with pytest.raises(RefusedError, match=f"named {extension} but is not an? "):
        detect(f"a{extension}", b"plain words")


@pytest.mark.parametrize(
    ("name", "head", "found", "media"),
    [
        ("a", PNG, "image", "image/png"),
        ("a.txt", PNG, "image", "image/png"),
        ("a.jpg", b"\xff\xd8\xff\xe0\0\x10JFIF", "image", "image/jpeg"),
        ("a.webp", b"RIFF\x10\0\0\0WEBPVP8 ", "image", "image/webp"),
        ("a.wav", b"RIFF\x10\0\0\0WAVEfmt ", "audio", "audio/wav"),
        ("a.mp3", b"\xff\xfb\x90\x00\0\0", "audio", "audio/mpeg"),
        ("a.m4a", b"\0\0\0\x20ftypM4A ", "audio", "audio/mp4"),
        ("a", SHEET, "odt", "application/vnd.oasis.opendocument.spreadsheet"),
        ("a.odp", zipped("content.xml"), "odt", MEDIA_TYPES["odt"]),
        ("a.xlsx", zipped("xl/workbook.xml"), "xlsx", MEDIA_TYPES["xlsx"]),
        ("a.xlsm", zipped("xl/workbook.xml"), "xlsx", MEDIA_TYPES["xlsx"]),
        ("a.csv", zipped("xl/workbook.xml"), "xlsx", MEDIA_TYPES["xlsx"]),
        ("a", zipped("ppt/presentation.xml"), "pptx", MEDIA_TYPES["pptx"]),
        ("a.zip", zipped("word/letters.txt"), "archive", "application/zip"),
        ("a", zipped("letters.txt"), "archive", "application/zip"),
        ("a.tar.gz", b"\x1f\x8b\x08\0", "archive", "application/gzip"),
        ("a.bin", b"{\\rtf1 words}", "rtf", "application/rtf"),
        ("a.msg", OLE, "outlook", "application/vnd.ms-outlook"),
        ("a.eml", b"From: a@example.org\r\n\r\nx", "email", "message/rfc822"),
        ("a.mbox", b"From a@example.org\r\nSubject: x\r\n\r\nx", "archive", "application/mbox"),
        ("a.svg", b"<svg/>", "xml", "application/xml"),
        ("feed", b"<?xml version='1.0'?><rss/>", "xml", "application/xml"),
    ],
)
def test_formats_are_proven_by_bytes_or_told_by_names(name, head, found, media):
    assert detect(name, head) == found
    assert media_type(found, head) == media


@pytest.mark.parametrize(
    "name", ["a.yaml", "a.toml", "main.py", "a.xyz", "a.tex", "Dockerfile.dev"]
)
def test_text_of_any_extension_is_text(name):
    assert detect(name, "key: größer\n".encode()) == "text"


def test_text_that_is_cut_inside_a_character_is_still_text():
    assert detect("a.xyz", "ü".encode() * 50 + b"\xc3") == "text"


@pytest.mark.parametrize(
    ("name", "head", "kind"),
    [
        ("a.doc", OLE, "an old Word document"),
        ("a", OLE, "an old Office document"),
        ("a.7z", b"7z\xbc\xaf\x27\x1c\0\x04\0\0", "an archive"),
        ("a", b"Rar!\x1a\x07\x01\0\0\0\0", "a RAR archive"),
        ("a.jar", zipped("META-INF/x"), "a program"),
        ("a.exe", b"MZ\x90\0\x03\0\0\0\x04", "a program"),
        ("a.mp4", b"\0\0\0\x20ftypisom", "a film"),
        ("a.db", b"SQLite format 3\0", "a database"),
        ("a.pkl", b"cos\nsystem\n(S'id'\ntR.", "a model or an array"),
        ("a.odg", zipped("content.xml"), "an OpenDocument drawing"),
        ("a.xyz", BINARY, "the format '.xyz'"),
        ("a.xyz", b"words \0 and \x01\x02 more", "the format '.xyz'"),
        ("a", BINARY, "binary data of an unknown format"),
    ],
)
def test_what_is_not_supported_is_skipped_by_its_name(name, head, kind):
    with pytest.raises(SkippedError) as caught:
        detect(name, head)
    assert kind in str(caught.value)
    assert "supported are .txt .md" in str(caught.value)


def test_a_private_key_is_not_ingested():
    with pytest.raises(SkippedError, match="private key"):
        detect("id_rsa", b"-----BEGIN OPENSSH PRIVATE KEY-----\nabc")


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
    for words in (b"BZh is the magic of bzip2", b"ID3 tags", b"OggS", b"GIF89a", b"fLaC", b"MZ"):
        assert detect("a.txt", words + b" and more words") == "text"
        assert detect("a", words + b" and more words") == "text"


def test_a_locked_word_document_is_refused_with_the_remedy():
    for name in ("a.docx", "a.xlsx", "a.pptm"):
        with pytest.raises(RefusedError, match="password"):
            detect(name, OLE)


def test_every_format_has_a_media_type():
    assert set(FORMATS.values()) == set(MEDIA_TYPES) == set(get_args(Format))
