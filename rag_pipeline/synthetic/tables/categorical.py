"""What networks that predict the codes of all columns at once have in common.

Shapes: B records, D columns, K codes of all columns together; logits are a tuple with (B, codes of
the column) for each column.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Protocol, TypeVar

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from rag_pipeline.synthetic.errors import SyntheticError
from rag_pipeline.synthetic.learning import drawn_by
from rag_pipeline.synthetic.tables.coding import Codec, Shares, Wanted
from rag_pipeline.synthetic.tables.table import Values

Logits = tuple[Tensor, ...]

_MOST_WEIGHTS = 1_700_000
"""6.8 MB: with the tables of the codecs, a model has up to 8."""
_NARROWEST = 16
_ORDERS = 4


class Sized(Protocol):
    """Settings of a network whose layers are `width` wide."""

    @property
    def width(self) -> int: ...


SizedT = TypeVar("SizedT", bound=Sized)


def check_settings(settings: object, *, counts: Sequence[str], shares: Sequence[str] = ()) -> None:
    """Raise `SyntheticError` for a count below 1, or a share that is not above 0 and below 1."""
    for name in counts:
        if getattr(settings, name) < 1:
            raise SyntheticError(f"{name} is {getattr(settings, name)}: give 1 or more")
    for name in shares:
        if not 0 < getattr(settings, name) < 1:
            raise SyntheticError(
                f"{name} is {getattr(settings, name)}: give a number above 0 and below 1"
            )


def bounded(settings: SizedT, network: Callable[[SizedT], nn.Module], columns: int) -> SizedT:
    """The settings, with a smaller width where the network would have too many weights.

    Raises `SyntheticError` where it has too many at any width.
    """
    while _weights(settings, network) > _MOST_WEIGHTS:
        if settings.width <= _NARROWEST:
            raise SyntheticError(f"{columns} columns are too many to learn: leave some out")
        settings = replace(settings, width=settings.width * 7 // 8)  # type: ignore[type-var]
    return settings


def _weights(settings: SizedT, network: Callable[[SizedT], nn.Module]) -> int:
    with drawn_by(0):
        return sum(weight.numel() for weight in network(settings).parameters())


def residual(width: int) -> nn.Module:
    """What a residual network adds in one layer."""
    return nn.Sequential(
        nn.LayerNorm(width), nn.Linear(width, 2 * width), nn.SiLU(), nn.Linear(2 * width, width)
    )


def nats(logits: Logits, codes: Tensor) -> Tensor:
    """(B, D): -log p of each code."""
    return torch.stack(
        [
            functional.cross_entropy(of_column, codes[:, column], reduction="none")
            for column, of_column in enumerate(logits)
        ],
        dim=1,
    )


def nats_in_orders(codes: Tensor, says: Callable[[int, Tensor, Tensor], Tensor]) -> Tensor:
    """float64 (B,): how many nats each record takes to say, a column after the other, the mean over
    a few orders that are the same for each record.

    `says(column, codes, known)` gives the logits of a column, (B, codes of the column).
    """
    chance = torch.Generator().manual_seed(0)
    found = torch.zeros(len(codes), dtype=torch.float64)
    for _ in range(_ORDERS):
        known = torch.zeros(codes.shape, dtype=torch.bool)
        for column in torch.randperm(codes.shape[1], generator=chance).tolist():
            logits = says(column, codes, known)
            found += functional.cross_entropy(logits, codes[:, column], reduction="none")
            known[:, column] = True
    return found / _ORDERS


def allowances(codecs: Mapping[str, Codec], shares: Mapping[int, Shares]) -> Logits:
    """For each column (codes,): log of which part of each code is wanted, -inf where none is.

    `shares` are those of the columns that conditions hold for, by their number.
    """
    return tuple(
        torch.from_numpy(shares.get(column, codec.drawable.astype(np.float64))).log().float()
        for column, codec in enumerate(codecs.values())
    )


def drawn(logits: Logits, allowed: Logits, chance: torch.Generator) -> Tensor:
    """(B, D): a code of each column, each drawn by itself."""
    pairs = zip(logits, allowed, strict=True)
    return torch.stack([code_drawn(one + may, chance) for one, may in pairs], dim=1)


def code_drawn(logits: Tensor, chance: torch.Generator) -> Tensor:
    """(B,): a code for each row of logits (B, codes)."""
    return torch.multinomial(logits.softmax(1), 1, generator=chance)[:, 0]


def likeliest(logits: Logits, allowed: Logits) -> Tensor:
    """(B, D)"""
    pairs = zip(logits, allowed, strict=True)
    return torch.stack([(one + may).argmax(1) for one, may in pairs], dim=1)


def decoded(
    codecs: Mapping[str, Codec],
    codes: Tensor,
    where: Mapping[str, Wanted],
    chance: np.random.Generator,
) -> dict[str, Values]:
    """By column, a value for each of the codes (B, D), as `where` asks."""
    return {
        name: codec.decode(codes[:, column].numpy(), chance, where.get(name))
        for column, (name, codec) in enumerate(codecs.items())
    }


def firsts(codecs: Sequence[Codec]) -> Tensor:
    """(D,): where the codes of each column begin among all K."""
    return torch.tensor([0, *(codec.size for codec in codecs)][:-1]).cumsum(0)
