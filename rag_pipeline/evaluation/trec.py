"""Questions in, rankings out, in the formats that evaluation programs read."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path

from rag_pipeline.errors import QueryError
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


def run_lines(query_id: str, hits: Sequence[Hit], *, limit: int, tag: str) -> Iterator[str]:
    """TREC run lines: `qid Q0 external_id rank score tag`, one for each external id by its best
    chunk, at most `limit`; scores fall strictly, so that every program keeps this order."""
    best: dict[str, float] = {}
    for hit in hits:
        for ref in hit.chunk.sources:
            best.setdefault(_column(ref.external_id), hit.score)
    previous = float("inf")
    for rank, (external_id, score) in enumerate(list(best.items())[:limit], start=1):
        previous = min(score, previous - 1e-9)
        yield f"{_column(query_id)} Q0 {external_id} {rank} {previous:.9f} {tag}\n"


def _column(identifier: str) -> str:
    """As it can stand between two blanks."""
    return "_".join(identifier.split()) or "_"
