import json
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest

from ingest.errors import IngestError, RefusedError, SkippedError
from ingest.load import load
from ingest.parse.formats import FORMATS, MEDIA_TYPES
from ingest.parse.metadata import MAX_DEPTH
from ingest.parse.registry import MAX_TITLE, parse
from ingest.records import Format, RawDocument

EXAMPLES = Path(__file__).parents[3] / "examples" / "documents"


def raw(data: bytes, format_: Format = "text") -> RawDocument:
    return RawDocument(
        uri="/a", external_id="a", data=data, format=format_, media_type=MEDIA_TYPES[format_]
    )


def record(**fields) -> RawDocument:
    return raw(json.dumps({"text": "words", **fields}).encode(), "jsonl")


def test_text_is_stored_in_normal_form():
    assert parse(raw("\ufeffcafe\u0301\r\n\r\n\r\nnul\x00l ".encode())).text == "café\n\nnull"


def test_a_title_is_one_line_of_bounded_length():
    assert parse(record(title="a\n b\u0000\ud800")).title == "a b\ufffd"
    assert len(parse(record(title="word " * 1000)).title) <= MAX_TITLE


def test_metadata_can_be_kept_by_any_database():
    said = {
        "nan": float("nan"),
        "inf": [float("-inf"), 1.5],
        "nul\0": "a\0b",
        "half": "\ud800",
        "deep": {"k": True},
    }
    assert parse(record(metadata=said)).metadata == {
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
    with pytest.raises(RefusedError, match="metadata is nested"):
        parse(record(metadata={"a": nested}))


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
    ],
)
def test_a_document_without_text_is_skipped(data, format_):
    with pytest.raises(SkippedError, match="no text"):
        parse(raw(data, format_))


@pytest.mark.parametrize("format_", sorted(MEDIA_TYPES))
@pytest.mark.parametrize(
    "data", [b"", b"\x00", b"\xff\xfe", b"PK\x03\x04", b"%PDF-", b"\xf0\x9f" * 99, b"[" * 5000]
)
def test_no_bytes_make_a_parser_fail_in_any_other_way(data, format_):
    with suppress(IngestError):
        parse(raw(data, format_)).text.encode()


def test_what_a_parser_did_not_foresee_is_a_refusal_that_keeps_its_cause(monkeypatch):
    def fail(data: bytes) -> None:
        raise ZeroDivisionError("by\nzero")

    monkeypatch.setattr("ingest.parse.text.parse", fail)
    with pytest.raises(RefusedError, match=r"ZeroDivisionError: by zero") as caught:
        parse(raw(b"x"))
    assert isinstance(caught.value.__cause__, ZeroDivisionError)


def test_large_packages_wait_until_their_format_turns_up():
    program = (
        "import sys, ingest.load, ingest.parse.registry;"
        "heavy = {'pypdfium2', 'docx', 'lxml', 'selectolax', 'charset_normalizer'};"
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


@pytest.fixture(scope="module")
def parsed():
    return {document.external_id: (document, parse(document)) for document in load([EXAMPLES])}


class TestExamples:
    def test_every_format_has_an_example(self, parsed):
        assert {document.format for document, _ in parsed.values()} == set(FORMATS.values())

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
