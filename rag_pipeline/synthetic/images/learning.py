"""What the methods for pictures share: examples, blocks to draw, and how wide a network is."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from torch import Tensor, nn

from rag_pipeline.synthetic.images.coding import PictureCodec
from rag_pipeline.synthetic.images.pictures import Pictures
from rag_pipeline.synthetic.learning import Steps, device_of, divided, one_thread

BLOCK = 250
"""Pictures that are drawn together, with chance of their own."""
_BLOCKS_APART = 1_000_003
_WIDTHS = ((144, 48), (400, 40), (1_600, 32))
"""Pixels of a picture, at most, and channels."""
_LEAST_WIDTH = 24
_HALVED_AT = (400, 1_600)
"""Pixels of a picture above which a batch has half as many."""
_MANY = 1_250
"""Pictures that take the usual number of steps."""
_LEAST_PART, _MOST_PARTS = 0.5, 4.0
_MOST_HELD_BACK = BLOCK


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Examples:
    """Pictures as a network reads them, with the places of their labels."""

    values: Tensor
    """float32 (n, C, H, W), from -1 to 1."""
    labels: Tensor
    """int64 (n,)"""

    def __len__(self) -> int:
        return len(self.values)

    def at(self, rows: slice | list[int]) -> "Examples":
        """Some of them."""
        return Examples(values=self.values[rows], labels=self.labels[rows])

    def beside(self, model: nn.Module) -> "Examples":
        """The same, where the weights of a network are."""
        device = device_of(model)
        return Examples(values=self.values.to(device), labels=self.labels.to(device))


def examples(codec: PictureCodec, pictures: Pictures, seed: int) -> tuple[Examples, Examples]:
    """What is learnt from, and what is held back to validate on."""
    learnt, held_back = divided(len(pictures), seed)
    places = np.concatenate([learnt, held_back[_MOST_HELD_BACK:]]), held_back[:_MOST_HELD_BACK]
    found, others = (encoded(codec, pictures.rows(at)) for at in places)
    return found, others


def encoded(codec: PictureCodec, pictures: Pictures) -> Examples:
    """All of them."""
    return Examples(values=codec.encode(pictures), labels=codec.numbers(pictures))


@contextmanager
def drawing() -> Iterator[None]:
    """Sums in one order and no gradients."""
    with one_thread(), torch.no_grad():
        yield


def blocks(count: int, seed: int) -> list[tuple[slice, int]]:
    """What is drawn together, and the seed of each."""
    return [
        (slice(start, min(start + BLOCK, count)), seed * _BLOCKS_APART + start)
        for start in range(0, count, BLOCK)
    ]


class Wanted(Protocol):
    """What settings say of it; None: as is usual for such pictures."""

    @property
    def steps(self) -> int | None: ...
    @property
    def batch_size(self) -> int | None: ...
    @property
    def learning_rate(self) -> float: ...


def course(wanted: Wanted, pictures: Pictures, *, steps: int, batch_size: int) -> Steps:
    """As wanted, or else the usual number of steps, more for more pictures, and the usual batch,
    smaller for larger ones."""
    part = min(max(len(pictures) / _MANY, _LEAST_PART), _MOST_PARTS)
    pixels = pictures.height * pictures.width
    halvings = sum(pixels > most for most in _HALVED_AT)
    return Steps(
        steps=wanted.steps or round(steps * part),
        batch_size=wanted.batch_size or batch_size // 2**halvings,
        learning_rate=wanted.learning_rate,
    )


def fitting_width(size: tuple[int, int]) -> int:
    """So many channels that a step takes a CPU tenths of a second, whatever the size."""
    pixels = size[0] * size[1]
    return next((width for most, width in _WIDTHS if pixels <= most), _LEAST_WIDTH)
