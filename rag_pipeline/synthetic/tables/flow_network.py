"""The two networks of the flow: one for classes, one for the deviates given all classes.

Shapes: B records, D columns, V columns with a deviate, C classes of all columns together, H wide.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from rag_pipeline.synthetic.tables.categorical import nats
from rag_pipeline.synthetic.tables.dequantising import SplitColumn
from rag_pipeline.synthetic.tables.splines import bent, parameters

_HALF_LOG_TAU = 0.9189385332046727
"""Half the logarithm of 2π."""
_MOST_WEIGHTS = 600_000
"""That classes have in a table of embeddings, or in what is written for them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """What is known of each record."""

    classes: Tensor
    """bool (B, D)"""
    deviates: Tensor
    """bool (B, V): only where the class says that there is one."""

    @classmethod
    def nothing(cls, records: int, columns: int, numbers: int) -> "Known":
        return cls(
            classes=torch.zeros(records, columns, dtype=torch.bool),
            deviates=torch.zeros(records, numbers, dtype=torch.bool),
        )


class Embedded(nn.Module):
    """Classes as vectors, those that are hidden too."""

    first: Tensor
    """(D,): where each column begins among all embeddings."""
    hidden: Tensor
    """(D,): what stands for a class that is not known."""

    def __init__(self, sizes: Sequence[int], width: int) -> None:
        super().__init__()
        total = sum(sizes) + len(sizes)
        self.width = max(1, min(width, _MOST_WEIGHTS // total))
        self.table = nn.Embedding(total, self.width)
        nn.init.normal_(self.table.weight, std=0.5)
        firsts = torch.tensor([0, *(size + 1 for size in sizes[:-1])]).cumsum(0)
        self.register_buffer("first", firsts, persistent=False)
        self.register_buffer("hidden", torch.tensor([*sizes]), persistent=False)

    def forward(self, classes: Tensor, known: Tensor) -> Tensor:
        """(B, D * width), of `classes` and `known` (B, D)."""
        at = torch.where(known, classes, self.hidden) + self.first
        return self.table(at).flatten(1)  # type: ignore[no-any-return]


class ClassNetwork(nn.Module):
    """log p(class of a hidden column | what is known): a residual network."""

    def __init__(self, columns: Sequence[SplitColumn], width: int, depth: int) -> None:
        super().__init__()
        self.sizes = [column.size for column in columns]
        numbers, total = sum(column.has_deviate for column in columns), sum(self.sizes)
        self.embedded = Embedded(self.sizes, 16)
        self.read = nn.Linear(len(columns) * self.embedded.width + 2 * numbers, width)
        self.blocks = nn.ModuleList(_block(width) for _ in range(depth))
        self.norm = nn.LayerNorm(width)
        self.narrow = nn.Linear(width, max(1, min(width, _MOST_WEIGHTS // total)))
        self.write = nn.Linear(self.narrow.out_features, total)
        seen = torch.cat([torch.tensor(column.class_counts) for column in columns])
        nn.init.normal_(self.write.weight, std=0.02)
        with torch.no_grad():
            self.write.bias.copy_((seen + 0.1).log())

    def forward(self, classes: Tensor, values: Tensor, known: Known) -> tuple[Tensor, ...]:
        """Logits of each column, (B, its classes); `classes` (B, D), `values` (B, V)."""
        shown = known.deviates.float()
        read = torch.cat(
            [self.embedded(classes, known.classes), values * shown, shown], dim=1
        )  # (B, D E + 2 V)
        state = self.read(read)
        for block in self.blocks:
            state = state + block(state)
        return self.write(self.narrow(self.norm(state))).split(self.sizes, dim=1)  # type: ignore[no-any-return]


class SplineFlow(nn.Module):
    """Deviates made noise, N(0, 1), by coupling layers of splines, given all classes.

    A layer bends the hidden deviates of one half of the columns, by splines that follow from the
    other half and from all deviates that are known, which no layer touches: so the same network
    gives p(hidden | known) for any part of them (after Durkan et al., section 3.2, and, for the
    masks, Li, Akbar and Oliva, ICML 2020, "ACFlow"), and with nothing known the whole density.
    """

    turns: Tensor
    """bool (layers, V): what each layer may bend."""

    def __init__(
        self, sizes: Sequence[int], numbers: int, *, layers: int, bins: int, width: int
    ) -> None:
        super().__init__()
        self._each = parameters(bins)
        self.embedded = Embedded(sizes, 8)
        self.context = nn.Linear(len(sizes) * self.embedded.width, width)
        turns = _halves(layers, numbers)
        self.register_buffer("turns", turns, persistent=False)
        self._bent = [turn.nonzero()[:, 0].tolist() for turn in turns]
        self.reads = nn.ModuleList(nn.Linear(4 * numbers, width) for _ in range(layers))
        self.middles = nn.ModuleList(_block(width) for _ in range(layers))
        self.writes = nn.ModuleList(
            nn.Linear(width, len(bent_ones) * self._each) for bent_ones in self._bent
        )
        for weights in self.writes.parameters():
            nn.init.zeros_(weights)

    def given(self, classes: Tensor) -> Tensor:
        """(B, H): what all layers are told of the classes (B, D)."""
        known = torch.ones_like(classes, dtype=torch.bool)
        return self.context(self.embedded(classes, known))  # type: ignore[no-any-return]

    def forward(self, values: Tensor, context: Tensor, hidden: Tensor, known: Tensor) -> "Bent":
        """The noise that `values` (B, V) are made; `hidden` and `known` (B, V) say which are to be
        bent, and which may be looked at."""
        log_slopes = values.new_zeros(len(values))
        for layer in range(len(self._bent)):
            values, found = self._layer(layer, values, context, hidden, known, inverse=False)
            log_slopes = log_slopes + found
        return Bent(values=values, log_slope=log_slopes)

    def back(self, noise: Tensor, context: Tensor, hidden: Tensor, known: Tensor) -> Tensor:
        """(B, V): what `forward` made `noise` of."""
        for layer in reversed(range(len(self._bent))):
            noise, _ = self._layer(layer, noise, context, hidden, known, inverse=True)
        return noise

    def nats(self, values: Tensor, context: Tensor, hidden: Tensor, known: Tensor) -> Tensor:
        """(B,): -log p(hidden values | known ones, classes), by the change of variables."""
        found = self(values, context, hidden, known)
        noise = (found.values**2 / 2 + _HALF_LOG_TAU) * hidden.float()
        return noise.sum(1) - found.log_slope  # type: ignore[no-any-return]

    def _layer(
        self,
        layer: int,
        values: Tensor,
        context: Tensor,
        hidden: Tensor,
        known: Tensor,
        *,
        inverse: bool,
    ) -> tuple[Tensor, Tensor]:
        """`values` with the layer's half bent, and the log of its slopes, (B,)."""
        at = self._bent[layer]
        is_bent = hidden & self.turns[layer]
        is_seen = (hidden | known) & ~is_bent
        seen = is_seen.float()
        read = torch.cat([values * seen, seen, known.float(), is_bent.float()], dim=1)
        state = context + self.reads[layer](read)
        state = state + self.middles[layer](state)
        raw = self.writes[layer](state).unflatten(1, (len(at), self._each))
        found, log_slopes = bent(values[:, at], raw, inverse=inverse)
        changed = values.clone()
        changed[:, at] = torch.where(is_bent[:, at], found, values[:, at])
        return changed, (log_slopes * is_bent[:, at].float()).sum(1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Bent:
    """Values (B, V) after all layers, and the log of the slope there (B,)."""

    values: Tensor
    log_slope: Tensor


class FlowNetwork(nn.Module):
    """Both networks."""

    deviate_of: Tensor
    """(V,): which columns have a deviate."""
    last: Tensor
    """(V,): the class of each that says so."""

    def __init__(
        self, columns: Sequence[SplitColumn], *, width: int, depth: int, layers: int, bins: int
    ) -> None:
        super().__init__()
        at = [number for number, column in enumerate(columns) if column.has_deviate]
        last = [columns[number].size - 1 for number in at]
        self.register_buffer("deviate_of", torch.tensor(at, dtype=torch.int64), persistent=False)
        self.register_buffer("last", torch.tensor(last, dtype=torch.int64), persistent=False)
        self.classes = ClassNetwork(columns, width, depth)
        sizes = [column.size for column in columns]
        self.flow = (
            SplineFlow(sizes, len(at), layers=layers, bins=bins, width=width) if at else None
        )

    @property
    def numbers(self) -> int:
        return len(self.deviate_of)

    def has_deviate(self, classes: Tensor) -> Tensor:
        """bool (B, V), for `classes` (B, D)."""
        return classes[:, self.deviate_of] == self.last

    def class_nats(self, classes: Tensor, values: Tensor, known: Known) -> Tensor:
        """(B,): the mean over hidden columns of -log p(class | known)."""
        losses = nats(self.classes(classes, values, known), classes)
        hidden = (~known.classes).float()
        return (losses * hidden).sum(1) / hidden.sum(1)

    def deviate_nats(self, classes: Tensor, values: Tensor, known: Tensor) -> Tensor:
        """(B,): -log p(deviates that are not known | those that are, all classes)."""
        if self.flow is None:
            return values.new_zeros(len(classes))
        there = self.has_deviate(classes)
        context = self.flow.given(classes)
        return self.flow.nats(values, context, there & ~known, there & known)


def _block(width: int) -> nn.Module:
    return nn.Sequential(
        nn.LayerNorm(width), nn.Linear(width, width), nn.SiLU(), nn.Linear(width, width)
    )


def _halves(layers: int, numbers: int) -> Tensor:
    """bool (layers, V): by turns one half of the columns and the other; all of them, if it is one.

    Drawn from a fixed seed, so that they need not be stored.
    """
    return torch.stack([*_drawn_halves(layers, numbers)])


def _drawn_halves(layers: int, numbers: int) -> Iterator[Tensor]:
    chance = torch.Generator().manual_seed(0)
    half = torch.ones(numbers, dtype=torch.bool)
    for layer in range(layers):
        if numbers > 1:
            is_new = layer % 2 == 0
            half = torch.randperm(numbers, generator=chance) < numbers // 2 if is_new else ~half
        yield half
