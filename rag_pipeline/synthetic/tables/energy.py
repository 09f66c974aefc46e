"""An energy-based model of the records of a table, drawn by annealed Langevin dynamics.

A network gives each vector x, at each level of noise σ, an energy E(x, σ), and with it a density
p_σ(x) ∝ exp(-E(x, σ)) of records with noise upon them. It learns by denoising score matching
(Vincent, Neural Computation 23(7), 2011; Song and Ermon, NeurIPS 2019, arXiv:1907.05600, eq. 5-6):

    L = E_{x, σ, z} |σ ∇E(x + σ z, σ) - z|²,    z ~ N(0, I),                                (eq. 1)

in which no sum over all records is needed, as the gradient does not know it. Here

    E(x, σ) = |x|² / 2(σ² + s²) + ⟨u, F(u, σ)⟩ / (σ c),    u = c x,  c = (σ² + s²)^(-1/2),   (eq. 2)

a Gaussian of the records' own spread s and what a network F adds to it (the inner product is that
of Du et al., ICML 2023, arXiv:2302.11552, sec. 4; Salimans and Ho, 2021, compare such forms).
Records are drawn from the most noise to the least, at each level by a step of its reversal and one
of Langevin (Du and Mordatch, NeurIPS 2019, arXiv:1903.08689; Song et al., ICLR 2021,
arXiv:2011.13456, alg. 2):

    x ← x - (σ² - σ'²) ∇E + σ' (1 - σ'²/σ²)^½ z,    then    x ← x - ε/2 ∇E + ε^½ z.          (eq. 3)

Shapes: B records, W wide vectors (`encoding.py`), H wide network.
"""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from itertools import pairwise
from typing import Any, ClassVar, Self

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from rag_pipeline.synthetic.errors import SyntheticError
from rag_pipeline.synthetic.generator import Fitting
from rag_pipeline.synthetic.learning import divided, drawn_by, taught
from rag_pipeline.synthetic.tables.categorical import bounded
from rag_pipeline.synthetic.tables.coding import Arrays, NumberCodec, Shares, Wanted
from rag_pipeline.synthetic.tables.columns import (
    FEWEST_RECORDS,
    block_seed,
    blocks,
    drawn_table,
    joined,
    schema_of,
    wanted_shares,
)
from rag_pipeline.synthetic.tables.conditions import fulfilling
from rag_pipeline.synthetic.tables.encoding import Encoding
from rag_pipeline.synthetic.tables.energy_network import LEAST, MOST, Learning, Network, Settings
from rag_pipeline.synthetic.tables.table import Schema, Table, Values
from rag_pipeline.synthetic.weights import loaded, weights_of
from rag_pipeline.training.loop import Trained

__all__ = ["Energy", "Settings"]

_MOST_NUMBERS = 100_000_000
"""400 MB: of records with more numbers in all, some are left out."""
_CHOICE = 0.8
"""How far the places of a choice go. Nearer, names are told apart only by little noise, as numbers
are (measured on Adult: .8 gives shapes 4.1 % off in 60 CPU s, 1.5 gives 5.6 %, 3 gives 7.8 %)."""
_LANGEVIN = 0.1
"""The step ε, in units of σ²."""
_ROUNDS = 5
"""Steps of Langevin at each level where something is held, which the rest has to follow."""
_POOL = 1_000
"""Records that are drawn freely to find what is asked for among them."""
_FEWEST_FOUND = 10
_RENEWED = 0.5
"""Noise that all else of what is found is drawn anew from."""
_SCORED_AT = (0.2, 0.5, 1.0)
"""Noise at which the energies of a record are summed."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Energy:
    """Draws records like those that it has learnt, and says how much energy each has."""

    method: ClassVar[str] = "table/energy"

    schema: Schema
    encoding: Encoding
    centre: Tensor
    """float32 (W,): the mean of the vectors."""
    network: Network
    settings: Settings

    @classmethod
    def fit(
        cls, table: Table, settings: Settings | None = None, fitting: Fitting | None = None
    ) -> tuple[Self, Trained]:
        """Learn a table of 100 records or more. The same arguments give the same weights.

        Raises `SyntheticError`, `TrainingError`.
        """
        settings, fitting = settings or Settings(), fitting or Fitting()
        encoding = Encoding.learnt(table)
        if not encoding.width:
            raise SyntheticError("each column holds one value alone: there is nothing to learn")
        settings = bounded(
            settings, lambda at: Network(encoding.width, at, 1.0), len(encoding.codecs)
        )
        learnt, held_back = divided(len(table), fitting.seed)
        most = max(_MOST_NUMBERS // encoding.width, FEWEST_RECORDS)
        vectors = _placed(encoding, table.rows(learnt[:most]), fitting.seed)
        others = _placed(encoding, table.rows(held_back[:most]), fitting.seed)
        centre = vectors.mean(0)
        with drawn_by(fitting.seed):
            spread = float((vectors - centre).square().mean().sqrt())
            network = Network(encoding.width, settings, spread)
        task = Learning(model=network, learnt=vectors - centre, held_back=others - centre)
        trained = taught(task, settings, fitting)
        model = cls(
            schema=table.schema,
            encoding=encoding,
            centre=centre,
            network=network,
            settings=settings,
        )
        return model, trained

    def sample(self, count: int, *, seed: int = 0) -> Table:
        """That many records. The same seed gives the same ones."""
        return self.sample_conditionally(count, {}, seed=seed)

    def sample_conditionally(
        self, count: int, where: Mapping[str, Wanted], *, seed: int = 0
    ) -> Table:
        """That many records, all of which fulfil `where`.

        Where some of those drawn freely fulfil it, they are taken, and all but what is asked for is
        drawn anew from a little noise. What is rarer is drawn column by column, as frequent as it
        is, and held while the rest is drawn around it: what depends on it then does so less than it
        should. Raises `SyntheticError` for a column that was not learnt, and for what no record can
        be.
        """
        shares = wanted_shares(self.schema, self.encoding.codecs, where)
        found = self._fulfilling(where, seed) if where else None
        parts = []
        for block in blocks(count, seed):
            chance = torch.Generator().manual_seed(block.seed)
            if found is not None:
                drawn = self._redrawn(block.size, found, where, chance)
            else:
                held = self._held(block.size, block.seed, where, shares)
                drawn = self._annealed(self._noise(block.size, chance), held, MOST, chance)
            parts.append(self.encoding.values(_unplaced(self.encoding, drawn + self.centre), where))
        return drawn_table(self.schema, joined(parts, self.encoding.codecs), count, seed=seed)

    def _fulfilling(self, where: Mapping[str, Wanted], seed: int) -> Tensor | None:
        """(m, W): of vectors drawn freely, those that fulfil `where`; None for too few."""
        chance = torch.Generator().manual_seed(block_seed(seed, -1))
        free = torch.full((_POOL, self.encoding.width), torch.nan)
        drawn = self._annealed(self._noise(_POOL, chance), free, MOST, chance)
        values = self.encoding.values(_unplaced(self.encoding, drawn + self.centre))
        table = drawn_table(self.schema, values, _POOL, seed=0)
        found = drawn[torch.from_numpy(fulfilling(table, where))]
        return found if len(found) >= _FEWEST_FOUND else None

    def _redrawn(
        self, count: int, found: Tensor, where: Mapping[str, Wanted], chance: torch.Generator
    ) -> Tensor:
        """(count, W): some of `found`, with all that is not asked for drawn anew around it."""
        chosen = found[torch.randint(len(found), (count,), generator=chance)]
        held = torch.full_like(chosen, torch.nan)
        for block in self.encoding.blocks:
            if block.column in where:
                held[:, block.places] = chosen[:, block.places]
        noise = torch.randn(chosen.shape, generator=chance)
        return self._annealed(chosen + _RENEWED * noise, held, _RENEWED, chance)

    def _noise(self, count: int, chance: torch.Generator) -> Tensor:
        spread: float = math.hypot(MOST, float(self.network.spread))
        return spread * torch.randn((count, self.encoding.width), generator=chance)

    def _annealed(
        self, state: Tensor, held: Tensor, most: float, chance: torch.Generator
    ) -> Tensor:
        """(B, W): eq. 3 from `state` (B, W) with the noise `most` on it; what is no NaN in `held`
        (B, W) is kept, with the noise of each level upon it."""
        ratio = (LEAST / MOST) ** (1 / (self.settings.levels - 1))
        sigmas = [MOST * ratio**number for number in range(self.settings.levels)]
        rounds = 1 if held.isnan().all() else _ROUNDS

        def noise() -> Tensor:
            return torch.randn(state.shape, generator=chance)

        for now, then in pairwise([most, *(sigma for sigma in sigmas if sigma < most)]):
            state = torch.where(held.isnan(), state, held + now * noise())
            fresh = then * (1 - (then / now) ** 2) ** 0.5 * noise()
            state = state - (now**2 - then**2) / now * self._pull(state, now) + fresh
            for _ in range(rounds):
                state = torch.where(held.isnan(), state, held + then * noise())
                moved = _LANGEVIN / 2 * then * self._pull(state, then)
                state = state - moved + _LANGEVIN**0.5 * then * noise()
        return torch.where(held.isnan(), state - LEAST * self._pull(state, LEAST), held)

    def _pull(self, state: Tensor, sigma: float) -> Tensor:
        return self.network.pull(state, torch.full((len(state), 1), sigma)).detach()

    def _held(
        self, count: int, seed: int, where: Mapping[str, Wanted], shares: Mapping[int, Shares]
    ) -> Tensor:
        """(B, W): the vectors of what is asked for, NaN elsewhere."""
        held = torch.full((count, self.encoding.width), torch.nan)
        if not where:
            return held
        chance = np.random.default_rng([abs(seed), 1])
        values: dict[str, Values] = {}
        for number, (name, codec) in enumerate(self.encoding.codecs.items()):
            weights = self._frequencies(name) * shares.get(number, codec.drawable)
            codes = chance.choice(codec.size, count, p=weights / weights.sum())
            values[name] = codec.decode(codes, chance, where.get(name))
        table = drawn_table(self.schema, values, count, seed=0)
        placed = _placed(self.encoding, table, seed) - self.centre
        for block in self.encoding.blocks:
            if block.column in where:
                held[:, block.places] = placed[:, block.places]
        return held

    def _frequencies(self, name: str) -> npt.NDArray[np.float64]:
        """(codes,): how frequent each is, as far as the centre and the ranks tell."""
        codec = self.encoding.codecs[name]
        if isinstance(codec, NumberCodec):
            below, found = 0.0, []
            for middle in codec.ranks.tolist():
                found.append(max(2 * (middle - below), 0.0))
                below += found[-1]
            return np.array([*found, 1e-3]) + 1e-9
        (block,) = (one for one in self.encoding.blocks if one.column == name)
        shares = self.centre[block.places].double().numpy() / _CHOICE
        return np.asarray(shares.clip(0) + 1e-9)

    @torch.no_grad()
    def score_anomalies(self, table: Table) -> npt.NDArray[np.float64]:
        """(records,): the energy of each, over a few levels of noise: the higher, the stranger."""
        vectors = _placed(self.encoding, table, None) - self.centre
        found = torch.zeros(len(table), dtype=torch.float64)
        for sigma in _SCORED_AT:
            found += self.network(vectors, torch.full((len(table), 1), sigma)).double()
        return found.numpy()

    def about(self) -> dict[str, Any]:
        return {
            "schema": self.schema.as_json(),
            "settings": asdict(self.settings),
            "encoding": self.encoding.about(),
        }

    def arrays(self) -> Arrays:
        return {
            **weights_of(self.network),
            **self.encoding.arrays(),
            "centre": self.centre.numpy(),
        }

    @classmethod
    def restored(cls, about: Mapping[str, Any], arrays: Arrays) -> Self:
        settings = Settings(**about["settings"])
        encoding = Encoding.restored(about["encoding"], arrays)
        network = Network(encoding.width, settings, 1.0)
        centre = torch.from_numpy(arrays["centre"])
        if centre.shape != (encoding.width,):
            raise ValueError("the centre has another width")
        schema = schema_of(about, encoding.codecs)
        return cls(
            schema=schema,
            encoding=encoding,
            centre=centre,
            network=loaded(network, arrays),
            settings=settings,
        )


def _placed(encoding: Encoding, table: Table, seed: int | None) -> Tensor:
    """float32 (records, W): choices as far apart as they are to be."""
    chance = None if seed is None else np.random.default_rng(abs(seed))
    return torch.from_numpy(encoding.vectors(table, chance)) * _stretch(encoding)


def _unplaced(encoding: Encoding, vectors: Tensor) -> npt.NDArray[np.float32]:
    found: npt.NDArray[np.float32] = (vectors / _stretch(encoding)).detach().numpy()
    return found


def _stretch(encoding: Encoding) -> Tensor:
    """(W,)"""
    stretch = torch.ones(encoding.width)
    for block in encoding.blocks:
        if block.is_choice:
            stretch[block.places] = _CHOICE
    return stretch
