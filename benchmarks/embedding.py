"""Our embedders and ingestion against plain `sentence-transformers` encode, in one run.

    python benchmarks/embedding.py [--corpus corpus.jsonl] [--documents 400]

Without a corpus it makes up texts from the words of this repository's documents. Taken in turn, so
that a busy machine troubles all alike: plain encode of the chunk texts, our embedder in torch and
on CTranslate2 on the same texts, and the whole ingestion (files to committed and searchable).
"""

import argparse
import json
import random
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Literal

import numpy as np
from sentence_transformers import SentenceTransformer

from ingest.chunk import cut
from ingest.embedders.local import LocalEmbedder
from ingest.settings import EmbedSettings
from rag_pipeline.pipeline import RagPipeline
from rag_pipeline.weights.runtimes import EmbedderRuntimes
from storage.records import NO_OUTLINE, Vectors

ROOT = Path(__file__).parent.parent
ROUNDS = 3
PLAIN = "plain encode"
INGEST = "ingest"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--corpus", type=Path)
    parser.add_argument("--documents", type=int, default=400)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        corpus = Path(folder) / "corpus.jsonl"
        corpus.write_text("\n".join(lines(given.corpus, given.documents)) + "\n")
        compare(corpus, Path(folder))


def lines(corpus: Path | None, documents: int) -> list[str]:
    if corpus is not None:
        with corpus.open(encoding="utf-8") as file:
            everything = file.read().splitlines()
        return everything[:: max(1, len(everything) // documents)][:documents]
    words = " ".join(path.read_text("utf-8") for path in ROOT.glob("docs/**/*.md")).split()
    rng = random.Random(0)
    return [
        json.dumps({"_id": str(n), "text": " ".join(rng.choices(words, k=rng.randint(20, 250)))})
        for n in range(documents)
    ]


def compare(corpus: Path, folder: Path) -> None:
    with RagPipeline.open(folder / "first") as rag:
        embedder = rag._parts.embedder
        texts = chunk_texts(corpus, rag)
        torch = on_runtime("torch", rag)
        fast = on_runtime("ctranslate2", rag)
        plain = SentenceTransformer(str(embedder.model.path), device="cpu")
        measures: dict[str, Callable[[], object]] = {
            PLAIN: lambda: plain.encode(texts, show_progress_bar=False),
            "ours, torch": lambda: torch.embed(texts),
            "ours, CTranslate2": lambda: fast.embed(texts),
        }
        figures: dict[str, list[float]] = {name: [] for name in (*measures, INGEST)}
        for ours in (torch, fast, embedder):
            ours.embed(texts[:8])
        for turn in range(ROUNDS):
            for name, measure in measures.items():
                figures[name].append(seconds(measure))
            with RagPipeline.open(folder / f"home-{turn}") as fresh:
                fresh._parts.embedder = embedder
                figures[INGEST].append(seconds(lambda: fresh.ingest(corpus)))
                again = seconds(lambda: fresh.ingest(corpus))
        report(texts, figures, again)
        reference = plain.encode(texts, normalize_embeddings=True, show_progress_bar=False)
        for name, ours in (("ours, torch", torch), ("ours, CTranslate2", fast)):
            report_cosines(name, reference, ours.embed(texts))


def on_runtime(runtime: Literal["torch", "ctranslate2"], rag: RagPipeline) -> LocalEmbedder:
    settings = rag._parts.settings
    runtimes = EmbedderRuntimes(EmbedSettings(runtime=runtime), settings.cache_dir)
    return runtimes.open(rag._parts.weights.resolve(settings.embedder))


def chunk_texts(corpus: Path, rag: RagPipeline) -> list[str]:
    embedder = rag._parts.embedder
    texts = []
    for line in corpus.read_text("utf-8").splitlines():
        record = json.loads(line)
        cuts = cut(
            record["text"],
            title=record.get("title", ""),
            outline=NO_OUTLINE,
            omitted=(),
            tokenizer=embedder,
            max_tokens=embedder.max_tokens,
            settings=rag.settings.chunking,
        )
        texts += [one.embedded for one in cuts]
    return texts


def seconds(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def report(texts: list[str], figures: dict[str, list[float]], again: float) -> None:
    base = median(figures[PLAIN])
    print(f"{len(texts)} chunks, {ROUNDS} rounds, medians")
    for name, taken in figures.items():
        middle = median(taken)
        rate = len(texts) / middle
        print(f"{name:<18} {middle:8.2f} s  {rate:7.1f} chunks/s  ratio {base / middle:5.2f}")
    ratio = median(figures[INGEST]) / again
    print(f"{'ingest again':<18} {again:8.2f} s  {'':>18}  ratio {ratio:5.0f}")


def report_cosines(name: str, reference: Vectors, ours: Vectors) -> None:
    cosines = np.sum(reference * ours, axis=1)
    print(f"{name:<18} cosine to plain: lowest {cosines.min():.7f}, mean {cosines.mean():.7f}")


if __name__ == "__main__":
    main()
