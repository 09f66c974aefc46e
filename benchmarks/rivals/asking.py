"""How each side of `benchmarks/queries.py` is asked, in one form.

Only the standard library, so that it runs in each side's own environment.
"""

import argparse
import json
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from statistics import quantiles

Found = list[tuple[str, float]]
"""External ids with their scores, best first."""
Search = Callable[[str], Found]
MakeSearch = Callable[[int], Search]
"""A search that gives so many results."""
LIMIT = 10
RUN_LIMIT = 100
WARM_UP = 20
THREADS = 8


def arguments() -> argparse.ArgumentParser:
    """The options that every side takes."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--home", type=Path, required=True, help="what was ingested")
    parser.add_argument("--model", type=Path, required=True, help="the weights, as a folder")
    parser.add_argument("--queries", type=Path, required=True, help="JSON lines: _id, text")
    parser.add_argument("--once", action="store_true", help="only the first query")
    return parser


def report(make: MakeSearch, given: argparse.Namespace) -> None:
    """Ask everything and print one line of JSON: what was found, and what it took."""
    lines = given.queries.read_text("utf-8").splitlines()
    queries = {line["_id"]: line["text"] for line in map(json.loads, lines)}
    search = make(LIMIT)
    assert search(next(iter(queries.values())))
    if given.once:
        # What ran before `main` counts as well: CPU time is of the whole process.
        print(json.dumps({"cold_cpu_s": time.process_time()}))
        return
    texts = list(queries.values())
    for text in texts[:WARM_UP]:
        search(text)
    deep = make(RUN_LIMIT)
    run = {key: deep(text) for key, text in queries.items()}
    print(json.dumps({"run": run, **_alone(search, texts), **_together(search, texts)}))


def _alone(search: Search, texts: Sequence[str]) -> dict[str, float]:
    """Milliseconds a query: CPU on average, wall at the median and at the slowest of twenty."""
    walls: list[float] = []
    cpu = time.process_time()
    for text in texts:
        started = time.perf_counter()
        search(text)
        walls.append((time.perf_counter() - started) * 1000)
    cpu = (time.process_time() - cpu) * 1000 / len(texts)
    cuts = quantiles(walls, n=100)
    return {"cpu_ms": cpu, "p50_ms": cuts[49], "p95_ms": cuts[94]}


def _together(search: Search, texts: Sequence[str]) -> dict[str, float]:
    """How many times as many queries a second `THREADS` threads get through as one does."""
    rates = []
    for threads in (1, THREADS):
        with ThreadPoolExecutor(threads) as pool:
            started = time.perf_counter()
            list(pool.map(search, texts))
            rates.append(len(texts) / (time.perf_counter() - started))
    return {"threads_ratio": rates[1] / rates[0]}
