"""Files that a program hands over as bytes, such as those of an HTTP request."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import PureWindowsPath
from typing import BinaryIO

from ingest.errors import RefusedError, SkippedError
from ingest.feed import Item, ReadThrough, Resource
from ingest.feeds.reading import Opened, documents
from ingest.records import Refusal

SCHEME = "upload:"
MAX_NAME = 255


@dataclass(frozen=True, slots=True, kw_only=True)
class UploadedFile:
    """A file to be read from its beginning; `name` is never opened as a path."""

    name: str
    file: BinaryIO


@dataclass(frozen=True, slots=True)
class UploadFeed:
    """What some uploaded files hold. The same name at the next run means the same document."""

    files: Sequence[UploadedFile]
    place: str = ""
    """Tells files of one name apart that have nothing to do with each other."""

    def resources(self) -> Iterator[Resource]:
        for uploaded in self.files:
            name = plain_name(uploaded.name)
            uri = f"{SCHEME}{self.place}/{name}" if self.place else f"{SCHEME}{name}"
            opened = Opened(file=uploaded.file, uri=uri, external_id=name, name=name)
            yield Resource(uri=uri, stamp=None, read=partial(_read, opened))

    def covers(self, uri: str) -> bool:
        return any(uri == resource.uri for resource in self.resources())


def plain_name(given: str) -> str:
    """The last part of a name, whatever a client makes of it; `upload` where nothing is left."""
    last = PureWindowsPath(given).name
    printable = "".join(character for character in last if character.isprintable())
    storable = printable.encode(errors="replace").decode()
    name = storable[-MAX_NAME:].strip()
    return "upload" if name in ("", ".", "..") else name


def _read(opened: Opened, _known: str | None) -> Iterator[Item]:
    try:
        yield from documents(opened)
        yield ReadThrough(None)
    except RefusedError as error:
        yield Refusal(source=opened.uri, reason=str(error), outcome="refused")
    except SkippedError as error:
        yield Refusal(source=opened.uri, reason=str(error), outcome="skipped")
