"""Outlook messages (.msg): turned into a mail in MIME, which is then read like any other.

A .msg is a compound file of MAPI properties ([MS-OXMSG], [MS-OXCDATA]): texts and bytes are
streams named by their property's number and type, numbers and times lie in one stream of entries.
"""

import codecs
import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.encoders import encode_base64
from email.header import Header
from email.message import Message
from email.mime.base import MIMEBase
from email.mime.message import MIMEMessage
from email.mime.multipart import MIMEMultipart
from email.mime.text import MIMEText
from email.utils import format_datetime
from io import BytesIO
from typing import Literal

import olefile

from ingest.errors import RefusedError
from ingest.normalise import one_line

MAX_EMBEDDED = 8
"""Messages inside messages; what is deeper is left out."""
MAX_ATTACHMENTS = 1_000
_UNICODE, _ANSI, _BINARY, _STORAGE = "001F", "001E", "0102", "000D"
_SUBJECT, _BODY, _HTML = "0037", "1000", "1013"
_SENDER_NAME, _SENDER_ADDRESS, _SENDER_SMTP = "0C1A", "0C1F", "5D01"
_MESSAGE_ID, _IN_REPLY_TO = "1035", "1042"
_NAME, _ADDRESS, _SMTP = "3001", "3003", "39FE"
_LONG_FILE_NAME, _FILE_NAME, _DATA = "3707", "3704", "3701"
_SUBMITTED, _DELIVERED = 0x0039, 0x0E06
_RECIPIENT_KIND, _CODE_PAGE, _INTERNET_CODE_PAGE = 0x0C15, 0x3FFD, 0x3FDE
_PREFIX, _PROPERTIES = "__substg1.0_", "__properties_version1.0"
_CODE_PAGES = {"cp65001": "utf-8", "cp28591": "cp1252", "cp20127": "cp1252", "cp1200": "utf-16-le"}
_RTF, _BODY_FILE = "1009", "message.rtf"
_RTF_HEADER = struct.Struct("<III4s")
"""Packed size less four, size, kind (packed or stored), checksum."""
_STORED = 0x414C454D
_RTF_WINDOW = 4096
_RTF_START = (
    rb"{\rtf1\ansi\mac\deff0\deftab720{\fonttbl;}{\f0\fnil \froman \fswiss \fmodern \fscript "
    rb"\fdecor MS Sans SerifSymbolArialTimes New RomanCourier{\colortbl\red0\green0\blue0"
    b"\r\n"
    rb"\par \pard\plain\f0\fs20\b\i\u\tab\tx"
)
"""What stands in the window before the first byte."""
_ENTRY = struct.Struct("<HHI8s")
"""Type, number, flags and value of a property of fixed length."""
_EPOCH = datetime(1601, 1, 1, tzinfo=UTC)
_KINDS: dict[int, Literal["To", "Cc"]] = {1: "To", 2: "Cc"}
_ADDRESS_SHAPE = re.compile(r"[^\s@<>]+@[^\s@<>]+")

Place = tuple[str, ...]
"""Storages from the root down to one that holds properties."""


def as_mail(data: bytes) -> bytes:
    """The message in MIME: headers, plain and HTML body, attachments, messages in it.

    Raises RefusedError for what is no whole Outlook message.
    """
    try:
        with olefile.OleFileIO(BytesIO(data)) as file:
            if not file.exists(_PROPERTIES):
                raise RefusedError("it is no Outlook message, but another old Office document")
            return _Message(file).as_mime().as_bytes()
    except (OSError, IndexError, struct.error, RecursionError) as error:
        raise RefusedError("it is not a whole Outlook message: damaged or cut short") from error


@dataclass(frozen=True, slots=True)
class _Message:
    """A message at one place of a compound file."""

    file: olefile.OleFileIO
    place: Place = ()

    def as_mime(self, depth: int = 0) -> MIMEMultipart:
        mail = MIMEMultipart()
        for name, value in self._headers().items():
            if value := one_line(value):
                mail.add_header(name, Header(value, "utf-8").encode())
        for body in self._bodies():
            mail.attach(body)
        for storage in self._storages("__attach_version1.0_")[:MAX_ATTACHMENTS]:
            self._attach(mail, (*self.place, storage), depth)
        return mail

    def _headers(self) -> dict[str, str]:
        sent = self._time(_SUBMITTED) or self._time(_DELIVERED)
        return {
            "From": self._sender(),
            **self._recipients(),
            "Date": format_datetime(sent) if sent else "",
            "Subject": self._text(_SUBJECT),
            "Message-ID": self._text(_MESSAGE_ID),
            "In-Reply-To": self._text(_IN_REPLY_TO),
        }

    def _sender(self) -> str:
        address = self._text(_SENDER_SMTP) or self._text(_SENDER_ADDRESS)
        return _mailbox(self._text(_SENDER_NAME), address)

    def _recipients(self) -> dict[str, str]:
        """Those that everybody sees, by the header they stand in."""
        listed: dict[str, list[str]] = {"To": [], "Cc": []}
        for storage in self._storages("__recip_version1.0_"):
            place = (*self.place, storage)
            kind = _KINDS.get(self._number(_RECIPIENT_KIND, place) & 0xF)
            if kind:
                address = self._text(_SMTP, place) or self._text(_ADDRESS, place)
                listed[kind].append(_mailbox(self._text(_NAME, place), address))
        return {name: ", ".join(filter(None, boxes)) for name, boxes in listed.items()}

    def _bodies(self) -> Iterator[Message]:
        """The plain text if there is any, else the HTML, else a file with the formatted text."""
        plain = self._text(_BODY)
        if plain.strip():
            yield MIMEText(_without_surrogates(plain), "plain", "utf-8")
        elif html := self._stream(f"{_HTML}{_BINARY}", self.place) or self._text(_HTML).encode():
            part = MIMEBase("text", "html", charset=self._encoding(_INTERNET_CODE_PAGE))
            part.set_payload(html)
            encode_base64(part)
            yield part
        elif packed := self._stream(f"{_RTF}{_BINARY}", self.place):
            yield _attachment(_BODY_FILE, decompressed(packed))

    def _attach(self, mail: MIMEMultipart, place: Place, depth: int) -> None:
        name = self._text(_LONG_FILE_NAME, place) or self._text(_FILE_NAME, place)
        inside = (*place, f"{_PREFIX}{_DATA}{_STORAGE}")
        if self.file.exists([*inside, _PROPERTIES]):
            if depth < MAX_EMBEDDED:
                mail.attach(MIMEMessage(_Message(self.file, inside).as_mime(depth + 1)))
            return
        mail.attach(_attachment(name, self._stream(f"{_DATA}{_BINARY}", place)))

    def _storages(self, prefix: str) -> list[str]:
        """The storages right below this message that begin so, in their order."""
        depth = len(self.place)
        below = (entry for entry in self.file.listdir(streams=False, storages=True))
        return sorted(
            entry[depth]
            for entry in below
            if len(entry) == depth + 1
            and tuple(entry[:depth]) == self.place
            and entry[depth].startswith(prefix)
        )

    def _text(self, property_: str, place: Place | None = None) -> str:
        place = self.place if place is None else place
        if text := self._stream(f"{property_}{_UNICODE}", place):
            return text.decode("utf-16-le", errors="replace").rstrip("\0")
        text = self._stream(f"{property_}{_ANSI}", place)
        return text.decode(self._encoding(_CODE_PAGE), errors="replace").rstrip("\0")

    def _stream(self, name: str, place: Place) -> bytes:
        path = [*place, f"{_PREFIX}{name}"]
        if self.file.get_type(path) != olefile.STGTY_STREAM:
            return b""
        with self.file.openstream(path) as stream:
            content: bytes = stream.read()
            return content

    def _encoding(self, property_: int) -> str:
        name = f"cp{self._number(property_, self.place)}"
        name = _CODE_PAGES.get(name, name)
        try:
            return codecs.lookup(name).name
        except LookupError:
            return "cp1252"

    def _time(self, property_: int) -> datetime | None:
        """100 nanoseconds since 1601, as Windows counts."""
        ticks = int.from_bytes(self._fixed(property_, self.place), "little")
        try:
            return _EPOCH + timedelta(microseconds=ticks // 10) if ticks else None
        except OverflowError:
            return None

    def _number(self, property_: int, place: Place) -> int:
        return int.from_bytes(self._fixed(property_, place)[:4], "little")

    def _fixed(self, property_: int, place: Place) -> bytes:
        """The eight bytes of a property of fixed length; empty where it is not there."""
        if self.file.get_type([*place, _PROPERTIES]) != olefile.STGTY_STREAM:
            return b""
        with self.file.openstream([*place, _PROPERTIES]) as stream:
            entries = stream.read()[_header_size(place) :]
        whole = len(entries) - len(entries) % _ENTRY.size
        found = (e for e in _ENTRY.iter_unpack(entries[:whole]) if e[1] == property_)
        return next((value for _, _, _, value in found), b"")


def decompressed(packed: bytes) -> bytes:
    """Rich text out of the form in which Outlook keeps it ([MS-OXRTFCP], 3.1).

    A control byte tells of eight items which are single bytes and which point back, by position
    and length, into the last 4096 bytes. Damage ends the text where it stands.
    """
    _, size, kind, _ = _RTF_HEADER.unpack_from(packed)
    if kind == _STORED:
        return packed[_RTF_HEADER.size : _RTF_HEADER.size + size]
    out = bytearray(_RTF_START)
    at = _RTF_HEADER.size
    while at < len(packed):
        control, at = packed[at], at + 1
        for bit in range(8):
            if not control >> bit & 1:
                out += packed[at : at + 1]
                at += 1
                continue
            reference = int.from_bytes(packed[at : at + 2], "big")
            at += 2
            if at > len(packed) or not _copy(out, reference >> 4, (reference & 0xF) + 2):
                return bytes(out[len(_RTF_START) :])
    return bytes(out[len(_RTF_START) :])


def _copy(out: bytearray, position: int, length: int) -> bool:
    """Append what stands at `position` of the window; False at the position that ends it."""
    back = (len(out) - position) % _RTF_WINDOW
    if not back or back > len(out):
        return False
    for _ in range(length):
        out.append(out[-back])
    return True


def _attachment(name: str, content: bytes) -> MIMEBase:
    part = MIMEBase("application", "octet-stream")
    part.set_payload(content)
    encode_base64(part)
    shown = _without_surrogates(one_line(name))
    part.add_header("Content-Disposition", "attachment", filename=("utf-8", "", shown))
    return part


def _header_size(place: Place) -> int:
    """Bytes before the first property ([MS-OXMSG], 2.4): fewer below the top."""
    if not place:
        return 32
    return 24 if place[-1].endswith(_STORAGE) else 8


def _mailbox(name: str, address: str) -> str:
    """`Name <address>`; addresses inside an Exchange organisation are no use to a reader."""
    if not _ADDRESS_SHAPE.fullmatch(address) or name == address:
        return name or (address if "@" in address else "")
    return f"{name} <{address}>" if name else address


def _without_surrogates(text: str) -> str:
    return text.encode("utf-8", errors="replace").decode()
