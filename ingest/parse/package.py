"""Zip files of XML parts, as Office Open XML, OpenDocument and EPUB are, opened within limits."""

import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from posixpath import dirname, join, normpath
from zipfile import ZIP_DEFLATED, ZIP_STORED, BadZipFile, ZipFile

from lxml import etree

from ingest.errors import RefusedError

MAX_UNPACKED = 256 * 1024 * 1024
MAX_PART = 64 * 1024 * 1024
"""Bytes of one part that is read."""
MAX_MARKS = 3_000_000
"""`<` in a part whose tree is built: a node takes 120 bytes, however few it was written in."""
_RATIO_FROM = 16 * 1024 * 1024
_MAX_RATIO = 100
"""Real documents shrink to a tenth or a thirtieth."""

_OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_ENCRYPTED = "EncryptedPackage".encode("utf-16-le")
_ENCODINGS = ("utf-8", "utf-16-le", "utf-16-be")


@dataclass(frozen=True, slots=True)
class Relation:
    """From one part of an Office Open XML package to another, or to somewhere outside."""

    kind: str
    """The last word of its type, such as `slide` or `notesSlide`."""
    target: str
    """The name of a part; for what is outside, no part has that name."""


@dataclass(frozen=True, slots=True)
class Package:
    """The parts of one document. `noun` is what messages call it."""

    archive: ZipFile
    noun: str
    forbidden: str
    """What no part may hold that is read as XML: the beginning of a declaration."""

    def __contains__(self, name: str) -> bool:
        return name in self.archive.NameToInfo

    def read(self, name: str) -> bytes:
        """The bytes of one part, no more than it declares. RefusedError where it is missing."""
        try:
            member = self.archive.getinfo(name)
        except KeyError as error:
            raise RefusedError(f"it is a zip archive, but not {self.noun}") from error
        if member.file_size > MAX_PART:
            raise RefusedError(f"its part {name!r} is over {MAX_PART:,} bytes: split the document")
        with self.archive.open(member) as part:
            # A bounded read, as the size may be a lie; the checksum fails if it is.
            return part.read(member.file_size + 1)

    def xml(self, name: str) -> bytes:
        """The same, for a part of XML that declares nothing of its own."""
        content = self.read(name)
        if any(self.forbidden.encode(encoding) in content for encoding in _ENCODINGS):
            raise RefusedError(
                f"its part {name!r} declares a document type or XML entities, which {self.noun} "
                "never needs"
            )
        return content

    def tree(self, name: str) -> etree._Element:
        """The root element of one part. RefusedError for what is not well-formed."""
        content = self.xml(name)
        check_marks(content.count(b"<"))
        try:
            return etree.fromstring(content, safe_parser())
        except etree.XMLSyntaxError as error:
            raise malformed(name, error) from error

    def relations(self, name: str) -> dict[str, Relation]:
        """What the Office Open XML part `name` refers to, by the id of the reference."""
        listed = join(dirname(name), "_rels", f"{name.rpartition('/')[2]}.rels")
        if listed not in self:
            return {}
        return {
            element.get("Id", ""): Relation(
                element.get("Type", "").rpartition("/")[2],
                normpath(join("/", dirname(name), element.get("Target", ""))).lstrip("/"),
            )
            for element in self.tree(listed).iterchildren("{*}Relationship")
        }


@contextmanager
def opened(data: bytes, noun: str, *, forbidden: str = "<!DOCTYPE") -> Iterator[Package]:
    """The package in `data`, once its sizes were checked; damage met on the way is refused.

    Raises RefusedError for what is no zip archive, needs a password, or is packed like a bomb.
    """
    if data.startswith(_OLE):
        raise RefusedError(
            "it needs a password: save it without one"
            if _ENCRYPTED in data
            else f"it is in the format of Office 97, not {noun}: save it in the newer format"
        )
    try:
        with ZipFile(BytesIO(data)) as archive:
            check_sizes(archive, len(data))
            yield Package(archive, noun, forbidden)
    except RecursionError as error:
        raise RefusedError("its elements are nested too deeply: it is broken") from error
    except (BadZipFile, zlib.error, EOFError, NotImplementedError, ValueError) as error:
        raise RefusedError(f"it is not {noun}, or it is damaged or cut short") from error


def check_sizes(archive: ZipFile, packed: int) -> None:
    """Refuse members that are locked, that unpack to too much, or that no such file packs so."""
    members = archive.infolist()
    if any(member.flag_bits & 1 for member in members):
        raise RefusedError("it needs a password: save it without one")
    unpacked = sum(member.file_size for member in members)
    if unpacked > MAX_UNPACKED or unpacked > max(_RATIO_FROM, packed * _MAX_RATIO):
        raise RefusedError(
            f"it would unpack from {packed:,} to {unpacked:,} bytes: that is a zip bomb"
        )
    # LZMA may ask for gigabytes before the first byte.
    if any(member.compress_type not in (ZIP_STORED, ZIP_DEFLATED) for member in members):
        raise RefusedError("it is packed in a way that office programs do not write: save it again")


def check_marks(marks: int) -> None:
    """Refuse XML of more elements than a tree in memory should have."""
    if marks > MAX_MARKS:
        raise RefusedError(f"it has more than {MAX_MARKS:,} XML tags in a part: split the document")


def safe_parser() -> etree.XMLParser:
    """Expands and fetches nothing, and stops at texts and depths that no document has."""
    return etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False)


def malformed(name: str, error: Exception) -> RefusedError:
    """What to raise for a part that an XML parser gave up on."""
    said = next(iter(str(error).splitlines()), "it is not well-formed")
    return RefusedError(f"its part {name!r} is damaged: {said}")


def local_name(element: etree._Element) -> str:
    """Without its namespace: "strict" files use another one; empty for a comment."""
    tag = element.tag
    return tag.rpartition("}")[2] if isinstance(tag, str) else ""


def attribute(element: etree._Element, name: str) -> str:
    """By its name without a namespace; empty where it is missing."""
    return next(
        (str(value) for key, value in element.items() if str(key).rpartition("}")[2] == name), ""
    )
