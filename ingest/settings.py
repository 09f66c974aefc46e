"""How ingestion is set up; read once, in `rag_pipeline.composition`."""

from pydantic import BaseModel, ConfigDict, Field


class ChunkSettings(BaseModel):
    """How texts are cut. After a change, what is ingested next is cut anew."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    max_tokens: int | None = Field(default=None, ge=16)
    """Tokens of the embedder a chunk may have; None: as many as the embedder reads."""
    overlap_tokens: int = Field(default=32, ge=0)
    """Tokens that a chunk may share with the one before it, in whole sentences."""


class BatchSettings(BaseModel):
    """How much goes into one transaction."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    max_documents: int = Field(default=256, ge=1)
    """Documents, before the batch is closed."""
    max_bytes: int = Field(default=1_000_000, ge=1)
    """Bytes read, before the batch is closed: keeps memory flat whatever the documents' size."""


class EmbedSettings(BaseModel):
    """How the embedder uses the machine."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    threads: int | None = Field(default=None, ge=1)
    """Forward passes at the same time, one core each; None: one for each core."""
    batch_tokens: int = Field(default=2048, ge=256)
    """Tokens in one forward pass, padding included."""
