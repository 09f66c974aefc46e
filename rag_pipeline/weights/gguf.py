"""Weights in GGUF, as a folder that loads in a second: de-quantised once and kept in the cache."""

import logging
from pathlib import Path

from rag_pipeline.errors import GeneratorUnavailableError
from rag_pipeline.weights.convert import check_converter, convert_gguf
from rag_pipeline.weights.converted import ConvertedWeights
from rag_pipeline.weights.errors import PullError
from rag_pipeline.weights.store import ResolvedModel, WeightStore

_log = logging.getLogger(__name__)

_FORM = "gguf-1"
"""Raised when what `convert_gguf` writes changes."""


def dequantised(found: ResolvedModel, store: WeightStore) -> Path:
    """A folder of safetensors with the weights of `found`; its own unless they are in GGUF.

    Raises `PullError` without the packages that read GGUF, `GeneratorUnavailableError` for a file
    that is damaged, or of a model that transformers can't read from GGUF.
    """
    if found.gguf is None:
        return found.folder
    gguf = found.gguf

    def converting(folder: Path) -> None:
        check_converter()
        _log.info("De-quantising %s, once", gguf)
        convert_gguf(gguf, folder)

    kept = ConvertedWeights(store.folder / "converted")
    try:
        return kept.place(f"{_FORM}-{found.weights_sha256[:32]}", converting, store.digests.digest)
    except PullError:
        raise
    # The readers of GGUF have no errors of their own for a file that is none, or is cut short.
    except Exception as error:
        raise GeneratorUnavailableError(
            f"The model {found.name!r} can't be read from {str(gguf)!r}: {error}"
        ) from error
