"""Ingestion against plain `sentence-transformers` encode of the same texts, in one run.

    python benchmarks/embedding.py [--corpus corpus.jsonl] [--documents 400]

Without a corpus it makes up texts from the words of this repository's documents. Three measures,
taken in turn so that a busy machine troubles all alike: plain encode of the chunk texts, our
embedder on the same texts, and the whole ingestion (files to committed and searchable).
"""

import argparse
import json
import random
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

import numpy as np
from sentence_transformers import SentenceTransformer

from ingest.chunk import chunk_spans
from rag_pipeline.pipeline import RagPipeline

ROOT = Path(__file__).parent.parent
ROUNDS = 3


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
        plain = SentenceTransformer(str(embedder._folder), device="cpu")
        embedder.embed(texts[:8])
        reference = plain.encode(texts[:64], normalize_embeddings=True, show_progress_bar=False)
        cosine = float(np.min(np.sum(reference * embedder.embed(texts[:64]), axis=1)))
        figures: dict[str, list[float]] = {"plain encode": [], "our embedder": [], "ingest": []}
        for turn in range(ROUNDS):
            figures["plain encode"].append(
                seconds(lambda: plain.encode(texts, show_progress_bar=False))
            )
            figures["our embedder"].append(seconds(lambda: embedder.embed(texts)))
            with RagPipeline.open(folder / f"home-{turn}") as fresh:
                fresh._parts.embedder = embedder
                figures["ingest"].append(seconds(lambda: fresh.ingest(corpus)))
                again = seconds(lambda: fresh.ingest(corpus))
        report(texts, figures, cosine, again)


def chunk_texts(corpus: Path, rag: RagPipeline) -> list[str]:
    embedder = rag._parts.embedder
    texts = []
    for line in corpus.read_text("utf-8").splitlines():
        record = json.loads(line)
        title = record.get("title", "")
        room = embedder.max_tokens - sum(embedder.count([title]))
        spans = chunk_spans(record["text"], tokenizer=embedder, max_tokens=room, overlap_tokens=32)
        texts += [f"{title}\n{record['text'][a:b]}".strip() for a, b in spans]
    return texts


def seconds(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def report(texts: list[str], figures: dict[str, list[float]], cosine: float, again: float) -> None:
    base = median(figures["plain encode"])
    print(f"{len(texts)} chunks, {ROUNDS} rounds, medians; lowest cosine to plain: {cosine:.7f}")
    for name, taken in figures.items():
        middle = median(taken)
        rate = len(texts) / middle
        print(f"{name:<14} {middle:8.2f} s  {rate:7.1f} chunks/s  ratio {base / middle:5.2f}")
    print(
        f"ingest again   {again:8.2f} s  {'':>18}  ratio {median(figures['ingest']) / again:5.0f}"
    )


if __name__ == "__main__":
    main()
