"""Where settings come from, which of them wins, and what is said of those that can't be used."""

from pathlib import Path

import pytest

from rag_pipeline.errors import SettingsError
from rag_pipeline.pipeline import RagPipeline
from rag_pipeline.settings import load_settings


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("RAG_HOME", str(tmp_path))
    return tmp_path


def write(home: Path, content: str) -> None:
    (home / "settings.toml").write_text(content)


def test_the_home_is_found_in_the_environment_and_holds_the_database(home: Path) -> None:
    settings = load_settings()
    assert settings.home == home
    assert settings.database_url is None


def test_what_is_passed_wins_over_the_environment_and_that_over_the_file(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(home, 'generator = "file"\nembedder = "file"\n[retrieval]\ndepth = 3\n')
    monkeypatch.setenv("RAG_EMBEDDER", "environment")
    assert (load_settings().generator, load_settings().embedder) == ("file", "environment")
    assert load_settings(embedder="passed", generator=None).embedder == "passed"
    assert load_settings().retrieval.depth == 3


def test_sections_of_several_places_are_merged_name_by_name(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(home, '[retrieval]\ndepth = 3\nfusion = "rank"\n')
    monkeypatch.setenv("RAG_RETRIEVAL__DEPTH", "7")
    assert (load_settings().retrieval.depth, load_settings().retrieval.fusion) == (7, "rank")


def test_the_file_of_the_home_that_is_passed_is_read(home: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    write(home, 'generator = "wrong"')
    write(other, 'generator = "right"')
    assert load_settings(home=other).generator == "right"


def test_an_empty_home_is_refused_and_never_the_current_folder(home: Path) -> None:
    with pytest.raises(SettingsError, match="the home is empty"):
        load_settings(home="")
    with pytest.raises(SettingsError, match="the home is empty"):
        RagPipeline.open("")
    assert load_settings(home=Path()).home == Path()


@pytest.mark.parametrize("name", ["RAG_RETREIVAL__DEPTH", "RAG_RETRIEVAL_DEPTH", "rag_hom"])
def test_an_unknown_variable_is_named(
    home: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv(name, "1")
    with pytest.raises(SettingsError, match=rf"{name} is unknown.*RAG_RETRIEVAL"):
        load_settings()


@pytest.mark.parametrize(
    ("content", "named"),
    [
        ("[retrieval]\ndepht = 3", r"retrieval\.depht"),
        ("[retreival]\ndepth = 3", "retreival"),
        ("[retrieval]\ndepth = 0", r"retrieval\.depth"),
        ("[retrieval]\nvector_weight = 1.5", r"retrieval\.vector_weight"),
        ("[chunking]\nmax_tokens = 1", r"chunking\.max_tokens"),
        ("generator = 3", "generator"),
        ("generator = [", "can't be read"),
    ],
)
def test_a_setting_that_cant_be_used_is_named(home: Path, content: str, named: str) -> None:
    write(home, content)
    with pytest.raises(SettingsError, match=named):
        load_settings()


def test_a_variable_that_cant_be_used_is_named(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAG_RETRIEVAL__DEPTH", "deep")
    with pytest.raises(SettingsError, match=r"retrieval\.depth"):
        load_settings()


def test_settings_never_change_afterwards(home: Path) -> None:
    with pytest.raises(ValueError, match="frozen"):
        load_settings().generator = "other"
