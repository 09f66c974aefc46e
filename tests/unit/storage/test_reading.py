"""What a reader is shown of a text that several sources have."""

import pytest
from sqlalchemy import text
from support.corpora import document, place, writing

from storage import consistency
from storage.engine import Database
from storage.reading import CorpusReader
from storage.records import LOCAL_OWNER, ChunkId, Principal

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
