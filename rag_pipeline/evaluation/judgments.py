"""What is asked and which documents answer it: a folder in the BEIR layout.

`queries.jsonl` holds `{_id, text}` a line; `qrels.tsv` or `qrels/test.tsv` holds `query-id`,
`corpus-id` and a whole-numbered grade a line, with or without a header. TREC's own four columns
(`query-id 0 corpus-id grade`) are read too. Documents are what the home holds: `corpus.jsonl` is
not looked at.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from rag_pipeline.errors import QueryError
from rag_pipeline.evaluation.errors import EvaluationError
from rag_pipeline.evaluation.trec import read_lines

Grades = Mapping[str, int]
"""By document: above 0 is relevant, and how much; 0 and below is not."""
Qrels = Mapping[str, Grades]
"""Grades, by query."""

_QUERIES = "queries.jsonl"
_QRELS = ("qrels.tsv", "qrels/test.tsv")
_COLUMNS = 3
_TREC_COLUMNS = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgments:
    """Judged queries, in the order of their file, and the grades of each."""

    texts: Mapping[str, str]
    qrels: Qrels

    @property
    def sha256(self) -> str:
        """Of all that is asked and judged: two evaluations with the same may be compared."""
        said = json.dumps([dict(self.texts), _sorted(self.qrels)], sort_keys=True)
        return hashlib.sha256(said.encode()).hexdigest()

    @property
    def relevant(self) -> frozenset[str]:
        """Every document that answers some query."""
        return frozenset(doc for grades in self.qrels.values() for doc in relevant(grades))


def relevant(grades: Grades) -> frozenset[str]:
    """The documents that are relevant."""
    return frozenset(document for document, grade in grades.items() if grade > 0)


def _sorted(qrels: Qrels) -> dict[str, dict[str, int]]:
    return {query: dict(grades) for query, grades in qrels.items()}


def read_judgments(folder: Path) -> Judgments:
    """The judged queries of a folder. Raises `EvaluationError` naming file, line and remedy."""
    qrels = read_qrels(folder)
    try:
        texts = dict(read_lines(folder / _QUERIES, ("text", "question")))
    except QueryError as error:
        raise EvaluationError(str(error)) from error
    if unknown := [query for query in qrels if query not in texts]:
        raise EvaluationError(
            f"{folder / _QUERIES} has no query {unknown[0]!r}, which is judged ({len(unknown)}"
            " such in all): add its line, or remove its judgments"
        )
    asked = {query: text for query, text in texts.items() if query in qrels}
    return Judgments(texts=asked, qrels={query: qrels[query] for query in asked})


def read_qrels(folder: Path) -> Qrels:
    """The grades that a folder holds. Raises `EvaluationError`."""
    path = next((folder / name for name in _QRELS if (folder / name).is_file()), None)
    if path is None:
        raise EvaluationError(
            f"{folder} holds no judgments: it needs queries.jsonl and {' or '.join(_QRELS)}"
        )
    try:
        lines = path.read_text("utf-8-sig").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise EvaluationError(f"{path} can't be read: {error}") from error
    qrels: dict[str, dict[str, int]] = {}
    for at, query, document, grade in _judged(path, lines):
        if qrels.setdefault(query, {}).setdefault(document, grade) != grade:
            raise EvaluationError(
                f"{path}:{at} grades {document!r} for query {query!r} otherwise than a line before"
                " it: keep one of them"
            )
    if not qrels:
        raise EvaluationError(f"{path} judges nothing: give it a line for each judgment")
    return qrels


def _judged(path: Path, lines: list[str]) -> Iterator[tuple[int, str, str, int]]:
    """Line number, query, document and grade of each line that judges."""
    filled = ((at, line) for at, line in enumerate(lines, start=1) if line.strip())
    for number, (at, line) in enumerate(filled):
        columns = _columns(line)
        is_header = number == 0 and not _is_whole(columns[-1])
        if is_header:
            continue
        if len(columns) not in (_COLUMNS, _TREC_COLUMNS) or not _is_whole(columns[-1]):
            raise EvaluationError(
                f"{path}:{at} is no judgment: write query, document and a whole-numbered grade,"
                " with tabs between"
            )
        yield at, columns[0], columns[-2], int(columns[-1])


def _columns(line: str) -> list[str]:
    return [part.strip() for part in line.split("\t")] if "\t" in line else line.split()


def _is_whole(text: str) -> bool:
    return text.removeprefix("-").isascii() and text.removeprefix("-").isdigit()
