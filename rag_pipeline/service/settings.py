"""How the service listens, and what it takes on."""

from typing import Literal

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
    keep_alive_s: float = Field(default=10, gt=0)
    """How often a stream says that it is still there, while an answer is written and checked."""
    body_bytes: int = Field(default=4 * 2**20, ge=2**10)
    """The largest request, but for uploads."""
    upload_bytes: int = Field(default=256 * 2**20, ge=2**10)
    """The largest upload."""
    look_every_s: float = Field(default=1, ge=0)
    """How often each process looks for what was ingested, and takes it into its indexes; 0: only
    when somebody searches."""
    traces: Literal["off", "on", "with_contents"] = "off"
    """Whether spans are sent to where OTEL_EXPORTER_OTLP_ENDPOINT says, and whether with what was
    asked and answered."""
    shutdown_s: float = Field(default=30, ge=0)
    """How long answers under way may go on when the service is told to stop."""
