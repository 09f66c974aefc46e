"""What the commands that judge share: what they compare with, and how they end."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import click

from rag_pipeline.cli.output import FAILED, print_json, say

if TYPE_CHECKING:
    from rag_pipeline.evaluation.criteria import Criterion
    from rag_pipeline.evaluation.record import Evaluation


class Judged(Protocol):
    """A report, and why it fails."""

    @property
    def failures(self) -> Sequence[str]:
        """A line for each condition that is met."""

    def as_json(self) -> Mapping[str, Any]:
        """As it is printed."""


def baseline_of(path: Path | None, criteria: "Sequence[Criterion]") -> "Evaluation | None":
    """The evaluation to compare with; it is misuse to speak of one and give none."""
    from rag_pipeline.evaluation.record import read_evaluation

    if path is None and any(criterion.relative for criterion in criteria):
        raise click.UsageError("--fail-if speaks of a baseline: give it with --baseline")
    return None if path is None else read_evaluation(path)


def tell(report: Judged, lines: Iterator[str], *, as_json: bool) -> None:
    """Print the report, and exit with 1 if it fails."""
    if as_json:
        print_json(report.as_json())
    else:
        for line in lines:
            click.echo(line)
    for failure in report.failures:
        say(f"failed: {failure}")
    if report.failures:
        raise SystemExit(FAILED)
