"""How entities are looked for."""

from pydantic import BaseModel, ConfigDict


class EntitySettings(BaseModel):
    """Whether texts are looked through for people, organisations, places and terms."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    enabled: bool = True
    """Look through what an ingest run brought, at its end; off: only `rag entities update` does."""
