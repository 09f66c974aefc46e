"""How the flow learns: random parts of each record are known, the others are predicted.

Shapes: B records, D columns, V columns with a deviate.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from rag_pipeline.synthetic.learning import device_of
from rag_pipeline.synthetic.tables.columns import codes_of
from rag_pipeline.synthetic.tables.dequantising import SplitColumn, deviates
from rag_pipeline.synthetic.tables.flow_network import FlowNetwork, Known
from rag_pipeline.synthetic.tables.table import Table
from rag_pipeline.training.task import sliced


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Records:
    """What the networks are shown of a table."""

    classes: Tensor
    """int64 (B, D)"""
    ranks: Tensor
    """float32 (B, V, 2): between which ranks each deviate lies."""

    def at(self, rows: Sequence[int]) -> "Records":
        return Records(classes=self.classes[[*rows]], ranks=self.ranks[[*rows]])

    def values(self, share: Tensor | float = 0.5) -> Tensor:
        """(B, V): deviates that lie so far between their ranks."""
        low, high = self.ranks.unbind(-1)
        return deviates(low + share * (high - low))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Learning:
    """The task that `rag_pipeline.training.loop` trains."""

    model: FlowNetwork
    learnt: Records
    held_back: Records
    deviate_of: Tensor
    """(V,): which columns have a deviate."""
    last: Tensor
    """(V,): the class of each that says so."""

    @property
    def examples(self) -> int:
        return len(self.learnt.classes)

    def batches(self, order: Sequence[int], size: int) -> list[list[int]]:
        return sliced(order, size)

    def loss(self, rows: Sequence[int]) -> Tensor:
        """Nats a class and nats a deviate, weighted as there are columns of both (scalar)."""
        records, device = self.learnt.at(rows), device_of(self.model)
        there = records.classes[:, self.deviate_of] == self.last
        values = records.values(torch.rand(there.shape)).to(device)
        known = self._some_known(records.classes, there, None)
        given = there & (torch.rand(there.shape) < torch.rand(len(rows), 1))
        given &= torch.rand(len(rows), 1) < 0.5
        classes, hidden = records.classes.to(device), (there & ~given).sum(1).clamp(min=1)
        of_classes = self.model.class_nats(classes, values, known).mean()
        numbers = self.model.deviate_nats(classes, values, given.to(device)) / hidden.to(device)
        columns, with_deviate = classes.shape[1], there.shape[1]
        return (columns * of_classes + with_deviate * numbers.mean()) / (columns + with_deviate)

    def validate(self) -> float:
        """Minus the nats a record of what was held back (eq. 1 of `flow.py`), the same columns
        hidden each time."""
        records, device = self.held_back, device_of(self.model)
        nothing = torch.zeros(records.ranks.shape[:2], dtype=torch.bool)
        known = self._some_known(records.classes, nothing, torch.Generator().manual_seed(0))
        classes, values = records.classes.to(device), records.values().to(device)
        nats = self.model.class_nats(classes, values, known) * classes.shape[1]
        nats = nats + self.model.deviate_nats(classes, values, nothing.to(device))
        return -nats.mean().item()

    def _some_known(self, classes: Tensor, there: Tensor, chance: torch.Generator | None) -> Known:
        """For each record a random number of random columns, all of them never; for every other
        one also the deviates of those that have one (`there`)."""
        records, columns = classes.shape
        count = torch.randint(0, columns, (records, 1), generator=chance)
        known = torch.rand(records, columns, generator=chance).argsort(1).argsort(1) < count
        is_told = torch.rand(records, 1, generator=chance) < 0.5
        told, device = there & known[:, self.deviate_of] & is_told, device_of(self.model)
        return Known(classes=known.to(device), deviates=told.to(device))


def records_of(columns: Mapping[str, SplitColumn], table: Table) -> Records:
    """Raises `SyntheticError` for a table without one of the columns."""
    codes = codes_of({name: one.codec for name, one in columns.items()}, table)
    classes = np.stack([one.class_of[codes[:, n]] for n, one in enumerate(columns.values())], 1)
    ranks = [
        one.ranks(table.values[name], codes[:, number])
        for number, (name, one) in enumerate(columns.items())
        if one.has_deviate
    ]
    stacked = np.stack(ranks, 1) if ranks else np.empty((len(table), 0, 2))
    return Records(
        classes=torch.tensor(classes, dtype=torch.int64),
        ranks=torch.tensor(stacked, dtype=torch.float32),
    )
