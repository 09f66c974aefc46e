"""Where the files of registered models are on this machine: `models/NAME/VERSION/` in the home."""

import shutil
from dataclasses import dataclass
from pathlib import Path

from storage.engine import Database
from storage.errors import InvalidRecordError, SealError
from storage.versions.blob_pieces import blob_pieces, is_there
from storage.versions.files import (
    Digest,
    copied,
    disk_errors_told,
    new_folder,
    over_all,
    problem_of,
    put_in_place,
    sha256_of,
)
from storage.versions.values import ModelVersion


@dataclass(frozen=True, slots=True)
class ModelFolders:
    """The folders of all models; those of models in the database are written when they are used."""

    database: Database
    home: Path | None

    @property
    def root(self) -> Path:
        """Raises `InvalidRecordError` where there is no home to keep files in."""
        if self.home is None:
            raise InvalidRecordError("versions of models need a home to keep their files in")
        return self.home / "models"

    def of(self, model: ModelVersion) -> Path:
        """Where its files belong, whether they are there or not."""
        return self.root / model.name / str(model.version)

    def is_whole(self, model: ModelVersion, digest: Digest = sha256_of) -> bool:
        """Whether its files are there as they were registered."""
        return problem_of(self.of(model), model.files, digest) is None

    def checked(self, model: ModelVersion, digest: Digest = sha256_of) -> Path:
        """Its files, whole; those in the database are written out first.

        Raises `SealError` where a file is missing or damaged.
        """
        folder = self.of(model)
        if model.storage == "blob" and not self.is_whole(model, digest):
            self._write_out(model, folder)
        problem = problem_of(folder, model.files, digest)
        if problem is not None:
            raise SealError(
                f"{model.reference} can't be used: {problem}; register it again, or activate"
                " another version"
            )
        return folder

    def are_kept(self, model: ModelVersion) -> bool:
        """Whether its weights still are here or in the database: those of what is retired may be,
        those of what was discarded are not."""
        if model.state != "retired" or self.of(model).exists():
            return True
        with self.database.read() as connection:
            digests = [file.sha256 for file in model.files.values()]
            return model.storage == "blob" and all(is_there(connection, one) for one in digests)

    def keep(self, model: ModelVersion, fetched: Path) -> Path:
        """Keep a copy of what was fetched from the link of `model`.

        Raises `SealError` unless it is what was registered.
        """
        with copied(fetched, self.root) as (copy, files):
            if over_all(files) != model.sha256:
                raise SealError(
                    f"{model.location} does not hold {model.reference} any more: its SHA-256 is"
                    " another; register what is there as a new version"
                )
            put_in_place(copy, self.of(model))
        return self.of(model)

    def remove(self, model: ModelVersion) -> None:
        """Take its files off this machine. Raises `StorageError` where that can't be done."""
        with disk_errors_told(self.root):
            if (folder := self.of(model)).exists():
                shutil.rmtree(folder)

    def _write_out(self, model: ModelVersion, folder: Path) -> None:
        with (
            disk_errors_told(folder),
            new_folder(self.root) as fresh,
            self.database.read() as connection,
        ):
            for name, file in model.files.items():
                (fresh / name).parent.mkdir(parents=True, exist_ok=True)
                with (fresh / name).open("xb") as opened:
                    opened.writelines(blob_pieces(connection, file.sha256))
            put_in_place(fresh, folder)
