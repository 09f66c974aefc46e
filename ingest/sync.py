"""The order of a sync: each declared source in turn, each a run of its own.

A source that fails is named with its reason, nothing of it is pruned, and the others go on.
"""

import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Literal

from ingest.errors import IngestError
from ingest.feed import Feed, Resource
from ingest.feeds.declaration import (
    AnySource,
    Declaration,
    FilesSource,
    FsspecSource,
    JsonlSource,
    SqlSource,
    WebSource,
    check_pruning,
    from_environment,
)
from ingest.feeds.errors import FeedError
from ingest.feeds.fetching import Fetcher, PageLimits
from ingest.feeds.files import MatchingFiles, SeveralFeeds
from ingest.feeds.remote import RemoteFeed
from ingest.feeds.sql import Columns, SqlFeed
from ingest.feeds.web import WebFeed
from ingest.load import FileFeed
from ingest.pipeline import Ingestion
from ingest.read import SourceDefaults
from ingest.records import Refusal
from ingest.report import IngestReport
from ingest.resume import resumed
from storage.errors import LeaseBusyError, StorageError
from storage.records import Origin
from storage.sql_source import SqlSource as SqlQuery

Status = Literal["completed", "failed", "busy", "not_due"]
"""busy: another writer was at work, and nothing was done."""

_SLACK = timedelta(minutes=1)
"""A timer that comes a little early still finds what it comes for due."""

OpenIngestion = Callable[[AnySource, SourceDefaults], AbstractContextManager[Ingestion]]
"""Ingestion for one source, under the writer's lease. Raises `LeaseBusyError`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SyncOptions:
    """What the caller says of all sources."""

    prune: bool = False
    """Of all sources, also where the declaration does not say so."""
    dry_run: bool = False
    due_only: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How one source came out."""

    source: AnySource
    status: Status
    seconds: float = 0.0
    report: IngestReport | None = None
    error: str | None = None

    def as_json(self) -> Mapping[str, Any]:
        """The stable interface; keys may be added, none is changed or removed."""
        said: dict[str, Any] = {
            "name": self.source.name,
            "collection": self.source.collection,
            "status": self.status,
        }
        if self.report is not None:
            said["report"] = self.report.as_json()
        if self.error is not None:
            said["error"] = self.error
        return said


@dataclass(frozen=True, slots=True, kw_only=True)
class Sync:
    """Brings the sources of one declaration up to date."""

    declaration: Declaration
    open_ingestion: OpenIngestion
    last_completed: Callable[[str], datetime | None]
    """When the last completed run of the source of that name began."""
    now: Callable[[], datetime]
    database_patience_s: float
    """See `ingest.resume`."""

    def run(self, names: Sequence[str], options: SyncOptions) -> Iterator[Outcome]:
        """The outcome of each chosen source, as soon as it is known.

        Raises `DeclarationError`, before anything is done, for an unknown name and for sources
        that would prune each other. Where another writer is at work, the rest is left to it.
        """
        chosen = self.declaration.chosen(names)
        pruned = [source.name for source in chosen if source.prune or options.prune]
        check_pruning([s for s in self.declaration.sources if s.enabled or s in chosen], pruned)
        return self._outcomes(chosen, options)

    def _outcomes(self, chosen: Sequence[AnySource], options: SyncOptions) -> Iterator[Outcome]:
        busy: str | None = None
        for source in chosen:
            if options.due_only and not self._is_due(source):
                yield Outcome(source=source, status="not_due")
            elif busy is not None:
                yield Outcome(source=source, status="busy", error=busy)
            else:
                outcome = self._outcome(source, options)
                busy = outcome.error if outcome.status == "busy" else None
                yield outcome

    def _is_due(self, source: AnySource) -> bool:
        last = self.last_completed(source.name)
        if source.every is None or last is None:
            return True
        return self.now() >= last + source.every - min(_SLACK, source.every / 10)

    def _outcome(self, source: AnySource, options: SyncOptions) -> Outcome:
        started = time.monotonic()
        try:
            report = resumed(
                lambda: self._ingested(source, options), patience_s=self.database_patience_s
            )
        except LeaseBusyError as error:
            return Outcome(source=source, status="busy", error=str(error))
        except (IngestError, StorageError) as error:
            seconds = time.monotonic() - started
            return Outcome(source=source, status="failed", seconds=seconds, error=str(error))
        seconds = time.monotonic() - started
        return Outcome(source=source, status="completed", seconds=seconds, report=report)

    def _ingested(self, source: AnySource, options: SyncOptions) -> IngestReport:
        prune = source.prune or options.prune
        with self.open_ingestion(source, _defaults(source)) as ingestion, ExitStack() as opened:
            feed = _feed_or_reason(source, self.declaration.folder, opened)
            if options.dry_run:
                return ingestion.preview(feed, prune=prune)
            return ingestion.run(feed, prune=prune)


@dataclass(frozen=True, slots=True)
class _UnopenedFeed:
    """A source that can't be opened; that is said within its run, so that it is on record."""

    error: IngestError

    def resources(self) -> Iterator[Resource | Refusal]:
        raise self.error

    def covers(self, _uri: str) -> bool:
        return False


def _feed_or_reason(source: AnySource, folder: Path, opened: ExitStack) -> Feed:
    try:
        return opened.enter_context(opened_feed(source, folder))
    except IngestError as error:
        return _UnopenedFeed(error)


def _defaults(source: AnySource) -> SourceDefaults:
    return SourceDefaults(
        origin=Origin.REAL if source.generator is None else Origin.SYNTHETIC,
        generator_id=source.generator,
        read_labels=frozenset(source.labels),
        metadata=source.metadata,
    )


@contextmanager
def opened_feed(source: AnySource, folder: Path) -> Iterator[Feed]:
    """The feed of a source whose relative paths start from `folder`, until this ends.

    Raises `DeclarationError` for a missing environment variable, `FeedError` or `PathError` for
    what is not there.
    """
    match source:
        case FilesSource():
            yield _files(source, folder)
        case JsonlSource():
            yield _jsonl(source, folder)
        case FsspecSource():
            yield _remote(source)
        case SqlSource():
            yield _sql(source)
        case WebSource():
            limits = PageLimits(timeout_s=source.timeout_s, max_bytes=source.max_bytes)
            with Fetcher.open(source.rules, limits, allow_private=source.allow_private) as fetcher:
                yield WebFeed(fetcher=fetcher, urls=source.urls, sitemap=source.sitemap)


def _files(source: FilesSource, folder: Path) -> Feed:
    return MatchingFiles.of([_absolute(path, folder) for path in source.paths], FileFeed)


def _jsonl(source: JsonlSource, folder: Path) -> Feed:
    places = (_absolute(path, folder) for path in source.paths)
    return SeveralFeeds(tuple(RemoteFeed(url=f"file://{at}", format="jsonl") for at in places))


def _absolute(path: str, folder: Path) -> str:
    return Path(os.path.normpath(folder / Path(path).expanduser())).as_posix()


def _remote(source: FsspecSource) -> Feed:
    secret = {name: from_environment(var) for name, var in source.options_env.items()}
    return RemoteFeed(url=_url(source.url, source.url_env), options={**source.options, **secret})


def _sql(source: SqlSource) -> Feed:
    url = _url(source.url, source.url_env)
    try:
        query = SqlQuery.at(url, source.query)
    except StorageError as error:
        raise FeedError(f"the URL of its database can't be used: {error}") from error
    columns = Columns(
        id=source.id_column,
        text=source.texts,
        title=source.title_column,
        updated=source.updated_column,
    )
    return SqlFeed(uri=f"{query.place}#{source.name}", columns=columns, rows=query.rows)


def _url(given: str | None, variable: str | None) -> str:
    return given if given is not None else from_environment(variable or "")
