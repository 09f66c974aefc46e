"""An embedder under training: sentence-transformers' model and loss, and our own loop.

sentence-transformers' own trainer needs `datasets` and `accelerate`, some hundred megabytes that
nothing else here wants, and keeps the optimizer's state in pickles; so only the model and the loss
are used: the positive of a question has to be nearer than the positives of the other questions in
the batch and than its own hard negatives (Henderson et al. 2017, arXiv:1705.00652).
"""

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from rag_pipeline.training.errors import TrainingError
from rag_pipeline.tuning.examples import Kinship, Triple
from rag_pipeline.tuning.ranking import RankingSet
from storage.records import Vectors

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

_LAYER = re.compile(r"\.layers?\.(\d+)\.")
_TEXTS_A_PASS = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class EncoderSettings:
    """What of an encoder is trained, and on how much of each text.

    Layers behind the transformer are not."""

    frozen_layers: int = 0
    """From the bottom; the tables of words and positions are frozen in any case if one is."""
    freezes_words: bool = True
    max_tokens: int = 128
    """Of a text, while it is trained and validated; what is saved reads as much as before."""
    scale: float = 20.0
    """What cosines are multiplied by: the inverse of the temperature."""


class EncoderTraining:
    """A task for `training.train`."""

    def __init__(
        self,
        folder: Path,
        triples: Sequence[Triple],
        held_back: RankingSet,
        settings: EncoderSettings,
    ) -> None:
        """Raise `TrainingError` if there is no model in `folder`."""
        from sentence_transformers.sentence_transformer.losses import MultipleNegativesRankingLoss

        self.encoder = load_encoder(folder)
        self._triples = triples
        self._held_back = held_back
        self._settings = settings
        whole = self.encoder.max_seq_length or settings.max_tokens
        self.encoder.max_seq_length = min(settings.max_tokens, whole)
        _freeze(self.encoder, settings)
        self._loss = MultipleNegativesRankingLoss(self.encoder, scale=settings.scale)
        kin = Kinship.among(text for triple in triples for text in triple.passages)
        self._said = [
            {triple.question.casefold(), *(kin.name_of[text] for text in triple.passages)}
            for triple in triples
        ]
        self._negatives = min((len(triple.negatives) for triple in triples), default=0)

    @property
    def model(self) -> torch.nn.Module:
        return self.encoder

    @property
    def examples(self) -> int:
        return len(self._triples)

    def batches(self, order: Sequence[int], size: int) -> list[list[int]]:
        """No two of a batch share a question or a passage: what answers one would count as wrong
        for the other."""
        pending, found = list(order), list[list[int]]()
        while pending:
            batch, said, left = list[int](), set[str](), list[int]()
            for row in pending:
                if len(batch) < size and said.isdisjoint(self._said[row]):
                    batch.append(row)
                    said |= self._said[row]
                else:
                    left.append(row)
            found.append(batch)
            pending = left
        return found

    def loss(self, rows: Sequence[int]) -> Tensor:
        chosen = [self._triples[row] for row in rows]
        columns = [
            [triple.question for triple in chosen],
            [triple.positive for triple in chosen],
            *([triple.negatives[at] for triple in chosen] for at in range(self._negatives)),
        ]
        features = [self.encoder.preprocess(texts) for texts in columns]
        loss: Tensor = self._loss(features, torch.empty(0))
        return loss

    def validate(self) -> float:
        held = self._held_back
        return held.ndcg(
            encoded(self.encoder, [*held.questions.values()]),
            encoded(self.encoder, held.passages),
        )


def load_encoder(folder: Path) -> "SentenceTransformer":
    """The model in `folder`, in float32 on the CPU. Raises `TrainingError` if it can't be read."""
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    from sentence_transformers import SentenceTransformer
    from transformers.utils import logging

    logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    try:
        return SentenceTransformer(str(folder), device="cpu", local_files_only=True).float()
    except (OSError, ValueError, KeyError) as error:
        raise TrainingError(
            f"the embedder in {folder} can't be loaded: {str(error).splitlines()[0]}"
        ) from error


def encoded(encoder: "SentenceTransformer", texts: Sequence[str]) -> Vectors:
    """Unit vectors, float32 (len(texts), dimension), in their order."""
    order = sorted(range(len(texts)), key=lambda at: len(texts[at]))
    found: list[Vectors] = []
    encoder.eval()
    with torch.inference_mode():
        for begin in range(0, len(order), _TEXTS_A_PASS):
            step = [texts[at] for at in order[begin : begin + _TEXTS_A_PASS]]
            vectors = encoder(encoder.preprocess(step))["sentence_embedding"]
            found.append(torch.nn.functional.normalize(vectors, dim=1).numpy())
    every = np.concatenate(found)
    placed = np.empty_like(every)
    placed[order] = every
    return placed


def _freeze(encoder: "SentenceTransformer", settings: EncoderSettings) -> None:
    for name, weight in encoder.named_parameters():
        layer = _LAYER.search(name)
        is_table = "embeddings." in name
        is_behind = not name.startswith("0.")
        is_low = layer is not None and int(layer[1]) < settings.frozen_layers
        is_frozen = is_behind or is_low or (is_table and settings.freezes_words)
        weight.requires_grad = not is_frozen
