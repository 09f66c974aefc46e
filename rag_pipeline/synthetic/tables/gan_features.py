"""Records as the critic sees them: a few numbers for each code, the same for codes that are near.

A name is one place (one-hot); of very many names the frequent ones are, and the others are told
apart by random signs. A number is its normal deviate and hat functions over its ranks, next to one
place for each value that many records share, and one for what is missing.

Shapes: B records, D columns, K codes of all columns together, F features.
"""

from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional

from rag_pipeline.synthetic.tables.coding import Codec, Codes, NumberCodec
from rag_pipeline.synthetic.tables.table import Numbers

_FEATURES = 600
"""Of all columns together, more or less."""
_MOST, _LEAST = 64, 8
"""Names of a column that have a place of their own."""
_SIGNS = 8
"""Random signs that tell the other names apart."""
_HATS = 12
_SHARED = 0.02
"""Of the records: a number that has more has a place of its own."""


def features_of(codecs: Sequence[Codec], counts: Sequence[Codes]) -> Tensor:
    """(K, F): those of each code, zeros for what belongs to other columns; `counts` (codes of the
    column,) says how many records have each."""
    most = max(_LEAST, min(_MOST, _FEATURES // len(codecs)))
    blocks = [
        torch.tensor(np.stack([*_columns(codec, seen, most)], axis=1), dtype=torch.float32)
        for codec, seen in zip(codecs, counts, strict=True)
    ]
    joined: Tensor = torch.block_diag(*blocks)  # type: ignore[no-untyped-call]
    return joined


def summed(table: Tensor, codes: Tensor) -> Tensor:
    """(B, F): the features of records, from the rows `codes` (B, D) of a table (K, F)."""
    return functional.embedding_bag(codes, table, mode="sum")


def _columns(codec: Codec, counts: Codes, most: int) -> Iterator[npt.NDArray[np.float64]]:
    if isinstance(codec, NumberCodec):
        yield from _of_numbers(codec, counts, min(most, _HATS))
        return
    frequent = np.argsort(-counts, kind="stable")[:most]
    yield from np.eye(codec.size)[frequent[counts[frequent] > 0]]
    if codec.size > most:
        others = np.setdiff1d(np.arange(codec.size), frequent)
        chance = np.random.default_rng(codec.size)
        for _ in range(_SIGNS):
            signs = np.zeros(codec.size)
            signs[others] = chance.choice([-1.0, 1.0], others.size)
            yield signs


def _of_numbers(codec: NumberCodec, counts: Codes, hats: int) -> Iterator[Numbers]:
    yield np.nan_to_num(codec.positions)
    values = codec.size - 1
    if values > hats:
        place = np.append(codec.ranks * (hats - 1), np.inf)
        yield from ((1 - np.abs(place - at)).clip(0) for at in range(hats))
        own = np.flatnonzero(counts > _SHARED * counts.sum())
    else:
        own = np.flatnonzero(counts)
    yield from np.eye(codec.size)[np.union1d(own, [values])]
