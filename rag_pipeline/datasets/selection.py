"""Which rows of a text are wanted, and what becomes of texts that contradict themselves."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from rag_pipeline.datasets.rows import Example, Row, as_compared, examples_of, with_assigned_split
from rag_pipeline.datasets.splits import SplitPlan
from storage.export import ExportedDocument

OnConflict = Literal["keep", "drop", "fail"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """Which rows are wanted, and what becomes of texts that contradict themselves."""

    label_field: str = "label"
    split_field: str = "split"
    declared_splits: frozenset[str] = frozenset()
    """Only rows whose source declares one of these; empty: whatever it declares."""
    labelled_only: bool = True
    plan: SplitPlan | None = None
    """Splits to assign, in place of those that are declared."""
    on_conflict: OnConflict = "keep"


@dataclass(frozen=True, slots=True, kw_only=True)
class Conflict:
    """A text of which its sources say different things."""

    content_sha256: str
    ids: tuple[str, ...]
    labels: tuple[str, ...]
    """More than one where the labels differ."""
    splits: tuple[str, ...]
    """More than one where the declared splits differ."""

    def __str__(self) -> str:
        said = [" and ".join(values) for values in (self.labels, self.splits) if len(values) > 1]
        return f"{', '.join(self.ids[:3])}: {'; '.join(said)}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """One text: its rows that are in, and why others are not."""

    rows: Sequence[Row]
    conflict: Conflict | None
    declared: frozenset[str]
    """All splits that the text is declared in, wanted or not; empty where they don't count."""
    metadata_fields: frozenset[str]
    unlabelled: int
    unusable: int
    in_other_splits: int
    dropped: int


def judged(document: ExportedDocument, selection: Selection) -> Judged:
    """What becomes of one text. Its conflicts are looked for in all that its sources say, also in
    rows of splits that are not wanted: a training text that stands in the test set, too, is one."""
    examples = examples_of(
        document, label_field=selection.label_field, split_field=selection.split_field
    )
    labelled = [e.row for e in examples if e.row.label is not None or not selection.labelled_only]
    wanted = [row for row in labelled if _is_wanted(row, selection)]
    declared = _declared(labelled, selection)
    conflict = _conflict(labelled, declared) if wanted else None
    is_dropped = conflict is not None and selection.on_conflict == "drop"
    return Judged(
        rows=[] if is_dropped else [_placed(row, document, selection) for row in wanted],
        conflict=conflict,
        declared=declared,
        metadata_fields=_metadata_fields(examples),
        unlabelled=len(examples) - len(labelled),
        unusable=sum(example.has_unusable_label for example in examples),
        in_other_splits=len(labelled) - len(wanted),
        dropped=len(wanted) if is_dropped else 0,
    )


def _is_wanted(row: Row, selection: Selection) -> bool:
    return not selection.declared_splits or row.split in selection.declared_splits


def _declared(rows: Sequence[Row], selection: Selection) -> frozenset[str]:
    """The declared splits, unless they are replaced altogether."""
    if selection.plan is not None and not selection.declared_splits:
        return frozenset()
    return frozenset(row.split for row in rows if row.split is not None)


def _conflict(rows: Sequence[Row], declared: frozenset[str]) -> Conflict | None:
    labels = {as_compared(row.label) for row in rows if row.label is not None}
    if len(labels) < 2 and len(declared) < 2:
        return None
    return Conflict(
        content_sha256=rows[0].content_sha256,
        ids=tuple(row.id for row in rows),
        labels=tuple(sorted(labels)),
        splits=tuple(sorted(declared)),
    )


def _placed(row: Row, document: ExportedDocument, selection: Selection) -> Row:
    return row if selection.plan is None else with_assigned_split(row, document, selection.plan)


def _metadata_fields(examples: Sequence[Example]) -> frozenset[str]:
    return frozenset(name for example in examples for name in example.row.metadata)
