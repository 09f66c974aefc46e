"""The quality gate of `rag sync`: what was committed is served once it is found good enough.

A run that is gated holds the generation that is served before its first COMMIT, and the hold is
in the database: whatever kills the run, readers go on with the last good generation, and the next
sync judges the new one. Judging keeps other writers out, so that what passes is what is served.
"""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal
from urllib.parse import quote

from ingest.errors import IngestError
from ingest.feeds.declaration import Declaration, GateTable
from rag_pipeline.composition import Composition
from rag_pipeline.errors import RagError
from rag_pipeline.evaluation.comparison import compare
from rag_pipeline.evaluation.criteria import Criterion, failures
from rag_pipeline.evaluation.errors import EvaluationError
from rag_pipeline.evaluation.evaluate import Searching, Wanted, evaluated_at
from rag_pipeline.evaluation.judgments import Judgments, read_judgments
from rag_pipeline.evaluation.record import Evaluation, read_evaluation
from rag_pipeline.evaluation.searching import check_queries
from storage.engine import Database
from storage.errors import LeaseBusyError, StorageError
from storage.gate import held_at, hold, release
from storage.lease import writer_lease
from storage.records import BEGINNING, Position

Status = Literal["passed", "failed", "busy"]
"""busy: another writer was at work, and the next sync judges."""

_BASELINES = "baselines"
_LONGEST_NAME = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Gate:
    """What a collection must be good for before its new generation is served."""

    judgments: Judgments
    searching: Searching
    wanted: Wanted
    baseline: Path
    """The evaluation of what was last found good, in the home."""

    @property
    def collection(self) -> str:
        """Whose gate it is."""
        return self.searching.collection


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """How one gate judged."""

    collection: str
    status: Status
    generation: int
    """That is committed, and was judged."""
    served: int
    """That is served from now on."""
    evaluation: Evaluation | None = None
    baseline: Evaluation | None = None
    failures: tuple[str, ...] = ()
    error: str | None = None
    """Why it could not judge."""

    def as_json(self) -> Mapping[str, Any]:
        """The stable interface; keys may be added, none is changed or removed."""
        said: dict[str, Any] = {
            "collection": self.collection,
            "status": self.status,
            "generation": self.generation,
            "served": self.served,
            "metrics": means(self.evaluation),
            "baseline": means(self.baseline),
            "failures": list(self.failures),
        }
        return said if self.error is None else {**said, "error": self.error}


def means(found: Evaluation | None) -> dict[str, float]:
    """Each measure's mean; nothing of no evaluation."""
    return {} if found is None else {name: found.mean(name) for name in found.measures}


def opened_gates(declaration: Declaration, home: Path) -> list[Gate]:
    """The gates that are declared, ready to judge.

    Raises `EvaluationError`, naming the gate, for one that could not: before anything is ingested.
    """
    return [
        _opened(collection, table, declaration.folder, home)
        for collection, table in declaration.gates.items()
    ]


def _opened(collection: str, table: GateTable, folder: Path, home: Path) -> Gate:
    try:
        judgments = read_judgments(folder / Path(table.evaluation).expanduser())
        check_queries(judgments)
        criteria = tuple(map(Criterion.parse, table.fail_if))
    except EvaluationError as error:
        raise EvaluationError(f"the gate of collection {collection!r}: {error}") from error
    return Gate(
        judgments=judgments,
        searching=Searching(collection=collection, depth=table.k),
        wanted=Wanted(criteria=criteria),
        baseline=home / _BASELINES / f"{_file_name(collection)}.json",
    )


def _file_name(collection: str) -> str:
    """As file systems take it, which is at most 255 bytes."""
    name = quote(collection, safe=" ")
    if len(name) <= _LONGEST_NAME:
        return name
    return hashlib.sha256(collection.encode()).hexdigest()


def hold_what_is_served(database: Database, served: Position, *, fence: int) -> None:
    """Go on serving what is served, unless an earlier generation is held already."""
    if held_at(database) is None:
        hold(database, served.generation, fence=fence)


def judged(parts: Composition, gates: Sequence[Gate], *, wait: bool) -> list[Verdict]:
    """Judge what is held back, and serve it if it passes all gates; nothing if none is held."""
    if held_at(parts.database) is None:
        return []
    try:
        with writer_lease(parts.database, wait=wait) as fence:
            return _judged(parts, gates, fence)
    except LeaseBusyError as error:
        return [_undecided(parts, gate, "busy", str(error)) for gate in gates]


def release_held(parts: Composition, *, wait: bool) -> tuple[int, int]:
    """Serve what is held back, as it is; what was served before, and what is now.

    What is served now is what later generations are compared with.
    """
    with writer_lease(parts.database, wait=wait) as fence:
        before = parts.reader.served().generation
        release(parts.database, fence=fence)
        for path in (parts.settings.home / _BASELINES).glob("*.json"):
            path.unlink()
        return before, parts.reader.served().generation


def standing(home: Path) -> Iterator[Evaluation]:
    """The last good evaluation of each collection."""
    found = map(_read, sorted((home / _BASELINES).glob("*.json")))
    yield from (one for one in found if one is not None)


def _judged(parts: Composition, gates: Sequence[Gate], fence: int) -> list[Verdict]:
    if parts.reader.served() == parts.reader.committed():
        release(parts.database, fence=fence)
        return []
    verdicts = [_verdict(parts, gate) for gate in gates]
    if any(verdict.status != "passed" for verdict in verdicts):
        return verdicts
    release(parts.database, fence=fence)
    for gate, verdict in zip(gates, verdicts, strict=True):
        assert verdict.evaluation is not None
        verdict.evaluation.saved(gate.baseline)
    return [replace(verdict, served=verdict.generation) for verdict in verdicts]


def _verdict(parts: Composition, gate: Gate) -> Verdict:
    try:
        baseline = _baseline(parts, gate)
        found = _measured(parts, gate, parts.reader.committed())
        compared = None if baseline is None else compare(found, baseline)
        why = tuple(failures(gate.wanted.criteria, found, compared))
    except (IngestError, RagError, StorageError) as error:
        return _undecided(parts, gate, "failed", str(error))
    return Verdict(
        collection=gate.collection,
        status="failed" if why else "passed",
        generation=parts.reader.committed().generation,
        served=parts.reader.served().generation,
        evaluation=found,
        baseline=baseline,
        failures=why,
    )


def _undecided(parts: Composition, gate: Gate, status: Status, error: str) -> Verdict:
    return Verdict(
        collection=gate.collection,
        status=status,
        generation=parts.reader.committed().generation,
        served=parts.reader.served().generation,
        error=error,
    )


def _measured(parts: Composition, gate: Gate, position: Position) -> Evaluation:
    measures = gate.wanted.all_measures
    return evaluated_at(parts, gate.judgments, gate.searching, measures, position)[1]


def _baseline(parts: Composition, gate: Gate) -> Evaluation | None:
    """The last good evaluation if it judged the same; else one of what is served, if anything is.

    While it is held, the served generation can be measured anew at any time.
    """
    stored = _stored(gate)
    if stored is not None:
        return stored
    served = parts.reader.served()
    if served == BEGINNING or not any(one.relative for one in gate.wanted.criteria):
        return None
    return _measured(parts, gate, served)


def _stored(gate: Gate) -> Evaluation | None:
    stored = _read(gate.baseline)
    if stored is None:
        return None
    wanted = {measure.name for measure in gate.wanted.all_measures}
    same = (stored.judgments_sha256, stored.settings.get("k")) == (
        gate.judgments.sha256,
        gate.searching.depth,
    )
    return stored if same and wanted <= {*stored.measures} else None


def _read(path: Path) -> Evaluation | None:
    if not path.exists():
        return None
    try:
        return read_evaluation(path)
    except EvaluationError:
        # What it holds can be measured again: damage costs that, and nothing else.
        return None
