"""How the use of the corpus moves: a period against the one before it, and what is asked now."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Unpack

from rag_pipeline.history.counting import counted_as
from rag_pipeline.history.matching import Matching
from rag_pipeline.history.statistics import cost, group_json
from rag_pipeline.history.topics import Drift, Term, drift, moved, words_of
from storage.engine import Database
from storage.errors import InvalidRecordError
from storage.prompts.asked_questions import Questions, newest_questions
from storage.prompts.counting import Opinions, Totals
from storage.prompts.latency import quantile
from storage.prompts.statistics import Counted, Group, statistics
from storage.records import Principal

MAX_DAYS = 3_660
MAX_QUESTIONS = 20_000
"""Of a period, the newest: those whose terms are counted."""
MAX_VECTORS = 2_000
_SHOWN = 10


@dataclass(frozen=True, slots=True)
class Figures:
    """What one period comes to."""

    prompts: int
    users: int
    answered: int
    grounded_share: float | None
    """Of the completed answers, those that stand on evidence from end to end."""
    groundedness: float | None
    """The mean that the automatic judge gives."""
    rating: float | None
    ratings: int
    ups: int
    downs: int
    failed_share: float | None
    p50_s: float | None
    p95_s: float | None
    cost: float | None

    def as_json(self) -> dict[str, float | int | None]:
        return {name: getattr(self, name) for name in self.__slots__}


@dataclass(frozen=True, slots=True, kw_only=True)
class Trends:
    """A period of whole days in UTC, and the same number of days before it."""

    first_day: str
    days: int
    now: Figures
    before: Figures
    series: tuple[Group, ...]
    """Each day of both periods on which anything was asked, oldest first."""
    risen: tuple[Term, ...]
    fallen: tuple[Term, ...]
    """Terms of questions, those that moved most first."""
    drift: Drift | None
    """Of the mean question; None where too few have vectors in one space."""

    def as_json(self) -> dict[str, Any]:
        """The stable interface; keys may be added, none is changed."""
        return {
            "from": self.first_day,
            "days": self.days,
            "now": self.now.as_json(),
            "before": self.before.as_json(),
            "series": [group_json(group) for group in self.series],
            "topics": {
                "risen": [_term_json(term) for term in self.risen],
                "fallen": [_term_json(term) for term in self.fallen],
                "distance": None if self.drift is None else self.drift.distance,
                "p_value": None if self.drift is None else self.drift.p_value,
            },
        }


def trends(
    database: Database, principal: Principal, *, days: int = 30, **wanted: Unpack[Matching]
) -> Trends:
    """The `days` up to and with `until` (default: today) against as many before them.

    Raises `FilterError`, and `InvalidRecordError` for `since`, and for days that are no number of
    days.
    """
    if not 1 <= days <= MAX_DAYS:
        raise InvalidRecordError(f"a period of {days} days is out of range; use 1 to {MAX_DAYS}")
    if wanted.get("since") is not None:
        raise InvalidRecordError("trends begin where their days do; give days and until alone")
    asked = counted_as(principal, "day", **wanted)
    ends = _end(asked)
    now = replace(asked, since=ends - timedelta(days=days), before=ends)
    before = replace(asked, since=ends - timedelta(days=2 * days), before=now.since)
    both = replace(asked, since=before.since, before=ends)
    series = statistics(database, both).groups
    first_day = (ends - timedelta(days=days)).date().isoformat()
    risen, fallen, moved_by = _topics(database, now, before)
    return Trends(
        first_day=first_day,
        days=days,
        now=_figures(database, now, [one for one in series if one.key >= first_day]),
        before=_figures(database, before, [one for one in series if one.key < first_day]),
        series=series,
        risen=risen,
        fallen=fallen,
        drift=moved_by,
    )


def _end(asked: Counted) -> datetime:
    """The midnight after the last day."""
    last = asked.before - timedelta(microseconds=1) if asked.before else datetime.now(UTC)
    day = last.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    return day + timedelta(days=1)


def _figures(database: Database, counted: Counted, days: Sequence[Group]) -> Figures:
    totals = Totals()
    for group in days:
        totals.add_totals(group.totals)
    users = statistics(database, replace(counted, by="user", limit=0)).total
    ended = totals.of("prompts") - totals.started
    rating = totals.opinions.get(("human", "rating"), Opinions())
    return Figures(
        prompts=totals.of("prompts"),
        users=users,
        answered=totals.of("completed"),
        grounded_share=_share(totals.of("grounded"), totals.of("completed")),
        groundedness=totals.opinions.get(("automatic", "groundedness"), Opinions()).mean,
        rating=rating.mean,
        ratings=rating.scores,
        ups=rating.ups,
        downs=rating.downs,
        failed_share=_share(totals.of("failed"), ended),
        p50_s=quantile(totals.latencies, 0.5),
        p95_s=quantile(totals.latencies, 0.95),
        cost=cost(totals),
    )


def _share(part: int, whole: int) -> float | None:
    return part / whole if whole else None


def _topics(
    database: Database, now: Counted, before: Counted
) -> tuple[tuple[Term, ...], tuple[Term, ...], Drift | None]:
    asked_now, asked_before = (
        newest_questions(database, one, texts=MAX_QUESTIONS, vectors=MAX_VECTORS)
        for one in (now, before)
    )
    terms = moved(words_of(asked_now.texts), words_of(asked_before.texts))
    risen = tuple(term for term in terms if term.z > 0)[:_SHOWN]
    fallen = tuple(term for term in reversed(terms) if term.z < 0)[:_SHOWN]
    return risen, fallen, _drift(asked_now, asked_before)


def _drift(now: Questions, before: Questions) -> Drift | None:
    """In the space that most of the new questions have vectors of."""
    for space in sorted(now.vectors, key=lambda space: -len(now.vectors[space])):
        if space in before.vectors:
            return drift(now.vectors[space], before.vectors[space])
    return None


def _term_json(term: Term) -> Mapping[str, str | int | float]:
    return {"term": term.term, "now": term.now, "before": term.before, "z": round(term.z, 3)}
