"""Settings that name a registered version: what is used, and what the history says was used."""

import http.server
import threading
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from support.embedding import WordEmbedder
from support.pipelines import parts_of, word_pipeline
from support.tiny_encoder import write_encoder_folder
from support.tiny_model import write_gguf, write_model_folder
from support.versions import damage, write_model

from rag_pipeline.errors import SettingsError
from rag_pipeline.pipeline import RagPipeline
from rag_pipeline.versions.links import fetched
from rag_pipeline.weights.errors import WeightsDamagedError, WeightsMissingError
from storage.errors import InvalidRecordError, NotFoundError, SealError, SpaceMismatchError
from storage.versions.values import ModelVersion

NOTE = {"_id": "a", "text": "The harbour was dredged in 1874."}
WHEN = "When was the harbour dredged?"


@pytest.fixture(scope="module")
def generators(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("generators")
    return [write_model_folder(folder / str(seed), seed=seed) for seed in (3, 4)]


@pytest.fixture(scope="module")
def encoders(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("encoders")
    return [write_encoder_folder(folder / str(seed), seed=seed) for seed in (3, 4)]


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "home"


def asking(home: Path, generator: str) -> RagPipeline:
    return word_pipeline(
        home,
        generator=generator,
        generation={"max_new_tokens": 8, "threads": 1},
        embedder=WordEmbedder(dimension=64),
        cache_dir=home / "cache",
    )


def registered(home: Path, kind: Any, *folders: Path) -> list[ModelVersion]:
    with word_pipeline(home) as rag:
        found = [rag.models.register("mine", folder, kind=kind) for folder in folders]
        rag.models.activate("mine", 1)
        return found


def test_the_history_names_the_version_that_answered_and_a_switch_is_seen_at_the_next_start(
    home: Path, generators: list[Path]
) -> None:
    one, two = registered(home, "generator", *generators)
    with asking(home, "version:mine") as rag:
        rag.ingest_records([NOTE], source="notes")
        first = rag.history.show(rag.ask(WHEN).prompt_id)
        rag.models.activate("mine", 2)
        still = rag.history.show(rag.ask(WHEN).prompt_id)
    assert (first.model, first.weights_sha256) == ("version:mine@1", one.weights_sha256)
    assert still.model == "version:mine@1"
    with asking(home, "version:mine") as rag:
        after = rag.history.show(rag.ask(WHEN).prompt_id)
        assert (after.model, after.weights_sha256) == ("version:mine@2", two.weights_sha256)
        assert rag.models.answers("mine@1") == 2
        rag.models.rollback("mine")
    with asking(home, "version:mine@2") as rag:
        assert rag.history.show(rag.ask(WHEN).prompt_id).model == "version:mine@2"


def test_a_registered_embedder_embeds_as_its_folder_does(home: Path, encoders: list[Path]) -> None:
    (one, *_) = registered(home, "embedder", *encoders)
    texts = ["The harbour was dredged.", "A ferry."]
    with RagPipeline.open(home, embedder=str(encoders[0]), cache_dir=home / "cache") as plain:
        expected = plain.embed(texts)
    with RagPipeline.open(home, embedder="version:mine", cache_dir=home / "cache") as rag:
        assert (rag.embed(texts) == expected).all()
        space = parts_of(rag).embedder.space
    assert (space.model, space.weights_sha256) == ("version:mine@1", one.weights_sha256)


def test_another_active_embedder_never_searches_vectors_of_the_one_before(
    home: Path, encoders: list[Path]
) -> None:
    registered(home, "embedder", *encoders)
    given = {"embedder": "version:mine", "generator": "echo", "cache_dir": home / "cache"}
    with RagPipeline.open(home, **given) as rag:
        rag.ingest_records([NOTE], source="notes")
        rag.models.activate("mine", 2)
        assert rag.search("harbour").hits
    with RagPipeline.open(home, **given) as rag:
        with pytest.raises(SpaceMismatchError, match="version:mine@1"):
            rag.search("harbour")
        rag.models.rollback("mine")
    with RagPipeline.open(home, **given) as rag:
        assert rag.search("harbour").hits


def test_a_version_in_gguf_is_read_as_such(home: Path, tmp_path: Path) -> None:
    (added,) = registered(home, "generator", write_gguf(tmp_path / "tiny.gguf"))
    with asking(home, "version:mine") as rag:
        assert rag.parts.language_model.weights_sha256 == added.weights_sha256


def test_what_can_not_be_used_is_said_before_anything_is_done_with_it(
    home: Path, generators: list[Path]
) -> None:
    (added, *_) = registered(home, "generator", *generators)
    with RagPipeline.open(home, embedder="version:mine") as rag:
        with pytest.raises(SettingsError, match="is a generator and can't be used as embedder"):
            rag.embed(["x"])
    for unknown in ("version:other", "version:mine@9"):
        with asking(home, unknown) as rag, pytest.raises(NotFoundError):
            _ = rag.parts.language_model
    with asking(home, "version:") as rag, pytest.raises(InvalidRecordError):
        _ = rag.parts.language_model
    with word_pipeline(home) as rag:
        damage(rag.parts.versions.folders.of(added) / "model.safetensors")
    with asking(home, "version:mine") as rag:
        with pytest.raises(WeightsDamagedError, match=r"model\.safetensors is damaged"):
            _ = rag.parts.language_model
        rag.ingest_records([NOTE], source="notes")
        answer = rag.ask(WHEN)
        assert answer.citations
        assert rag.history.show(answer.prompt_id).weights_sha256 != added.weights_sha256


@pytest.fixture
def site(tmp_path: Path) -> Iterator[tuple[Path, str]]:
    """A folder that is served over HTTP on this machine alone, and its address."""
    folder = tmp_path / "site"
    folder.mkdir()

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_arguments: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(
        ("127.0.0.1", 0), partial(Quiet, directory=str(folder))
    )
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield folder, f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def _put(folder: Path, content: str) -> Path:
    path = folder / "tiny.safetensors"
    source = write_model(folder.parent / content, content) / "model.safetensors"
    path.write_bytes(source.read_bytes())
    return path


def test_a_version_behind_a_link_is_fetched_once_and_again_where_it_is_missing(
    home: Path, site: tuple[Path, str]
) -> None:
    folder, address = site
    path, link = _put(folder, "one"), f"{address}/tiny.safetensors"
    with word_pipeline(home) as rag:
        added = rag.models.register_link("far", link, kind="generator")
        assert (added.storage, added.location) == ("link", link)
        assert rag.models.register_link("far", link, kind="generator") == added
        place = rag.parts.versions.folders.of(added) / "tiny.safetensors"
        damage(place)
        assert rag.models.activate("far", 1).state == "active"
        assert place.read_bytes() == path.read_bytes()
        path.unlink()
        rag.models.retire("far", 1)


def test_a_link_that_is_gone_or_holds_something_else_is_refused_and_the_old_one_stays(
    home: Path, site: tuple[Path, str], tmp_path: Path
) -> None:
    folder, address = site
    path, link = _put(folder, "one"), f"{address}/tiny.safetensors"
    with word_pipeline(home) as rag:
        rag.models.register("far", write_model(tmp_path / "near"), kind="generator")
        rag.models.activate("far", 1)
        added = rag.models.register_link("far", link, kind="generator")
        (rag.parts.versions.folders.of(added) / "tiny.safetensors").unlink()
        _put(folder, "two")
        with pytest.raises((SealError, WeightsDamagedError), match="does not hold version:far@2"):
            rag.models.activate("far", 2)
        path.unlink()
        with pytest.raises(WeightsMissingError, match="404"):
            rag.models.activate("far", 2)
        with pytest.raises(WeightsMissingError, match="404"):
            rag.models.register_link("far", link, kind="generator")
        assert rag.models.show("far").version == 1
        assert [model.version for model in rag.models.list()] == [2, 1]


@pytest.mark.parametrize(
    "link",
    ["", "file:///etc/passwd", "ftp://x/y", "/etc/passwd", "http://", "http://127.0.0.1:1/x"],
)
def test_a_link_that_leads_nowhere_is_said_to(link: str) -> None:
    with pytest.raises(WeightsMissingError):
        with fetched(link):
            pass
