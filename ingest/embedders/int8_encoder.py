"""Encoders of the BERT family with 8-bit weights in CTranslate2, without torch in the process.

Activations are quantised row by row while it runs, so a text's vector hardly depends on what it is
embedded with (cosine above .999; the rest is rounding that tips an 8-bit step over).
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
import numpy.typing as npt

from ingest.embedders.errors import UnfitModelError
from ingest.embedders.local import TokenizedText
from ingest.embedders.model_folder import ModelFolder, read_json
from ingest.embedders.word_ids import TokenIds
from storage.records import Vectors

if TYPE_CHECKING:
    from ctranslate2 import Encoder

Pooling = Literal["mean", "cls"]

_POOLINGS: Mapping[str, Pooling] = {
    "mean": "mean",
    "cls": "cls",
    "pooling_mode_mean_tokens": "mean",
    "pooling_mode_cls_token": "cls",
}
_MODULES = (["Transformer", "Pooling"], ["Transformer", "Pooling", "Normalize"])
_Numbers = npt.NDArray[np.int32]


@dataclass(frozen=True, slots=True)
class Int8Encoder:
    """A converted model in memory."""

    encoder: "Encoder"
    model: ModelFolder
    pooling: Pooling

    @property
    def batch_tokens(self) -> int:
        """Few: beyond it the states of the widest layer no longer fit a core's cache."""
        return 512

    @classmethod
    def load(cls, model: ModelFolder, files: Mapping[str, bytes], *, threads: int) -> "Int8Encoder":
        """The model in `files`, as `int8_conversion` wrote them.

        Raises `UnfitModelError` if this machine can't run it.
        """
        import ctranslate2

        try:
            encoder = ctranslate2.Encoder(
                str(model.path),
                device="cpu",
                compute_type="int8",
                inter_threads=threads,
                intra_threads=1,
                files=dict(files),
            )
        except (RuntimeError, ValueError) as error:
            raise UnfitModelError(
                f"CTranslate2 can't run the embedder in {model.path}: {error}"
            ) from error
        return cls(encoder, model, pooling_of(model))

    @property
    def passes_ahead(self) -> int:
        """One: another thread of Python may run when a pass ends, and give way only after 5 ms."""
        return 1

    def begin_thread(self) -> None:
        """Nothing to do: CTranslate2 has threads of its own, one core each."""

    def encode(self, texts: Sequence[TokenizedText]) -> Vectors:
        import ctranslate2

        ids, lengths = _padded([text.ids for text in texts])
        output = self.encoder.forward_batch(
            ctranslate2.StorageView.from_array(ids), ctranslate2.StorageView.from_array(lengths)
        )
        states: Vectors = np.asarray(output.last_hidden_state)
        return _unit(states[:, 0] if self.pooling == "cls" else _mean(states, lengths))


def pooling_of(model: ModelFolder) -> Pooling:
    """How token states become one vector; `UnfitModelError` if neither by mean nor first token."""
    described = model.path / "modules.json"
    if not described.is_file():
        return "mean"
    modules = json.loads(described.read_text("utf-8"))
    kinds = [str(module["type"]).rpartition(".")[2] for module in modules]
    if kinds not in _MODULES or model.limits.get("do_lower_case"):
        raise UnfitModelError(
            f"CTranslate2 runs a transformer with pooling, not the {' + '.join(kinds)} that"
            f" {described} describes"
        )
    return _pooling(model.path / modules[1]["path"] / "config.json")


def _pooling(path: Path) -> Pooling:
    config = read_json(path)
    modes = [name for name, on in config.items() if name.startswith("pooling_mode_") and on is True]
    mode = config.get("pooling_mode", modes[0] if len(modes) == 1 else modes)
    pooling = _POOLINGS.get(mode) if isinstance(mode, str) else None
    if pooling is None:
        raise UnfitModelError(f"the pooling {mode!r} of {path} is neither mean nor cls")
    return pooling


def _padded(rows: Sequence[TokenIds]) -> tuple[TokenIds, _Numbers]:
    """Token ids (len(rows), longest), filled up with zeros that are never read, and lengths."""
    lengths = np.array([len(row) for row in rows], np.int32)
    ids = np.zeros((len(rows), int(lengths.max())), np.int32)
    for row, values in enumerate(rows):
        ids[row, : len(values)] = values
    return ids, lengths


def _mean(states: Vectors, lengths: _Numbers) -> Vectors:
    """The mean (rows, dimension) of the first `lengths` states (rows, tokens, dimension)."""
    read = np.arange(states.shape[1]) < lengths[:, None]
    mean: Vectors = np.einsum("rtd,rt->rd", states, read.astype(np.float32)) / lengths[:, None]
    return mean.astype(np.float32)


def _unit(vectors: Vectors) -> Vectors:
    unit: Vectors = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    return unit
