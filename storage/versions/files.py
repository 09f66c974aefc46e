"""The files of a model: which are taken, and how they are kept.

Weights are safetensors or GGUF, all else is JSON or text. What says otherwise, by its name or by
its first bytes, is refused: a pickle runs code when it is loaded. Files are checked in the copy
that is kept, which nobody else changes meanwhile.
"""

import errno
import hashlib
import json
import os
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from io import BufferedReader
from pathlib import Path, PurePosixPath
from tempfile import mkdtemp

from storage.errors import InvalidRecordError, NotFoundError, StorageError
from storage.versions.values import StoredFile

WEIGHT_SUFFIXES = frozenset({".safetensors", ".gguf"})
_TEXT_SUFFIXES = frozenset({".txt", ".md", ".jinja"})
_BLOCK = 1 << 20
_SENTENCEPIECE = b"\x0a"
_GGUF = b"GGUF"
_LONGEST_HEADER = 100_000_000
_PARTIAL = ".partial-"
_ABANDONED_S = 24 * 3600

Digest = Callable[[Path], str]
"""The SHA-256 of a file, in hexadecimal."""


def sha256_of(path: Path) -> str:
    """The SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def over_all(files: Mapping[str, StoredFile]) -> str:
    """One SHA-256 for several files: that of the only one, or of the list that `sha256sum` prints,
    sorted by name."""
    if len(files) == 1:
        return next(iter(files.values())).sha256
    listed = "".join(f"{file.sha256}  {name}\n" for name, file in sorted(files.items()))
    return hashlib.sha256(listed.encode()).hexdigest()


def over_weights(files: Mapping[str, StoredFile]) -> str:
    """The same over the files of weights alone; over all where there are none, as for a model
    that is some numbers in JSON."""
    weights = {name: file for name, file in files.items() if _suffix(name) in WEIGHT_SUFFIXES}
    return over_all(weights or files)


def _suffix(name: str) -> str:
    return PurePosixPath(name).suffix.lower()


@contextmanager
def copied(source: Path, beside: Path) -> Iterator[tuple[Path, dict[str, StoredFile]]]:
    """A checked, durable copy of the files of `source`, a folder or one file, in a folder of its
    own below `beside`; removed at the end unless it was renamed.

    Raises `NotFoundError`, `InvalidRecordError` for a file that is not taken, and `StorageError`
    where the disk takes no more.
    """
    found = _found(source)
    with new_folder(beside) as folder:
        yield folder, {name: _copy(name, file, folder / name) for name, file in found.items()}


@contextmanager
def new_folder(beside: Path) -> Iterator[Path]:
    """An empty folder below `beside`, removed at the end unless it was renamed."""
    with disk_errors_told(beside):
        beside.mkdir(parents=True, exist_ok=True)
        _clear_abandoned(beside)
        folder = Path(mkdtemp(dir=beside, prefix=_PARTIAL))
        folder.chmod(0o755)
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def _clear_abandoned(beside: Path) -> None:
    """Remove what was left by a program that was killed; a younger one may still be written to."""
    for folder in beside.glob(f"{_PARTIAL}*"):
        # Another program may have renamed its own since it was listed.
        with suppress(FileNotFoundError):
            if time.time() - folder.stat().st_mtime > _ABANDONED_S:
                shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def disk_errors_told(place: Path) -> Iterator[None]:
    """Turn what the disk refuses into `StorageError`."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise StorageError(
                f"no space is left for a model in {place}: free some and run this again"
            ) from error
        raise StorageError(
            f"the files of a model can't be kept in {place}: {error.strerror or error};"
            " check the folder and your right to write there"
        ) from error


def put_in_place(folder: Path, place: Path) -> None:
    """Rename `folder` to `place`; what a registration that was killed left there makes room."""
    place.parent.mkdir(parents=True, exist_ok=True)
    if place.exists():
        place.rename(folder.with_name(f"{folder.name}-replaced"))
        shutil.rmtree(folder.with_name(f"{folder.name}-replaced"), ignore_errors=True)
    folder.rename(place)
    _sync_folder(place.parent)


def problem_of(folder: Path, files: Mapping[str, StoredFile], digest: Digest) -> str | None:
    """What is wrong with `folder`, where `files` should be and nothing else; None if nothing."""
    if not folder.is_dir():
        return f"the folder {folder} is not there"
    for name, file in files.items():
        path = folder / name
        if not path.is_file():
            return f"the file {path} is missing"
        if path.stat().st_size != file.size_bytes or digest(path) != file.sha256:
            return f"the file {path} is damaged (its SHA-256 is not the recorded one)"
    foreign = {path.relative_to(folder).as_posix() for path in _walk(folder)} - files.keys()
    return f"the file {folder / min(foreign)} is not one of the model's" if foreign else None


def read_files(folder: Path) -> dict[str, StoredFile]:
    """The files of a folder that is ours, checked. Raises `InvalidRecordError`."""
    return {
        name: StoredFile(sha256=sha256_of(file), size_bytes=_checked(name, file).stat().st_size)
        for name, file in _found(folder).items()
    }


def _found(source: Path) -> dict[str, Path]:
    """Files by their path below `source`, in order."""
    if source.is_file():
        return {source.name: source}
    if not source.is_dir():
        raise NotFoundError(f"there is no model at {source}; name a folder or a file of weights")
    found = {path.relative_to(source).as_posix(): path for path in _walk(source)}
    if not found:
        raise InvalidRecordError(f"the folder {source} is empty; name one that holds a model")
    return found


def _walk(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_symlink() or not path.is_dir())


def _copy(name: str, source: Path, to: Path) -> StoredFile:
    _check_name(name, source)
    to.parent.mkdir(parents=True, exist_ok=True)
    digest, size_bytes = hashlib.sha256(), 0
    with _opened(source) as file, to.open("xb") as copy:
        while block := file.read(_BLOCK):
            digest.update(block)
            size_bytes += len(block)
            copy.write(block)
        copy.flush()
        os.fsync(copy.fileno())
    _check_content(name, to)
    return StoredFile(sha256=digest.hexdigest(), size_bytes=size_bytes)


def _opened(source: Path) -> BufferedReader:
    try:
        return source.open("rb")
    except OSError as error:
        raise NotFoundError(f"the file {source} can't be read: {error.strerror}") from error


def _checked(name: str, file: Path) -> Path:
    _check_name(name, file)
    _check_content(name, file)
    return file


def _check_name(name: str, file: Path) -> None:
    if not name.isprintable() or name != PurePosixPath(name).as_posix() or ".." in name.split("/"):
        raise InvalidRecordError(
            f"{name[:120]!r} can't be the path of a file of a model; rename it"
        )
    if not file.is_file():
        raise InvalidRecordError(f"{file} is no file; a model is made of files")
    if _suffix(name) not in _CHECKS:
        raise InvalidRecordError(
            f"the file {name!r} is not one that a model is made of: weights in safetensors or GGUF,"
            " settings in JSON, text; convert it or take it out"
        )


def _check_content(name: str, file: Path) -> None:
    """Raise `InvalidRecordError` unless the file is what its name says."""
    try:
        _CHECKS[_suffix(name)](file)
    except ValueError as error:
        raise InvalidRecordError(
            f"the file {name!r} is not what its name says: {error}; convert it or take it out"
        ) from error


def _check_safetensors(file: Path) -> None:
    with file.open("rb") as opened:
        length = int.from_bytes(opened.read(8), "little")
        if not 2 <= length <= min(_LONGEST_HEADER, file.stat().st_size - 8):
            raise ValueError("it has no header of safetensors")
        if not isinstance(json.loads(opened.read(length)), dict):
            raise ValueError("its header is no JSON object")


def _check_gguf(file: Path) -> None:
    if _beginning(file, len(_GGUF)) != _GGUF:
        raise ValueError("it does not begin as GGUF does")


def _check_json(file: Path) -> None:
    json.loads(file.read_bytes())


def _check_text(file: Path) -> None:
    file.read_bytes().decode("utf-8")


def _check_sentencepiece(file: Path) -> None:
    if _beginning(file, 1) != _SENTENCEPIECE:
        raise ValueError("it does not begin as a SentencePiece model does")


def _beginning(file: Path, length: int) -> bytes:
    with file.open("rb") as opened:
        return opened.read(length)


_CHECKS: Mapping[str, Callable[[Path], None]] = {
    ".safetensors": _check_safetensors,
    ".gguf": _check_gguf,
    ".json": _check_json,
    ".model": _check_sentencepiece,
    **dict.fromkeys(_TEXT_SUFFIXES, _check_text),
}


def _sync_folder(folder: Path) -> None:
    """A rename survives a power cut only when its folder was synced too."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
