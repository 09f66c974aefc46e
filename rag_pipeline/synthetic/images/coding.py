"""Pictures as numbers from -1 to 1 that a network learns, and back to the shades that were there.

Where all pictures together have few shades, nothing else is drawn: what lies between is moved to
the nearest. Only how often each label occurs is kept besides.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from rag_pipeline.synthetic.errors import PictureError, SyntheticError
from rag_pipeline.synthetic.images.pictures import LARGEST, Pictures

FEWEST_PICTURES = 50
FEWEST_OF_A_LABEL = 5
_MOST_SHADES = 64
"""More than these count as all there are."""
_MOST_LABELS = 1_000


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PictureCodec:
    """Of pictures of one size: their shades and labels."""

    shape: tuple[int, int, int]
    """Channels, height, width."""
    shades: npt.NDArray[np.uint8]
    """Rising."""
    labels: tuple[str, ...]
    """Empty where there are none."""
    counts: tuple[int, ...]
    """How many pictures had each label."""

    def __post_init__(self) -> None:
        """Raise `ValueError` for parts that do not belong together."""
        if [*map(type, self.shape)] != [int] * 3 or len(self.labels) != len(self.counts):
            raise ValueError("shape and labels of pictures have another form")
        if max(self.shape) > LARGEST or len(self.labels) > _MOST_LABELS:
            raise ValueError("pictures are larger, or have more labels, than can be learnt")
        if self.shades.dtype != np.uint8 or self.shades.size < 2:
            raise ValueError("shades of pictures have another form")

    @classmethod
    def learnt(cls, pictures: Pictures) -> Self:
        """Raises `PictureError` for pictures that nothing can be learnt from."""
        if len(pictures) < FEWEST_PICTURES:
            raise PictureError(
                f"{len(pictures)} of them are too few to learn from without learning them by"
                f" heart: give at least {FEWEST_PICTURES} pictures"
            )
        shades = np.unique(pictures.pixels)
        if shades.size < 2:
            raise PictureError(f"all pixels are {shades[0]}: give pictures that show something")
        labels, counts = _counted(pictures)
        return cls(
            shape=pictures.shape,
            shades=shades if shades.size <= _MOST_SHADES else np.arange(256, dtype=np.uint8),
            labels=labels,
            counts=counts,
        )

    @classmethod
    def from_json(cls, about: Mapping[str, Any]) -> Self:
        """What `as_json` gave. Raises `KeyError`, `TypeError`, `ValueError`."""
        return cls(
            shape=tuple(about["shape"]),
            shades=np.array(about["shades"], np.uint8),
            labels=tuple(about["labels"]),
            counts=tuple(about["counts"]),
        )

    def as_json(self) -> dict[str, Any]:
        return {
            "shape": list(self.shape),
            "shades": self.shades.tolist(),
            "labels": list(self.labels),
            "counts": list(self.counts),
        }

    @property
    def kinds(self) -> int:
        """How many labels a network tells apart: one where there are none."""
        return max(len(self.labels), 1)

    def encode(self, pictures: Pictures) -> Tensor:
        """float32 (n, channels, height, width), from -1 to 1. Raises `PictureError`."""
        if pictures.shape != self.shape:
            raise PictureError(
                f"the pictures are {_said(pictures.shape)}, and {_said(self.shape)} was learnt"
            )
        return torch.from_numpy(pictures.pixels.astype(np.float32) / 127.5 - 1)

    def numbers(self, pictures: Pictures) -> Tensor:
        """int64 (n,): the place of each picture's label; 0 where none were learnt.

        Raises `PictureError` for a label that was not learnt.
        """
        if not self.labels:
            return torch.zeros(len(pictures), dtype=torch.int64)
        if pictures.labels is None:
            raise PictureError("labels were learnt, and these pictures have none: give them too")
        return torch.tensor([self.number(label) for label in pictures.labels], dtype=torch.int64)

    def number(self, label: str) -> int:
        """Its place. Raises `SyntheticError` for one that was not learnt."""
        if label not in self.labels:
            there = ", ".join(map(repr, self.labels)) or "none"
            raise SyntheticError(f"the label {label!r} was not learnt: there are {there}")
        return self.labels.index(label)

    def drawn(self, count: int, label: str | None, seed: int) -> Tensor:
        """int64 (count,): that label, or labels as frequent as they were."""
        if label is not None:
            return torch.full((count,), self.number(label))
        if not self.labels:
            return torch.zeros(count, dtype=torch.int64)
        shares = np.array(self.counts) / sum(self.counts)
        drawn = np.random.default_rng(seed).choice(len(shares), count, p=shares)
        return torch.from_numpy(drawn.astype(np.int64))

    def decode(self, values: Tensor, numbers: Tensor | None = None) -> Pictures:
        """The nearest shades, with the labels of these places."""
        grey = (values.numpy() + 1) * 127.5
        between = (self.shades[1:].astype(np.float32) + self.shades[:-1]) / 2
        pixels = self.shades[np.searchsorted(between, grey)]
        if numbers is None or not self.labels:
            return Pictures(pixels=pixels)
        return Pictures(pixels=pixels, labels=np.array(self.labels, np.object_)[numbers.numpy()])


def _counted(pictures: Pictures) -> tuple[tuple[str, ...], tuple[int, ...]]:
    if pictures.labels is None:
        return (), ()
    names, counts = np.unique(pictures.labels.astype(np.str_), return_counts=True)
    if len(names) > _MOST_LABELS:
        raise PictureError(f"{len(names)} labels are too many: give at most {_MOST_LABELS}")
    fewest = int(counts.argmin())
    if counts[fewest] < FEWEST_OF_A_LABEL:
        raise PictureError(
            f"the label {str(names[fewest])!r} has {counts[fewest]} pictures: give each label at"
            f" least {FEWEST_OF_A_LABEL}, or leave it out"
        )
    return tuple(names.tolist()), tuple(counts.tolist())


def _said(shape: Sequence[int]) -> str:
    channels, height, width = shape
    return f"{width} x {height} in {channels} channel{'s' if channels > 1 else ''}"
