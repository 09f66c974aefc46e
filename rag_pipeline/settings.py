"""All settings, read once, in `composition.py`; everything below it receives plain values.

They come from, later ones first: what the caller passes, the environment (`RAG_…`, sections with
two underscores: `RAG_RETRIEVAL__DEPTH`), and `settings.toml` in the home.
"""

import os
from pathlib import Path
from typing import Any

from platformdirs import user_cache_path, user_data_path
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

from ingest.settings import (
    BatchSettings,
    ChunkSettings,
    DedupSettings,
    EmbedSettings,
    ParseSettings,
)
from rag_pipeline.entities.settings import EntitySettings
from rag_pipeline.errors import SettingsError
from rag_pipeline.generation.cost import Price
from rag_pipeline.generation.settings import GenerationSettings
from rag_pipeline.history.settings import RetentionPolicy
from rag_pipeline.retrieval.settings import RetrievalSettings
from rag_pipeline.service.settings import ServiceSettings

_APP = "rag-pipeline"
_PREFIX = "RAG_"


def default_home() -> Path:
    """The platform's folder for a user's data."""
    return user_data_path(_APP)


def default_cache() -> Path:
    """The platform's folder for what can be fetched again: model weights."""
    return user_cache_path(_APP)


class CollectionSettings(BaseModel):
    """What is set up otherwise for one collection; None: as for all."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    chunking: ChunkSettings | None = None
    dedup: DedupSettings | None = None


class Settings(BaseSettings):
    """How one pipeline is set up."""

    model_config = SettingsConfigDict(
        env_prefix=_PREFIX,
        env_nested_delimiter="__",
        env_ignore_empty=True,
        extra="forbid",
        frozen=True,
    )

    home: Path = Field(default_factory=default_home)
    """Database, index snapshots and `settings.toml` of an embedded install."""
    cache_dir: Path = Field(default_factory=default_cache)
    """Model weights, shared by all homes."""
    database_url: str | None = None
    """Where the truth is kept; None: SQLite in the home."""
    database_patience_s: float = Field(default=60, ge=0)
    """How long a run that loses its database waits for it to come back, and goes on."""
    embedder: str = "minilm"
    """A model of `rag models list`, a registered one (version:NAME, version:NAME@3), a local
    folder, or a hub name like org/model."""
    generator: str = "smollm2"
    """A model of `rag models list`, a registered one (version:NAME, version:NAME@3), a local folder
    or GGUF file, a hub name like org/model, the address of a server that speaks OpenAI's protocol
    (https://…/v1), or `extractive`: no model."""
    parsing: ParseSettings = ParseSettings()
    chunking: ChunkSettings = ChunkSettings()
    dedup: DedupSettings = DedupSettings()
    collections: dict[str, CollectionSettings] = Field(default_factory=dict)
    """By name, in `settings.toml`: `[collections.letters.dedup]`."""
    batching: BatchSettings = BatchSettings()
    embedding: EmbedSettings = EmbedSettings()
    retrieval: RetrievalSettings = RetrievalSettings()
    generation: GenerationSettings = GenerationSettings()
    prices: dict[str, Price] = Field(default_factory=dict)
    """By a model's name, in `settings.toml`: `[prices."gpt-4.1"]`. Answers' costs are on record."""
    entities: EntitySettings = EntitySettings()
    service: ServiceSettings = ServiceSettings()
    retention: dict[str, RetentionPolicy] = Field(default_factory=dict)
    """By application, in `settings.toml`: `[retention.chat]`; `"*"` is every other one."""

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        toml = TomlConfigSettingsSource(settings_cls, _file(init_settings().get("home")))
        return init_settings, env_settings, toml


def _file(home: Path | str | None) -> Path:
    """The file of settings: in the `home` that is given, else in that of the environment."""
    return Path(home or os.environ.get("RAG_HOME") or default_home()) / "settings.toml"


def load_settings(**given: Any) -> Settings:
    """The settings, with those that are `given` (and not None) before all others.

    Raises `SettingsError` naming the setting and where it came from.
    """
    if given.get("home") == "":
        raise SettingsError("the home is empty; name a folder, or leave it out for the usual one")
    chosen = {name: value for name, value in given.items() if value is not None}
    _check_environment()
    try:
        return Settings(**chosen)
    except ValidationError as error:
        first = error.errors()[0]
        name = ".".join(str(part) for part in first["loc"])
        raise SettingsError(
            f"the setting {name!r} can't be used: {first['msg']}; correct it in the environment"
            f" or in {_file(given.get('home'))}"
        ) from error
    except (OSError, ValueError) as error:
        raise SettingsError(
            f"the settings can't be read: {error}; correct the environment"
            f" or {_file(given.get('home'))}"
        ) from error


def _check_environment() -> None:
    """A mistyped section would be passed over in silence; a mistyped name should not."""
    known = {f"{_PREFIX}{name}".upper() for name in Settings.model_fields}
    for name in os.environ:
        if name.upper().startswith(_PREFIX) and name.upper().split("__")[0] not in known:
            shown = ", ".join(sorted(known))
            raise SettingsError(f"the variable {name} is unknown; unset it, or use one of: {shown}")
