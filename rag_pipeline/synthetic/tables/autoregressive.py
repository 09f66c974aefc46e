"""Any-order autoregression over the columns of a table.

A record x = (x_1 … x_D) is drawn one column after the other, each from what the network says of it
given those that are known; any order of the columns will do, so that any of them can be given:

    log p(x) = E_σ Σ_t log p(x_σ(t) | x_σ(<t))                                            (eq. 1)

learnt by hiding a random number of random columns and predicting all that are hidden at once, each
record's terms divided by how many there are (Uria, Murray and Larochelle, ICML 2014, "A Deep and
Tractable Density Estimator"; Hoogeboom et al., ICLR 2022, arXiv:2110.02037, eq. 6).

Shapes: B records, D columns, K codes of all columns together, E wide embeddings, H wide network.
"""

from collections.abc import Mapping, Sequence, Set
from dataclasses import asdict, dataclass, replace
from typing import Any, ClassVar, Self

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from rag_pipeline.synthetic.errors import SyntheticError
from rag_pipeline.synthetic.generator import Fitting
from rag_pipeline.synthetic.learning import divided, drawn_by, taught
from rag_pipeline.synthetic.tables.autoregressive_network import (
    Learning,
    Network,
    nats,
    near_codes,
    some_known,
)
from rag_pipeline.synthetic.tables.categorical import (
    Logits,
    allowances,
    check_settings,
    code_drawn,
    decoded,
    nats_in_orders,
)
from rag_pipeline.synthetic.tables.coding import (
    Arrays,
    Codec,
    Codes,
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
    joined,
    learnt_codecs,
    schema_of,
    wanted_shares,
)
from rag_pipeline.synthetic.tables.even_draws import drawn_evenly
from rag_pipeline.synthetic.tables.guide import Guide
from rag_pipeline.synthetic.tables.private import PrivateLearning, Promise
from rag_pipeline.synthetic.tables.table import Schema, Table, Values
from rag_pipeline.synthetic.weights import loaded, weights_of
from rag_pipeline.training.loop import Trained

_MOST_WEIGHTS = 1_500_000
"""6 MB: with the tables of the codecs, a model has up to 8."""
_SMALLEST_EMBEDDING, _SMALLEST_WIDTH = 4, 16
_DELTA = 0.1
"""Of one in as many records as are learnt from: the chance that a promise of privacy leaves."""
_TOGETHER = 100
"""Records whose columns are drawn in one order: what that gets wrong, others do not."""
_SWEEPS = 4
"""How often columns that several conditions hold for are drawn again, given the others."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """How large the network is, and for how long it learns."""

    width: int = 256
    depth: int = 3
    embedding: int = 24
    dropout: float = 0.0
    smoothing: float = 1.25
    """How far from a number others are taken for nearly right while it learns, in ranks by the
    root of how many records it learns from: the fewer, the farther."""
    steps: int = 4_000
    batch_size: int = 256
    learning_rate: float = 2e-3
    epsilon: float | None = None
    """Of differential privacy, which is promised where this is given; see `private.py`."""
    delta: float | None = None
    """None: a tenth of one in so many records as are learnt from."""
    clip: float = 1.0
    """How long the gradient of one record may be, where privacy is promised."""

    def __post_init__(self) -> None:
        """Raise `SyntheticError` for a network that can't be."""
        check_settings(self, counts=("width", "depth", "embedding"))
        if not 0 <= self.dropout < 1 or not self.smoothing >= 0:
            raise SyntheticError(
                f"dropout is {self.dropout} and smoothing {self.smoothing}: give a share below 1,"
                " and a number from 0"
            )

    def network(self, codecs: Sequence[Codec]) -> Network:
        """One of this size, its weights drawn at random."""
        return Network(
            codecs,
            width=self.width,
            depth=self.depth,
            embedding=self.embedding,
            dropout=self.dropout,
        )

    def bounded(self, codecs: Sequence[Codec]) -> Self:
        """The same, but for a smaller network where its weights would be too many.

        Raises `SyntheticError` for more columns than any has room for.
        """
        found = self
        while found._weights(codecs) > _MOST_WEIGHTS:
            if found.embedding > _SMALLEST_EMBEDDING:
                found = replace(found, embedding=found.embedding * 7 // 8)
            elif found.width > _SMALLEST_WIDTH:
                found = replace(found, width=found.width * 7 // 8)
            else:
                raise SyntheticError(f"{len(codecs)} columns are too many to learn: leave some out")
        return found

    def _weights(self, codecs: Sequence[Codec]) -> int:
        columns, codes = len(codecs), sum(codec.size for codec in codecs)
        width, embedding = self.width, self.embedding
        read = (codes + columns) * embedding + columns * (embedding + 1) * width
        return read + self.depth * 4 * width**2 + (width + 1) * codes


def _private(task: Learning, settings: Settings, epsilon: float) -> PrivateLearning:
    """The same task under a promise of differential privacy."""

    def loss(model: nn.Module, codes: Tensor) -> Tensor:
        known = some_known(codes.shape, None).to(codes.device)
        return nats(model, codes, known, task.near).mean()

    delta = _DELTA / task.examples if settings.delta is None else settings.delta
    return PrivateLearning(
        model=task.model,
        learnt=task.learnt,
        record_loss=loss,
        promise=Promise(epsilon=epsilon, delta=delta, clip=settings.clip),
        batch_size=settings.batch_size,
    )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Autoregressive:
    """Draws records like those that it has learnt."""

    method: ClassVar[str] = "table/autoregressive"

    schema: Schema
    codecs: Mapping[str, Codec]
    """By the name of each column that is learnt: keys and texts are not."""
    network: Network
    settings: Settings
    privacy: Mapping[str, Any] | None = None
    """What is promised to each record that was learnt from, if anything is."""

    @classmethod
    def fit(
        cls,
        table: Table,
        settings: Settings | None = None,
        fitting: Fitting | None = None,
    ) -> tuple[Self, Trained]:
        """Learn a table of 100 records or more. The same arguments give the same weights.

        Raises `SyntheticError`, `TrainingError`."""
        fitting = fitting or Fitting()
        codecs = learnt_codecs(table)
        settings = (settings or Settings()).bounded([*codecs.values()])
        codes = torch.tensor(codes_of(codecs, table))
        learnt, held_back = divided(len(table), fitting.seed)
        with drawn_by(fitting.seed):
            network = settings.network([*codecs.values()])
        smoothing = settings.smoothing / len(learnt) ** 0.5
        task = Learning(
            model=network,
            learnt=codes[learnt],
            held_back=codes[held_back],
            near=[near_codes(codec, smoothing) for codec in codecs.values()],
        )
        if settings.epsilon is None:
            network.begin_at(task.learnt)
            trained, privacy = taught(task, settings, fitting), None
        else:
            private = _private(task, settings, settings.epsilon)
            trained = taught(private, settings, fitting)
            privacy = private.about()
        model = cls(
            schema=table.schema,
            codecs=codecs,
            network=network,
            settings=settings,
            privacy=privacy,
        )
        return model, trained

    def sample(self, count: int, *, seed: int = 0) -> Table:
        """That many records. The same seed gives the same ones."""
        return self.sample_conditionally(count, {}, seed=seed)

    def sample_conditionally(
        self, count: int, where: Mapping[str, Wanted], *, seed: int = 0
    ) -> Table:
        """That many records, all of which fulfil `where`: conditions on any of the columns.

        Raises `SyntheticError` for a column that was not learnt, and for what no record can be.
        """
        shares = wanted_shares(self.schema, self.codecs, where)
        allowed = allowances(self.codecs, shares)
        drawn = [self._block(block, where, {*shares}, allowed) for block in blocks(count, seed)]
        return drawn_table(self.schema, joined(drawn, self.codecs), count, seed=seed)

    def sample_guided(
        self, count: int, where: Mapping[str, Wanted], guide: Guide, *, seed: int = 0
    ) -> Table:
        """As `sample_conditionally`, each column drawn among what the guide leaves of it."""
        return guide.sample(self.schema, self.codecs, self._says, where, count, seed=seed)

    @torch.no_grad()
    def _says(
        self, column: int, codes: Codes, known: npt.NDArray[np.bool_]
    ) -> npt.NDArray[np.float64]:
        logits = self.network.of_column(column, torch.from_numpy(codes), torch.from_numpy(known))
        return logits.double().softmax(1).numpy()

    @torch.no_grad()
    def score_anomalies(self, table: Table) -> npt.NDArray[np.float64]:
        """How many nats each record takes to say, float64 (n,): the more, the stranger it is.

        The mean of eq. 1 over a few orders, the same for each record.
        """
        codes = torch.tensor(codes_of(self.codecs, table))
        return nats_in_orders(codes, self.network.of_column).numpy()

    def impute(self, table: Table, *, seed: int = 0) -> Table:
        """The same records, with a value drawn for each that is missing, given the others.

        A column that was learnt without any value stays as it is. Raises `SyntheticError` for a
        table that lacks a column.
        """
        codes = torch.tensor(codes_of(self.codecs, table))
        is_missing = codes == torch.tensor(self.network.sizes) - 1
        for block in blocks(len(table), seed):
            rows = slice(block.first, block.first + block.size)
            chance = torch.Generator().manual_seed(block.seed)
            self._fill(codes[rows], ~is_missing[rows], chance)
        return filled_in(table, self.codecs, codes.numpy(), is_missing.numpy(), seed)

    @torch.no_grad()
    def _fill(self, codes: Tensor, known: Tensor, chance: torch.Generator) -> None:
        """Draw all codes (B, D) that are not known, in place, and none of them as missing."""
        allowed = allowances(self.codecs, {})
        for column in torch.randperm(len(self.codecs), generator=chance).tolist():
            rows = (~known[:, column]).nonzero()[:, 0]
            allowed[column][-1] = -torch.inf
            if len(rows) and allowed[column].isfinite().any():
                logits = self.network.of_column(column, codes[rows], known[rows]) + allowed[column]
                codes[rows, column] = code_drawn(logits, chance)
            known[rows, column] = True

    def _block(
        self, block: Block, where: Mapping[str, Wanted], wanted: Set[int], allowed: Logits
    ) -> dict[str, Values]:
        chance = np.random.default_rng(block.seed)
        groups = [
            self._group(min(_TOGETHER, block.size - first), wanted, allowed, chance)
            for first in range(0, max(block.size, 1), _TOGETHER)
        ]
        return decoded(self.codecs, torch.cat(groups), where, chance)

    @torch.no_grad()
    def _group(
        self, records: int, wanted: Set[int], allowed: Logits, chance: np.random.Generator
    ) -> Tensor:
        """(B, D): codes of records that are drawn in the same order, the columns `wanted` first."""
        codes = torch.zeros(records, len(self.codecs), dtype=torch.int64)
        known = torch.zeros(len(self.codecs), dtype=torch.bool)
        order = chance.permutation(len(self.codecs)).tolist()
        asked = [column for column in order if column in wanted]
        sweeps = _SWEEPS if len(asked) > 1 else 0
        for column in [*asked, *asked * sweeps, *(one for one in order if one not in wanted)]:
            known[column] = False
            says = self.network.of_column(column, codes, known.expand(records, -1))
            shares = (says + allowed[column]).double().softmax(1).numpy()
            drawn = drawn_evenly(shares, codes[:, known].numpy(), chance)
            codes[:, column] = torch.from_numpy(drawn)
            known[column] = True
        return codes

    def about(self) -> dict[str, Any]:
        return {
            "schema": self.schema.as_json(),
            "settings": asdict(self.settings),
            "codecs": kinds_of(self.codecs),
            "privacy": self.privacy,
        }

    def arrays(self) -> Arrays:
        return {**weights_of(self.network), **arrays_of(self.codecs)}

    @classmethod
    def restored(cls, about: Mapping[str, Any], arrays: Arrays) -> Self:
        settings, codecs = Settings(**about["settings"]), restored(about["codecs"], arrays)
        network = settings.network([*codecs.values()])
        schema = schema_of(about, codecs)
        return cls(
            schema=schema,
            codecs=codecs,
            network=loaded(network, arrays),
            settings=settings,
            privacy=about["privacy"],
        )
