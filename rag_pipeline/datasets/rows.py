"""Rows of a supervised data set: a text, a label and a split, as one source declares them."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

from rag_pipeline.datasets.splits import SplitPlan
from storage.export import ExportedDocument, ExportedSource
from storage.records import DocumentId, Metadata, Origin

Label = bool | int | float | str | tuple[str, ...]
"""One class, one value, or the classes of a text that may have several (or none of them)."""

_LARGEST = 2**63


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One example. The fields, in this order, are the columns of every file."""

    id: str
    source: str
    title: str
    text: str
    label: Label | None
    split: str | None
    origin: Origin
    generator_id: str | None
    language: str | None
    metadata: Metadata
    document_id: DocumentId
    content_sha256: str


COLUMNS = tuple(field.name for field in fields(Row))


@dataclass(frozen=True, slots=True, kw_only=True)
class Example:
    """A row, and whether its source says something of a label that can't be one."""

    row: Row
    has_unusable_label: bool


def examples_of(document: ExportedDocument, *, label_field: str, split_field: str) -> list[Example]:
    """A row for each source of the text, with what its metadata say under these names."""
    return [_example(document, source, label_field, split_field) for source in document.sources]


def label_of(value: object) -> Label | None:
    """`value` as a label: a string, a truth value, a number of 64 bits, or a list of strings.

    None where there is nothing (null, a blank string) or where it can't be a label.
    """
    match value:
        case bool() | float():
            return value
        case int():
            return value if -_LARGEST <= value < _LARGEST else None
        case str():
            return value if value.strip() else None
        case list() if all(isinstance(one, str) for one in value):
            return tuple(value)
        case _:
            return None


def as_compared(label: Label) -> str:
    """The same for labels that say the same: of several classes the order does not matter."""
    return json.dumps(sorted(set(label)) if isinstance(label, tuple) else label)


def classes_of(label: Label) -> Sequence[str]:
    """The names under which a label is counted."""
    if isinstance(label, tuple):
        return label
    return [label if isinstance(label, str) else json.dumps(label)]


def group_of(document: ExportedDocument) -> str:
    """The same for a text and whatever is nearly the same as it."""
    return document.near_sha256 or document.content_sha256


def with_assigned_split(row: Row, document: ExportedDocument, plan: SplitPlan) -> Row:
    """`row` in the split that `plan` puts its text in, whatever its source declares."""
    # dataclasses.replace is ten times slower, and this is done for every row.
    values: dict[str, Any] = {name: getattr(row, name) for name in COLUMNS}
    return Row(**values | {"split": plan.split_of(group_of(document))})


def as_json(row: Row) -> Mapping[str, Any]:
    """The row as an object, its columns in order."""
    return {name: getattr(row, name) for name in COLUMNS}


def _example(
    document: ExportedDocument, source: ExportedSource, label_field: str, split_field: str
) -> Example:
    said = source.metadata.get(label_field)
    label = label_of(said)
    row = Row(
        id=source.external_id,
        source=source.uri,
        title=source.title,
        text=document.text,
        label=label,
        split=_split_of(source.metadata.get(split_field)),
        origin=source.origin,
        generator_id=source.generator_id,
        language=document.language,
        metadata=source.metadata,
        document_id=document.document_id,
        content_sha256=document.content_sha256,
    )
    is_blank = said is None or (isinstance(said, str) and not said.strip())
    return Example(row=row, has_unusable_label=label is None and not is_blank)


def _split_of(value: object) -> str | None:
    if isinstance(value, str):
        return value.strip() or None
    return None if value is None or isinstance(value, dict | list) else json.dumps(value)
