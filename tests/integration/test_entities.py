"""The graph of entities, on both databases: it follows the corpus, and shows nobody too much."""

from pathlib import Path

import pytest
from support.breaking_off import BrokenOffError
from support.embedding import WordEmbedder
from support.pipelines import parts_of, word_pipeline

from rag_pipeline.entities.following import catch_up
from rag_pipeline.entities.recognise import RuleRecogniser
from rag_pipeline.errors import QueryError
from rag_pipeline.pipeline import RagPipeline
from storage.entities import EntityReader, EntityWriter, NewMention
from storage.errors import LeaseBusyError, LeaseLostError, NotFoundError
from storage.lease import writer_lease
from storage.records import LOCAL_OWNER, Origin, Principal, PromptEnd, PromptId, PromptStart

ADA = "The engine was described by Ada Lovelace in London. Lovelace met Charles Babbage there."
CHARLES = "Mr Babbage, that is Charles Babbage, worked at the University of Cambridge."
GRACE = "Admiral Grace Hopper served in the United States Navy."
EVE = Principal(name="eve", labels=frozenset({"staff"}))


def write(docs: Path, **texts: str) -> None:
    for name, text in texts.items():
        (docs / f"{name}.txt").write_text(text, "utf-8")


def names(rag: RagPipeline, **wanted: object) -> set[str]:
    return {entity.name for entity in rag.entities.list(limit=100, **wanted).entities}


def test_a_run_leaves_the_entities_of_what_it_brought(rag: RagPipeline, docs: Path) -> None:
    write(docs, ada=ADA, charles=CHARLES)
    rag.ingest(docs)
    assert names(rag) == {
        "Ada Lovelace",
        "Charles Babbage",
        "London",
        "University of Cambridge",
    }
    listing = rag.entities.list(kind="person")
    babbage = next(e for e in listing.entities if e.name == "Charles Babbage")
    assert (babbage.documents, babbage.mentions, babbage.answers) == (2, 3, 0)
    assert babbage.names == ("Charles Babbage", "Babbage")
    assert listing.stands_at == listing.generation


def test_a_mention_stands_where_it_says(rag: RagPipeline, docs: Path) -> None:
    write(docs, ada=f"# On engines\n\n{ADA}")
    (docs / "ada.txt").rename(docs / "ada.md")
    rag.ingest(docs)
    shown = rag.entities.show("dr. ADA LOVELACE")
    text = parts_of(rag).reader.document_texts(
        [shown.mentions[0].document_id], principal=LOCAL_OWNER, generation=shown.generation
    )
    stored = text[shown.mentions[0].document_id].text
    assert [stored[m.start : m.end] for m in shown.mentions] == ["Ada Lovelace", "Lovelace"]
    assert [m.surface for m in shown.mentions] == ["Ada Lovelace", "Lovelace"]
    assert all(m.surface in m.excerpt and m.excerpt in stored for m in shown.mentions)
    assert shown.mentions[0].headings == ("On engines",)
    assert shown.mentions[0].sources[0].external_id == "ada.md"
    assert {n.entity.name for n in shown.neighbours} == {"London", "Charles Babbage"}


def test_an_excerpt_at_the_beginning_of_a_text_begins_there(rag: RagPipeline, docs: Path) -> None:
    write(docs, one="In Paris 🗼 they met. " + "x" * 100)
    rag.ingest(docs)
    (mention,) = rag.entities.show("paris").mentions
    assert mention.excerpt.startswith("In Paris 🗼 they met.")
    assert len(mention.excerpt) == mention.end + 60


def test_what_is_deleted_or_replaced_leaves_no_ghost(rag: RagPipeline, docs: Path) -> None:
    write(docs, ada=ADA, grace=GRACE)
    rag.ingest(docs)
    (docs / "ada.txt").unlink()
    write(docs, grace="Nobody is here.")
    rag.ingest(docs, prune=True)
    assert names(rag) == set()
    for name in ("Ada Lovelace", "London", "Grace Hopper"):
        with pytest.raises(NotFoundError, match="there is no entity"):
            rag.entities.show(name)


def test_a_text_that_comes_back_is_there_again(rag: RagPipeline, docs: Path) -> None:
    write(docs, ada=ADA)
    rag.ingest(docs)
    before = names(rag)
    (docs / "ada.txt").unlink()
    rag.ingest(docs, prune=True)
    write(docs, ada=ADA)
    rag.ingest(docs)
    assert names(rag) == before


def test_a_run_that_brings_nothing_writes_nothing(rag: RagPipeline, docs: Path) -> None:
    write(docs, ada=ADA)
    rag.ingest(docs)
    rag.entities.update()
    (report,) = rag.entities.update()
    assert (report.documents, report.mentions, report.answers) == (0, 0, 0)


def test_whoever_asks_first_looks_through_what_is_new(rag: RagPipeline, docs: Path) -> None:
    write(docs, ada=ADA)
    rag.ingest(docs)
    listing = rag.entities.list()
    assert "Ada Lovelace" in {entity.name for entity in listing.entities}
    assert listing.stands_at == listing.generation
    (report,) = rag.entities.update()
    assert report.documents == 0


def test_while_another_writes_entities_are_read_as_they_stand(rag: RagPipeline, docs: Path) -> None:
    write(docs, ada=ADA)
    rag.ingest(docs)
    with writer_lease(parts_of(rag).database):
        listing = rag.entities.list()
    assert (listing.entities, listing.stands_at) == ((), 0)
    assert "Ada Lovelace" in names(rag)


def test_a_run_looks_through_what_it_brought_if_it_is_told_to(
    tmp_path: Path, docs: Path, database_url: str
) -> None:
    write(docs, ada=ADA)
    given = {"after_ingest": True}
    with word_pipeline(tmp_path / "kb", database=database_url, entities=given) as rag:
        rag.ingest(docs)
        (report,) = rag.entities.update()
        assert report.documents == 0
        assert "Ada Lovelace" in names(rag)


def test_another_version_of_the_rules_looks_through_everything_anew(
    rag: RagPipeline, docs: Path
) -> None:
    write(docs, ada=ADA, grace=GRACE)
    rag.ingest(docs)
    rag.entities.update()
    parts_of(rag).recogniser = OnlyLondon(version="london-1")
    (report,) = rag.entities.update()
    assert (report.documents, report.mentions) == (2, 1)
    assert report.dropped > 0
    assert names(rag) == {"London"}


def test_what_was_broken_off_goes_on_where_it_was(
    rag: RagPipeline, docs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("storage.entities._TEXTS_A_STEP", 1)
    write(docs, a=ADA, b=CHARLES, c=GRACE)
    rag.ingest(docs)
    rag.entities.update()
    before = content(rag)
    parts_of(rag).recogniser = Breaking(version="rules-9", after=2)
    with pytest.raises(BrokenOffError):
        rag.entities.update()
    assert content(rag) == before  # nothing is missing meanwhile
    steady = RuleRecogniser(version="rules-9")
    parts_of(rag).recogniser = steady
    (report,) = rag.entities.update()
    assert report.documents == 1
    assert content(rag) == before


def test_a_writer_that_was_overtaken_stores_nothing(rag: RagPipeline, docs: Path) -> None:
    write(docs, ada=ADA)
    rag.ingest(docs)
    parts = parts_of(rag)
    collection = parts.reader.collection("default", principal=LOCAL_OWNER)
    with writer_lease(parts.database) as fence:
        late = EntityWriter(database=parts.database, collection=collection, fence=fence - 1)
        with pytest.raises(LeaseLostError):
            catch_up(late, OnlyLondon(version="late"))
        with pytest.raises(LeaseBusyError):
            rag.entities.update(wait=False)
    assert "Ada Lovelace" in names(rag)


def test_what_a_reader_may_not_read_does_not_exist_for_them(
    rag: RagPipeline, docs: Path, tmp_path: Path, database_url: str
) -> None:
    write(docs, charles=CHARLES)
    rag.ingest(docs)
    secret = tmp_path / "secret"
    secret.mkdir()
    write(secret, ada=ADA)
    rag.ingest(secret, read_labels=frozenset({"hr"}))
    with word_pipeline(tmp_path / "kb", database=database_url, principal=EVE) as eve:
        assert names(eve) == {"Charles Babbage", "University of Cambridge"}
        (babbage,) = eve.entities.list(kind="person").entities
        assert (babbage.documents, babbage.mentions) == (1, 2)
        shown = eve.entities.show("Charles Babbage")
        assert [n.entity.name for n in shown.neighbours] == ["University of Cambridge"]
        for name in ("Ada Lovelace", "London", "no such thing"):
            with pytest.raises(NotFoundError) as raised:
                eve.entities.show(name)
            assert str(raised.value).startswith(f"there is no entity {name!r} in")
        with pytest.raises(NotFoundError):
            eve.entities.related("Charles Babbage", "London")
        out = tmp_path / "graph.jsonl"
        with out.open("w", encoding="utf-8") as file:
            assert eve.entities.export(file, "jsonl") == 2
        assert "Lovelace" not in out.read_text("utf-8")
    assert "Ada Lovelace" in names(rag)


def test_synthetic_documents_count_only_when_asked_for(rag: RagPipeline, docs: Path) -> None:
    write(docs, ada=ADA)
    rag.ingest(docs, generator_id="gan-1")
    assert names(rag) == set()
    assert "London" in names(rag, origins=frozenset(Origin))


def test_an_answer_mentions_too_and_only_who_asked_reads_it(
    rag: RagPipeline, docs: Path, tmp_path: Path, database_url: str
) -> None:
    write(docs, grace=GRACE)
    rag.ingest(docs)
    answer = "It was Grace Hopper, not Miss Mary Jones."
    prompt_id = answered(rag, "anna", answer)
    (report,) = rag.entities.update()
    assert report.answers == 1
    shown = rag.entities.show("Grace Hopper")
    assert (shown.entity.documents, shown.entity.answers) == (1, 1)
    assert [(a.prompt_id, answer[a.start : a.end]) for a in shown.answers] == [
        (prompt_id, "Grace Hopper")
    ]
    assert [r.answers for r in rag.entities.update()] == [0]
    (docs / "grace.txt").unlink()
    rag.ingest(docs, prune=True)
    assert rag.entities.show("Grace Hopper").entity.documents == 0
    for who, seen in ((Principal(name="anna"), {"Grace Hopper", "Mary Jones"}), (EVE, set())):
        with word_pipeline(tmp_path / "kb", database=database_url, principal=who) as other:
            assert names(other) == seen


def test_an_answer_that_is_completed_later_is_looked_through_then(
    rag: RagPipeline, docs: Path
) -> None:
    write(docs, grace=GRACE)
    rag.ingest(docs)
    slow = started(rag, "anna")
    answered(rag, "anna", "In London.")
    assert [r.answers for r in rag.entities.update()] == [1]
    parts_of(rag).history.complete(slow, ended("In Paris."))
    assert [r.answers for r in rag.entities.update()] == [1]
    assert {"London", "Paris"} <= names(rag)


def started(rag: RagPipeline, user: str) -> PromptId:
    asked = PromptStart(
        question="Who?",
        user=user,
        session=None,
        parent_id=None,
        collection="default",
        generation=1,
        model="echo",
        weights_sha256="a" * 64,
        template_sha256="b" * 64,
        rendered="Who?",
        sampling={},
        evidence=(),
    )
    return parts_of(rag).history.start(asked, principal=LOCAL_OWNER)


def ended(answer: str) -> PromptEnd:
    return PromptEnd(answer=answer, state="no_evidence", citations=(), usage={}, timings={})


def answered(rag: RagPipeline, user: str, answer: str) -> PromptId:
    prompt_id = started(rag, user)
    parts_of(rag).history.complete(prompt_id, ended(answer))
    return prompt_id


def test_two_entities_are_related_by_a_path_and_by_documents(rag: RagPipeline, docs: Path) -> None:
    write(docs, ada=ADA, charles=CHARLES, grace=GRACE)
    rag.ingest(docs)
    found = rag.entities.related("london", "University of Cambridge")
    path = [step.entity.name for step in found.path]
    assert path == ["London", "Ada Lovelace", "Charles Babbage", "University of Cambridge"]
    assert [step.weight for step in found.path] == [0, 1, 1, 1]
    assert found.documents == ()
    assert rag.entities.related("London", "Grace Hopper").path == ()
    both = rag.entities.related("Lovelace", "Babbage").documents
    assert [ref.external_id for ref in both] == ["ada.txt"]
    assert [s.weight for s in rag.entities.related("London", "London").path] == [0]


def test_bad_input_gets_a_clear_error_or_nothing(rag: RagPipeline, docs: Path) -> None:
    write(docs, ada=ADA)
    rag.ingest(docs)
    for name in ("", "   ", "\0", "%", "_", "'; DROP TABLE entities; --", "🗼" * 500, "“"):
        with pytest.raises(NotFoundError):
            rag.entities.show(name)
    for match in ("%", "_", "\0", "\\", "'", "x" * 5_000):
        assert rag.entities.list(match=match).entities == ()
    with pytest.raises(QueryError, match="limit of 0"):
        rag.entities.list(limit=0)
    with pytest.raises(NotFoundError, match="no collection 'none'"):
        rag.entities.list(collection="none")


def test_collections_are_kept_apart(rag: RagPipeline, docs: Path) -> None:
    write(docs, ada=ADA)
    rag.ingest(docs)
    rag.ingest_records([{"_id": "1", "text": GRACE}], source="s", collection="navy")
    assert "Grace Hopper" not in names(rag)
    assert names(rag, collection="navy") == {"Grace Hopper", "United States Navy"}
    with pytest.raises(NotFoundError):
        rag.entities.show("London", collection="navy")


class OnlyLondon(RuleRecogniser):
    def recognise(self, text: str, language: str | None = None) -> list[NewMention]:
        return [m for m in super().recognise(text, language) if m.key == "london"]


class Breaking(RuleRecogniser):
    def __init__(self, version: str, after: int) -> None:
        super().__init__(version)
        object.__setattr__(self, "left", [None] * after)

    def recognise(self, text: str, language: str | None = None) -> list[NewMention]:
        if not self.left:
            raise BrokenOffError
        self.left.pop()
        return super().recognise(text, language)


def content(rag: RagPipeline) -> object:
    """All that the graph says, without the keys of its rows."""
    parts = parts_of(rag)
    reader = EntityReader(
        database=parts.database,
        collection=parts.reader.collection("default", principal=LOCAL_OWNER),
        principal=LOCAL_OWNER,
        generation=parts.reader.served().generation,
    )
    found = reader.find()
    name = {entity.entity_id: (entity.kind, entity.key) for entity in found}
    mentions = {
        name[e.entity_id]: [(m.sources[0].external_id, m.start, m.end, m.surface) for m in places]
        for e in found
        if (places := reader.mentions(e.entity_id, limit=1000))
    }
    edges = {
        (*sorted((name[edge.first], name[edge.second])), edge.weight) for edge in reader.all_edges()
    }
    return mentions, edges


def test_the_embedder_is_not_asked(rag: RagPipeline, docs: Path, embedder: WordEmbedder) -> None:
    write(docs, ada=ADA)
    rag.ingest(docs)
    before = len(embedder.embedded)
    rag.entities.update()
    rag.entities.show("London")
    assert len(embedder.embedded) == before
