"""Questions in, rankings out, in the formats that evaluation programs read."""

import json
import math
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np

from rag_pipeline.errors import QueryError
from rag_pipeline.evaluation.errors import EvaluationError
from storage.records import Hit


def read_lines(path: Path, keys: tuple[str, ...]) -> list[tuple[str, str]]:
    """(`_id`, text) of each line of a JSONL file; the text is under the first of `keys` it has.

    Raises `QueryError` naming the file, the line and what is wrong with it.
    """
    try:
        content = path.read_text("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise QueryError(f"{path} can't be read: {error}") from error
    numbered = enumerate(content.split("\n"), start=1)
    return [_question(path, at, line, keys) for at, line in numbered if line.strip()]


def _question(path: Path, at: int, line: str, keys: tuple[str, ...]) -> tuple[str, str]:
    try:
        record = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise QueryError(f"{path}:{at} is not JSON: {error}") from error
    if not isinstance(record, dict) or "_id" not in record:
        raise QueryError(f"{path}:{at} is no object with an _id")
    text = next((record[key] for key in keys if key in record), None)
    if not isinstance(text, str):
        raise QueryError(f"{path}:{at} has no text under {' or '.join(keys)}")
    return str(record["_id"]), text


def documents(hits: Iterable[Hit]) -> dict[str, float]:
    """Every external id of the texts that were found, best first, with the score of its best."""
    best: dict[str, float] = {}
    for hit in hits:
        for ref in hit.chunk.sources:
            best.setdefault(ref.external_id, hit.score)
    return best


def run_lines(query_id: str, hits: Sequence[Hit], *, limit: int, tag: str) -> Iterator[str]:
    """TREC run lines: `qid Q0 external_id rank score tag`, one for each external id by its best
    chunk, at most `limit`; scores fall strictly, also as float32, so that every program keeps this
    order."""
    best: dict[str, float] = {}
    for external_id, score in documents(hits).items():
        best.setdefault(_column(external_id), score)
    previous = np.float32("inf")
    for rank, (external_id, score) in enumerate(list(best.items())[:limit], start=1):
        previous = min(np.float32(score), _below(previous))
        yield f"{_column(query_id)} Q0 {external_id} {rank} {previous:.9f} {tag}\n"


def read_run(path: Path) -> dict[str, dict[str, float]]:
    """The scores of each query's documents in a TREC run file.

    Raises `EvaluationError` naming the file, the line and what is wrong with it.
    """
    try:
        lines = path.read_text("utf-8-sig").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise EvaluationError(f"{path} can't be read: {error}") from error
    run: dict[str, dict[str, float]] = {}
    for at, line in enumerate(lines, start=1):
        if line.strip():
            query, document, score = _ranked(path, at, line.split())
            if document in run.setdefault(query, {}):
                raise EvaluationError(
                    f"{path}:{at} ranks {document!r} a second time for query {query!r}; keep one"
                )
            run[query][document] = score
    if not run:
        raise EvaluationError(f"{path} ranks nothing: give it the six columns of a TREC run")
    return run


def _ranked(path: Path, at: int, columns: list[str]) -> tuple[str, str, float]:
    try:
        query, _, document, _, score, _ = columns
        if math.isnan(number := float(score)):
            raise ValueError("the score is not a number")
    except ValueError as error:
        raise EvaluationError(
            f"{path}:{at} is no line of a TREC run: write qid Q0 docid rank score tag"
        ) from error
    return query, document, number


def _below(score: np.float32) -> np.float32:
    """Enough less to be told apart by who reads nine decimals, or float32."""
    if np.isinf(score):
        return score
    return min(np.nextafter(score, np.float32("-inf")), score - np.float32(1e-9))


def _column(identifier: str) -> str:
    """As it can stand between two blanks."""
    return "_".join(identifier.split()) or "_"
