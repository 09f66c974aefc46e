"""What every generator offers, and how it is told to learn.

A generator is a frozen value that `fit` makes of data; a file holds one method. `methods.py` names
them all, `saved.py` writes any of them to files and reads it back.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Protocol, Self

import numpy as np
import numpy.typing as npt

from rag_pipeline.synthetic.errors import SyntheticError
from rag_pipeline.synthetic.images.pictures import Pictures
from rag_pipeline.synthetic.tables.coding import Arrays, Wanted
from rag_pipeline.synthetic.tables.table import Schema, Table
from rag_pipeline.training.checkpoints import CheckpointFile
from rag_pipeline.training.progress import Progress, ignore

if TYPE_CHECKING:
    from rag_pipeline.synthetic.images.coding import PictureCodec

Device = Literal["auto", "cpu", "cuda"]
MOST_SEED = 2**31 - 1
"""Seeds of parts are made of it, and have room up to 64 bits."""


def check_seed(seed: int) -> None:
    """Raise `SyntheticError` for one that is out of range."""
    if not 0 <= seed <= MOST_SEED:
        raise SyntheticError(f"the seed {seed} is out of range: give 0 to {MOST_SEED}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Fitting:
    """How any generator learns; what a method has of its own stands in its settings."""

    seed: int = 0
    threads: int = 1
    """Sums are rounded otherwise by another number of threads: part of what gives the weights."""
    budget_s: float | None = None
    """CPU seconds to learn in: as many steps are planned as fit in, judged by the first few. The
    number of steps is in the result, and gives the same weights without a budget."""
    device: Device = "cpu"
    """auto: a GPU where there is one. Each kind of device rounds otherwise: part of what gives the
    weights, which are on the CPU in the end."""
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


class ImageGenerator(Generator, Protocol):
    """Draws pictures like some.

    Each also has `fit(pictures, settings=None, fitting=None) -> (Self, Trained)`, as tables have.
    """

    codec: "PictureCodec"
    """The size, shades and labels of what was learnt."""

    def sample(self, count: int, label: str | None = None, *, seed: int = 0) -> Pictures:
        """That many pictures, of one label or of all as frequent as they were. The same seed gives
        the same ones, in any process. Raises `SyntheticError` for a label that was not learnt."""


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
