"""Takes what is erased out of the data sets that are on record, and deletes their files."""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sqlalchemy import select, update

from storage.engine import Database
from storage.erasing.editing import edited_json, whole
from storage.erasing.marks import FORGOTTEN
from storage.models.versions import DatasetVersionRow, ModelDatasetRow, ModelVersionRow
from storage.versions.registry import Versions
from storage.versions.values import DatasetVersion


@dataclass(slots=True)
class Tainted:
    """Data sets that held what is erased, and what was made of them."""

    datasets: list[str] = field(default_factory=list)
    deleted: list[str] = field(default_factory=list)
    """Files in the home."""
    elsewhere: list[str] = field(default_factory=list)
    """Files and links that are not ours to delete."""
    models: list[str] = field(default_factory=list)
    """Trained on one of them: what a model has learnt can't be taken out of it."""

    def add(self, other: "Tainted") -> None:
        """Take in what another has, each once."""
        for mine, theirs in (
            (self.datasets, other.datasets),
            (self.deleted, other.deleted),
            (self.elsewhere, other.elsewhere),
            (self.models, other.models),
        ):
            mine += [one for one in theirs if one not in mine]

    def as_json(self) -> dict[str, Any]:
        return {
            "datasets": self.datasets,
            "files_deleted": self.deleted,
            "exported_elsewhere": self.elsewhere,
            "models_trained_on_it": self.models,
        }


def taint(versions: Versions, field: str, values: Collection[str]) -> Tainted:
    """Delete the files in the home of every data set with a member whose `field` is one of
    `values`, and say what else there is of it. The members stay, so that it may be repeated."""
    tainted = Tainted()
    for dataset in versions.datasets_holding(field, values):
        tainted.datasets.append(dataset.reference)
        tainted.models += _models_of(versions.database, dataset.dataset_id)
        for path in _files(dataset):
            _delete(path, versions.home, tainted)
    return tainted


def take_out(versions: Versions, field: str, values: Collection[str]) -> int:
    """Take these members out of every data set that has them; how many it was."""
    holding = versions.datasets_holding(field, values)
    return sum(versions.take_out(dataset.reference, field, values) for dataset in holding)


def _delete(path: Path, home: Path | None, tainted: Tainted) -> None:
    if home is not None and path.is_relative_to(home.resolve()):
        path.unlink(missing_ok=True)
        tainted.deleted.append(str(path.relative_to(home.resolve())))
    elif path.exists():
        tainted.elsewhere.append(str(path))


def _files(dataset: DatasetVersion) -> Iterator[Path]:
    if dataset.location is None:
        return
    first = Path(dataset.location)
    names = [said.get("file") for said in dataset.manifest.get("files") or ()]
    yield first.resolve()
    for name in names:
        if isinstance(name, str) and name != first.name:
            yield first.with_name(name).resolve()


def _models_of(database: Database, dataset_id: int) -> list[str]:
    statement = (
        select(ModelVersionRow.name, ModelVersionRow.version)
        .join(ModelDatasetRow, ModelDatasetRow.model_id == ModelVersionRow.model_id)
        .where(ModelDatasetRow.dataset_id == dataset_id)
        .distinct()
    )
    with database.read() as connection:
        return [f"{row.name}@{row.version}" for row in connection.execute(statement)]


def unname(database: Database, names: Collection[str]) -> int:
    """Put a mark in the place of `names` in what data sets say of how they were made."""
    changed = 0
    with database.write() as connection:
        rows = connection.execute(select(DatasetVersionRow.__table__)).mappings().all()
        for row in rows:
            values = _unnamed({"manifest": row["manifest"], "about": row["about"]}, names)
            if values:
                changed += 1
                connection.execute(
                    update(DatasetVersionRow)
                    .where(DatasetVersionRow.dataset_id == row["dataset_id"])
                    .values(**values)
                )
    return changed


def _unnamed(said: Mapping[str, Any], names: Collection[str]) -> dict[str, Any]:
    edited = {
        key: edited_json(value, lambda text: whole(text, FORGOTTEN) if text in names else None)
        for key, value in said.items()
    }
    return {key: value for key, value in edited.items() if value != said[key]}
