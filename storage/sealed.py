"""The one place that opens and seals derived files.

A derived file can be lost, cut short or changed behind our back, and some formats load such damage
without a word. So every byte of it is under one SHA-256, checked before anything of it is used.

    magic (8) · SHA-256 of all that follows (32) · header's length (8) · header (JSON) · arrays

The arrays begin at multiples of 64 bytes from the start of the file. The header says what they are
and where in the history of the corpus they stand.
"""

import hashlib
import json
import mmap
import os
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Sealed:
    """What a file holds, verified. The arrays are read-only."""

    position: Position
    count: int
    arrays: Mapping[str, Array]
    meta: Meta


def seal(
    path: Path,
    *,
    kind: str,
    position: Position,
    count: int,
    arrays: Mapping[str, Array],
    meta: Meta,
) -> None:
    """Write a sealed file, whole and durable, or leave the one that is there as it was.

    Raises `SealError` for arrays of anything but numbers, and OSError where the disk refuses.
    """
    plain = {name: _plain(name, array) for name, array in arrays.items()}
    about = {"kind": kind, "version": _VERSION, "position": asdict(position), "count": count}
    header = _header({**about, "meta": dict(meta)}, plain)
    draft = path.with_name(f".{path.name}.tmp")
    # The lock gives the draft one owner; what a writer that died left there is written over.
    with FileLock(path.with_name(f".{path.name}.lock"), timeout=_LOCK_TIMEOUT_S):
        try:
            _write(draft, header, plain)
            draft.replace(path)
        except OSError:
            draft.unlink(missing_ok=True)
            raise
        _sync_folder(path.parent)


def unseal(path: Path, *, kind: str) -> Sealed:
    """The contents of a sealed file, once every byte is verified; `SealError` if any is off."""
    content = _read(path)
    _verify(path, content)
    try:
        header, start = _header_of(content)
        made = (header["kind"], header["version"])
        sealed = _sealed(header, content[start:]) if made == (kind, _VERSION) else None
    except (KeyError, TypeError, ValueError) as error:
        raise SealError(f"{path} is sealed, but not as this program does it; rebuild it") from error
    if sealed is None:
        raise SealError(f"{path} holds {made}, not {(kind, _VERSION)}; rebuild it")
    return sealed


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


def _write(path: Path, header: bytes, arrays: Mapping[str, Array]) -> None:
    digest = hashlib.sha256()
    with path.open("wb") as file:
        file.write(_MAGIC + bytes(digest.digest_size))
        for piece in _pieces(header, arrays):
            digest.update(piece)
            file.write(piece)
        file.seek(_DIGEST.start)
        file.write(digest.digest())
        _sync(file)


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


def _read(path: Path) -> memoryview:
    """The file's bytes in memory of our own.

    A shared mapping would change under us, or kill the process, when the file is damaged in place
    while it is in use.
    """
    try:
        with path.open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            # An anonymous mapping begins at a page, so the arrays lie as aligned as in the file.
            content = memoryview(mmap.mmap(-1, max(size, 1)))[:size]
            read = file.readinto(content)
    except OSError as error:
        raise SealError(f"{path} can't be read ({error}); rebuild it") from error
    return content[:read].toreadonly()


def _verify(path: Path, content: memoryview) -> None:
    if content[: len(_MAGIC)] != _MAGIC:
        raise SealError(f"{path} is not a sealed file; rebuild it")
    if hashlib.sha256(content[_DIGEST.stop :]).digest() != content[_DIGEST]:
        raise SealError(f"{path} is damaged: its SHA-256 does not fit its bytes; rebuild it")


def _header_of(content: memoryview) -> tuple[dict[str, Any], int]:
    """The header and where the arrays start."""
    start = _LENGTH.stop + int.from_bytes(content[_LENGTH], "little")
    return json.loads(bytes(content[_LENGTH.stop : start])), start


def _sealed(header: Mapping[str, Any], payload: memoryview) -> Sealed:
    return Sealed(
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
