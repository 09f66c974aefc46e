"""The network of `diffusion.py`, and how it learns.

Shapes: B records, D columns, K codes of all columns together, S long states, H wide network.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from rag_pipeline.synthetic.errors import SyntheticError
from rag_pipeline.synthetic.learning import device_of
from rag_pipeline.synthetic.tables.categorical import (
    Logits,
    check_settings,
    firsts,
    nats,
    residual,
)
from rag_pipeline.synthetic.tables.coding import Codec
from rag_pipeline.training.task import sliced

_CORNERS = 64
"""Places of a column of names; more names than that have random corners in so many."""
_FREQUENCIES = 6
_AT_ONCE = 0.5
"""Of the records of which columns are given, so many are seen at t = 0."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """How large the network is, for how long it learns, and in how many steps it draws."""

    width: int = 256
    depth: int = 3
    given: float = 0.5
    """The share of records of which some columns are given while it learns."""
    flow_steps: int = 8
    """Each of two looks at the network."""
    until: float = 0.8
    """Where on the way from noise the codes are drawn."""
    turns: int = 4
    """In which they are drawn there."""
    steps: int = 4_000
    batch_size: int = 256
    learning_rate: float = 2e-3

    def __post_init__(self) -> None:
        """Raise `SyntheticError` for settings that nothing can be drawn with."""
        check_settings(self, counts=("width", "depth", "flow_steps", "turns"), shares=("until",))
        if not 0 <= self.given <= 1:
            raise SyntheticError(f"given is {self.given}: give a share from 0 to 1")


class Network(nn.Module):
    """Which codes a record has, predicted from what lies between it and noise."""

    points: Tensor
    """(K, S): where each code is, in the places of its column; 0 in all others."""
    first: Tensor
    """(D,): where the codes of each column begin among all K."""
    column: Tensor
    """(S,): to which column each place belongs."""
    frequencies: Tensor

    def __init__(self, codecs: Sequence[Codec], settings: Settings) -> None:
        super().__init__()
        self.sizes = [codec.size for codec in codecs]
        points = [_points(codec) for codec in codecs]
        widths = torch.tensor([one.shape[1] for one in points])
        columns = torch.arange(len(codecs)).repeat_interleave(widths)
        joined: Tensor = torch.block_diag(*points)  # type: ignore[no-untyped-call]
        self.register_buffer("points", joined, persistent=False)
        self.register_buffer("first", firsts(codecs), persistent=False)
        self.register_buffer("column", columns, persistent=False)
        self.register_buffer(
            "frequencies", 2.0 ** torch.arange(-1, _FREQUENCIES - 1), persistent=False
        )
        self.read = nn.Linear(2 * len(columns) + len(codecs) + 2 * _FREQUENCIES, settings.width)
        self.blocks = nn.ModuleList(residual(settings.width) for _ in range(settings.depth))
        self.times = nn.ModuleList(
            nn.Linear(2 * _FREQUENCIES, settings.width) for _ in range(settings.depth)
        )
        self.norm = nn.LayerNorm(settings.width)
        self.write = nn.Linear(settings.width, sum(self.sizes))

    def forward(self, states: Tensor, known: Tensor, times: Tensor) -> Logits:
        """Logits of all columns for `states` (B, S), whose columns that are `known` (B, D) hold
        their points, at `times` (B, 1).

        What says nothing isn't seen: states count by how much of a record is in them. What is known
        is read by weights of its own: those for noise would hardly believe it.
        """
        is_given = known[:, self.column]
        given = torch.where(is_given, states, 0.0)
        spread = (times.square() + (1 - times).square()).sqrt()
        seen = torch.where(is_given, 0.0, states * times / spread)
        phases = torch.pi * times * self.frequencies
        time = torch.cat([phases.sin(), phases.cos()], dim=1)
        state = self.read(torch.cat([given, seen, known.float(), time], dim=1))
        for block, shift in zip(self.blocks, self.times, strict=True):
            state = state + block(state + shift(time))
        return self.write(self.norm(state)).split(self.sizes, dim=1)  # type: ignore[no-any-return]

    def placed(self, codes: Tensor) -> Tensor:
        """(B, S): the points of codes (B, D), one after the other."""
        return functional.embedding_bag(codes + self.first, self.points, mode="sum")


def _points(codec: Codec) -> Tensor:
    """(codes, places): a number's deviate, and whether it is missing; or a corner for each name."""
    positions = torch.from_numpy(codec.positions).float()
    if not positions.isnan().all():
        return torch.stack([positions.nan_to_num(0.0), positions.isnan().float()], dim=1)
    if codec.size <= _CORNERS:
        return torch.eye(codec.size)
    chance = torch.Generator().manual_seed(codec.size)
    drawn = torch.randn(codec.size, _CORNERS, generator=chance)
    return drawn.mul(_CORNERS**-0.5)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Learning:
    """The task that `rag_pipeline.training.loop` trains."""

    model: Network
    learnt: Tensor
    """int64 (n, D): codes that are learnt from."""
    held_back: Tensor
    """int64 (m, D): codes that are validated on."""
    given: float

    @property
    def examples(self) -> int:
        return len(self.learnt)

    def batches(self, order: Sequence[int], size: int) -> list[list[int]]:
        return sliced(order, size)

    def loss(self, rows: Sequence[int]) -> Tensor:
        """Eq. 2 a column (scalar)."""
        return self._nats(self.learnt[list(rows)], None)

    def validate(self) -> float:
        """Minus the same of what was held back, with the same chance each time."""
        return -self._nats(self.held_back, torch.Generator().manual_seed(0)).item()

    def _nats(self, codes: Tensor, chance: torch.Generator | None) -> Tensor:
        """The times of a batch are spread evenly, which makes its mean less random."""
        device, records = device_of(self.model), len(codes)
        within = torch.rand(records, 1, generator=chance)
        times = ((torch.arange(records)[:, None] + within) / records).to(device)
        known = some_known(codes.shape, self.given, chance).to(device)
        at_once = (torch.rand(records, 1, generator=chance) < _AT_ONCE).to(device)
        times = torch.where(known.any(1, keepdim=True) & at_once, 0.0, times)
        noise = torch.randn(records, len(self.model.column), generator=chance).to(device)
        codes = codes.to(device)
        ends = self.model.placed(codes)
        way = times * ends + (1 - times) * noise  # eq. 1
        states = torch.where(known[:, self.model.column], ends, way)
        losses = nats(self.model(states, known, times), codes)
        return (losses * ~known).sum(1).mean() / codes.shape[1]


def some_known(shape: torch.Size, given: float, chance: torch.Generator | None) -> Tensor:
    """(B, D): of the share `given` of records a random number of random columns, never all."""
    records, columns = shape
    count = torch.randint(0, columns, (records, 1), generator=chance)
    count = count * (torch.rand(records, 1, generator=chance) < given)
    return torch.rand(records, columns, generator=chance).argsort(1).argsort(1) < count
