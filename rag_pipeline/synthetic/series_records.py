"""Sets whose records make series: what is learnt, drawn, copied and judged are whole series."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Self, cast

import numpy as np

from rag_pipeline.synthetic.errors import SyntheticError
from rag_pipeline.synthetic.generator import Generator
from rag_pipeline.synthetic.judging.copies import once
from rag_pipeline.synthetic.judging.measure import Judged, measured
from rag_pipeline.synthetic.judging.outlines import series_keys
from rag_pipeline.synthetic.judging.series import Ordered, series_quality
from rag_pipeline.synthetic.judging.series_judgement import FEWEST_JUDGED, judged_series
from rag_pipeline.synthetic.judging.tables import quality
from rag_pipeline.synthetic.kinds import Copies, Places
from rag_pipeline.synthetic.learning import one_thread
from rag_pipeline.synthetic.series.recurrent import Recurrent
from rag_pipeline.synthetic.series.series import Layout
from rag_pipeline.synthetic.tables.coding import Wanted
from rag_pipeline.synthetic.tables.table import Schema, Table

_COARSE = 0.05
"""As of tables: where more series are copies, only those of series that are there once are
dropped."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SeriesRecords:
    """Records of one key, which are in the order of their times or as they came."""

    name: ClassVar[str] = "series"
    unit: ClassVar[str] = "series"
    fewest: ClassVar[int] = 100
    layout: Layout

    @classmethod
    def of(cls, schema: Schema) -> Self:
        return cls(layout=layout_of(schema))

    def learnable(self, table: Table) -> Table:
        """Raises `SyntheticError` where no record follows another."""
        if len(self.units(table)) == int(self.units(table).max(initial=-1)) + 1:
            raise SyntheticError(
                f"each {self.layout.key!r} has one record, so that nothing follows anything: load"
                " the records as a table, without --series"
            )
        return table

    def drawn(
        self, generator: Generator, count: int, where: Mapping[str, Wanted], *, seed: int
    ) -> Table:
        model = cast(Recurrent, generator)
        self._check(model, where)
        with one_thread():
            return model.sample_conditionally(count, where, seed=seed)

    def units(self, table: Table) -> Places:
        numbers: dict[object, int] = {}
        keys = table.values[self.layout.key].tolist()
        return np.array([numbers.setdefault(key, len(numbers)) for key in keys], np.int64)

    def copies(self, training: Table, drawn: Table) -> Copies:
        if drawn.schema != training.schema:
            raise SyntheticError("the generator has learnt other columns: fit it anew")
        sides = [Ordered.by(table, self.layout) for table in (training, drawn)]
        theirs, ours = series_keys(sides, self.layout)
        found = np.isin(ours, theirs)
        of_unique = np.isin(ours, once(theirs))
        is_coarse = found.sum() > _COARSE * len(ours)
        dropped = of_unique if is_coarse else found
        return Copies(np.flatnonzero(dropped[self.units(drawn)]), of_unique=int(of_unique.sum()))

    def nearness(self, training: Table, held_out: Table, drawn: Table) -> Mapping[str, float]:
        of_records = quality(held_out, drawn)
        found = series_quality(held_out, drawn, self.layout)
        return {
            "shapes": of_records.shape,
            "trends": of_records.trend,
            "lengths": found.lengths,
            "dynamics": found.dynamics,
        }

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
        counts = [len(set(self.units(table).tolist())) for table in (training, held_out, drawn)]
        if min(counts) < FEWEST_JUDGED:
            return measured({}, records=counts[2], held_out=counts[1], of_series=True), None
        found = judged_series(
            training,
            held_out,
            drawn,
            self.layout,
            target=target,
            slices=slices,
            dropped=dropped,
            seed=seed,
        )
        return found, None

    def _check(self, model: Recurrent, where: Mapping[str, Wanted]) -> None:
        """Raise `SyntheticError` for conditions that are none on a series as a whole."""
        fixed = model.codec.fixed
        for name in where:
            if name not in fixed:
                raise SyntheticError(
                    f"{name!r} changes within series, and can't be asked of whole ones: conditions"
                    f" are on what stays as it is ({', '.join(fixed) or 'here nothing does'})"
                )


def layout_of(schema: Schema) -> Layout:
    """Raises `SyntheticError` for a schema of which nothing makes series."""
    key = schema.with_role("series")
    if key is None:
        raise SyntheticError("no column says which series a record belongs to: load it --series")
    return Layout(key=key, time=schema.with_role("time"))
