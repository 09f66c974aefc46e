"""Sets whose records are rows of a table."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, cast

import numpy as np

from rag_pipeline.synthetic.errors import SyntheticError
from rag_pipeline.synthetic.generator import Generator, TableGenerator
from rag_pipeline.synthetic.judging.copies import compared, once, row_keys
from rag_pipeline.synthetic.judging.judgement import judged
from rag_pipeline.synthetic.judging.measure import Judged, measured
from rag_pipeline.synthetic.judging.tables import quality
from rag_pipeline.synthetic.judging.validity import Constraints
from rag_pipeline.synthetic.kinds import Copies, Places
from rag_pipeline.synthetic.learning import one_thread
from rag_pipeline.synthetic.tables.coding import Wanted
from rag_pipeline.synthetic.tables.table import Table

_COARSE = 0.05
"""Where more of what is drawn equals a record that was learnt from, being equal says nothing of
anybody: then only copies of records that are there once are dropped."""
_FEWEST_JUDGED = 20
"""Records of each side, below which nothing can be said at all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TableRecords:
    """Rows, under constraints or none."""

    name: ClassVar[str] = "table"
    unit: ClassVar[str] = "records"
    fewest: ClassVar[int] = 500
    constraints: Constraints | None

    def learnable(self, table: Table) -> Table:
        return table

    def units(self, table: Table) -> Places:
        return np.arange(len(table))

    def drawn(
        self, generator: Generator, count: int, where: Mapping[str, Wanted], *, seed: int
    ) -> Table:
        with one_thread():
            return cast(TableGenerator, generator).sample_conditionally(count, where, seed=seed)

    def copies(self, training: Table, drawn: Table) -> Copies:
        if drawn.schema != training.schema:
            raise SyntheticError("the generator has learnt other columns: fit it anew")
        theirs, ours = row_keys([training, drawn], compared(training))
        at = np.flatnonzero(np.isin(ours, theirs))
        of_unique = np.flatnonzero(np.isin(ours, once(theirs)))
        is_coarse = len(at) > _COARSE * len(drawn)
        return Copies(of_unique if is_coarse else at, of_unique=len(of_unique))

    def nearness(self, training: Table, held_out: Table, drawn: Table) -> Mapping[str, float]:
        found = quality(held_out, drawn)
        return {"shapes": found.shape, "trends": found.trend}

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
        if min(len(training), len(held_out), len(drawn)) < _FEWEST_JUDGED:
            return measured({}, records=len(drawn), held_out=len(held_out)), None
        found = judged(
            training,
            held_out,
            drawn,
            target=target,
            slices=slices,
            constraints=self.constraints,
            dropped=dropped,
            seed=seed,
        )
        return found, None
