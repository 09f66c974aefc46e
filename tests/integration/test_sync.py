"""Declared sources into real databases: what is gone goes, what can't be read stays."""

import json
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import fsspec
import pytest
from sqlalchemy import MetaData, create_engine, select, text
from support.pipelines import parts_of, word_pipeline
from support.website import WebSite, served

from ingest.feeds.errors import DeclarationError
from ingest.sync import Outcome, SyncOptions
from rag_pipeline.pipeline import RagPipeline
from rag_pipeline.syncing import SyncRequest, sync
from storage.engine import Database
from storage.lease import writer_lease
from storage.runs import Runs


@pytest.fixture
def rag(tmp_path: Path, database_url: str) -> Iterator[RagPipeline]:
    with word_pipeline(tmp_path / "kb", database=database_url) as opened:
        yield opened


@pytest.fixture
def site() -> Iterator[WebSite]:
    with served() as site:
        yield site


@pytest.fixture
def docs(tmp_path: Path) -> Path:
    folder = tmp_path / "kb" / "docs"
    folder.mkdir(parents=True)
    (folder / "bees.txt").write_text("Bees dance to show where flowers are.")
    (folder / "tea.md").write_text("# Tea\n\nTea is made from leaves.")
    return folder


FILES = '[[source]]\nname = "docs"\nkind = "files"\npaths = ["docs"]\nprune = true\n'


def declare(tmp_path: Path, *tables: str) -> None:
    (tmp_path / "kb").mkdir(exist_ok=True)
    (tmp_path / "kb/sync.toml").write_text("\n".join(tables), "utf-8")


def synced(rag: RagPipeline, *names: str, **options: bool) -> dict[str, Outcome]:
    request = SyncRequest(names=names, options=SyncOptions(**options), wait=False)
    return {outcome.source.name: outcome for outcome in sync(parts_of(rag), request)}


def counts(outcome: Outcome) -> dict[str, int]:
    assert outcome.report is not None, outcome.error
    return {name: n for name, n in outcome.report.as_json()["documents"].items() if n}


def found(rag: RagPipeline, query: str, **options: object) -> set[str]:
    hits = rag.search(query, limit=100, **options).hits
    return {ref.external_id for hit in hits for ref in hit.chunk.sources}


def dump(url: str) -> dict[str, list[tuple[object, ...]]]:
    """Everything in the database."""
    engine = create_engine(url)
    metadata = MetaData()
    metadata.reflect(engine)
    with engine.connect() as connection:
        rows = {
            table.name: sorted((tuple(row) for row in connection.execute(select(table))), key=repr)
            for table in metadata.sorted_tables
        }
    engine.dispose()
    return rows


def test_a_folder_is_kept_in_step_and_what_is_declared_goes_with_its_documents(
    rag: RagPipeline, docs: Path, tmp_path: Path
) -> None:
    declare(tmp_path, FILES + 'metadata = { team = "garden" }\n')
    assert counts(synced(rag)["docs"]) == {"new": 2}
    hit = rag.search("dance of bees", mode="keyword").hits[0]
    assert dict(hit.chunk.sources[0].metadata)["team"] == "garden"
    assert counts(synced(rag)["docs"]) == {"unchanged": 2}
    (docs / "bees.txt").unlink()
    assert counts(synced(rag)["docs"]) == {"unchanged": 1, "deleted": 1}
    assert found(rag, "bees") == found(rag, "leaves")
    assert rag.doctor().differences == ()


def test_a_pattern_does_not_prune_what_it_does_not_match(
    rag: RagPipeline, docs: Path, tmp_path: Path
) -> None:
    rag.ingest(docs)
    declare(tmp_path, FILES.replace('"docs"]', '"docs/*.md"]'))
    assert counts(synced(rag)["docs"]) == {"unchanged": 1}
    (docs / "more.md").write_text("Coffee is made from beans.")
    assert counts(synced(rag)["docs"]) == {"unchanged": 1, "new": 1}
    (docs / "tea.md").unlink()
    assert counts(synced(rag)["docs"]) == {"unchanged": 1, "deleted": 1}
    assert "bees.txt" in found(rag, "bees")


def test_a_folder_that_is_away_fails_its_source_and_nothing_is_pruned(
    rag: RagPipeline, docs: Path, tmp_path: Path
) -> None:
    declare(tmp_path, FILES)
    synced(rag)
    docs.rename(tmp_path / "elsewhere")
    outcome = synced(rag)["docs"]
    assert outcome.status == "failed"
    assert "bees.txt" in found(rag, "bees")
    newest = Runs(parts_of(rag).database).latest()[0]
    assert (newest.status, newest.source_name) == ("failed", "docs")
    assert newest.report["error"] == outcome.error


def test_a_dry_run_says_what_would_change_and_changes_nothing(
    rag: RagPipeline, docs: Path, tmp_path: Path, database_url: str
) -> None:
    declare(tmp_path, FILES)
    before = dump(database_url)
    assert counts(synced(rag, dry_run=True)["docs"]) == {"new": 2}
    assert dump(database_url) == before
    synced(rag)
    (docs / "bees.txt").unlink()
    (docs / "tea.md").write_text("# Tea\n\nTea is made from water.")
    (docs / "new.txt").write_text("Rye bread.")
    before = dump(database_url)
    said = counts(synced(rag, dry_run=True)["docs"])
    assert dump(database_url) == before
    assert said == {"new": 1, "changed": 1, "deleted": 1}
    assert counts(synced(rag)["docs"]) == said


def web(site: WebSite, *paths: str) -> str:
    urls = json.dumps([site.url + path for path in paths])
    return (
        f'[[source]]\nname = "web"\nkind = "web"\nurls = {urls}\nallow_private = true\n'
        "prune = true\n"
    )


def test_pages_are_asked_for_only_while_they_change_and_pruned_when_they_are_gone(
    rag: RagPipeline, site: WebSite, tmp_path: Path
) -> None:
    site.put("/a", "Bees dance.", ETag='"1"', Content_Type="text/plain")
    site.put("/b", "Rye bread.", ETag='"1"', Content_Type="text/plain")
    declare(tmp_path, web(site, "/a", "/b"))
    assert counts(synced(rag)["web"]) == {"new": 2}
    assert counts(synced(rag)["web"]) == {"unchanged": 2}
    assert site.answered.count(304) == 2
    site.put("/a", "Bees sing.", ETag='"2"', Content_Type="text/plain")
    site.put("/b", "broken", status=500)
    assert counts(synced(rag)["web"]) == {"changed": 1, "failed": 1}
    assert found(rag, "rye bread", mode="keyword") == {f"{site.url}/b"}
    site.put("/b", "gone", status=404)
    assert counts(synced(rag)["web"]) == {"unchanged": 1, "skipped": 1, "deleted": 1}
    assert found(rag, "rye bread", mode="keyword") == set()


def test_a_site_that_is_down_keeps_its_pages(rag: RagPipeline, tmp_path: Path) -> None:
    with served() as site:
        site.put("/a", "Bees dance.", Content_Type="text/plain")
        declare(tmp_path, web(site, "/a"))
        assert counts(synced(rag)["web"]) == {"new": 1}
    assert synced(rag)["web"].status == "failed"
    assert len(found(rag, "bees")) == 1


def test_two_web_sources_that_would_prune_each_other_are_refused_before_anything_is_done(
    rag: RagPipeline, site: WebSite, tmp_path: Path
) -> None:
    other = web(site, "/b").replace('"web"\nkind', '"other"\nkind')
    declare(tmp_path, web(site, "/a"), other)
    with pytest.raises(DeclarationError, match="prun"):
        synced(rag)
    assert site.asked == []


def test_objects_of_a_store_are_documents(rag: RagPipeline, tmp_path: Path) -> None:
    memory = fsspec.filesystem("memory")
    memory.store.clear()
    memory.pipe("/bucket/bees.txt", b"Bees dance.")
    memory.pipe("/bucket/records.jsonl", b'{"_id": "rye", "text": "Rye bread."}\n')
    declare(
        tmp_path,
        '[[source]]\nname = "bucket"\nkind = "fsspec"\nurl = "memory://bucket"\nprune = true\n',
    )
    assert counts(synced(rag)["bucket"]) == {"new": 2}
    assert found(rag, "rye", mode="keyword") == {"rye"}
    memory.rm("/bucket/bees.txt")
    assert counts(synced(rag)["bucket"]) == {"unchanged": 1, "deleted": 1}
    memory.store.clear()
    assert synced(rag)["bucket"].status == "failed"
    assert found(rag, "rye", mode="keyword") == {"rye"}


def test_rows_of_a_query_follow_their_table(
    rag: RagPipeline, tmp_path: Path, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "articles.db"
    articles = sqlite3.connect(path)
    articles.execute("CREATE TABLE a (id INTEGER, body TEXT, changed INTEGER)")
    articles.execute("INSERT INTO a VALUES (1, 'Bees dance.', 1), (2, 'Rye bread.', 1)")
    articles.commit()
    monkeypatch.setenv("ARTICLES_URL", f"sqlite:///{path}")
    declare(
        tmp_path,
        '[[source]]\nname = "articles"\nkind = "sql"\nurl_env = "ARTICLES_URL"\n'
        'query = "SELECT * FROM a"\nid_column = "id"\ntext_column = "body"\n'
        'updated_column = "changed"\nprune = true\n',
    )
    assert counts(synced(rag)["articles"]) == {"new": 2}
    assert synced(rag)["articles"].status == "completed"
    articles.execute("UPDATE a SET body = 'Bees sing.', changed = 2 WHERE id = 1")
    articles.execute("DELETE FROM a WHERE id = 2")
    articles.commit()
    assert counts(synced(rag)["articles"]) == {"changed": 1, "deleted": 1}
    assert found(rag, "rye", mode="keyword") == set()
    articles.execute("DROP TABLE a")
    articles.commit()
    articles.close()
    assert synced(rag)["articles"].status == "failed"
    assert found(rag, "sing", mode="keyword") == {"1"}


def test_a_password_of_a_database_is_neither_stored_nor_said(
    rag: RagPipeline,
    tmp_path: Path,
    database_url: str,
    postgres_url: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    engine = create_engine(postgres_url)
    with engine.begin() as connection:
        for statement in (
            "DROP TABLE IF EXISTS notes",
            "CREATE TABLE notes (id INTEGER, body TEXT)",
            "INSERT INTO notes VALUES (1, 'Bees dance.')",
        ):
            connection.execute(text(statement))
    with_password = engine.url.set(password="hunter2secret")
    engine.dispose()
    monkeypatch.setenv("NOTES_URL", with_password.render_as_string(hide_password=False))
    table = (
        '[[source]]\nname = "notes"\nkind = "sql"\nurl_env = "NOTES_URL"\n'
        'query = "SELECT * FROM notes"\nid_column = "id"\ntext_column = "body"\n'
    )
    declare(tmp_path, table, table.replace('"notes"\nkind', '"wrong"\nkind').replace("*", "x"))
    outcomes = synced(rag)
    assert counts(outcomes["notes"]) == {"new": 1}
    assert outcomes["wrong"].status == "failed"
    assert "hunter2secret" not in repr([outcome.as_json() for outcome in outcomes.values()])
    assert "hunter2secret" not in repr(dump(database_url))


def test_a_run_that_meets_another_writer_does_nothing_and_says_so(
    rag: RagPipeline, docs: Path, tmp_path: Path, database_url: str
) -> None:
    declare(tmp_path, FILES)
    other = Database(database_url)
    with writer_lease(other):
        outcome = synced(rag)["docs"]
    other.close()
    assert outcome.status == "busy"
    assert "another process" in str(outcome.error)
    assert Runs(parts_of(rag).database).latest() == []
    assert counts(synced(rag)["docs"]) == {"new": 2}


def test_only_what_is_due_runs(rag: RagPipeline, docs: Path, tmp_path: Path) -> None:
    declare(tmp_path, FILES + 'every = "1h"\n')
    assert synced(rag, due_only=True)["docs"].status == "completed"
    assert synced(rag, due_only=True)["docs"].status == "not_due"
    assert synced(rag, dry_run=True)["docs"].status == "completed"


def test_the_record_of_runs_tells_completed_failed_running_and_died(
    rag: RagPipeline, docs: Path, tmp_path: Path
) -> None:
    runs = Runs(parts_of(rag).database)
    declare(tmp_path, FILES)
    synced(rag)
    docs.rename(tmp_path / "elsewhere")
    synced(rag)
    (tmp_path / "elsewhere").rename(docs)
    from ingest.pipeline import Observer, SourceDefaults

    with parts_of(rag).ingestion(
        "default", defaults=SourceDefaults(), observer=Observer(), source_name="docs"
    ) as ingestion:
        ingestion.writer.start_run()
        assert [run.status for run in runs.latest()] == ["running", "failed", "completed"]
        assert runs.totals()[0].failures == 1
    assert [run.status for run in runs.latest()] == ["died", "failed", "completed"]
    (totals,) = runs.totals()
    assert (totals.runs, totals.completed, totals.failures) == (3, 1, 2)
    assert totals.documents["new"] == 2
    assert totals.last_success_at == runs.latest()[2].ended_at
    synced(rag)
    assert [run.status for run in runs.latest(source="docs")] == [
        "completed",
        "died",
        "failed",
        "completed",
    ]
    assert runs.latest(source="other") == []
    assert runs.last_completed("docs") == runs.latest()[0].started_at
    newest = runs.latest()[0]
    assert runs.show(newest.run_id[:12]) == newest
