"""What every generator offers, and how it is told to learn.

A generator is a frozen value that `fit` makes of data; a file holds one method. `methods.py` names
them all, `saved.py` writes any of them to files and reads it back.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol, Self

import numpy as np
import numpy.typing as npt

from rag_pipeline.synthetic.tables.coding import Arrays, Wanted
from rag_pipeline.synthetic.tables.table import Schema, Table
from rag_pipeline.training.checkpoints import CheckpointFile
from rag_pipeline.training.progress import Progress, ignore


@dataclass(frozen=True, slots=True, kw_only=True)
class Fitting:
    """How any generator learns; what a method has of its own stands in its settings."""

    seed: int = 0
    threads: int = 1
    """Sums are rounded otherwise by another number of threads: part of what gives the weights."""
    budget_s: float | None = None
    """CPU seconds to learn in: as many steps are planned as fit in, judged by the first few. The
    number of steps is in the result, and gives the same weights without a budget."""
    checkpoints: CheckpointFile | None = None
    observe: Callable[[Progress], None] = ignore


class Generator(Protocol):
    """What can be saved: JSON and arrays."""

    method: ClassVar[str]
    """Its name in `methods.py`."""

    def about(self) -> dict[str, Any]:
        """All but the arrays, as JSON: schema, settings, what the codecs are."""

    def arrays(self) -> Arrays:
        """Weights and tables."""

    @classmethod
    def restored(cls, about: Mapping[str, Any], arrays: Arrays) -> Self:
        """What `about` and `arrays` gave. Raises `KeyError`, `TypeError`, `ValueError`,
        `RuntimeError` or a `SyntheticError` where they do not fit together."""


class TableGenerator(Generator, Protocol):
    """Draws records like those of a table.

    Each also has `fit(table, settings=None, fitting=None) -> (Self, Trained)`; `settings` is the
    frozen dataclass `Settings` of its module: hyper-parameters, all with defaults.
    """

    schema: Schema

    def sample(self, count: int, *, seed: int = 0) -> Table:
        """That many records. The same seed gives the same ones, in any process."""

    def sample_conditionally(
        self, count: int, where: Mapping[str, Wanted], *, seed: int = 0
    ) -> Table:
        """That many records, all of which fulfil `where`.

        Raises `SyntheticError` for a column that was not learnt, and for what no record can be.
        """


class ScoresAnomalies(Protocol):
    """Says how strange records are."""

    def score_anomalies(self, table: Table) -> npt.NDArray[np.float64]:
        """(records,): the higher, the stranger."""


class Reconstructs(Protocol):
    """Knows a hidden place for each record, and what lies between two."""

    def reconstruct(self, table: Table, *, seed: int = 0) -> Table:
        """Each record through its hidden place and back."""

    def interpolate(self, first: Table, second: Table, steps: int, *, seed: int = 0) -> Table:
        """`steps` records on the way from each record of `first` to its partner of `second`, both
        ends included; those of a pair stand together."""

    def vary(self, table: Table, each: int, *, seed: int = 0) -> Table:
        """`each` variations of each record, standing together."""


class Imputes(Protocol):
    """Fills in what is missing."""

    def impute(self, table: Table, *, seed: int = 0) -> Table:
        """The same records, with a value drawn for each that is missing, given the others."""
