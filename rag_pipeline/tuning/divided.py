"""Examples as they are divided: to train on, to stop by, and held out to judge by."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Generic

from rag_pipeline.datasets.splits import SplitPlan
from rag_pipeline.tuning.answer_examples import Example, sha256_of_examples
from rag_pipeline.tuning.courses import Rows
from rag_pipeline.tuning.errors import ExamplesError
from rag_pipeline.tuning.subjects import Fitting

SHARES: Mapping[str, float] = {"train": 70, "validation": 10, "test": 20}
MOST_MEASURED = 200
"""Examples held out that a model answers: more would take longer than the training."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Split(Generic[Example]):
    """Examples with their prompts, by what they are for."""

    rows: Mapping[str, Rows[Example]]

    @property
    def counts(self) -> dict[str, int]:
        return {name: len(rows) for name, rows in self.rows.items()}

    @property
    def held_out(self) -> list[Example]:
        """What models are measured on: always the same, though others come or go."""
        rows = sorted(self.rows["test"], key=lambda row: sha256_of_examples([row[0]]))
        return [example for example, _ in rows[:MOST_MEASURED]]


def divide(usable: Fitting[Example], seed: int) -> Split[Example]:
    """By their groups. Raises `ExamplesError` where one of the splits is empty."""
    plan = SplitPlan(shares=SHARES, seed=seed)
    rows: dict[str, list[tuple[Example, str]]] = {name: [] for name in SHARES}
    for example, prompt in usable.rows:
        rows[plan.split_of(example.group)].append((example, prompt))
    empty = [name for name, found in rows.items() if not found]
    if empty:
        left_out = "; ".join(f"{reason}: {count}" for reason, count in usable.left_out.items())
        raise ExamplesError(
            f"of {len(usable.rows)} examples that can be used none is left for"
            f" {' and '.join(empty)}: give more, about other questions"
            + (f" ({left_out})" if left_out else "")
        )
    return Split(rows=rows)
