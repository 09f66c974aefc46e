"""What the generator is told of a record while it learns, so that it can be told it later.

Half of the records are taken as they come; of every other one of them any columns are told. The
other half is drawn for what is told of it (training by sampling: Xu et al., NeurIPS 2019,
arXiv:1907.00503, section 4.3): a column, one of its codes by the logarithm of how many records have
it, and a record that has it, so that what is rare is seen often enough. Of every other one of them
more columns are told.

Shapes: B records, D columns, K codes of all columns together.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """Records, and what is told of them; the first `natural` are as they come."""

    rows: Tensor
    """int64 (B,)"""
    known: Tensor
    """bool (B, D)"""
    natural: int


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Conditions:
    """Draws what is told."""

    order: Tensor
    """int32 (D, n): the records by their code in each column."""
    column: Tensor
    """(K,): of each code."""
    start: Tensor
    """(K,): where its records begin in the order of its column."""
    count: Tensor
    """(K,): how many there are."""
    weights: Tensor
    """(K,): how likely each code is to be told."""

    @classmethod
    def learnt(cls, codes: Tensor, sizes: Sequence[int]) -> Self:
        """From all records, (n, D)."""
        counts = [
            torch.bincount(codes[:, column], minlength=size) for column, size in enumerate(sizes)
        ]
        logs = [(1.0 + count).log() for count in counts]
        return cls(
            order=codes.argsort(dim=0, stable=True).T.to(torch.int32),
            column=torch.cat([torch.full((size,), at) for at, size in enumerate(sizes)]),
            start=torch.cat([count.cumsum(0) - count for count in counts]),
            count=torch.cat(counts),
            weights=torch.cat([log / log.sum() for log in logs]),
        )

    def told(self, rows: Sequence[int]) -> Told:
        """Half of these records, and as many that are drawn for what is told of them."""
        natural, columns = len(rows) // 2, len(self.order)
        drawn = len(rows) - natural
        code = torch.multinomial(self.weights, drawn, replacement=True)
        place = self.start[code] + (torch.rand(drawn) * self.count[code]).long()
        found = self.order[self.column[code], place].long()
        known = any_columns(len(rows), columns, None)
        known[natural + torch.arange(drawn), self.column[code]] = True
        as_they_come = torch.tensor(rows[:natural], dtype=torch.int64)
        return Told(rows=torch.cat([as_they_come, found]), known=known, natural=natural)


def any_columns(records: int, columns: int, chance: torch.Generator | None) -> Tensor:
    """bool (B, D): of every other record some columns, from none to all."""
    share = torch.rand(records, 1, generator=chance)
    found = torch.rand(records, columns, generator=chance) < share
    return found & (torch.rand(records, 1, generator=chance) < 0.5)
