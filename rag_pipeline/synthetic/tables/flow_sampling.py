"""Records drawn from the flow, also under conditions on any columns.

The columns that something is asked of come first, each given those before it, a deviate among them
from N(0, 1) within its limits; the others follow, classes one after the other and all deviates at
once. For one such column that is exact, as far as the network is. Where there are more, all are
drawn again a few times, each given all the others within its limits, which is exact as one spline
after the other rises: Gibbs sampling (Geman and Geman, 1984), whose chain is cut short.

Shapes: B records, D columns, V columns with a deviate.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from rag_pipeline.synthetic.tables.categorical import code_drawn
from rag_pipeline.synthetic.tables.dequantising import Limits
from rag_pipeline.synthetic.tables.flow_network import FlowNetwork, Known

_SWEEPS = 3
_FARTHEST = 8.0
"""Normal deviates that are not drawn, in float64, in the lifetime of a computer."""


@torch.no_grad()
def drawn(
    network: FlowNetwork,
    limits: Sequence[Limits],
    asked: Sequence[int],
    count: int,
    chance: torch.Generator,
) -> tuple[Tensor, Tensor]:
    """Classes (B, D) and deviates (B, V) of `count` records; `asked` are the columns that come
    first, `limits` those of all columns."""
    under_way = _Drawing(network, limits, count, chance)
    order = torch.randperm(len(limits), generator=chance).tolist()
    first = [column for column in order if column in asked]
    rest = [column for column in order if column not in asked]
    for column in first:
        under_way.begin(column)
    under_way.complete(rest)
    for _ in range(_SWEEPS if len(first) > 1 else 0):
        for column in first:
            under_way.renew(column)
        under_way.complete(rest)
    return under_way.classes, under_way.values


class _Drawing:
    """Records of which some columns are known so far."""

    def __init__(
        self, network: FlowNetwork, limits: Sequence[Limits], count: int, chance: torch.Generator
    ) -> None:
        self._network, self._chance = network, chance
        self._allowed = [torch.tensor(one.classes).log().float() for one in limits]
        self._ends = [(max(one.low, -_FARTHEST), min(one.high, _FARTHEST)) for one in limits]
        self._place = {int(at): place for place, at in enumerate(network.deviate_of)}
        self.classes = torch.zeros(count, len(limits), dtype=torch.int64)
        self.values = torch.zeros(count, network.numbers)
        self._known = Known.nothing(count, len(limits), network.numbers)

    def begin(self, column: int) -> None:
        """Draw a column given those that are known, and know it."""
        self._draw_class(column, self._allowed[column])
        if column in self._place:
            place, (low, high) = self._place[column], self._ends[column]
            ends = torch.tensor([[low, high]]).expand(len(self.values), 2)
            self._put(column, self._between(ends))
            self._known.deviates[:, place] = self._network.has_deviate(self.classes)[:, place]

    def complete(self, rest: Sequence[int]) -> None:
        """Draw these columns given all the others."""
        places = [self._place[column] for column in rest if column in self._place]
        self._known.classes[:, [*rest]] = False
        self._known.deviates[:, places] = False
        for column in rest:
            self._draw_class(column, self._allowed[column])
        flow = self._network.flow
        if flow is None:
            return
        there = self._network.has_deviate(self.classes)
        known = self._known.deviates & there
        noise = torch.randn(self.values.shape, generator=self._chance)
        noise = torch.where(known, self.values, noise)
        context = flow.given(self.classes)
        self.values = flow.back(noise, context, there & ~known, known)
        self._known.deviates[:] = there

    def renew(self, column: int) -> None:
        """Draw a column given all others."""
        place, flow = self._place.get(column), self._network.flow
        self._known.classes[:, column] = False
        if place is None or flow is None:
            self._draw_class(column, self._allowed[column])
            return
        hidden, known, context = self._alone(column, place)
        ends = self._noise_ends(column, place, hidden, known, context)
        mass = _ranks(ends).diff(dim=1)[:, 0].clamp(min=1e-30).log().float()
        allowed = self._allowed[column].repeat(len(mass), 1)
        allowed[:, -1] = torch.where(allowed[:, -1].isneginf(), allowed[:, -1], mass)
        self._known.deviates[:, place] = False
        self._draw_class(column, allowed)
        noise = self.values.clone()
        noise[:, place] = self._between(ends)
        back = flow.back(noise, context, hidden, known)[:, place]
        self._put(column, back)
        self._known.deviates[:, place] = self._network.has_deviate(self.classes)[:, place]

    def _alone(self, column: int, place: int) -> tuple[Tensor, Tensor, Tensor]:
        """What is hidden and known (B, V), and the context (B, H), were that column's deviate the
        only one that is not known."""
        assert self._network.flow is not None
        classes = self.classes.clone()
        classes[:, column] = self._network.last[place]
        there = self._network.has_deviate(classes)
        hidden = torch.zeros_like(there)
        hidden[:, place] = True
        return hidden, there & ~hidden, self._network.flow.given(classes)

    def _noise_ends(
        self, column: int, place: int, hidden: Tensor, known: Tensor, context: Tensor
    ) -> Tensor:
        """(B, 2): which noise becomes the ends of what the column may be."""
        assert self._network.flow is not None
        ends = []
        for end in self._ends[column]:
            values = self.values.clone()
            values[:, place] = end
            ends.append(self._network.flow(values, context, hidden, known).values[:, place])
        return torch.stack(ends, dim=1)

    def _draw_class(self, column: int, allowed: Tensor) -> None:
        logits = self._network.classes(self.classes, self.values, self._known)[column] + allowed
        self.classes[:, column] = code_drawn(logits, self._chance)
        self._known.classes[:, column] = True

    def _put(self, column: int, values: Tensor) -> None:
        low, high = self._ends[column]
        self.values[:, self._place[column]] = values.clamp(low, high)

    def _between(self, ends: Tensor) -> Tensor:
        """(B,): normal deviates between `ends` (B, 2)."""
        ranks = _ranks(ends)
        share = torch.rand(len(ends), generator=self._chance, dtype=torch.float64)
        found = torch.special.ndtri(ranks[:, 0] + share * (ranks[:, 1] - ranks[:, 0]))
        within: Tensor = found.clamp(ends[:, 0].double(), ends[:, 1].double()).float()
        return within


def _ranks(deviates: Tensor) -> Tensor:
    ranks: Tensor = torch.special.ndtr(deviates.double())
    return ranks
