"""Diffusion over the columns of a table, as variational flow matching.

Each code of a column is a point: of a number, where it stands among all as a normal deviate; of a
name, a corner of its own. A record's points x₁, one after the other, and noise x₀ ~ N(0, I) are the
ends of a straight way,

    x_t = t x₁ + (1 - t) x₀,    0 ≤ t ≤ 1,                                                  (eq. 1)

and noise becomes records along dx/dt = (E[x₁ | x_t] - x_t) / (1 - t) (Lipman et al., ICLR 2023,
arXiv:2210.02747; with Gaussian noise it is a diffusion drawn without noise, Song et al., ICLR 2021,
arXiv:2010.02502). A network says of each column which code the record has,

    L = -E_{t, x₀, x₁} Σ_d log q_d(x₁ | x_t, t),                                            (eq. 2)

and the mean of its points is E[x₁ | x_t]; nothing is lost by each column being told by itself, as
only that mean is needed (Eijkelboom et al., NeurIPS 2024, arXiv:2406.04843). The way is followed by
Heun's method (Karras et al., NeurIPS 2022, arXiv:2206.00364, alg. 1).

Some columns of some records are given as they are while it learns, which has three uses. Others are
drawn, or filled in, given them. The way needn't be followed to its end, where small steps cost most
and errors of the mean add up to names that are too frequent: at some t < 1 the codes are drawn of q
in a few turns, each given the codes before. And at t = 0, where x_t says nothing, q_d is what is
known of a column from those given alone: so the columns that conditions hold for are drawn first,
one after the other.

Shapes: B records, D columns, S long states.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, ClassVar, Self

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from rag_pipeline.synthetic.generator import Fitting
from rag_pipeline.synthetic.learning import divided, drawn_by, taught
from rag_pipeline.synthetic.tables.categorical import (
    Logits,
    allowances,
    bounded,
    code_drawn,
    decoded,
    drawn,
    nats_in_orders,
)
from rag_pipeline.synthetic.tables.coding import (
    Arrays,
    Codec,
    Wanted,
    arrays_of,
    kinds_of,
    restored,
)
from rag_pipeline.synthetic.tables.columns import (
    Block,
    blocks,
    codes_of,
    drawn_table,
    filled_in,
    learnt_codecs,
    schema_of,
    wanted_shares,
)
from rag_pipeline.synthetic.tables.diffusion_network import Learning, Network, Settings
from rag_pipeline.synthetic.tables.table import Schema, Table
from rag_pipeline.synthetic.weights import loaded, weights_of
from rag_pipeline.training.loop import Trained

__all__ = ["Diffusion", "Settings"]

_SWEEPS = 4
"""How often columns that several conditions hold for are drawn again, given the others."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Diffusion:
    """Draws records like those that it has learnt, and fills in what is missing."""

    method: ClassVar[str] = "table/diffusion"

    schema: Schema
    codecs: Mapping[str, Codec]
    """By the name of each column that is learnt: keys and texts are not."""
    network: Network
    settings: Settings

    @classmethod
    def fit(
        cls, table: Table, settings: Settings | None = None, fitting: Fitting | None = None
    ) -> tuple[Self, Trained]:
        """Learn a table of 100 records or more. The same arguments give the same weights.

        Raises `SyntheticError`, `TrainingError`.
        """
        fitting, codecs = fitting or Fitting(), learnt_codecs(table)
        columns = [*codecs.values()]
        settings = bounded(settings or Settings(), lambda at: Network(columns, at), len(columns))
        codes = torch.from_numpy(codes_of(codecs, table))
        learnt, held_back = divided(len(table), fitting.seed)
        with drawn_by(fitting.seed):
            network = Network(columns, settings)
        task = Learning(
            model=network, learnt=codes[learnt], held_back=codes[held_back], given=settings.given
        )
        trained = taught(task, settings, fitting)
        return cls(schema=table.schema, codecs=codecs, network=network, settings=settings), trained

    def sample(self, count: int, *, seed: int = 0) -> Table:
        """That many records. The same seed gives the same ones."""
        return self.sample_conditionally(count, {}, seed=seed)

    @torch.no_grad()
    def sample_conditionally(
        self, count: int, where: Mapping[str, Wanted], *, seed: int = 0
    ) -> Table:
        """That many records, all of which fulfil `where`: conditions on any of the columns.

        Raises `SyntheticError` for a column that was not learnt, and for what no record can be.
        """
        shares = wanted_shares(self.schema, self.codecs, where)
        allowed = allowances(self.codecs, shares)
        codes = torch.cat([self._block(one, [*shares], allowed) for one in blocks(count, seed)])
        values = decoded(self.codecs, codes, where, np.random.default_rng(seed))
        return drawn_table(self.schema, values, count, seed=seed)

    @torch.no_grad()
    def impute(self, table: Table, *, seed: int = 0) -> Table:
        """The same records, with a value drawn for each that is missing, given the others.

        A column that was learnt without any value stays as it is. Raises `SyntheticError` for a
        table that lacks a column.
        """
        codes = torch.from_numpy(codes_of(self.codecs, table))
        is_missing = codes == torch.tensor(self.network.sizes) - 1
        allowed = allowances(self.codecs, {})
        for of_column in allowed:
            if of_column[:-1].isfinite().any():
                of_column[-1] = -torch.inf
        for block in blocks(len(table), seed):
            of_block = is_missing[block.first : block.first + block.size]
            rows = of_block.any(1).nonzero()[:, 0] + block.first
            chance = torch.Generator().manual_seed(block.seed)
            codes[rows] = self._followed(codes[rows], ~is_missing[rows], allowed, chance)
        return filled_in(table, self.codecs, codes.numpy(), is_missing.numpy(), seed)

    @torch.no_grad()
    def score_anomalies(self, table: Table) -> npt.NDArray[np.float64]:
        """(records,): how many nats each record takes to say, a column after the other at t = 0,
        the mean over a few orders that are the same for each record: the more, the stranger."""
        codes = torch.from_numpy(codes_of(self.codecs, table))
        return nats_in_orders(codes, self._said).numpy()

    def _block(self, block: Block, asked: list[int], allowed: Logits) -> Tensor:
        """(B, D): codes, those of the columns `asked` first."""
        chance = torch.Generator().manual_seed(block.seed)
        codes = torch.zeros(block.size, len(self.codecs), dtype=torch.int64)
        known = torch.zeros(codes.shape, dtype=torch.bool)
        for column in asked * (1 + _SWEEPS if len(asked) > 1 else 1):
            known[:, column] = False
            logits = self._said(column, codes, known) + allowed[column]
            codes[:, column] = code_drawn(logits, chance)
            known[:, column] = True
        return self._followed(codes, known, allowed, chance)

    def _said(self, column: int, codes: Tensor, known: Tensor) -> Tensor:
        """What is known of a column from those given, at t = 0; the states of others are not seen
        there."""
        times = torch.zeros(len(codes), 1)
        said: Logits = self.network(self.network.placed(codes), known, times)
        return said[column]

    def _followed(
        self, codes: Tensor, known: Tensor, allowed: Logits, chance: torch.Generator
    ) -> Tensor:
        """(B, D): the codes that are known, and others drawn along the way."""
        is_given = known[:, self.network.column]
        states = torch.randn(is_given.shape, generator=chance)
        states = torch.where(is_given, self.network.placed(codes), states)
        step = self.settings.until / self.settings.flow_steps
        for number in range(self.settings.flow_steps):
            pace = self._pace(states, known, allowed, number * step)
            ahead = states + step * torch.where(is_given, 0.0, pace)
            pace = (pace + self._pace(ahead, known, allowed, (number + 1) * step)) / 2
            states = states + step * torch.where(is_given, 0.0, pace)
        return self._drawn(states, codes, known, allowed, chance)

    def _drawn(
        self, states: Tensor, codes: Tensor, known: Tensor, allowed: Logits, chance: torch.Generator
    ) -> Tensor:
        """(B, D): a code for each column that is not known, in turns."""
        times = torch.full((len(codes), 1), self.settings.until)
        for columns in torch.randperm(codes.shape[1], generator=chance).chunk(self.settings.turns):
            logits = self.network(states, known, times)
            among = columns.tolist()
            found = drawn(
                tuple(logits[at] for at in among), tuple(allowed[at] for at in among), chance
            )
            codes, known = codes.clone(), known.clone()
            codes[:, columns] = torch.where(known[:, columns], codes[:, columns], found)
            known[:, columns] = True
            is_given = known[:, self.network.column]
            states = torch.where(is_given, self.network.placed(codes), states)
        return codes

    def _pace(self, states: Tensor, known: Tensor, allowed: Logits, time: float) -> Tensor:
        """(B, S): dx/dt."""
        logits = self.network(states, known, torch.full((len(states), 1), time))
        shares = [(one + may).softmax(1) for one, may in zip(logits, allowed, strict=True)]
        return (torch.cat(shares, dim=1) @ self.network.points - states) / (1 - time)

    def about(self) -> dict[str, Any]:
        return {
            "schema": self.schema.as_json(),
            "settings": asdict(self.settings),
            "codecs": kinds_of(self.codecs),
        }

    def arrays(self) -> Arrays:
        return {**weights_of(self.network), **arrays_of(self.codecs)}

    @classmethod
    def restored(cls, about: Mapping[str, Any], arrays: Arrays) -> Self:
        settings, codecs = Settings(**about["settings"]), restored(about["codecs"], arrays)
        network = Network([*codecs.values()], settings)
        schema = schema_of(about, codecs)
        return cls(schema=schema, codecs=codecs, network=loaded(network, arrays), settings=settings)
