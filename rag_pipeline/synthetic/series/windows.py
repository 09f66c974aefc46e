"""Series cut into windows, which a network learns from side by side.

Shapes: B windows, T records, D columns.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from rag_pipeline.synthetic.tables.coding import Codes


@dataclass(frozen=True, slots=True, kw_only=True)
class Windows:
    """Parts of series, filled up to the longest of them."""

    codes: Tensor
    """int64 (B, T, D): records, and the one that says that the series has ended."""
    before: Tensor
    """int64 (B, T, D): the record before each."""
    places: Tensor
    """int64 (B, T): how many there are before it in its series."""
    counts: Tensor
    """bool (B, T, D): what is predicted."""

    @classmethod
    def of(cls, windows: Sequence[Codes], starts: Sequence[int], fixed: Sequence[int]) -> Self:
        """`windows` (records, D), each with the record before it unless it begins a series;
        `starts`: the places of the first ones that are predicted."""
        longest = max(len(one) - (start > 0) for one, start in zip(windows, starts, strict=True))
        shape = (len(windows), longest, windows[0].shape[1])
        codes, before = np.zeros(shape, np.int64), np.zeros(shape, np.int64)
        counts = np.zeros(shape, np.bool_)
        for at, (window, start) in enumerate(zip(windows, starts, strict=True)):
            begins = start == 0
            now = window if begins else window[1:]
            codes[at, : len(now)] = now
            before[at, int(begins) : len(now)] = window[: len(now) - int(begins)]
            counts[at, : len(now)] = True
            counts[at, :, 1:] &= now_is_record(now, longest)[:, None]
            counts[at, int(begins) :, [*fixed]] = False  # settled by the first record
        return cls(
            codes=torch.from_numpy(codes),
            before=torch.from_numpy(before),
            places=torch.tensor([*starts])[:, None] + torch.arange(longest),
            counts=torch.from_numpy(counts),
        )


def now_is_record(window: Codes, longest: int) -> npt.NDArray[np.bool_]:
    """(T,): False for the mark of an end, and what is filled up."""
    found = np.zeros(longest, np.bool_)
    found[: len(window)] = window[:, 0] == 0
    return found


def moved(windows: Windows, device: torch.device) -> Windows:
    """The same on that device."""
    return Windows(
        codes=windows.codes.to(device),
        before=windows.before.to(device),
        places=windows.places.to(device),
        counts=windows.counts.to(device),
    )


def windows_of(series: Sequence[Codes], size: int) -> list[tuple[Codes, int]]:
    """Windows of `size` records, the last of a series with the mark of its end; each but the first
    of a series begins with the record before it. With each, the place of the first record that it
    predicts."""
    found: list[tuple[Codes, int]] = []
    for codes in series:
        end = np.zeros((1, codes.shape[1]), np.int64)
        end[0, 0] = 1
        whole = np.concatenate([codes, end])
        found += [
            (whole[max(start - 1, 0) : start + size], start) for start in range(0, len(whole), size)
        ]
    return found
