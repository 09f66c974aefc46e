"""Tables of what is counted as exchanges are written, and of what waits to be judged.

All amounts are whole numbers, so that what is taken away again leaves exactly what was there:
microseconds, millionths of a score, billionths of the currency of the prices.
"""

from datetime import date

from sqlalchemy import CheckConstraint, ForeignKey, String

from storage.models.base import BigKey, ByteOrdered, Column, Table

DIMENSIONS = ("all", "user", "model", "collection", "application", "category", "tag")
GRAINS = ("day", "month")


def _key_checks() -> tuple[CheckConstraint, ...]:
    """Of the key below: each table wants its own."""
    return (
        CheckConstraint(f"dimension IN ({', '.join(map(repr, DIMENSIONS))})", name="dimension"),
        CheckConstraint(f"grain IN ({', '.join(map(repr, GRAINS))})", name="grain"),
    )


class RollupKey:
    """Of what is counted: one value of one dimension, on one day or in one month, in UTC.

    The value is a name; for "user" the user's key, for "all" nothing.
    """

    dimension: Column[str] = Column(String(11), primary_key=True)
    grain: Column[str] = Column(String(5), primary_key=True)
    value: Column[str] = Column(ByteOrdered, primary_key=True)
    first_day: Column[date] = Column(primary_key=True)


class RollupRow(RollupKey, Table, sqlite_with_rowid=False):
    """How many exchanges that began then have ended, how they came out, and what they took."""

    __tablename__ = "prompt_rollups"
    __table_args__ = _key_checks()

    prompts: Column[int] = Column(BigKey)
    completed: Column[int] = Column(BigKey)
    failed: Column[int] = Column(BigKey)
    cancelled: Column[int] = Column(BigKey)
    grounded: Column[int] = Column(BigKey)
    partial: Column[int] = Column(BigKey)
    no_evidence: Column[int] = Column(BigKey)
    prompt_tokens: Column[int] = Column(BigKey)
    completion_tokens: Column[int] = Column(BigKey)
    priced: Column[int] = Column(BigKey)
    """How many have a cost."""
    nano_cost: Column[int] = Column(BigKey)
    timed: Column[int] = Column(BigKey)
    """How many are completed and have a duration."""
    microseconds: Column[int] = Column(BigKey)


class LatencyRollupRow(RollupKey, Table, sqlite_with_rowid=False):
    """How many completed answers took about so long, by buckets of `storage.prompts.latency`."""

    __tablename__ = "prompt_latency_rollups"
    __table_args__ = _key_checks()

    bucket: Column[int] = Column(primary_key=True, autoincrement=False)
    prompts: Column[int] = Column(BigKey)


class ScoreRollupRow(RollupKey, Table, sqlite_with_rowid=False):
    """What was said of the answers of these exchanges: of each judge what was said last."""

    __tablename__ = "prompt_score_rollups"
    __table_args__ = _key_checks()

    judge: Column[str] = Column(String(9), primary_key=True)
    metric: Column[str] = Column(String(200), primary_key=True)
    scores: Column[int] = Column(BigKey)
    millionths: Column[int] = Column(BigKey)
    """The sum of the scores."""
    ups: Column[int] = Column(BigKey)
    """Scores above one half."""
    downs: Column[int] = Column(BigKey)
    """Scores below one half."""


class ScoringRow(Table, sqlite_with_rowid=False):
    """A completed answer that no automatic judge has seen yet."""

    __tablename__ = "prompt_scoring"

    prompt_id: Column[str] = Column(String(32), ForeignKey("prompts.prompt_id"), primary_key=True)
