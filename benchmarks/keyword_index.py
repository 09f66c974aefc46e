"""BM25F of our own beside the BM25 of bm25s, on the same texts, in one run.

    python benchmarks/keyword_index.py --corpus C.jsonl --queries Q.jsonl --qrels qrels.tsv

Corpus and queries are JSON lines in the BEIR form (`_id`, `title`, `text`; `.gz` is fine); qrels
are tab-separated with a header. Without queries, words are drawn from the corpus. Needs `bm25s`,
and `pytrec_eval` for qrels. Times are CPU seconds; ratios above 1 are in our favour.
"""

import csv
import gzip
import json
import random
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import bm25s
import click
import numpy as np
import Stemmer

from storage.keyword_index.bm25 import Bm25Index
from storage.records import Entries, Position

DOCUMENTS_A_STEP = 5_000
LIMIT = 100
Record = dict[str, str]
Run = dict[str, dict[str, float]]
Search = Callable[[str], dict[str, float]]


def read_lines(path: Path) -> list[Record]:
    content = path.read_bytes()
    lines = gzip.decompress(content) if path.suffix == ".gz" else content
    return [json.loads(line) for line in lines.splitlines()]


def drawn_queries(corpus: list[Record]) -> list[Record]:
    """A hundred queries of eight words, each from one text."""
    rng = random.Random(1)
    words = [rng.choice(corpus)["text"].split() for _ in range(100)]
    texts = [" ".join(rng.sample(some, min(8, len(some)))) for some in words]
    return [{"_id": str(number), "text": text} for number, text in enumerate(texts)]


def build_ours(corpus: list[Record], folder: Path) -> Search:
    index = Bm25Index(folder / "keywords.index")
    for start in range(0, len(corpus), DOCUMENTS_A_STEP):
        step = corpus[start : start + DOCUMENTS_A_STEP]
        entries = Entries(
            ids=np.arange(start, start + len(step)),
            documents=np.arange(start, start + len(step)),
            titles=[record.get("title", "") for record in step],
            headings=[()] * len(step),
            texts=[record["text"] for record in step],
            languages=["en"] * len(step),
            vectors=np.empty((len(step), 1), np.float32),
        )
        index.apply(removed=np.empty(0, np.int64), added=entries, position=Position(1, "benchmark"))

    def search(query: str) -> dict[str, float]:
        hits = index.search(query, limit=LIMIT)
        return {corpus[hit.chunk_id]["_id"]: hit.score for hit in hits}

    return search


def build_peer(corpus: list[Record]) -> Search:
    stemmer = Stemmer.Stemmer("english")
    texts = [f"{record.get('title', '')} {record['text']}" for record in corpus]
    retriever = bm25s.BM25(method="lucene", k1=1.2, b=0.75)
    tokens = bm25s.tokenize(texts, stopwords="en", stemmer=stemmer, show_progress=False)
    retriever.index(tokens, show_progress=False)

    def search(query: str) -> dict[str, float]:
        asked = bm25s.tokenize([query], stopwords="en", stemmer=stemmer, show_progress=False)
        limit = min(LIMIT, len(corpus))
        rows, scores = retriever.retrieve(asked, k=limit, show_progress=False)
        found = zip(rows[0].tolist(), scores[0].tolist(), strict=True)
        return {corpus[row]["_id"]: score for row, score in found if score > 0}

    return search


def timed(queries: list[Record], search: Search) -> tuple[Run, float]:
    """The results of all queries, and CPU milliseconds a query."""
    start = time.process_time()
    run = {query["_id"]: search(query["text"]) for query in queries}
    return run, (time.process_time() - start) / len(queries) * 1e3


def ndcg(run: Run, qrels_path: Path) -> float:
    """nDCG@10 over every query that is judged."""
    import pytrec_eval  # Only those who give qrels need it.

    qrels: dict[str, dict[str, int]] = {}
    with qrels_path.open(encoding="utf-8") as lines:
        for query, document, score in list(csv.reader(lines, delimiter="\t"))[1:]:
            qrels.setdefault(query, {})[document] = int(score)
    measured = pytrec_eval.RelevanceEvaluator(qrels, {"ndcg_cut.10"}).evaluate(run)
    return sum(query["ndcg_cut_10"] for query in measured.values()) / len(qrels)


def measure(
    build: Callable[[], Search], corpus: list[Record], queries: list[Record], qrels: Path | None
) -> dict[str, float]:
    start = time.process_time()
    search = build()
    documents_a_second = len(corpus) / (time.process_time() - start)
    run, milliseconds = timed(queries, search)
    figures = {"documents/s": documents_a_second, "ms/query": milliseconds}
    return figures if qrels is None else {**figures, "nDCG@10": ndcg(run, qrels)}


@click.command()
@click.option("--corpus", "corpus_path", type=click.Path(path_type=Path), required=True)
@click.option("--queries", "queries_path", type=click.Path(path_type=Path))
@click.option("--qrels", type=click.Path(path_type=Path))
def main(corpus_path: Path, queries_path: Path | None, qrels: Path | None) -> None:
    """Print documents indexed a second, milliseconds a query, and nDCG@10, beside bm25s."""
    corpus = read_lines(corpus_path)
    queries = read_lines(queries_path) if queries_path else drawn_queries(corpus)
    with tempfile.TemporaryDirectory() as folder:
        ours = measure(lambda: build_ours(corpus, Path(folder)), corpus, queries, qrels)
    peer = measure(lambda: build_peer(corpus), corpus, queries, qrels)
    print(
        f"{len(corpus)} documents, {len(queries)} queries\n{'':12}{'ours':>10}{'bm25s':>10} ratio"
    )
    for name, value in ours.items():
        ratio = peer[name] / value if name == "ms/query" else value / peer[name]
        print(f"{name:12}{value:10.3f}{peer[name]:10.3f}{ratio:6.2f}")


if __name__ == "__main__":
    main()
