"""How entities are looked for."""

from pydantic import BaseModel, ConfigDict


class EntitySettings(BaseModel):
    """When texts are looked through for people, organisations, places and terms."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    after_ingest: bool = False
    """At the end of every ingest run; else by whoever asks for entities first."""
