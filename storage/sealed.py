"""The one place that opens and seals derived files.

A derived file can be lost, cut short or changed behind our back, and some formats load such damage
without a word. So every byte of it is under one SHA-256, checked before anything of it is used.
Large files are mapped into memory, and shared with every program that maps them.

    magic (8) · SHA-256 of all that follows (32) · header's length (8) · header (JSON) · arrays

The arrays begin at multiples of 64 bytes from the start of the file. The header says what they are
and where in the history of the corpus they stand.
"""

import hashlib
import json
import mmap
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from io import BufferedReader
from pathlib import Path
from typing import IO, Any, TypeAlias

import numpy as np
import numpy.typing as npt
from filelock import FileLock

from storage.errors import SealError
from storage.records import Position

Array: TypeAlias = npt.NDArray[Any]
Meta: TypeAlias = Mapping[str, str | int]

_MAGIC = b"RAGSEAL\n"
_VERSION = 1
_ALIGNMENT = 64
_NUMBERS = "biuf"
_DIGEST = slice(len(_MAGIC), len(_MAGIC) + 32)
_LENGTH = slice(_DIGEST.stop, _DIGEST.stop + 8)
_LOCK_TIMEOUT_S = 60
_MAPPED_FROM = 1 << 24
"""Smaller files are copied: what is done to them in place can't reach who has them open."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sealed:
    """What a file holds, verified. The arrays are read-only."""

    sha256: bytes
    position: Position
    count: int
    arrays: Mapping[str, Array]
    meta: Meta
    mapped: mmap.mmap | None
    """The map of the file, unless it was copied."""

    @property
    def is_cut_short(self) -> bool:
        """Whether the file has lost bytes since: to read them would end this process (SIGBUS)."""
        return self.mapped is not None and self.mapped.size() < len(self.mapped)


@contextmanager
def sole_writer(path: Path) -> Iterator[None]:
    """The right to seal `path` and files beside it: one program at a time has it."""
    with FileLock(path.with_name(f".{path.name}.lock"), timeout=_LOCK_TIMEOUT_S):
        yield


def seal(
    path: Path,
    *,
    kind: str,
    position: Position,
    count: int,
    arrays: Mapping[str, Array],
    meta: Meta,
) -> bytes:
    """Write a sealed file, whole and durable, or leave the one that is there; give its SHA-256.

    Only for who is the `sole_writer` there. What a writer that died left in the draft is written
    over. Raises `SealError` for arrays of anything but numbers, and OSError where the disk refuses.
    """
    plain = {name: _plain(name, array) for name, array in arrays.items()}
    about = {"kind": kind, "version": _VERSION, "position": asdict(position), "count": count}
    header = _header({**about, "meta": dict(meta)}, plain)
    draft = draft_of(path)
    try:
        digest = _write(draft, header, plain)
        draft.replace(path)
    except OSError:
        draft.unlink(missing_ok=True)
        raise
    _sync_folder(path.parent)
    return digest


def draft_of(path: Path) -> Path:
    """Where a file is written before it gets its name."""
    return path.with_name(f".{path.name}.tmp")


def unseal(path: Path, *, kind: str) -> Sealed:
    """The contents of a sealed file, once every byte is verified; `SealError` if any is off."""
    memory, digest = _read(path)
    content = memoryview(memory).toreadonly()
    _verify(path, content, digest)
    try:
        header, start = _header_of(content)
        made = (header["kind"], header["version"])
        is_ours = made == (kind, _VERSION)
        sealed = _sealed(memory, digest, header, content[start:]) if is_ours else None
    except (KeyError, TypeError, ValueError) as error:
        raise SealError(f"{path} is sealed, but not as this program does it; rebuild it") from error
    if sealed is None:
        raise SealError(f"{path} holds {made}, not {(kind, _VERSION)}; rebuild it")
    return sealed


def unseal_any(path: Path) -> Sealed | None:
    """What a sealed file holds, whatever its kind; None for a file that is none.

    Raises `SealError` for one that is damaged.
    """
    try:
        with path.open("rb") as file:
            is_sealed = file.read(len(_MAGIC)) == _MAGIC
    except OSError as error:
        raise SealError(f"{path} can't be read ({error}); rebuild it") from error
    if not is_sealed:
        return None
    memory, digest = _read(path)
    content = memoryview(memory).toreadonly()
    _verify(path, content, digest)
    header, start = _header_of(content)
    return _sealed(memory, digest, header, content[start:])


def _plain(name: str, array: Array) -> Array:
    """The array in little-endian C order, as it is written."""
    if array.dtype.kind not in _NUMBERS:
        raise SealError(f"array {name!r} holds {array.dtype}; only numbers can be sealed")
    return np.ascontiguousarray(array, array.dtype.newbyteorder("<"))


def _header(about: dict[str, object], arrays: Mapping[str, Array]) -> bytes:
    """JSON that says where each array lies, counted from the end of the header's padding."""
    entries, offset = [], 0
    for name, array in arrays.items():
        entries.append([name, array.dtype.str, list(array.shape), offset])
        offset += _padded(array.nbytes)
    text = json.dumps({**about, "arrays": entries}).encode()
    # Blanks are valid JSON at the end and bring the first array to its boundary.
    return text.ljust(_padded(_LENGTH.stop + len(text)) - _LENGTH.stop)


def _padded(size: int) -> int:
    return -(-size // _ALIGNMENT) * _ALIGNMENT


def _write(path: Path, header: bytes, arrays: Mapping[str, Array]) -> bytes:
    digest = hashlib.sha256()
    with path.open("wb") as file:
        file.write(_MAGIC + bytes(digest.digest_size))
        for piece in _pieces(header, arrays):
            digest.update(piece)
            file.write(piece)
        file.seek(_DIGEST.start)
        file.write(digest.digest())
        _sync(file)
    return digest.digest()


def _pieces(header: bytes, arrays: Mapping[str, Array]) -> Iterator[bytes | memoryview]:
    """All that the digest covers, in the order of the file."""
    yield len(header).to_bytes(8, "little")
    yield header
    for array in arrays.values():
        yield array.reshape(-1).view(np.uint8).data
        yield bytes(_padded(array.nbytes) - array.nbytes)


def _sync(file: IO[bytes]) -> None:
    file.flush()
    os.fsync(file.fileno())


def _sync_folder(folder: Path) -> None:
    """A rename survives a power cut only when its folder was synced too."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _read(path: Path) -> tuple[mmap.mmap, bytes]:
    """The file's bytes, and the SHA-256 of those that it covers."""
    try:
        with path.open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            return _mapped(file) if size >= _MAPPED_FROM else _copied(file, size)
    except (OSError, ValueError) as error:
        raise SealError(f"{path} can't be read ({error}); rebuild it") from error


def _mapped(file: BufferedReader) -> tuple[mmap.mmap, bytes]:
    """The bytes where they lie; they are read once, for the digest, without being mapped."""
    file.seek(_DIGEST.stop)
    digest = hashlib.file_digest(file, "sha256").digest()
    return mmap.mmap(file.fileno(), 0, mmap.MAP_PRIVATE, mmap.PROT_READ), digest


def _copied(file: BufferedReader, size: int) -> tuple[mmap.mmap, bytes]:
    # An anonymous mapping begins at a page, so the arrays lie as aligned as in the file.
    memory = mmap.mmap(-1, max(size, 1), mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    file.readinto(memory)
    with memoryview(memory) as content:
        return memory, hashlib.sha256(content[_DIGEST.stop :]).digest()


def _verify(path: Path, content: memoryview, digest: bytes) -> None:
    if content[: len(_MAGIC)] != _MAGIC:
        raise SealError(f"{path} is not a sealed file; rebuild it")
    if digest != content[_DIGEST]:
        raise SealError(f"{path} is damaged: its SHA-256 does not fit its bytes; rebuild it")


def _header_of(content: memoryview) -> tuple[dict[str, Any], int]:
    """The header and where the arrays start."""
    start = _LENGTH.stop + int.from_bytes(content[_LENGTH], "little")
    return json.loads(bytes(content[_LENGTH.stop : start])), start


def _sealed(
    memory: mmap.mmap, digest: bytes, header: Mapping[str, Any], payload: memoryview
) -> Sealed:
    return Sealed(
        mapped=memory if len(memory) >= _MAPPED_FROM else None,
        sha256=digest,
        position=Position(**header["position"]),
        count=header["count"],
        arrays={
            name: _array(payload, np.dtype(dtype), shape, offset)
            for name, dtype, shape, offset in header["arrays"]
        },
        meta=header["meta"],
    )


def _array(payload: memoryview, dtype: np.dtype[Any], shape: list[int], offset: int) -> Array:
    count = int(np.prod(shape, dtype=np.int64))
    return np.frombuffer(payload, dtype, count, offset).reshape(shape)
