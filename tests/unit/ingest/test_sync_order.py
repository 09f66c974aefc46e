"""The order of a sync: one source after the other, whatever becomes of the one before."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from ingest.errors import IngestError, PathError
from ingest.feed import Feed, Resource
from ingest.feeds.declaration import AnySource, Declaration, FilesSource, FsspecSource, SqlSource
from ingest.feeds.errors import DeclarationError
from ingest.pipeline import SourceDefaults
from ingest.report import IngestReport
from ingest.sync import Outcome, Sync, SyncOptions, opened_feed
from storage.errors import LeaseBusyError
from storage.records import Origin, RunId

NOW = datetime(2026, 1, 2, 12, tzinfo=UTC)


@dataclass
class Recorder:
    """Ingestion that lists its feed and remembers what it was asked for."""

    busy: set[str] = field(default_factory=set)
    asked: list[tuple[str, str, bool]] = field(default_factory=list)
    defaults: list[SourceDefaults] = field(default_factory=list)
    ended: list[str] = field(default_factory=list)
    source: str = ""

    @contextmanager
    def open(self, source: AnySource, defaults: SourceDefaults) -> Iterator[Any]:
        if source.name in self.busy:
            raise LeaseBusyError("another process is writing")
        self.source = source.name
        self.defaults.append(defaults)
        yield self

    def run(self, feed: Feed, *, prune: bool = False) -> IngestReport:
        try:
            return self._done("run", feed, prune)
        except IngestError as error:
            self.ended.append(str(error))
            raise

    def preview(self, feed: Feed, *, prune: bool = False) -> IngestReport:
        return self._done("preview", feed, prune)

    def _done(self, what: str, feed: Feed, prune: bool) -> IngestReport:
        self.asked.append((what, self.source, prune))
        for item in feed.resources():
            if isinstance(item, Resource):
                list(item.read(None))
        return IngestReport(run_id=RunId("1"), generation=1)


def files(name: str, *paths: str, **said: object) -> FilesSource:
    return FilesSource(kind="files", name=name, paths=paths or (".",), **said)


def synced(
    folder: Path,
    *sources: AnySource,
    recorder: Recorder | None = None,
    names: tuple[str, ...] = (),
    last: dict[str, datetime] | None = None,
    **options: bool,
) -> list[Outcome]:
    order = Sync(
        declaration=Declaration(folder=folder, sources=sources),
        open_ingestion=(recorder or Recorder()).open,
        last_completed=(last or {}).get,
        now=lambda: NOW,
        database_patience_s=0,
    )
    return list(order.run(names, SyncOptions(**options)))


def statuses(outcomes: list[Outcome]) -> dict[str, str]:
    return {outcome.source.name: outcome.status for outcome in outcomes}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "a.txt").write_text("text")
    return tmp_path


def test_each_source_is_a_run_of_its_own_in_the_order_of_the_file(folder: Path) -> None:
    recorder = Recorder()
    synced(folder, files("b", prune=True), files("a"), recorder=recorder)
    assert recorder.asked == [("run", "b", True), ("run", "a", False)]


def test_the_option_prunes_all_and_a_dry_run_only_looks(folder: Path) -> None:
    recorder = Recorder()
    synced(folder, files("a"), recorder=recorder, prune=True, dry_run=True)
    assert recorder.asked == [("preview", "a", True)]


def test_what_is_declared_of_a_source_is_said_of_its_documents(folder: Path) -> None:
    recorder = Recorder()
    said = files("a", metadata={"year": 7}, labels=("x",), generator="gan-1")
    synced(folder, said, files("b"), recorder=recorder)
    first, second = recorder.defaults
    assert (first.origin, first.generator_id) == (Origin.SYNTHETIC, "gan-1")
    assert (dict(first.metadata), first.read_labels) == ({"year": 7}, frozenset({"x"}))
    assert (second.origin, second.generator_id) == (Origin.REAL, None)


def test_a_source_that_fails_says_why_on_record_and_the_others_go_on(folder: Path) -> None:
    recorder = Recorder()
    sources = (
        files("gone", "no-such-folder"),
        files("nothing", "*.nothing"),
        FsspecSource(kind="fsspec", name="bucket", url="memory://no-such"),
        FsspecSource(kind="fsspec", name="variable", url_env="NO_SUCH_VARIABLE_AT_ALL"),
        SqlSource(
            kind="sql", name="sql", url="sqlite:////no/such.db", query="SELECT 1",
            id_column="id", text_column="text",
        ),
        files("fine"),
    )  # fmt: skip
    outcomes = synced(folder, *sources, recorder=recorder)
    assert statuses(outcomes) == dict.fromkeys(
        ["gone", "nothing", "bucket", "variable", "sql"], "failed"
    ) | {"fine": "completed"}
    errors = [outcome.error for outcome in outcomes if outcome.status == "failed"]
    assert recorder.ended == errors
    for error, said in zip(
        errors,
        ["no-such-folder", "*.nothing", "memory://no-such", "NO_SUCH_VARIABLE_AT_ALL", "such.db"],
        strict=True,
    ):
        assert said in str(error)
        assert "\n" not in str(error)


def test_a_dry_run_leaves_no_record_of_what_fails(folder: Path) -> None:
    recorder = Recorder()
    (outcome,) = synced(folder, files("gone", "nowhere"), recorder=recorder, dry_run=True)
    assert (outcome.status, recorder.ended) == ("failed", [])


def test_where_another_writer_is_at_work_the_rest_is_left_to_it(folder: Path) -> None:
    recorder = Recorder(busy={"b"})
    outcomes = synced(folder, files("a"), files("b"), files("c"), recorder=recorder)
    assert statuses(outcomes) == {"a": "completed", "b": "busy", "c": "busy"}


@pytest.mark.parametrize(
    ("ago", "status"),
    [
        (timedelta(minutes=59, seconds=30), "completed"),
        (timedelta(minutes=58), "not_due"),
        (timedelta(hours=3), "completed"),
        (timedelta(), "not_due"),
        (None, "completed"),
    ],
)
def test_a_source_is_due_when_its_time_has_passed(
    folder: Path, ago: timedelta | None, status: str
) -> None:
    last = {} if ago is None else {"a": NOW - ago}
    (outcome,) = synced(folder, files("a", every="1h"), last=last, due_only=True)
    assert outcome.status == status
    (always,) = synced(folder, files("a", every="1h"), last=last)
    assert always.status == "completed"


def test_a_source_without_a_time_is_always_due(folder: Path) -> None:
    (outcome,) = synced(folder, files("a"), last={"a": NOW}, due_only=True)
    assert outcome.status == "completed"


def test_nothing_is_done_for_a_name_that_is_not_declared(folder: Path) -> None:
    recorder = Recorder()
    with pytest.raises(DeclarationError, match="'b'"):
        synced(folder, files("a"), names=("a", "b"), recorder=recorder)
    assert recorder.asked == []


def found_in(folder: Path, *paths: str) -> tuple[Feed, list[str]]:
    with opened_feed(files("a", *paths), folder) as feed:
        return feed, [Path(item.uri).relative_to(folder).as_posix() for item in feed.resources()]


def test_patterns_start_from_the_folder_of_the_declaration(tmp_path: Path) -> None:
    for name in ("a.md", "a.txt", "x/b.md", "x/y/c.md", "z[1].md"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("text")
    feed, found = found_in(tmp_path, "**/*.md")
    assert sorted(found) == ["a.md", "x/b.md", "x/y/c.md", "z[1].md"]
    assert feed.covers(str(tmp_path / "x/gone.md"))
    assert not feed.covers(str(tmp_path / "a.txt"))
    assert found_in(tmp_path, "?.md")[1] == ["a.md"]
    assert found_in(tmp_path, "[ab].[!t]*")[1] == ["a.md"]
    assert sorted(found_in(tmp_path, "a.txt", "*.md", "x/*")[1]) == [
        "a.md",
        "a.txt",
        "x/b.md",
        "z[1].md",
    ]


def test_a_pattern_in_a_folder_that_is_away_fails_the_source(tmp_path: Path) -> None:
    with pytest.raises(PathError), opened_feed(files("a", "mount/*.md"), tmp_path) as feed:
        list(feed.resources())


def test_jsonl_may_be_called_anything(tmp_path: Path) -> None:
    (tmp_path / "export.dat").write_text('{"_id": "7", "text": "x"}\n')
    (outcome,) = synced(
        tmp_path,
        *Declaration.model_validate(
            {
                "folder": tmp_path,
                "sources": [{"kind": "jsonl", "name": "j", "paths": ["*.dat"]}],
            }
        ).sources,
    )
    assert outcome.status == "completed"
