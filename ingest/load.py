"""Files and folders as a feed: named by a walk, opened one at a time."""

import os
import stat
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import BinaryIO

from ingest.errors import PathError, RefusedError, SkippedError
from ingest.feed import Item, ReadThrough, Resource
from ingest.feeds.reading import DEFAULT_LIMITS, Limits, Opened, documents
from ingest.records import RawDocument, Refusal

_SETTLED_S = 2.0
"""A file that was written less than this ago may be written again without its times telling."""
_CHANGED = "it was changed while it was read: the next run will read it again"
_SPECIAL = {
    stat.S_IFIFO: "a named pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
    stat.S_IFDIR: "a folder",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundFile:
    """A regular file below one of the named paths; nothing is known of what it holds."""

    path: Path
    """Where to open it: links are followed already."""
    uri: str
    external_id: str
    status: os.stat_result


@dataclass(frozen=True, slots=True)
class _Root:
    """A named path: a folder, or one file in it."""

    folder: Path
    file: str | None = None

    @property
    def path(self) -> Path:
        return self.folder / self.file if self.file else self.folder


class FileFeed:
    """The documents in files and folders, in `walk`'s order. A JSONL file gives one a line."""

    def __init__(self, paths: Sequence[Path], limits: Limits | None = None) -> None:
        """Raise PathError at once if one of `paths` is not there or can't be opened."""
        self._roots = [_root(Path(path)) for path in paths]
        self._limits = limits or DEFAULT_LIMITS

    def resources(self) -> Iterator[Resource | Refusal]:
        """The regular files, none of them opened yet; what can't be looked into is a refusal."""
        for found in _walk(self._roots):
            if isinstance(found, Refusal):
                yield found
            else:
                read = partial(_read, found, self._limits)
                yield Resource(uri=found.uri, stamp=_stamp(found, found.status), read=read)

    def size_bytes(self) -> int:
        """Of all files together, as the walk finds them now; none is opened."""
        found = (item for item in _walk(self._roots) if isinstance(item, FoundFile))
        return sum(file.status.st_size for file in found)

    def covers(self, uri: str) -> bool:
        """Whether `uri` is one of the named files, or stands below one of the named folders."""
        roots = (_shown(root.path) for root in self._roots)
        return any(uri == root or uri.startswith(f"{root.rstrip('/')}/") for root in roots)


def load(paths: Sequence[Path], limits: Limits | None = None) -> Iterator[RawDocument | Refusal]:
    """All documents in `paths`, each read when it is asked for. Raises PathError at once."""
    return _load(FileFeed(paths, limits))


def _load(feed: FileFeed) -> Iterator[RawDocument | Refusal]:
    for resource in feed.resources():
        items = [resource] if isinstance(resource, Refusal) else resource.read(None)
        yield from (item for item in items if isinstance(item, RawDocument | Refusal))


def walk(paths: Sequence[Path]) -> Iterator[FoundFile | Refusal]:
    """The regular files in `paths`: a folder's own by name, then its subfolders' by name.

    Each comes once, under the first path that leads to it. Hidden files and folders are left out
    unless they are named. Links to files inside the folder are followed where the target has no
    place of its own in the walk; links that lead out of it are refused, as a name could lead
    anywhere. Raises PathError at once if a named path is not there.
    """
    return _walk([_root(Path(path)) for path in paths])


def _root(named: Path) -> _Root:
    try:
        is_folder = stat.S_ISDIR(named.stat().st_mode)
        root = _Root(named.resolve()) if is_folder else _Root(named.parent.resolve(), named.name)
    except (OSError, ValueError) as error:
        raise PathError(f"{_shown(named)!r} can't be opened: {_reason(error)}") from error
    if not os.access(named, os.R_OK | os.X_OK if is_folder else os.R_OK):
        raise PathError(f"{_shown(named)!r} can't be opened: you have no permission to read it")
    return root


def _walk(roots: Iterable[_Root]) -> Iterator[FoundFile | Refusal]:
    earlier: set[Path] = set()
    for root in roots:
        for found in _named_file(root) if root.file else _folder(root.folder):
            if isinstance(found, Refusal) or not _is_reached(found.path, earlier):
                yield found
        earlier.add(_real(root.path))


def _is_reached(file: Path, earlier: set[Path]) -> bool:
    """Whether an earlier named path leads to `file` too."""
    if not earlier or file in earlier:
        return bool(earlier)
    above = (folder for folder in file.parents if folder in earlier)
    return any(not _is_hidden(file, folder) for folder in above)


def _is_hidden(file: Path, folder: Path) -> bool:
    return any(part.startswith(".") for part in file.relative_to(folder).parts)


def _real(path: Path) -> Path:
    return Path(os.path.realpath(path))


def _named_file(root: _Root) -> Iterator[FoundFile | Refusal]:
    target = _real(root.path)
    if not target.is_relative_to(root.folder):
        yield _skipped(root.path, "it is a link that leads out of its folder: name its target")
    else:
        yield from _at(root.path, root.folder, target)


def _folder(folder: Path) -> Iterator[FoundFile | Refusal]:
    """Depth-first with a stack of its own: a deep tree is no reason to fail."""
    pending = [folder]
    while pending:
        inner = pending.pop()
        try:
            with os.scandir(inner) as listing:
                entries = sorted(listing, key=lambda entry: entry.name)
        except OSError as error:
            yield _refused(inner, f"the folder can't be opened: {_reason(error)}")
            continue
        seen = [entry for entry in entries if not entry.name.startswith(".")]
        folders = [entry for entry in seen if entry.is_dir(follow_symlinks=False)]
        pending.extend(Path(entry.path) for entry in reversed(folders))
        for entry in seen:
            if not entry.is_dir(follow_symlinks=False):
                yield from _entry(entry, folder)


def _entry(entry: os.DirEntry[str], folder: Path) -> Iterator[FoundFile | Refusal]:
    path = Path(entry.path)
    if entry.is_symlink():
        yield from _link(path, folder)
    else:
        yield from _at(path, folder, path)


def _link(path: Path, folder: Path) -> Iterator[FoundFile | Refusal]:
    target = _real(path)
    if not target.is_relative_to(folder):
        yield _skipped(path, "it is a link that leads out of the folder: name its target")
    elif target.is_dir():
        yield _skipped(path, "it is a link to a folder, which is not followed: name the folder")
    elif not target.exists():
        yield _skipped(path, "it is a link that leads nowhere")
    elif _is_hidden(target, folder):
        yield from _at(path, folder, target)


def _at(path: Path, folder: Path, target: Path) -> Iterator[FoundFile | Refusal]:
    """The file called `path` whose bytes are at `target`."""
    try:
        status = target.stat()
    except OSError as error:
        yield _refused(path, f"it can't be opened: {_reason(error)}")
        return
    if kind := _special_kind(status.st_mode):
        yield _skipped(path, f"it is {kind}, not a file")
    else:
        relative = _shown(path.relative_to(folder))
        yield FoundFile(path=target, uri=_shown(path), external_id=relative, status=status)


def _special_kind(mode: int) -> str | None:
    return None if stat.S_ISREG(mode) else _SPECIAL.get(stat.S_IFMT(mode), "a special file")


def _read(found: FoundFile, limits: Limits, _known: str | None) -> Iterator[Item]:
    """The documents of a file, and its stamp if it stayed as it was meanwhile."""
    try:
        with _opened(found.path) as file:
            yield from _documents(file, found, limits)
    except OSError as error:
        yield _problem(found, f"it can't be read: {_reason(error)}")
    except RefusedError as error:
        yield _problem(found, str(error))
    except SkippedError as error:
        yield Refusal(source=found.uri, reason=str(error), outcome="skipped")


def _documents(file: BinaryIO, found: FoundFile, limits: Limits) -> Iterator[Item]:
    before = os.fstat(file.fileno())
    if kind := _special_kind(before.st_mode):
        raise SkippedError(f"it is {kind}, not a file")
    # Asked now: reading takes as long as storing does, and then any file looks old.
    is_settled = _is_settled(before)
    stamp = _stamp(found, before)
    name = found.path.name
    opened = Opened(file=file, uri=found.uri, external_id=found.external_id, name=name)
    is_one_whole = False
    for item in documents(opened, limits):
        is_one_whole = isinstance(item, RawDocument) and item.format != "jsonl"
        if is_one_whole and _is_changed(file, found, stamp):
            raise RefusedError(_CHANGED)
        yield item
    if not _is_changed(file, found, stamp):
        yield ReadThrough(stamp if is_settled else None)
    elif not is_one_whole:
        # What was a line may have moved or been cut off; one document was whole when it was read.
        raise RefusedError(_CHANGED)


def _is_changed(file: BinaryIO, found: FoundFile, stamp: str) -> bool:
    return _stamp(found, os.fstat(file.fileno())) != stamp


def _stamp(found: FoundFile, status: os.stat_result) -> str:
    """The time of the last change of status is in it: nobody can set that one back."""
    times = f"{status.st_mtime_ns}:{status.st_ctime_ns}"
    return f"{status.st_size}:{times}:{status.st_ino}:{found.external_id}"


def _is_settled(status: os.stat_result) -> bool:
    return time.time() - max(status.st_mtime, status.st_ctime) > _SETTLED_S


def _problem(found: FoundFile, reason: str) -> Refusal:
    return Refusal(source=found.uri, reason=reason, outcome="refused")


def _opened(path: Path) -> BinaryIO:
    """Open for reading; a file that became a pipe or a link since it was found does no harm."""
    return os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW), "rb")


def _shown(path: Path) -> str:
    """The path in POSIX form; bytes that are no UTF-8, and control characters, as escapes."""
    text = os.fsencode(path.as_posix()).decode("utf-8", "backslashreplace")
    return "".join(c if c.isprintable() or c == " " else _escaped(c) for c in text)


def _escaped(character: str) -> str:
    return character.encode("unicode_escape").decode("ascii")


def _reason(error: OSError | ValueError) -> str:
    return (error.strerror or str(error)).lower() if isinstance(error, OSError) else str(error)


def _skipped(path: Path, reason: str) -> Refusal:
    return Refusal(source=_shown(path), reason=reason, outcome="skipped")


def _refused(path: Path, reason: str) -> Refusal:
    return Refusal(source=_shown(path), reason=reason, outcome="refused")
