"""What an evaluation says: every figure, how sure it is, and what changed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rag_pipeline.evaluation.comparison import Comparison, Interval, compare, intervals
from rag_pipeline.evaluation.criteria import Criterion, failures
from rag_pipeline.evaluation.judgments import Qrels, relevant
from rag_pipeline.evaluation.measures import Measure, ordered
from rag_pipeline.evaluation.record import Evaluation, figures
from rag_pipeline.evaluation.trec import read_run

_SHOWN_CHANGES = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Ranked:
    """The documents of each query, best first."""

    rankings: Mapping[str, Sequence[str]]
    generation: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """An evaluation, how sure it is, what it could not know, and how it compares."""

    evaluation: Evaluation
    intervals: Mapping[str, Interval]
    without_hits: tuple[str, ...]
    """Queries for which nothing was found; they count as 0."""
    without_relevant: tuple[str, ...]
    """Queries to which no document is an answer; they count as 0."""
    absent: Mapping[str, Sequence[str]]
    """By query: relevant documents that the collection does not hold."""
    comparison: Comparison | None = None
    failures: tuple[str, ...] = ()
    """The conditions that were met, with their figures."""

    def as_json(self) -> Mapping[str, Any]:
        """The stable interface of `rag eval retrieval --json`."""
        found = self.evaluation
        return {
            "generation": found.generation,
            "space": found.space,
            "settings": dict(found.settings),
            "judgments_sha256": found.judgments_sha256,
            "queries": {
                "judged": len(found.queries),
                "without_hits": list(self.without_hits),
                "without_relevant": list(self.without_relevant),
                "with_absent_documents": {q: list(docs) for q, docs in self.absent.items()},
            },
            "metrics": {name: self._metric(name) for name in found.measures},
            **(self._compared(self.comparison) if self.comparison else {}),
            "failures": list(self.failures),
        }

    def _metric(self, name: str) -> Mapping[str, Any]:
        said: dict[str, Any] = _interval(self.intervals[name])
        if self.comparison is not None and name in self.comparison.by_measure:
            compared = self.comparison.by_measure[name]
            said["baseline"] = compared.baseline
            said["difference"] = _interval(compared.difference)
            said |= {"wins": compared.wins, "losses": compared.losses, "ties": compared.ties}
        return said

    def _compared(self, comparison: Comparison) -> Mapping[str, Any]:
        changed = {
            name: [
                {"_id": one.query, "baseline": one.baseline, "value": one.value}
                for one in changes[:_SHOWN_CHANGES]
            ]
            for name, changes in comparison.changes.items()
        }
        return {
            "compared": {"queries": len(comparison.queries), "left_out": comparison.left_out},
            "changed_most": changed,
        }


def from_run(path: Path, *, depth: int) -> Ranked:
    """The rankings of a TREC run file, at most `depth` documents of each query."""
    run = read_run(path)
    return Ranked(rankings={query: ordered(scores)[:depth] for query, scores in run.items()})


def evaluated(
    ranked: Ranked,
    judgments_sha256: str,
    qrels: Qrels,
    measures: Sequence[Measure],
    *,
    settings: Mapping[str, Any],
    space: Mapping[str, Any] | None = None,
) -> Evaluation:
    """The figures of what was ranked. At most `settings["k"]` documents of a query count."""
    depth = settings["k"]
    rankings = {query: found[:depth] for query, found in ranked.rankings.items()}
    return Evaluation(
        settings=settings,
        judgments_sha256=judgments_sha256,
        queries=figures(rankings, qrels, measures),
        generation=ranked.generation,
        space=space,
    )


def report(
    evaluation: Evaluation,
    ranked: Ranked,
    qrels: Qrels,
    *,
    held: frozenset[str] | None,
    baseline: Evaluation | None = None,
    criteria: Sequence[Criterion] = (),
) -> Report:
    """All that there is to say. `held`: the judged documents that are there; None: not known."""
    comparison = None if baseline is None else compare(evaluation, baseline)
    absent = {} if held is None else _absent(qrels, held)
    return Report(
        evaluation=evaluation,
        intervals=intervals(evaluation),
        without_hits=tuple(query for query in qrels if not ranked.rankings.get(query)),
        without_relevant=tuple(query for query, grades in qrels.items() if not relevant(grades)),
        absent=absent,
        comparison=comparison,
        failures=tuple(failures(criteria, evaluation, comparison)),
    )


def _absent(qrels: Qrels, held: frozenset[str]) -> dict[str, list[str]]:
    missing = {query: sorted(relevant(grades) - held) for query, grades in qrels.items()}
    return {query: documents for query, documents in missing.items() if documents}


def _interval(of: Interval) -> dict[str, Any]:
    return {"mean": of.mean, "low": of.low, "high": of.high}
