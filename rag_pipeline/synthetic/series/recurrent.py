"""A recurrent network over series of records.

A series x_1 … x_T is drawn one record after the other, and each record one column after the other,
from what the state of a recurrent network holds of the records before and what is drawn already:

    h_t = GRU(h_t-1, x_t-1)                 (Cho et al., EMNLP 2014, arXiv:1406.1078, eq. 5-8)
    log p(x) = Σ_t Σ_d log p(x_t,d | h_t, x_t,<d)                       (Graves, arXiv:1308.0850)

or an LSTM (Hochreiter and Schmidhuber, Neural Computation 9(8), 1997). The first column of each
record says whether the series has ended before it, so that lengths are learnt too. Gradients flow
back through time over windows of so many records (Werbos, Proceedings of the IEEE 78(10), 1990;
truncated: Williams and Peng, Neural Computation 2(4), 1990): a window that is not the first of its
series begins with an empty state and the record before it. The network is told the place of each
record, as it would else have to count to know when series end.

Shapes: B series, T records, D columns, K codes of all columns, E wide embeddings, H wide state.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, ClassVar, Literal, Self

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn import functional

from rag_pipeline.synthetic.errors import SyntheticError
from rag_pipeline.synthetic.generator import Fitting
from rag_pipeline.synthetic.learning import device_of, divided, drawn_by, taught
from rag_pipeline.synthetic.series.drawing import Drawing, keys_of
from rag_pipeline.synthetic.series.series import LONGEST, Layout, SeriesCodec
from rag_pipeline.synthetic.series.windows import Windows, moved, windows_of
from rag_pipeline.synthetic.tables.coding import Arrays, Codes, Wanted
from rag_pipeline.synthetic.tables.table import Table
from rag_pipeline.synthetic.weights import loaded, weights_of
from rag_pipeline.training.loop import Trained
from rag_pipeline.training.task import sliced

_POWERS = 3
"""Of where a code stands, that the logits of its column are a sum of besides its own."""
_BLOCK = 256
"""Series that are drawn together."""
_BLOCKS_APART = 1_000_003
_MOST_DRAWN = 3_000_000
"""Records: what was drawn is in memory as a whole."""
_COUNTED, _PARTS, _PLACE_WIDE = 32, 4, 8
"""Places that are told apart, parts of each doubling beyond, and how wide what is told is."""
_MOST_VALIDATED = 256
"""Windows that are validated together."""
_MOST_AT_ONCE = 64
"""Series that a likelihood is found of together."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Which columns make series, how large the network is, and for how long it learns."""

    key: str
    """The column that says which series a record belongs to."""
    time: str | None = None
    """The column that its records are ordered by; None: as they stand in the table."""
    cell: Literal["gru", "lstm"] = "gru"
    width: int = 64
    layers: int = 1
    embedding: int = 4
    dropout: float = 0.3
    window: int = 100
    """Records that gradients flow back through."""
    steps: int = 1_200
    batch_size: int = 32
    """Windows."""
    learning_rate: float = 2e-3


class Network(nn.Module):
    """The next record, predicted from those before, column by column."""

    first: Tensor
    """(D,): where the codes of each column begin among all."""
    position: Tensor
    """(K,): where each code stands in its column's order."""

    def __init__(self, codec: SeriesCodec, settings: Settings) -> None:
        super().__init__()
        self.sizes = codec.sizes
        columns, width = len(self.sizes), settings.width
        self.register_buffer("first", _firsts(self.sizes), persistent=False)
        positions = torch.tensor(np.concatenate(codec.positions()), dtype=torch.float32)
        self.register_buffer("position", positions, persistent=False)
        self.embedding = nn.Embedding(sum(self.sizes), settings.embedding)
        nn.init.normal_(self.embedding.weight, std=0.5)
        read = columns * (settings.embedding + 1)
        cell = nn.GRU if settings.cell == "gru" else nn.LSTM
        self.begin = nn.Parameter(torch.zeros(read))
        self.place = nn.Embedding(int(place_codes(torch.tensor(LONGEST))) + 1, _PLACE_WIDE)
        self.cell = cell(read + _PLACE_WIDE, width, num_layers=settings.layers, batch_first=True)
        self.known = nn.ModuleList(nn.Linear(settings.embedding + 1, width) for _ in range(columns))
        self.mix = nn.ModuleList(_mixing(width, settings.dropout) for _ in range(columns))
        self.write = nn.ModuleList(nn.Linear(width, size) for size in self.sizes)
        self.bend = nn.ModuleList(nn.Linear(width, _POWERS) for _ in self.sizes)

    def read(self, codes: Tensor) -> Tensor:
        """(…, D, E + 1) of codes (…, D)."""
        at = codes + self.first
        return torch.cat([self.embedding(at), self.position[at][..., None]], dim=-1)

    def inputs(self, codes: Tensor, places: Tensor) -> Tensor:
        """(B, T, D(E+1) + 8) of the records before, (B, T, D), and of the places of the next ones,
        (B, T): before the first there is none."""
        read = self.read(codes).flatten(2)
        before = torch.where((places == 0)[..., None], self.begin, read)
        return torch.cat([before, self.place(place_codes(places))], dim=2)

    def logits(self, state: Tensor, read: Tensor, column: int) -> Tensor:
        """(…, codes of the column), for the state (…, H) and the record's columns before it, whose
        `read` is (…, column, E + 1)."""
        for before in range(column):
            state = state + self.known[before](read[..., before, :])
        mixed = self.mix[column](state)
        first = int(self.first[column])
        # What is near a value is likely where it is: a bump over the order, from the first step on.
        place = self.position[first : first + self.sizes[column], None]  # (codes, 1)
        powers = torch.cat([place**power for power in range(1, _POWERS + 1)], dim=1)
        found: Tensor = self.write[column](mixed) + self.bend[column](mixed) @ powers.T
        return found


def place_codes(places: Tensor) -> Tensor:
    """Each place by itself at first, then ever more of them together."""
    doublings = (places.clamp(_COUNTED, LONGEST) / _COUNTED).log2()
    beyond = _COUNTED + doublings.mul(_PARTS).floor().long()
    return torch.where(places < _COUNTED, places, beyond)


def _firsts(sizes: Sequence[int]) -> Tensor:
    return torch.tensor(np.cumsum([0, *sizes[:-1]]))


def _mixing(width: int, dropout: float) -> nn.Module:
    return nn.Sequential(
        nn.LayerNorm(width), nn.Linear(width, width), nn.SiLU(), nn.Dropout(dropout)
    )


def nats(network: Network, windows: Windows) -> Tensor:
    """(B, T, D): -log p of each code; 0 for what does not count."""
    state, _ = network.cell(network.inputs(windows.before, windows.places))
    read = network.read(windows.codes)
    losses = []
    for column in range(len(network.sizes)):
        logits = network.logits(state, read, column)
        loss = functional.cross_entropy(
            logits.flatten(0, 1), windows.codes[..., column].flatten(), reduction="none"
        )
        losses.append(loss.view(windows.codes.shape[:2]))
    return torch.stack(losses, dim=2) * windows.counts


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Learning:
    """The task that `rag_pipeline.training.loop` trains."""

    model: Network
    learnt: Sequence[tuple[Codes, int]]
    """Windows, and the place of the first record that each predicts."""
    held_back: Sequence[tuple[Codes, int]]
    fixed: Sequence[int]

    @property
    def examples(self) -> int:
        return len(self.learnt)

    def batches(self, order: Sequence[int], size: int) -> list[list[int]]:
        return sliced(order, size)

    def loss(self, rows: Sequence[int]) -> Tensor:
        """Nats a code (scalar)."""
        nats_of_all, codes = self._nats([self.learnt[row] for row in rows])
        return nats_of_all / codes

    def validate(self) -> float:
        """Minus the nats a code of what was held back."""
        found = [
            self._nats(self.held_back[start : start + _MOST_VALIDATED])
            for start in range(0, len(self.held_back), _MOST_VALIDATED)
        ]
        return -sum(one.item() for one, _ in found) / sum(int(count) for _, count in found)

    def _nats(self, chosen: Sequence[tuple[Codes, int]]) -> tuple[Tensor, Tensor]:
        """Of all codes together, and how many these are (scalars)."""
        parts = [one for one, _ in chosen], [start for _, start in chosen]
        windows = moved(Windows.of(*parts, self.fixed), device_of(self.model))
        return nats(self.model, windows).sum(), windows.counts.sum()


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Recurrent:
    """Draws series of records like those that it has learnt."""

    method: ClassVar[str] = "series/recurrent"

    codec: SeriesCodec
    network: Network
    settings: Settings

    @classmethod
    def fit(
        cls, table: Table, settings: Settings | None = None, fitting: Fitting | None = None
    ) -> tuple[Self, Trained]:
        """Learn the series of a table, 20 or more. The same arguments give the same weights.

        Raises `SyntheticError` without settings that name the key, `TrainingError`.
        """
        if settings is None:
            raise SyntheticError("say which column is the key of the series, and which their time")
        fitting = fitting or Fitting()
        codec = SeriesCodec.learnt(table, Layout(key=settings.key, time=settings.time))
        series = codec.encoded(table)
        learnt, held_back = divided(len(series), fitting.seed)
        with drawn_by(fitting.seed):
            network = Network(codec, settings)
        task = Learning(
            model=network,
            learnt=windows_of([series[at] for at in learnt], settings.window),
            held_back=windows_of([series[at] for at in held_back], settings.window),
            fixed=_fixed(codec),
        )
        trained = taught(task, settings, fitting)
        return cls(codec=codec, network=network, settings=settings), trained

    def sample(self, count: int, *, seed: int = 0) -> Table:
        """The records of that many series. The same seed gives the same ones."""
        return self.sample_conditionally(count, {}, seed=seed)

    def sample_conditionally(
        self, count: int, where: Mapping[str, Wanted], *, seed: int = 0
    ) -> Table:
        """The records of that many series, all of which fulfil `where`.

        Raises `SyntheticError` for a column that was not learnt, and for what no record can be.
        """
        drawing = Drawing(network=self.network, codec=self.codec, where=where)
        codes: list[Codes] = []
        records = 0
        for start in range(0, count, _BLOCK):
            block = [np.zeros((0, len(self.network.sizes)), np.int64)] * min(_BLOCK, count - start)
            codes += drawing.continued(block, seed * _BLOCKS_APART + start)
            records += sum(map(len, codes[start:]))
            if records > _MOST_DRAWN:
                raise SyntheticError(
                    f"{len(codes)} of {count} series have {records:,} records already, of"
                    f" {_MOST_DRAWN:,} that are drawn at once: draw fewer series at a time"
                )
        keys = keys_of(self.codec, count, seed)
        return self.codec.decoded(codes, keys, np.random.default_rng(abs(seed)), where)

    def continued(self, begun: Table, *, seed: int = 0) -> Table:
        """Each series of `begun` with what may follow its last record.

        Raises `SyntheticError` for a table of other columns.
        """
        series = self.codec.encoded(begun)
        drawing = Drawing(network=self.network, codec=self.codec, where={})
        codes: list[Codes] = []
        for start in range(0, len(series), _BLOCK):
            codes += drawing.continued(series[start : start + _BLOCK], seed * _BLOCKS_APART + start)
        return self.codec.joined(begun, codes, np.random.default_rng(abs(seed)))

    @torch.no_grad()
    def score_anomalies(self, table: Table) -> npt.NDArray[np.float64]:
        """(series,): nats a code of each series, in the order that they first appear in."""
        found: list[float] = []
        series = self.codec.encoded(table)
        for start in range(0, len(series), _MOST_AT_ONCE):
            whole = windows_of(series[start : start + _MOST_AT_ONCE], max(map(len, series)) + 1)
            parts = [one for one, _ in whole], [start for _, start in whole]
            windows = Windows.of(*parts, _fixed(self.codec))
            sums = nats(self.network, windows).double().sum((1, 2)) / windows.counts.sum((1, 2))
            found += sums.tolist()
        return np.array(found, np.float64)

    def about(self) -> dict[str, Any]:
        return {"settings": asdict(self.settings), "codec": self.codec.about()}

    def arrays(self) -> Arrays:
        return {**weights_of(self.network), **self.codec.arrays()}

    @classmethod
    def restored(cls, about: Mapping[str, Any], arrays: Arrays) -> Self:
        settings = Settings(**about["settings"])
        codec = SeriesCodec.restored(about["codec"], arrays)
        network = Network(codec, settings)
        return cls(codec=codec, network=loaded(network, arrays), settings=settings)


def _fixed(codec: SeriesCodec) -> list[int]:
    """The numbers of columns that never change within a series."""
    return [codec.names.index(name) for name in codec.fixed]
