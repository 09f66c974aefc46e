"""What replays come to in all, when that is a failure, and the file that keeps them.

The file holds a JSON object a line: one replayed exchange, with what differs and, whole, what came
of it now. A later replay can be compared with it instead of with what is on record.
"""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rag_pipeline.evaluation.criteria import Criterion
from rag_pipeline.evaluation.errors import EvaluationError
from rag_pipeline.history.comparing import Difference, Outcome
from rag_pipeline.history.errors import HistoryError
from rag_pipeline.history.replay import Replayed

FIGURES = (
    "replayed",
    "identical",
    "changed",
    "failed",
    "evidence_changed",
    "reordered",
    "answer_changed",
    "state_changed",
    "citations_changed",
    "lost",
    "gained",
    "changed_rate",
    "confidence_change",
)
"""What a condition may speak of. `reordered`: the same evidence in another order. `lost` and
`gained`: answers that had evidence before and have none now, or the other way round.
`confidence_change`: the mean, after less before."""


@dataclass(slots=True, kw_only=True)
class ReplayReport:
    """Counts over all exchanges that were replayed."""

    counts: Counter[str] = field(default_factory=Counter)
    states: Counter[tuple[str | None, str | None]] = field(default_factory=Counter)
    """Where the state changed: before and after."""
    confidence_changes: float = 0.0
    """Their sum, where both are known."""
    largest_score_shift: float = 0.0
    failures: list[str] = field(default_factory=list)
    """A line for each condition that is met."""

    def add(self, replayed: Replayed) -> None:
        """Count one more."""
        self.counts["replayed"] += 1
        if replayed.difference is None:
            self.counts["failed"] += 1
        else:
            self._add(replayed.difference)

    def _add(self, found: Difference) -> None:
        before, after = found.before, found.after
        had, has = (one.state not in (None, "no_evidence") for one in (before, after))
        self.counts.update(
            {
                "identical": found.is_identical,
                "changed": found.is_changed,
                "evidence_changed": found.evidence.is_changed,
                "reordered": found.evidence.is_reordered,
                "answer_changed": found.answer_changed,
                "state_changed": found.state_changed,
                "citations_changed": found.citations_changed,
                "lost": had and not has,
                "gained": has and not had,
            }
        )
        if found.state_changed:
            self.states[before.state, after.state] += 1
        if before.confidence is not None and after.confidence is not None:
            self.counts["with_confidence"] += 1
            self.confidence_changes += after.confidence - before.confidence
        shift = found.evidence.largest_shift
        self.largest_score_shift = max(self.largest_score_shift, shift)

    def figure(self, name: str) -> float:
        """One of `FIGURES`."""
        match name:
            case "changed_rate":
                return self.counts["changed"] / max(1, self.counts["replayed"])
            case "confidence_change":
                return self.confidence_changes / max(1, self.counts["with_confidence"])
            case _:
                return self.counts[name]

    def judge(self, criteria: Sequence[Criterion]) -> None:
        """Put down which conditions are met.

        Where there are some, and none speaks of what could not be replayed, nothing of the kind
        may be: what was not looked at has not passed.
        """
        if criteria and not any(one.name == "failed" for one in criteria):
            criteria = [*criteria, replay_criterion("failed > 0")]
        said = (one.met_by(self.figure(one.name), one.number) for one in criteria)
        self.failures += [why for why in said if why is not None]

    def as_json(self) -> Mapping[str, Any]:
        """The totals."""
        return {
            **{name: self.figure(name) for name in FIGURES},
            "states": [
                {"before": before, "after": after, "count": count}
                for (before, after), count in self.states.most_common()
            ],
            "largest_score_shift": self.largest_score_shift,
            "failures": self.failures,
        }


def replay_criterion(text: str) -> Criterion:
    """The condition that `text` states: `changed > 0`, `changed_rate >= 0.1`.

    Raises `EvaluationError` for what is none, or speaks of what is not counted.
    """
    criterion = Criterion.parse(text, _figure)
    if criterion.relative:
        raise EvaluationError(
            f"{text!r} speaks of a baseline; every figure of a replay is a difference already:"
            " write a number"
        )
    return criterion


def _figure(name: str) -> str:
    if name.lower() not in FIGURES:
        raise EvaluationError(f"{name!r} is no figure of a replay; use one of {', '.join(FIGURES)}")
    return name.lower()


def line(replayed: Replayed) -> bytes:
    """One exchange as the file has it."""
    return json.dumps(replayed.as_json(), ensure_ascii=False, allow_nan=False).encode() + b"\n"


def read_baseline(path: Path) -> dict[str, Outcome]:
    """What came of each exchange when `path` was written.

    Raises `HistoryError` naming the line that is not of such a file.
    """
    found: dict[str, Outcome] = {}
    try:
        with path.open(encoding="utf-8") as file:
            for number, text in enumerate(file, start=1):
                found.update(_outcome(text, f"line {number} of {path}"))
    except (OSError, UnicodeDecodeError) as error:
        raise HistoryError(f"{path} can't be read: {error}; name a file of replays") from error
    return found


def _outcome(text: str, where: str) -> dict[str, Outcome]:
    try:
        row = json.loads(text)
        outcome = row["outcome"]
        return {} if outcome is None else {row["prompt_id"]: Outcome.from_json(outcome)}
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise HistoryError(
            f"{where} is no replayed exchange; make such a file with: rag history replay --output"
        ) from error
