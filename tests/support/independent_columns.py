"""A generator of tables that draws each column by itself: all that constraints say, it breaks."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np

from rag_pipeline.synthetic.tables.coding import Arrays, Codec, Wanted
from rag_pipeline.synthetic.tables.columns import drawn_table, learnt_codecs, wanted_shares
from rag_pipeline.synthetic.tables.table import Schema, Table, Values


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class IndependentColumns:
    """Columns with the frequencies of their codes."""

    method: ClassVar[str] = "table/independent-columns"

    schema: Schema
    codecs: Mapping[str, Codec]
    frequencies: Mapping[str, Any]

    @classmethod
    def learnt(cls, table: Table) -> Self:
        codecs = learnt_codecs(table)
        frequencies = {
            name: np.bincount(codec.encode(table.values[name]), minlength=codec.size)
            for name, codec in codecs.items()
        }
        return cls(schema=table.schema, codecs=codecs, frequencies=frequencies)

    def sample(self, count: int, *, seed: int = 0) -> Table:
        return self.sample_conditionally(count, {}, seed=seed)

    def sample_conditionally(
        self, count: int, where: Mapping[str, Wanted], *, seed: int = 0
    ) -> Table:
        chance = np.random.default_rng(seed)
        shares = wanted_shares(self.schema, self.codecs, where)
        drawn: dict[str, Values] = {}
        for number, (name, codec) in enumerate(self.codecs.items()):
            weights = (self.frequencies[name] + 1e-9) * codec.drawable * shares.get(number, 1.0)
            codes = chance.choice(codec.size, count, p=weights / weights.sum())
            drawn[name] = codec.decode(codes, chance, where.get(name))
        return drawn_table(self.schema, drawn, count, seed=seed)

    def about(self) -> dict[str, Any]:
        raise NotImplementedError

    def arrays(self) -> Arrays:
        raise NotImplementedError

    @classmethod
    def restored(cls, about: Mapping[str, Any], arrays: Arrays) -> Self:
        raise NotImplementedError
