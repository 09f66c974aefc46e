"""How a hit's explanation is shown to a person."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rag_pipeline.retrieval.explain import Contribution, Explanation, Stage
    from storage.records import Hit, TermMatch

_LABEL = 8
"""Characters that the name of a line takes."""


def explanation_lines(hit: "Hit", explanation: "Explanation") -> Iterator[str]:
    """What each side said, with the terms that matched; then each stage as a sum."""
    if explanation.vector_score is not None:
        yield _line("vector", f"cosine {explanation.vector_score:.3f}{_ranked(hit.vector_rank)}")
    if explanation.keyword_score is not None:
        terms = " · ".join(map(_term, explanation.terms))
        ranked = _ranked(hit.keyword_rank)
        yield _line("keyword", f"{explanation.keyword_score:.3f}{ranked}: {terms or 'no term'}")
    for stage in explanation.stages:
        if stage.name in ("fusion", "rerank"):
            yield _line(stage.name, _sum(stage))


def _line(label: str, said: str) -> str:
    return f"   {label:<{_LABEL}}{said}"


def _ranked(rank: int | None) -> str:
    return ", not listed" if rank is None else f", rank {rank}"


def _term(match: "TermMatch") -> str:
    where = ", ".join(f"{field} {count}" for field, count in match.counts.items() if count)
    return f"{match.term} {match.score:.3f} ({where})"


def _sum(stage: "Stage") -> str:
    parts = " ".join(map(_summand, stage.parts)).removeprefix("+ ")
    return f"{stage.score:.3f} = {parts}"


def _summand(part: "Contribution") -> str:
    sign = "-" if part.amount < 0 else "+"
    of = ""
    if part.value is not None and part.weight is not None:
        of = f" ({part.value:.1f}σ × {part.weight:.3f})"
    return f"{sign} {part.signal} {abs(part.amount):.3f}{of}"
