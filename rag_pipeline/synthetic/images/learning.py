"""What the methods for pictures share: examples, blocks to draw, and how wide a network is."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from rag_pipeline.synthetic.images.coding import PictureCodec
from rag_pipeline.synthetic.images.pictures import Pictures
from rag_pipeline.synthetic.learning import device_of, divided

BLOCK = 250
"""Pictures that are drawn together, with chance of their own."""
_BLOCKS_APART = 1_000_003
_WIDTHS = ((144, 48), (400, 40), (1_600, 32))
"""Pixels of a picture, at most, and channels."""
_LEAST_WIDTH = 24


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
    learnt, held_back = (pictures.rows(at) for at in divided(len(pictures), seed))
    return encoded(codec, learnt), encoded(codec, held_back)


def encoded(codec: PictureCodec, pictures: Pictures) -> Examples:
    """All of them."""
    return Examples(values=codec.encode(pictures), labels=codec.numbers(pictures))


@contextmanager
def one_thread() -> Iterator[None]:
    """Sums in one order and no gradients, so that a seed draws the same in any process."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with torch.no_grad():
            yield
    finally:
        torch.set_num_threads(before)


def blocks(count: int, seed: int) -> list[tuple[slice, int]]:
    """What is drawn together, and the seed of each."""
    return [
        (slice(start, min(start + BLOCK, count)), seed * _BLOCKS_APART + start)
        for start in range(0, count, BLOCK)
    ]


def fitting_width(size: tuple[int, int]) -> int:
    """So many channels that a step takes a CPU tenths of a second, whatever the size."""
    pixels = size[0] * size[1]
    return next((width for most, width in _WIDTHS if pixels <= most), _LEAST_WIDTH)
