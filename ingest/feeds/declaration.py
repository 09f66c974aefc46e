"""`sync.toml`: which sources there are, what is said of all documents of each, and the gates."""

import difflib
import os
import re
import tomllib
from collections.abc import Iterator, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    TypeAdapter,
    ValidationError,
    model_validator,
)

from ingest.errors import RefusedError
from ingest.feeds.allowlist import Rule, canonical, origin
from ingest.feeds.errors import DeclarationError

FILE_NAME = "sync.toml"
_KEYS = ("source", "gate")
_DURATION = re.compile(r"(\d+)\s*([smhdw])")
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


def _duration(value: object) -> object:
    if not isinstance(value, str):
        raise ValueError('write it as text like "30m", "1h" or "1d"')
    if (found := _DURATION.fullmatch(value.strip())) is None or not int(found[1]):
        raise ValueError(f'{value!r} is no duration; write it like "30m", "1h" or "1d"')
    return timedelta(**{_UNITS[found[2]]: int(found[1])})


def _rule(value: object) -> object:
    try:
        Rule.parse(str(value))
    except RefusedError as error:
        raise ValueError(f"{value!r} is neither a host nor the beginning of a URL") from error
    return value


Duration = Annotated[timedelta, BeforeValidator(_duration)]
Scalar: TypeAlias = str | int | float | bool
AllowRule = Annotated[str, BeforeValidator(_rule)]
Name = Annotated[str, Field(pattern=r"^[\w][\w.-]{0,99}$")]
Text = Annotated[str, Field(min_length=1)]


class _Declared(BaseModel):
    """What every kind of source has."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: Name
    collection: Text = "default"
    metadata: dict[str, Scalar] = Field(default_factory=dict)
    """Joins each document's own, which goes first."""
    labels: tuple[Text, ...] = ()
    generator: Text | None = None
    prune: bool = False
    every: Duration | None = None
    """How often `rag sync --due` reads it."""
    enabled: bool = True


class FilesSource(_Declared):
    """Files, folders and patterns; a JSONL file holds one document a line."""

    kind: Literal["files"]
    paths: tuple[Text, ...] = Field(min_length=1)
    """Relative to the declaration's folder."""


class JsonlSource(_Declared):
    """Files in JSONL form, whatever they are called."""

    kind: Literal["jsonl"]
    paths: tuple[Text, ...] = Field(min_length=1)


class FsspecSource(_Declared):
    """A file, a folder or a pattern at any URL that fsspec knows."""

    kind: Literal["fsspec"]
    url: Text | None = None
    url_env: Text | None = None
    options: dict[str, Any] = Field(default_factory=dict)
    """Handed to the protocol's file system as they are."""
    options_env: dict[str, Text] = Field(default_factory=dict)
    """The same, each read from the environment variable that is named."""

    @model_validator(mode="after")
    def _one_url(self) -> "FsspecSource":
        _check_one(self.url, self.url_env)
        if re.match(r"(?i)https?:", self.url or ""):
            raise ValueError('http and https are read by kind = "web"')
        return self


class WebSource(_Declared):
    """Pages, by their URLs or as a sitemap lists them."""

    kind: Literal["web"]
    urls: tuple[Text, ...] = ()
    sitemap: Text | None = None
    allow: tuple[AllowRule, ...] = ()
    """Hosts and beginnings of URLs; none given: the hosts of `urls` and `sitemap`."""
    allow_private: bool = False
    timeout_s: float = Field(default=30, gt=0)
    max_bytes: int = Field(default=64 * 1024 * 1024, ge=1)

    @model_validator(mode="after")
    def _has_pages(self) -> "WebSource":
        if not self.urls and self.sitemap is None:
            raise ValueError("give urls, a sitemap, or both")
        try:
            _ = self.rules
        except RefusedError as error:
            raise ValueError(f"one of its URLs can't be used: {error}") from error
        return self

    @property
    def rules(self) -> tuple[Rule, ...]:
        """What may be fetched."""
        if self.allow:
            return tuple(map(Rule.parse, self.allow))
        named = [*self.urls, *([self.sitemap] if self.sitemap else [])]
        origins = dict.fromkeys(origin(canonical(url)) for url in named)
        return tuple(map(Rule.parse, origins))


class SqlSource(_Declared):
    """The rows of a query."""

    kind: Literal["sql"]
    url: Text | None = None
    url_env: Text | None = None
    query: Text
    id_column: Text
    text_column: Text | None = None
    text_columns: tuple[Text, ...] = ()
    title_column: Text | None = None
    updated_column: Text | None = None
    """Changes with its row: where no row's has, the texts are not read."""

    @model_validator(mode="after")
    def _has_text(self) -> "SqlSource":
        _check_one(self.url, self.url_env)
        if (self.text_column is None) == (not self.text_columns):
            raise ValueError("give one of text_column and text_columns")
        return self

    @property
    def texts(self) -> tuple[str, ...]:
        return self.text_columns or ((self.text_column,) if self.text_column else ())


AnySource: TypeAlias = FilesSource | JsonlSource | FsspecSource | WebSource | SqlSource
_Discriminated = Annotated[AnySource, Field(discriminator="kind")]
_ADAPTER: TypeAdapter[AnySource] = TypeAdapter(_Discriminated)
_KINDS: dict[str, type[_Declared]] = {
    "files": FilesSource,
    "jsonl": JsonlSource,
    "fsspec": FsspecSource,
    "web": WebSource,
    "sql": SqlSource,
}


class GateTable(BaseModel):
    """What a collection must be good for before a new generation of it is served."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    evaluation: Text
    """A folder of judged queries, relative to the declaration's."""
    fail_if: tuple[Text, ...] = Field(min_length=1)
    """Conditions, each like `ndcg@10 < baseline - 0.01`: one that is met holds back what is new."""
    k: int = Field(default=100, ge=1, le=10_000)
    """How many documents of each query count."""


class Declaration(BaseModel):
    """All sources, their collections' gates, and the folder that relative paths start from."""

    model_config = ConfigDict(frozen=True)

    folder: Path
    sources: tuple[AnySource, ...]
    gates: dict[str, GateTable] = Field(default_factory=dict)
    """By collection."""

    def chosen(self, names: Sequence[str]) -> tuple[AnySource, ...]:
        """The sources of these names, in the order of the file; all that are enabled for none.

        Raises `DeclarationError` for a name that is not there.
        """
        known = [source.name for source in self.sources]
        for name in names:
            if name not in known:
                raise DeclarationError(f"there is no source {name!r}{_near(name, known)}")
        if names:
            return tuple(source for source in self.sources if source.name in names)
        return tuple(source for source in self.sources if source.enabled)


def read_declaration(path: Path) -> Declaration:
    """The sources that the file declares.

    Raises `DeclarationError`, in one line that names file, table and key.
    """
    try:
        tables = tomllib.loads(path.read_text("utf-8"))
    except OSError as error:
        said = (error.strerror or str(error)).lower()
        raise DeclarationError(
            f"{path} can't be read: {said}; declare the sources there, or give another file"
            " with --config"
        ) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise DeclarationError(f"{path} is not valid TOML: {error}") from error
    if unknown := [key for key in tables if key not in _KEYS]:
        raise DeclarationError(
            f"{path}: unknown key {unknown[0]!r}{_near(unknown[0], _KEYS)};"
            " it holds [[source]] tables and [gate.COLLECTION] tables only"
        )
    given = tables.get("source", [])
    if not isinstance(given, list) or not given:
        raise DeclarationError(f"{path} declares no source: write each as a [[source]] table")
    sources = tuple(_source(path, number, table) for number, table in enumerate(given, start=1))
    _check_names(path, sources)
    gates = _gates(path, tables.get("gate", {}), {source.collection for source in sources})
    return Declaration(folder=path.resolve().parent, sources=sources, gates=gates)


def _gates(path: Path, given: object, collections: set[str]) -> dict[str, GateTable]:
    if not isinstance(given, dict) or not all(isinstance(one, dict) for one in given.values()):
        raise DeclarationError(
            f"{path}: a gate belongs to a collection: write its table as [gate.default]"
        )
    if unknown := [name for name in given if name not in collections]:
        raise DeclarationError(
            f"{path}: [gate.{unknown[0]}]: no source is of the collection"
            f" {unknown[0]!r}{_near(unknown[0], sorted(collections))}"
        )
    return {name: _gate(path, name, table) for name, table in given.items()}


def _gate(path: Path, name: str, table: dict[str, Any]) -> GateTable:
    try:
        return GateTable.model_validate(table)
    except ValidationError as error:
        raise DeclarationError(f"{path}: [gate.{name}]: {_first(error, GateTable)}") from error


def _source(path: Path, number: int, table: object) -> AnySource:
    where = f"{path}: [[source]] {number}"
    if not isinstance(table, dict):
        raise DeclarationError(f"{where} is no table")
    if isinstance(table.get("name"), str):
        where = f"{where} ({table['name']!r})"
    try:
        return _ADAPTER.validate_python(table)
    except ValidationError as error:
        model = _KINDS.get(str(table.get("kind")))
        raise DeclarationError(f"{where}: {_first(error, model, table.get('kind'))}") from error


def _first(error: ValidationError, model: type[BaseModel] | None, kind: object = None) -> str:
    """What is wrong first, without the value: it may be a secret."""
    first = next((e for e in error.errors() if e["type"] == "extra_forbidden"), error.errors()[0])
    place = [str(part) for part in first["loc"] if part not in _KINDS]
    key = ".".join(place)
    match first["type"]:
        case "union_tag_not_found":
            return f"the key 'kind' is missing; use one of {', '.join(_KINDS)}"
        case "union_tag_invalid":
            near = _near(str(kind), [*_KINDS])
            return f"unknown kind {str(kind)!r}{near}; use one of {', '.join(_KINDS)}"
        case "extra_forbidden":
            return f"unknown key {key!r}{_near(key, [*model.model_fields] if model else [])}"
        case "missing":
            return f"the key {key!r} is missing"
    said = first["msg"].removeprefix("Value error, ")
    return f"the key {key!r}: {said}" if key else said


def _near(name: str, known: Sequence[str]) -> str:
    near = difflib.get_close_matches(name, known, n=1)
    return f"; did you mean {near[0]!r}?" if near else ""


def _check_names(path: Path, sources: Sequence[AnySource]) -> None:
    first: dict[str, int] = {}
    for number, source in enumerate(sources, start=1):
        if (before := first.setdefault(source.name, number)) != number:
            raise DeclarationError(
                f"{path}: [[source]] {number} has the name {source.name!r} of [[source]] {before};"
                " give it one of its own"
            )


def check_pruning(sources: Sequence[AnySource], pruned: Sequence[str]) -> None:
    """Raise `DeclarationError` where one of `pruned` would remove what another source brings."""
    for first, second in _pairs([source for source in sources if isinstance(source, WebSource)]):
        if first.collection != second.collection or not {first.name, second.name} & {*pruned}:
            continue
        if any(one.overlaps(other) for one in first.rules for other in second.rules):
            raise DeclarationError(
                f"the sources {first.name!r} and {second.name!r} allow the same pages of one"
                " collection, so pruning one would remove the other's: make their allow-lists"
                " differ, or make them one source"
            )


def _pairs(sources: Sequence[WebSource]) -> Iterator[tuple[WebSource, WebSource]]:
    for position, source in enumerate(sources):
        for other in sources[position + 1 :]:
            yield source, other


def _check_one(url: str | None, url_env: str | None) -> None:
    if (url is None) == (url_env is None):
        raise ValueError("give one of url and url_env")


def from_environment(variable: str) -> str:
    """The value of an environment variable. Raises `DeclarationError` if there is none."""
    value = os.environ.get(variable, "")
    if not value:
        raise DeclarationError(f"the environment variable {variable} is not set: set it")
    return value
