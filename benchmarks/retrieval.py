"""What each stage of the ranking gains on collections in the BEIR layout, beside the plain parts.

    python benchmarks/retrieval.py FOLDER... [--homes HOMES]

FOLDER holds corpus.jsonl, queries.jsonl and qrels.tsv. The peer is what one would write by hand:
one document one text, sentence-transformers, bm25s with stemming, reciprocal rank fusion. Gains
are against the row named, with the 95 % interval of the bootstrap over queries.
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

from rag_pipeline.defaults import Mode
from rag_pipeline.evaluation.trec import read_lines, run_lines
from rag_pipeline.pipeline import RagPipeline
from rag_pipeline.retrieval.settings import FeedbackSettings

Run = dict[str, dict[str, float]]
Values = dict[str, float]
DEPTH = 100
RRF_K = 60
RESAMPLES = 5_000
DEFAULTS = FeedbackSettings()
STAGES: dict[str, tuple[Mode, dict[str, object]]] = {
    "ours, vectors": ("vector", {}),
    "ours, keywords": ("keyword", {}),
    "ours, fusion by rank": ("hybrid", {"fusion": "rank"}),
    "ours, fusion by score": ("hybrid", {"feedback": None}),
    "+ centroid": (
        "hybrid",
        {"feedback": {"centroid": DEFAULTS.centroid, "neighbours": 0, "document": 0}},
    ),
    "+ neighbours": (
        "hybrid",
        {
            "feedback": {
                "centroid": DEFAULTS.centroid,
                "neighbours": DEFAULTS.neighbours,
                "document": 0,
            }
        },
    ),
    "+ document: the default": ("hybrid", {}),
}
GAINS = (
    ("ours, fusion by score", "plain fusion by rank"),
    ("+ centroid", "ours, fusion by score"),
    ("+ neighbours", "+ centroid"),
    ("+ document: the default", "+ neighbours"),
    ("+ document: the default", "ours, fusion by score"),
    ("+ document: the default", "ours, vectors"),
    ("+ document: the default", "ours, keywords"),
    ("+ document: the default", "plain fusion by rank"),
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folders", type=Path, nargs="+", metavar="FOLDER")
    parser.add_argument(
        "--homes", type=Path, help="A home for each folder, by its name; ingest unless it is there."
    )
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        for folder in given.folders:
            measure(folder, (given.homes or Path(temporary)) / folder.resolve().name)


def measure(folder: Path, home: Path) -> None:
    qrels = read_qrels(folder / "qrels.tsv")
    asked = read_lines(folder / "queries.jsonl", ("text",))
    queries = [(query_id, text) for query_id, text in asked if query_id in qrels]
    print(f"\n{folder.name}: {len(queries)} queries")
    report({**plain_runs(folder, queries), **our_runs(folder, queries, home)}, qrels)


def our_runs(folder: Path, queries: Sequence[tuple[str, str]], home: Path) -> dict[str, Run]:
    with RagPipeline.open(home) as rag:
        rag.ingest(folder / "corpus.jsonl")
    return {
        name: our_run(name, queries, home, mode, retrieval)
        for name, (mode, retrieval) in STAGES.items()
    }


def our_run(
    name: str,
    queries: Sequence[tuple[str, str]],
    home: Path,
    mode: Mode,
    retrieval: dict[str, object],
) -> Run:
    texts = [text for _, text in queries]
    with RagPipeline.open(home, retrieval=retrieval) as rag:
        rag.search_documents(texts[:1], limit=DEPTH, mode=mode)
        started = time.process_time()
        results = rag.search_documents(texts, limit=DEPTH, mode=mode)
        each = (time.process_time() - started) / len(texts)
    print(f"{name:<28} {each * 1000:6.1f} CPU ms a query, {DEPTH} documents each")
    return {
        query_id: as_scores(run_lines(query_id, result.hits, limit=DEPTH, tag="x"))
        for (query_id, _), result in zip(queries, results, strict=True)
    }


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
        model = SentenceTransformer(str(rag.parts.embedder.model.path), device="cpu")
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
    figures: dict[str, Values] = {}
    for name, run in runs.items():
        each = evaluator.evaluate(run)
        figures[name] = {query: found["ndcg_cut_10"] for query, found in each.items()}
        ndcg = sum(figures[name].values()) / len(qrels)
        recall = sum(found["recall_100"] for found in each.values()) / len(qrels)
        print(f"{name:<28} nDCG@10 {ndcg:.4f}  recall@100 {recall:.4f}")
    for name, baseline in GAINS:
        print(f"{name:<28} {gain(figures[name], figures[baseline], list(qrels))}  on {baseline}")


def gain(values: Values, baseline: Values, queries: Sequence[str]) -> str:
    """The mean difference of two runs, paired by query; a query without hits counts 0."""
    each = np.array([values.get(query, 0.0) - baseline.get(query, 0.0) for query in queries])
    drawn = np.random.default_rng(0).integers(each.size, size=(RESAMPLES, each.size))
    low, high = np.percentile(each[drawn].mean(axis=1), (2.5, 97.5))
    return f"{each.mean():+.4f} [{low:+.4f}, {high:+.4f}]"


if __name__ == "__main__":
    main()
