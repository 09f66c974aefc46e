"""How retrieval is set up."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field


class RetrievalSettings(BaseModel):
    """How two searches become one ranking."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    fusion: Literal["score", "rank"] = "score"
    """score: convex combination of normalised scores. rank: reciprocal rank fusion."""
    vector_weight: float = Field(default=0.5, ge=0, le=1)
    """The vector side's part in the combination of scores."""
    depth: int = Field(default=200, ge=1)
    """How many chunks each side contributes, at least."""
