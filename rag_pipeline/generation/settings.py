"""How answers are generated."""

from pydantic import BaseModel, ConfigDict, Field

from rag_pipeline.generation.language_model import Sampling


class GenerationSettings(BaseModel):
    """What the model is shown, and how much it may write."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    passages: int = Field(default=5, ge=1)
    """Search results that count as evidence for an answer."""
    sentences: int = Field(default=4, ge=1)
    """Sentences of the evidence that the model is shown, at most."""
    shown_tokens: int = Field(default=800, ge=64)
    """Tokens of evidence that the model is shown, at most."""
    max_new_tokens: int = Field(default=96, ge=1)
    """Tokens that the model may write."""
    temperature: float = Field(default=0.0, ge=0)
    """0: always the likeliest next token, so that the same prompt gives the same answer."""
    top_p: float = Field(default=1.0, gt=0, le=1)
    """Above temperature 0: draw only from the likeliest tokens that reach this probability."""
    seed: int = 0
    """Above temperature 0: the same seed draws the same tokens."""

    @property
    def sampling(self) -> Sampling:
        """How the next token is chosen, unless whoever asks says otherwise."""
        return Sampling(
            max_new_tokens=self.max_new_tokens,
            temperature=self.temperature,
            top_p=self.top_p,
            seed=self.seed,
        )
