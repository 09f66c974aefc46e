"""Any-order autoregression over the columns of a table.

A record x = (x_1 … x_D) is drawn one column after the other, each from what the network says of it
given those that are known; any order of the columns will do, so that any of them can be given:

    log p(x) = E_σ Σ_t log p(x_σ(t) | x_σ(<t))                                            (eq. 1)

learnt by hiding a random number of random columns and predicting all that are hidden at once, each
record's terms divided by how many there are (Uria, Murray and Larochelle, ICML 2014, "A Deep and
Tractable Density Estimator"; Hoogeboom et al., ICLR 2022, arXiv:2110.02037, eq. 6).

Shapes: B records, D columns, K codes of all columns together, E wide embeddings, H wide network.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, ClassVar, Self

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn import functional

from rag_pipeline.synthetic.errors import SyntheticError
from rag_pipeline.synthetic.generator import Fitting
from rag_pipeline.synthetic.tables.coding import (
    Arrays,
    Codec,
    Codes,
    Wanted,
    arrays_of,
    encoded,
    kinds_of,
    learnt,
    restored,
    under,
)
from rag_pipeline.synthetic.tables.table import Column, Schema, Table, Values
from rag_pipeline.training.loop import Trained, TrainingSettings, sliced, train

FEWEST_RECORDS = 100
_HELD_BACK = 20
"""Of so many records one is validated on."""
_MOST_VALIDATED = 2_000
_BLOCK = 1_000
"""Records that are drawn together, in an order of columns and with chance of their own."""
_SWEEPS = 4
"""How often columns that several conditions hold for are drawn again, given the others."""
_ORDERS = 4
"""Orders of the columns that a likelihood is averaged over."""
_BLOCKS_APART = 1_000_003


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """How large the network is, and for how long it learns."""

    width: int = 256
    depth: int = 3
    embedding: int = 24
    steps: int = 4_000
    batch_size: int = 256
    learning_rate: float = 2e-3


class Network(nn.Module):
    """What is hidden, predicted from what is not: a residual network over embedded codes."""

    first: Tensor
    """(D,): where the codes of each column begin among all embeddings."""
    hidden: Tensor
    """(D,): what stands for a column that is not known."""
    position: Tensor
    """(K + D,)"""

    def __init__(self, codecs: Sequence[Codec], settings: Settings) -> None:
        super().__init__()
        self.sizes = [codec.size for codec in codecs]
        columns, total = len(codecs), sum(self.sizes) + len(codecs)
        firsts = np.cumsum([0, *(codes + 1 for codes in self.sizes[:-1])])
        self.embedding = nn.Embedding(total, settings.embedding)
        nn.init.normal_(self.embedding.weight, std=0.5)
        self.register_buffer("first", torch.tensor(firsts), persistent=False)
        self.register_buffer("hidden", torch.tensor(self.sizes), persistent=False)
        self.register_buffer("position", _positions(codecs), persistent=False)
        self.read = nn.Linear(columns * (settings.embedding + 1), settings.width)
        self.blocks = nn.ModuleList(_block(settings.width) for _ in range(settings.depth))
        self.norm = nn.LayerNorm(settings.width)
        self.write = nn.Linear(settings.width, sum(self.sizes))
        nn.init.zeros_(self.write.bias)

    def forward(self, codes: Tensor, known: Tensor) -> tuple[Tensor, ...]:
        """Logits of each column, (B, codes of the column), for `codes` and `known` (B, D)."""
        at = torch.where(known, codes, self.hidden) + self.first  # (B, D)
        read = torch.cat([self.embedding(at).flatten(1), self.position[at]], dim=1)  # (B, D(E+1))
        state = self.read(read)  # (B, H)
        for block in self.blocks:
            state = state + block(state)
        return self.write(self.norm(state)).split(self.sizes, dim=1)  # type: ignore[no-any-return]


def _positions(codecs: Sequence[Codec]) -> Tensor:
    """(K + D,): where each code stands in its column's order; 0 where there is none, or it is
    hidden."""
    parts = [np.append(np.nan_to_num(codec.positions), 0.0) for codec in codecs]
    return torch.tensor(np.concatenate(parts), dtype=torch.float32)


def _block(width: int) -> nn.Module:
    return nn.Sequential(
        nn.LayerNorm(width), nn.Linear(width, 2 * width), nn.SiLU(), nn.Linear(2 * width, width)
    )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Learning:
    """The task that `rag_pipeline.training.loop` trains."""

    model: Network
    learnt: Tensor
    """int64 (n, D): codes that are learnt from."""
    held_back: Tensor
    """int64 (m, D): codes that are validated on."""

    @property
    def examples(self) -> int:
        return len(self.learnt)

    def batches(self, order: Sequence[int], size: int) -> list[list[int]]:
        return sliced(order, size)

    def loss(self, rows: Sequence[int]) -> Tensor:
        """Nats a column, (scalar): eq. 1 over D, with one random order for each record."""
        codes = self.learnt[list(rows)]
        return _nats(self.model, codes, _some_known(codes.shape, None)).mean()

    def validate(self) -> float:
        """Minus the nats a column of what was held back, with the same columns hidden each time."""
        known = _some_known(self.held_back.shape, torch.Generator().manual_seed(0))
        return -_nats(self.model, self.held_back, known).mean().item()


def _some_known(shape: torch.Size, chance: torch.Generator | None) -> Tensor:
    """(B, D): for each record a random number of random columns, all of them never."""
    records, columns = shape
    count = torch.randint(0, columns, (records, 1), generator=chance)
    return torch.rand(records, columns, generator=chance).argsort(1).argsort(1) < count


def _nats(model: Network, codes: Tensor, known: Tensor) -> Tensor:
    """(B,): the mean over hidden columns of -log p."""
    losses = torch.stack(
        [
            functional.cross_entropy(logits, codes[:, column], reduction="none")
            for column, logits in enumerate(model(codes, known))
        ],
        dim=1,
    )  # (B, D)
    hidden = (~known).float()
    return (losses * hidden).sum(1) / hidden.sum(1)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Autoregressive:
    """Draws records like those that it has learnt."""

    method: ClassVar[str] = "table/autoregressive"

    schema: Schema
    codecs: Mapping[str, Codec]
    """By the name of each column that is learnt: keys and texts are not."""
    network: Network
    settings: Settings

    @classmethod
    def fit(
        cls,
        table: Table,
        settings: Settings | None = None,
        fitting: Fitting | None = None,
    ) -> tuple[Self, Trained]:
        """Learn a table of at least `FEWEST_RECORDS` records. The same arguments give the same
        weights. Raises `SyntheticError`, `TrainingError`."""
        settings, fitting = settings or Settings(), fitting or Fitting()
        codecs = _codecs(table)
        chance = np.random.default_rng(fitting.seed)
        codes = torch.tensor(_encoded(codecs, table))[chance.permutation(len(table))]
        held_back = min(max(len(table) // _HELD_BACK, 1), _MOST_VALIDATED)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(fitting.seed)
            network = Network([*codecs.values()], settings)
        task = Learning(model=network, learnt=codes[held_back:], held_back=codes[:held_back])
        training = TrainingSettings(
            epochs=max(1, round(settings.steps * settings.batch_size / len(task.learnt))),
            batch_size=settings.batch_size,
            learning_rate=settings.learning_rate,
            validations=1,
            patience=20,
            seed=fitting.seed,
            threads=fitting.threads,
        )
        trained = train(task, training, checkpoints=fitting.checkpoints, observe=fitting.observe)
        return cls(schema=table.schema, codecs=codecs, network=network, settings=settings), trained

    def sample(self, count: int, *, seed: int = 0) -> Table:
        """That many records. The same seed gives the same ones."""
        return self.sample_conditionally(count, {}, seed=seed)

    def sample_conditionally(
        self, count: int, where: Mapping[str, Wanted], *, seed: int = 0
    ) -> Table:
        """That many records, all of which fulfil `where`: conditions on any of the columns.

        Raises `SyntheticError` for a column that was not learnt, and for what no record can be.
        """
        shares = self._shares(where)
        blocks = [
            self._block(min(_BLOCK, count - start), where, shares, seed * _BLOCKS_APART + start)
            for start in range(0, count, _BLOCK)
        ]
        columns = {
            column.name: np.concatenate([block[column.name] for block in blocks])
            if blocks and column.name in self.codecs
            else _unlearnt(column, count, seed)
            for column in self.schema.columns
        }
        return Table(schema=self.schema, values=columns)

    def score_anomalies(self, table: Table) -> npt.NDArray[np.float64]:
        """How many nats each record takes to say, float64 (n,): the more, the stranger it is.

        The mean of eq. 1 over a few orders, the same for each record.
        """
        codes = torch.tensor(_encoded(self.codecs, table))
        chance = torch.Generator().manual_seed(0)
        nats = torch.zeros(len(table), dtype=torch.float64)
        with torch.no_grad():
            for _ in range(_ORDERS):
                known = torch.zeros(codes.shape, dtype=torch.bool)
                for column in torch.randperm(codes.shape[1], generator=chance).tolist():
                    logits = self.network(codes, known)[column]
                    nats += functional.cross_entropy(logits, codes[:, column], reduction="none")
                    known[:, column] = True
        return (nats / _ORDERS).numpy()

    def _shares(self, where: Mapping[str, Wanted]) -> dict[int, Tensor]:
        """By the number of a column, log of which part of each code's values is wanted."""
        found: dict[int, Tensor] = {}
        names = [*self.codecs]
        for name, wanted in where.items():
            if name not in self.codecs:
                self.schema.column(name)
                raise SyntheticError(f"the column {name!r} is not learnt: ask for another one")
            codec = self.codecs[name]
            shares = codec.shares(wanted) * codec.drawable
            if not shares.any():
                raise SyntheticError(
                    f"no record can have {name!r} like that: too few of those learnt from do"
                )
            found[names.index(name)] = torch.tensor(shares).log().float()
        return found

    @torch.no_grad()
    def _block(
        self, count: int, where: Mapping[str, Wanted], shares: Mapping[int, Tensor], seed: int
    ) -> dict[str, Values]:
        chance = torch.Generator().manual_seed(seed)
        codes = torch.zeros(count, len(self.codecs), dtype=torch.int64)
        known = torch.zeros(codes.shape, dtype=torch.bool)
        order = torch.randperm(len(self.codecs), generator=chance).tolist()
        asked = [column for column in order if column in shares]
        sweeps = _SWEEPS if len(asked) > 1 else 0
        for column in [*asked, *asked * sweeps, *(one for one in order if one not in shares)]:
            known[:, column] = False
            logits = self.network(codes, known)[column] + self._allowed(column, shares)
            codes[:, column] = torch.multinomial(logits.softmax(1), 1, generator=chance)[:, 0]
            known[:, column] = True
        within = np.random.default_rng(seed)
        return {
            name: codec.decode(codes[:, column].numpy(), within, where.get(name))
            for column, (name, codec) in enumerate(self.codecs.items())
        }

    def _allowed(self, column: int, shares: Mapping[int, Tensor]) -> Tensor:
        """(codes,): what is added to the logits of a column."""
        if column in shares:
            return shares[column]
        drawable = [*self.codecs.values()][column].drawable
        return torch.tensor(drawable).float().log()

    def about(self) -> dict[str, Any]:
        return {
            "schema": self.schema.as_json(),
            "settings": asdict(self.settings),
            "codecs": kinds_of(self.codecs),
        }

    def arrays(self) -> Arrays:
        weights = {f"network.{n}": w.numpy() for n, w in self.network.state_dict().items()}
        return weights | dict(arrays_of(self.codecs))

    @classmethod
    def restored(cls, about: Mapping[str, Any], arrays: Arrays) -> Self:
        settings, codecs = Settings(**about["settings"]), restored(about["codecs"], arrays)
        network = Network([*codecs.values()], settings)
        weights = {n: torch.from_numpy(a) for n, a in under("network.", arrays).items()}
        network.load_state_dict(weights)
        schema = Schema.from_json(about["schema"])
        return cls(schema=schema, codecs=codecs, network=network.eval(), settings=settings)


def _codecs(table: Table) -> dict[str, Codec]:
    if len(table) < FEWEST_RECORDS:
        raise SyntheticError(
            f"{len(table)} records are too few to learn from without learning them by heart: give"
            f" at least {FEWEST_RECORDS}"
        )
    codecs = {
        column.name: learnt(column, table.values[column.name])
        for column in table.schema.columns
        if not column.is_key and column.kind != "text"
    }
    if not codecs:
        raise SyntheticError("only keys and texts are there, of which nothing can be learnt")
    return codecs


def _encoded(codecs: Mapping[str, Codec], table: Table) -> Codes:
    missing = [name for name in codecs if name not in table.values]
    if missing:
        raise SyntheticError(f"the table has no column {missing[0]!r}, which was learnt from")
    return encoded([*codecs.values()], [table.values[name] for name in codecs])


def _unlearnt(column: Column, count: int, seed: int) -> Values:
    """Keys are issued anew; texts are left out."""
    if not column.is_key:
        return np.full(count, None, np.object_)
    return np.array([f"synthetic-{seed}-{number}" for number in range(count)], np.object_)
