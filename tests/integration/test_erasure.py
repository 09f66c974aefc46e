"""What is forgotten stands nowhere any more: looked for in every table and in all bytes."""

import json
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from sqlalchemy import inspect, literal_column, select, table
from support.pipelines import parts_of, word_pipeline

from ingest.feeds.uploads import UploadedFile
from rag_pipeline.datasets.selection import Selection
from rag_pipeline.pipeline import RagPipeline
from storage.engine import Database
from storage.erasing.ledger import certificate_sha256, subject_sha256
from storage.errors import ErasureError, NotFoundError
from storage.gate import hold, release
from storage.lease import writer_lease
from storage.records import Citation, Principal, PromptEnd, PromptStart

LIGHTHOUSE = (
    "The zyxmarker lighthouse of Quorvania is forty metres high. "
    "It was built in 1881 by Ermengarde Plinth of the Harbour Office. "
    "Its lamp, the wugmarker, shines over the bay every single night. "
    "Nobody but Plinth ever knew where the key to its cellar was kept."
)
HARBOUR = (
    "The harbour of Quorvania has room for ninety boats. "
    "The boats bring herring every morning to the market by the old wall. "
    "A ferry leaves at noon for the islands, and comes back at dusk."
)
CUTS = {"max_tokens": 16, "overlap_tokens": 0}


@pytest.fixture
def documents(tmp_path: Path) -> Path:
    folder = tmp_path / "documents"
    folder.mkdir()
    (folder / "lighthouse.txt").write_text(LIGHTHOUSE)
    (folder / "harbour.txt").write_text(HARBOUR)
    return folder


def opened(tmp_path: Path, database_url: str, **settings: object) -> RagPipeline:
    given = {"chunking": CUTS, **settings}
    return word_pipeline(tmp_path / "home", database=database_url, **given)


@pytest.fixture
def rag(tmp_path: Path, database_url: str, documents: Path) -> Iterator[RagPipeline]:
    with opened(tmp_path, database_url) as pipeline:
        pipeline.ingest(documents)
        yield pipeline


@pytest.fixture
def local(tmp_path: Path, documents: Path) -> Iterator[RagPipeline]:
    """The same in a file of the home, for what is alike on both databases."""
    with word_pipeline(tmp_path / "home", chunking=CUTS) as pipeline:
        pipeline.ingest(documents)
        yield pipeline


def asked(rag: RagPipeline, question: str, **asking: object) -> str:
    return rag.ask(question, extractive=True, **asking).prompt_id  # type: ignore[arg-type]


def recorded(rag: RagPipeline, question: str, words: tuple[str, ...]) -> str:
    """An exchange whose answer quotes, with words of its own between, what is found for each."""
    chunks = [rag.search(word, mode="keyword", limit=1).hits[0].chunk for word in words]
    said, citations = "Well:", []
    for chunk in chunks:
        start = len(said) + 1
        said = f"{said} {chunk.text} So much for that."
        citations.append(
            Citation(
                quote=chunk.text,
                source=chunk.sources[0].source,
                document_id=chunk.document_id,
                external_id=chunk.sources[0].external_id,
                chunk_id=chunk.chunk_id,
                start=chunk.start,
                end=chunk.end,
                answer_start=start,
                answer_end=start + len(chunk.text),
                score=1.0,
            )
        )
    history = parts_of(rag).history
    asked = PromptStart(
        question=question,
        user="ann",
        session=None,
        parent_id=None,
        collection="default",
        generation=rag.search("boats").generation,
        model="echo",
        weights_sha256="0" * 64,
        template_sha256="0" * 64,
        rendered=" ".join(chunk.text for chunk in chunks),
        sampling={},
        evidence=(),
    )
    prompt_id = history.start(asked, principal=rag.principal)
    end = PromptEnd(answer=said, state="grounded", citations=tuple(citations), usage={}, timings={})
    history.complete(prompt_id, end)
    return prompt_id


def in_tables(database: Database, word: bytes) -> list[str]:
    """The columns that hold `word`, of whatever tables there are."""
    found = []
    with database.read() as connection:
        for name in inspect(connection).get_table_names():
            rows = connection.execute(select(literal_column("*")).select_from(table(name)))
            for row in rows.mappings():
                for column, value in row.items():
                    said = value if isinstance(value, bytes) else str(value).encode()
                    if word in said:
                        found.append(f"{name}.{column}")
    return found


def in_files(folder: Path, word: bytes) -> list[str]:
    """The files below `folder` whose bytes hold `word`."""
    paths = (path for path in folder.rglob("*") if path.is_file())
    return [path.name for path in paths if word in path.read_bytes()]


def traces(rag: RagPipeline, *words: bytes) -> list[str]:
    """Where any of `words` stands; of a database that is a file beside the home, there too."""
    database = parts_of(rag).database
    found = [place for word in words for place in in_tables(database, word)]
    found += [place for word in words for place in in_files(rag.settings.home, word)]
    if database.sqlite_path is not None:
        beside = database.sqlite_path.parent.glob(f"{database.sqlite_path.name}*")
        found += [p.name for p in beside for word in words if word in p.read_bytes()]
    return found


def vector_of(rag: RagPipeline, text: str) -> bytes:
    return np.ascontiguousarray(rag.embed([text])[0], "<f4").tobytes()


def said_in(rag: RagPipeline, prompt_id: str) -> list[str]:
    history = parts_of(rag).history
    return [said.content for said in history.messages(prompt_id, principal=rag.principal)]


def test_the_search_for_traces_can_fail(local: RagPipeline) -> None:
    chunk = local.search("wugmarker", limit=1).hits[0].chunk
    assert traces(local, b"wugmarker")
    assert in_files(local.settings.home / "indexes", vector_of(local, chunk.text))


def test_a_document_goes_from_texts_vectors_indexes_answers_and_prompts(rag: RagPipeline) -> None:
    chunks = [hit.chunk.text for hit in rag.search("lighthouse", limit=9).hits]
    vectors = [vector_of(rag, text) for text in chunks if text in LIGHTHOUSE]
    first = rag.ask("How high is the lighthouse?", user="ann")  # shown to a model
    cited = asked(rag, "Who built the lighthouse in 1881?", user="ann", session="s")
    later = asked(rag, "What is the wugmarker?", user="bob", session="t")
    rag.history.rate(cited, 1, comment="right: It was built in 1881 by Ermengarde Plinth of the H")
    assert vectors
    assert len(rag.history.show(cited).citations) > 0
    done = rag.forget.document("lighthouse.txt")
    assert done.certificate["scan"]["findings"] == {}
    assert done.certificate["scan"]["needles"] > 100
    marks = (b"zyxmarker", b"wugmarker of", b"Ermengarde", b"rmengard", b"lighthouse.txt")
    assert traces(rag, *marks, *vectors) == []
    shown = rag.history.show(cited)
    assert shown.answer == "[forgotten]"
    assert {citation.quote for citation in shown.citations} == {"[forgotten]"}
    assert shown.redacted_at is not None
    assert said_in(rag, cited) == ["Who built the lighthouse in 1881?", "[forgotten]"]
    assert "Plinth" not in str(rag.history.show(later)) + str(rag.history.show(first.prompt_id))
    assert rag.history.show(cited).scores[0].comment == "right:[forgotten]"
    assert [hit.chunk.text in HARBOUR for hit in rag.search("Quorvania").hits] == [True] * 3
    assert rag.doctor().differences == ()


def test_what_rests_on_other_documents_too_stays(local: RagPipeline) -> None:
    both = recorded(local, "How high is it, and how many boats are there?", ("high", "boats"))
    before = local.history.show(both)
    kept = [c for c in before.citations if c.external_id == "harbour.txt"]
    assert (len(before.citations), len(kept)) == (2, 1)
    local.forget.document("lighthouse.txt")
    after = local.history.show(both)
    assert after.answer is not None
    assert "[forgotten]" in after.answer
    for old in kept:
        new = next(c for c in after.citations if c.quote == old.quote)
        spoken = (before.answer or "")[old.answer_start : old.answer_end]
        assert after.answer[new.answer_start : new.answer_end] == spoken


def test_as_of_a_time_before_shows_it_no_more(local: RagPipeline) -> None:
    generation = local.search("lighthouse").generation
    local.forget.document("lighthouse.txt")
    looked_back = local.search("lighthouse", as_of=generation)
    assert all("lighthouse" not in hit.chunk.text for hit in looked_back.hits)
    assert looked_back.hits


def test_a_text_that_another_source_has_stays_with_that_one(
    local: RagPipeline, documents: Path
) -> None:
    (documents / "secretcopy.txt").write_text(HARBOUR)
    local.ingest(documents)
    local.forget.document("secretcopy.txt")
    assert traces(local, b"secretcopy") == []
    hit = local.search("herring").hits[0]
    assert [source.external_id for source in hit.chunk.sources] == ["harbour.txt"]
    assert local.doctor().differences == ()


def test_an_id_that_is_a_number_is_not_taken_for_the_key_of_another(local: RagPipeline) -> None:
    local.ingest_records([{"_id": "1", "text": "Bakers rise at three."}], source="shelf")
    local.forget.document("1")
    assert {hit.chunk.text in HARBOUR + LIGHTHOUSE for hit in local.search("the").hits} == {True}
    key = str(local.search("zyxmarker", mode="keyword").hits[0].chunk.document_id)
    local.forget.document(key)
    assert traces(local, b"zyxmarker") == []


def test_the_uploaded_file_that_it_was_read_from_goes(local: RagPipeline) -> None:
    content = LIGHTHOUSE.replace("zyxmarker", "upmarker").encode()
    upload = local.uploads.put("up.txt", content, purpose="assistants", media_type="text/plain")
    file = UploadedFile(name="up.txt", file=BytesIO(content))
    metadata = {"file_id": upload.file_id}
    local.ingest_uploads([file], place=upload.file_id, metadata=metadata)
    found = local.search("upmarker", mode="keyword").hits[0].chunk.sources[0]
    local.forget.document(found.external_id)
    assert traces(local, b"upmarker") == []
    with pytest.raises(NotFoundError):
        local.uploads.find(upload.file_id)


def test_a_generation_that_is_held_back_holds_it_no_more(local: RagPipeline) -> None:
    database = parts_of(local).database
    with writer_lease(database) as fence:
        hold(database, local.search("boats").generation, fence=fence)
    local.forget.document("lighthouse.txt")
    assert all(hit.chunk.text in HARBOUR for hit in local.search("lighthouse").hits)
    assert local.doctor().differences == ()
    with writer_lease(database) as fence:
        release(database, fence=fence)
    assert local.doctor().differences == ()
    assert traces(local, b"zyxmarker") == []


def test_what_only_a_forgotten_user_could_read_stays_closed(
    local: RagPipeline, tmp_path: Path
) -> None:
    letter = tmp_path / "letter.txt"
    letter.write_text("The grocer owes me eleven shillings, wrote the baker.")
    local.ingest(letter, read_labels=frozenset({"user:margaret.h"}))
    asked(local, "Who owes the baker?", user="margaret.h")
    local.forget.user("margaret.h")
    for name in ("margaret.h", "bob"):
        reader = local.acting_for(Principal(name=name))
        assert all("grocer" not in hit.chunk.text for hit in reader.search("grocer").hits)
    assert "grocer" in local.search("grocer", mode="keyword").hits[0].chunk.text
    assert traces(local, b"margaret.h") == []


def test_everywhere_takes_the_text_from_every_source(local: RagPipeline, documents: Path) -> None:
    (documents / "secretcopy.txt").write_text(LIGHTHOUSE)
    local.ingest(documents)
    local.forget.document("secretcopy.txt", everywhere=True)
    assert traces(local, b"zyxmarker", b"secretcopy", b"lighthouse.txt") == []


@pytest.mark.slow
def test_all_versions_go_however_they_were_cut(
    tmp_path: Path, database_url: str, documents: Path
) -> None:
    path = documents / "lighthouse.txt"
    with opened(tmp_path, database_url) as rag:
        rag.ingest(documents)
        path.write_text(LIGHTHOUSE.replace("zyxmarker", "oldmarker"))
        rag.ingest(documents)
    with opened(tmp_path, database_url, chunking={**CUTS, "max_tokens": 24}) as rag:
        rag.ingest(documents)
        path.unlink()
        rag.ingest(documents, prune=True)
        rag.forget.document("lighthouse.txt")
        assert traces(rag, b"zyxmarker", b"oldmarker", b"wugmarker") == []


def test_near_duplicates_that_were_held_back_come_out(tmp_path: Path, database_url: str) -> None:
    ledger = (
        "The harbour master keeps a ledger of every vessel that anchors below the northern cliff,"
        " noting its tonnage, its cargo, the name of the captain and the hour of the tide, and"
        " each evening he copies the page by lamp light for the archive of the town."
    )
    copied = ledger.replace("anchors below", "anchors just below").replace("lamp l", "lampl")
    records = [{"_id": "original-ledger", "text": ledger}, {"_id": "copied", "text": copied}]
    with opened(tmp_path, database_url, dedup={"near_duplicates": "skip"}) as rag:
        rag.ingest_records(records, source="shelf")
        before = rag.search("just below", mode="keyword", limit=9).hits
        rag.forget.document("original-ledger")
        found = rag.search("just below", mode="keyword", limit=9).hits
        assert "copied" not in {hit.chunk.sources[0].external_id for hit in before}
        assert {hit.chunk.sources[0].external_id for hit in found} == {"copied"}
        assert traces(rag, b"by lamp light", b"original-ledger") == []
        assert rag.doctor().differences == ()


def test_exports_and_entities_that_hold_it_go(local: RagPipeline, tmp_path: Path) -> None:
    inside = local.settings.home / "exports" / "all.jsonl"
    inside.parent.mkdir()
    outside = tmp_path / "elsewhere.jsonl"
    everything = Selection(labelled_only=False)
    local.export(inside, everything, register="inside")
    local.export(outside, everything, register="outside")
    assert local.entities.list()
    done = local.forget.document("lighthouse.txt")
    assert traces(local, b"Ermengarde", b"ermengarde", b"zyxmarker") == []
    assert not inside.exists()
    assert done.certificate["exported_elsewhere"] == [str(outside)]
    assert {"inside@1", "outside@1"} == {*done.certificate["datasets"]}


def test_another_program_that_has_the_index_open_drops_it_too(
    local: RagPipeline, tmp_path: Path
) -> None:
    with word_pipeline(tmp_path / "home", chunking=CUTS) as other:
        assert other.search("wugmarker").hits[0].chunk.text in LIGHTHOUSE
        local.forget.document("lighthouse.txt")
        assert all(hit.chunk.text in HARBOUR for hit in other.search("wugmarker").hits)
        held = parts_of(other).open_followers()["default"]
        assert all(part.dead == 0 for index in held for part in index.index._store.state.parts)
        assert traces(other, b"wugmarker") == []


def test_a_user_goes_with_all_that_they_asked_and_said(rag: RagPipeline) -> None:
    first = asked(rag, "Where does my friend Walburga live?", user="margaret.h", session="private")
    mine = asked(rag, "And her brother Xaverius?", user="margaret.h", parent_id=first)
    fork = asked(rag, "How many boats are there?", user="bob", parent_id=mine)
    theirs = asked(rag, "When does the ferry leave?", user="bob", session="private")
    rag.history.attach(first, b"A photograph of Walburga", name="walburga.txt")
    rag.history.rate(
        theirs, 0, user="margaret.h", comment="nonsense, says Hildegunde", correction="At eight."
    )
    rag.history.rate(mine, 1, user="bob", comment="bob liked what Xaverius does")
    rag.history.tag(first, add=["walburga-things"])
    before = rag.history.show(theirs)
    done = rag.forget.user("margaret.h")
    marks = (b"Walburga", b"walburga", b"Xaverius", b"xaverius", b"margaret.h", b"Hildegunde")
    assert traces(rag, *marks) == []
    assert done.certificate["counts"]["exchanges"]["prompts"] == 2
    assert done.certificate["scan"]["needles"] > 10
    with pytest.raises(NotFoundError):
        rag.history.show(first)
    assert rag.history.show(fork).parent_id is None
    assert said_in(rag, fork)[:4] == ["[forgotten]"] * 4
    assert said_in(rag, fork)[4] == "How many boats are there?"
    after = rag.history.show(theirs)
    assert (after.answer, after.scores) == (before.answer, ())
    assert after.session == "private"


def test_what_two_users_said_alike_stays_with_the_other(local: RagPipeline) -> None:
    question = "When does the ferry leave for the islands?"
    asked(local, question, user="margaret.h")
    theirs = asked(local, question, user="bob")
    local.forget.user("margaret.h")
    assert said_in(local, theirs)[0] == question
    assert local.history.show(theirs).question == question


def test_a_session_goes_and_the_user_stays(local: RagPipeline) -> None:
    asked(local, "Where does Walburga live, if at all?", user="margaret.h", session="private")
    other = asked(local, "When does the ferry leave?", user="margaret.h", session="open")
    local.forget.session("margaret.h", "private")
    assert traces(local, b"Walburga") == []
    assert local.history.show(other).user == "margaret.h"
    with pytest.raises(NotFoundError, match="no session 'private'"):
        local.forget.session("margaret.h", "private")


def test_the_proof_would_notice_words_of_a_user_that_were_left(local: RagPipeline) -> None:
    question = "Where does my friend Walburga live, and with whom, and since when?"
    asked(local, question, user="margaret.h")
    (local.settings.home / "copy.txt").write_text(f"She asked: {question}")
    with pytest.raises(ErasureError, match=r"copy\.txt"):
        local.forget.user("margaret.h")
    (local.settings.home / "copy.txt").unlink()
    assert len(local.forget.resume()) == 1


def test_statistics_agree_with_what_is_left(local: RagPipeline) -> None:
    from storage.prompts.rollups import differences

    one = asked(local, "When does the ferry leave?", user="bob")
    asked(local, "How many boats?", user="margaret.h", parent_id=one)
    local.history.rate(one, 1, user="margaret.h")
    local.forget.user("margaret.h")
    with parts_of(local).database.read() as connection:
        assert differences(connection) == []


def test_a_certificate_names_nobody_and_can_be_checked(local: RagPipeline) -> None:
    asked(local, "Where does Walburga live, if at all?", user="margaret.h")
    done = local.forget.user("margaret.h")
    said = dict(done.certificate)
    assert "margaret" not in json.dumps(said)
    assert "Walburga" not in json.dumps(said)
    assert said["sha256"] == certificate_sha256(said)
    assert said["subject_sha256"] == subject_sha256(said["salt"], "margaret.h")
    assert done.path is not None
    assert json.loads(done.path.read_text()) == said
    assert certificate_sha256({**said, "kind": "session"}) != said["sha256"]


def test_missing_and_foreign_look_the_same_and_only_an_owner_may(local: RagPipeline) -> None:
    for name in ("nobody", "", "x\0y", "\ud800"):
        with pytest.raises(NotFoundError, match="there is no"):
            local.forget.user(name)
        with pytest.raises(NotFoundError, match="there is no"):
            local.forget.document(name)
        with pytest.raises(NotFoundError, match="there is no"):
            local.forget.source(name)
    other = local.acting_for(Principal(name="bob"))
    for name in ("nobody", "owner"):
        with pytest.raises(ErasureError, match="only an owner"):
            other.forget.user(name)
    with pytest.raises(ErasureError, match="only an owner"):
        other.forget.document("harbour.txt")
    with pytest.raises(ErasureError, match="only an owner"):
        other.forget.resume()


@pytest.mark.slow
def test_a_server_can_be_asked_to_write_its_tables_anew(rag: RagPipeline) -> None:
    done = rag.forget.document("lighthouse.txt", compact=True)
    assert not any("free space" in place for place in done.certificate["not_reached"])
    assert [hit.chunk.text in HARBOUR for hit in rag.search("boats").hits]


def test_a_preview_changes_nothing(local: RagPipeline) -> None:
    asked(local, "When does the ferry leave?", user="bob")
    assert local.forget.preview("user", "bob")["exchanges"] == 1
    assert local.forget.preview("document", "harbour.txt")["sources"] == 1
    assert local.forget.erasures() == []
    assert local.search("ferry").hits


def test_what_is_found_at_the_end_keeps_it_unfinished(local: RagPipeline) -> None:
    stray = local.settings.home / "notes.txt"
    stray.write_text(f"I copied this: {LIGHTHOUSE}")
    with pytest.raises(ErasureError, match=r"notes\.txt"):
        local.forget.document("lighthouse.txt")
    assert any("broken off" in difference for difference in local.doctor().differences)
    stray.unlink()
    (completed,) = local.forget.resume()
    assert completed.certificate["scan"]["findings"] == {}
    assert local.doctor().differences == ()
