"""What a principal may not read is no candidate: filters, the past, shared texts, collections."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event
from support.corpora import document, place, source, synthetic, writing

from storage import schema
from storage.collection import open_collection, read_labels, set_read_labels
from storage.corpus import CorpusWriter
from storage.engine import Database
from storage.errors import FilterError, InvalidRecordError, NotFoundError
from storage.filters import parse
from storage.places import place_sha256
from storage.reading import CorpusReader
from storage.records import (
    LOCAL_OWNER,
    ChunkId,
    KnownSource,
    Origin,
    Placement,
    Principal,
    StoredChunk,
)

GUEST = Principal(name="guest")
STAFF = Principal(name="sue", labels=frozenset({"staff"}))
MEMBER = Principal(name="max", groups=frozenset({"board"}))
BOTH = frozenset(Origin)

Find = Callable[..., dict[str, StoredChunk]]


@pytest.fixture
def reader(database: Database) -> CorpusReader:
    return CorpusReader(database)


@pytest.fixture
def find(reader: CorpusReader) -> Find:
    """What a search may find and then shows, by text."""

    def found(
        principal: Principal, where: str | None = None, at: int | None = None, **about: Any
    ) -> dict[str, StoredChunk]:
        collection = reader.collection("default", principal=principal)
        about |= {
            "principal": principal,
            "generation": at or reader.served().generation,
            "where": None if where is None else parse(where),
        }
        ids = reader.candidates(collection.collection_id, **about)
        keys = range(1, 50) if ids is None else ids.tolist()
        shown = reader.chunks([ChunkId(key) for key in keys], **about)
        assert ids is None or sorted(shown) == ids.tolist()
        return {chunk.text: chunk for chunk in shown.values()}

    return found


def hidden(external_id: str, *labels: str, **about: Any) -> Any:
    return source(external_id, read_labels=frozenset(labels), **about)


def known_in(writer: CorpusWriter, external_id: str) -> KnownSource:
    uri = "/docs/corpus.jsonl"
    return writer.known_sources([(uri, external_id)])[place_sha256(uri, external_id)]


def external_ids(chunk: StoredChunk) -> list[str]:
    return [ref.external_id for ref in chunk.sources]


def test_metadata_of_a_hidden_source_does_not_make_a_shared_text_found(
    database: Database, find: Find
) -> None:
    shared = document("Tea is a drink.")
    with writing(database) as writer:
        writer.commit(
            [
                Placement(
                    source=hidden("secret", "staff", metadata={"project": "x-ray", "year": 1}),
                    document=shared,
                ),
                place("open", shared, metadata={"year": 2}),
            ]
        )
    assert external_ids(find(STAFF, "project = 'x-ray'")["Tea is a drink."]) == ["secret"]
    assert find(GUEST, "year = 1") == {}
    assert external_ids(find(GUEST, "year >= 1")["Tea is a drink."]) == ["open"]
    assert external_ids(find(STAFF, "year = 1 or year = 2")["Tea is a drink."]) == [
        "secret",
        "open",
    ]
    assert find(STAFF, "project = 'x-ray' and year = 2") == {}
    assert find(STAFF, "external_id = 'secret' and year = 2") == {}


def test_a_negation_finds_by_the_readable_source_only(database: Database, find: Find) -> None:
    shared = document("Tea is a drink.")
    with writing(database) as writer:
        writer.commit(
            [
                Placement(source=hidden("secret", "staff", metadata={"year": 1}), document=shared),
                place("open", shared, metadata={"year": 2}),
            ]
        )
    assert find(GUEST, "not year = 2") == {}
    assert find(GUEST, "year != 1").keys() == {"Tea is a drink."}
    assert external_ids(find(STAFF, "year != 2")["Tea is a drink."]) == ["secret"]


def test_a_field_that_only_hidden_sources_have_is_as_unknown_as_one_that_is_not_there(
    database: Database, find: Find
) -> None:
    with writing(database) as writer:
        writer.commit(
            [
                Placement(
                    source=hidden("secret", "staff", metadata={"project": 1, "year": "MMXX"}),
                    document=document("Coffee."),
                ),
                place("open", "Tea.", metadata={"year": 2}),
            ]
        )
    said = []
    for name in ("project", "prospect"):
        with pytest.raises(FilterError) as raised:
            find(GUEST, f"{name} = 1")
        said.append(str(raised.value).replace(name, "?"))
    assert said[0] == said[1]
    with pytest.raises(FilterError, match="holds numbers; '2' is none"):
        find(GUEST, "year = '2'")
    assert find(STAFF, "year = 'MMXX'").keys() == {"Coffee."}


def test_hidden_titles_are_neither_filtered_by_nor_shown(database: Database, find: Find) -> None:
    shared = document("Tea is a drink.", title="Secret title")
    with writing(database) as writer:
        writer.commit(
            [
                Placement(source=hidden("secret", "staff", title="Secret title"), document=shared),
                place("open", shared, title="Open title"),
            ]
        )
    assert find(GUEST, "title like '%Secret%'") == {}
    assert find(GUEST, "title like 'Open%'")["Tea is a drink."].title == "Open title"
    assert find(STAFF, "title = 'Secret title'").keys() == {"Tea is a drink."}


def test_a_label_is_carried_by_name_by_group_or_as_such(database: Database, find: Find) -> None:
    with writing(database) as writer:
        writer.commit(
            [
                Placement(source=hidden("a", "staff"), document=document("For staff.")),
                Placement(source=hidden("b", "user:max"), document=document("For Max.")),
                Placement(source=hidden("c", "group:board"), document=document("For the board.")),
                Placement(source=hidden("d", "board"), document=document("For a label.")),
                Placement(source=hidden("e", "staff", "group:board"), document=document("Both.")),
            ]
        )
    assert find(GUEST) == {}
    assert find(STAFF).keys() == {"For staff.", "Both."}
    assert find(MEMBER).keys() == {"For Max.", "For the board.", "Both."}
    assert len(find(LOCAL_OWNER)) == 5


def test_a_document_closed_today_is_closed_in_the_past_as_well(
    database: Database, find: Find
) -> None:
    with writing(database) as writer:
        writer.commit([place("a", "Was open."), place("b", "Stays open.")])
        old = known_in(writer, "a")
        replaced = Placement(
            source=hidden("a", "staff"), document=document("Closed."), replaces=old.source_id
        )
        assert find(GUEST, at=1).keys() == {"Was open.", "Stays open."}
        assert find(GUEST, "external_id = 'a'", at=1).keys() == {"Was open."}
        writer.commit([replaced])
    assert find(GUEST).keys() == {"Stays open."}
    assert find(GUEST, at=1).keys() == {"Stays open."}
    assert find(GUEST, "external_id = 'a'", at=1) == {}
    assert find(STAFF, at=1).keys() == {"Was open.", "Stays open."}


def test_a_document_opened_today_is_still_closed_in_the_past(
    database: Database, find: Find
) -> None:
    with writing(database) as writer:
        writer.commit([Placement(source=hidden("a", "staff"), document=document("Draft."))])
        old = known_in(writer, "a")
        writer.commit([place("a", "Final.", replaces=old.source_id)])
    assert find(GUEST).keys() == {"Final."}
    assert find(GUEST, at=1) == {}


def test_what_was_deleted_is_found_in_the_past_by_who_might_read_it_then(
    database: Database, find: Find
) -> None:
    with writing(database) as writer:
        writer.commit(
            [
                place("a", "Open.", metadata={"n": 1}),
                Placement(
                    source=hidden("b", "staff", metadata={"n": 1}), document=document("Shut.")
                ),
                place("c", "Other.", metadata={"n": 2}),
            ]
        )
        writer.commit([], removals=[known_in(writer, name).source_id for name in "ab"])
    assert find(GUEST, "n > 0").keys() == {"Other."}
    assert find(GUEST, "n = 1", at=1).keys() == {"Open."}
    assert find(STAFF, "n = 1", at=1).keys() == {"Open.", "Shut."}


def test_a_filter_does_not_let_synthetic_text_in(database: Database, find: Find) -> None:
    with writing(database) as writer:
        writer.commit(
            [
                Placement(source=synthetic("made"), document=document("Made up.")),
                place("real", "Real."),
            ]
        )
    assert find(LOCAL_OWNER, "external_id is not null").keys() == {"Real."}
    assert find(LOCAL_OWNER, "origin = 'synthetic'") == {}
    assert find(LOCAL_OWNER, "origin = 'synthetic'", origins=BOTH).keys() == {"Made up."}


def test_a_closed_collection_looks_like_one_that_is_not_there(
    database: Database, reader: CorpusReader, find: Find
) -> None:
    with writing(database) as writer:
        writer.commit([place("a", "Open.", metadata={"n": 1})])
    collection = writer.collection
    before = find(GUEST, "n = 1")
    assert before.keys() == {"Open."}
    set_read_labels(database, collection, {"group:board", "staff"})
    assert read_labels(database, collection) == {"group:board", "staff"}
    said = []
    for name in ("default", "missing"):
        with pytest.raises(NotFoundError) as raised:
            reader.collection(name, principal=GUEST)
        said.append(str(raised.value).replace(name, "?"))
    assert said[0] == said[1]
    assert reader.collections(principal=GUEST) == []
    for principal in (STAFF, MEMBER, LOCAL_OWNER):
        assert find(principal, "n = 1").keys() == {"Open."}
    # Who knows its key finds nothing either, whatever was remembered before.
    (chunk,) = before.values()
    about: Any = {"principal": GUEST, "generation": 1}
    ids = reader.candidates(collection.collection_id, where=parse("n = 1"), **about)
    assert ids is not None
    assert ids.size == 0
    assert reader.candidates(collection.collection_id, **about).size == 0  # type: ignore[union-attr]
    assert reader.chunks([chunk.chunk_id], **about) == {}
    assert reader.document_texts([chunk.document_id], **about) == {}
    set_read_labels(database, collection, frozenset())
    assert find(GUEST, "n = 1").keys() == {"Open."}


@pytest.mark.parametrize("label", ["", "x" * 201, "a\nb", "a\0"])
def test_a_label_that_could_not_be_kept_is_refused(database: Database, label: str) -> None:
    collection = open_collection(database, "default")
    with pytest.raises(InvalidRecordError, match="label"):
        set_read_labels(database, collection, {label})


def test_what_is_remembered_for_one_is_not_given_to_another(database: Database, find: Find) -> None:
    with writing(database) as writer:
        writer.commit(
            [
                Placement(
                    source=hidden("a", "staff", metadata={"n": 1}), document=document("Shut.")
                ),
                place("b", "Open.", metadata={"n": True}),
            ]
        )
    for _ in range(2):
        assert find(STAFF, "n = 1").keys() == {"Shut."}
        assert find(STAFF, "n = true").keys() == {"Open."}
        with pytest.raises(FilterError):
            find(GUEST, "n = 1")
        assert find(LOCAL_OWNER, "n = 1").keys() == {"Shut."}
        same_name = Principal(name="sue", labels=frozenset())
        with pytest.raises(FilterError):
            find(same_name, "n = 1")


def test_another_collections_fields_and_texts_stay_its_own(
    database: Database, reader: CorpusReader
) -> None:
    for name, metadata in (("one", {"n": 1}), ("two", {"m": 1})):
        with writing(database, name) as writer:
            writer.commit([place("a", "Same text.", metadata=metadata)])
    one = reader.collection("one", principal=GUEST)
    about: Any = {"principal": GUEST, "generation": 2}
    with pytest.raises(FilterError, match="no source has a field m"):
        reader.candidates(one.collection_id, where=parse("m = 1"), **about)
    assert reader.candidates(one.collection_id, where=parse("n = 1"), **about) == [1]
    for said, size in (("collection = 'one'", 1), ("collection = 'two'", 0)):
        ids = reader.candidates(one.collection_id, where=parse(said), **about)
        assert ids is not None
        assert ids.size == size


@pytest.mark.parametrize(
    "name", ["'; DROP TABLE sources; --", '"', "n' OR '1'='1", "%", "`", "n`; SELECT 1", "é" * 150]
)
def test_sql_in_names_and_values_is_only_text(database: Database, find: Find, name: str) -> None:
    with writing(database) as writer:
        writer.commit(
            [place("a", "A.", metadata={name: name}), place("b", "B.", metadata={"n": 1})]
        )
    quoted_name, quoted_value = name.replace("`", "``"), name.replace("'", "''")
    assert find(GUEST, f"`{quoted_name}` = '{quoted_value}'").keys() == {"A."}
    assert find(GUEST, f"`{quoted_name}` != '{quoted_value}'").keys() == {"B."}
    with pytest.raises(FilterError, match="no source has a field"):
        find(GUEST, f"`{quoted_name}x` = '{quoted_value}'")


def test_an_unknown_field_is_answered_with_the_nearest_names(
    database: Database, find: Find
) -> None:
    with writing(database) as writer:
        writer.commit([place("a", "A.", metadata={"publication year": 1, "tag": "x"})])
    with pytest.raises(FilterError, match="did you mean `publication year`"):
        find(GUEST, "`publication_year` = 1")
    with pytest.raises(FilterError, match="there are collection, .*tag, title"):
        find(GUEST, "zzzzzz = 1")


def test_a_built_in_name_is_told_from_metadata_of_that_name(database: Database, find: Find) -> None:
    with writing(database) as writer:
        writer.commit([place("a", "A.", title="Out", metadata={"title": "In", "source": "wiki"})])
    assert find(GUEST, "title = 'Out' and metadata.title = 'In'").keys() == {"A."}
    assert find(GUEST, "metadata.source = 'wiki' and source like '%corpus.jsonl'").keys() == {"A."}
    assert find(GUEST, "title = 'In'") == {}


def test_when_something_came_can_be_filtered_by(database: Database, find: Find) -> None:
    with writing(database) as writer:
        writer.commit([place("a", "A.")])
    for said, expected in (
        ("ingested_at >= '2020-01-01'", {"A."}),
        ("ingested_at < '2020-01-01T10:00:00Z'", set()),
        ("ingested_at between '2020-01-01' and '9999-12-31'", {"A."}),
        ("ingested_at in ('2020-01-01', '0001-01-01')", set()),
        ("ingested_at is null", set()),
        ("ingested_at >= '0001-01-01T00:00+14:00'", {"A."}),
        ("ingested_at > '9999-12-31T23:59:59.999999'", set()),
    ):
        assert find(GUEST, said).keys() == expected
    for said in ("ingested_at > 5", "ingested_at > 'yesterday'", "ingested_at like '2020%'"):
        with pytest.raises(FilterError, match="holds times"):
            find(GUEST, said)


def test_what_a_field_can_never_be_is_refused(database: Database, find: Find) -> None:
    with writing(database) as writer:
        metadata = {"year": 2020, "done": True, "tag": ["a", "b"], "day": "2020-01-01"}
        writer.commit([place("a", "A.", metadata=metadata)])
    for said, remedy in (
        ("year = '2020'", "holds numbers"),
        ("year = true", "holds numbers"),
        ("year like '20%'", "holds numbers"),
        ("tag > 5", "holds text"),
        ("tag >= '2020-01-01'", "holds text"),
        ("done = 1", "holds true or false"),
        ("done > false", "no order"),
        ("year between 1 and 'x'", "one kind"),
        ("title = 5", "holds text"),
        ("origin < 1", "holds text"),
        ("language in ('de', 1)", "holds text"),
    ):
        with pytest.raises(FilterError, match=remedy):
            find(GUEST, said)
    assert find(GUEST, "day <= '2020-01-01' and day = '2020-01-01'").keys() == {"A."}


@pytest.mark.parametrize(
    "text",
    [
        " or ".join(f"n = {number}" for number in range(200)),
        " and ".join(f"not n = {number}" for number in range(2, 202)),
        "n in (" + ", ".join(str(number) for number in range(1000)) + ")",
        "t not in (" + ", ".join(f"'{number}'" for number in range(1000)) + ")",
        " or ".join(
            [f"n in ({', '.join(str(number) for number in range(1000))})" for _ in range(4)]
        ),
        "t in ("
        + ", ".join(f"'2020-01-01T10:00:00.{n:06}'" for n in range(199))
        + ", 'x')"
        + " or n > 0" * 199,
        "not (" * 15 + "(" * 15 + "n != 1" + ")" * 30,
        "t like '" + "%x" * 100 + "%' or n = 1",
        "t like '" + "_" * 999 + "' or n = 1",
    ],
)
def test_the_largest_filters_that_are_taken_are_answered(
    database: Database, find: Find, text: str
) -> None:
    with writing(database) as writer:
        writer.commit([place("a", "A.", metadata={"n": 1, "t": "x" * 5000})])
    assert find(GUEST, text).keys() == {"A."}


def test_a_list_of_more_dates_than_fit_is_refused(database: Database, find: Find) -> None:
    with writing(database) as writer:
        writer.commit([place("a", "A.", metadata={"day": "2020-01-01"})])
    days = ", ".join(f"'20{n // 12:02}-{n % 12 + 1:02}-01'" for n in range(201))
    with pytest.raises(FilterError, match="at most 200"):
        find(GUEST, f"day in ({days})")


def test_a_filter_is_looked_up_in_indexes_alone(tmp_path: Path) -> None:
    """Neither texts nor vectors nor metadata are read: what it costs is what it finds."""
    database = Database.in_file(tmp_path / "plan.db")
    schema.prepare(database)
    asked: list[tuple[str, Any]] = []
    with writing(database) as writer:
        writer.commit([place("a", "A.", metadata={"n": 1, "t": "x", "d": "2020-01-01"})])

    def note(_connection: Any, _cursor: Any, statement: str, values: Any, *_: Any) -> None:
        if statement.startswith("SELECT chunks.chunk_id"):
            asked.append((statement, values))

    event.listen(database.engine, "before_cursor_execute", note)
    for text in ("n = 1", "n > 0", "t = 'x'", "t like 'x%'", "d >= '2020-01-01'", "t in ('x')"):
        for principal in (GUEST, LOCAL_OWNER):
            reader = CorpusReader(database)
            reader.candidates(
                writer.collection.collection_id,
                principal=principal,
                generation=1,
                where=parse(text),
            )
    event.remove(database.engine, "before_cursor_execute", note)
    assert len(asked) == 12
    with database.read() as connection:
        for statement, values in asked:
            rows = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", values)
            plan = "; ".join(row[3] for row in rows)
            assert "chunks USING COVERING INDEX ix_chunks_document (document_id=?" in plan
            assert "source_values USING COVERING INDEX ix_source_values_value" in plan
            assert "sources USING INTEGER PRIMARY KEY" in plan
            assert "SCAN source_values" not in plan
    database.close()
