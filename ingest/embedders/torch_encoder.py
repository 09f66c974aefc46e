"""Any sentence-transformers model in torch: the reference that faster runtimes are proven against.

The vectors equal the plain model's to float32 rounding. torch is imported when a model is loaded.
"""

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING

from ingest.embedders.local import TokenizedText
from ingest.embedders.model_folder import ModelFolder
from ingest.errors import EmbeddingError
from storage.records import Vectors

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer


class TorchEncoder:
    """A model that sentence-transformers has loaded."""

    batch_tokens = 2048
    passes_ahead = 0

    def __init__(self, model: "SentenceTransformer") -> None:
        self._model = model

    @classmethod
    def load(cls, model: ModelFolder) -> "TorchEncoder":
        """Read the weights; `EmbeddingError` if they are missing or of another kind."""
        os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
        from sentence_transformers import SentenceTransformer
        from transformers.utils import logging

        logging.disable_progress_bar()  # type: ignore[no-untyped-call]
        try:
            return cls(SentenceTransformer(str(model.path), device="cpu", local_files_only=True))
        except (OSError, ValueError, KeyError) as error:
            reason = str(error).splitlines()[0]
            raise EmbeddingError(
                f"the embedder in {model.path} can't be loaded: {reason}"
            ) from error

    def begin_thread(self) -> None:
        import torch

        torch.set_num_threads(1)

    def encode(self, texts: Sequence[TokenizedText]) -> Vectors:
        import torch

        with torch.inference_mode():
            features = self._model.preprocess([text.text for text in texts])
            vectors = self._model(features)["sentence_embedding"]
            unit: Vectors = torch.nn.functional.normalize(vectors, dim=1).numpy()
            return unit
