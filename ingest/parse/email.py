"""E-mail (RFC 5322 and MIME): the headers a reader looks at, the body, and the attachments.

The standard library's newer policy parses headers in time that is the square of their length and
fails on some broken ones; here headers are cut to a length and decoded leniently.
"""

import re
from collections.abc import Iterator
from datetime import datetime
from email import message_from_bytes
from email.errors import HeaderParseError
from email.header import decode_header
from email.message import Message
from email.policy import Compat32
from email.utils import parsedate_to_datetime

from ingest.errors import RefusedError
from ingest.normalise import one_line
from ingest.parse import html
from ingest.parse.encoding import decode
from ingest.parse.inner import file_name
from ingest.records import Inner, ParsedText

MAX_HEADER = 16_000
"""Characters of one header; what is longer is cut."""
MAX_PARTS = 2_000
_SHOWN = ("From", "To", "Cc", "Date", "Subject")
_KEPT = {"sender": "From", "recipients": "To", "cc": "Cc"}
_IDS = {"message_id": "Message-ID", "in_reply_to": "In-Reply-To"}
_FOLD = re.compile(r"[\r\n]+[ \t]*")


class _BoundedHeaders(Compat32):
    """Reads headers up to `MAX_HEADER`: the parser is quadratic in the length of some."""

    def header_source_parse(self, sourcelines: list[str]) -> tuple[str, str]:
        lines, left = [], MAX_HEADER
        for line in sourcelines:
            lines.append(line[:left])
            left -= len(line)
            if left <= 0:
                break
        return super().header_source_parse(lines)


_POLICY = _BoundedHeaders()


def opened(data: bytes) -> tuple[ParsedText, list[Inner]]:
    """A mail's headers and body as text, and what is attached to it.

    The plain body where there is one, else the HTML body as a reader sees it. The title is the
    subject. Raises RefusedError for what has no headers, or parts inside parts without end.
    """
    try:
        message = message_from_bytes(data, policy=_POLICY)
        bodies, attached = _sorted(message)
        attachments = [_attachment(part, n) for n, part in enumerate(attached, 1)]
    except RecursionError as error:
        raise RefusedError("its parts are nested too deeply: it is broken") from error
    if not message.keys():
        raise RefusedError("it has no headers, so it is not an e-mail: name it .txt if it is text")
    body = "\n\n".join(filter(None, (_body_text(part).strip() for part in bodies)))
    names = ", ".join(item.path for item in attachments)
    lines = [*_headers(message), f"Attachments: {names}" if names else ""]
    text = "\n".join(filter(None, lines)) + "\n\n" + body
    return (
        ParsedText(text=text, title=_header(message, "Subject"), metadata=_metadata(message)),
        attachments,
    )


def _sorted(message: Message) -> tuple[list[Message], list[Message]]:
    """The parts that make up the body, and those that are attached."""
    bodies: list[Message] = []
    attached: list[Message] = []
    for part in _leaves(message):
        if len(bodies) + len(attached) >= MAX_PARTS:
            raise RefusedError(f"it has more than {MAX_PARTS:,} parts: it is broken")
        (bodies if _is_body(part) else attached).append(part)
    return bodies, attached


def _leaves(message: Message) -> Iterator[Message]:
    """The parts that are shown or attached, in order; of alternatives, the one to be read."""
    pending = [message]
    while pending:
        part = pending.pop()
        children = _children(part)
        if not children:
            yield part
        elif part.get_content_subtype() == "alternative":
            pending.append(_chosen(children))
        elif part.get_content_subtype() == "related":
            pending.extend(reversed([c for c in children if c is children[0] or _is_named(c)]))
        else:
            pending.extend(reversed(children))


def _children(part: Message) -> list[Message]:
    payload = part.get_payload()
    is_multipart = part.get_content_maintype() == "multipart" and isinstance(payload, list)
    return [child for child in payload if isinstance(child, Message)] if is_multipart else []


def _chosen(alternatives: list[Message]) -> Message:
    for wanted in ("text/plain", "text/html"):
        for part in alternatives:
            if part.get_content_type() == wanted and _payload(part).strip():
                return part
    return alternatives[-1]


def _is_named(part: Message) -> bool:
    """Whether something that belongs to a page is more than a picture on it."""
    return part.get_content_maintype() != "image" or part.get_content_disposition() == "attachment"


def _is_body(part: Message) -> bool:
    if part.get_content_maintype() == "multipart":
        # One whose boundary is not there: all of it is text.
        return True
    if part.get_content_maintype() != "text" or part.get_content_disposition() == "attachment":
        return False
    return part.get_filename() is None and part.get_content_subtype() in ("plain", "html")


def _payload(part: Message) -> bytes:
    payload = part.get_payload(decode=True)
    return payload if isinstance(payload, bytes) else b""


def _body_text(part: Message) -> str:
    text = _decoded(_payload(part), part.get_content_charset())
    if part.get_content_subtype() != "html":
        return text
    return html.parse(text.encode("utf-8-sig", errors="replace")).text


def _decoded(data: bytes, charset: str | None) -> str:
    """By the encoding that is named, unless the bytes are in another."""
    try:
        return data.decode(charset or "utf-8")
    except (LookupError, UnicodeError):
        pass
    try:
        return decode(data)
    except RefusedError:
        return data.decode("utf-8", errors="replace")


def _attachment(part: Message, number: int) -> Inner:
    if part.get_content_maintype() == "message" and part.is_multipart():
        inner = part.get_payload(0)
        assert isinstance(inner, Message)
        subject = _header(inner, "Subject").replace("/", "-")[:80] or f"message {number}"
        return Inner(path=file_name(f"{subject}.eml", "message.eml"), data=inner.as_bytes())
    named = _words(part.get_filename() or "")
    default = f"attachment {number}{_EXTENSIONS.get(part.get_content_type(), '')}"
    return Inner(path=file_name(one_line(named), default), data=_payload(part))


_EXTENSIONS = {"text/html": ".html", "text/csv": ".csv", "application/pdf": ".pdf"}


def _headers(message: Message) -> Iterator[str]:
    for name in _SHOWN:
        if value := _header(message, name):
            yield f"{name}: {value}"


def _metadata(message: Message) -> dict[str, str]:
    said = {key: _header(message, name) for key, name in (_KEPT | _IDS).items()}
    said["date"] = _iso(_header(message, "Date"))
    return {key: value for key, value in said.items() if value}


def _header(message: Message, name: str) -> str:
    return one_line(_words(str(message.get(name, ""))))


def _words(raw: str) -> str:
    """A header's value with its encoded words (RFC 2047) decoded, as far as they can be."""
    try:
        chunks = decode_header(_FOLD.sub(" ", raw))
    except (HeaderParseError, ValueError):
        return raw
    return "".join(
        chunk if isinstance(chunk, str) else _decoded(chunk, charset) for chunk, charset in chunks
    )


def _iso(date: str) -> str:
    """The date in ISO 8601; empty where it can't be read."""
    try:
        moment: datetime = parsedate_to_datetime(date)
    except (TypeError, ValueError, OverflowError):
        return ""
    return moment.isoformat()
