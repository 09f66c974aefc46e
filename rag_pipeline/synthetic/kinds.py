"""What a set's records are: rows of a table, series of them, or pictures. Each kind is learnt,
drawn and judged in its own way; what is around it (versions, gate, storage) is the same for all."""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from rag_pipeline.synthetic.generator import Generator
from rag_pipeline.synthetic.judging.measure import Judged
from rag_pipeline.synthetic.tables.coding import Wanted
from rag_pipeline.synthetic.tables.table import Schema, Table

Places = npt.NDArray[np.int64]


class Copies(NamedTuple):
    """Drawn records that are records which were learnt from."""

    places: Places
    """Of those that may not be kept."""
    of_unique: int
    """How many of them, or of their series, are there once, and so may be somebody."""


class RecordKind(Protocol):
    """How records of one kind are learnt, drawn and judged."""

    name: ClassVar[str]
    """As in `methods.py`."""
    unit: ClassVar[str]
    """What is counted."""
    fewest: ClassVar[int]
    """Of them, below which what is learnt are they themselves rather than what they are like."""

    def units(self, table: Table) -> Places:
        """(records,): which unit each record belongs to, numbered as they first appear: itself, or
        its series."""

    def learnable(self, table: Table) -> Any:
        """What the methods of this kind learn from. Raises `SyntheticError`."""

    def drawn(
        self, generator: Generator, count: int, where: Mapping[str, Wanted], *, seed: int
    ) -> Table:
        """That many records, or series; without keys of their own. Raises `SyntheticError`."""

    def copies(self, training: Table, drawn: Table) -> Copies:
        """Those that may not be kept, for they are records that were learnt from."""

    def nearness(self, training: Table, held_out: Table, drawn: Table) -> Mapping[str, float]:
        """A few figures that say at once how good a generator is, by name."""

    def judged(
        self,
        training: Table,
        held_out: Table,
        drawn: Table,
        *,
        dropped: int,
        target: str | None,
        slices: Sequence[str],
        seed: int,
    ) -> tuple[Judged, Mapping[str, Any] | None]:
        """All that can be said of them, and what a report shows of pictures. `dropped`: copies of
        unique records that were drawn as well, and left out."""


def count_of(kind: RecordKind, table: Table) -> int:
    """How many records there are, or series."""
    return int(kind.units(table).max(initial=-1)) + 1


def kind_of(schema: Schema) -> str:
    """The kind of a set: that of series where a column names them, of pictures where one holds
    them."""
    if schema.with_role("series") is not None:
        return "series"
    return "image" if any(column.kind == "image" for column in schema.columns) else "table"
