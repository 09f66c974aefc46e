"""`rag history export`: recorded exchanges as training data, whole files or none.

Exchanges are read once, in order. What is told apart by its text is hashed, so that memory holds a
digest an example and not the examples; only preferences between ratings wait for their others.
"""

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

from rag_pipeline.datasets.errors import DatasetError
from rag_pipeline.datasets.files import format_of, new_file, sha256_of
from rag_pipeline.datasets.splits import SplitPlan
from rag_pipeline.history.formats import FORM_OF, TrainingFormat
from rag_pipeline.history.parquet import write_parquet
from rag_pipeline.history.redaction import Redactor
from rag_pipeline.history.training import Example, group_of, pairs, preferences, triples
from storage.engine import Database
from storage.prompts.export import Exchange, exchanges
from storage.prompts.listing import PromptsWanted


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingData:
    """What is to be made of the history."""

    form: TrainingFormat = "openai"
    min_score: float | None = None
    """Only answers rated so or better; corrections always count."""
    dedup: bool = False
    """Leave out what says the same as an example before it."""
    plan: SplitPlan | None = None
    """A file for each split: out.train.jsonl, out.test.jsonl. All of a question are in one."""
    redactor: Redactor | None = None


@dataclass(slots=True, kw_only=True)
class TrainingReport:
    """What was written, and what was not."""

    form: TrainingFormat
    files: dict[str, Path] = field(default_factory=dict)
    """By split; "" where there is one file."""
    sha256: dict[str, str] = field(default_factory=dict)
    examples: Counter[str] = field(default_factory=Counter)
    duplicates: int = 0
    exchanges: int = 0
    settings: Mapping[str, Any] = field(default_factory=dict)
    """How examples were chosen and divided, as a registered version keeps it."""
    prompt_ids: list[str] = field(default_factory=list)
    """The exchange of each example."""

    def as_json(self) -> Mapping[str, Any]:
        """In the form that `rag history export --json` prints."""
        return {
            "format": self.form,
            "exchanges": self.exchanges,
            "examples": self.examples.total(),
            "duplicates": self.duplicates,
            "files": [
                {
                    "split": split or None,
                    "file": str(path),
                    "examples": self.examples[split],
                    "sha256": self.sha256[split],
                }
                for split, path in self.files.items()
            ],
        }


def export_training_data(
    database: Database,
    wanted: PromptsWanted,
    path: Path,
    data: TrainingData,
    *,
    overwrite: bool = False,
) -> TrainingReport:
    """Write what the history teaches to `path`, JSONL or (by its suffix) Parquet.

    Raises `DatasetError` where nothing is to be written or a file can't be; then none is.
    """
    if data.min_score is not None and not 0 <= data.min_score <= 1:
        raise DatasetError(f"a least score of {data.min_score} is out of range; use 0 to 1")
    file_format = format_of(path)
    report = TrainingReport(form=data.form, files=_files(path, data.plan), settings=_settings(data))
    with ExitStack() as open_files:
        files = {
            split: open_files.enter_context(new_file(file, overwrite=overwrite))
            for split, file in report.files.items()
        }
        rows = _rows(_counted(exchanges(database, wanted), report), data, report)
        if file_format == "parquet":
            write_parquet(files, rows, data.form)
        else:
            _write_lines(files, rows)
        _check(report)
    report.sha256 = {split: sha256_of(file) for split, file in report.files.items()}
    return report


def _files(path: Path, plan: SplitPlan | None) -> dict[str, Path]:
    if plan is None:
        return {"": path}
    return {split: path.with_suffix(f".{split}{path.suffix}") for split in plan.shares}


def _settings(data: TrainingData) -> Mapping[str, Any]:
    return {
        "min_score": data.min_score,
        "dedup": data.dedup,
        "split_into": None if data.plan is None else dict(data.plan.shares),
        "seed": None if data.plan is None else data.plan.seed,
        "redacted": data.redactor is not None,
    }


def _counted(found: Iterable[Exchange], report: TrainingReport) -> Iterator[Exchange]:
    for one in found:
        report.exchanges += 1
        yield one


def _examples(found: Iterable[Exchange], data: TrainingData) -> Iterator[Example]:
    match data.form:
        case "dpo":
            return preferences(found)
        case "triples":
            return triples(found, min_score=data.min_score)
        case _:
            return pairs(found, min_score=data.min_score)


def _rows(
    found: Iterable[Exchange], data: TrainingData, report: TrainingReport
) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Each row with its split."""
    seen: set[bytes] = set()
    for example in _examples(found, data):
        row = FORM_OF[data.form](example)
        digest = _digest(row)
        if data.dedup and digest in seen:
            report.duplicates += 1
            continue
        seen.add(digest)
        split = "" if data.plan is None else data.plan.split_of(group_of(example.question))
        report.examples[split] += 1
        report.prompt_ids.append(example.prompt_id)
        yield split, row if data.redactor is None else _redacted(row, data.redactor)


def _digest(row: Mapping[str, Any]) -> bytes:
    """The same for rows that say the same, whichever exchange they come from and however spaced."""
    told = {key: value for key, value in row.items() if key not in ("id", "prompt_id", "score")}
    text = " ".join(json.dumps(told, ensure_ascii=False).casefold().split())
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()


def _redacted(value: Any, redactor: Redactor) -> Any:
    match value:
        case str():
            return redactor(value)
        case list():
            return [_redacted(one, redactor) for one in value]
        case dict():
            return {key: _redacted(one, redactor) for key, one in value.items()}
        case _:
            return value


def _write_lines(
    files: Mapping[str, BinaryIO], rows: Iterable[tuple[str, Mapping[str, Any]]]
) -> None:
    for split, row in rows:
        files[split].write(json.dumps(row, ensure_ascii=False).encode() + b"\n")


def _check(report: TrainingReport) -> None:
    if not report.examples.total():
        raise DatasetError(
            f"nothing to export: of {report.exchanges} exchanges none makes an example of the form"
            f" {report.form!r}; rate or correct answers, or widen the filter"
        )
