"""Series drawn from a recurrent network, record by record, all of a block side by side.

Shapes: B series, D columns, H wide state.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from rag_pipeline.synthetic.errors import SyntheticError
from rag_pipeline.synthetic.series.series import SeriesCodec
from rag_pipeline.synthetic.tables.coding import Codes, Wanted
from rag_pipeline.synthetic.tables.table import Values

if TYPE_CHECKING:
    from rag_pipeline.synthetic.series.recurrent import Network

Places = npt.NDArray[np.int64]

_CANDIDATES = 32
"""First records of a series, of which one is taken that is as asked."""

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
        lengths = np.array([len(one) for one in begun], np.int64)
        state, last = self._read(begun)
        allowed = {is_first: self._allowed(is_first=is_first) for is_first in (True, False)}
        numbers: list[Places] = [np.zeros(0, np.int64)]
        records: list[Codes] = [np.zeros((0, len(self.network.sizes)), np.int64)]
        # Those that have not ended: series end at very different times, and the rest go on alone.
        going: Places = np.flatnonzero(lengths < self.codec.longest)
        state, last = _kept(state, going), last[torch.from_numpy(going)]
        for drawn in range(self.codec.longest):
            if not going.size:
                break
            places = lengths[going] + drawn
            hidden, state = self._next(state, last, places)
            last = self._record(hidden, last, places == 0, allowed, chance)
            goes_on: Places = np.flatnonzero(last[:, 0].numpy() == 0)
            going = going[goes_on]
            numbers.append(going)
            records.append(last.numpy()[goes_on])
            has_room = lengths[going] + drawn + 1 < self.codec.longest
            going, goes_on = going[has_room], goes_on[has_room]
            state, last = _kept(state, goes_on), last[torch.from_numpy(goes_on)]
        return _by_series(np.concatenate(numbers), np.concatenate(records), len(begun))

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
        places = torch.arange(before.shape[1])[None]
        _, state = self.network.cell(self.network.inputs(torch.from_numpy(before), places))
        found: State = state
        return found

    def _next(self, state: State | None, last: Tensor, places: Places) -> tuple[Tensor, State]:
        """(B, H), and the state, once the network was told of the last record."""
        at = torch.from_numpy(places)[:, None]
        hidden, after = self.network.cell(self.network.inputs(last[:, None], at), state)
        return hidden[:, 0], after

    def _record(
        self, hidden: Tensor, last: Tensor, is_first: Values,
        allowed: Mapping[bool, Sequence[Tensor]], chance: torch.Generator,
    ) -> Tensor:  # fmt: skip
        """(B, D)"""
        first = torch.from_numpy(np.asarray(is_first, np.bool_))[:, None]
        if not self.where or not first.any():
            return self._drawn(hidden, last, first, allowed, chance)[0]
        # What is asked of one column says something of those before it, too: of several records,
        # one is drawn by how likely each makes what is asked (sampling importance resampling;
        # Rubin, Bayesian Statistics 3, 1988).
        hiddens, lasts, firsts = (
            one.repeat_interleave(_CANDIDATES, dim=0) for one in (hidden, last, first)
        )
        records, weights = self._drawn(hiddens, lasts, firsts, allowed, chance)
        of_each = weights.view(len(hidden), _CANDIDATES).softmax(dim=1)
        taken = torch.multinomial(of_each, 1, generator=chance)[:, 0]
        return records.view(len(hidden), _CANDIDATES, -1)[torch.arange(len(hidden)), taken]

    def _drawn(
        self, hidden: Tensor, last: Tensor, first: Tensor,
        allowed: Mapping[bool, Sequence[Tensor]], chance: torch.Generator,
    ) -> tuple[Tensor, Tensor]:  # fmt: skip
        """Records (B, D), and the log of how likely each was to be as asked (B,)."""
        record = torch.zeros_like(last)
        weight = torch.zeros(len(last))
        for column, name in enumerate(self.codec.names):
            logits = self.network.logits(hidden, self.network.read(record), column)
            masked = logits + torch.where(first, allowed[True][column], allowed[False][column])
            drawn = torch.multinomial(masked.softmax(1), 1, generator=chance)[:, 0]
            if name in self.where:
                weight += masked.logsumexp(1) - logits.logsumexp(1)
            if name in self.codec.fixed:
                drawn = torch.where(first[:, 0], drawn, last[:, column])
            record[:, column] = drawn
        return record, weight

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


def _kept(state: State | None, series: Places) -> State | None:
    """Of these series alone."""
    at = torch.from_numpy(series)
    if state is None or isinstance(state, Tensor):
        return None if state is None else state[:, at]
    return state[0][:, at], state[1][:, at]


def _by_series(numbers: Places, records: Codes, series: int) -> list[Codes]:
    """(records, D) of each, in the order in which they were drawn."""
    order = np.argsort(numbers, kind="stable")
    ends = np.cumsum(np.bincount(numbers, minlength=series))[:-1]
    return list(np.split(records[order], ends)) if series else []


def keys_of(codec: SeriesCodec, count: int, seed: int) -> Values:
    """A key of each series, new ones."""
    if codec.schema.column(codec.layout.key).is_numeric:
        return np.arange(count, dtype=np.float64)
    return np.array([f"synthetic-{seed}-{number}" for number in range(count)], np.object_)
