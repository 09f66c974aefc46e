"""Made-up exchanges by the million, for measuring the history.

Traits are as uneven as in life, and some as awkward as can be: the model "new" answers only the
newer part and the category "old" stands only in the older one, so that both are frequent and never
meet; whatever is grounded is confident; the word "common" stands in half of all exchanges.
"""

import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import accumulate, islice
from typing import Any

from sqlalchemy import Connection, func, insert, select

from storage.engine import Database
from storage.models.access import SessionRow, UserRow
from storage.models.prompts import CitationRow, EvidenceRow, PromptRow, PromptTagRow, ScoreRow
from storage.prompts.access import number_of
from storage.records import PromptId

FIRST = datetime(2024, 1, 1, tzinfo=UTC)
USERS, DOCUMENTS, WORDS, TAGS = 2_000, 10_000, 20_000, 500
A_BATCH = 5_000
SHOWN = 4


@dataclass(frozen=True, slots=True)
class Rows:
    """A batch, by table."""

    prompts: list[dict[str, Any]] = field(default_factory=list)
    evidence: list[dict[str, Any]] = field(default_factory=list)
    citations: list[dict[str, Any]] = field(default_factory=list)
    tags: list[dict[str, Any]] = field(default_factory=list)
    scores: list[dict[str, Any]] = field(default_factory=list)


class Maker:
    """Exchanges by their place in time, `total` in all; the same for the same seed."""

    def __init__(self, total: int, *, seed: int = 1) -> None:
        self.total = total
        self.chance = random.Random(seed)
        syllables = [c + v for c in "bdfgklmnprst" for v in "aeiou"]
        self.words = [
            "".join(self.chance.choices(syllables, k=2 + n % 3)) + (str(n) if n > 5_000 else "")
            for n in range(WORDS)
        ]
        self.weights = list(accumulate(1 / (n + 3) for n in range(WORDS)))

    def text(self, words: int) -> str:
        return " ".join(self.chance.choices(self.words, cum_weights=self.weights, k=words))

    def uneven(self, values: int) -> int:
        """One of so many, the first far more often than the last."""
        return min(int(self.chance.paretovariate(0.6)), values)

    def question(self) -> str:
        common = "common " if self.chance.random() < 0.5 else ""
        return f"what is the {common}{self.text(9)}?"

    def add(self, at: int, rows: Rows) -> None:
        """The exchange at a place of all."""
        chance, share = self.chance, at / self.total
        state = chance.choices(("grounded", "partial", "no_evidence"), (70, 15, 15))[0]
        status = chance.choices(("completed", "failed", "cancelled", "started"), (96, 2, 1, 1))[0]
        asked = FIRST + timedelta(seconds=60 * at, microseconds=chance.randrange(10**6))
        key = f"{int(asked.timestamp() * 1000):012x}{chance.getrandbits(48):012x}"
        is_done = status == "completed"
        question, answer = self.question(), self.text(35)
        user = self.uneven(USERS)
        confident = 0.6 + 0.4 * chance.random() if state == "grounded" else chance.random() * 0.6
        rows.prompts.append(
            {
                "prompt_id": key,
                "number": number_of(PromptId(key)),
                "user_id": user,
                "session_id": user if chance.random() < 0.8 else None,
                "collection": chance.choices(("default", "manuals", "law"), (60, 30, 10))[0],
                "generation": 1 + at // 5_000,
                "question": question,
                "rendered": f"Answer from these passages.\n{self.text(60)}\n{question}",
                "model": "new" if share > 0.6 else chance.choice(("small", "large", "echo")),
                "weights_sha256": "a" * 64,
                "template_sha256": "b" * 64,
                "sampling": {"temperature": 0.0},
                "status": status,
                "answer": answer if is_done else None,
                "state": state if is_done else None,
                "confidence": confident if is_done else None,
                "error": "the model ran out of memory" if status == "failed" else None,
                "usage": {"prompt_tokens": 90, "completion_tokens": chance.randrange(90)}
                if is_done
                else None,
                "timings": {"generate_s": 0.5},
                "created_at": asked,
                "completed_at": None if status == "started" else asked + timedelta(seconds=1),
                "application": chance.choice(("web", "cron", "mcp", None)),
                "category": "old" if share < 0.4 else f"c{self.uneven(12)}",
                "seconds": None if status == "started" else chance.lognormvariate(0, 1),
                "cost": chance.random() / 100 if is_done and chance.random() < 0.5 else None,
            }
        )
        self._evidence(key, rows, is_cited=is_done and state != "no_evidence")
        self._said(at, key, asked, rows)

    def _evidence(self, key: str, rows: Rows, *, is_cited: bool) -> None:
        documents = {self.uneven(DOCUMENTS) for _ in range(SHOWN)}
        for rank, document in enumerate(documents, start=1):
            shown = {"prompt_id": key, "rank": rank, "document_id": document, "score": 0.5}
            ranks = {"chunk_id": document, "vector_rank": rank, "keyword_rank": None}
            rows.evidence.append({**shown, **ranks, "cited": is_cited and rank == 1})
        if is_cited:
            document = min(documents)
            rows.citations.append(
                {
                    "prompt_id": key,
                    "ordinal": 0,
                    "chunk_id": document,
                    "document_id": document,
                    "source": f"/docs/{document}.txt",
                    "external_id": f"{document}.txt",
                    "quote": "quoted",
                    "start_offset": 0,
                    "end_offset": 6,
                    "answer_start": 0,
                    "answer_end": 6,
                    "score": 0.9,
                }
            )

    def _said(self, at: int, key: str, asked: datetime, rows: Rows) -> None:
        chance = self.chance
        tags = {f"t{self.uneven(TAGS)}"} if chance.random() < 0.4 else set()
        if at % (self.total // 25) == 7:
            tags.add("lost")
        rows.tags.extend({"prompt_id": key, "tag": tag} for tag in tags)
        for metric, share in (("rating", 0.1), ("helpful", 0.05)):
            if chance.random() < share:
                rows.scores.append(
                    {
                        "prompt_id": key,
                        "user_id": self.uneven(USERS),
                        "metric": metric,
                        "value": round(chance.random(), 2),
                        "created_at": asked,
                    }
                )


def fill(database: Database, total: int) -> Iterator[int]:
    """Write `total` exchanges straight into the tables, many in a transaction: `storage.history`
    writes one in each. Gives how many there are after each batch."""
    maker = Maker(total)
    with database.write() as connection:
        if connection.execute(select(func.count()).select_from(UserRow)).scalar_one() == 0:
            _askers(connection)
    places = iter(range(total))
    while batch := list(islice(places, A_BATCH)):
        rows = Rows()
        for at in batch:
            maker.add(at, rows)
        with database.write() as connection:
            for table, of_table in (
                (PromptRow, rows.prompts),
                (EvidenceRow, rows.evidence),
                (CitationRow, rows.citations),
                (PromptTagRow, rows.tags),
                (ScoreRow, rows.scores),
            ):
                if of_table:
                    connection.execute(insert(table), of_table)
        yield batch[-1] + 1


def _askers(connection: Connection) -> None:
    numbers = range(1, USERS + 1)
    users = [{"user_id": n, "name": f"user {n}", "created_at": FIRST} for n in numbers]
    connection.execute(insert(UserRow), users)
    sessions = [{**user, "session_id": user["user_id"], "name": "talk"} for user in users]
    connection.execute(insert(SessionRow), sessions)
