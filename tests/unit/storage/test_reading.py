"""What a reader is shown of a text: its sources, its place, and what stands beside it."""

from dataclasses import replace

import pytest
from sqlalchemy import text
from support.corpora import document, place, sha256, synthetic, vector_of, writing

from storage import consistency
from storage.engine import Database
from storage.reading import CorpusReader
from storage.records import (
    LOCAL_OWNER,
    ChunkId,
    DocumentId,
    Heading,
    NewChunk,
    NewDocument,
    Origin,
    Outline,
    Placement,
    Principal,
    StoredChunk,
    StoredText,
)

EVE = Principal(name="eve", labels=frozenset({"staff"}))


def test_a_title_that_only_a_hidden_source_gives_is_not_shown(database: Database) -> None:
    shared = document("It swims.", title="Secret merger")
    with writing(database) as writer:
        writer.commit(
            [
                place("1", shared, title="Secret merger", read_labels=frozenset({"board"})),
                place("2", shared, title="Penguin"),
            ]
        )
    reader = CorpusReader(database)
    for principal, title in ((LOCAL_OWNER, "Secret merger"), (EVE, "Penguin")):
        (chunk,) = reader.chunks([ChunkId(1)], principal=principal, generation=1).values()
        assert chunk.title == title


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        ("UPDATE chunks SET to_generation = 1", "does not hold when its document does"),
        ("DELETE FROM chunks", "it has no chunk"),
    ],
)
def test_the_check_finds_a_live_text_that_no_search_can_find(
    database: Database, damage: str, said: str
) -> None:
    with writing(database) as writer:
        writer.commit([place("1", "A text.")])
    assert consistency.database_differences(database, 1) == []
    with database.write() as connection:
        connection.execute(text(damage))
    assert any(said in found for found in consistency.database_differences(database, 1))


TEXT = (
    "Vorwort 🚢.\n"  # before the first heading
    "# Results\nThe bridge stands.\n"
    "## Costs\nIt cost forty million.\n"
    "## Time\nIt took three years.\n"
    "# Annex\nNothing follows."
)


def at(words: str) -> int:
    return TEXT.index(words)


OUTLINE = Outline(
    headings=(
        Heading(at("# Results"), 1, "Results"),
        Heading(at("## Costs"), 2, "Costs"),
        Heading(at("## Time"), 2, "Time"),
        Heading(at("# Annex"), 1, "Annex"),
    ),
    page_starts=(0, at("## Costs"), at("It took")),
)
SPANS = (
    (0, at("# Results") - 1),
    (at("It cost"), at("forty")),
    (at("forty"), at("It took") + len("It took three years.")),
    (at("## Time"), len(TEXT)),
)


def divided(text: str = TEXT, spans: tuple[tuple[int, int], ...] = SPANS) -> NewDocument:
    """A text with headings and pages, of several chunks that may overlap."""
    chunks = (
        NewChunk(
            start=start,
            end=end,
            text=text[start:end],
            embedded_sha256=sha256(text[start:end]),
            vector=vector_of(text[start:end]),
        )
        for start, end in spans
    )
    whole = document(text)
    return replace(whole, chunks=tuple(chunks), outline=OUTLINE, language="en")


def keys(found: list[StoredChunk]) -> list[int]:
    return [chunk.chunk_id for chunk in found]


def test_a_chunk_is_named_by_page_headings_section_and_language(database: Database) -> None:
    with writing(database) as writer:
        writer.commit([place("1", divided())])
    found = CorpusReader(database).chunks(
        [ChunkId(key) for key in range(1, 5)], principal=LOCAL_OWNER, generation=1
    )
    named = [
        (chunk.headings, chunk.page, chunk.last_page, chunk.section) for chunk in found.values()
    ]
    assert named == [
        ((), 1, 1, (0, at("# Results"))),
        (("Results", "Costs"), 2, 2, (at("## Costs"), at("## Time"))),
        (("Results",), 2, 3, (at("## Costs"), at("# Annex"))),
        ((), 2, 3, (at("## Time"), len(TEXT))),
    ]
    assert {chunk.language for chunk in found.values()} == {"en"}
    for chunk in found.values():
        assert TEXT[chunk.start : chunk.end] == chunk.text


def test_a_text_without_outline_is_one_section_and_has_no_pages(database: Database) -> None:
    with writing(database) as writer:
        writer.commit([place("1", "𝔄 plain text. 🚢")])
    (chunk,) = (
        CorpusReader(database).chunks([ChunkId(1)], principal=LOCAL_OWNER, generation=1).values()
    )
    assert (chunk.headings, chunk.page, chunk.last_page, chunk.language) == ((), None, None, None)
    assert chunk.section == (0, len("𝔄 plain text. 🚢"))


def test_a_text_is_read_with_the_outline_that_it_has(database: Database) -> None:
    with writing(database) as writer:
        writer.commit([place("1", divided()), place("2", "Plain.")])
    texts = CorpusReader(database).document_texts(
        [DocumentId(1), DocumentId(2)], principal=EVE, generation=1
    )
    assert texts == {
        1: StoredText(text=TEXT, outline=OUTLINE),
        2: StoredText(text="Plain."),
    }


def test_neighbours_follow_the_text_and_stop_at_its_edges(database: Database) -> None:
    with writing(database) as writer:
        shuffled = (SPANS[2], SPANS[0], SPANS[3], SPANS[1])
        writer.commit([place("0", "Another."), place("1", divided(spans=shuffled))])
    reader = CorpusReader(database)

    def beside(key: int, **given: int) -> list[int]:
        found = reader.neighbours(ChunkId(key), principal=LOCAL_OWNER, generation=1, **given)
        return keys(found)

    # In the order of the text: 3, 5, 2, 4.
    assert beside(5) == [3, 2]
    assert beside(3) == [5]
    assert beside(4) == [2]
    assert beside(2, before=9, after=9) == [3, 5, 4]
    assert beside(2, before=0) == [4]
    assert beside(1, before=9, after=9) == []
    assert beside(99) == []


def test_chunks_that_begin_together_are_each_others_neighbours(database: Database) -> None:
    with writing(database) as writer:
        writer.commit([place("1", divided(spans=((0, 5), (0, 9), (0, 7))))])
    reader = CorpusReader(database)
    for key, expected in ((1, [2]), (2, [1, 3]), (3, [2])):
        found = reader.neighbours(ChunkId(key), principal=LOCAL_OWNER, generation=1)
        assert keys(found) == expected


def test_neighbours_are_those_of_the_generation_and_only_for_who_may_read_them(
    database: Database,
) -> None:
    hidden = divided("Secret. " + TEXT, spans=((0, 8), (8, 20)))
    with writing(database) as writer:
        writer.commit([place("1", hidden, read_labels=frozenset({"board"}))])
        writer.commit([place("2", divided(TEXT + " More."))])
        (known,) = writer.known_sources([("/docs/corpus.jsonl", "2")]).values()
        writer.commit([place("2", divided(TEXT + " Most."), replaces=known.source_id)])
    reader = CorpusReader(database)
    first, old, new = ChunkId(1), ChunkId(3), ChunkId(7)
    assert keys(reader.neighbours(first, principal=LOCAL_OWNER, generation=1)) == [2]
    assert reader.neighbours(first, principal=EVE, generation=1) == []
    assert keys(reader.neighbours(old, principal=EVE, generation=2)) == [4]
    assert reader.neighbours(old, principal=EVE, generation=3) == []
    assert reader.neighbours(new, principal=EVE, generation=2) == []
    assert keys(reader.neighbours(new, principal=EVE, generation=3)) == [8]


def test_neighbours_of_a_synthetic_text_are_found_only_by_name(database: Database) -> None:
    with writing(database) as writer:
        writer.commit([Placement(source=synthetic("1"), document=divided())])
    reader = CorpusReader(database)
    assert reader.neighbours(ChunkId(1), principal=LOCAL_OWNER, generation=1) == []
    found = reader.neighbours(
        ChunkId(1), principal=LOCAL_OWNER, generation=1, origins=frozenset(Origin)
    )
    assert keys(found) == [2]
