"""Ranking quality on a collection in the BEIR layout, beside the plain parts, in one run.

    python benchmarks/retrieval.py FOLDER [--home HOME]

FOLDER holds corpus.jsonl, queries.jsonl and qrels.tsv. The peer is what one would write by hand:
one document one text, sentence-transformers, bm25s with stemming, reciprocal rank fusion.
"""

import argparse
import json
import tempfile
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path

import bm25s
import numpy as np
import pytrec_eval
import Stemmer
from sentence_transformers import SentenceTransformer

from rag_pipeline.evaluation.trec import read_lines, run_lines
from rag_pipeline.pipeline import RagPipeline

Run = dict[str, dict[str, float]]
DEPTH = 100
RRF_K = 60


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--home", type=Path, help="Use this home; ingest unless it is there.")
    given = parser.parse_args()
    queries = read_lines(given.folder / "queries.jsonl", ("text",))
    with tempfile.TemporaryDirectory() as temporary:
        ours = our_runs(given.folder, queries, given.home or Path(temporary) / "home")
    report({**plain_runs(given.folder, queries), **ours}, read_qrels(given.folder / "qrels.tsv"))


def our_runs(folder: Path, queries: Sequence[tuple[str, str]], home: Path) -> dict[str, Run]:
    runs: dict[str, Run] = {}
    with RagPipeline.open(home) as rag:
        rag.ingest(folder / "corpus.jsonl")
        for mode in ("vector", "keyword", "hybrid"):
            texts = [text for _, text in queries]
            rag.search_documents(texts[:1], limit=DEPTH, mode=mode)
            started = time.perf_counter()
            results = rag.search_documents(texts, limit=DEPTH, mode=mode)
            each = (time.perf_counter() - started) / len(texts)
            name = f"ours, {mode} ({each * 1000:.1f} ms a query)"
            runs[name] = {
                query_id: as_scores(run_lines(query_id, result.hits, limit=DEPTH, tag="x"))
                for (query_id, _), result in zip(queries, results, strict=True)
            }
    return runs


def as_scores(lines: Sequence[str]) -> dict[str, float]:
    return {fields[2]: float(fields[4]) for fields in (line.split() for line in lines)}


def plain_runs(folder: Path, queries: Sequence[tuple[str, str]]) -> dict[str, Run]:
    records = [json.loads(line) for line in (folder / "corpus.jsonl").open(encoding="utf-8")]
    ids = [record["_id"] for record in records]
    texts = [f"{record.get('title', '')}\n{record['text']}".strip() for record in records]
    by_vector = vector_scores(texts, [text for _, text in queries])
    by_keyword = keyword_scores(texts, [text for _, text in queries])
    fused = [fuse(pair) for pair in zip(by_vector, by_keyword, strict=True)]
    sides = {"plain vectors": by_vector, "plain bm25s": by_keyword, "plain fusion by rank": fused}
    return {
        name: {
            query_id: top(ids, scores) for (query_id, _), scores in zip(queries, side, strict=True)
        }
        for name, side in sides.items()
    }


def vector_scores(texts: list[str], queries: list[str]) -> np.ndarray:
    with RagPipeline.open(Path(tempfile.mkdtemp())) as rag:
        model = SentenceTransformer(str(rag._parts.embedder.model.path), device="cpu")
    vectors = model.encode(texts, normalize_embeddings=True, show_progress_bar=False)
    asked = model.encode(queries, normalize_embeddings=True, show_progress_bar=False)
    return asked @ vectors.T


def keyword_scores(texts: list[str], queries: list[str]) -> np.ndarray:
    stemmer = Stemmer.Stemmer("english")
    options = {"stopwords": "en", "stemmer": stemmer, "show_progress": False}
    index = bm25s.BM25(k1=1.2, b=0.75)
    index.index(bm25s.tokenize(texts, **options), show_progress=False)
    asked = bm25s.tokenize(queries, return_ids=False, **options)
    return np.array([index.get_scores(terms) for terms in asked])


def fuse(sides: Sequence[np.ndarray]) -> np.ndarray:
    fused = np.zeros_like(sides[0])
    for scores in sides:
        best = np.argsort(-scores, kind="stable")[: 2 * DEPTH]
        fused[best] += 1 / (RRF_K + 1 + np.arange(best.size))
    return fused


def top(ids: Sequence[str], scores: np.ndarray) -> dict[str, float]:
    best = np.argsort(-scores, kind="stable")[:DEPTH]
    return {ids[row]: float(scores[row]) for row in best}


def read_qrels(path: Path) -> dict[str, dict[str, int]]:
    qrels: dict[str, dict[str, int]] = defaultdict(dict)
    for line in path.read_text("utf-8").splitlines()[1:]:
        query_id, document_id, grade = line.split("\t")
        qrels[query_id][document_id] = int(grade)
    return qrels


def report(runs: Mapping[str, Run], qrels: Mapping[str, Mapping[str, int]]) -> None:
    evaluator = pytrec_eval.RelevanceEvaluator(qrels, {"ndcg_cut.10", "recall.100"})
    for name, run in runs.items():
        each = evaluator.evaluate(run)
        ndcg = sum(found["ndcg_cut_10"] for found in each.values()) / len(qrels)
        recall = sum(found["recall_100"] for found in each.values()) / len(qrels)
        print(f"{name:<40} nDCG@10 {ndcg:.4f}  recall@100 {recall:.4f}")


if __name__ == "__main__":
    main()
