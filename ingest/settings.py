"""How ingestion is set up; read once, in `rag_pipeline.composition`."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field


class ChunkSettings(BaseModel):
    """How texts are cut. After a change, what is ingested next is cut anew."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    max_tokens: int | None = Field(default=None, ge=16)
    """Tokens of the embedder a chunk may have; None: as many as the embedder reads."""
    overlap_tokens: int = Field(default=0, ge=0)
    """Tokens that a chunk may share with the one before it, in whole sentences of one section."""
    by_structure: bool = True
    """Cut at headings and paragraphs where that is possible; False: between sentences only."""


class DedupSettings(BaseModel):
    """What is done about texts and lines that come again. Equal texts are always stored once."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    near_duplicates: Literal["keep", "link", "skip"] = "link"
    """Of a text that is nearly the same as a stored one: keep treats it like any other, link also
    notes which one it is like, skip keeps it out of search for as long as the other is there."""
    min_similarity: float = Field(default=0.7, ge=0.5, le=1)
    """Which share of the shorter text has to stand in the longer one."""
    boilerplate_after: int = Field(default=5, ge=0)
    """A line at the edges of so many texts is not embedded: a letterhead, a signature. 0: never."""


class BatchSettings(BaseModel):
    """How much goes into one transaction."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    max_documents: int = Field(default=256, ge=1)
    """Documents, before the batch is closed."""
    max_bytes: int = Field(default=500_000, ge=1)
    """Bytes read, before the batch is closed: keeps memory flat whatever the documents' size, and
    the work that Ctrl-C waits for short."""


class EmbedSettings(BaseModel):
    """How the embedder uses the machine."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    runtime: Literal["auto", "ctranslate2", "torch"] = "auto"
    """What runs the model. CTranslate2 runs the BERT family with 8-bit weights, several times as
    fast and without torch; auto: that, where it is proven to say the same as torch, else torch."""
    threads: int | None = Field(default=None, ge=1)
    """Forward passes at the same time, one core each; None: one for each core."""
    batch_tokens: int | None = Field(default=None, ge=256)
    """Tokens in one forward pass, padding included; None: what suits the runtime."""


class ParseSettings(BaseModel):
    """What reading one file may take, and what it may grow to."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    timeout_s: float = Field(default=60, gt=0)
    """Seconds for one file with all that is inside it."""
    memory_mb: int = Field(default=1024, ge=256)
    """Memory of the process that parses."""
    max_text_chars: int = Field(default=64 * 1024 * 1024, ge=1)
    """Characters of text from one file with all that is inside it."""
    max_members: int = Field(default=1000, ge=1)
    """Files inside one file, at all depths."""
    max_depth: int = Field(default=4, ge=1)
    """Files inside files inside files."""
    max_expanded_mb: int = Field(default=512, ge=1)
    """All members of one file together, unpacked."""
    max_ratio: int = Field(default=200, ge=2)
    """How many times larger than the file its unpacked members may be."""
    ocr: bool = False
    """Read scanned pages and images; needs the extra `ocr`."""
