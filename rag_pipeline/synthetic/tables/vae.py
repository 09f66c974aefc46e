"""A variational autoencoder over the columns of a table, with a prior that is learnt.

Each record x has a hidden place z, of which an encoder says where it may be and a decoder what
stands there, each column by itself. Both maximise the evidence lower bound (Kingma and Welling,
ICLR 2014, arXiv:1312.6114, eq. 3; Rezende, Mohamed and Wierstra, ICML 2014),

    log p(x) ≥ E_{q(z|x)} Σ_d log p_d(x_d | z) - KL(q(z|x) ‖ N(0, I)),                      (eq. 1)

the divergence counting β (Higgins et al., ICLR 2017), which rises from 0 in the first part of the
training so that z is not left unused (Bowman et al., CoNLL 2016, arXiv:1511.06349):

    L = -E_{q(z|x)} Σ_d log p_d(x_d | z) + β KL(q(z|x) ‖ N(0, I)).                          (eq. 2)

With β below 1 the places of all records together are not spread as N(0, I) any more, so what is
drawn from there would be like no record. A flow v from N(0, I) to them is learnt beside it
(flow matching, Lipman et al., ICLR 2023, arXiv:2210.02747, eq. 9 and 23, with σ = 0),

    L' = E_{t, z₀, z} ‖v(t z + (1 - t) z₀, t) - (z - z₀)‖²,    z₀ ~ N(0, I),                (eq. 3)

as in latent diffusion (Vahdat et al., NeurIPS 2021, arXiv:2106.05931, who learn both at once too).

What is drawn goes once or twice through a place of its own again, z ~ q(z | x) and x ~ p(x | z): a
Markov chain (Rezende et al., 2014) that keeps the records spread as they are, and mends those whose
columns don't go together, as each was drawn by itself at a place between those of real records.

Under conditions, places are chosen among many that were drawn, by how likely each makes what is
asked for (importance resampling, Rubin, 1987), and the chain is followed for longer, with what is
asked for held (as Rezende et al. fill in what is missing). All records fulfil the conditions; but
where hardly any place makes them likely, the rest of such records has little variety, and fits them
less well than with `autoregressive` or `diffusion`, which are the ones to take for what is rare.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, ClassVar, Self

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from rag_pipeline.synthetic.errors import SyntheticError
from rag_pipeline.synthetic.generator import Fitting
from rag_pipeline.synthetic.learning import divided, drawn_by, taught
from rag_pipeline.synthetic.tables.categorical import (
    Logits,
    allowances,
    bounded,
    decoded,
    drawn,
    likeliest,
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
    learnt_codecs,
    schema_of,
    wanted_shares,
)
from rag_pipeline.synthetic.tables.table import Schema, Table, Values
from rag_pipeline.synthetic.tables.vae_network import Learning, Network, Settings, negative_elbo
from rag_pipeline.synthetic.weights import loaded, weights_of
from rag_pipeline.training.loop import Trained

__all__ = ["Settings", "Vae"]

_VALIDATIONS = 20
"""None is the last: while the divergence still comes to count more, the bound may fall for long."""
_POOL = 4_000
"""Places that those for conditions are chosen from."""
_SWEEPS_ASKED = 6
"""How often such records go through a place again."""
_DRAWS = 8
"""Places that a score is averaged over."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Vae:
    """Draws records like those that it has learnt, and knows a hidden place for each."""

    method: ClassVar[str] = "table/vae"

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
            model=network, learnt=codes[learnt], held_back=codes[held_back], settings=settings
        )
        trained = taught(task, settings, fitting, validations=_VALIDATIONS, patience=_VALIDATIONS)
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
        pool = self._pool(allowed, [*shares], seed) if shares else None
        codes = torch.cat([self._block(one, allowed, pool) for one in blocks(count, seed)])
        values = decoded(self.codecs, codes, where, np.random.default_rng(seed))
        return drawn_table(self.schema, values, count, seed=seed)

    def _pool(self, allowed: Logits, asked: list[int], seed: int) -> tuple[Tensor, Tensor]:
        """Places (P, L), and how likely each makes what is asked for (P,), up to a factor."""
        chance = torch.Generator().manual_seed(seed)
        places = self.network.prior.draw(_POOL, chance)
        logits = self.network.decoder(places)
        likely = torch.stack(
            [(logits[at].log_softmax(1) + allowed[at]).logsumexp(1) for at in asked]
        ).sum(0)
        return places, likely.softmax(0)

    def _block(self, block: Block, allowed: Logits, pool: tuple[Tensor, Tensor] | None) -> Tensor:
        """(B, D): codes."""
        chance = torch.Generator().manual_seed(block.seed)
        if pool is None:
            places, sweeps = self.network.prior.draw(block.size, chance), self.settings.sweeps
        else:
            at = torch.multinomial(pool[1], block.size, replacement=True, generator=chance)
            places, sweeps = pool[0][at], _SWEEPS_ASKED
        codes = drawn(self.network.decoder(places), allowed, chance)
        for _ in range(sweeps):
            places = self._placed(codes, chance)
            codes = drawn(self.network.decoder(places), allowed, chance)
        return codes

    def _placed(self, codes: Tensor, chance: torch.Generator) -> Tensor:
        """(B, L): a place for each record, drawn of where it may be."""
        mean, spread = self.network.encoder(codes)
        noise = torch.randn(mean.shape, generator=chance)
        return mean + (spread / 2).exp() * noise  # type: ignore[no-any-return]

    @torch.no_grad()
    def reconstruct(self, table: Table, *, seed: int = 0) -> Table:
        """What is likeliest at the middle of where each record may be."""
        return self._likeliest(self._middles(table), seed)

    @torch.no_grad()
    def interpolate(self, first: Table, second: Table, steps: int, *, seed: int = 0) -> Table:
        """`steps` records, 2 or more, on the great circle between the places of each pair
        (Shoemake, SIGGRAPH 1985), both ends included; those of a pair stand together.

        Raises `SyntheticError` for tables of other lengths, or fewer steps.
        """
        if len(first) != len(second) or steps < 2:
            raise SyntheticError(
                f"{len(first)} records and {len(second)} in {steps} steps: give as many of both,"
                " and 2 steps or more"
            )
        ways = slerp(self._middles(first), self._middles(second), steps)
        return self._likeliest(ways.flatten(0, 1), seed)

    @torch.no_grad()
    def vary(self, table: Table, each: int, *, seed: int = 0) -> Table:
        """`each` variations of each record, standing together: another place where it may be, and
        what is drawn there. Raises `SyntheticError` for fewer than one."""
        if each < 1:
            raise SyntheticError(f"{each} variations of each record were asked for: ask for 1")
        chance = torch.Generator().manual_seed(seed)
        codes = torch.from_numpy(codes_of(self.codecs, table)).repeat_interleave(each, 0)
        logits = self.network.decoder(self._placed(codes, chance))
        found = drawn(logits, allowances(self.codecs, {}), chance)
        return self._table(found, seed)

    @torch.no_grad()
    def score_anomalies(self, table: Table) -> npt.NDArray[np.float64]:
        """(records,): nats, minus the bound of eq. 1, over a few places that are the same:
        the more, the stranger."""
        codes = torch.from_numpy(codes_of(self.codecs, table))
        chance = torch.Generator().manual_seed(0)
        mean, spread = self.network.encoder(codes)
        found = torch.zeros(len(codes))
        for _ in range(_DRAWS):
            noise = torch.randn(1, mean.shape[1], generator=chance)
            places = mean + (spread / 2).exp() * noise
            found += negative_elbo(self.network, codes, (mean, spread), places, 1.0)
        return (found / _DRAWS).double().numpy()

    def _middles(self, table: Table) -> Tensor:
        """(B, L)"""
        codes = torch.from_numpy(codes_of(self.codecs, table))
        return self.network.encoder(codes)[0]  # type: ignore[no-any-return]

    def _likeliest(self, places: Tensor, seed: int) -> Table:
        logits = self.network.decoder(places)
        return self._table(likeliest(logits, allowances(self.codecs, {})), seed)

    def _table(self, codes: Tensor, seed: int) -> Table:
        values: dict[str, Values] = decoded(self.codecs, codes, {}, np.random.default_rng(seed))
        return drawn_table(self.schema, values, len(codes), seed=seed)

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


def slerp(first: Tensor, second: Tensor, steps: int) -> Tensor:
    """(B, steps, L): between places (B, L), turning evenly from one direction to the other; on the
    straight way where they are the same or opposite."""
    cosine = torch.cosine_similarity(first, second, dim=1).clamp(-1, 1)
    angle = cosine.arccos()[:, None, None]  # (B, 1, 1)
    share = torch.linspace(0, 1, steps)[None, :, None]
    sine = angle.sin()
    is_straight = sine < 1e-4
    below = torch.where(is_straight, 1.0, sine)
    before = torch.where(is_straight, 1 - share, ((1 - share) * angle).sin() / below)
    after = torch.where(is_straight, share, (share * angle).sin() / below)
    return before * first[:, None] + after * second[:, None]
