"""A collection as a supervised data set: chosen, judged, then written.

It is read twice within one transaction: first without the texts, for what decides about the file
as a whole (conflicts, the kind of its labels, whether there is anything to write), then row by row
into it. Memory does not grow with the collection.
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from rag_pipeline.datasets.errors import DatasetError
from rag_pipeline.datasets.files import (
    LabelKind,
    format_of,
    kind_of,
    new_file,
    sha256_of,
    writer_for,
)
from rag_pipeline.datasets.rows import Row, classes_of, group_of
from rag_pipeline.datasets.selection import Conflict, Judged, Selection, judged
from storage.export import Snapshot
from storage.records import Origin

UNNAMED = ""
"""The name under which rows without a split, or without a label, are counted."""
_SHOWN_CONFLICTS = 10
_SHOWN_FIELDS = 20


@dataclass(slots=True, kw_only=True)
class Tally:
    """What there was, counted; texts and rows that are in the file unless it says otherwise."""

    rows: int = 0
    texts: int = 0
    by_split: Counter[str] = field(default_factory=Counter)
    by_label: Counter[str] = field(default_factory=Counter)
    """A row with several classes counts for each of them."""
    by_origin: Counter[str] = field(default_factory=Counter)
    label_conflicts: int = 0
    """Texts with different labels, dropped ones too."""
    split_conflicts: int = 0
    """Texts that are declared in different splits, dropped ones too."""
    near_split_conflicts: int = 0
    """Groups of texts that are nearly the same and are declared in different splits."""
    conflicts: list[Conflict] = field(default_factory=list)
    """The first of the texts in conflict."""
    unlabelled: int = 0
    """Rows left out for having no label."""
    unusable: int = 0
    """Rows whose label is an object or a list of something else than strings."""
    in_other_splits: int = 0
    dropped: int = 0
    """Rows left out for their text being in conflict."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportReport:
    """What was written, from what, and how it was chosen."""

    path: Path
    sha256: str
    size_bytes: int
    generation: int
    collection: str
    origins: frozenset[Origin]
    selection: Selection
    tally: Tally
    members: tuple[Mapping[str, str], ...] | None = None
    """Which text each row has, and where it was found; None where that was not asked for."""

    def as_json(self) -> Mapping[str, Any]:
        """In the form that `rag export --json` prints: all that a data card needs."""
        tally, chosen = self.tally, self.selection
        return {
            "file": str(self.path),
            "sha256": self.sha256,
            "bytes": self.size_bytes,
            "generation": self.generation,
            "collection": self.collection,
            "rows": tally.rows,
            "texts": tally.texts,
            "by_split": dict(sorted(tally.by_split.items())),
            "by_label": dict(tally.by_label.most_common()),
            "by_origin": dict(sorted(tally.by_origin.items())),
            "conflicts": {
                "label": tally.label_conflicts,
                "split": tally.split_conflicts,
                "near_duplicate_split": tally.near_split_conflicts,
                "examples": [asdict(conflict) for conflict in tally.conflicts],
            },
            "left_out": {
                "unlabelled": tally.unlabelled,
                "other_split": tally.in_other_splits,
                "conflict": tally.dropped,
            },
            "unusable_labels": tally.unusable,
            "settings": {
                "label_field": chosen.label_field,
                "split_field": chosen.split_field,
                "splits": sorted(chosen.declared_splits),
                "labelled_only": chosen.labelled_only,
                "origins": sorted(self.origins),
                "split_into": None if chosen.plan is None else dict(chosen.plan.shares),
                "seed": None if chosen.plan is None else chosen.plan.seed,
                "on_conflict": chosen.on_conflict,
            },
        }


def export(
    snapshot: Snapshot,
    path: Path,
    selection: Selection,
    *,
    overwrite: bool = False,
    with_members: bool = False,
) -> ExportReport:
    """Write what is selected of the collection to `path`, a .jsonl or .parquet file.

    Raises `DatasetError` where nothing is selected, where texts contradict themselves and this
    was to fail, and where the file can't be written; then nothing is.
    """
    file_format = format_of(path)
    members: list[Mapping[str, str]] = []
    with new_file(path, overwrite=overwrite) as file:
        survey = surveyed(snapshot, selection)
        _check(survey, snapshot, selection)
        write = writer_for(file_format, frozenset(survey.kinds))
        rows = _rows(snapshot, selection)
        write(file, _noted(rows, members) if with_members else rows)
    return ExportReport(
        path=path,
        sha256=sha256_of(path),
        size_bytes=path.stat().st_size,
        generation=snapshot.position.generation,
        collection=snapshot.collection.name,
        origins=snapshot.origins,
        selection=selection,
        tally=survey.tally,
        members=tuple(members) if with_members else None,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Survey:
    """What is to be known of a collection before a file of it is begun."""

    tally: Tally
    kinds: set[LabelKind]
    metadata_fields: set[str]


def surveyed(snapshot: Snapshot, selection: Selection) -> Survey:
    """Read all but the texts."""
    survey = Survey(tally=Tally(), kinds=set(), metadata_fields=set())
    originals = snapshot.originals()
    splits_of: dict[str, set[str]] = {}
    exported: set[str] = set()
    for document in snapshot.documents(with_text=False):
        found = judged(document, selection)
        _count(survey, found)
        group = group_of(document)
        if group in originals:
            splits_of.setdefault(group, set()).update(found.declared)
            exported.update([group] if found.rows else [])
    survey.tally.near_split_conflicts = sum(len(splits_of[group]) > 1 for group in exported)
    return survey


def _count(survey: Survey, found: Judged) -> None:
    tally = survey.tally
    tally.rows += len(found.rows)
    tally.texts += bool(found.rows)
    tally.unlabelled += found.unlabelled
    tally.unusable += found.unusable
    tally.in_other_splits += found.in_other_splits
    tally.dropped += found.dropped
    if found.conflict is not None:
        tally.label_conflicts += len(found.conflict.labels) > 1
        tally.split_conflicts += len(found.conflict.splits) > 1
        tally.conflicts += [found.conflict][: _SHOWN_CONFLICTS - len(tally.conflicts)]
    if len(survey.metadata_fields) < _SHOWN_FIELDS:
        survey.metadata_fields.update(found.metadata_fields)
    for row in found.rows:
        tally.by_split[row.split or UNNAMED] += 1
        tally.by_origin[row.origin.value] += 1
        tally.by_label.update([UNNAMED] if row.label is None else classes_of(row.label))
        survey.kinds.update([] if row.label is None else [kind_of(row.label)])


def _check(survey: Survey, snapshot: Snapshot, selection: Selection) -> None:
    tally = survey.tally
    if tally.conflicts and selection.on_conflict == "fail":
        raise DatasetError(
            f"{tally.label_conflicts} texts have different labels and {tally.split_conflicts} are"
            f" declared in different splits, such as {tally.conflicts[0]}: correct the sources, or"
            " choose --on-conflict drop or keep"
        )
    if tally.rows == 0:
        raise DatasetError(f"nothing to export from {_why_empty(survey, snapshot, selection)}")


def _why_empty(survey: Survey, snapshot: Snapshot, selection: Selection) -> str:
    tally, name = survey.tally, snapshot.collection.name
    if tally.dropped or tally.in_other_splits:
        return (
            f"collection {name!r}: of its rows {tally.in_other_splits} are in other splits,"
            f" {tally.dropped} in conflict and {tally.unlabelled} without a label"
        )
    if tally.unlabelled:
        fields = ", ".join(sorted(survey.metadata_fields)[:_SHOWN_FIELDS]) or "none"
        return (
            f"collection {name!r}: no source has a label under {selection.label_field!r};"
            f" name another --label-field (there are: {fields}), or give --all"
        )
    return f"collection {name!r}: it holds nothing of origin {', '.join(sorted(snapshot.origins))}"


def _rows(snapshot: Snapshot, selection: Selection) -> Iterator[Row]:
    for document in snapshot.documents():
        yield from judged(document, selection).rows


def _noted(rows: Iterator[Row], members: list[Mapping[str, str]]) -> Iterator[Row]:
    for row in rows:
        members.append(
            {"source": row.source, "external_id": row.id, "content_sha256": row.content_sha256}
        )
        yield row
