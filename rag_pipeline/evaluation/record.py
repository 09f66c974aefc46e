"""What an evaluation found, and the file that keeps it to compare others with.

The file is JSON and holds every query's figures, so that a comparison can be paired.
"""

import json
import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, ValidationError

from rag_pipeline.evaluation.errors import EvaluationError
from rag_pipeline.evaluation.judgments import Qrels
from rag_pipeline.evaluation.measures import Measure

Values = npt.NDArray[np.float64]

_FORMAT = "rag-evaluation-1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluation:
    """Each judged query's figures, and what they were measured on."""

    settings: Mapping[str, Any]
    """Everything that was chosen: collection, mode, depth and how it was searched; or the run."""
    judgments_sha256: str
    queries: Mapping[str, Mapping[str, float]]
    """By query: the figure of each measure, by its name."""
    generation: int | None = None
    """None: a run file was judged, and nothing searched."""
    space: Mapping[str, Any] | None = None
    totals: Mapping[str, float] = field(default_factory=dict)
    """What can only be measured of all queries together, by name."""

    @property
    def measures(self) -> tuple[str, ...]:
        """The names of what was measured."""
        return tuple(next(iter(self.queries.values()), {}))

    def values(self, measure: str, queries: Sequence[str] | None = None) -> Values:
        """float64 (queries,): one figure a query, in the order of `queries` or of the record."""
        return np.array([self.queries[query][measure] for query in queries or self.queries])

    def mean(self, measure: str) -> float:
        """Over all judged queries, those for which nothing was found counting as 0; or a total.

        Raises `EvaluationError` for what was not measured.
        """
        if measure in self.totals:
            return self.totals[measure]
        if measure not in self.measures:
            raise EvaluationError(f"{measure} was not measured: the questions do not tell it")
        return float(np.mean(self.values(measure)))

    def saved(self, path: Path) -> None:
        """Replace the file at `path`, whole or not at all. Raises `EvaluationError`."""
        unfinished = path.with_name(f".{path.name}.{os.getpid()}.unfinished")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            try:
                with unfinished.open("w", encoding="utf-8") as file:
                    json.dump(self._as_json(), file, ensure_ascii=False, allow_nan=False)
                    file.flush()
                    os.fsync(file.fileno())
                unfinished.replace(path)
            finally:
                unfinished.unlink(missing_ok=True)
        except OSError as error:
            raise EvaluationError(
                f"the evaluation can't be saved to {path}: {error.strerror}; name another file"
            ) from error

    def _as_json(self) -> dict[str, Any]:
        return {
            "format": _FORMAT,
            "settings": dict(self.settings),
            "generation": self.generation,
            "space": self.space,
            "judgments_sha256": self.judgments_sha256,
            "totals": dict(self.totals),
            "means": {name: self.mean(name) for name in self.measures},
            "queries": {query: dict(found) for query, found in self.queries.items()},
        }


class _Saved(BaseModel):
    """The keys of the file that are read back."""

    model_config = ConfigDict(extra="ignore", strict=True)

    format: str
    settings: dict[str, Any]
    judgments_sha256: str
    queries: dict[str, dict[str, float]]
    generation: int | None = None
    space: dict[str, Any] | None = None
    totals: dict[str, float] = {}


def read_evaluation(path: Path) -> Evaluation:
    """What `Evaluation.saved` wrote. Raises `EvaluationError` naming the file and the remedy."""
    try:
        text = path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise EvaluationError(f"{path} can't be read: {error}") from error
    try:
        saved = _Saved.model_validate_json(text)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "the file"
        raise EvaluationError(
            f"{path} is no saved evaluation: {where}: {first['msg']}; make one with --save"
        ) from error
    if saved.format != _FORMAT or not saved.queries or not _is_whole(saved.queries):
        raise EvaluationError(
            f"{path} is no saved evaluation of this version, or not whole; make it anew with --save"
        )
    return Evaluation(
        settings=saved.settings,
        judgments_sha256=saved.judgments_sha256,
        queries=saved.queries,
        generation=saved.generation,
        space=saved.space,
        totals=saved.totals,
    )


def _is_whole(queries: Mapping[str, Mapping[str, float]]) -> bool:
    """Whether every query has a finite figure of the same measures."""
    names = {tuple(sorted(found)) for found in queries.values()}
    finite = all(math.isfinite(value) for found in queries.values() for value in found.values())
    return len(names) == 1 and names != {()} and finite


def figures(
    rankings: Mapping[str, Sequence[str]], qrels: Qrels, measures: Sequence[Measure]
) -> dict[str, dict[str, float]]:
    """The figures of every judged query; a query without a ranking has nothing found."""
    return {
        query: {one.name: one.of(rankings.get(query, ()), grades) for one in measures}
        for query, grades in qrels.items()
    }
