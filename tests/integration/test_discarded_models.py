"""Versions of models whose weights are taken back."""

from pathlib import Path

import pytest
from support.versions import write_model

from storage.engine import Database
from storage.errors import SealError
from storage.versions.registry import Versions


@pytest.fixture
def versions(database: Database, tmp_path: Path) -> Versions:
    return Versions(database, tmp_path / "home")


@pytest.mark.parametrize("keep", ["file", "blob"])
def test_a_discarded_version_stays_on_record_without_its_weights(
    versions: Versions, tmp_path: Path, keep: str
) -> None:
    folder = write_model(tmp_path / "m1")
    model = versions.add_model("m", kind="synthetic", folder=folder, keep=keep)  # type: ignore[arg-type]
    versions.activate("m", 1)
    place = versions.folders.checked(model)
    discarded = versions.discard("m", 1, reason="deleted", user="ann")
    assert (discarded.state, discarded.files) == ("retired", model.files)
    assert versions.active("m") is None
    assert not place.exists()
    with pytest.raises(SealError, match="m@1|missing"):
        versions.folders.checked(discarded)
    with pytest.raises(SealError):
        versions.activate("m", 1)
    assert versions.discard("m", 1).state == "retired"


def test_what_another_version_has_in_the_database_too_stays_there(
    versions: Versions, tmp_path: Path
) -> None:
    folder = write_model(tmp_path / "m1")
    versions.add_model("m", kind="synthetic", folder=folder, keep="blob")
    other = versions.add_model("n", kind="synthetic", folder=folder, keep="blob")
    versions.discard("m", 1)
    assert versions.folders.checked(other).is_dir()
