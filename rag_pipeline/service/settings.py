"""How the service listens, and what it takes on."""

from pydantic import BaseModel, ConfigDict, Field, SecretStr


class ServiceSettings(BaseModel):
    """Who may call, and how much at once."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    api_key: SecretStr | None = Field(default=None, min_length=16)
    """What callers must show as a bearer token; None: only this machine may call."""
    answering: int = Field(default=2, ge=1)
    """Answers that are written at the same time."""
    searching: int = Field(default=8, ge=1)
    """Other requests that are worked on at the same time."""
    waiting: int = Field(default=32, ge=0)
    """Requests of either kind that may wait for their turn; more are turned away with 429."""
    patience_s: float = Field(default=30, gt=0)
    """How long a request waits for its turn before it is turned away."""
    answer_within_s: float = Field(default=300, gt=0)
    """How long an answer may take in all."""
    body_bytes: int = Field(default=4 * 2**20, ge=2**10)
    """The largest request, but for uploads."""
    upload_bytes: int = Field(default=256 * 2**20, ge=2**10)
    """The largest upload."""
    shutdown_s: float = Field(default=30, ge=0)
    """How long answers under way may go on when the service is told to stop."""
