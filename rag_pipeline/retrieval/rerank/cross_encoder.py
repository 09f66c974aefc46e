"""A reranker that reads query and text together, through any cross-encoder in a local folder."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING

import numpy as np

from rag_pipeline.retrieval.errors import RerankerError
from rag_pipeline.retrieval.rerank.port import RerankCandidate, Reranked, best_first
from storage.ranking import DECIMALS

if TYPE_CHECKING:
    from sentence_transformers import CrossEncoder

_BATCH = 16
_NEEDED = ("config.json", "model.safetensors")


@dataclass(slots=True)
class CrossEncoderReranker:
    """A `Reranker` over a folder as transformers saves a sequence classifier with one output."""

    folder: Path
    _model: "CrossEncoder | None" = None
    _loading: Lock = field(default_factory=Lock)

    def rerank(self, query: str, candidates: Sequence[RerankCandidate]) -> list[Reranked]:
        """Every candidate once, best first; ties go to the lower key.

        The model is loaded with the first call. Raises `RerankerError` where it can't be used.
        """
        if not candidates:
            return []
        pairs = [(query, _shown(candidate)) for candidate in candidates]
        given = self._loaded().predict(pairs, batch_size=_BATCH, show_progress_bar=False)
        scores = np.asarray(given, np.float64)
        if not np.isfinite(scores).all():
            raise RerankerError(f"the cross-encoder in {self.folder} gives scores that are none")
        return best_first(
            [
                Reranked(
                    chunk_id=candidate.chunk.chunk_id,
                    score=score,
                    contributions={"cross_encoder": score},
                )
                for candidate, score in zip(
                    candidates, np.round(scores, DECIMALS).tolist(), strict=True
                )
            ]
        )

    def _loaded(self) -> "CrossEncoder":
        with self._loading:
            self._model = self._model or _opened(self.folder)
            return self._model


def _shown(candidate: RerankCandidate) -> str:
    chunk = candidate.chunk
    return "\n".join(line for line in (chunk.title, *chunk.headings, chunk.text) if line)


def _opened(folder: Path) -> "CrossEncoder":
    if missing := [name for name in _NEEDED if not (folder / name).is_file()]:
        raise RerankerError(
            f"{folder} is no cross-encoder: it lacks {missing[0]}; name a folder that transformers"
            " saved, with weights as safetensors"
        )
    from safetensors import SafetensorError
    from sentence_transformers import CrossEncoder

    try:
        model: CrossEncoder = CrossEncoder(
            str(folder),
            device="cpu",
            local_files_only=True,
            model_kwargs={"use_safetensors": True},
        )
    except (OSError, ValueError, KeyError, RuntimeError, SafetensorError) as error:
        raise RerankerError(f"the cross-encoder in {folder} can't be loaded: {error}") from error
    if model.num_labels != 1:
        raise RerankerError(
            f"the model in {folder} has {model.num_labels} outputs: a reranker needs one score"
        )
    return model
