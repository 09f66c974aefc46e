"""Weights converted for another runtime, kept in the user cache beside what they came from.

Each conversion is one folder under a key, with a manifest of SHA-256s. It is made beside its place
and put there by one rename, under a lock, so that a conversion that is killed or runs twice leaves
a whole folder or none. It is derived: what is damaged is made again. That a model can't be
converted is kept too, so that it is found out once.
"""

import hashlib
import json
import logging
import shutil
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock

from ingest.embedders.errors import UnfitModelError
from rag_pipeline.weights.digests import sha256_of

_log = logging.getLogger(__name__)

_MANIFEST = "manifest.json"

Convert = Callable[[Path], None]
"""Writes converted weights into an empty folder; `UnfitModelError` if there can be none."""
Digest = Callable[[Path], str]
"""The SHA-256 of a file, in hexadecimal."""


@dataclass(frozen=True, slots=True)
class ConvertedWeights:
    """All conversions on this machine."""

    folder: Path

    def files(self, key: str, convert: Convert) -> Mapping[str, bytes]:
        """The converted files by name, verified; converts them first if they are not there.

        Raises `UnfitModelError` if the model can't be converted, now or when it was tried before.
        """
        place = self.folder / key
        found = _read(place)
        if found is None:
            self.folder.mkdir(parents=True, exist_ok=True)
            with FileLock(self.folder / f".{key}.lock"):
                found = _read(place)
                if found is None:
                    _make(place, convert)
                    found = _read(place)
        if found is None:
            raise UnfitModelError(f"{place} does not hold what was written to it; check the disk")
        return found

    def place(self, key: str, convert: Convert, digest: Digest) -> Path:
        """The folder of converted files that are too large to be handed over, verified by `digest`;
        converts them first if they are not there. Raises what `convert` raises."""
        place = self.folder / key
        if not _is_whole(place, digest):
            self.folder.mkdir(parents=True, exist_ok=True)
            with FileLock(self.folder / f".{key}.lock"):
                if not _is_whole(place, digest):
                    _make(place, convert)
        return place


def _is_whole(place: Path, digest: Digest) -> bool:
    """Whether every file is there as the manifest records it."""
    if not place.is_dir():
        return False
    try:
        files = dict(json.loads((place / _MANIFEST).read_text("utf-8"))["files"])
        whole = bool(files) and all(digest(place / name) == files[name] for name in files)
    except (OSError, ValueError, KeyError, TypeError) as error:
        _log.warning(
            "The converted weights in %s can't be read and are made anew: %s", place, error
        )
        return False
    if not whole:
        _log.warning("The converted weights in %s are damaged and are made anew", place)
    return whole


def _read(place: Path) -> Mapping[str, bytes] | None:
    """The files as the manifest records them; None if any is missing or otherwise."""
    if not place.is_dir():
        return None
    try:
        manifest = json.loads((place / _MANIFEST).read_text("utf-8"))
        refused, digests = manifest["refused"], dict(manifest["files"])
        files = {name: (place / name).read_bytes() for name in digests}
    except (OSError, ValueError, KeyError, TypeError) as error:
        _log.warning(
            "The converted weights in %s can't be read and are made anew: %s", place, error
        )
        return None
    if any(_sha256(content) != digests[name] for name, content in files.items()):
        _log.warning("The converted weights in %s are damaged and are made anew", place)
        return None
    if refused is not None:
        raise UnfitModelError(str(refused))
    return files


def _make(place: Path, convert: Convert) -> None:
    """Make the folder at `place`; the caller holds its lock."""
    for abandoned in place.parent.glob(f".{place.name}.partial-*"):
        shutil.rmtree(abandoned)
    partial = Path(tempfile.mkdtemp(dir=place.parent, prefix=f".{place.name}.partial-"))
    try:
        (converted := partial / "model").mkdir()
        _write_manifest(converted, refused=_refusal(convert, converted))
        if place.exists():
            place.rename(partial / "replaced")
        converted.rename(place)
    finally:
        shutil.rmtree(partial)


def _refusal(convert: Convert, folder: Path) -> str | None:
    """Convert into `folder`; if that is refused, leave it empty and say why."""
    try:
        convert(folder)
    except UnfitModelError as error:
        shutil.rmtree(folder)
        folder.mkdir()
        return str(error)
    return None


def _write_manifest(folder: Path, *, refused: str | None) -> None:
    files = {file.name: sha256_of(file) for file in sorted(folder.iterdir())}
    manifest = {"refused": refused, "files": files}
    (folder / _MANIFEST).write_text(json.dumps(manifest, indent=2) + "\n", "utf-8")


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
