"""Vector search of ours beside comparing with every vector, at sizes made from real vectors.

    python benchmarks/vector_index.py --database HOME/rag.db --rows 10000 --rows 1000000

Vectors are drawn from those stored in the database, moved by noise of a given length, and made unit
length again. Queries are of two sorts: drawn in the same way ("near a chunk"), and sums of three
that are stored ("between chunks"), which are as hard as real questions. Times are of the CPU.

Memory is that of a fresh process that opened the sealed index and searched: its own pages
(RssAnon, interpreter and libraries included), and beside it the mapped pages of files (RssFile),
which it shares with all others and gives back when memory is short.
"""

import multiprocessing
import os
import sqlite3
import tempfile
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path

import click
import faiss
import numpy as np

from storage.records import Entries, Ids, Position, Vectors
from storage.vector_index.faiss_index import FaissIndex

QUERIES = 100
LIMIT = 10
SHARE = 0.01
ADDED = 1_000
STEP = 50_000
THREADS = 8


@dataclass(frozen=True)
class Serving:
    """What a process that only searches needs."""

    open_ms: float
    query_ms: float
    threads_ratio: float
    """Queries a second of eight threads, as a multiple of one."""
    own_megabytes: float
    mapped_megabytes: float


def stored_vectors(database: Path) -> Vectors:
    with sqlite3.connect(f"file:{database}?mode=ro", uri=True) as connection:
        stored = [row[0] for row in connection.execute("SELECT vector FROM chunks LIMIT 20000")]
    return np.frombuffer(b"".join(stored), "<f4").reshape(len(stored), -1)


def unit(vectors: Vectors) -> Vectors:
    return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True), np.float32)


def moved(real: Vectors, count: int, noise: float, seed: int) -> Vectors:
    rng, made = np.random.default_rng(seed), np.empty((count, real.shape[1]), np.float32)
    for start in range(0, count, STEP):
        step = made[start : start + STEP]
        by = rng.standard_normal(step.shape, np.float32) * (noise / step.shape[1] ** 0.5)
        step[:] = unit(real[rng.integers(0, len(real), len(step))] + by)
    return made


def entries(first: int, vectors: Vectors) -> Entries:
    blank = [""] * len(vectors)
    return Entries(
        ids=np.arange(first, first + len(vectors)),
        documents=np.arange(first, first + len(vectors)),
        titles=blank,
        headings=[()] * len(vectors),
        texts=blank,
        languages=[None] * len(vectors),
        vectors=vectors,
    )


def apply(index: FaissIndex, first: int, vectors: Vectors, generation: int) -> None:
    position = Position(generation, "benchmark")
    nothing = np.empty(0, np.int64)
    index.apply(removed=nothing, added=entries(first, vectors), position=position)
    index.publish()


def cpu_ms(work: Callable[[], object]) -> float:
    start = time.process_time()
    work()
    return (time.process_time() - start) * 1e3


def search_all(index: FaissIndex, queries: Iterable[Vectors], allowed: Ids | None = None) -> None:
    for query in queries:
        index.search(query, limit=LIMIT, allowed=allowed)


def recall(index: FaissIndex, held: Vectors, queries: Vectors, allowed: Ids | None = None) -> float:
    """The share of the best scores that is reached: equal scores are equally good."""
    among = held if allowed is None else held[allowed]
    best, _ = faiss.knn(queries, among, LIMIT, faiss.METRIC_INNER_PRODUCT)
    reached = 0
    for query, scores in zip(queries, best, strict=True):
        hits = index.search(query, limit=LIMIT, allowed=allowed)
        reached += sum(hit.score >= scores[-1] - 2e-6 for hit in hits)
    return reached / best.size


def memory_megabytes(name: str) -> float:
    lines = Path("/proc/self/status").read_text().splitlines()
    return sum(int(line.split()[1]) for line in lines if line.startswith(name)) / 1024


def seconds(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def serve(path: Path, queries: Vectors, results: "multiprocessing.Queue[Serving]") -> None:
    """Open the index as a new process does, and search it."""
    opened: list[FaissIndex] = []
    open_ms = cpu_ms(lambda: opened.append(FaissIndex(path, dimension=queries.shape[1])))
    (index,) = opened
    search_all(index, queries)
    query_ms = cpu_ms(lambda: search_all(index, queries)) / len(queries)
    own, mapped = memory_megabytes("RssAnon"), memory_megabytes("RssFile")
    with ThreadPoolExecutor(THREADS) as threads:
        shares = [queries] * THREADS
        together = seconds(
            lambda: list(threads.map(lambda share: search_all(index, share), shares))
        )
    alone = seconds(lambda: search_all(index, np.concatenate(shares)))
    results.put(Serving(open_ms, query_ms, alone / together, own, mapped))


def served(path: Path, queries: Vectors) -> Serving:
    context = multiprocessing.get_context("spawn")
    results = context.Queue()
    process = context.Process(target=serve, args=(path, queries, results))
    process.start()
    found: Serving = results.get()
    process.join()
    return found


def compared_ms(held: Vectors, queries: Vectors) -> float:
    def compare() -> None:
        for query in queries:
            faiss.knn(query[np.newaxis], held, LIMIT, faiss.METRIC_INNER_PRODUCT)

    return cpu_ms(compare) / len(queries)


def measure(real: Vectors, rows: int, noise: float, path: Path) -> dict[str, float]:
    faiss.omp_set_num_threads(1)
    held = moved(real, rows, noise, seed=1)
    near = moved(real, QUERIES, noise, seed=2)
    drawn = np.random.default_rng(3).integers(0, len(real), (3, QUERIES))
    between = unit(real[drawn].sum(axis=0))
    allowed = np.flatnonzero(np.random.default_rng(4).random(rows) < SHARE)
    index = FaissIndex(path, dimension=real.shape[1])
    build_ms = cpu_ms(lambda: apply(index, 0, held, 1))
    figures = {
        "build, CPU s": build_ms / 1e3,
        "recall@10 near a chunk": recall(index, held, near),
        "recall@10 between chunks": recall(index, held, between),
        "recall@10 of a 1 % filter": recall(index, held, between, allowed),
        "1 % filter, ms a query": cpu_ms(lambda: search_all(index, between, allowed)) / QUERIES,
        "every vector, ms a query": compared_ms(held, between[:20]),
        **asdict(served(path, between)),
    }
    more = moved(real, ADDED, noise, seed=5)
    figures["adding 1,000, CPU ms"] = cpu_ms(lambda: apply(index, rows, more, 2))
    written = max(path.parent.glob(f"{path.name}.*"), key=os.path.getmtime).stat().st_size
    figures["adding 1,000, MB written"] = (written + path.stat().st_size) / 1e6
    return figures


@click.command()
@click.option("--database", type=click.Path(path_type=Path, exists=True), required=True)
@click.option("--rows", type=int, multiple=True, default=(10_000, 70_000, 1_000_000))
@click.option("--noise", default=0.6, show_default=True, help="Length of what moves a unit vector.")
def main(database: Path, rows: tuple[int, ...], noise: float) -> None:
    """Print CPU times, recall, memory, and what adding costs, at each size."""
    real = stored_vectors(database)
    tables = []
    for count in rows:
        with tempfile.TemporaryDirectory() as folder:
            tables.append(measure(real, count, noise, Path(folder) / "benchmark.vectors"))
    print(f"{'':28}" + "".join(f"{count:>12,}" for count in rows))
    for name in tables[0]:
        print(f"{name:28}" + "".join(f"{table[name]:12.3f}" for table in tables))


if __name__ == "__main__":
    main()
