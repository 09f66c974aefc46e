"""Columns as a class and a normal deviate each: what a density of mixed records is made of.

A name is a class. A number that many records share is a class of its own, and so is a number that
is missing; all others are one class, within which a number is the normal deviate of its rank among
them. What several records share there is spread evenly over the ranks that it has (uniform
dequantisation: arXiv:1511.01844, ICLR 2016, section 3.1), so each deviate is spread as N(0, 1).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Self

import numpy as np
import numpy.typing as npt
import torch

from rag_pipeline.synthetic.tables.coding import (
    Codec,
    Codes,
    NumberCodec,
    Range,
    Shares,
    Wanted,
)
from rag_pipeline.synthetic.tables.table import Numbers, Values

_OWN_SHARE = 0.05
"""Of the records: a number that has more is a class of its own."""
_LOWEST_RANK = 1e-5
"""No deviate is farther out than that of this rank: 4.3."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What a column is asked to be."""

    classes: Shares
    """(classes,): which part of each is wanted."""
    low: float = -np.inf
    high: float = np.inf
    """Between which deviates, where it is one."""


@dataclass(frozen=True, kw_only=True, eq=False)
class SplitColumn:
    """One column: what its classes are, and which deviates."""

    codec: Codec
    counts: Codes
    """(codes,): how many records had each."""

    @classmethod
    def learnt(cls, codec: Codec, codes: Codes) -> Self:
        """From the codes of all records."""
        return cls(codec=codec, counts=np.bincount(codes, minlength=codec.size))

    @cached_property
    def shared(self) -> Codes:
        """The codes of numbers that are spread over deviates; they rise, as what they stand for."""
        if not isinstance(self.codec, NumberCodec):
            return np.empty(0, np.int64)
        return np.flatnonzero(self.counts[:-1] < _OWN_SHARE * self.counts.sum())

    @property
    def has_deviate(self) -> bool:
        return bool(self.shared.size)

    @cached_property
    def class_of(self) -> Codes:
        """(codes,): the last class is that of the deviates, if there are any."""
        is_own = np.ones(self.codec.size, np.bool_)
        is_own[self.shared] = False
        return np.where(is_own, np.cumsum(is_own) - 1, is_own.sum())

    @property
    def size(self) -> int:
        """How many classes there are."""
        return int(self.class_of.max()) + 1

    @cached_property
    def class_counts(self) -> Codes:
        """(classes,): how many records had each."""
        return np.bincount(self.class_of, weights=self.counts).astype(np.int64)

    @property
    def drawable(self) -> npt.NDArray[np.bool_]:
        """(classes,): those that were seen, and that are no rare names."""
        seen = self.codec.drawable & (self.counts > 0)
        may = seen if seen.any() else self.codec.drawable  # all names may be rare
        found = np.zeros(self.size, np.bool_)
        np.logical_or.at(found, self.class_of, may)
        return found

    @cached_property
    def _edges(self) -> Numbers:
        """(shared + 1,): the share of records with a deviate that are below each code."""
        counts = self.counts[self.shared]
        below: Numbers = np.append(0.0, np.cumsum(counts)) / max(counts.sum(), 1)
        return below

    def ranks(self, values: Values, codes: Codes) -> Numbers:
        """(records, 2): between which ranks the deviate of each lies; .5 where there is none."""
        found = np.full((len(codes), 2), 0.5)
        if not isinstance(self.codec, NumberCodec):
            return found
        steps = np.linspace(0, 1, self.codec.curves.shape[1])
        for place, code in enumerate(self.shared.tolist()):
            at, curve = codes == code, self.codec.curves[code]
            low, high = self._edges[place : place + 2]
            found[at] = low, high
            if curve[0] < curve[-1]:
                within = np.interp(np.asarray(values, np.float64)[at], curve, steps)
                found[at] = (low + within * (high - low))[:, None]
        return found

    def values(
        self,
        classes: Codes,
        deviates: Numbers,
        chance: np.random.Generator,
        wanted: Wanted | None,
    ) -> Values:
        """What classes and deviates (records,) stand for, within what is wanted."""
        own = np.flatnonzero(~np.isin(np.arange(self.codec.size), self.shared))
        if not isinstance(self.codec, NumberCodec) or not self.has_deviate:
            return self.codec.decode(own[classes], chance, wanted)
        is_spread = classes == self.size - 1
        ranks = _ranks(deviates)
        place = (np.searchsorted(self._edges, ranks, side="right") - 1).clip(
            0, self.shared.size - 1
        )
        width = np.diff(self._edges)[place]
        within = ((ranks - self._edges[place]) / np.maximum(width, 1e-12)).clip(0, 1)
        codes = np.where(is_spread, self.shared[place], np.append(own, 0)[classes])
        found = self.codec.placed(codes, np.where(is_spread, within, 0.5))
        if isinstance(wanted, Range):
            found = self._nearest(found, wanted)
        return found

    def _nearest(self, values: Numbers, wanted: Range) -> Numbers:
        """Each value, or the nearest that is wanted: rounding leads out of a range at times."""
        is_outside = (values < wanted.low) | (values > wanted.high)
        if not is_outside.any() or not isinstance(self.codec, NumberCodec):
            return values
        allowed = np.flatnonzero(self.codec.shares(wanted))
        codes = self.codec.encode(values[is_outside])
        nearest = allowed[np.abs(allowed[None, :] - codes[:, None]).argmin(1)]
        ends = (codes > nearest).astype(np.float64)
        values[is_outside] = self.codec.placed(nearest, ends, wanted.low, wanted.high)
        return values

    def limits(self, wanted: Wanted | None) -> Limits:
        """What `wanted` leaves of the classes and deviates; all that may be drawn, without."""
        if wanted is None:
            return Limits(classes=self.drawable.astype(np.float64))
        shares = self.codec.shares(wanted) * self.codec.drawable
        wanted_of = np.bincount(self.class_of, weights=shares * self.counts, minlength=self.size)
        classes: Numbers = wanted_of / np.maximum(self.class_counts, 1)
        if not isinstance(wanted, Range) or not isinstance(self.codec, NumberCodec):
            return Limits(classes=classes)
        found = np.flatnonzero(shares[self.shared])
        if not found.size:
            return Limits(classes=classes)
        low, high = self._ends(wanted, int(found[0]), int(found[-1]))
        return Limits(classes=classes, low=_deviate(low), high=_deviate(high))

    def _ends(self, wanted: Range, first: int, last: int) -> tuple[float, float]:
        """Between which ranks all lie that are wanted, of the codes `first` to `last`."""
        assert isinstance(self.codec, NumberCodec)
        curves = self.codec.curves[self.shared]
        ends = []
        for place, value, end in ((first, wanted.low, 0.0), (last, wanted.high, 1.0)):
            curve, steps = curves[place], np.linspace(0, 1, curves.shape[1])
            share = float(np.interp(value, curve, steps)) if curve[0] < curve[-1] else end
            low, high = self._edges[place : place + 2]
            ends.append(float(low + share * (high - low)))
        return ends[0], ends[1]


def split_columns(codecs: Mapping[str, Codec], codes: Codes) -> dict[str, SplitColumn]:
    """By name, from the codes of all records, (records, columns)."""
    return {
        name: SplitColumn.learnt(codec, codes[:, column])
        for column, (name, codec) in enumerate(codecs.items())
    }


def deviates(ranks: torch.Tensor) -> torch.Tensor:
    """Φ⁻¹ of ranks, which are kept a little away from 0 and 1."""
    found: torch.Tensor = torch.special.ndtri(ranks.clamp(_LOWEST_RANK, 1 - _LOWEST_RANK))
    return found


def _deviate(rank: float) -> float:
    return float(deviates(torch.tensor([rank], dtype=torch.float64))[0])


def _ranks(given: Numbers) -> Numbers:
    found = torch.special.ndtr(torch.from_numpy(np.asarray(given, np.float64)))
    return np.asarray(found.numpy(), np.float64)
