"""Which runtime an embedder runs on: the fast one where it is proven to be faithful, else torch."""

import hashlib
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from ingest.embedders.errors import UnfitModelError
from ingest.embedders.local import LocalEmbedder, TextEncoder, available_cores
from ingest.embedders.model_folder import ModelFolder
from ingest.settings import EmbedSettings
from rag_pipeline.weights.converted import ConvertedWeights
from rag_pipeline.weights.store import ResolvedModel

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class EmbedderRuntimes:
    """Opens embedders as the settings say; converted weights are kept below `cache`."""

    settings: EmbedSettings
    cache: Path

    def open(self, found: ResolvedModel) -> LocalEmbedder:
        """The embedder in a folder of weights; it chooses its runtime when it first embeds."""
        model = ModelFolder(found.folder)
        return LocalEmbedder(
            model,
            lambda: self._load(found, model),
            name=found.name,
            weights_sha256=found.weights_sha256,
            threads=self.settings.threads,
            batch_tokens=self.settings.batch_tokens,
        )

    def prepare(self, found: ResolvedModel) -> str:
        """Convert what has to be converted, and say in a few words what the model runs on."""
        if self.settings.runtime == "torch":
            return "runs on torch"
        try:
            self._files(found, ModelFolder(found.folder))
        except UnfitModelError as error:
            if self.settings.runtime != "auto":
                raise
            return f"runs on torch: {error}"
        return "runs on CTranslate2 with 8-bit weights"

    def _load(self, found: ResolvedModel, model: ModelFolder) -> TextEncoder:
        if self.settings.runtime == "torch":
            return _on_torch(model)
        try:
            return self._on_ctranslate2(found, model)
        except UnfitModelError as error:
            if self.settings.runtime != "auto":
                raise
            _log.warning("The embedder %r runs on torch, more slowly: %s", found.name, error)
            return _on_torch(model)

    def _on_ctranslate2(self, found: ResolvedModel, model: ModelFolder) -> TextEncoder:
        from ingest.embedders.int8_encoder import Int8Encoder

        threads = self.settings.threads or available_cores()
        return Int8Encoder.load(model, self._files(found, model), threads=threads)

    def _files(self, found: ResolvedModel, model: ModelFolder) -> Mapping[str, bytes]:
        from ingest.embedders.int8_conversion import check_supported, convert, converter_version

        check_supported(model)
        about = (found.weights_sha256, model.settings_sha256(), converter_version())
        key = hashlib.sha256("\n".join(about).encode()).hexdigest()[:32]

        def converting(folder: Path) -> None:
            _log.info("Converting the weights of %r for CTranslate2, once", found.name)
            convert(model, folder)

        try:
            return ConvertedWeights(self.cache / "converted").files(key, converting)
        except OSError as error:
            raise UnfitModelError(
                f"converted weights can't be kept in {self.cache}: {error.strerror};"
                " give another folder with RAG_CACHE_DIR"
            ) from error


def _on_torch(model: ModelFolder) -> TextEncoder:
    from ingest.embedders.torch_encoder import TorchEncoder

    return TorchEncoder.load(model)
