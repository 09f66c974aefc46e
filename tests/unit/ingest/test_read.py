"""The reading stage against a feed that does what a test says: what is opened, told and kept."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from support.embedding import WordEmbedder
from support.pipelines import parts_of, word_pipeline

from ingest.errors import EmbeddingError
from ingest.feed import Item, ReadThrough, Resource, Unmodified
from ingest.feeds.errors import FeedError
from ingest.feeds.reading import record_line
from ingest.pipeline import Observer
from ingest.read import SourceDefaults
from ingest.records import RawDocument, Refusal
from ingest.report import IngestReport
from rag_pipeline.pipeline import RagPipeline
from storage.records import Committed


def text(uri: str, said: str, external_id: str = "") -> RawDocument:
    return RawDocument(
        uri=uri,
        external_id=external_id or uri,
        data=said.encode(),
        format="text",
        media_type="text/plain",
    )


def line(uri: str, name: str, said: str) -> RawDocument:
    record = f'{{"_id": "{name}", "text": "{said}"}}'.encode()
    return record_line(record, uri=uri, external_id=name)


def refused(uri: str) -> Refusal:
    return Refusal(source=uri, reason="it is torn", outcome="refused")


def skipped(uri: str) -> Refusal:
    return Refusal(source=uri, reason="it is empty", outcome="skipped")


@dataclass
class Scripted:
    """A feed of resources and refusals; knows what was opened, and with which stamp."""

    listed: Sequence[Resource | Refusal] = ()
    opened: list[tuple[str, str | None]] = field(default_factory=list)

    def resources(self) -> Iterator[Resource | Refusal]:
        yield from self.listed

    def covers(self, uri: str) -> bool:
        return uri.startswith("feed:")

    def resource(
        self, uri: str, stamp: str | None, *items: Item, error: Exception | None = None
    ) -> Resource:
        def read(known: str | None) -> Iterator[Item]:
            self.opened.append((uri, known))
            yield from items
            if error is not None:
                raise error

        return Resource(uri=uri, stamp=stamp, read=read)

    def with_(self, *listed: tuple[str, str | None, Sequence[Item]]) -> "Scripted":
        self.listed = [self.resource(uri, stamp, *items) for uri, stamp, items in listed]
        self.opened.clear()
        return self


def whole(uri: str, stamp: str | None, *items: Item) -> tuple[str, str | None, Sequence[Item]]:
    """A resource that is read to its end."""
    return uri, stamp, (*items, ReadThrough(stamp))


@pytest.fixture
def embedder() -> WordEmbedder:
    return WordEmbedder()


@pytest.fixture
def rag(tmp_path: Path, embedder: WordEmbedder) -> Iterator[RagPipeline]:
    with word_pipeline(tmp_path / "kb", embedder=embedder) as opened:
        yield opened


Run = Callable[..., IngestReport]


@pytest.fixture
def run(rag: RagPipeline) -> Run:
    def run(
        feed: Scripted,
        *,
        prune: bool = False,
        preview: bool = False,
        defaults: SourceDefaults | None = None,
        committed: Callable[[Committed], None] = lambda _: None,
    ) -> IngestReport:
        about = {
            "defaults": defaults or SourceDefaults(),
            "observer": Observer(committed=committed),
        }
        parts = parts_of(rag)
        if preview:
            with parts.preview("default", **about) as ingestion:
                return ingestion.preview(feed, prune=prune)
        with parts.ingestion("default", **about) as ingestion:
            return ingestion.run(feed, prune=prune)

    return run


def counts(report: IngestReport) -> dict[str, int]:
    return {name: n for name, n in report.as_json()["documents"].items() if n}


def stored(rag: RagPipeline) -> set[str]:
    """The external ids of everything that a search finds; each text has the word `said`."""
    hits = rag.search("said", limit=100).hits
    assert rag.doctor().differences == ()
    return {ref.external_id for hit in hits for ref in hit.chunk.sources}


def test_a_resource_with_the_stamp_of_its_last_reading_is_not_opened(run: Run) -> None:
    feed = Scripted().with_(whole("feed:a", "1", text("feed:a", "said a")))
    assert counts(run(feed)) == {"new": 1}
    feed.opened.clear()
    assert counts(run(feed)) == {"unchanged": 1}
    assert feed.opened == []


def test_a_resource_with_another_stamp_is_opened_and_told_the_last_one(run: Run) -> None:
    run(Scripted().with_(whole("feed:a", "1", text("feed:a", "said a"))))
    feed = Scripted().with_(whole("feed:a", "2", text("feed:a", "said b")))
    assert counts(run(feed)) == {"changed": 1}
    assert feed.opened == [("feed:a", "1")]


def test_a_resource_without_a_stamp_is_read_at_each_run(run: Run) -> None:
    feed = Scripted().with_(whole("feed:a", None, text("feed:a", "said a")))
    for _ in range(3):
        run(feed)
    assert [uri for uri, _ in feed.opened] == ["feed:a"] * 3


def test_a_stamp_that_was_not_trusted_is_not_believed_later(run: Run) -> None:
    document = text("feed:a", "said a")
    run(Scripted().with_(("feed:a", "1", (document, ReadThrough(None)))))
    feed = Scripted().with_(whole("feed:a", "1", document))
    assert counts(run(feed)) == {"unchanged": 1}
    assert len(feed.opened) == 1
    run(feed)
    assert len(feed.opened) == 1


@pytest.mark.parametrize("refusal", [refused("feed:a:2"), skipped("feed:a:2")])
def test_a_resource_with_a_refusal_is_read_and_reported_at_each_run(
    run: Run, refusal: Refusal
) -> None:
    lines = (line("feed:a", "1", "said one"), refusal, line("feed:a", "3", "said three"))
    feed = Scripted().with_(whole("feed:a", "1", *lines))
    outcomes = [counts(run(feed)) for _ in range(3)]
    told = {"failed" if refusal.outcome == "refused" else "skipped": 1}
    assert outcomes == [{"new": 2, **told}] + [{"unchanged": 2, **told}] * 2
    assert len(feed.opened) == 3


def test_a_resource_that_breaks_off_without_an_end_is_read_again(run: Run) -> None:
    feed = Scripted().with_(("feed:a", "1", (text("feed:a", "said a"),)))
    assert [counts(run(feed)) for _ in range(2)] == [{"new": 1}, {"unchanged": 1}]
    assert len(feed.opened) == 2


@pytest.mark.parametrize(
    "defaults",
    [
        SourceDefaults(read_labels=frozenset({"staff"})),
        SourceDefaults(metadata={"team": "blue"}),
    ],
)
def test_other_defaults_have_everything_read_again(run: Run, defaults: SourceDefaults) -> None:
    feed = Scripted().with_(whole("feed:a", "1", text("feed:a", "said a")))
    run(feed)
    feed.opened.clear()
    assert counts(run(feed, defaults=defaults)) == {"changed": 1}
    assert feed.opened == [("feed:a", None)]
    assert counts(run(feed, defaults=defaults)) == {"unchanged": 1}
    assert len(feed.opened) == 1


def test_unchanged_counts_documents_and_not_resources(run: Run) -> None:
    lines = [line("feed:many", str(n), f"said {n}") for n in range(7)]
    feed = Scripted().with_(
        whole("feed:many", "1", *lines),
        whole("feed:one", "1", text("feed:one", "said one")),
        whole("feed:none", "1"),
    )
    assert counts(run(feed)) == {"new": 8}
    assert counts(run(feed)) == {"unchanged": 8}
    feed.with_(
        whole("feed:many", "2", *lines[:5], line("feed:many", "x", "said x")),
        whole("feed:one", "1"),
        whole("feed:none", "1"),
    )
    assert counts(run(feed)) == {"new": 1, "unchanged": 6}
    assert counts(run(feed)) == {"unchanged": 7}


def test_what_is_unmodified_protects_all_of_its_documents(run: Run, rag: RagPipeline) -> None:
    lines = [line("feed:a", str(n), f"said {n}") for n in range(3)]
    run(Scripted().with_(whole("feed:a", "1", *lines)))
    feed = Scripted().with_(("feed:a", None, [Unmodified()]))
    assert counts(run(feed, prune=True)) == {"unchanged": 3}
    assert feed.opened == [("feed:a", "1")]
    assert stored(rag) == {"0", "1", "2"}


def test_what_was_left_unopened_is_not_pruned_and_what_is_not_listed_is(
    run: Run, rag: RagPipeline
) -> None:
    both = [whole(f"feed:{n}", "1", text(f"feed:{n}", f"said {n}")) for n in "ab"]
    run(Scripted().with_(*both))
    assert counts(run(Scripted().with_(both[0]), prune=True)) == {"unchanged": 1, "deleted": 1}
    assert stored(rag) == {"feed:a"}


def test_what_is_skipped_is_pruned_and_what_is_refused_is_not(run: Run, rag: RagPipeline) -> None:
    run(Scripted().with_(*(whole(f"feed:{n}", "1", text(f"feed:{n}", f"said {n}")) for n in "ab")))
    feed = Scripted().with_(
        ("feed:a", "2", [skipped("feed:a")]), ("feed:b", "2", [refused("feed:b")])
    )
    assert counts(run(feed, prune=True)) == {"failed": 1, "skipped": 1, "deleted": 1}
    assert stored(rag) == {"feed:b"}


def test_a_refused_line_protects_all_of_its_file(run: Run, rag: RagPipeline) -> None:
    lines = [line("feed:a", str(n), f"said {n}") for n in range(3)]
    run(Scripted().with_(whole("feed:a", "1", *lines)))
    feed = Scripted().with_(whole("feed:a", "2", lines[0], refused("feed:a:2")))
    assert counts(run(feed, prune=True)) == {"failed": 1, "unchanged": 1}
    assert stored(rag) == {"0", "1", "2"}


def test_a_folder_that_cant_be_opened_protects_all_below_it_and_nothing_beside_it(
    run: Run, rag: RagPipeline
) -> None:
    names = ["feed:/x/a", "feed:/x/y/b", "feed:/xx/c", "feed:/z"]
    run(Scripted().with_(*(whole(n, "1", text(n, f"said {n}")) for n in names)))
    feed = Scripted([refused("feed:/x")])
    assert counts(run(feed, prune=True)) == {"failed": 1, "deleted": 2}
    assert stored(rag) == {"feed:/x/a", "feed:/x/y/b"}


def test_nothing_is_pruned_when_the_feed_breaks_off(run: Run, rag: RagPipeline) -> None:
    run(Scripted().with_(*(whole(f"feed:{n}", "1", text(f"feed:{n}", f"said {n}")) for n in "ab")))
    feed = Scripted()
    feed.listed = [feed.resource("feed:a", "2", error=FeedError("the line is dead"))]
    with pytest.raises(FeedError, match="dead"):
        run(feed, prune=True)
    assert stored(rag) == {"feed:a", "feed:b"}


def test_a_run_that_breaks_off_remembers_nothing_that_is_not_committed(
    run: Run, rag: RagPipeline, embedder: WordEmbedder
) -> None:
    feed = Scripted().with_(whole("feed:a", "1", text("feed:a", "said a")))
    embedder.fails = True
    with pytest.raises(EmbeddingError):
        run(feed)
    embedder.fails = False
    feed.opened.clear()
    assert counts(run(feed)) == {"new": 1}
    assert feed.opened == [("feed:a", None)]
    assert stored(rag) == {"feed:a"}


def test_a_resource_of_several_batches_is_remembered_with_the_last(tmp_path: Path) -> None:
    lines = [line("feed:a", str(n), f"said {n}") for n in range(6)]
    feed = Scripted().with_(whole("feed:a", "1", *lines))
    stops_after = 2
    commits: list[Committed] = []

    def broken_off(committed: Committed) -> None:
        commits.append(committed)
        if len(commits) == stops_after:
            raise KeyboardInterrupt

    with word_pipeline(tmp_path / "kb", batching={"max_documents": 2}) as rag:
        about = {"defaults": SourceDefaults()}
        observer = Observer(committed=broken_off)
        with (
            pytest.raises(KeyboardInterrupt),
            parts_of(rag).ingestion("default", observer=observer, **about) as ingestion,
        ):
            ingestion.run(feed)
        kept = [name for committed in commits for name in committed.external_ids]
        assert kept == ["0", "1", "2", "3"]
        feed.opened.clear()
        with parts_of(rag).ingestion("default", observer=Observer(), **about) as ingestion:
            assert counts(ingestion.run(feed)) == {"unchanged": 4, "new": 2}
        assert feed.opened == [("feed:a", None)]
        assert stored(rag) == {str(n) for n in range(6)}


def test_what_was_pruned_is_read_when_it_comes_back_with_its_old_stamp(
    run: Run, rag: RagPipeline
) -> None:
    feed = Scripted().with_(whole("feed:a", "1", text("feed:a", "said a")))
    run(feed)
    assert counts(run(Scripted(), prune=True)) == {"deleted": 1}
    feed.opened.clear()
    assert counts(run(feed)) == {"new": 1}
    assert len(feed.opened) == 1
    assert stored(rag) == {"feed:a"}


def test_a_file_of_which_one_line_was_pruned_is_read_again(run: Run, rag: RagPipeline) -> None:
    """Its stamp may be the old one: a file that was put back from a backup."""
    before = whole("feed:a", "1", *(line("feed:a", n, f"said {n}") for n in "xy"))
    run(Scripted().with_(before))
    after = whole("feed:a", "2", line("feed:a", "x", "said x"))
    assert counts(run(Scripted().with_(after), prune=True)) == {"unchanged": 1, "deleted": 1}
    assert stored(rag) == {"x"}
    assert counts(run(Scripted().with_(before))) == {"unchanged": 1, "new": 1}
    assert stored(rag) == {"x", "y"}


@pytest.mark.parametrize("said", ["said first", "said second"])
def test_of_a_place_that_comes_twice_in_a_batch_the_first_document_is_stored(
    run: Run, rag: RagPipeline, said: str
) -> None:
    feed = Scripted().with_(
        whole("feed:a", "1", text("feed:a", "said first")),
        whole("feed:a", "2", text("feed:a", said)),
    )
    report = run(feed, prune=True)
    assert counts(report) == {"new": 1, "skipped": 1}
    assert "name each source once" in report.failures[0].reason
    assert stored(rag) == {"feed:a"}
    assert [hit.chunk.text for hit in rag.search("said").hits] == ["said first"]


def test_a_resource_that_comes_twice_unchanged_is_remembered_once(
    run: Run, rag: RagPipeline
) -> None:
    document = text("feed:a", "said a")
    run(Scripted().with_(whole("feed:a", "1", document)))
    feed = Scripted().with_(*[whole("feed:a", "2", document)] * 2)
    assert counts(run(feed, prune=True)) == {"unchanged": 2}
    feed.opened.clear()
    assert counts(run(feed)) == {"unchanged": 2}
    assert feed.opened == []
    assert stored(rag) == {"feed:a"}


def test_of_a_place_that_comes_twice_in_two_batches_one_document_is_left(tmp_path: Path) -> None:
    feed = Scripted().with_(
        whole("feed:a", "1", text("feed:a", "said first")),
        whole("feed:a", "2", text("feed:a", "said second")),
    )
    with word_pipeline(tmp_path / "kb", batching={"max_documents": 1}) as rag:
        about = {"defaults": SourceDefaults(), "observer": Observer()}
        with parts_of(rag).ingestion("default", **about) as ingestion:
            ingestion.run(feed, prune=True)
        assert stored(rag) == {"feed:a"}
        assert len(rag.search("said").hits) == 1


def test_a_batch_is_closed_by_documents_and_not_by_the_ends_of_resources(
    tmp_path: Path,
) -> None:
    feed = Scripted().with_(
        *(whole(f"feed:{n}", "1", text(f"feed:{n}", f"said {n}")) for n in range(8))
    )
    sizes: list[int] = []
    observer = Observer(committed=lambda committed: sizes.append(len(committed.external_ids)))
    with (
        word_pipeline(tmp_path / "kb", batching={"max_documents": 4}) as rag,
        parts_of(rag).ingestion(
            "default", defaults=SourceDefaults(), observer=observer
        ) as ingestion,
    ):
        ingestion.run(feed)
    assert sizes == [4, 4]


@pytest.mark.parametrize(("every", "sizes"), [(1, [4] * 10), (5, [4, 4]), (7, [4, 2]), (40, [1])])
def test_what_changed_here_and_there_is_committed_together(
    tmp_path: Path, every: int, sizes: list[int]
) -> None:
    def feed(said: str) -> Scripted:
        lines = [
            line("feed:a", str(n), f"{said if n % every == 0 else 'said'} {n}") for n in range(40)
        ]
        return Scripted().with_(whole("feed:a", said, *lines))

    committed: list[int] = []
    observer = Observer(committed=lambda one: committed.append(len(one.external_ids)))
    with word_pipeline(tmp_path / "kb", batching={"max_documents": 4}) as rag:
        about = {"defaults": SourceDefaults(), "observer": observer}
        with parts_of(rag).ingestion("default", **about) as ingestion:
            ingestion.run(feed("said"))
        committed.clear()
        with parts_of(rag).ingestion("default", **about) as ingestion:
            report = ingestion.run(feed("called"))
        assert counts(report) == {
            name: number
            for name, number in (("changed", sum(sizes)), ("unchanged", 40 - sum(sizes)))
            if number
        }
        assert committed == sizes
        found = [hit.chunk.text for hit in rag.search("called", limit=50).hits]
        assert len(found) == 40
        assert sum(said.startswith("called") for said in found) == sum(sizes)


def test_a_text_that_is_read_anew_before_the_first_is_stored_replaces_it(tmp_path: Path) -> None:
    """Between the two, so much is unchanged that both would be committed together."""
    unchanged = [line("feed:a", str(n), f"same {n}") for n in range(4)]
    feeds = [
        Scripted().with_(whole("feed:a", "1", *unchanged)),
        Scripted().with_(
            whole("feed:b", "1", text("feed:b", "said first")),
            whole("feed:a", "2", *unchanged),
            whole("feed:b", "2", text("feed:b", "said second")),
        ),
    ]
    with word_pipeline(tmp_path / "kb", batching={"max_documents": 4}) as rag:
        for feed in feeds:
            about = {"defaults": SourceDefaults(), "observer": Observer()}
            with parts_of(rag).ingestion("default", **about) as ingestion:
                ingestion.run(feed)
        found = {hit.chunk.text for hit in rag.search("said").hits}
        assert found == {"said second", *(f"same {n}" for n in range(4))}


def test_one_file_under_two_ids_loses_no_document(run: Run, rag: RagPipeline) -> None:
    def under(external_id: str) -> Scripted:
        document = text("feed:/docs/a", "said a", external_id)
        return Scripted().with_(whole("feed:/docs/a", f"1:{external_id}", document))

    run(under("docs/a"))
    assert counts(run(under("a"))) == {"duplicate": 1}
    assert stored(rag) == {"docs/a", "a"}
    for _ in range(2):
        run(under("docs/a"), prune=True)
        assert stored(rag) == {"docs/a"}
        run(under("a"), prune=True)
        assert stored(rag) == {"a"}


def preview_and_run(run: Run, feed: Scripted, *, prune: bool) -> None:
    said = run(feed, prune=prune, preview=True)
    did = run(feed, prune=prune)
    assert counts(said) == counts(did)
    assert [r.source for r in said.failures] == [r.source for r in did.failures]
    assert said.bytes_read == did.bytes_read


def test_a_preview_counts_what_the_run_that_follows_counts(run: Run) -> None:
    feed = Scripted().with_(
        whole("feed:same", "1", text("feed:same", "said same")),
        whole("feed:other", "1", text("feed:other", "said other")),
        whole("feed:copy", "1", text("feed:copy", "said other")),
        whole("feed:lines", "1", line("feed:lines", "1", "said one"), refused("feed:lines:2")),
        whole("feed:gone", "1", text("feed:gone", "said gone")),
    )
    preview_and_run(run, feed, prune=False)
    feed.with_(
        whole("feed:same", "1", text("feed:same", "said same")),
        whole("feed:other", "2", text("feed:other", "said yet another thing")),
        whole("feed:copy", "2", text("feed:copy", "said other")),
        ("feed:lines", "2", [skipped("feed:lines")]),
        whole("feed:new", "1", text("feed:new", "said other")),
        whole("feed:newer", "1", text("feed:newer", "said quite new")),
    )
    preview_and_run(run, feed, prune=True)
    preview_and_run(run, feed, prune=True)
