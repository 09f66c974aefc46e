"""Bytes in the database under their SHA-256, in pieces, so that memory never holds all of them."""

import hashlib
from collections.abc import Iterable, Iterator
from pathlib import Path

from sqlalchemy import Connection, delete, func, insert, select

from storage.errors import SealError
from storage.models.versions import BlobPieceRow

PIECE_BYTES = 4 << 20


def put_blob(connection: Connection, sha256: str, pieces: Iterable[bytes]) -> None:
    """Keep `pieces`, whose SHA-256 together is `sha256`, unless they are there."""
    if is_there(connection, sha256):
        return
    for ordinal, piece in enumerate(pieces):
        connection.execute(
            insert(BlobPieceRow).values(sha256=sha256, ordinal=ordinal, content=piece)
        )


def is_there(connection: Connection, sha256: str) -> bool:
    """Whether anything is kept under it."""
    statement = select(func.count()).select_from(BlobPieceRow).filter_by(sha256=sha256)
    return connection.execute(statement).scalar_one() > 0


def pieces_of(path: Path) -> Iterator[bytes]:
    """The bytes of a file; one empty piece of an empty one."""
    with path.open("rb") as file:
        yield file.read(PIECE_BYTES)
        while piece := file.read(PIECE_BYTES):
            yield piece


def blob_pieces(connection: Connection, sha256: str) -> Iterator[bytes]:
    """What was kept under `sha256`. Raises `SealError` at the end if it was not just that."""
    digest = hashlib.sha256()
    ordinals = select(BlobPieceRow.ordinal).filter_by(sha256=sha256).order_by(BlobPieceRow.ordinal)
    for ordinal in connection.execute(ordinals).scalars().all():
        piece = select(BlobPieceRow.content).filter_by(sha256=sha256, ordinal=ordinal)
        content = bytes(connection.execute(piece).scalar_one())
        digest.update(content)
        yield content
    if digest.hexdigest() != sha256:
        raise SealError(
            f"the bytes {sha256[:12]}… in the database are missing or were changed;"
            " register again what they belong to"
        )


def remove_blob(connection: Connection, sha256: str) -> None:
    """Forget it; only for who knows that nothing refers to it."""
    connection.execute(delete(BlobPieceRow).filter_by(sha256=sha256))
