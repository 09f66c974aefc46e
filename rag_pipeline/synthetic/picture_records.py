"""Sets whose records are pictures, with a label or none."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Self, cast

import numpy as np

from rag_pipeline.synthetic.errors import SyntheticError
from rag_pipeline.synthetic.generator import Generator, ImageGenerator
from rag_pipeline.synthetic.images.coding import FEWEST_PICTURES
from rag_pipeline.synthetic.images.pictures import Pictures, grid, pictures_of_files, png
from rag_pipeline.synthetic.judging.images import PictureJudgement, judged_pictures, nearest_ratio
from rag_pipeline.synthetic.judging.measure import Judged, measured
from rag_pipeline.synthetic.judging.report import picture_grid
from rag_pipeline.synthetic.kinds import Copies, Places
from rag_pipeline.synthetic.tables.coding import Wanted
from rag_pipeline.synthetic.tables.table import Schema, Table, Values

_ON_A_SHEET = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class PictureRecords:
    """A column of pictures, and one of labels where there is one."""

    name: ClassVar[str] = "image"
    unit: ClassVar[str] = "records"
    fewest: ClassVar[int] = 500
    schema: Schema
    image: str
    label: str | None

    @classmethod
    def of(cls, schema: Schema) -> Self:
        """Raises `SyntheticError` for columns that no generator of pictures has a use for."""
        images = [column.name for column in schema.columns if column.kind == "image"]
        others = [column for column in schema.columns if column.is_learnt]
        if len(images) > 1 or len(others) > 1 or any(one.is_numeric for one in others):
            raise SyntheticError(
                "pictures are learnt with one column of labels at most: load a set with one column"
                " of images, one of names or none, and keys"
            )
        return cls(schema=schema, image=images[0], label=others[0].name if others else None)

    def learnable(self, table: Table) -> Pictures:
        there = [place for place, one in enumerate(table.values[self.image]) if one is not None]
        found = table.rows(np.array(there, np.int64))
        labels = None if self.label is None else _labels(found.values[self.label])
        return pictures_of_files([*found.values[self.image]], labels)

    def units(self, table: Table) -> Places:
        return np.arange(len(table))

    def drawn(
        self, generator: Generator, count: int, where: Mapping[str, Wanted], *, seed: int
    ) -> Table:
        drawing = cast(ImageGenerator, generator)
        return self._table(drawing.sample(count, self._asked(where), seed=seed))

    def copies(self, training: Table, drawn: Table) -> Copies:
        known = {one.tobytes() for one in self.learnable(training).pixels}
        pixels = self.learnable(drawn).pixels
        at = np.array([at for at, one in enumerate(pixels) if one.tobytes() in known], np.int64)
        return Copies(at, of_unique=len(at))

    def nearness(self, training: Table, held_out: Table, drawn: Table) -> Mapping[str, float]:
        learnt, fresh, ours = map(self.learnable, (training, held_out, drawn))
        return _known({"nearest_ratio": nearest_ratio(learnt, fresh, ours)})

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
        learnt, fresh, ours = map(self.learnable, (training, held_out, drawn))
        if min(map(len, (learnt, fresh, ours))) < FEWEST_PICTURES:
            return measured({}, records=len(ours), held_out=len(fresh)), None
        found = judged_pictures(learnt, fresh, ours, seed=seed)
        sheet = grid(ours.rows(slice(_ON_A_SHEET)))
        shown = picture_grid(found.as_json(), sheet, shows="the first pictures that were drawn")
        measures = _measures(found, len(ours), len(fresh), dropped)
        return measured(measures, records=len(ours), held_out=len(fresh)), shown

    def _asked(self, where: Mapping[str, Wanted]) -> str | None:
        """The label that is wanted, if one is."""
        if not where:
            return None
        wanted = where.get(self.label or "", frozenset())
        (label, *others) = wanted if isinstance(wanted, frozenset) else [None]
        if others or label is None or len(where) > 1:
            raise SyntheticError("pictures are drawn of one label or of all: name one by `=`")
        return label

    def _table(self, pictures: Pictures) -> Table:
        count = len(pictures)
        values: dict[str, Values] = {
            column.name: np.full(count, None, np.object_) for column in self.schema.columns
        }
        values[self.image][:] = [png(one) for one in pictures.pixels]
        if self.label is not None and pictures.labels is not None:
            values[self.label] = pictures.labels
        return Table(schema=self.schema, values=values)


def _labels(values: Values) -> list[object]:
    if any(one is None for one in values):
        raise SyntheticError("some pictures have no label: give each one, or none any")
    return list(values.tolist())


def _measures(found: PictureJudgement, drawn: int, held_out: int, dropped: int) -> dict[str, float]:
    copies = (found.copies + dropped) / (drawn + dropped)
    return _known(
        {
            "precision": found.synthetic.precision,
            "recall": found.synthetic.recall,
            "fid_ratio": found.fid_ratio,
            "nearest_ratio": found.nearest,
            "exact_copies": copies - found.copies_held_out / held_out,
        }
    )


def _known(measures: Mapping[str, float | None]) -> dict[str, float]:
    """Those that could be measured."""
    return {name: value for name, value in measures.items() if value is not None}
