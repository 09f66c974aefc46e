"""What an answer costs, by the table of prices in the settings."""

from collections.abc import Mapping

from pydantic import BaseModel, ConfigDict, Field

_MILLION = 1_000_000


class Price(BaseModel):
    """What a model costs, in the currency that the table is kept in."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    input_per_million: float = Field(default=0, ge=0, allow_inf_nan=False)
    """For a million tokens that it reads."""
    output_per_million: float = Field(default=0, ge=0, allow_inf_nan=False)
    """For a million tokens that it writes."""


def cost(model: str, usage: Mapping[str, int], prices: Mapping[str, Price]) -> float | None:
    """What these tokens cost; None for a model without a price."""
    price = prices.get(model)
    if price is None:
        return None
    read, written = usage.get("prompt_tokens", 0), usage.get("completion_tokens", 0)
    return (read * price.input_per_million + written * price.output_per_million) / _MILLION
