"""The one writer of documents, on both databases."""

import dataclasses

import numpy as np
import pytest
from sqlalchemy import func, select, text
from support.corpora import (
    DIMENSION,
    SPACE,
    document,
    place,
    sha256,
    source,
    synthetic,
    vector_of,
    writing,
)

from storage import consistency
from storage.collection import claim_space, open_collection
from storage.corpus import CorpusWriter
from storage.engine import Database
from storage.errors import (
    InvalidRecordError,
    LeaseBusyError,
    LeaseLostError,
    NotFoundError,
    SpaceMismatchError,
)
from storage.lease import writer_lease
from storage.models.corpus import ChangeRow, ChunkRow, DocumentRow, SourceRow
from storage.places import place_sha256
from storage.reading import CorpusReader
from storage.records import (
    BEGINNING,
    LOCAL_OWNER,
    ChunkId,
    KnownSource,
    Origin,
    Placement,
    Principal,
    StoredChunk,
)

GUEST = Principal(name="guest")
BOTH = frozenset(Origin)


def live_texts(
    database: Database,
    *,
    principal: Principal = LOCAL_OWNER,
    generation: int | None = None,
    origins: frozenset[Origin] = frozenset({Origin.REAL}),
) -> dict[str, StoredChunk]:
    """All that may be read, by text, at the served or a given generation."""
    reader = CorpusReader(database)
    at = reader.served().generation if generation is None else generation
    with database.read() as connection:
        keys = connection.execute(select(ChunkRow.chunk_id)).scalars().all()
    chunks = reader.chunks(
        [ChunkId(key) for key in keys], principal=principal, generation=at, origins=origins
    )
    return {chunk.text: chunk for chunk in chunks.values()}


def known_in(writer: CorpusWriter, external_id: str) -> KnownSource:
    uri = "/docs/corpus.jsonl"
    return writer.known_sources([(uri, external_id)])[place_sha256(uri, external_id)]


def test_a_new_database_stands_at_the_beginning(database: Database) -> None:
    assert CorpusReader(database).served() == BEGINNING


def test_what_is_committed_can_be_read_with_all_that_was_said_of_it(database: Database) -> None:
    with writing(database) as writer:
        committed = writer.commit([place("a", "Bees dance.", title="Bees", metadata={"n": [1]})])
    chunk = live_texts(database)["Bees dance."]
    assert (chunk.start, chunk.end) == (0, 11)
    assert [(ref.external_id, ref.title, ref.metadata) for ref in chunk.sources] == [
        ("a", "Bees", {"n": [1]})
    ]
    assert committed.position == CorpusReader(database).served()
    assert committed.external_ids == ("a",)
    assert committed.chunks_added == 1


def test_one_text_from_ten_sources_is_stored_once_and_lives_as_long_as_one_has_it(
    database: Database,
) -> None:
    shared = document("Tea is a drink.")
    with writing(database) as writer:
        writer.commit([place(f"s{n}", shared) for n in range(10)])
        assert len(live_texts(database)["Tea is a drink."].sources) == 10
        keys = [s.source_id for s in writer.live_sources()]
        writer.commit([], removals=keys[:9])
        assert [r.external_id for r in live_texts(database)["Tea is a drink."].sources] == ["s9"]
        last = writer.commit([], removals=keys[9:])
    assert last.chunks_removed == 1
    assert live_texts(database) == {}
    with database.read() as connection:
        assert connection.execute(select(func.count()).select_from(ChunkRow)).scalar() == 1


def test_an_update_leaves_the_old_version_to_those_who_read_the_generation_before(
    database: Database,
) -> None:
    with writing(database) as writer:
        first = writer.commit([place("a", "The old text.")])
        old = known_in(writer, "a")
        writer.commit([place("a", "The new text.", replaces=old.source_id)])
    assert set(live_texts(database)) == {"The new text."}
    assert set(live_texts(database, generation=first.position.generation)) == {"The old text."}


def test_a_superseded_text_keeps_all_its_sources_and_their_labels(database: Database) -> None:
    shared = document("Tea is a drink.", title="Tea")
    with writing(database) as writer:
        labelled = Placement(
            source=source("secret", title="Other", read_labels=frozenset({"staff"})),
            document=shared,
        )
        writer.commit([place("a", shared, title="Tea"), labelled])
        stored = writer.documents_with([shared.content_sha256])[shared.content_sha256]
        renewed = document("Tea is a drink.", title="Other", supersedes=stored.document_id)
        committed = writer.commit([], renewed=[renewed])
    assert (committed.chunks_added, committed.chunks_removed) == (1, 1)
    everything = live_texts(database)["Tea is a drink."]
    assert everything.title == "Other"
    assert {ref.external_id for ref in everything.sources} == {"a", "secret"}
    seen = live_texts(database, principal=GUEST)["Tea is a drink."]
    assert {ref.external_id for ref in seen.sources} == {"a"}
    assert consistency.database_differences(database, committed.position.generation) == []


def test_a_document_whose_source_moves_on_in_the_same_batch_is_not_orphaned(
    database: Database,
) -> None:
    """One file takes over the text that another gives up."""
    with writing(database) as writer:
        writer.commit([place("a", "Shared text.")])
        old = known_in(writer, "a")
        writer.commit(
            [
                place("a", "Other text.", replaces=old.source_id),
                place("b", old.document_id),
            ]
        )
    assert set(live_texts(database)) == {"Shared text.", "Other text."}


@pytest.mark.parametrize(
    "wrong",
    [
        synthetic("x", generator=None),
        synthetic("x", generator=""),
        source("x", generator_id="gan-1"),
    ],
)
def test_a_source_is_synthetic_if_and_only_if_it_names_its_generator(
    database: Database, wrong
) -> None:
    with writing(database) as writer:
        before = writer.commit([place("a", "Kept.")])
        with pytest.raises(InvalidRecordError):
            writer.commit([Placement(source=wrong, document=document("Refused."))])
    assert CorpusReader(database).served() == before.position
    assert set(live_texts(database, origins=BOTH)) == {"Kept."}


def test_synthetic_texts_are_candidates_only_when_asked_for_by_name(database: Database) -> None:
    with writing(database) as writer:
        writer.commit(
            [
                place("real", "A real text."),
                Placement(source=synthetic("made"), document=document("A made-up text.")),
            ]
        )
        collection_id = writer.collection.collection_id
    reader = CorpusReader(database)
    by_text = {t: c.chunk_id for t, c in live_texts(database, origins=BOTH).items()}

    def candidates(*origins: Origin):
        found = reader.candidates(
            collection_id, principal=LOCAL_OWNER, generation=1, origins=frozenset(origins)
        )
        return None if found is None else found.tolist()

    assert candidates(Origin.REAL) == [by_text["A real text."]]
    assert candidates(Origin.SYNTHETIC) == [by_text["A made-up text."]]
    assert candidates(*Origin) is None
    assert set(live_texts(database)) == {"A real text."}


def test_a_labelled_source_is_for_those_who_carry_one_of_its_labels(database: Database) -> None:
    with writing(database) as writer:
        writer.commit(
            [
                place("open", "For everybody."),
                place("closed", "For staff.", read_labels=frozenset({"staff", "board"})),
            ]
        )
        collection_id = writer.collection.collection_id
    staff = Principal(name="eve", labels=frozenset({"staff"}))
    assert set(live_texts(database, principal=GUEST)) == {"For everybody."}
    assert set(live_texts(database, principal=staff)) == {"For everybody.", "For staff."}
    assert set(live_texts(database)) == {"For everybody.", "For staff."}
    guest = CorpusReader(database).candidates(collection_id, principal=GUEST, generation=1)
    assert guest is not None
    assert guest.tolist() == [live_texts(database)["For everybody."].chunk_id]


def test_a_shared_text_shows_a_reader_only_the_sources_that_are_for_them(
    database: Database,
) -> None:
    shared = document("Shared.")
    with writing(database) as writer:
        writer.commit(
            [
                place("open", shared),
                place("closed", shared, title="Secret", read_labels=frozenset({"staff"})),
            ]
        )
    refs = live_texts(database, principal=GUEST)["Shared."].sources
    assert [ref.external_id for ref in refs] == ["open"]


def test_a_writer_that_was_overtaken_cant_commit(database: Database) -> None:
    with writing(database) as late:
        with database.write() as connection:
            connection.execute(text("UPDATE corpus_state SET fence = fence + 1"))
        with pytest.raises(LeaseLostError):
            late.commit([place("a", "Too late.")])
    assert CorpusReader(database).served() == BEGINNING
    assert live_texts(database) == {}


def test_a_commit_that_fails_leaves_no_trace(database: Database) -> None:
    bad = dataclasses.replace(
        document("Bad."),
        chunks=(
            dataclasses.replace(
                document("Bad.").chunks[0], vector=np.full(DIMENSION, np.nan, np.float32)
            ),
        ),
    )
    with writing(database) as writer:
        with pytest.raises(InvalidRecordError, match="not finite"):
            writer.commit([place("a", "Good."), place("b", bad)])
        committed = writer.commit([place("a", "Good.")])
    assert committed.position.generation == 1
    assert set(live_texts(database)) == {"Good."}


def test_a_vector_of_another_dimension_is_refused(database: Database) -> None:
    short = dataclasses.replace(document("x").chunks[0], vector=np.ones(3, np.float32))
    with writing(database) as writer, pytest.raises(InvalidRecordError, match="dimension 8"):
        writer.commit([place("a", dataclasses.replace(document("x"), chunks=(short,)))])


def test_a_collection_takes_vectors_of_one_space_only(database: Database) -> None:
    collection = open_collection(database, "default")
    claim_space(database, collection, SPACE)
    other = dataclasses.replace(SPACE, weights_sha256="1" * 64)
    with pytest.raises(SpaceMismatchError, match="another collection"):
        claim_space(database, open_collection(database, "default"), other)
    with pytest.raises(SpaceMismatchError):
        # A caller that looked before the space was claimed must not get through either.
        claim_space(database, collection, other)


def test_the_same_text_in_two_collections_is_two_documents(database: Database) -> None:
    with writing(database, "one") as writer:
        writer.commit([place("a", "Same.")])
    with writing(database, "two") as writer:
        writer.commit([place("a", "Same.")])
    with database.read() as connection:
        assert connection.execute(select(func.count()).select_from(DocumentRow)).scalar() == 2


def test_vectors_come_back_bit_for_bit_and_serve_as_cache(database: Database) -> None:
    with writing(database) as writer:
        writer.commit([place("a", "Some text.")])
        cached = writer.cached_vectors([sha256("Some text."), sha256("unknown")])
    assert list(cached) == [sha256("Some text.")]
    assert (cached[sha256("Some text.")] == vector_of("Some text.")).all()


def test_the_change_log_has_what_each_generation_added_and_took(database: Database) -> None:
    with writing(database) as writer:
        writer.commit([place("a", "One."), place("b", "Two.")])
        writer.commit([], removals=[known_in(writer, "a").source_id])
    with database.read() as connection:
        rows = connection.execute(
            select(ChangeRow.generation, ChangeRow.kind).order_by(
                ChangeRow.generation, ChangeRow.chunk_id
            )
        ).all()
    assert [tuple(row) for row in rows] == [(1, "add"), (1, "add"), (2, "remove")]


def test_keys_are_never_used_twice(database: Database) -> None:
    with writing(database) as writer:
        writer.commit([place("a", "One.")])
        with database.write() as connection:
            for table in (ChunkRow, SourceRow, DocumentRow):
                connection.execute(table.__table__.delete())
        writer.commit([place("b", "Two.")])
    with database.read() as connection:
        assert connection.execute(select(ChunkRow.chunk_id)).scalars().all() == [2]


def test_a_missing_collection_is_named_beside_those_that_exist(database: Database) -> None:
    open_collection(database, "recipes")
    with pytest.raises(NotFoundError, match="'drinks'.*'recipes'"):
        CorpusReader(database).collection("drinks", principal=LOCAL_OWNER)


@pytest.mark.parametrize("name", ["", "  ", "a\nb", "x" * 201])
def test_a_collection_needs_a_printable_name(database: Database, name: str) -> None:
    with pytest.raises(InvalidRecordError, match="collection"):
        open_collection(database, name)


def test_what_a_gate_holds_back_is_not_served(database: Database) -> None:
    with writing(database) as writer:
        first = writer.commit([place("a", "Good.")])
        writer.commit([place("b", "Doubtful.")])
        with database.write() as connection:
            connection.execute(text("UPDATE corpus_state SET held_at = 1"))
    assert CorpusReader(database).served() == first.position
    assert set(live_texts(database)) == {"Good."}


def test_the_database_check_finds_every_kind_of_damage(database: Database) -> None:
    with writing(database) as writer:
        writer.commit([place("a", "One."), place("b", "Two."), place("c", "Three.")])
    assert consistency.database_differences(database, 1) == []
    damage = [
        ("UPDATE sources SET to_generation = 1 WHERE external_id = 'a'", "no source has it"),
        ("UPDATE chunks SET text = 'Tvo.' WHERE text = 'Two.'", "not what stands"),
        ("UPDATE documents SET to_generation = 1 WHERE text = 'Three.'", "its document"),
    ]
    for statement, said in damage:
        with database.write() as connection:
            connection.execute(text(statement))
        assert any(said in found for found in consistency.database_differences(database, 1)), said


def test_text_of_any_script_survives(database: Database) -> None:
    hard = "Ω≈ç √ 𝔘𝔫𝔦 👩‍👩‍👧 é é \u202e עברית 中文 \t\n end"
    with writing(database) as writer:
        writer.commit([place("ключ 🔑", hard, title=hard, metadata={"ключ": hard})])
    chunk = live_texts(database)[hard]
    assert chunk.sources[0].external_id == "ключ 🔑"
    assert chunk.sources[0].metadata == {"ключ": hard}


def test_only_one_writer_has_the_lease(database: Database) -> None:
    other = Database(database.engine.url.render_as_string(hide_password=False))
    with writer_lease(database) as first:
        with (
            pytest.raises(LeaseBusyError, match="another process"),
            writer_lease(other, wait=False),
        ):
            pass
    with writer_lease(other, wait=False) as second:
        assert second == first + 1
    other.close()
