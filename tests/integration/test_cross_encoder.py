"""A cross-encoder in a local folder, run for real: its weights are few and random."""

import json
from pathlib import Path

import pytest
from support.tiny_encoder import write_encoder_folder

from rag_pipeline.retrieval.errors import RerankerError
from rag_pipeline.retrieval.rerank.cross_encoder import CrossEncoderReranker
from rag_pipeline.retrieval.rerank.port import RerankCandidate
from storage.records import ChunkId, DocumentId, StoredChunk

TEXTS = ("the lift of a wing", "heat in a slab", "the lift of a wing", "", "word " * 500)


def write_cross_encoder(folder: Path, *, outputs: int = 1) -> Path:
    import torch
    from transformers import AutoConfig, AutoModelForSequenceClassification

    write_encoder_folder(folder)
    config = AutoConfig.from_pretrained(folder, num_labels=outputs)
    torch.manual_seed(5)
    AutoModelForSequenceClassification.from_config(config).save_pretrained(folder)
    for leftover in ("modules.json", "sentence_bert_config.json"):
        (folder / leftover).unlink()
    return folder


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_cross_encoder(tmp_path_factory.mktemp("models") / "cross")


def candidates(*texts: str) -> list[RerankCandidate]:
    return [
        RerankCandidate(
            chunk=StoredChunk(
                chunk_id=ChunkId(key),
                document_id=DocumentId(key),
                text=text,
                title="",
                start=0,
                end=len(text),
                sources=(),
            ),
            score=0.5,
        )
        for key, text in enumerate(texts, start=1)
    ]


def test_every_candidate_gets_the_score_of_the_model_best_first(folder):
    from sentence_transformers import CrossEncoder

    given = candidates(*TEXTS)
    found = CrossEncoderReranker(folder).rerank("lift", given)
    alone = CrossEncoder(str(folder), device="cpu").predict(
        [("lift", one.chunk.text) for one in given]
    )
    expected = {one.chunk.chunk_id: score for one, score in zip(given, alone, strict=True)}
    assert sorted(one.chunk_id for one in found) == [1, 2, 3, 4, 5]
    assert all(one.score == pytest.approx(expected[one.chunk_id], abs=1e-4) for one in found)
    assert [-one.score for one in found] == sorted(-one.score for one in found)
    assert all(one.contributions == {"cross_encoder": one.score} for one in found)


def test_the_same_text_scores_the_same_and_the_lower_key_comes_first(folder):
    found = CrossEncoderReranker(folder).rerank("lift", candidates(*TEXTS)[::-1])
    order = [one.chunk_id for one in found]
    assert order.index(ChunkId(3)) == order.index(ChunkId(1)) + 1


def test_title_and_headings_are_read_too(folder):
    plain = candidates("heat")
    chunk = plain[0].chunk
    named = StoredChunk(
        chunk_id=chunk.chunk_id,
        document_id=chunk.document_id,
        text="heat",
        title="Slabs of copper",
        start=0,
        end=4,
        sources=(),
        headings=("Conduction",),
    )
    reranker = CrossEncoderReranker(folder)
    without = reranker.rerank("heat", plain)[0].score
    assert reranker.rerank("heat", [RerankCandidate(chunk=named, score=0.5)])[0].score != without


def test_nothing_to_rerank_loads_no_model():
    assert CrossEncoderReranker(Path("/nowhere")).rerank("q", []) == []


def test_a_folder_without_a_model_is_named_with_what_it_lacks(tmp_path):
    with pytest.raises(RerankerError, match="lacks config.json"):
        CrossEncoderReranker(tmp_path).rerank("q", candidates("x"))


def test_weights_that_would_run_code_are_not_loaded(tmp_path):
    folder = write_cross_encoder(tmp_path / "pickled")
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    with pytest.raises(RerankerError, match="safetensors"):
        CrossEncoderReranker(folder).rerank("q", candidates("x"))


def test_damaged_weights_are_refused(tmp_path):
    folder = write_cross_encoder(tmp_path / "damaged")
    (folder / "model.safetensors").write_bytes(b"\x08\0\0\0\0\0\0\0notjson!")
    with pytest.raises(RerankerError, match="can't be loaded"):
        CrossEncoderReranker(folder).rerank("q", candidates("x"))


def test_a_model_of_several_classes_is_no_reranker(tmp_path):
    folder = write_cross_encoder(tmp_path / "classes", outputs=3)
    with pytest.raises(RerankerError, match="3 outputs"):
        CrossEncoderReranker(folder).rerank("q", candidates("x"))


def test_a_configuration_that_names_code_runs_none(tmp_path):
    folder = write_cross_encoder(tmp_path / "remote")
    ran = tmp_path / "ran"
    (folder / "evil.py").write_text(f"open({str(ran)!r}, 'w')")
    config = json.loads((folder / "config.json").read_text())
    config |= {"model_type": "evil", "auto_map": {"AutoConfig": "evil.Evil"}}
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(RerankerError):
        CrossEncoderReranker(folder).rerank("q", candidates("x"))
    assert not ran.exists()
