"""SHA-256 of files, remembered while a file keeps its size and its time of change."""

import hashlib
import json
import logging
import os
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

_log = logging.getLogger(__name__)


def sha256_of(path: Path) -> str:
    """The SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def combined(digests: Mapping[str, str]) -> str:
    """One SHA-256 for several files by name, in whatever order they come.

    That of the only file is its own; of several it is the hash of their list in the format that
    `sha256sum` prints, sorted by name.
    """
    if len(digests) == 1:
        return next(iter(digests.values()))
    listed = "".join(f"{digest}  {name}\n" for name, digest in sorted(digests.items()))
    return hashlib.sha256(listed.encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class DigestCache:
    """Digests of large files, kept in one JSON file by (path, size, time of change).

    It only saves time. Two processes that write at once may lose one another's entries, which are
    then computed again.
    """

    path: Path

    def digest(self, file: Path) -> str:
        """The SHA-256 of `file`, read anew if its size or its time of change is another."""
        status = file.stat()
        key = str(file.resolve())
        stamp = f"{status.st_size} {status.st_mtime_ns}"
        known = self._load()
        if (entry := known.get(key)) is not None and entry[0] == stamp:
            return entry[1]
        digest = sha256_of(file)
        self._store(known | {key: (stamp, digest)})
        return digest

    def _load(self) -> dict[str, tuple[str, str]]:
        try:
            stored = json.loads(self.path.read_text("utf-8"))
            return {str(key): (str(stamp), str(value)) for key, (stamp, value) in stored.items()}
        except FileNotFoundError:
            return {}
        except (OSError, ValueError, AttributeError, TypeError) as error:
            _log.warning(
                "The digests in %s can't be read and are computed anew: %s", self.path, error
            )
            return {}

    def _store(self, known: Mapping[str, tuple[str, str]]) -> None:
        try:
            _replace(self.path, json.dumps(known, indent=0, sort_keys=True))
        except OSError as error:
            _log.warning("The digests in %s can't be kept: %s", self.path, error)


def _replace(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
