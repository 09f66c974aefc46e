"""Files behind any URL that fsspec knows: object stores, SFTP, archives, memory.

Protocols beyond fsspec's own come with packages of the user's choice (s3fs, gcsfs, paramiko …).
What those raise is theirs, so all of it is caught here and said in one line.
"""

import io
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from pathlib import PurePosixPath
from typing import Any, BinaryIO, TypeVar, cast

from fsspec import AbstractFileSystem
from fsspec.core import url_to_fs

from ingest.errors import IngestError, RefusedError, SkippedError
from ingest.feed import Item, ReadThrough, Resource
from ingest.feeds.errors import FeedError
from ingest.feeds.masking import scrubbed, secrets_in, without_secrets
from ingest.feeds.patterns import Pattern
from ingest.feeds.reading import Opened, documents
from ingest.records import Format, Refusal

T = TypeVar("T")
_CHAIN = "::"
_HASHES = (
    "ETag", "etag", "checksum", "sha256", "md5", "md5Hash", "content_md5", "contentHash",
    "content_hash", "crc32c", "CRC", "generation",
)  # fmt: skip
_TIMES = ("mtime", "LastModified", "last_modified", "modified", "updated", "created")
_SETTLED_S = 3.0
"""A file that changed less than this ago may change again within the same tick of its clock."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoteFeed:
    """A file, all files below a folder, or the files that a pattern matches."""

    url: str
    options: Mapping[str, Any] = field(default_factory=dict)
    """What the file system of the protocol takes: keys, endpoints."""
    format: Format | None = None
    """Of all its files; None: told by their names and bytes."""

    def resources(self) -> Iterator[Resource | Refusal]:
        """The files by name, hidden ones left out. Raises `FeedError` if there is nothing."""
        opened = self._opened()
        found = self._guarded(lambda: _listed(opened))
        if not found:
            raise FeedError(f"there is nothing at {self._shown}: correct the URL")
        for name in sorted(found):
            yield self._resource(opened, name, found[name])

    def covers(self, uri: str) -> bool:
        head, tail = self._shown_parts
        if not uri.endswith(tail):
            return False
        return Pattern(head).matches(uri.removesuffix(tail) if tail else uri)

    @property
    def _shown(self) -> str:
        return without_secrets(self.url)

    @property
    def _shown_parts(self) -> tuple[str, str]:
        """What files are named by, and what stands after that in a chain of URLs."""
        head, chain, rest = self._shown.partition(_CHAIN)
        return head, chain + rest

    def _opened(self) -> "_Store":
        """The file system, and what paths on it begin with."""

        def open_it() -> _Store:
            system, path = url_to_fs(self.url, **self.options)
            return _Store(system, Pattern(path), Pattern(path).root.rstrip("/"))

        return self._guarded(open_it)

    def _resource(self, store: "_Store", name: str, info: Mapping[str, Any]) -> Resource:
        relative = _relative(name, store.root)
        return Resource(
            uri=self._uri(relative),
            stamp=_stamp(info),
            read=partial(self._read, store, name, relative),
        )

    def _uri(self, relative: str) -> str:
        head, tail = self._shown_parts
        if not relative:
            return head + tail
        root = Pattern(head).root if Pattern(head).has_wildcards else head
        separator = "" if root.endswith("/") else "/"
        return f"{root}{separator}{relative}{tail}"

    def _read(
        self, store: "_Store", name: str, relative: str, _known: str | None
    ) -> Iterator[Item]:
        uri = self._uri(relative)
        try:
            before = self._attempt(lambda: _stamp(store.fresh_info(name)))
            with self._attempt(lambda: store.open(name)) as file:
                yield from self._documents(file, uri, relative or PurePosixPath(name).name)
            after = self._attempt(lambda: store.fresh_info(name))
            yield ReadThrough(before if before == _stamp(after) and _is_settled(after) else None)
        except RefusedError as error:
            yield Refusal(source=uri, reason=str(error), outcome="refused")
        except SkippedError as error:
            yield Refusal(source=uri, reason=str(error), outcome="skipped")

    def _documents(self, file: BinaryIO, uri: str, external_id: str) -> Iterator[Item]:
        """The documents of an open file; that its connection breaks is a refusal like others."""
        opened = Opened(
            file=file,
            uri=uri,
            external_id=external_id,
            name=PurePosixPath(external_id).name,
            format=self.format,
        )
        reading = documents(opened)
        while (item := self._attempt(lambda: next(reading, None))) is not None:
            yield item

    def _attempt(self, act: Callable[[], T]) -> T:
        """`act`, where anything that goes wrong concerns one file."""
        try:
            return act()
        except IngestError:
            raise
        except Exception as error:
            raise RefusedError(f"it can't be read: {self._said(error)}") from error

    def _guarded(self, act: Callable[[], T]) -> T:
        """`act`, where anything that goes wrong concerns the whole source."""
        try:
            return act()
        except FileNotFoundError as error:
            raise FeedError(f"there is nothing at {self._shown}: correct the URL") from error
        except ImportError as error:
            raise FeedError(
                f"{self._shown} needs a package that is not installed: {self._said(error)}"
            ) from error
        except Exception as error:
            raise FeedError(f"{self._shown} can't be reached: {self._said(error)}") from error

    def _said(self, error: Exception) -> str:
        given = [str(value) for value in self.options.values() if isinstance(value, str)]
        return scrubbed(str(error) or type(error).__name__, [*secrets_in(self.url), *given])


@dataclass(frozen=True, slots=True)
class _Store:
    system: AbstractFileSystem
    pattern: Pattern
    root: str

    def fresh_info(self, name: str) -> Mapping[str, Any]:
        self.system.invalidate_cache(name)
        return cast("Mapping[str, Any]", self.system.info(name))

    def open(self, name: str) -> BinaryIO:
        """Buffered by ourselves: the lines of some file systems have no limit."""
        return io.BufferedReader(self.system.open(name, "rb"))


def _listed(store: _Store) -> dict[str, Mapping[str, Any]]:
    """What is known of each file, by its path on the file system."""
    if store.pattern.has_wildcards:
        found = store.system.find(store.root, detail=True)
        return {
            name: info
            for name, info in found.items()
            if store.pattern.matches(name) and not _is_hidden(_relative(name, store.root))
        }
    info = store.system.info(store.pattern.path)
    if info["type"] != "directory":
        return {store.pattern.path: info}
    found = store.system.find(store.pattern.path, detail=True)
    return {n: i for n, i in found.items() if not _is_hidden(_relative(n, store.root))}


def _relative(name: str, root: str) -> str:
    return name.removeprefix(root).lstrip("/")


def _is_hidden(relative: str) -> bool:
    return any(part.startswith(".") for part in relative.split("/"))


def _stamp(info: Mapping[str, Any]) -> str | None:
    """A hash that the store keeps, else size and time; None where it tells neither."""
    for key in _HASHES:
        if info.get(key):
            return f"{key} {info[key]} {info.get('size')}"
    when = _changed_at(info)
    return None if when is None else f"{info.get('size')} {when!r} {info.get('ino', '')}".rstrip()


def _changed_at(info: Mapping[str, Any]) -> float | str | None:
    value = next((info[key] for key in _TIMES if info.get(key)), None)
    if isinstance(value, datetime):
        return value.timestamp()
    return value if isinstance(value, float | int | str) else None


def _is_settled(info: Mapping[str, Any]) -> bool:
    if any(info.get(key) for key in _HASHES):
        return True
    when = _changed_at(info)
    return isinstance(when, str) or (when is not None and time.time() - when > _SETTLED_S)
