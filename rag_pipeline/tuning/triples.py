"""Triples that are there already: of a file, or of the history."""

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from rag_pipeline.datasets.files import arrow
from rag_pipeline.history.training import triples as triples_of
from rag_pipeline.tuning.errors import ExamplesError
from rag_pipeline.tuning.examples import Triple
from storage.engine import Database
from storage.prompts.export import exchanges
from storage.prompts.listing import PromptsWanted
from storage.records import Principal
from storage.versions.datasets import Member

_QUESTION = ("anchor", "question", "query")
_LARGEST_NEGATIVES = 5


def read_triples(path: Path) -> list[Triple]:
    """Those of a .jsonl or .parquet file, as `rag history export --format triples` writes them.

    A line has an `anchor` (or `question`), a `positive`, and a `negative` if there is any. Raises
    `ExamplesError` naming file, line and remedy.
    """
    rows = [_read(path, at, row) for at, row in _rows(path)]
    if not rows:
        raise ExamplesError(
            f"{path} holds no triples: make some with rag history export --format triples"
        )
    return joined(rows)


def triples_of_history(
    database: Database, *, principal: Principal, min_score: float | None
) -> tuple[list[Triple], list[Member]]:
    """What the history teaches, and the exchanges that it was learnt from.

    Raises `ExamplesError` where there is nothing to learn.
    """
    if min_score is not None and not 0 <= min_score <= 1:
        raise ExamplesError(f"a least score of {min_score} is out of range; use 0 to 1")
    read = 0

    def counted() -> Iterator[Any]:
        nonlocal read
        for one in exchanges(database, PromptsWanted(principal=principal, status="completed")):
            read += 1
            yield one

    found = list(triples_of(counted(), min_score=min_score))
    if not found:
        raise ExamplesError(
            f"of {read} exchanges none teaches anything: it takes answers that cite one passage of"
            " several, whose texts are still there"
            + ("" if min_score is None else f", rated {min_score:g} or better")
            + "; ask more, or train on documents with --from-documents"
        )
    members: list[Member] = [
        {"prompt_id": key} for key in dict.fromkeys(one.prompt_id for one in found)
    ]
    return joined((one.question, one.positive, one.negative) for one in found), members


def joined(rows: Iterable[tuple[str, str, str | None]]) -> list[Triple]:
    """One triple for each question with one of its answers, with all its negatives but those that
    answer it elsewhere."""
    negatives: dict[tuple[str, str], dict[str, None]] = {}
    answers: dict[str, set[str]] = {}
    for question, positive, negative in rows:
        answers.setdefault(question, set()).add(positive)
        found = negatives.setdefault((question, positive), {})
        if negative is not None:
            found[negative] = None
    return [
        Triple(
            question=question,
            positive=positive,
            negatives=tuple(one for one in found if one not in answers[question])[
                :_LARGEST_NEGATIVES
            ],
        )
        for (question, positive), found in negatives.items()
    ]


def as_lines(triples: Sequence[Triple]) -> Iterator[bytes]:
    """JSONL, the same for the same triples; all negatives of one are in one line."""
    for triple in triples:
        row = {
            "anchor": triple.question,
            "positive": triple.positive,
            "negatives": [*triple.negatives],
        }
        yield json.dumps(row, ensure_ascii=False).encode("utf-8", "surrogatepass") + b"\n"


def sha256_of_triples(triples: Sequence[Triple]) -> str:
    """Over all of them, in their order."""
    digest = hashlib.sha256()
    for line in as_lines(triples):
        digest.update(line)
    return digest.hexdigest()


def _rows(path: Path) -> Iterator[tuple[int, Any]]:
    if path.suffix.lower() == ".parquet":
        yield from enumerate(_parquet(path), start=1)
        return
    try:
        lines = path.read_text("utf-8").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise ExamplesError(f"{path} can't be read: {error}") from error
    for at, line in enumerate(lines, start=1):
        if line.strip():
            try:
                yield at, json.loads(line)
            except ValueError as error:
                raise ExamplesError(f"{path}:{at} is no JSON: {error}") from error


def _parquet(path: Path) -> list[Any]:
    reading = arrow()
    try:
        return list(reading.parquet.read_table(path).to_pylist())
    except (OSError, reading.ArrowInvalid) as error:
        raise ExamplesError(f"{path} can't be read: {error}") from error


def _read(path: Path, at: int, row: Any) -> tuple[str, str, str | None]:
    if not isinstance(row, Mapping):
        raise ExamplesError(f"{path}:{at} is no object: write anchor, positive and negative")
    question = next((row[name] for name in _QUESTION if name in row), None)
    positive, negative = row.get("positive"), row.get("negative")
    for name, value in (("anchor", question), ("positive", positive)):
        _check_text(path, at, name, value)
    if negative is not None:
        _check_text(path, at, "negative", negative)
    if positive == negative:
        raise ExamplesError(f"{path}:{at} has the same text as positive and negative: remove it")
    return str(question).strip(), str(positive), None if negative is None else str(negative)


def _check_text(path: Path, at: int, name: str, value: object) -> None:
    if not isinstance(value, str) or not value.strip():
        raise ExamplesError(
            f"{path}:{at} has no text under {name!r}: each line takes an anchor, a positive and,"
            " if there is one, a negative"
        )
