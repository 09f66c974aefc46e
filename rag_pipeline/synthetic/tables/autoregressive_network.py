"""The network of `autoregressive.py`, and how it learns to say what is hidden of a record.

Shapes: B records, D columns, K codes of all columns together, E wide embeddings, H wide network.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from rag_pipeline.synthetic.learning import device_of
from rag_pipeline.synthetic.tables.coding import Codec, NumberCodec
from rag_pipeline.training.task import sliced

_PSEUDOCOUNT = 0.1
"""Records that each code is taken to have had besides."""


class Network(nn.Module):
    """What is hidden, predicted from what is not: a residual network over embedded codes."""

    first: Tensor
    """(D,): where the codes of each column begin among all embeddings."""
    hidden: Tensor
    """(D,): what stands for a column that is not known."""
    position: Tensor
    """(K + D,)"""

    def __init__(
        self, codecs: Sequence[Codec], *, width: int, depth: int, embedding: int, dropout: float
    ) -> None:
        super().__init__()
        self.sizes = [codec.size for codec in codecs]
        columns, total = len(codecs), sum(self.sizes) + len(codecs)
        firsts = np.cumsum([0, *(codes + 1 for codes in self.sizes[:-1])])
        self.embedding = nn.Embedding(total, embedding)
        nn.init.normal_(self.embedding.weight, std=0.5)
        self.register_buffer("first", torch.tensor(firsts), persistent=False)
        self.register_buffer("hidden", torch.tensor(self.sizes), persistent=False)
        self.register_buffer("position", _positions(codecs), persistent=False)
        self.read = nn.Linear(columns * (embedding + 1), width)
        self.blocks = nn.ModuleList(_block(width, dropout) for _ in range(depth))
        self.norm = nn.LayerNorm(width)
        self.write = nn.Linear(width, sum(self.sizes))
        nn.init.zeros_(self.write.weight)

    def forward(self, codes: Tensor, known: Tensor) -> tuple[Tensor, ...]:
        """Logits of each column, (B, codes of the column), for `codes` and `known` (B, D)."""
        state = self._state(codes, known)
        return self.write(state).split(self.sizes, dim=1)  # type: ignore[no-any-return]

    def begin_at(self, codes: Tensor) -> None:
        """Say of each column how often its codes are among those (n, D), whatever is known."""
        counts = [
            torch.bincount(column, minlength=size) + _PSEUDOCOUNT
            for column, size in zip(codes.T, self.sizes, strict=True)
        ]
        with torch.no_grad():
            self.write.bias.copy_(torch.cat([(one / one.sum()).log() for one in counts]))

    def of_column(self, column: int, codes: Tensor, known: Tensor) -> Tensor:
        """Logits of one column, (B, codes of the column)."""
        start = sum(self.sizes[:column])
        rows = slice(start, start + self.sizes[column])
        state = self._state(codes, known)
        return functional.linear(state, self.write.weight[rows], self.write.bias[rows])

    def _state(self, codes: Tensor, known: Tensor) -> Tensor:
        """(B, H)"""
        at = torch.where(known, codes, self.hidden) + self.first  # (B, D)
        read = torch.cat([self.embedding(at).flatten(1), self.position[at]], dim=1)  # (B, D(E+1))
        state = self.read(read)  # (B, H)
        for block in self.blocks:
            state = state + block(state)
        return self.norm(state)  # type: ignore[no-any-return]


def _positions(codecs: Sequence[Codec]) -> Tensor:
    """(K + D,): where each code stands in its column's order; 0 where there is none, or it is
    hidden."""
    parts = [np.append(np.nan_to_num(codec.positions), 0.0) for codec in codecs]
    return torch.tensor(np.concatenate(parts), dtype=torch.float32)


def _block(width: int, dropout: float) -> nn.Module:
    return nn.Sequential(
        nn.LayerNorm(width),
        nn.Linear(width, 2 * width),
        nn.SiLU(),
        nn.Dropout(dropout),
        nn.Linear(2 * width, width),
    )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Learning:
    """The task that `rag_pipeline.training.loop` trains."""

    model: Network
    learnt: Tensor
    """int64 (n, D): codes that are learnt from."""
    held_back: Tensor
    """int64 (m, D): codes that are validated on."""
    near: Sequence[Tensor | None]
    """By column (codes, codes): how right each is where a code is; None: it alone."""

    @property
    def examples(self) -> int:
        return len(self.learnt)

    def batches(self, order: Sequence[int], size: int) -> list[list[int]]:
        return sliced(order, size)

    def loss(self, rows: Sequence[int]) -> Tensor:
        """Nats a column, (scalar): eq. 1 over D, with one random order for each record."""
        codes = self.learnt[list(rows)]
        device = device_of(self.model)
        known = some_known(codes.shape, None)
        return nats(self.model, codes.to(device), known.to(device), self.near).mean()

    def validate(self) -> float:
        """Minus the nats a column of what was held back, with the same columns hidden each time."""
        device = device_of(self.model)
        known = some_known(self.held_back.shape, torch.Generator().manual_seed(0))
        alone = [None] * known.shape[1]
        return -nats(self.model, self.held_back.to(device), known.to(device), alone).mean().item()


def some_known(shape: torch.Size, chance: torch.Generator | None) -> Tensor:
    """(B, D): for each record a random number of random columns, all of them never."""
    records, columns = shape
    count = torch.randint(0, columns, (records, 1), generator=chance)
    return torch.rand(records, columns, generator=chance).argsort(1).argsort(1) < count


def nats(model: nn.Module, codes: Tensor, known: Tensor, near: Sequence[Tensor | None]) -> Tensor:
    """(B,): the mean over hidden columns of -log p."""
    right = [
        codes[:, column] if one is None else one.to(codes.device)[codes[:, column]]
        for column, one in enumerate(near)
    ]
    pairs = zip(model(codes, known), right, strict=True)
    losses = torch.stack(
        [functional.cross_entropy(*pair, reduction="none") for pair in pairs], dim=1
    )  # (B, D)
    hidden = (~known).float()
    return (losses * hidden).sum(1) / hidden.sum(1)


def near_codes(codec: Codec, smoothing: float) -> Tensor | None:
    """(codes, codes): how right each is where a code is, by a normal kernel over ranks; a value of
    its own is right alone."""
    if not smoothing or not isinstance(codec, NumberCodec):
        return None
    is_interval = codec.curves[:, 0] < codec.curves[:, -1]
    apart = (codec.ranks[:, None] - codec.ranks) / smoothing
    weights = np.exp(-0.5 * apart**2) * is_interval
    found = np.eye(codec.size)
    rows = np.flatnonzero(is_interval)
    found[rows, :-1] = weights[rows] / weights[rows].sum(1, keepdims=True)
    return torch.tensor(found, dtype=torch.float32)
