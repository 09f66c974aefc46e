"""Series drawn from a recurrent network, record by record, all of a block side by side.

Shapes: B series, D columns, H wide state.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
import torch
from torch import Tensor

from rag_pipeline.synthetic.errors import SyntheticError
from rag_pipeline.synthetic.series.series import SeriesCodec
from rag_pipeline.synthetic.tables.coding import Codes, Wanted
from rag_pipeline.synthetic.tables.table import Values

if TYPE_CHECKING:
    from rag_pipeline.synthetic.series.recurrent import Network


State: TypeAlias = Tensor | tuple[Tensor, Tensor]
"""Of a GRU; of an LSTM, with its cells."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Drawing:
    """Goes on where series were left, until all have ended."""

    network: "Network"
    codec: SeriesCodec
    where: Mapping[str, Wanted]
    """What each record is to fulfil."""

    @torch.no_grad()
    def continued(self, begun: Sequence[Codes], seed: int) -> list[Codes]:
        """Of each series what was drawn after it, (records, D); a series that is as long as the
        longest that was learnt ends there."""
        chance = torch.Generator().manual_seed(seed)
        lengths = np.array([len(one) for one in begun])
        state, last = self._read(begun)
        allowed = {is_first: self._allowed(is_first=is_first) for is_first in (True, False)}
        found: list[list[Codes]] = [[] for _ in begun]
        is_open = lengths < self.codec.longest
        for drawn in range(self.codec.longest):
            if not is_open.any():
                break
            hidden, state = self._next(state, last, lengths + drawn == 0)
            record = self._record(hidden, last, lengths + drawn == 0, allowed, chance)
            is_open &= record[:, 0].numpy() == 0
            for at in np.flatnonzero(is_open):
                found[at].append(record[at].numpy())
            last = record
            is_open &= lengths + drawn + 1 < self.codec.longest
        empty = np.zeros((0, len(self.network.sizes)), np.int64)
        return [np.stack(one) if one else empty for one in found]

    def _read(self, begun: Sequence[Codes]) -> tuple[State | None, Tensor]:
        """The state after all records but the last of each series, and these."""
        columns = len(self.network.sizes)
        last = np.stack([one[-1] if len(one) else np.zeros(columns, np.int64) for one in begun])
        longest = max((len(one) for one in begun), default=0)
        if longest < 1:
            return None, torch.from_numpy(last)
        return _together([self._state_of(one) for one in begun]), torch.from_numpy(last)

    def _state_of(self, codes: Codes) -> State:
        """What the network holds of one series when it is to draw what comes after its last."""
        before = np.concatenate([np.zeros((1, codes.shape[1]), np.int64), codes[:-1]])[None]
        is_first = torch.zeros(before.shape[:2], dtype=torch.bool)
        is_first[:, 0] = True
        _, state = self.network.cell(self.network.inputs(torch.from_numpy(before), is_first))
        found: State = state
        return found

    def _next(self, state: State | None, last: Tensor, is_first: Values) -> tuple[Tensor, State]:
        """(B, H), and the state, once the network was told of the last record."""
        firsts = torch.from_numpy(np.asarray(is_first, np.bool_))[:, None]
        hidden, after = self.network.cell(self.network.inputs(last[:, None], firsts), state)
        return hidden[:, 0], after

    def _record(
        self, hidden: Tensor, last: Tensor, is_first: Values,
        allowed: Mapping[bool, Sequence[Tensor]], chance: torch.Generator,
    ) -> Tensor:  # fmt: skip
        """(B, D)"""
        record = torch.zeros_like(last)
        first = torch.from_numpy(np.asarray(is_first, np.bool_))[:, None]
        for column, name in enumerate(self.codec.names):
            logits = self.network.logits(hidden, self.network.read(record), column)
            logits = logits + torch.where(first, allowed[True][column], allowed[False][column])
            drawn = torch.multinomial(logits.softmax(1), 1, generator=chance)[:, 0]
            if name in self.codec.fixed:
                drawn = torch.where(first[:, 0], drawn, last[:, column])
            record[:, column] = drawn
        return record

    def _allowed(self, *, is_first: bool) -> list[Tensor]:
        """Of each column, (codes,): what is added to its logits."""
        names = self.codec.names
        for name in self.where:
            if name not in names:
                self.codec.schema.column(name)
                raise SyntheticError(f"the column {name!r} is not learnt: ask for another one")
        found = []
        for name in names:
            shares = self.codec.drawable(name, is_first=is_first).astype(np.float64)
            if name in self.where:
                shares = shares * self.codec.codecs[name].shares(self.where[name])
                if not shares.any():
                    raise SyntheticError(
                        f"no record can have {name!r} like that: too few of those learnt from do"
                    )
            found.append(torch.tensor(shares).log().float())
        return found


def _together(states: Sequence[State]) -> State:
    """Those of single series as one of a block; the second dimension is that of series."""
    hidden = torch.cat([one if isinstance(one, Tensor) else one[0] for one in states], dim=1)
    cells = [one[1] for one in states if not isinstance(one, Tensor)]
    return (hidden, torch.cat(cells, dim=1)) if cells else hidden


def keys_of(codec: SeriesCodec, count: int, seed: int) -> Values:
    """A key of each series, new ones."""
    if codec.schema.column(codec.layout.key).is_numeric:
        return np.arange(count, dtype=np.float64)
    return np.array([f"synthetic-{seed}-{number}" for number in range(count)], np.object_)
