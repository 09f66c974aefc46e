"""A normalising flow of splines over the numbers of a table, given its names.

Each column is a class c and, for most numbers, a normal deviate u (`dequantising.py`). The density
of a record is that of its classes, one after the other, times that of its deviates given all of
them, which a stack f of coupling layers makes noise:

    log p(c, u) = Σ_t log p(c_σ(t) | c_σ(<t)) + log N(f(u; c)) + log |det ∂f/∂u|           (eq. 1)

(rational-quadratic splines: Durkan et al., NeurIPS 2019, arXiv:1906.04032; classes in any order:
Uria, Murray and Larochelle, ICML 2014). It is the exact density of the model for any one order σ;
that of the table follows from it up to what dequantising adds, since what many records share is
spread over an interval (arXiv:1511.01844, ICLR 2016, section 3.1).

Both networks are trained with random parts known, so that any columns can be given. Conditions are
met by construction: `flow_sampling.py` says how, and how exactly.

Shapes: B records, D columns, V columns with a deviate.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, ClassVar, Self

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional

from rag_pipeline.synthetic.errors import SyntheticError
from rag_pipeline.synthetic.generator import Fitting
from rag_pipeline.synthetic.learning import divided, drawn_by, taught
from rag_pipeline.synthetic.tables.coding import (
    Arrays,
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
    joined,
    learnt_codecs,
    schema_of,
    wanted_shares,
)
from rag_pipeline.synthetic.tables.dequantising import (
    Limits,
    SplitColumn,
    split_columns,
)
from rag_pipeline.synthetic.tables.flow_learning import Learning, records_of
from rag_pipeline.synthetic.tables.flow_network import FlowNetwork, Known
from rag_pipeline.synthetic.tables.flow_sampling import drawn
from rag_pipeline.synthetic.tables.table import Schema, Table, Values
from rag_pipeline.synthetic.weights import loaded, weights_of
from rag_pipeline.training.loop import Trained

_ORDERS = 4
"""Orders of the columns, as many densities, whose mean a record is judged by."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """How large the networks are, and for how long they learn."""

    width: int = 192
    depth: int = 2
    layers: int = 6
    bins: int = 8
    steps: int = 4_000
    batch_size: int = 256
    learning_rate: float = 2e-3
    ema: float = 0.995


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Flow:
    """Draws records like those that it has learnt, and says how likely a record is."""

    method: ClassVar[str] = "table/flow"

    schema: Schema
    columns: Mapping[str, SplitColumn]
    """By the name of each column that is learnt: keys and texts are not."""
    network: FlowNetwork
    settings: Settings

    @classmethod
    def fit(
        cls, table: Table, settings: Settings | None = None, fitting: Fitting | None = None
    ) -> tuple[Self, Trained]:
        """Learn a table. The same arguments give the same weights. Raises `SyntheticError`,
        `TrainingError`."""
        settings, fitting = settings or Settings(), fitting or Fitting()
        codecs = learnt_codecs(table)
        columns = split_columns(codecs, codes_of(codecs, table))
        with drawn_by(fitting.seed):
            network = _network(columns, settings)
        records = records_of(columns, table)
        learnt, held_back = divided(len(table), fitting.seed)
        task = Learning(
            model=network,
            learnt=records.at(learnt.tolist()),
            held_back=records.at(held_back.tolist()),
            deviate_of=network.deviate_of.clone(),
            last=network.last.clone(),
        )
        trained = taught(task, settings, fitting, ema=settings.ema)
        return (
            cls(schema=table.schema, columns=columns, network=network, settings=settings),
            trained,
        )

    def sample(self, count: int, *, seed: int = 0) -> Table:
        """That many records. The same seed gives the same ones."""
        return self.sample_conditionally(count, {}, seed=seed)

    def sample_conditionally(
        self, count: int, where: Mapping[str, Wanted], *, seed: int = 0
    ) -> Table:
        """That many records, all of which fulfil `where`: conditions on any of the columns.

        Raises `SyntheticError` for a column that was not learnt, and for what no record can be.
        """
        limits = self._limits(where)
        asked = [number for number, name in enumerate(self.columns) if name in where]
        found = [self._block(one, where, limits, asked, seed) for one in blocks(count, seed)]
        return drawn_table(self.schema, joined(found, self.columns), count, seed=seed)

    @torch.no_grad()
    def score_anomalies(self, table: Table) -> npt.NDArray[np.float64]:
        """Minus the log of the density (eq. 1), in nats, float64 (n,): the higher, the stranger.

        The density is the mean of those that a few orders of the columns give, the same for each
        record. Deviates count as such: a number is as far out as its rank is.
        """
        records = records_of(self.columns, table)
        classes, values = records.classes, records.values()
        chance = torch.Generator().manual_seed(0)
        orders = [self._log_likelihood(classes, values, chance) for _ in range(_ORDERS)]
        log_classes = torch.stack(orders).logsumexp(0) - float(np.log(_ORDERS))
        nothing = torch.zeros(values.shape, dtype=torch.bool)
        nats = self.network.deviate_nats(classes, values, nothing).double() - log_classes
        return np.asarray(nats.numpy(), np.float64)

    def _log_likelihood(self, classes: Tensor, values: Tensor, chance: torch.Generator) -> Tensor:
        """float64 (n,): log p(classes), in an order that is drawn."""
        known = Known.nothing(len(classes), len(self.columns), self.network.numbers)
        found = torch.zeros(len(classes), dtype=torch.float64)
        for column in torch.randperm(classes.shape[1], generator=chance).tolist():
            logits = self.network.classes(classes, values, known)[column]
            found -= functional.cross_entropy(logits, classes[:, column], reduction="none")
            known.classes[:, column] = True
        return found

    def _limits(self, where: Mapping[str, Wanted]) -> list[Limits]:
        wanted_shares(self.schema, {n: one.codec for n, one in self.columns.items()}, where)
        found = [column.limits(where.get(name)) for name, column in self.columns.items()]
        for name, limits in zip(self.columns, found, strict=True):
            if not limits.classes.any():
                raise SyntheticError(f"no record can have {name!r} like that: none learnt from has")
        return found

    def _block(
        self,
        block: Block,
        where: Mapping[str, Wanted],
        limits: Sequence[Limits],
        asked: Sequence[int],
        seed: int,
    ) -> dict[str, Values]:
        chance = torch.Generator().manual_seed(block.seed)
        classes, values = drawn(self.network, limits, asked, block.size, chance)
        of_column = dict(zip(self.network.deviate_of.tolist(), values.T.double(), strict=True))
        nowhere = torch.zeros(block.size, dtype=torch.float64)
        within = np.random.default_rng([seed, block.first])
        return {
            name: column.values(
                classes[:, number].numpy(),
                of_column.get(number, nowhere).numpy(),
                within,
                where.get(name),
            )
            for number, (name, column) in enumerate(self.columns.items())
        }

    def about(self) -> dict[str, Any]:
        return {
            "schema": self.schema.as_json(),
            "settings": asdict(self.settings),
            "codecs": kinds_of({name: one.codec for name, one in self.columns.items()}),
        }

    def arrays(self) -> Arrays:
        weights = weights_of(self.network)
        counts = {f"counts.{n}": one.counts for n, one in enumerate(self.columns.values())}
        codecs = arrays_of({name: one.codec for name, one in self.columns.items()})
        return {**weights, **counts, **codecs}

    @classmethod
    def restored(cls, about: Mapping[str, Any], arrays: Arrays) -> Self:
        settings, codecs = Settings(**about["settings"]), restored(about["codecs"], arrays)
        columns = {
            name: SplitColumn(codec=codec, counts=arrays[f"counts.{number}"])
            for number, (name, codec) in enumerate(codecs.items())
        }
        network = _network(columns, settings)
        schema = schema_of(about, codecs)
        return cls(
            schema=schema, columns=columns, network=loaded(network, arrays), settings=settings
        )


def _network(columns: Mapping[str, SplitColumn], settings: Settings) -> FlowNetwork:
    return FlowNetwork(
        [*columns.values()],
        width=settings.width,
        depth=settings.depth,
        layers=settings.layers,
        bins=settings.bins,
    )
