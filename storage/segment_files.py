"""The files of one index: one for each segment, and a manifest that lists those that count.

A segment's file is written once, under a name of its own, and never changed. An index is published
by one atomic rename of its manifest: what it does not list is nobody's, whatever else lies there.
"""

import secrets
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from glob import escape
from pathlib import Path

import numpy as np
import numpy.typing as npt

from storage.errors import SealError
from storage.records import Position
from storage.sealed import Array, Meta, Sealed, draft_of, seal, sole_writer, unseal

Mask = npt.NDArray[np.bool_]

_TOKEN_BYTES = 8
_SHA256_BYTES = 32


@dataclass(frozen=True, slots=True)
class SegmentFile:
    """A file that holds a segment: what its name ends in, and what its bytes must hash to."""

    token: bytes
    sha256: bytes


@dataclass(frozen=True, slots=True)
class Listed:
    """A segment that an index is made of, and which of its rows live, (rows,)."""

    file: SegmentFile
    live: Mask


@dataclass(frozen=True, slots=True)
class Manifest:
    """All that an index was made of when it was published."""

    sha256: bytes
    position: Position
    listed: tuple[Listed, ...]


@dataclass(frozen=True, slots=True)
class SegmentFiles:
    """The manifest at `path` and the files beside it."""

    path: Path
    kind: str
    meta: Meta
    """What must be the same for the files to be of use."""

    def sole_writer(self) -> AbstractContextManager[None]:
        """The right to write here."""
        return sole_writer(self.path)

    def holds(self, file: SegmentFile) -> bool:
        """Whether the file is there; another program may have published an index without it."""
        return self._path_of(file.token).exists()

    def write(self, arrays: Mapping[str, Array], *, count: int, position: Position) -> SegmentFile:
        """Seal a segment; it counts once it is published."""
        token = secrets.token_bytes(_TOKEN_BYTES)
        sha256 = seal(
            self._path_of(token),
            kind=self.kind,
            position=position,
            count=count,
            arrays=arrays,
            meta=self.meta,
        )
        return SegmentFile(token, sha256)

    def publish(self, listed: Sequence[Listed], position: Position) -> None:
        """Make these segments the index, and remove the files of all others."""
        arrays: dict[str, Array] = {
            "tokens": _table([entry.file.token for entry in listed], _TOKEN_BYTES),
            "sha256": _table([entry.file.sha256 for entry in listed], _SHA256_BYTES),
            "rows": np.array([entry.live.size for entry in listed], np.int64),
        }
        live = {f"live {number}": np.packbits(entry.live) for number, entry in enumerate(listed)}
        seal(
            self.path,
            kind=self._manifest_kind,
            position=position,
            count=sum(int(np.count_nonzero(entry.live)) for entry in listed),
            arrays={**arrays, **live},
            meta=self.meta,
        )
        self._remove_all_but({self._path_of(entry.file.token) for entry in listed})

    def manifest(self) -> Manifest:
        """What was published last; `SealError` if that can't be said for sure."""
        sealed = self._unsealed(self.path, self._manifest_kind)
        try:
            listed = _listed(sealed)
        except (KeyError, ValueError) as error:
            raise SealError(f"{self.path} lists no segments; rebuild it") from error
        if sum(int(np.count_nonzero(entry.live)) for entry in listed) != sealed.count:
            raise SealError(f"{self.path} lists more rows or fewer than it says; rebuild it")
        return Manifest(sealed.sha256, sealed.position, listed)

    def read(self, listed: Listed) -> Sealed:
        """What the file of a segment holds; `SealError` if it is not the one that is listed."""
        path = self._path_of(listed.file.token)
        sealed = self._unsealed(path, self.kind)
        if sealed.sha256 != listed.file.sha256 or sealed.count != listed.live.size:
            raise SealError(f"{path} is not the file that its index lists; rebuild it")
        return sealed

    @property
    def _manifest_kind(self) -> str:
        return f"{self.kind}: manifest"

    def _path_of(self, token: bytes) -> Path:
        return self.path.with_name(f"{self.path.name}.{token.hex()}")

    def _unsealed(self, path: Path, kind: str) -> Sealed:
        sealed = unseal(path, kind=kind)
        if sealed.meta != self.meta:
            raise SealError(f"{path} was made with other settings; rebuild it")
        return sealed

    def _remove_all_but(self, kept: set[Path]) -> None:
        pattern = f"{escape(self.path.name)}.{'[0-9a-f]' * 2 * _TOKEN_BYTES}"
        segments = self.path.parent.glob(pattern)
        drafts = self.path.parent.glob(draft_of(Path(pattern)).name)
        for path in {*segments, *drafts} - kept:
            # Who has it open goes on to read it: its bytes stay until the last reader is gone.
            path.unlink(missing_ok=True)


def _table(values: Sequence[bytes], width: int) -> npt.NDArray[np.uint8]:
    return np.frombuffer(b"".join(values), np.uint8).reshape(len(values), width)


def _listed(sealed: Sealed) -> tuple[Listed, ...]:
    columns = (sealed.arrays[name] for name in ("tokens", "sha256", "rows"))
    return tuple(
        Listed(SegmentFile(token.tobytes(), sha256.tobytes()), _live(sealed, number, int(rows)))
        for number, (token, sha256, rows) in enumerate(zip(*columns, strict=True))
    )


def _live(sealed: Sealed, number: int, rows: int) -> Mask:
    return np.unpackbits(sealed.arrays[f"live {number}"], count=rows).astype(np.bool_)
