"""The embedder against the plain sentence-transformers model, with the real weights."""

import json
import random
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from support.minilm import MINILM_FOLDER, minilm, on_torch

from ingest.embedders.local import LocalEmbedder
from ingest.errors import EmbeddingError
from storage.records import Vectors

WEIRD = [
    "",
    " ",
    "\n\n",
    "\x00",
    "\u200b\u202e",
    "🙂👩‍👩‍👧",
    "中文字",
    "x" * 5_000,
    "[CLS] [SEP] [PAD]",
    "e\u0301",
    "\U0010ffff",
]


@pytest.fixture(scope="module")
def plain():
    from sentence_transformers import SentenceTransformer

    return SentenceTransformer(str(MINILM_FOLDER), device="cpu", local_files_only=True)


def encoded(plain, texts: list[str]) -> Vectors:
    return plain.encode(texts, normalize_embeddings=True, batch_size=16, show_progress_bar=False)


def mixed_texts(count: int) -> list[str]:
    rng = random.Random(7)
    words = ["bee", "harbour", "unquestionable", "le", "größe", "42", "3.14", "state-of-the-art"]
    return [" ".join(rng.choices(words, k=rng.choice([1, 2, 5, 20, 60]))) for _ in range(count)]


def test_three_hundred_texts_of_any_length_get_the_plain_model_s_vectors_in_order(plain) -> None:
    texts = mixed_texts(300)
    ours = minilm().embed(texts)
    assert ours.shape == (300, 384)
    assert ours.dtype == np.float32
    assert np.allclose(np.linalg.norm(ours, axis=1), 1, atol=1e-5)
    assert (ours * encoded(plain, texts)).sum(axis=1).min() > 0.99999


def test_weird_texts_get_the_plain_model_s_vectors(plain) -> None:
    ours = minilm().embed(WEIRD)
    assert np.isfinite(ours).all()
    assert (ours * encoded(plain, WEIRD)).sum(axis=1).min() > 0.99999


def test_a_text_longer_than_the_model_reads_is_cut_where_the_plain_model_cuts_it(plain) -> None:
    head = " ".join(["harbour"] * minilm().max_tokens)
    long = f"{head} and a very different end about bees"
    ours = minilm().embed([long, head])
    assert float(ours[0] @ ours[1]) > 0.99999
    assert float(ours[0] @ encoded(plain, [long])[0]) > 0.99999


def test_the_limit_is_the_model_s_own_without_its_marks(plain) -> None:
    assert minilm().max_tokens == plain.max_seq_length - 2


def test_no_texts_give_no_vectors() -> None:
    assert minilm().embed([]).shape == (0, 384)


def test_a_text_has_the_same_vector_alone_and_among_others() -> None:
    texts = mixed_texts(40)
    together = minilm().embed(texts)
    for row in (0, 13, 39):
        alone = minilm().embed([texts[row]])[0]
        assert float(alone @ together[row]) > 0.99999


def test_threads_that_embed_at_once_get_their_own_vectors() -> None:
    texts = mixed_texts(24)
    expected = minilm().embed(texts)
    with ThreadPoolExecutor(4) as pool:
        rows = list(pool.map(lambda text: minilm().embed([text])[0], texts))
    assert (np.array(rows) * expected).sum(axis=1).min() > 0.99999


def test_tokens_are_counted_without_limit_and_stand_where_their_offsets_say() -> None:
    texts = [*mixed_texts(20), "word " * 3_000, *WEIRD]
    counts = minilm().count(texts)
    assert counts[20] == 3_000
    for text, count in zip(texts, counts, strict=True):
        offsets = minilm().offsets(text)
        assert len(offsets) == count
        assert all(0 <= start < end <= len(text) for start, end in offsets)
        assert offsets == sorted(offsets)


def test_offsets_count_code_points() -> None:
    text = "🙂 größe"
    start, end = minilm().offsets(text)[-1]
    assert text[:end] == text
    assert start >= 2


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A copy of everything but the weights."""
    return Path(
        shutil.copytree(
            MINILM_FOLDER, tmp_path / "model", ignore=shutil.ignore_patterns("*.safetensors")
        )
    )


def opened(folder: Path) -> LocalEmbedder:
    return on_torch(folder)


def test_an_empty_folder_is_no_model(tmp_path: Path) -> None:
    with pytest.raises(EmbeddingError, match=r"config\.json is missing.*no embedding model"):
        opened(tmp_path)


@pytest.mark.parametrize("config", ["", "{", "[]", "7", "{}", '{"hidden_size": "wide"}'])
def test_a_configuration_that_describes_no_model_is_named(folder: Path, config: str) -> None:
    (folder / "config.json").write_text(config)
    with pytest.raises(EmbeddingError, match=r"config\.json"):
        opened(folder)


def test_a_model_without_its_fast_tokenizer_is_refused(folder: Path) -> None:
    (folder / "tokenizer.json").unlink()
    with pytest.raises(EmbeddingError, match=r"no tokenizer\.json"):
        opened(folder).count(["text"])


def test_a_model_without_weights_fails_when_it_embeds_and_names_its_folder(folder: Path) -> None:
    embedder = opened(folder)
    assert embedder.count(["two words"]) == [2]
    with pytest.raises(EmbeddingError, match="can't be loaded"):
        embedder.embed(["text"])


def test_the_space_has_the_dimension_that_the_model_declares(folder: Path) -> None:
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "hidden_size": 12}))
    assert opened(folder).space.dimension == 12
