"""The commands `list`, `search` and `llm` of `benchmarks/history.py`."""

import itertools
import json
import os
import resource
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Any

import click
import recorded

from rag_pipeline.history.matching import Matching, filter_of
from storage import schema
from storage.engine import Database
from storage.prompts.listing import PromptListing, PromptsWanted
from storage.prompts.rollups import recount
from storage.records import LOCAL_OWNER

FILTERS: Mapping[str, Matching] = {
    "a user": {"user": "user 7"},
    "the most frequent user": {"user": "user 1"},
    "nobody": {"user": "nobody"},
    "a session": {"where": "session = 'talk' and user = 'user 40'"},
    "the new model": {"model": "new"},
    "an old category": {"category": "old"},
    "an application": {"application": "cron"},
    "a collection": {"collection": "law"},
    "grounded": {"state": "grounded"},
    "ungrounded": {"ungrounded": True},
    "failed": {"status": "failed"},
    "a frequent tag": {"tag": "t1"},
    "a rare tag": {"tag": "lost"},
    "a score range": {"min_score": 0.9},
    "another metric": {"min_score": 0.9, "metric": "helpful"},
    "a day": {"since": "2024-03-01", "until": "2024-03-01"},
    "long ago": {"until": "2024-01-31"},
    "a cited document": {"cites": "77.txt"},
    "the most cited": {"cites": "1.txt"},
    "slow": {"slower_than": 5},
    "very slow": {"slower_than": 60},
    "not confident": {"where": "confidence < 0.5"},
    "expensive": {"where": "cost > 0.009"},
    "a frequent word": {"words": "common"},
    "a rare word": {"words": "nadu5736"},
}
SEARCHES = {
    "in half of all": "common",
    "in every one": "what",
    "both": "what common",
    "a rare word": "nadu5736",
    "two words": "common lenurida",
    "a phrase": '"what is the common"',
    "a beginning": "lenu*",
    "nowhere": "zzzz",
}
TURNS = 3


@contextmanager
def filled(url: str, rows: int) -> Iterator[Database]:
    """The database, filled unless it is; it is left as it is."""
    database = Database(url)
    schema.prepare(database)
    listing, everything = PromptListing(database), PromptsWanted(principal=LOCAL_OWNER)
    if listing.count(everything) == 0:
        for written in recorded.fill(database, rows):
            click.echo(f"written: {written}", err=True)
        # They were given other days than the one on which they were written.
        with database.write() as connection:
            recount(connection)
    try:
        yield database
    finally:
        database.close()


@click.command("list")
@click.option("--database", "url", required=True, help="Filled if it is empty.")
@click.option("--rows", type=int, default=1_000_000, show_default=True)
def list_(url: str, rows: int) -> None:
    """What a page costs under each pair of filters, in milliseconds."""
    with filled(url, rows) as database:
        listing = PromptListing(database)
        taken = []
        for first, second in itertools.combinations_with_replacement(FILTERS, 2):
            wanted = _wanted(FILTERS[first], FILTERS[second])
            cpu, wall, found = timed(lambda w=wanted: listing.page(w, limit=20))
            taken.append((wall, cpu, len(found), f"{first} + {second}"))
    taken.sort(reverse=True)
    for wall, cpu, found, name in taken[:12]:
        click.echo(f"{wall:8.1f} ms wall {cpu:8.1f} cpu  {found:3d} found  {name}")
    for name, column in (("wall", 0), ("cpu", 1)):
        ordered = sorted(row[column] for row in taken)
        shares = {
            share: ordered[min(int(len(ordered) * share), len(ordered) - 1)]
            for share in (0.5, 0.9, 0.99, 1)
        }
        shown = ", ".join(f"p{share * 100:g} {ms:.1f}" for share, ms in shares.items())
        click.echo(f"{len(taken)} pairs, ms {name}: {shown}")


@click.command()
@click.option("--database", "url", required=True, help="Filled if it is empty.")
@click.option("--rows", type=int, default=1_000_000, show_default=True)
def search(url: str, rows: int) -> None:
    """What full-text search costs, by rank and the newest first."""
    with filled(url, rows) as database:
        listing = PromptListing(database)
        everything = PromptsWanted(principal=LOCAL_OWNER)
        for name, words in SEARCHES.items():
            ranked = timed(lambda w=words: listing.fittest(w, everything, limit=20))
            with_words = PromptsWanted(principal=LOCAL_OWNER, words=words)
            newest = timed(lambda w=with_words: listing.page(w, limit=20))
            click.echo(
                f"{name:<16} ranked {ranked[1]:7.1f} ms wall {ranked[0]:7.1f} cpu;"
                f" newest {newest[1]:7.1f} ms wall {newest[0]:7.1f} cpu; {len(newest[2])} found"
            )


def _wanted(*asked: Matching) -> PromptsWanted:
    said = [filter_of(one) for one in asked]
    where = " and ".join(f"({one})" for one in said if one is not None)
    return PromptsWanted(principal=LOCAL_OWNER, where=filter_of({"where": where}))


def timed(work: Callable[[], Sequence[Any]]) -> tuple[float, float, Sequence[Any]]:
    """Median milliseconds, of this process's CPU and of the wall, and what `work` gives."""
    cpu, wall = [], []
    for _ in range(TURNS):
        started, began = time.process_time(), time.perf_counter()
        found = work()
        cpu.append((time.process_time() - started) * 1000)
        wall.append((time.perf_counter() - began) * 1000)
    return median(cpu), median(wall), found


@click.command()
@click.option("--llm", "program", type=click.Path(path_type=Path), required=True, help="`llm`.")
@click.option("--folder", type=click.Path(path_type=Path), required=True, help="For both.")
@click.option("--rows", type=int, default=100_000, show_default=True)
def llm(program: Path, folder: Path, rows: int) -> None:
    """`rag history` beside `llm logs`, with the same texts in both: whole commands, in turns."""
    folder.mkdir(parents=True, exist_ok=True)
    url = f"sqlite:///{(folder / 'rag.db').absolute()}"
    with filled(url, rows) as database:
        path = database.sqlite_path
        assert path is not None
    logs = folder / "logs.db"
    environment = {**os.environ, "LLM_USER_PATH": str(folder)}
    if not logs.exists():
        _prepare(program, logs)
        _copy(path, logs)
    rag = (sys.executable, "-m", "rag_pipeline", "--home", str(folder), "--database", url)
    for name, ours, theirs in (
        ("the newest 20", ("list", "-n", "20", "--json"), ("-n", "20")),
        ("a rare word", ("search", "nadu5736", "--json"), ("-n", "20", "-q", "nadu5736")),
        ("a word of half", ("search", "common", "--json"), ("-n", "20", "-q", "common")),
        (
            "the same, newest",
            ("list", "-q", "common", "--json"),
            ("-n", "20", "-q", "common", "--latest"),
        ),
    ):
        sides = {
            "rag": [*rag, "history", *ours],
            "llm": [str(program), "logs", *theirs, "--json", "--path", str(logs)],
        }
        taken = _in_turns(sides, environment)
        ratio = taken["rag"][0] / taken["llm"][0]
        shown = "; ".join(f"{side} {c:.3f} s cpu {w:.3f} wall" for side, (c, w) in taken.items())
        click.echo(f"{name:<16} {shown}; rag / llm {ratio:.2f} of cpu")
    _queries_alone(url, logs)


def _in_turns(
    sides: Mapping[str, list[str]], environment: Mapping[str, str]
) -> dict[str, tuple[float, float]]:
    """Median seconds of CPU and of the wall of each command."""
    taken: dict[str, list[tuple[float, float]]] = {side: [] for side in sides}
    for _, (side, command) in itertools.product(range(5), sides.items()):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        began = time.perf_counter()
        run = subprocess.run(command, env=environment, capture_output=True, check=True)
        wall = time.perf_counter() - began
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        assert json.loads(run.stdout), command
        cpu = after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime
        taken[side].append((cpu, wall))
    return {
        side: (median(cpu for cpu, _ in some), median(wall for _, wall in some))
        for side, some in taken.items()
    }


def _prepare(program: Path, logs: Path) -> None:
    """The tables of `llm`, made by itself."""
    told = (
        "import sys, sqlite_utils, llm.migrations;"
        " llm.migrations.migrate(sqlite_utils.Database(sys.argv[1]))"
    )
    subprocess.run([program.parent / "python", "-c", told, str(logs)], check=True)


def _copy(source: Path, logs: Path) -> None:
    """The same exchanges as `llm` would have logged them."""
    with sqlite3.connect(logs) as connection:
        connection.execute("ATTACH ? AS rag", (str(source),))
        connection.execute(
            "INSERT OR IGNORE INTO conversations (id, name, model)"
            " SELECT 'c' || coalesce(session_id, 0), 'talk', 'm' FROM rag.prompts"
        )
        connection.execute(
            "INSERT INTO responses (id, model, prompt, response, conversation_id, duration_ms,"
            " datetime_utc, input_tokens, output_tokens)"
            " SELECT prompt_id, model, question, coalesce(answer, ''),"
            " 'c' || coalesce(session_id, 0), 1000, replace(created_at, ' ', 'T'), 90, 30"
            " FROM rag.prompts ORDER BY prompt_id"
        )
        connection.commit()


def _queries_alone(url: str, logs: Path) -> None:
    """The queries of both in this process, as each program writes them."""
    theirs = sqlite3.connect(logs)
    database = Database(url)
    listing, everything = PromptListing(database), PromptsWanted(principal=LOCAL_OWNER)
    searched = (
        "SELECT responses.* FROM responses JOIN responses_fts ON responses_fts.rowid ="
        " responses.rowid WHERE responses_fts MATCH ? ORDER BY {} LIMIT 20"
    )
    for name, ours, statement, values in (
        (
            "the newest 20",
            lambda: listing.page(everything, limit=20),
            "SELECT * FROM responses ORDER BY id DESC LIMIT 20",
            (),
        ),
        (
            "a word of half",
            lambda: listing.fittest("common", everything, limit=20),
            searched.format("responses_fts.rank DESC"),
            ('"common"',),
        ),
        (
            "the same, newest",
            lambda: listing.page(PromptsWanted(principal=LOCAL_OWNER, words="common"), limit=20),
            searched.format("responses.id DESC"),
            ('"common"',),
        ),
    ):
        mine = timed(ours)
        other = timed(lambda s=statement, v=values: theirs.execute(s, v).fetchall())
        click.echo(
            f"{name:<16} alone: rag {mine[0]:.1f} ms cpu, llm {other[0]:.1f};"
            f" rag / llm {mine[0] / other[0]:.2f}"
        )
    database.close()
