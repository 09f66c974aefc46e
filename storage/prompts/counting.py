"""What is counted of exchanges: the same where rollups are kept, where they are checked, and where
statistics do without them.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any, Literal, NamedTuple, TypeAlias, get_args

from sqlalchemy import Connection, Row, Select, exists, select

from storage.bulk import batches, rows_where
from storage.models.prompts import PromptRow, PromptTagRow, ScoreRow
from storage.prompts.latency import bucket_of
from storage.records import Judge

Dimension = Literal["all", "user", "model", "collection", "application", "category", "tag"]
Count = Literal[
    "prompts",
    "completed",
    "failed",
    "cancelled",
    "grounded",
    "partial",
    "no_evidence",
    "prompt_tokens",
    "completion_tokens",
    "priced",
    "nano_cost",
    "timed",
    "microseconds",
]
COUNTS: tuple[Count, ...] = get_args(Count)
ENDS: tuple[Count, ...] = ("completed", "failed", "cancelled")
NANO, MICRO = 10**9, 10**6
VALUE_CHARACTERS = 200
"""Of a name, those by which it is told from others here."""
_PLACE: Mapping[str, int] = {name: place for place, name in enumerate(COUNTS)}
_EXCHANGES_A_STEP = 2_000


class Said(NamedTuple):
    """What one judge said last of one exchange, by one metric."""

    judge: Judge
    metric: str
    millionths: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What is counted of one exchange."""

    day: date
    """On which it began, in UTC."""
    user_id: int
    model: str
    collection: str
    application: str | None
    category: str | None
    status: str
    state: str | None
    prompt_tokens: int
    completion_tokens: int
    nano_cost: int | None
    microseconds: int | None
    """None: it is not completed, or nobody looked at the clock."""
    tags: tuple[str, ...] = ()
    said: tuple[Said, ...] = ()

    @property
    def has_ended(self) -> bool:
        return self.status != "started"

    def places(self) -> Iterator[tuple[Dimension, str]]:
        """Each dimension and value that it counts for."""
        yield "all", ""
        yield "user", str(self.user_id)
        yield "model", self.model[:VALUE_CHARACTERS]
        yield "collection", self.collection
        if self.application is not None:
            yield "application", self.application
        if self.category is not None:
            yield "category", self.category
        for tag in self.tags:
            yield "tag", tag

    def counts(self) -> Iterator[tuple[Count, int]]:
        """What it adds, and how much of it."""
        yield "prompts", 1
        if self.has_ended:
            yield self.status, 1  # type: ignore[misc]  # the database allows these three alone
        if self.state is not None:
            yield self.state, 1  # type: ignore[misc]  # as it does these
        yield "prompt_tokens", self.prompt_tokens
        yield "completion_tokens", self.completion_tokens
        if self.nano_cost is not None:
            yield "priced", 1
            yield "nano_cost", self.nano_cost
        if self.microseconds is not None:
            yield "timed", 1
            yield "microseconds", self.microseconds


@dataclass(slots=True)
class Opinions:
    """Scores of one metric by one kind of judge."""

    scores: int = 0
    millionths: int = 0
    ups: int = 0
    """Above one half."""
    downs: int = 0
    """Below one half."""

    @property
    def mean(self) -> float | None:
        """From 0 to 1; None without a score."""
        return self.millionths / MICRO / self.scores if self.scores else None

    def add(self, scores: int, millionths: int, ups: int, downs: int) -> None:
        self.scores += scores
        self.millionths += millionths
        self.ups += ups
        self.downs += downs


OpinionKey: TypeAlias = tuple[Judge, str]
"""Who judged, and by which metric."""


@dataclass(slots=True)
class Totals:
    """Exchanges, added up."""

    amounts: list[int] = field(default_factory=lambda: [0] * len(COUNTS))
    """In the order of `COUNTS`."""
    latencies: Counter[int] = field(default_factory=Counter)
    """Completed answers by the bucket of their duration."""
    opinions: dict[OpinionKey, Opinions] = field(default_factory=dict)

    def of(self, name: Count) -> int:
        return self.amounts[_PLACE[name]]

    @property
    def started(self) -> int:
        """How many have not ended."""
        return self.of("prompts") - sum(self.of(end) for end in ENDS)

    def add(self, facts: Facts, sign: int = 1) -> None:
        """Count an exchange; with a `sign` of -1, take it away again."""
        for name, amount in facts.counts():
            self.amounts[_PLACE[name]] += sign * amount
        if facts.microseconds is not None:
            self.latencies[bucket_of(facts.microseconds / MICRO)] += sign
        for judge, metric, millionths in facts.said:
            half = MICRO // 2
            self.opinion((judge, metric)).add(
                sign, sign * millionths, sign * (millionths > half), sign * (millionths < half)
            )

    def __add__(self, other: "Totals") -> "Totals":
        both = Totals()
        both.add_totals(self)
        both.add_totals(other)
        return both

    def add_totals(self, other: "Totals") -> None:
        """Count all that another counted."""
        self.amounts = [one + more for one, more in zip(self.amounts, other.amounts, strict=True)]
        self.latencies.update(other.latencies)
        for key, said in other.opinions.items():
            self.opinion(key).add(said.scores, said.millionths, said.ups, said.downs)

    def add_started(self, exchanges: int) -> None:
        """Count some of which nothing is known but that they began."""
        self.amounts[_PLACE["prompts"]] += exchanges

    def opinion(self, key: OpinionKey) -> Opinions:
        """To add to."""
        return self.opinions.setdefault(key, Opinions())


def facts_of(
    connection: Connection, prompt_ids: Sequence[str], *, locked: bool = False
) -> dict[str, Facts]:
    """What is counted of each of these exchanges.

    With `locked`, nobody else changes them before the transaction ends.
    """
    if locked:
        # In a statement of its own: what one reads beside the lock it waits for is out of date.
        list(rows_where(connection, _LOCK, _KEY, sorted(prompt_ids)))
    return facts_in(connection, [*rows_where(connection, _EXCHANGES, _KEY, prompt_ids)])


def facts_in(connection: Connection, rows: Sequence[Row[*tuple[Any, ...]]]) -> dict[str, Facts]:
    """What is counted of each exchange of which there is a row: `COUNTED`, and whether it
    `is_tagged` and `is_scored`."""
    tags = _tags(connection, [row.prompt_id for row in rows if row.is_tagged])
    said = _said(connection, [row.prompt_id for row in rows if row.is_scored])
    return {
        row.prompt_id: _facts(row, tags.get(row.prompt_id, ()), said.get(row.prompt_id, ()))
        for row in rows
    }


def all_facts(connection: Connection, prompt_ids: Select[str]) -> Iterator[Facts]:
    """What is counted of each of the exchanges that a statement names."""
    found = connection.execute(prompt_ids).scalars().all()
    for batch in batches(found, _EXCHANGES_A_STEP):
        yield from facts_of(connection, batch).values()


_KEY = PromptRow.prompt_id
COUNTED = (
    PromptRow.prompt_id,
    PromptRow.created_at,
    PromptRow.user_id,
    PromptRow.model,
    PromptRow.collection,
    PromptRow.application,
    PromptRow.category,
    PromptRow.status,
    PromptRow.state,
    PromptRow.usage,
    PromptRow.cost,
    PromptRow.seconds,
)
_EXCHANGES = select(
    *COUNTED,
    exists().where(PromptTagRow.prompt_id == PromptRow.prompt_id).label("is_tagged"),
    exists().where(ScoreRow.prompt_id == PromptRow.prompt_id).label("is_scored"),
)
_LOCK = (
    # Where rows refer to an exchange, the database holds a lock that this one leaves room for.
    select(PromptRow.prompt_id).order_by(PromptRow.prompt_id).with_for_update(key_share=True)
)
_TAGS = select(PromptTagRow.prompt_id, PromptTagRow.tag)
_SCORES = (
    select(
        ScoreRow.prompt_id,
        ScoreRow.judge,
        ScoreRow.user_id,
        ScoreRow.judge_name,
        ScoreRow.metric,
        ScoreRow.value,
    )
    .where(ScoreRow.value.is_not(None))
    .order_by(ScoreRow.score_id)
)


def _tags(connection: Connection, keys: Sequence[str]) -> Mapping[str, tuple[str, ...]]:
    found: dict[str, list[str]] = {}
    for key, tag in rows_where(connection, _TAGS, PromptTagRow.prompt_id, keys):
        found.setdefault(key, []).append(tag)
    return {key: tuple(tags) for key, tags in found.items()}


def _said(connection: Connection, keys: Sequence[str]) -> Mapping[str, tuple[Said, ...]]:
    """What each judge said last of each of these exchanges."""
    found: dict[str, dict[tuple[Any, ...], Said]] = {}
    for row in rows_where(connection, _SCORES, ScoreRow.prompt_id, keys):
        who = (row.judge, row.user_id, row.judge_name, row.metric)
        millionths = round(row.value * MICRO)
        found.setdefault(row.prompt_id, {})[who] = Said(row.judge, row.metric, millionths)
    return {key: tuple(said.values()) for key, said in found.items()}


def _facts(row: Row[*tuple[Any, ...]], tags: tuple[str, ...], said: tuple[Said, ...]) -> Facts:
    usage = row.usage or {}
    is_timed = row.status == "completed" and row.seconds is not None
    return Facts(
        day=row.created_at.date(),
        user_id=row.user_id,
        model=row.model,
        collection=row.collection,
        application=row.application,
        category=row.category,
        status=row.status,
        state=row.state,
        prompt_tokens=_tokens(usage.get("prompt_tokens")),
        completion_tokens=_tokens(usage.get("completion_tokens")),
        nano_cost=None if row.cost is None else round(row.cost * NANO),
        microseconds=round(row.seconds * MICRO) if is_timed else None,
        tags=tags,
        said=said,
    )


def _tokens(given: object) -> int:
    """What an import brought along need not be a number."""
    return given if isinstance(given, int) else 0
