"""Statistics of the history, as JSON and as rows of figures."""

from typing import Any

from storage.prompts.counting import NANO, Opinions, Totals
from storage.prompts.latency import quantile
from storage.prompts.statistics import Group, Statistics
from storage.records import Judge

COLUMNS = (
    "prompts",
    "answered",
    "grounded",
    "partial",
    "no_evidence",
    "failed",
    "tokens",
    "cost",
    "p50_s",
    "p95_s",
    "rating",
    "up",
    "down",
)
"""What a table shows of a group, after its key."""


def as_json(found: Statistics) -> dict[str, Any]:
    """The stable interface; keys may be added, none is changed."""
    return {
        "from_rollups": found.is_from_rollups,
        "total": found.total,
        "groups": [group_json(group) for group in found.groups],
    }


def group_json(group: Group) -> dict[str, Any]:
    totals = group.totals
    return {
        "key": group.key,
        "prompts": totals.of("prompts"),
        "statuses": {
            "started": totals.started,
            "completed": totals.of("completed"),
            "failed": totals.of("failed"),
            "cancelled": totals.of("cancelled"),
        },
        "states": {
            "grounded": totals.of("grounded"),
            "partial": totals.of("partial"),
            "no_evidence": totals.of("no_evidence"),
        },
        "prompt_tokens": totals.of("prompt_tokens"),
        "completion_tokens": totals.of("completion_tokens"),
        "cost": cost(totals),
        "seconds": seconds_json(totals),
        "scores": [
            _opinion_json(judge, metric, said)
            for (judge, metric), said in sorted(totals.opinions.items())
            if said.scores
        ],
    }


def seconds_json(totals: Totals) -> dict[str, float | int | None]:
    """Of completed answers; the quantiles to within 5 %."""
    timed = totals.of("timed")
    return {
        "timed": timed,
        "mean": totals.of("microseconds") / 1e6 / timed if timed else None,
        "p50": quantile(totals.latencies, 0.5),
        "p95": quantile(totals.latencies, 0.95),
    }


def _opinion_json(judge: Judge, metric: str, said: Opinions) -> dict[str, Any]:
    return {
        "judge": judge,
        "metric": metric,
        "scores": said.scores,
        "mean": said.mean,
        "ups": said.ups,
        "downs": said.downs,
    }


def cost(totals: Totals) -> float | None:
    """In the currency of the prices; None where no answer has one."""
    return totals.of("nano_cost") / NANO if totals.of("priced") else None


def row(group: Group) -> dict[str, str | float | int | None]:
    """The figures of a group under the names of `COLUMNS`, after its key."""
    totals = group.totals
    said = totals.opinions.get(("human", "rating"), Opinions())
    return {
        "key": group.key,
        "prompts": totals.of("prompts"),
        "answered": totals.of("completed"),
        "grounded": totals.of("grounded"),
        "partial": totals.of("partial"),
        "no_evidence": totals.of("no_evidence"),
        "failed": totals.of("failed"),
        "tokens": totals.of("prompt_tokens") + totals.of("completion_tokens"),
        "cost": cost(totals),
        "p50_s": quantile(totals.latencies, 0.5),
        "p95_s": quantile(totals.latencies, 0.95),
        "rating": said.mean,
        "up": said.ups,
        "down": said.downs,
    }
