"""A program whose answers are delivered until it is killed, and one that looks for them afterwards.

    recording.py HOME [--database URL] [--kills N] [--check-can-fail]

Each round starts a process that answers in several threads and prints what it delivered, kills it
at a random moment, and looks every delivered answer up in the history: it is there once and whole,
and what was not delivered is there once at most, under way or whole. Exit status 1 if not.
"""

import argparse
import itertools
import json
import os
import random
import signal
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import click
from sqlalchemy import select
from support.pipelines import word_pipeline

from rag_pipeline.generation.answer import Answer
from rag_pipeline.pipeline import RagPipeline
from storage.models.prompts import PromptRow
from storage.records import PromptRecord

THREADS = 4
TURNS = 3
"""Exchanges of a conversation."""
LONGEST_S = 0.4
FACTS = (
    "The harbour of Ravenport was dredged in 1874.",
    "The master of Ravenport was Johanna Lindqvist.",
    "A hive of bees holds forty workers.",
)
QUESTIONS = (
    "When was the harbour of Ravenport dredged",
    "Who was the master of Ravenport",
    "How many workers does a hive of bees hold",
    "Which quantum coupling proves zebra symmetry",
)


def opened(home: Path, database: str | None) -> RagPipeline:
    return word_pipeline(home, database=database)


def fill(home: Path, database: str | None) -> None:
    with opened(home, database) as rag:
        records = [{"_id": str(number), "text": text} for number, text in enumerate(FACTS)]
        rag.ingest_records(records, source="facts")


def work(home: Path, database: str | None, said: Path, name: str) -> None:
    """Answer until somebody kills this process; each delivered answer is a line of `said`."""
    log = os.open(said, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    with opened(home, database) as rag:
        talkers = [
            threading.Thread(target=talk, args=(rag, log, f"{name}-{number}"), daemon=True)
            for number in range(THREADS)
        ]
        for talker in talkers:
            talker.start()
        for talker in talkers:
            talker.join()


def talk(rag: RagPipeline, log: int, name: str) -> None:
    rng = random.Random(name)
    parent: str | None = None
    for number in itertools.count():
        parent = parent if number % TURNS else None
        key = f"{name}-{number}"
        question = f"{rng.choice(QUESTIONS)} ({key})?"
        answer = rag.ask(
            question, user=name, parent_id=parent, tags=("load", name), idempotency_key=key
        )
        os.write(log, f"{json.dumps(delivered(answer, question, parent))}\n".encode())
        parent = answer.prompt_id


def delivered(answer: Answer, question: str, parent: str | None) -> dict[str, Any]:
    return {
        "prompt_id": answer.prompt_id,
        "parent_id": parent,
        "question": question,
        "answer": answer.text,
        "state": answer.state,
        "quotes": [citation.quote for citation in answer.citations],
    }


def broken_in(home: Path, database: str | None, said: Path, checked: int) -> Iterator[str]:
    """Whatever is not on record as it should be, of what was delivered after the first `checked`
    answers, and of all questions."""
    lines = said.read_text().splitlines() if said.exists() else []
    with opened(home, database) as rag:
        asked = questions(rag)
        yield from (f"{question!r} is there {n} times" for question, n in asked.items() if n > 1)
        for promised in map(json.loads, lines):
            if asked[promised["question"]] != 1:
                yield f"{promised['question']!r} was answered and is lost"
        for promised in map(json.loads, lines[checked:]):
            wrong = difference(rag, promised)
            if wrong:
                yield f"{promised['prompt_id']}: {wrong}"
        for prompt_id in unanswered(rag):
            yield from begun_wrong(rag, prompt_id)


def questions(rag: RagPipeline) -> Counter[str]:
    with rag.parts.database.read() as connection:
        return Counter(connection.execute(select(PromptRow.question)).scalars())


def unanswered(rag: RagPipeline) -> list[str]:
    statement = select(PromptRow.prompt_id).where(PromptRow.status != "completed")
    with rag.parts.database.read() as connection:
        return [*connection.execute(statement).scalars()]


def difference(rag: RagPipeline, promised: dict[str, Any]) -> str | None:
    """What is not on record as it was delivered."""
    record = rag.history.show(promised["prompt_id"])
    found = {
        "prompt_id": record.prompt_id,
        "parent_id": record.parent_id,
        "question": record.question,
        "answer": record.answer,
        "state": record.state,
        "quotes": [citation.quote for citation in record.citations],
    }
    if found != promised:
        return f"promised {promised}, found {found}"
    cited = {citation.chunk_id for citation in record.citations}
    if {shown.chunk_id for shown in record.evidence if shown.cited} != cited:
        return "its evidence does not say what is cited"
    if record.status != "completed" or len(record.tags) != 2 or not record.evidence:
        return f"it is not whole: {record}"
    return untold(rag, record)


def untold(rag: RagPipeline, record: PromptRecord) -> str | None:
    """What is wrong with its messages."""
    said = [message.content for message in rag.history.messages(record.prompt_id)]
    if said[-2:] != [record.question, record.answer]:
        return f"its messages end with {said[-2:]}"
    before = 1
    if record.parent_id is not None:
        before = len(rag.history.messages(record.parent_id))
    return None if len(said) == before + 2 else f"it has {len(said)} messages after {before}"


def begun_wrong(rag: RagPipeline, prompt_id: str) -> Iterator[str]:
    record = rag.history.show(prompt_id)
    if record.status != "started":
        yield f"{prompt_id} {record.status}: {record.error}"
    if not record.evidence or len(record.tags) != 2:
        yield f"{prompt_id} was half started"
    if rag.history.messages(prompt_id)[-1].content != record.question:
        yield f"{prompt_id} lacks its question"


def check(home: Path, database: str | None, said: Path, checked: int) -> None:
    broken = list(itertools.islice(broken_in(home, database, said, checked), 5))
    if broken:
        click.echo("\n".join(broken))
        sys.exit(1)


def forked(function: Callable[..., None], *arguments: object) -> Any:
    """A process that has all imports already, and nothing open."""
    process = get_context("fork").Process(target=function, args=arguments)
    process.start()
    return process


def is_whole(home: Path, database: str | None, said: Path, checked: int = 0) -> bool:
    process = forked(check, home, database, said, checked)
    process.join()
    return bool(process.exitcode == 0)


def kill(home: Path, database: str | None, said: Path, round_: int) -> None:
    """Let it answer, and kill it at a random moment after its first answer, or before."""
    rng = random.Random(round_)
    before = said.stat().st_size if said.exists() else 0
    process = forked(work, home, database, said, f"round{round_}")
    if rng.random() < 0.9:
        while process.is_alive() and (not said.exists() or said.stat().st_size == before):
            time.sleep(0.005)
    time.sleep(rng.uniform(0, LONGEST_S))
    os.kill(process.pid, signal.SIGKILL)
    process.join()
    if process.exitcode != -signal.SIGKILL:
        sys.exit(f"the work ended by itself, with {process.exitcode}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("home", type=Path)
    parser.add_argument("--database")
    parser.add_argument("--kills", type=int, default=5)
    parser.add_argument("--check-every", type=int, default=1)
    parser.add_argument("--check-can-fail", action="store_true", help="promise what never was")
    given = parser.parse_args()
    given.home.mkdir(parents=True, exist_ok=True)
    said = given.home / "delivered.jsonl"
    forked(fill, given.home, given.database).join()
    checked = 0
    for round_ in range(1, given.kills + 1):
        kill(given.home, given.database, said, round_)
        is_due = round_ % given.check_every == 0 or round_ == given.kills
        if is_due:
            if not is_whole(given.home, given.database, said, checked):
                sys.exit(f"broken after {round_} kills")
            checked = len(said.read_text().splitlines())
    lines = said.read_text().splitlines()
    click.echo(f"{given.kills} kills, {len(lines)} answers delivered")
    if given.check_can_fail:
        said.write_text(json.dumps({**json.loads(lines[0]), "quotes": ["never said"]}))
        if is_whole(given.home, given.database, said):
            sys.exit("a broken promise is not noticed")


if __name__ == "__main__":
    main()
