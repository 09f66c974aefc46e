"""The wheel: what is in it, and that it works away from the checkout."""

import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = {"storage", "ingest", "rag_pipeline"}

BELONGS = """
import importlib.metadata, json, storage, ingest, rag_pipeline
owners = importlib.metadata.packages_distributions()
print(json.dumps({m.__name__: [m.__file__, sorted(set(owners[m.__name__]))]
                  for m in (storage, ingest, rag_pipeline)}))
"""


def run(*command: str | Path, cwd: Path, installed: Path | None = None) -> str:
    inherited = {k: v for k, v in os.environ.items() if not k.startswith(("RAG_", "PYTHONPATH"))}
    environment = inherited if installed is None else {**inherited, "PYTHONPATH": str(installed)}
    done = subprocess.run(
        [sys.executable, *map(str, command)],
        cwd=cwd,
        env={**environment, "RAG_GENERATOR": "echo"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("hatchling", reason="building the wheel needs the dev packages")
    folder = tmp_path_factory.mktemp("wheel")
    pip = ("-m", "pip", "wheel", "--quiet", "--disable-pip-version-check", "--no-deps")
    run(*pip, "--no-build-isolation", "--wheel-dir", folder, ROOT, cwd=folder)
    (built,) = folder.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("installed")
    pip = ("-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps")
    run(*pip, "--no-index", "--target", folder, wheel, cwd=folder)
    return folder


def test_the_wheel_holds_the_packages_their_types_and_the_migrations(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    top = {name.partition("/")[0] for name in names}
    assert {name for name in top if not name.endswith(".dist-info")} == PACKAGES
    assert {f"{package}/py.typed" for package in PACKAGES} <= names
    versions = {f"storage/_migrations/versions/{p.name}" for p in migrations()}
    assert {"storage/_migrations/env.py", *versions} <= names
    modules = {
        path.relative_to(ROOT).as_posix()
        for package in PACKAGES
        for path in (ROOT / package).rglob("*.py")
    }
    assert modules <= names
    assert not [name for name in names if "test" in name or "__pycache__" in name]


def migrations() -> list[Path]:
    return list((ROOT / "migrations" / "versions").glob("*.py"))


def test_the_top_level_names_belong_to_this_distribution(installed: Path, tmp_path: Path) -> None:
    found = json.loads(run("-c", BELONGS, cwd=tmp_path, installed=installed))
    assert found.keys() == PACKAGES
    for file, owners in found.values():
        assert Path(file).is_relative_to(installed)
        assert owners == ["rag-pipeline-service"]


def test_the_installed_program_migrates_ingests_and_finds(installed: Path, tmp_path: Path) -> None:
    (tmp_path / "note.txt").write_text("The harbour light is red.")
    rag = ("-m", "rag_pipeline", "--home", tmp_path / "home")
    assert run(*rag, "db", "upgrade", cwd=tmp_path, installed=installed)
    run(*rag, "ingest", "note.txt", cwd=tmp_path, installed=installed)
    search = ("search", "harbour", "--mode", "keyword", "--json")
    (hit,) = json.loads(run(*rag, *search, cwd=tmp_path, installed=installed))["hits"]
    assert hit["text"] == "The harbour light is red."
