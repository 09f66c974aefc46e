"""The packaged MiniLM with 8-bit weights, beside the plain model."""

import random
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from support.minilm import MINILM_FOLDER, minilm

from ingest.embedders.errors import UnfitModelError
from ingest.embedders.int8_conversion import LEAST_COSINE, PROBES, convert, prove
from ingest.embedders.int8_encoder import Int8Encoder
from ingest.embedders.local import LocalEmbedder
from ingest.embedders.model_folder import ModelFolder
from ingest.errors import EmbeddingError
from storage.records import Vectors

SAME = 0.999
"""Cosine between a text's vectors in two batches: rounding may tip an 8-bit step over."""
ODD = [
    "",
    " ",
    "\n\n",
    "\x00",
    "nul\x00inside",
    "\u200b\u202e",
    "🙂👩‍👩‍👧",
    "中文字",
    "x" * 5_000,
    "[CLS] [SEP] [PAD]",
    "e\u0301",
    "\U0010ffff",
]


@pytest.fixture(scope="module")
def fast(tmp_path_factory: pytest.TempPathFactory) -> LocalEmbedder:
    model = ModelFolder(MINILM_FOLDER)
    folder = tmp_path_factory.mktemp("converted")
    convert(model, folder)
    files = {file.name: file.read_bytes() for file in folder.iterdir()}
    encoder = Int8Encoder.load(model, files, threads=2)
    return LocalEmbedder(model, lambda: encoder, name="minilm", weights_sha256="0" * 64, threads=2)


def mixed_texts(count: int) -> list[str]:
    rng = random.Random(7)
    words = ["bee", "harbour", "unquestionable", "le", "größe", "42", "3.14", "state-of-the-art"]
    return [" ".join(rng.choices(words, k=rng.choice([1, 2, 5, 20, 60]))) for _ in range(count)]


def cosines(some: Vectors, others: Vectors) -> Vectors:
    return (some * others).sum(axis=1)


def test_texts_of_any_length_get_nearly_the_plain_model_s_vectors_in_order(fast) -> None:
    texts = mixed_texts(60)
    vectors = fast.embed(texts)
    assert vectors.shape == (60, 384)
    assert vectors.dtype == np.float32
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    found = cosines(vectors, minilm().embed(texts))
    assert found.min() > 0.99
    assert found.mean() > 0.995


def test_each_text_s_own_vector_is_the_nearest_among_different_texts(fast) -> None:
    texts = list(PROBES)
    nearest = (minilm().embed(texts) @ fast.embed(texts).T).argmax(axis=1)
    assert nearest.tolist() == list(range(len(texts)))


def test_odd_texts_are_near_the_plain_model_s_vectors(fast) -> None:
    vectors = fast.embed(ODD)
    assert np.isfinite(vectors).all()
    assert cosines(vectors, minilm().embed(ODD)).min() > LEAST_COSINE


def test_a_text_longer_than_the_model_reads_is_cut_where_torch_cuts_it(fast) -> None:
    head = " ".join(["harbour"] * fast.max_tokens)
    long = f"{head} and a very different end about bees"
    alone = fast.embed([head])
    assert np.array_equal(fast.embed([long]), alone)
    assert not np.array_equal(fast.embed([head.removesuffix(" harbour")]), alone)
    assert cosines(alone, minilm().embed([long])).min() > 0.99


def test_it_reads_the_very_tokens_that_the_plain_model_reads(fast) -> None:
    from transformers import AutoTokenizer

    plain = AutoTokenizer.from_pretrained(MINILM_FOLDER, local_files_only=True)
    texts = [*mixed_texts(20), *ODD, "word " * 3_000]
    expected = plain(texts, truncation=True, max_length=fast.max_tokens + 2)["input_ids"]
    assert [ids.tolist() for ids in fast.model.token_ids(texts)] == expected


def test_no_texts_give_no_vectors(fast) -> None:
    assert fast.embed([]).shape == (0, 384)


def test_a_text_has_nearly_the_same_vector_alone_and_among_others(fast) -> None:
    texts = mixed_texts(40)
    alone = np.concatenate([fast.embed([text]) for text in texts])
    assert cosines(alone, fast.embed(texts)).min() > SAME


def test_the_same_texts_get_the_same_vectors_again(fast) -> None:
    texts = mixed_texts(40)
    assert np.array_equal(fast.embed(texts), fast.embed(texts))


def test_eight_threads_that_embed_at_once_get_their_own_vectors(fast) -> None:
    texts = mixed_texts(64)
    expected = [fast.embed([text]) for text in texts]
    together = fast.embed(texts)
    with ThreadPoolExecutor(8) as pool:
        rows = list(pool.map(lambda text: fast.embed([text]), texts))
        wholes = list(pool.map(lambda _: fast.embed(texts), range(8)))
    assert np.array_equal(rows, expected)
    assert all(np.array_equal(whole, together) for whole in wholes)


def test_tokens_are_counted_and_placed_as_with_torch(fast) -> None:
    texts = [*mixed_texts(20), *ODD]
    assert fast.count(texts) == minilm().count(texts)
    assert [fast.offsets(text) for text in texts] == [minilm().offsets(text) for text in texts]


def test_files_that_are_no_model_are_refused_in_a_sentence(tmp_path: Path) -> None:
    model = ModelFolder(MINILM_FOLDER)
    with pytest.raises(UnfitModelError, match="CTranslate2 can't run the embedder in"):
        Int8Encoder.load(model, {"model.bin": b"nothing", "config.json": b"{}"}, threads=1)
    assert issubclass(UnfitModelError, EmbeddingError)


class Turned:
    """An encoder whose vectors are those of other texts."""

    batch_tokens = 512
    passes_ahead = 0

    def __init__(self, encoder, *, how) -> None:
        self.encoder, self.how = encoder, how

    def begin_thread(self) -> None: ...

    def encode(self, texts):
        return self.how(self.encoder.encode(texts))


@pytest.mark.parametrize(
    "how",
    [
        lambda vectors: vectors[:, ::-1],
        lambda vectors: np.full_like(vectors, np.nan),
        lambda vectors: -vectors,
        lambda vectors: np.ones_like(vectors) / np.sqrt(np.float32(vectors.shape[1])),
    ],
    ids=["reversed", "nan", "negative", "constant"],
)
def test_an_encoder_that_says_something_else_is_not_proven(fast, how) -> None:
    prove(fast.encoder, minilm().encoder, fast.model)
    with pytest.raises(UnfitModelError, match="not faithful"):
        prove(Turned(fast.encoder, how=how), minilm().encoder, fast.model)
