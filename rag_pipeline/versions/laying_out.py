"""A data set as files for other tools, such as DVC: the same version is the same bytes anywhere."""

import json
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rag_pipeline.datasets.errors import DatasetError
from rag_pipeline.datasets.files import new_file, sha256_of
from rag_pipeline.versions.snapshot import files_of
from storage.versions.datasets import Member, member_line
from storage.versions.values import DatasetVersion

MANIFEST = "manifest.json"
MEMBERS = "members.jsonl"


def lay_out(
    dataset: DatasetVersion,
    members: Sequence[Member] | None,
    folder: Path,
    *,
    overwrite: bool,
) -> list[Path]:
    """Write its files, the list of what is in it, and its manifest, into `folder`.

    A file that is there with the same bytes is left as it is. Raises `DatasetError` where a file
    of the data set is gone or was changed, or another one is in the way; then nothing is written.
    """
    sources = files_of(dataset)
    _check_sources(dataset, sources)
    contents = {MANIFEST: _manifest(dataset)}
    if members is not None:
        contents[MEMBERS] = b"".join(map(member_line, members))
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DatasetError(
            f"{folder} can't be made: {error.strerror}; name another folder"
        ) from error
    _check_way(folder, contents, sources, overwrite=overwrite)
    for path in sources:
        _copy(path, folder / path.name, overwrite=overwrite)
    for name, content in contents.items():
        _write(folder / name, content, overwrite=overwrite)
    return [folder / name for name in (*(path.name for path in sources), *contents)]


def _check_sources(dataset: DatasetVersion, sources: Mapping[Path, str]) -> None:
    for path, sha256 in sources.items():
        if not path.is_file() or sha256_of(path) != sha256:
            raise DatasetError(
                f"{path} is not what was registered as {dataset.reference}: put the file back, or"
                " export it anew"
            )


def _check_way(
    folder: Path,
    contents: Mapping[str, bytes],
    sources: Mapping[Path, str],
    *,
    overwrite: bool,
) -> None:
    for name in (*contents, *(path.name for path in sources)):
        there = folder / name
        if there.exists() and not overwrite and not _is_same(there, name, contents, sources):
            raise DatasetError(
                f"{there} is there already and is another: name another folder, or replace it by"
                " --force"
            )


def _is_same(
    there: Path, name: str, contents: Mapping[str, bytes], sources: Mapping[Path, str]
) -> bool:
    if not there.is_file():
        return False
    if name in contents:
        return there.read_bytes() == contents[name]
    return sha256_of(there) in sources.values()


def _manifest(dataset: DatasetVersion) -> bytes:
    """What is said of it but for when, where and under which number it was registered."""
    said: Mapping[str, Any] = {
        "name": dataset.name,
        "kind": dataset.kind,
        "sha256": dataset.sha256,
        "manifest": dataset.manifest,
        "metadata": dataset.metadata,
    }
    return json.dumps(said, ensure_ascii=False, sort_keys=True, indent=2).encode() + b"\n"


def _copy(source: Path, to: Path, *, overwrite: bool) -> None:
    if to.exists() and to.samefile(source):
        return
    with source.open("rb") as opened, new_file(to, overwrite=overwrite or to.exists()) as file:
        shutil.copyfileobj(opened, file)


def _write(to: Path, content: bytes, *, overwrite: bool) -> None:
    with new_file(to, overwrite=overwrite or to.exists()) as file:
        file.write(content)
