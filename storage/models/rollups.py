"""Tables of what is counted as exchanges are written, and of what waits to be judged.

All amounts are whole numbers, so that what is taken away again leaves exactly what was there:
microseconds, millionths of a score, billionths of the currency of the prices.
"""

from datetime import date

from sqlalchemy import CheckConstraint, ForeignKey, String
from sqlalchemy.orm import Mapped, mapped_column

from storage.models.base import BigKey, ByteOrdered, Table

DIMENSIONS = ("all", "user", "model", "collection", "application", "category", "tag")
GRAINS = ("day", "month")

_IS_DIMENSION = f"dimension IN ({', '.join(map(repr, DIMENSIONS))})"
_IS_GRAIN = f"grain IN ({', '.join(map(repr, GRAINS))})"


class RollupKey:
    """Of what is counted: one value of one dimension, on one day or in one month, in UTC.

    The value is a name; for "user" the user's key, for "all" nothing.
    """

    dimension: Mapped[str] = mapped_column(String(11), primary_key=True, sort_order=-1)
    grain: Mapped[str] = mapped_column(String(5), primary_key=True, sort_order=-1)
    value: Mapped[str] = mapped_column(ByteOrdered, primary_key=True, sort_order=-1)
    first_day: Mapped[date] = mapped_column(primary_key=True, sort_order=-1)


class RollupRow(RollupKey, Table):
    """How many exchanges that began then have ended, how they came out, and what they took."""

    __tablename__ = "prompt_rollups"
    __table_args__ = (
        CheckConstraint(_IS_DIMENSION, name="dimension"),
        CheckConstraint(_IS_GRAIN, name="grain"),
        {"sqlite_with_rowid": False},
    )

    prompts: Mapped[int] = mapped_column(BigKey)
    completed: Mapped[int] = mapped_column(BigKey)
    failed: Mapped[int] = mapped_column(BigKey)
    cancelled: Mapped[int] = mapped_column(BigKey)
    grounded: Mapped[int] = mapped_column(BigKey)
    partial: Mapped[int] = mapped_column(BigKey)
    no_evidence: Mapped[int] = mapped_column(BigKey)
    prompt_tokens: Mapped[int] = mapped_column(BigKey)
    completion_tokens: Mapped[int] = mapped_column(BigKey)
    priced: Mapped[int] = mapped_column(BigKey)
    """How many have a cost."""
    nano_cost: Mapped[int] = mapped_column(BigKey)
    timed: Mapped[int] = mapped_column(BigKey)
    """How many are completed and have a duration."""
    microseconds: Mapped[int] = mapped_column(BigKey)


class LatencyRollupRow(RollupKey, Table):
    """How many completed answers took about so long, by buckets of `storage.prompts.latency`."""

    __tablename__ = "prompt_latency_rollups"
    __table_args__ = (
        CheckConstraint(_IS_DIMENSION, name="dimension"),
        CheckConstraint(_IS_GRAIN, name="grain"),
        {"sqlite_with_rowid": False},
    )

    bucket: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    prompts: Mapped[int] = mapped_column(BigKey)


class ScoreRollupRow(RollupKey, Table):
    """What was said of the answers of these exchanges: of each judge what was said last."""

    __tablename__ = "prompt_score_rollups"
    __table_args__ = (
        CheckConstraint(_IS_DIMENSION, name="dimension"),
        CheckConstraint(_IS_GRAIN, name="grain"),
        {"sqlite_with_rowid": False},
    )

    judge: Mapped[str] = mapped_column(String(9), primary_key=True)
    metric: Mapped[str] = mapped_column(String(200), primary_key=True)
    scores: Mapped[int] = mapped_column(BigKey)
    millionths: Mapped[int] = mapped_column(BigKey)
    """The sum of the scores."""
    ups: Mapped[int] = mapped_column(BigKey)
    """Scores above one half."""
    downs: Mapped[int] = mapped_column(BigKey)
    """Scores below one half."""


class ScoringRow(Table):
    """A completed answer that no automatic judge has seen yet."""

    __tablename__ = "prompt_scoring"
    __table_args__ = ({"sqlite_with_rowid": False},)

    prompt_id: Mapped[str] = mapped_column(ForeignKey("prompts.prompt_id"), primary_key=True)
