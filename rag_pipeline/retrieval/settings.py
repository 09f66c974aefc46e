"""How retrieval is set up."""

from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field


class FeedbackSettings(BaseModel):
    """How much candidates vouch for each other, beside the two sides, which weigh 1 together.

    The defaults were found by leaving collections out: what was fitted on the others helped, or
    did no harm, on each.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    centroid: float = Field(default=0.6, ge=0)
    """Weight of being like the best texts."""
    neighbours: float = Field(default=0.6, ge=0)
    """Weight of being like candidates that score well."""
    document: float = Field(default=0.2, ge=0)
    """Weight of the whole text's likeness to the query."""


class RetrievalSettings(BaseModel):
    """How two searches become one ranking."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    fusion: Literal["score", "rank"] = "score"
    """score: convex combination of normalised scores. rank: reciprocal rank fusion."""
    vector_weight: float = Field(default=0.5, ge=0, le=1)
    """The vector side's part in the combination of scores."""
    depth: int = Field(default=200, ge=1)
    """How many chunks each side contributes, at least."""
    feedback: FeedbackSettings | None = FeedbackSettings()
    """What candidates say of each other, where scores are combined; None leaves it out."""
    rerank_depth: int = Field(default=30, ge=0)
    """How many of the best are reranked, where there is a reranker."""
    cross_encoder: Path | None = None
    """The folder of a cross-encoder that reranks; None reranks nothing."""
    linear_reranker: Mapping[str, float] | None = None
    """Without a cross-encoder: coefficients of features (`rerank/features.py`) that rerank, as they
    were fitted to the collection. What is fitted to one collection does harm on others."""
