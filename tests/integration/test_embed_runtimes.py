"""Runtimes of an embedder: which one is chosen, and what is kept of a conversion."""

import json
import logging
import multiprocessing
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.minilm import on_torch
from support.tiny_encoder import Kind, write_encoder_folder

from ingest.embedders.errors import UnfitModelError
from ingest.embedders.int8_encoder import Int8Encoder
from ingest.embedders.local import LocalEmbedder
from ingest.embedders.torch_encoder import TorchEncoder
from ingest.settings import EmbedSettings
from rag_pipeline.weights.runtimes import EmbedderRuntimes
from rag_pipeline.weights.store import WeightStore

TEXTS = ["bees", "a lighthouse by the sea", "", "x" * 500, "42 + 0x7f", "word " * 30]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_encoder_folder(tmp_path_factory.mktemp("tiny") / "model")


def opened(folder: Path, cache: Path, **settings: Any) -> LocalEmbedder:
    found = WeightStore(cache, {}).resolve(str(folder))
    return EmbedderRuntimes(EmbedSettings(threads=2, **settings), cache).open(found)


def converted_file(cache: Path) -> Path:
    (file,) = (cache / "converted").glob("*/model.bin")
    return file


def least_cosine(folder: Path, embedder: LocalEmbedder) -> float:
    return float((on_torch(folder).embed(TEXTS) * embedder.embed(TEXTS)).sum(axis=1).min())


@pytest.mark.parametrize("kind", ["bert", "roberta", "xlm-roberta", "distilbert"])
@pytest.mark.parametrize("pooling", ["mean", "cls"])
def test_the_bert_family_runs_on_the_fast_runtime_and_says_what_torch_says(
    tmp_path: Path, kind: Kind, pooling: str
) -> None:
    folder = write_encoder_folder(tmp_path / "model", kind=kind, pooling=pooling)
    embedder = opened(folder, tmp_path / "cache", runtime="ctranslate2")
    assert isinstance(embedder.encoder, Int8Encoder)
    assert least_cosine(folder, embedder) > 0.98


@pytest.mark.parametrize(
    ("made", "reason"),
    [
        ({"kind": "mpnet"}, "'mpnet'"),
        ({"pooling": "max"}, "'max'"),
        ({"hidden_act": "silu"}, "'silu'"),
    ],
)
def test_what_the_fast_runtime_can_not_take_runs_on_torch_and_says_why(
    tmp_path: Path, made: dict[str, Any], reason: str, caplog: pytest.LogCaptureFixture
) -> None:
    folder = write_encoder_folder(tmp_path / "model", **made)
    embedder = opened(folder, tmp_path / "cache")
    with caplog.at_level(logging.WARNING):
        assert isinstance(embedder.encoder, TorchEncoder)
        embedder.embed(TEXTS)
    assert [record.getMessage().count(reason) for record in caplog.records] == [1]
    assert np.array_equal(embedder.embed(TEXTS), on_torch(folder).embed(TEXTS))
    with pytest.raises(UnfitModelError, match=reason):
        opened(folder, tmp_path / "cache", runtime="ctranslate2").embed(["text"])


def test_a_further_module_after_pooling_leaves_a_model_to_torch(folder: Path, tmp_path: Path):
    modules = json.loads((folder / "modules.json").read_text())
    copy = write_encoder_folder(tmp_path / "model")
    dense = {"idx": 3, "name": "3", "path": "3_Dense", "type": "sentence_transformers.models.Dense"}
    (copy / "modules.json").write_text(json.dumps([*modules, dense]))
    with pytest.raises(UnfitModelError, match="Dense"):
        opened(copy, tmp_path / "cache", runtime="ctranslate2").embed(["text"])


def test_runtime_torch_is_the_plain_model_and_converts_nothing(folder, tmp_path) -> None:
    embedder = opened(folder, tmp_path, runtime="torch")
    assert isinstance(embedder.encoder, TorchEncoder)
    assert np.array_equal(embedder.embed(TEXTS), on_torch(folder).embed(TEXTS))
    assert not (tmp_path / "converted").exists()


def test_both_runtimes_are_of_one_space(folder: Path, tmp_path: Path) -> None:
    fast = opened(folder, tmp_path, runtime="ctranslate2")
    assert fast.space == opened(folder, tmp_path, runtime="torch").space


def test_a_model_is_converted_once(folder: Path, tmp_path: Path) -> None:
    opened(folder, tmp_path).embed(TEXTS)
    made = converted_file(tmp_path).stat()
    opened(folder, tmp_path).embed(TEXTS)
    again = converted_file(tmp_path).stat()
    assert (again.st_ino, again.st_mtime_ns) == (made.st_ino, made.st_mtime_ns)


def test_other_weights_and_other_settings_are_converted_anew(folder, tmp_path) -> None:
    opened(folder, tmp_path).embed(TEXTS)
    opened(write_encoder_folder(tmp_path / "other", seed=4), tmp_path).embed(TEXTS)
    opened(write_encoder_folder(tmp_path / "cls", pooling="cls"), tmp_path).embed(TEXTS)
    assert len(list((tmp_path / "converted").glob("*/model.bin"))) == 3


@pytest.mark.parametrize("damage", ["flipped bit", "cut short", "missing", "manifest"])
def test_a_damaged_conversion_is_noticed_and_made_anew(
    folder: Path, tmp_path: Path, damage: str, caplog: pytest.LogCaptureFixture
) -> None:
    before = opened(folder, tmp_path).embed(TEXTS)
    file = converted_file(tmp_path)
    whole = file.read_bytes()
    if damage == "flipped bit":
        file.write_bytes(whole[:-9] + bytes([whole[-9] ^ 1]) + whole[-8:])
    elif damage == "cut short":
        file.write_bytes(whole[: len(whole) // 2])
    elif damage == "missing":
        file.unlink()
    else:
        (file.parent / "manifest.json").write_text('{"files": 7}')
    assert np.allclose(opened(folder, tmp_path).embed(TEXTS), before, atol=1e-6)
    assert converted_file(tmp_path).read_bytes() == whole
    assert "made anew" in caplog.text


def test_a_conversion_that_is_interrupted_leaves_nothing_half(folder, tmp_path, monkeypatch):
    def interrupted(_encoder: object, _plain: object, _model: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr("ingest.embedders.int8_conversion.prove", interrupted)
        with pytest.raises(KeyboardInterrupt):
            opened(folder, tmp_path).embed(TEXTS)
    assert [path for path in (tmp_path / "converted").iterdir() if path.is_dir()] == []
    opened(folder, tmp_path, runtime="ctranslate2").embed(TEXTS)


def test_what_a_killed_conversion_left_is_cleared_by_the_next(folder, tmp_path) -> None:
    opened(folder, tmp_path).embed(TEXTS)
    place = converted_file(tmp_path).parent
    left = place.parent / f".{place.name}.partial-abc"
    place.rename(left)
    opened(folder, tmp_path).embed(TEXTS)
    assert not left.exists()


def test_weights_that_became_unfaithful_are_refused_once_and_for_all(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patched:
        patched.setattr("ingest.embedders.int8_conversion._ACTIVATIONS", {"gelu": "RELU"})
        with pytest.raises(UnfitModelError, match=r"not faithful: cosine .*needs 0\.99"):
            opened(folder, tmp_path, runtime="ctranslate2").embed(TEXTS)
    with pytest.raises(UnfitModelError, match="not faithful"):
        opened(folder, tmp_path, runtime="ctranslate2").embed(TEXTS)
    assert np.array_equal(opened(folder, tmp_path).embed(TEXTS), on_torch(folder).embed(TEXTS))


def test_weights_with_a_part_missing_are_refused_by_name(tmp_path: Path) -> None:
    from safetensors.numpy import load_file, save_file

    file = write_encoder_folder(tmp_path / "model") / "model.safetensors"
    weights = load_file(file)
    del weights["encoder.layer.1.output.dense.bias"]
    save_file(weights, file, metadata={"format": "pt"})
    with pytest.raises(UnfitModelError, match=r"layer\.1\.output\.dense\.bias"):
        opened(file.parent, tmp_path / "cache", runtime="ctranslate2").embed(TEXTS)


def test_weights_that_are_none_are_refused_by_name(tmp_path: Path) -> None:
    file = write_encoder_folder(tmp_path / "model") / "model.safetensors"
    file.write_bytes(b"no weights")
    with pytest.raises(UnfitModelError, match=r"model\.safetensors can't be read"):
        opened(file.parent, tmp_path / "cache", runtime="ctranslate2").embed(TEXTS)


def test_weights_in_half_precision_and_under_a_prefix_are_read(tmp_path: Path) -> None:
    from safetensors.numpy import load_file, save_file

    file = write_encoder_folder(tmp_path / "model") / "model.safetensors"
    halved = {f"bert.{name}": value.astype("f2") for name, value in load_file(file).items()}
    save_file(halved, file, metadata={"format": "pt"})
    embedder = opened(file.parent, tmp_path / "cache", runtime="ctranslate2")
    assert least_cosine(file.parent, embedder) > 0.98


def test_a_cache_that_is_a_file_leaves_the_model_to_torch(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "converted").write_text("in the way")
    assert isinstance(opened(folder, tmp_path).encoder, TorchEncoder)
    with pytest.raises(UnfitModelError, match="RAG_CACHE_DIR"):
        opened(folder, tmp_path, runtime="ctranslate2").embed(["text"])


def embedded_elsewhere(folder: Path, cache: Path) -> Any:
    return opened(folder, cache, runtime="ctranslate2").embed(TEXTS)


def test_processes_that_convert_at_once_do_no_harm(folder: Path, tmp_path: Path) -> None:
    with multiprocessing.get_context("spawn").Pool(2) as pool:
        first, second = pool.starmap(embedded_elsewhere, [(folder, tmp_path)] * 2)
    assert np.allclose(first, second, atol=1e-6)
    assert list((tmp_path / "converted").glob(".*.partial-*")) == []
    converted_file(tmp_path)


def test_threads_that_embed_first_at_once_load_one_model(folder: Path, tmp_path: Path) -> None:
    embedder = opened(folder, tmp_path)
    with ThreadPoolExecutor(8) as pool:
        encoders = list(pool.map(lambda _: embedder.encoder, range(8)))
    assert len({id(encoder) for encoder in encoders}) == 1


def test_no_torch_is_imported_once_a_model_is_converted(folder: Path, tmp_path: Path) -> None:
    opened(folder, tmp_path).embed(TEXTS)
    program = """
import sys
from pathlib import Path
from ingest.settings import EmbedSettings
from rag_pipeline.weights.runtimes import EmbedderRuntimes
from rag_pipeline.weights.store import WeightStore

folder, cache = sys.argv[1], Path(sys.argv[2])
found = WeightStore(cache, {}).resolve(folder)
embedder = EmbedderRuntimes(EmbedSettings(), cache).open(found)
assert embedder.embed(["bees", "sea"] * 300).shape == (600, 64)
embedder.count(["bees"]), embedder.offsets("bees")
heavy = {"torch", "transformers", "sentence_transformers"} & set(sys.modules)
sys.exit(f"imported {heavy}" if heavy else 0)
"""
    done = subprocess.run(
        [sys.executable, "-c", program, str(folder), str(tmp_path)],
        capture_output=True,
        text=True,
        check=False,
        cwd=Path(__file__).parents[2],
    )
    assert (done.returncode, done.stderr) == (0, "")
