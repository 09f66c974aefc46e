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

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from typing import Any, ClassVar, Self

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from rag_pipeline.synthetic.errors import SyntheticError
from rag_pipeline.synthetic.generator import Fitting
from rag_pipeline.synthetic.learning import device_of, divided, drawn_by, taught
from rag_pipeline.synthetic.tables.coding import Arrays, NumberCodec, Wanted, under
from rag_pipeline.synthetic.tables.columns import drawn_table, wanted_shares
from rag_pipeline.synthetic.tables.encoding import Encoding
from rag_pipeline.synthetic.tables.table import Schema, Table, Values
from rag_pipeline.training.loop import Trained, sliced

_BLOCK = 1_000
"""Records that are drawn together, with chance of their own."""
_BLOCKS_APART = 1_000_003
_MOST, _LEAST = 5.0, 0.03
"""Noise, in the spread of a column of numbers."""
_CHOICE = 1.5
"""How far the places of a choice go: names lie farther apart than numbers do."""
_LANGEVIN = 0.15
"""The step ε, in units of σ²."""
_FREQUENCIES = 8
_SCORED_AT = (0.2, 0.5, 1.0)
"""Noise at which the energies of a record are summed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """How large the network is, for how long it learns, and how slowly it is drawn from."""

    width: int = 256
    depth: int = 3
    levels: int = 60
    """Of noise, from the most to the least."""
    steps: int = 4_000
    batch_size: int = 256
    learning_rate: float = 2e-3


class Network(nn.Module):
    """E(x, σ) of vectors around 0."""

    spread: Tensor
    """(): s, that of the records."""
    frequencies: Tensor
    """(_FREQUENCIES,)"""

    def __init__(self, width: int, settings: Settings, spread: float) -> None:
        super().__init__()
        hidden = settings.width
        self.register_buffer("spread", torch.tensor(spread))
        frequencies = torch.pi * torch.linspace(0.1, 2.0, _FREQUENCIES)
        self.register_buffer("frequencies", frequencies, persistent=False)
        self.read = nn.Linear(width, hidden)
        self.level = nn.Linear(2 * _FREQUENCIES, hidden)
        self.blocks = nn.ModuleList(_block(hidden) for _ in range(settings.depth))
        self.write = nn.Linear(hidden, width)
        nn.init.zeros_(self.write.weight)
        nn.init.zeros_(self.write.bias)

    def forward(self, noised: Tensor, sigma: Tensor) -> Tensor:
        """(B,): the energy of (B, W) at (B, 1), eq. 2."""
        scale = (sigma**2 + self.spread**2).rsqrt()  # (B, 1)
        unit = scale * noised
        phases = sigma.log() * self.frequencies  # (B, F)
        level = self.level(torch.cat([phases.sin(), phases.cos()], dim=1))
        state = self.read(unit) + level  # (B, H)
        for block in self.blocks:
            state = state + block(state)
        added = (unit * self.write(state)).sum(1, keepdim=True) / (sigma * scale)
        energy: Tensor = (unit**2).sum(1, keepdim=True) / 2 + added
        return energy[:, 0]

    def pull(self, noised: Tensor, sigma: Tensor, *, keep_graph: bool = False) -> Tensor:
        """(B, W): σ ∇E, the noise that it sees."""
        with torch.enable_grad():
            at = noised.detach().requires_grad_()
            energy = self(at, sigma).sum()
            (gradient,) = torch.autograd.grad(energy, at, create_graph=keep_graph)
        pull: Tensor = sigma * gradient
        return pull


def _block(width: int) -> nn.Module:
    return nn.Sequential(nn.LayerNorm(width), nn.Linear(width, width), nn.SiLU(),
                         nn.Linear(width, width))  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Learning:
    """The task that `rag_pipeline.training.loop` trains."""

    model: Network
    learnt: Tensor
    """float32 (n, W)"""
    held_back: Tensor

    @property
    def examples(self) -> int:
        return len(self.learnt)

    def batches(self, order: Sequence[int], size: int) -> list[list[int]]:
        return sliced(order, size)

    def loss(self, rows: Sequence[int]) -> Tensor:
        """Eq. 1 (scalar), a mean over W."""
        return self._missed(self.learnt[list(rows)], None)

    def validate(self) -> float:
        """Minus eq. 1 of what was held back, with the same noise each time."""
        with torch.enable_grad():
            return -self._missed(self.held_back, torch.Generator().manual_seed(0)).item()

    def _missed(self, vectors: Tensor, chance: torch.Generator | None) -> Tensor:
        device = device_of(self.model)
        between = torch.rand(len(vectors), 1, generator=chance)
        sigma = _LEAST * (_MOST / _LEAST) ** between
        noise = torch.randn(vectors.shape, generator=chance)
        noised, sigma, noise = (one.to(device) for one in (vectors + sigma * noise, sigma, noise))
        return ((self.model.pull(noised, sigma, keep_graph=True) - noise) ** 2).mean()


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
        vectors = _placed(encoding, table, fitting.seed)
        centre = vectors.mean(0)
        learnt, held_back = divided(len(table), fitting.seed)
        with drawn_by(fitting.seed):
            spread = float((vectors - centre).square().mean().sqrt())
            network = Network(encoding.width, settings, spread)
        task = Learning(
            model=network, learnt=vectors[learnt] - centre, held_back=vectors[held_back] - centre
        )
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

        What is asked for is drawn as frequent as it is, column by column, and held while the rest
        is drawn around it. Raises `SyntheticError` for a column that was not learnt, and for what
        no record can be.
        """
        wanted_shares(self.schema, self.encoding.codecs, where)
        blocks = []
        for start in range(0, max(count, 1), _BLOCK):
            of_block = min(_BLOCK, count - start), seed * _BLOCKS_APART + start
            blocks.append(self._block(*of_block, where))
        values = {
            name: np.concatenate([block[name] for block in blocks]) for name in self.encoding.codecs
        }
        return drawn_table(self.schema, values, count, seed=seed)

    def _block(self, count: int, seed: int, where: Mapping[str, Wanted]) -> dict[str, Values]:
        chance = torch.Generator().manual_seed(seed)
        held = self._held(count, seed, where)
        drawn = self._annealed(count, held, chance) + self.centre
        return self.encoding.values(_unplaced(self.encoding, drawn), where)

    def _annealed(self, count: int, held: Tensor, chance: torch.Generator) -> Tensor:
        """(B, W): eq. 3 from pure noise; what is no NaN in `held` (B, W) is kept, with the noise of
        each level upon it."""
        ratio = (_LEAST / _MOST) ** (1 / (self.settings.levels - 1))
        sigmas = [_MOST * ratio**number for number in range(self.settings.levels)]
        shape = (count, self.encoding.width)

        def noise() -> Tensor:
            return torch.randn(shape, generator=chance)

        start = (_MOST**2 + float(self.network.spread) ** 2) ** 0.5
        state = start * noise()
        for now, then in pairwise(sigmas):
            state = torch.where(held.isnan(), state, held + now * noise())
            pull = self._pull(state, now) / now
            fresh = then * (1 - (then / now) ** 2) ** 0.5
            state = state - (now**2 - then**2) * pull + fresh * noise()
            state = torch.where(held.isnan(), state, held + then * noise())
            step = _LANGEVIN * then**2
            state = state - step / 2 * self._pull(state, then) / then + step**0.5 * noise()
        return torch.where(held.isnan(), state - _LEAST * self._pull(state, _LEAST), held)

    def _pull(self, state: Tensor, sigma: float) -> Tensor:
        return self.network.pull(state, torch.full((len(state), 1), sigma)).detach()

    def _held(self, count: int, seed: int, where: Mapping[str, Wanted]) -> Tensor:
        """(B, W): the vectors of what is asked for, NaN elsewhere."""
        held = torch.full((count, self.encoding.width), torch.nan)
        if not where:
            return held
        chance = np.random.default_rng([abs(seed), 1])
        shares = wanted_shares(self.schema, self.encoding.codecs, where)
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
        vectors = _placed(self.encoding, table, 0) - self.centre
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
        weights = {f"network.{n}": w.numpy() for n, w in self.network.state_dict().items()}
        return weights | dict(self.encoding.arrays()) | {"centre": self.centre.numpy()}

    @classmethod
    def restored(cls, about: Mapping[str, Any], arrays: Arrays) -> Self:
        settings = Settings(**about["settings"])
        encoding = Encoding.restored(about["encoding"], arrays)
        network = Network(encoding.width, settings, 1.0)
        weights = {n: torch.from_numpy(a) for n, a in under("network.", arrays).items()}
        network.load_state_dict(weights)
        centre = torch.from_numpy(arrays["centre"])
        if centre.shape != (encoding.width,):
            raise ValueError("the centre has another width")
        schema = Schema.from_json(about["schema"])
        return cls(
            schema=schema,
            encoding=encoding,
            centre=centre,
            network=network.eval(),
            settings=settings,
        )


def _placed(encoding: Encoding, table: Table, seed: int) -> Tensor:
    """float32 (records, W): choices as far apart as they are to be."""
    vectors = torch.from_numpy(encoding.vectors(table, np.random.default_rng(abs(seed))))
    return vectors * _stretch(encoding)


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
