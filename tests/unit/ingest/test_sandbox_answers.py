"""What the parent believes of a child that may have been taken over."""

import io
import json
import math
from collections.abc import Mapping
from typing import Any

import pytest

from ingest.records import Part, RawDocument, ReadText, Refusal
from ingest.sandbox.answers import MAX_HEADERS, read_answer, read_hello
from ingest.sandbox.messages import (
    NonsenseError,
    read_frame,
    read_request,
    write_answer,
    write_frame,
    write_hello,
    write_request,
)
from ingest.settings import ParseSettings
from storage.records import Heading, Outline

RAW = RawDocument(
    uri="/docs/a.zip",
    external_id="a.zip",
    data=b"PK\x00\xff",
    format="archive",
    media_type="application/zip",
)
LIMITS = ParseSettings(max_text_chars=100)
TEXT: Mapping[str, Any] = {
    "kind": "text",
    "path": "",
    "media_type": "text/plain",
    "title": "A title",
    "metadata": {},
    "language": "en",
    "headings": [],
    "page_starts": [],
}
REFUSED: Mapping[str, Any] = {
    "kind": "refused",
    "path": "b.pdf",
    "media_type": "application/pdf",
    "reason": "it is broken",
    "outcome": "refused",
}


def frames(*contents: bytes) -> io.BytesIO:
    pipe = io.BytesIO()
    for content in contents:
        write_frame(pipe, content)
    pipe.seek(0)
    return pipe


def told(header: Mapping[str, Any] | bytes, text: bytes = b"Some text.") -> list[Part]:
    content = header if isinstance(header, bytes) else json.dumps(header).encode()
    texts = [] if b'"refused"' in content else [text]
    return read_answer(frames(content, *texts, b""), RAW, LIMITS)


def test_what_was_read_arrives_as_it_was() -> None:
    parts = [
        Part(
            path="ünï 🚢.md",
            media_type="text/markdown",
            content=ReadText(
                text="# Eins\n\n灯台 🚢\n\n## Zwei",
                title="Eins “zwei”",
                metadata={"n": 1.5, "deep": {"list": [None, True, "x"]}, "big": 10**30},
                outline=Outline(
                    headings=(Heading(0, 1, "Eins"), Heading(14, 2, "Zwei")), page_starts=(0, 8, 8)
                ),
                language="de",
            ),
        ),
        Part(path="", media_type="text/plain", content=ReadText(text="plain")),
        Part(
            path="b.pdf",
            media_type="application/pdf",
            content=Refusal(source="/docs/a.zip!/b.pdf", reason="it is broken", outcome="skipped"),
        ),
    ]
    pipe = io.BytesIO()
    write_answer(pipe, parts)
    pipe.seek(0)
    assert read_answer(pipe, RAW, LIMITS) == parts
    assert pipe.read() == b""


def test_a_request_arrives_as_it_was() -> None:
    pipe = io.BytesIO()
    write_request(pipe, RAW)
    pipe.seek(0)
    assert read_request(pipe) == RAW
    with pytest.raises(EOFError):
        read_request(pipe)


def test_a_greeting_arrives_as_it_was() -> None:
    pipe = io.BytesIO()
    write_hello(pipe, ("memory: 256 MB", "no network"))
    pipe.seek(0)
    assert read_hello(pipe) == ("memory: 256 MB", "no network")


@pytest.mark.parametrize("greeting", [b"", b"[]", b"\xff", b'{"confinement": ["a\\u001bb"]}'])
def test_a_greeting_that_is_none(greeting: bytes) -> None:
    with pytest.raises(NonsenseError):
        read_hello(frames(greeting))


@pytest.mark.parametrize(
    "change",
    [
        {"kind": "other"},
        {"path": 1},
        {"path": "a\nb"},
        {"path": "a\x1b[31mb"},
        {"media_type": "text"},
        {"media_type": "text/plain\r\nX: y"},
        {"title": None},
        {"metadata": []},
        {"language": "english"},
        {"language": "../x"},
        {"headings": [{"start": 10, "level": 1, "title": "x"}]},
        {"headings": [{"start": -1, "level": 1, "title": "x"}]},
        {"headings": [{"start": 0, "level": 7, "title": "x"}]},
        {"headings": [{"start": 0, "level": 1, "title": ""}]},
        {"headings": [{"start": True, "level": 1, "title": "x"}]},
        {"headings": [{"start": "0", "level": 1, "title": "x"}]},
        {"headings": [{"start": s, "level": 1, "title": "x"} for s in (5, 2)]},
        {"page_starts": [1]},
        {"page_starts": [0, 11]},
        {"page_starts": [0, 5, 4]},
        {"page_starts": [0, -5]},
        {"surprise": 1},
    ],
    ids=str,
)
def test_a_text_with_something_that_can_t_be(change: Mapping[str, Any]) -> None:
    assert told(TEXT)
    with pytest.raises(NonsenseError):
        told({**TEXT, **change})


@pytest.mark.parametrize(
    "change",
    [
        {"reason": ""},
        {"reason": "x" * 2_001},
        {"outcome": "text"},
        {"source": "/etc/passwd"},
        {"media_type": ""},
    ],
    ids=lambda change: next(iter(change)),
)
def test_a_refusal_with_something_that_can_t_be(change: Mapping[str, Any]) -> None:
    assert told(REFUSED)
    with pytest.raises(NonsenseError):
        told({**REFUSED, **change})


@pytest.mark.parametrize(
    "text",
    [b"", b"a\x00b", b"a\rb", b"\x1b[2J", b"\xc2\x85", b"\xef\xbb\xbfx", b"\xff", b"\xed\xa0\x80"],
)
def test_a_text_that_can_t_be_kept(text: bytes) -> None:
    with pytest.raises(NonsenseError):
        told(TEXT, text)


def test_text_is_counted_over_all_documents() -> None:
    first, second = json.dumps({**TEXT, "path": "a"}), json.dumps({**TEXT, "path": "b"})
    read_answer(frames(first.encode(), b"x" * 60, second.encode(), b"y" * 40, b""), RAW, LIMITS)
    with pytest.raises(NonsenseError):
        read_answer(frames(first.encode(), b"x" * 60, second.encode(), b"y" * 41, b""), RAW, LIMITS)


def test_a_frame_is_measured_before_it_is_read() -> None:
    header = json.dumps(TEXT).encode()
    endless = frames(header).getvalue() + (1 << 60).to_bytes(8, "big")
    with pytest.raises(NonsenseError):
        read_answer(io.BytesIO(endless), RAW, LIMITS)
    with pytest.raises(NonsenseError):
        read_answer(io.BytesIO((MAX_HEADERS + 1).to_bytes(8, "big")), RAW, LIMITS)


@pytest.mark.parametrize(
    "header",
    [
        b"[" * 100_000,
        b'{"kind":"text","metadata":' + b'{"a":' * 5_000 + b"1" + b"}" * 5_000 + b"}",
        b'{"path":"\\ud800"}',
        b"nonsense",
        b"\x80\x04K\x01.",
    ],
    ids=["deep", "deep metadata", "surrogate", "no JSON", "pickle"],
)
def test_a_header_that_is_none(header: bytes) -> None:
    with pytest.raises(NonsenseError):
        told(header)


def test_metadata_that_is_nested_too_deep_is_not_believed() -> None:
    deep: Any = "x"
    for _ in range(40):
        deep = [deep]
    with pytest.raises(NonsenseError):
        told({**TEXT, "metadata": {"a": deep}})


def test_titles_and_metadata_come_in_normal_form() -> None:
    (part,) = told({**TEXT, "title": "a\x1b\nb", "metadata": {"k\x00": "v\x07", "n": math.nan}})
    assert isinstance(part.content, ReadText)
    assert (part.content.title, part.content.metadata) == ("a b", {"k": "v", "n": None})


def test_an_answer_has_documents_of_different_names() -> None:
    header = json.dumps(TEXT).encode()
    with pytest.raises(NonsenseError):
        read_answer(frames(header, b"a", header, b"b", b""), RAW, LIMITS)
    with pytest.raises(NonsenseError):
        read_answer(frames(b""), RAW, LIMITS)


def test_an_answer_that_breaks_off_is_none() -> None:
    whole = frames(json.dumps(TEXT).encode(), b"Some text.", b"").getvalue()
    for length in range(len(whole)):
        with pytest.raises(EOFError):
            read_answer(io.BytesIO(whole[:length]), RAW, LIMITS)


def test_a_frame_may_be_of_any_size_where_no_limit_is_given() -> None:
    assert read_frame(frames(b"x" * 1_000_000)) == b"x" * 1_000_000
