"""Files and folders to raw documents, one at a time: memory does not grow with the corpus."""

import os
import stat
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from ingest.errors import PathError, RefusedError, SkippedError
from ingest.parse.formats import HEAD, MEDIA_TYPES, detect
from ingest.parse.jsonl_record import decode_record, record_id
from ingest.records import RawDocument, Refusal

MAX_BYTES = 256 * 1024 * 1024
"""Of a file that is one document. A JSONL file may be of any size: it is read line by line."""
MAX_LINE_BYTES = 64 * 1024 * 1024
_SKIPPED_AT_ONCE = 1024 * 1024
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
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


@dataclass(frozen=True, slots=True)
class _Root:
    """A named path: a folder, or one file in it."""

    folder: Path
    file: str | None = None

    @property
    def path(self) -> Path:
        return self.folder / self.file if self.file else self.folder


@dataclass(frozen=True, slots=True)
class _Limits:
    document: int
    line: int


def load(
    paths: Sequence[Path], *, max_bytes: int = MAX_BYTES, max_line_bytes: int = MAX_LINE_BYTES
) -> Iterator[RawDocument | Refusal]:
    """The documents in `paths`, in `walk`'s order, each read when it is asked for.

    A JSONL file gives one document a line. What can't be read comes as a Refusal in its place.
    Raises PathError at once, before anything is read, if a named path is not there.
    """
    return _load(walk(paths), _Limits(max_bytes, max_line_bytes))


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
        kind = _special_kind(target.stat().st_mode)
    except OSError as error:
        yield _refused(path, f"it can't be opened: {_reason(error)}")
        return
    if kind:
        yield _skipped(path, f"it is {kind}, not a file")
    else:
        relative = path.relative_to(folder)
        yield FoundFile(path=target, uri=_shown(path), external_id=_shown(relative))


def _special_kind(mode: int) -> str | None:
    return None if stat.S_ISREG(mode) else _SPECIAL.get(stat.S_IFMT(mode), "a special file")


def _load(found: Iterable[FoundFile | Refusal], limits: _Limits) -> Iterator[RawDocument | Refusal]:
    for item in found:
        if isinstance(item, Refusal):
            yield item
        else:
            yield from _documents(item, limits)


def _documents(found: FoundFile, limits: _Limits) -> Iterator[RawDocument | Refusal]:
    try:
        with _opened(found.path) as file:
            yield from _read(file, found, limits)
    except OSError as error:
        yield Refusal(
            source=found.uri, reason=f"it can't be read: {_reason(error)}", outcome="refused"
        )
    except RefusedError as error:
        yield Refusal(source=found.uri, reason=str(error), outcome="refused")
    except SkippedError as error:
        yield Refusal(source=found.uri, reason=str(error), outcome="skipped")


def _opened(path: Path) -> BinaryIO:
    """Open for reading; a file that became a pipe or a link since it was found does no harm."""
    return os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW), "rb")


def _read(file: BinaryIO, found: FoundFile, limits: _Limits) -> Iterator[RawDocument | Refusal]:
    status = os.fstat(file.fileno())
    if kind := _special_kind(status.st_mode):
        raise SkippedError(f"it is {kind}, not a file")
    if not status.st_size:
        raise SkippedError("the file is empty")
    format_ = detect(found.path.name, file.read(HEAD))
    file.seek(0)
    if format_ == "jsonl":
        yield from _records(file, found, limits.line)
        return
    data = file.read(limits.document + 1) if status.st_size <= limits.document else b""
    if not data or len(data) > limits.document:
        raise RefusedError(f"it is larger than {limits.document:,} bytes: split it")
    yield RawDocument(
        uri=found.uri,
        external_id=found.external_id,
        data=data,
        format=format_,
        media_type=MEDIA_TYPES[format_],
    )


def _records(file: BinaryIO, found: FoundFile, max_bytes: int) -> Iterator[RawDocument | Refusal]:
    first_line: dict[str, int] = {}
    for number, line in _lines(file, max_bytes):
        try:
            external_id = _external_id(line, f"{found.external_id}#{number}", max_bytes)
            if (first := first_line.setdefault(external_id, number)) != number:
                raise RefusedError(f'its "_id" {external_id!r} stands on line {first} already')
        except RefusedError as error:
            yield Refusal(source=f"{found.uri}:{number}", reason=str(error), outcome="refused")
            continue
        yield RawDocument(
            uri=found.uri,
            external_id=external_id,
            data=line,
            format="jsonl",
            media_type=MEDIA_TYPES["jsonl"],
        )


def _external_id(line: bytes, default: str, max_bytes: int) -> str:
    if len(line) > max_bytes:
        raise RefusedError(f"the line is longer than {max_bytes:,} bytes: split the record")
    return record_id(decode_record(line)) or default


def _lines(file: BinaryIO, max_bytes: int) -> Iterator[tuple[int, bytes]]:
    """Lines that hold anything, numbered from 1; of one that is too long, its beginning."""
    number = 0
    while line := file.readline(max_bytes + len(b"\r\n")):
        number += 1
        _skip_rest(file, line)
        content = line.removeprefix(_BYTE_ORDER_MARK if number == 1 else b"").rstrip(b"\r\n")
        if content.strip():
            yield number, content


def _skip_rest(file: BinaryIO, part: bytes) -> None:
    while part and not part.endswith(b"\n"):
        part = file.readline(_SKIPPED_AT_ONCE)


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
