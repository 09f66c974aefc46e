"""What the history of exchanges costs: to keep, and to ask.

    python benchmarks/history.py record --rows 100000
    python benchmarks/history.py record --rows 100000 --database postgresql://…/empty
    python benchmarks/history.py list --database sqlite:////data/1m.db
    python benchmarks/history.py search --database postgresql://…/filled
    python benchmarks/history.py llm --llm VENV/bin/llm --folder FOLDER
    python benchmarks/history.py stats --database sqlite:////data/1m.db

`record` times what recording adds to an answer, start and end of it together, beside plain INSERTs
of the same texts, in turns on the same database: as one transaction, and as two. The others ask a
database that `benchmarks/recorded.py` fills if it is empty, with a million exchanges: `list` under
each pair of filters, `search` for frequent and rare words, `llm` beside simonw's `llm logs`,
`stats` by each attribute.
"""

import json
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median, quantiles

import click
import history_queries
import history_stats
import recorded
from sqlalchemy import text

from storage import schema
from storage.engine import Database
from storage.history import History
from storage.records import (
    LOCAL_OWNER,
    ChunkId,
    Citation,
    DocumentId,
    Evidence,
    PromptEnd,
    PromptStart,
)

SENTENCE = "The harbour of Ravenport was dredged in 1874 to a depth of nine metres. "
INSTRUCTED = "You answer questions using only the given text. Reply with one short sentence."
SHOWN, CITED = 5, 2
WARM = 30
_PLAIN = text("INSERT INTO plain (said, evidence) VALUES (:said, :evidence)")


@dataclass(frozen=True, slots=True)
class Taken:
    """Milliseconds of one exchange."""

    wall: float
    cpu: float


@click.group(help=__doc__.replace("\n\n    ", "\n\n\b\n    "))
def main() -> None:
    """The history, measured."""


@main.command()
@click.option("--database", "url", help="An empty one; SQLite in --folder if not given.")
@click.option("--folder", type=click.Path(path_type=Path), help="Where SQLite is kept.")
@click.option("--rows", type=int, default=0, show_default=True, help="On record before.")
@click.option("--exchanges", type=int, default=300, show_default=True)
def record(url: str | None, folder: Path | None, rows: int, exchanges: int) -> None:
    """What recording adds to an answer."""
    with _opened(url, folder) as database:
        _fill(database, rows)
        _report(database, _measured(database, exchanges), rows)


@contextmanager
def _opened(url: str | None, folder: Path | None) -> Iterator[Database]:
    with tempfile.TemporaryDirectory(dir=folder) as place:
        database = Database(url or f"sqlite:///{place}/rag.db")
        schema.prepare(database)
        key = "INTEGER PRIMARY KEY" if database.is_sqlite else "BIGSERIAL PRIMARY KEY"
        with database.write() as connection:
            connection.execute(text(f"CREATE TABLE plain (id {key}, said TEXT, evidence TEXT)"))
        try:
            yield database
        finally:
            database.close()


def _fill(database: Database, total: int) -> None:
    if total:
        for done in recorded.fill(database, total):
            click.echo(f"\r{done:,} rows", nl=False, err=True)
        click.echo(err=True)


def _measured(database: Database, exchanges: int) -> dict[str, list[Taken]]:
    """Each side's times, measured in turns."""
    history = History(database)
    sides: dict[str, Callable[[int], None]] = {
        "recorded": lambda number: _record(history, number),
        "two plain INSERTs, each committed": lambda number: _insert(database, number, times=2),
        "one plain INSERT": lambda number: _insert(database, number, times=1),
    }
    taken: dict[str, list[Taken]] = {name: [] for name in sides}
    for number in range(WARM + exchanges):
        for name, side in sides.items():
            wall, cpu = time.perf_counter(), time.process_time()
            side(number)
            ended = Taken((time.perf_counter() - wall) * 1e3, (time.process_time() - cpu) * 1e3)
            if number >= WARM:
                taken[name].append(ended)
    return taken


def _record(history: History, number: int) -> None:
    start, end = _exchange(number)
    history.complete(history.start(start, principal=LOCAL_OWNER), end)


def _insert(database: Database, number: int, *, times: int) -> None:
    start, end = _exchange(number)
    evidence = json.dumps([asdict(one) for one in (*start.evidence, *end.citations)])
    parts = (start.rendered, end.answer) if times > 1 else (f"{start.rendered}{end.answer}",)
    for said in parts:
        with database.write() as connection:
            connection.execute(_PLAIN, {"said": said, "evidence": evidence})


def _exchange(number: int) -> tuple[PromptStart, PromptEnd]:
    shown = tuple(
        Evidence(
            chunk_id=ChunkId(number * SHOWN + rank),
            document_id=DocumentId(number % 1000 + rank),
            rank=rank,
            score=0.5,
            vector_rank=rank,
            keyword_rank=None,
        )
        for rank in range(1, SHOWN + 1)
    )
    question = f"How deep is the harbour of Ravenport, asked for the {number}th time?"
    start = PromptStart(
        question=question,
        user=f"user {1 + number % 50}",
        session="talk",
        parent_id=None,
        collection="default",
        generation=1,
        model="tiny",
        weights_sha256="a" * 64,
        template_sha256="b" * 64,
        rendered=f"{INSTRUCTED}\n{SENTENCE * 4}\n{question}",
        sampling={"temperature": 0.0, "seed": 0, "top_p": 1.0, "max_new_tokens": 96},
        evidence=shown,
        system=INSTRUCTED,
        application="benchmark",
        category=f"category {number % 7}",
        tags=("benchmark", f"tag {number % 20}"),
    )
    citations = tuple(
        Citation(
            quote=SENTENCE.strip(),
            source=f"/documents/{one.document_id}.txt",
            document_id=one.document_id,
            external_id=f"{one.document_id}.txt",
            chunk_id=one.chunk_id,
            start=0,
            end=len(SENTENCE) - 1,
            answer_start=0,
            answer_end=20,
            score=0.9,
        )
        for one in shown[:CITED]
    )
    end = PromptEnd(
        answer=f"Nine metres, as was said {number} times.",
        state="grounded",
        citations=citations,
        usage={"prompt_tokens": 90, "completion_tokens": 9, "total_tokens": 99},
        timings={"retrieve_s": 0.01, "generate_s": 0.2, "verify_s": 0.01},
        confidence=0.9,
        seconds=0.22,
        finish_reason="stop",
    )
    return start, end


def _report(database: Database, taken: dict[str, list[Taken]], rows: int) -> None:
    kind = "SQLite" if database.is_sqlite else "PostgreSQL"
    click.echo(
        f"{kind}, {rows:,} on record; milliseconds of an exchange, load {os.getloadavg()[0]}"
    )
    for name, times in taken.items():
        walls = sorted(one.wall for one in times)
        click.echo(
            f"  {name:<34} wall p50 {median(walls):6.2f}  p95 {quantiles(walls, n=20)[-1]:6.2f}"
            f"  CPU mean {sum(one.cpu for one in times) / len(times):6.2f}"
        )


for command in (
    history_queries.list_,
    history_queries.search,
    history_queries.llm,
    history_stats.stats,
):
    main.add_command(command)


if __name__ == "__main__":
    main()
