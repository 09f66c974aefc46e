"""Records as vectors of real numbers: what networks of continuous values are given, and make.

A number is one normal deviate, Φ⁻¹ of its rank among those that were learnt from, so that each
column of numbers is spread as N(0, 1), whatever it looks like; a value that many records share is
spread over the ranks that it has. A name is one of as many places as there are names (one-hot), and
so is whether a number is missing, in a column of which some are.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import torch

from rag_pipeline.synthetic.tables.coding import (
    Arrays,
    Codec,
    Codes,
    NumberCodec,
    Range,
    Wanted,
    arrays_of,
    kinds_of,
    restored,
)
from rag_pipeline.synthetic.tables.columns import codes_of, learnt_codecs
from rag_pipeline.synthetic.tables.table import Names, Numbers, Table, Values

Vectors = npt.NDArray[np.float32]

_LOWEST_RANK = 1e-4
"""No deviate is farther out than that of this rank: 3.7."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """Neighbouring places of a vector that belong together."""

    column: str
    start: int
    width: int
    is_choice: bool
    """One of its places is 1 and the rest 0; otherwise it is one normal deviate."""

    @property
    def places(self) -> slice:
        return slice(self.start, self.start + self.width)


@dataclass(frozen=True, kw_only=True, eq=False)
class Encoding:
    """How records are made vectors, and back."""

    codecs: Mapping[str, Codec]
    """By the name of each column that is learnt."""
    has_missing: Mapping[str, bool]
    """Which of them have values that are missing."""

    @classmethod
    def learnt(cls, table: Table) -> Self:
        """Raises `SyntheticError` for a table that nothing can be learnt of."""
        codecs = learnt_codecs(table)
        missing = {name: bool(_missing(table.values[name]).any()) for name in codecs}
        return cls(codecs=codecs, has_missing=missing)

    @cached_property
    def blocks(self) -> tuple[Block, ...]:
        """In order, those of a column together: its deviate, then its choice."""
        return tuple(self._blocks())

    @property
    def width(self) -> int:
        """How long a vector is; 0 where all columns hold one value."""
        return sum(block.width for block in self.blocks)

    def _blocks(self) -> Iterator[Block]:
        start = 0
        for name, codec in self.codecs.items():
            for width, is_choice in self._parts(name, codec):
                yield Block(column=name, start=start, width=width, is_choice=is_choice)
                start += width

    def _parts(self, name: str, codec: Codec) -> list[tuple[int, bool]]:
        if not isinstance(codec, NumberCodec):
            return [(codec.size, True)]
        deviate = [(1, False)] if len(codec.curves) else []
        return [*deviate, (2, True)] if deviate and self.has_missing[name] else deviate

    def vectors(self, table: Table, chance: np.random.Generator | None) -> Vectors:
        """(records, width). `chance` places what many share, and what is missing; without it they
        are in the middle, so that a record is at the same place whatever stands beside it.

        Raises `SyntheticError` for a table without one of the columns.
        """
        codes = dict(zip(self.codecs, codes_of(self.codecs, table).T, strict=True))
        found = np.zeros((len(table), self.width), np.float32)
        for block in self.blocks:
            codec, of_column = self.codecs[block.column], codes[block.column]
            if not isinstance(codec, NumberCodec):
                found[:, block.places] = np.eye(block.width)[of_column]
            elif block.is_choice:
                found[:, block.places] = np.eye(2)[(of_column == codec.size - 1).astype(int)]
            else:
                values = np.asarray(table.values[block.column], np.float64)
                found[:, block.start] = _deviates(codec, values, of_column, chance)
        return found

    def values(
        self, vectors: Vectors, where: Mapping[str, Wanted] | None = None
    ) -> dict[str, Values]:
        """By column, what the vectors (records, width) stand for: of each choice the largest place.

        What is not as `where` asks becomes the nearest that is.
        """
        wanted = where or {}
        places = {
            (block.column, block.is_choice): vectors[:, block.places] for block in self.blocks
        }
        return {
            name: _numbers(codec, places, name, len(vectors), wanted.get(name))
            if isinstance(codec, NumberCodec)
            else _names(codec, places[name, True], wanted.get(name))
            for name, codec in self.codecs.items()
        }

    def about(self) -> dict[str, Any]:
        return {"codecs": kinds_of(self.codecs), "has_missing": dict(self.has_missing)}

    def arrays(self) -> Arrays:
        return arrays_of(self.codecs)

    @classmethod
    def restored(cls, about: Mapping[str, Any], arrays: Arrays) -> Self:
        """What `about` and `arrays` gave. Raises `LookupError` or `ValueError`."""
        codecs = restored(about["codecs"], arrays)
        return cls(codecs=codecs, has_missing={n: bool(about["has_missing"][n]) for n in codecs})


def rank_edges(codec: NumberCodec) -> Numbers:
    """(codes,): the share of records below each code's values, and 1 at the end."""
    below, edges = 0.0, [0.0]
    for middle in codec.ranks.tolist():
        below = 2 * middle - below
        edges.append(min(max(below, edges[-1]), 1.0))
    edges[-1] = 1.0
    return np.array(edges)


def _missing(values: Values) -> npt.NDArray[np.bool_]:
    if values.dtype == np.object_:
        return np.array([value is None for value in values.tolist()], np.bool_)
    return np.isnan(np.asarray(values, np.float64))


def _deviates(
    codec: NumberCodec, values: Numbers, codes: Codes, chance: np.random.Generator | None
) -> Numbers:
    """(records,): by chance those of missing values too, so that the column stays N(0, 1)."""
    edges, count = rank_edges(codec), len(values)
    places = np.full(count, 0.5) if chance is None else chance.random(count)
    steps = np.linspace(0, 1, codec.curves.shape[1])
    for code in np.unique(codes[codes < codec.size - 1]).tolist():
        curve = codec.curves[code]
        if curve[0] < curve[-1]:
            places[codes == code] = np.interp(values[codes == code], curve, steps)
    at = codes.clip(0, codec.size - 2)
    ranks = edges[at] + places * (edges[at + 1] - edges[at])
    ranks = np.where(codes < codec.size - 1, ranks, places)
    within = torch.from_numpy(ranks.clip(_LOWEST_RANK, 1 - _LOWEST_RANK))
    return np.asarray(torch.special.ndtri(within).numpy(), np.float64)


def _numbers(
    codec: NumberCodec,
    places: Mapping[tuple[str, bool], Vectors],
    name: str,
    count: int,
    wanted: Wanted | None,
) -> Numbers:
    is_missing = np.full(count, (name, False) not in places)
    if (name, True) in places:
        is_missing = places[name, True].argmax(1) == 1
    if isinstance(wanted, Range):
        is_missing = np.zeros(count, np.bool_)
    elif wanted is not None:
        is_missing = np.ones(count, np.bool_)
    if is_missing.all():
        return np.full(count, np.nan)
    low, high = (wanted.low, wanted.high) if isinstance(wanted, Range) else (-np.inf, np.inf)
    edges = rank_edges(codec)
    deviates = torch.from_numpy(places[name, False][:, 0].astype(np.float64))
    ranks = np.asarray(torch.special.ndtr(deviates).numpy(), np.float64)
    codes = (np.searchsorted(edges, ranks, side="right") - 1).clip(0, codec.size - 2)
    within = (ranks - edges[codes]) / np.maximum(edges[codes + 1] - edges[codes], 1e-12)
    if isinstance(wanted, Range):
        codes = _nearest(codes, np.flatnonzero(codec.shares(wanted)))
    found = codec.placed(codes, within.clip(0, 1), low, high)
    found[is_missing] = np.nan
    return found


def _nearest(codes: Codes, allowed: Codes) -> Codes:
    """The code of `allowed`, which rise, that is nearest to each."""
    after = np.searchsorted(allowed, codes).clip(0, len(allowed) - 1)
    before = (after - 1).clip(0)
    is_before = np.abs(allowed[before] - codes) < np.abs(allowed[after] - codes)
    return np.asarray(np.where(is_before, allowed[before], allowed[after]), np.int64)


def _names(codec: Codec, places: Vectors, wanted: Wanted | None) -> Names:
    may = codec.drawable if wanted is None else codec.drawable & (codec.shares(wanted) > 0)
    codes = np.where(may, places, -np.inf).argmax(1)
    return np.asarray(codec.decode(codes, np.random.default_rng(0), wanted), np.object_)
